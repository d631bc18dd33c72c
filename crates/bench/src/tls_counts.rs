//! The instructions of servers with TLS, for each MiB, message and handshake.

use std::fmt::Write;
use std::path::Path;

use crate::callgrind;
use crate::contestant::Ready;
use crate::cores::Cores;
use crate::load::{Close, Kind};
use crate::workload::Workload;

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
                Ok(callgrind::each(server, few, many, load, cores)?.instructions)
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
