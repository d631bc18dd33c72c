//! The memory of connections that have nothing to say.
//!
//! Clients connect one after the other, each sends a message and gets its answer, and from then on all is quiet. What is
//! reported is the growth of the server's anonymous memory: its heap, and whatever else a runtime allocates. The
//! kernel's part, which is the same for all that use the same kind of socket, is not in it.

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::disable_transparent_huge_pages;
use serde_json::{Value, json};

use crate::contestant::{LeftOut, Ready};
use crate::cores::Cores;
use crate::server::{Server, Service};
use crate::stats::median;
use crate::{usage, versions};

/// How many bytes a message has.
const MESSAGE: usize = 64;
/// How long an answer may take, and how long a server may take to become quiet.
const PATIENCE: Duration = Duration::from_secs(60);
/// Memory that is the same after so long is taken for quiet.
const QUIET: Duration = Duration::from_millis(100);
/// How many descriptors a process needs beside those of connections, at most.
const OTHERS: u64 = 1000;

/// The anonymous memory of a server in one run, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Before there was any connection.
    pub start: u64,
    /// With one, which is idle.
    pub first: u64,
    /// With all of them, which are idle.
    pub last: u64,
}

/// What one contestant needed.
#[derive(Debug)]
pub struct Row {
    /// Which contestant.
    pub name: &'static str,
    /// Of which version.
    pub version: String,
    /// Every round, in order.
    pub runs: Vec<Memory>,
}

/// What all of them needed.
#[derive(Debug)]
pub struct Found {
    /// How many connections there were.
    pub connections: usize,
    /// Every contestant that ran to the end.
    pub rows: Vec<Row>,
    /// Who failed on the way.
    pub left_out: Vec<LeftOut>,
}

/// Measures each contestant so many times, each in a fresh process.
///
/// # Errors
///
/// The system's, if it does not allow so many descriptors.
pub fn run(ready: &[Ready], connections: usize, rounds: usize, cores: Cores) -> io::Result<Found> {
    allow_descriptors(connections)?;
    // A page of 2 MiB would be counted as a whole for the first connection that touches it.
    disable_transparent_huge_pages(true)?;
    let mut found = Found { connections, rows: Vec::new(), left_out: Vec::new() };
    for ready in ready {
        let name = ready.contestant.name;
        eprintln!("{name}: {connections} idle connections");
        let runs = (0..rounds).map(|_| measure(ready, connections, cores)).collect();
        match runs {
            Ok(runs) => found.rows.push(Row { name, version: versions::of(ready), runs }),
            Err(reason) => {
                eprintln!("left out: {name}: {reason}");
                found.left_out.push(LeftOut { name, reason });
            }
        }
    }
    Ok(found)
}

/// For this process, which has the clients, and for servers, which inherit it.
fn allow_descriptors(connections: usize) -> io::Result<()> {
    let needed = connections as u64 + OTHERS;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    let maximum = maximum.map(|maximum| maximum.max(needed));
    setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum })
        .map_err(|error| io::Error::other(format!("{needed} descriptors are not allowed: {error}")))
}

fn measure(ready: &Ready, connections: usize, cores: Cores) -> Result<Memory, String> {
    let server = Server::start(ready, Service::default(), cores.server)?;
    fill(&server, connections).map_err(|error| error.to_string())
}

fn fill(server: &Server, connections: usize) -> io::Result<Memory> {
    let start = quiet_memory(server)?;
    let mut clients = vec![Client::connect(server, 0)?];
    let first = quiet_memory(server)?;
    for number in 1..connections {
        clients.push(Client::connect(server, number)?);
    }
    let last = quiet_memory(server)?;
    // A server that had closed some of them would have been measured with fewer.
    for client in &mut clients {
        client.exchange()?;
    }
    Ok(Memory { start, first, last })
}

/// The server's memory, once it does not change any more: it may still free what it needed for the last answer.
fn quiet_memory(server: &Server) -> io::Result<u64> {
    let deadline = Instant::now() + PATIENCE;
    let mut before = usage::anonymous(server.pid())?;
    loop {
        thread::sleep(QUIET);
        let now = usage::anonymous(server.pid())?;
        if now == before {
            return Ok(now);
        }
        if Instant::now() > deadline {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "its memory changes though nothing is to be done",
            ));
        }
        before = now;
    }
}

struct Client {
    stream: TcpStream,
    message: [u8; MESSAGE],
}

