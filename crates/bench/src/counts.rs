//! The instructions of a server for each request, as callgrind counts them: those of its own code, without the kernel's.
//!
//! Each is counted twice, with few requests and with many, and divided is the difference: starting and connecting are in
//! neither.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::contestant::Ready;
use crate::cores::Cores;
use crate::load::{Close, Kind};
use crate::rounds::drive;
use crate::server::Server;
use crate::workload::Workload;

/// How long callgrind may take to write what it counted, once the server ended.
const PATIENCE: Duration = Duration::from_secs(60);

/// A table with a row for each workload and a column for each server; in parentheses, what share it is of the last server's.
#[must_use]
pub fn table(ready: &[Ready], load: &Path, cores: Cores) -> String {
    let names: Vec<String> = ready.iter().map(|ready| format!(" {} |", ready.contestant.name)).collect();
    let mut text =
        format!("| thousands of instructions |{}\n|---|{}\n", names.concat(), "---:|".repeat(ready.len()));
    for (few, many) in workloads() {
        let _ = write!(text, "| {} |", few.name());
        let found: Vec<Result<f64, String>> = ready
            .iter()
            .map(|server| {
                eprintln!("{}: instructions of {}", few.name(), server.contestant.name);
                difference(server, few, many, load, cores)
            })
            .collect();
        let last = found.last().and_then(|last| last.as_ref().ok()).copied();
        for count in &found {
            let _ = match (count, last) {
                (Ok(count), Some(last)) => write!(text, " {:.1} ({:.2}) |", count / 1000.0, count / last),
                (Ok(count), None) => write!(text, " {:.1} |", count / 1000.0),
                (Err(reason), _) => write!(text, " left out: {reason} |"),
            };
        }
        text.push('\n');
    }
    text
}

/// Each with few requests, and with many.
fn workloads() -> Vec<(Workload, Workload)> {
    let churn = |requests| Workload { size: 1, ..Workload::churn(Close::Fin, 1, requests) };
    let echo = |size, requests| Workload { requests, ..Workload::echo(size, 1, 1.0) };
    let full = |of: &dyn Fn(u64) -> Workload, few, many| (of(few).over_tls(false), of(many).over_tls(false));
    vec![
        full(&|requests| Workload::stream(Kind::Upload, requests), 8, 40),
        full(&|requests| Workload::stream(Kind::Download, requests), 8, 40),
        full(&|requests| echo(64, requests), 200, 1200),
        full(&|requests| echo(16 * 1024, requests), 100, 500),
        full(&churn, 40, 160),
        (churn(40).over_tls(true), churn(160).over_tls(true)),
    ]
}

fn difference(
    ready: &Ready,
    few: Workload,
    many: Workload,
    load: &Path,
    cores: Cores,
) -> Result<f64, String> {
    let (less, more) = (count(ready, few, load, cores)?, count(ready, many, load, cores)?);
    let requests = (many.warm_up() + many.requests) - (few.warm_up() + few.requests);
    Ok((more as f64 - less as f64) / requests as f64)
}

fn count(ready: &Ready, workload: Workload, load: &Path, cores: Cores) -> Result<u64, String> {
    let out = ready.path.with_file_name(format!("{}.callgrind", ready.contestant.name));
    // That of another run must not be taken for this one's.
    let _ = fs::remove_file(&out);
    let server = Server::start_counted(ready, workload.service(), cores.server, &out)?;
    drive(&workload.plan(&server, cores), load, cores, &mut |_| ())?;
    server.terminate().map_err(|error| error.to_string())?;
    wait_for(&out)
}

fn wait_for(out: &Path) -> Result<u64, String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = fs::read_to_string(out).unwrap_or_default();
        if let Some(total) = parse(&text) {
            return Ok(total);
        }
        if Instant::now() > deadline {
            return Err("callgrind wrote no total".to_owned());
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// The number in the line `totals: N`, which ends the file.
fn parse(text: &str) -> Option<u64> {
    let line = text.lines().rev().find_map(|line| line.strip_prefix("totals:"))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_read_when_it_is_there() {
        assert_eq!(parse("events: Ir\nfn=(1) main\n1 5\n"), None);
        assert_eq!(parse("events: Ir\nfn=(1) main\n1 5\n\ntotals: 5123\n"), Some(5123));
    }
}
