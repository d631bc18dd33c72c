//! The system calls of a round trip, as strace counts them.
//!
//! Nothing is subtracted: starting and accepting are in the numbers. Under strace a server is many times slower than its
//! clients, so that all of them wait whenever it looks: the numbers are those of a server with more work than time.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::contestant::Ready;
use crate::cores::Cores;
use crate::rounds::drive;
use crate::server::Server;
use crate::workload::Workload;

/// How long strace may take to write its summary, once the server ended.
const PATIENCE: Duration = Duration::from_secs(60);
/// How many kinds of calls are named; the others are in the total.
const NAMED: usize = 4;

/// What one server calls with so many busy connections.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    name: &'static str,
    connections: usize,
    calls: Result<Calls, String>,
}

/// A row for each server and number of busy connections.
#[must_use]
pub fn rows(ready: &[Ready], load: &Path, cores: Cores) -> Vec<Row> {
    let mut rows = Vec::new();
    for server in ready {
        for (connections, requests) in [(1, 10_000), (64, 12_800), (1000, 20_000)] {
            let name = server.contestant.name;
            eprintln!("{name}: system calls with {connections} connection(s)");
            rows.push(Row { name, connections, calls: count(server, connections, requests, load, cores) });
        }
    }
    rows
}

/// The rows as a table.
#[must_use]
pub fn markdown(rows: &[Row]) -> String {
    let mut text =
        String::from("| | connections | calls for each echo | most of them |\n|---|---:|---:|---|\n");
    for Row { name, connections, calls } in rows {
        let _ = match calls {
            Ok(calls) => writeln!(text, "| {name} | {connections} | {}", row(calls)),
            Err(reason) => writeln!(text, "| {name} | {connections} | left out | {reason} |"),
        };
    }
    text
}

/// Kinds of calls, each with how many there were for each round trip, most first.
pub type Calls = Vec<(String, f64)>;

fn row(calls: &Calls) -> String {
    let total: f64 = calls.iter().map(|(_, count)| count).sum();
    let named: Vec<String> =
        calls.iter().take(NAMED).map(|(name, count)| format!("{name} {count:.3}")).collect();
    format!("{total:.3} | {} |", named.join(", "))
}

fn count(
    ready: &Ready,
    connections: usize,
    requests: u64,
    load: &Path,
    cores: Cores,
) -> Result<Calls, String> {
    let workload = Workload { requests, ..Workload::echo(64, connections, 1.0) };
    let calls = whole(ready, workload, load, cores)?;
    // Those that drain the connections after the measured ones are counted too.
    let trips = workload.warm_up() + workload.requests + workload.connections as u64;
    Ok(calls.into_iter().map(|(name, number)| (name, number as f64 / trips as f64)).collect())
}

/// How many calls of each kind a request of `many` takes, without those for starting and connecting: the two differ in
/// nothing but their numbers of requests.
///
/// # Errors
///
/// In words: that of the server, of its clients, or of strace.
pub fn each(
    ready: &Ready,
    few: Workload,
    many: Workload,
    load: &Path,
    cores: Cores,
) -> Result<Calls, String> {
    let (less, more) = (whole(ready, few, load, cores)?, whole(ready, many, load, cores)?);
    let requests = (many.warm_up() + many.requests).saturating_sub(few.warm_up() + few.requests) as f64;
    let of =
        |name: &str| less.iter().find(|(other, _)| other == name).map_or(0.0, |(_, number)| *number as f64);
    Ok(more
        .into_iter()
        .map(|(name, number)| ((number as f64 - of(&name)) / requests, name))
        .map(|(each, name)| (name, each))
        .collect())
}

/// How many calls there are of the kinds that count.
#[must_use]
pub fn sum(calls: &Calls, counts: impl Fn(&str) -> bool) -> f64 {
    calls.iter().filter(|(name, _)| counts(name)).map(|(_, number)| *number).sum()
}

fn whole(ready: &Ready, workload: Workload, load: &Path, cores: Cores) -> Result<Vec<(String, u64)>, String> {
    let cores = ready.contestant.place(cores);
    let summary = ready.path.with_file_name(format!("{}.strace", ready.contestant.name));
    // That of another run must not be taken for this one's.
    let _ = fs::remove_file(&summary);
    let server = Server::start_traced(ready, workload.service(), cores.server, &summary)?;
    drive(&workload.plan(&server, cores), load, cores, &mut |_| ())?;
    server.terminate().map_err(|error| error.to_string())?;
    Ok(parse(&wait_for(&summary)?))
}

fn wait_for(summary: &Path) -> Result<String, String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = fs::read_to_string(summary).unwrap_or_default();
        if text.trim_end().ends_with("total") {
            return Ok(text);
        }
        if Instant::now() > deadline {
            return Err("strace wrote no summary".to_owned());
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// The lines `% time, seconds, usecs/call, calls, (errors,) name`, most calls first.
fn parse(summary: &str) -> Vec<(String, u64)> {
    let mut calls: Vec<(String, u64)> = summary
        .lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (_, number) = (fields.first()?.parse::<f64>().ok()?, fields.get(3)?.parse().ok()?);
            let name = fields.last().filter(|name| **name != "total")?;
            Some(((*name).to_owned(), number))
        })
        .collect();
    calls.sort_by_key(|(_, number)| std::cmp::Reverse(*number));
    calls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_read_from_a_summary() {
        let summary = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.000030           1        30         2 recvfrom
 40.00    0.000020           0        40           sendto
------ ----------- ----------- --------- --------- ----------------
100.00    0.000050           0        70         2 total
";
        assert_eq!(parse(summary), [("sendto".to_owned(), 40), ("recvfrom".to_owned(), 30)]);
    }
}