impl Client {
    /// Connects, and lets one message go there and back.
    fn connect(server: &Server, number: usize) -> io::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port()))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut message = [b'.'; MESSAGE];
        message[..8].copy_from_slice(&(number as u64).to_le_bytes());
        let mut client = Self { stream, message };
        client.exchange()?;
        Ok(client)
    }

    fn exchange(&mut self) -> io::Result<()> {
        let mut answer = [0; MESSAGE];
        self.stream.write_all(&self.message)?;
        self.stream.read_exact(&mut answer)?;
        if answer == self.message {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, "the answer is not the message"))
    }
}

impl Memory {
    /// By how much it grew for each connection.
    fn each(&self, connections: usize) -> f64 {
        self.last.saturating_sub(self.start) as f64 / connections as f64
    }

    /// The same without the first connection, which also paid for what a server allocates once.
    fn further(&self, connections: usize) -> f64 {
        self.last.saturating_sub(self.first) as f64 / (connections - 1).max(1) as f64
    }
}

/// The table, in Markdown.
#[must_use]
pub fn markdown(found: &Found) -> String {
    let Found { connections, rows, left_out } = found;
    let mut text = format!(
        "### {connections} idle connections, {}\n\n| | version | at start, KiB | first connection, KiB | \
         bytes for each connection | least to most | without the first |\n|---|---|---:|---:|---:|---:|---:|\n",
        versions::kernel()
    );
    for Row { name, version, runs } in rows {
        let middle = |of: &dyn Fn(&Memory) -> f64| median(&runs.iter().map(of).collect::<Vec<_>>());
        let each = runs.iter().map(|run| run.each(*connections));
        let (least, most) = (each.clone().fold(f64::INFINITY, f64::min), each.fold(0.0, f64::max));
        let columns = [
            middle(&|run| run.start as f64 / 1024.0),
            middle(&|run| run.first.saturating_sub(run.start) as f64 / 1024.0),
            middle(&|run| run.each(*connections)),
            middle(&|run| run.further(*connections)),
        ];
        if let [Some(start), Some(first), Some(each), Some(further)] = columns {
            let _ = writeln!(
                text,
                "| {name} | {version} | {start:.0} | {first:.0} | {each:.0} | {least:.0} to {most:.0} | {further:.0} |"
            );
        }
    }
    for LeftOut { name, reason } in left_out {
        let _ = writeln!(text, "\nLeft out here: {name}: {reason}");
    }
    text
}

/// Every number, and who could not be built or failed.
#[must_use]
pub fn document(found: &Found, not_built: &[LeftOut]) -> Value {
    let rows: Vec<Value> = found.rows.iter().map(|row| row_value(row, found.connections)).collect();
    let left_out: Vec<Value> = (not_built.iter().chain(&found.left_out))
        .map(|left| json!({ "name": left.name, "reason": left.reason }))
        .collect();
    json!({
        "mode": "idle",
        "kernel": versions::kernel(),
        "connections": found.connections,
        "message": MESSAGE,
        "servers": rows,
        "left_out": left_out,
    })
}

fn row_value(row: &Row, connections: usize) -> Value {
    let runs: Vec<Value> = (row.runs.iter())
        .map(|run| json!({ "start": run.start, "first": run.first, "last": run.last, "each": run.each(connections) }))
        .collect();
    json!({ "name": row.name, "version": row.version, "runs": runs })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> Found {
        let run = |last| Memory { start: 1 << 20, first: (1 << 20) + 4096, last };
        let runs = vec![run((1 << 20) + 4096 + 9 * 500), run((1 << 20) + 4096 + 9 * 600)];
        let row = Row { name: "tokio", version: "tokio 1.54.1".to_owned(), runs };
        let left_out = vec![LeftOut { name: "smol", reason: "it closed a connection".to_owned() }];
        Found { connections: 10, rows: vec![row], left_out }
    }

    #[test]
    fn the_first_connection_is_told_apart() {
        let run = found().rows[0].runs[0];
        assert_eq!((run.each(10), run.further(10)), (859.6, 500.0));
        let text = markdown(&found());
        assert!(text.contains("| tokio | tokio 1.54.1 | 1024 | 4 | 905 | 860 to 950 | 550 |"), "{text}");
        assert!(text.contains("Left out here: smol: it closed a connection"), "{text}");
    }

    #[test]
    fn the_document_has_every_run_and_all_that_were_left_out() {
        let not_built = [LeftOut { name: "libuv", reason: "not installed".to_owned() }];
        let document = document(&found(), &not_built);
        assert_eq!(document["servers"][0]["runs"][1]["last"], (1 << 20) + 4096 + 9 * 600);
        assert_eq!(document["left_out"].as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn one_connection_alone_is_divided_by_nothing() {
        let memory = Memory { start: 1, first: 5, last: 5 };
        assert_eq!((memory.each(1), memory.further(1)), (4.0, 0.0));
    }
}
