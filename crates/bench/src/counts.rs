//! What a round trip costs in counts, which nothing else on the machine can disturb: system calls, instructions of the
//! server's own code, allocations, and how often the system switched away from the server.
//!
//! The first three are differences between a run with few requests and one with many, so that starting and connecting are in
//! none. Under strace and callgrind a server is many times slower than its clients, so that all of them wait whenever it
//! looks: the numbers are those of a server with more work than time. Switches are those of an undisturbed run, and tell how
//! often the server slept.

use std::fmt::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::contestant::Ready;
use crate::cores::Cores;
use crate::role::Role;
use crate::rounds::once;
use crate::workload::Workload;
use crate::{callgrind, calls};

/// How many requests are few, and how many are many.
const FEW_AND_MANY: (u64, u64) = (2_000, 12_000);

/// What one contestant does for each request. What could not be counted says why.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Counts {
    /// Which contestant.
    pub name: String,
    /// System calls.
    pub calls: Result<f64, String>,
    /// Instructions of its own code.
    pub instructions: Result<f64, String>,
    /// Calls that ask for memory.
    pub allocations: Result<f64, String>,
    /// Calls that send, for each line that one publishes to many, and each who gets it. `None` of those who only echo.
    pub sends: Option<Result<f64, String>>,
    /// How often another process ran in its place, by its own will or not.
    pub switches: Result<f64, String>,
}

/// The traffic: 64 bytes on each of 64 connections.
#[must_use]
pub fn workload() -> Workload {
    Workload::echo(64, 64, 1.0)
}

/// Counts one contestant.
#[must_use]
pub fn count(ready: &Ready, load: &Path, cores: Cores) -> Counts {
    let of = |requests| Workload { requests, ..workload() };
    let (few, many) = (of(FEW_AND_MANY.0), of(FEW_AND_MANY.1));
    let profile = callgrind::each(ready, few, many, load, cores);
    Counts {
        name: ready.contestant.name.to_owned(),
        calls: calls::each(ready, few, many, load, cores, &|_| true),
        instructions: profile.clone().map(|profile| profile.instructions),
        allocations: profile.map(|profile| profile.allocations),
        sends: ready.contestant.serves(Role::Relay).then(|| sends(ready, load, cores)),
        switches: once(ready, workload(), load, cores)
            .map(|report| report.switches as f64 / report.requests as f64),
    }
}

/// Of sends on a ring strace sees nothing.
fn sends(ready: &Ready, load: &Path, cores: Cores) -> Result<f64, String> {
    if ready.contestant.is_on_rings() {
        return Err("strace sees no sends of a ring".to_owned());
    }
    let of = |rounds: u64| Workload { requests: rounds * 16_000, ..Workload::fan_out(16, 1.0) };
    let is_send = |name: &str| matches!(name, "sendto" | "sendmsg" | "sendmmsg" | "write" | "writev");
    calls::each(ready, of(1), of(5), load, cores, &is_send)
}

/// A table with a row for each contestant, and what could not be counted below it.
#[must_use]
pub fn markdown(all: &[Counts]) -> String {
    let mut text = format!("### Counts for each request: {}\n\n", workload().name());
    text += "| | system calls | own instructions | allocations | switches | sends per delivered line |\n|---|---:|---:|---:|---:|---:|\n";
    let mut reasons = String::new();
    for Counts { name, calls, instructions, allocations, switches, sends } in all {
        let mut cell = |what: &str, count: &Result<f64, String>, digits: usize| match count {
            Ok(count) => format!("{count:.digits$}"),
            Err(reason) => {
                let _ = writeln!(reasons, "\nNot counted: {what} of {name}: {reason}");
                "-".to_owned()
            }
        };
        let calls = cell("system calls", calls, 3);
        let instructions = cell("instructions", instructions, 0);
        let allocations = cell("allocations", allocations, 3);
        let switches = cell("switches", switches, 4);
        let sends = sends.as_ref().map_or("-".to_owned(), |sends| cell("sends", sends, 4));
        let _ =
            writeln!(text, "| {name} | {calls} | {instructions} | {allocations} | {switches} | {sends} |");
    }
    text + &reasons
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_counted_is_named_with_its_reason() {
        let counts = Counts {
            name: "some".to_owned(),
            calls: Ok(2.0156),
            instructions: Err("no valgrind".to_owned()),
            allocations: Ok(0.0),
            switches: Ok(0.25),
            sends: None,
        };
        let text = markdown(&[counts]);
        assert!(text.contains("| some | 2.016 | - | 0.000 | 0.2500 | - |"), "{text}");
        assert!(text.contains("Not counted: instructions of some: no valgrind"), "{text}");
    }
}
