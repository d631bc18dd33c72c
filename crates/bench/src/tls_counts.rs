//! The instructions of servers with TLS, for each MiB, message and handshake.

use std::fmt::Write;
use std::path::Path;

use serde::Serialize;

use crate::callgrind;
use crate::contestant::Ready;
use crate::cores::Cores;
use crate::load::{Close, Kind};
use crate::workload::Workload;

/// What each server takes for one request of a workload.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    workload: String,
    instructions: Vec<(&'static str, Result<f64, String>)>,
}

/// A row for each workload.
#[must_use]
pub fn rows(ready: &[Ready], load: &Path, cores: Cores) -> Vec<Row> {
    let row = |(few, many): (Workload, Workload)| {
        let count = |server: &Ready| {
            let name = server.contestant.name;
            eprintln!("{}: instructions of {name}", few.name());
            let profile = callgrind::each(server, few, many, load, cores);
            (name, profile.map(|profile| profile.instructions))
        };
        Row { workload: few.name(), instructions: ready.iter().map(count).collect() }
    };
    workloads().into_iter().map(row).collect()
}

/// A table with a column for each server; in parentheses, what share it is of the last server's.
#[must_use]
pub fn markdown(rows: &[Row]) -> String {
    let servers = rows.first().map(|row| row.instructions.as_slice()).unwrap_or_default();
    let names: Vec<String> = servers.iter().map(|(name, _)| format!(" {name} |")).collect();
    let mut text =
        format!("| thousands of instructions |{}\n|---|{}\n", names.concat(), "---:|".repeat(names.len()));
    for Row { workload, instructions } in rows {
        let _ = write!(text, "| {workload} |");
        let last = instructions.last().and_then(|(_, last)| last.as_ref().ok()).copied();
        for (_, count) in instructions {
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
