//! What a round trip costs in counts, which nothing else on the machine can disturb: system calls, instructions of the
//! server's own code, allocations, and how often the system switched away from the server.
//!
//! The first three are differences between a run with few requests and one with many, or between two moments of one, so that
//! starting and connecting are in none. Under strace and callgrind a server is many times slower than its clients, so that all
//! of them wait whenever it looks: the numbers are those of a server with more work than time. Switches are those of an
//! undisturbed run, and tell how often the server slept.

use std::fmt::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::contestant::Ready;
use crate::cores::Cores;
use crate::role::Role;
use crate::rounds::{drive, once};
use crate::server::Server;
use crate::step::{self, Steps};
use crate::workload::Workload;
use crate::{callgrind, calls, sends};

/// How many requests are few, and how many are many.
const FEW_AND_MANY: (u64, u64) = (2_000, 12_000);
/// How many there are where each instruction is a step. The second half is counted.
const STEPPED: u64 = 1_280;

/// How many lines are published at once, and to how many.
const PUBLISHED: usize = 16;
const SUBSCRIBERS: usize = 1_000;
/// The system calls that send.
const SENDS: [&str; 5] = ["sendto", "sendmsg", "sendmmsg", "write", "writev"];

/// What one contestant does for each request. What could not be counted says why.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Counts {
    /// Which contestant.
    pub name: String,
    /// System calls.
    pub calls: Result<f64, String>,
    /// As many of them as wait for another thread, or wake one: locks that are free make none.
    #[serde(default = "unknown")]
    pub futexes: Result<f64, String>,
    /// Instructions of its own code.
    pub instructions: Result<f64, String>,
    /// Whether they were counted by stepping, and not by callgrind.
    #[serde(default)]
    pub stepped: bool,
    /// As many of the instructions as change memory atomically, which locks cannot do without. Of ours, and of those who are stepped.
    #[serde(default = "unknown")]
    pub atomics: Result<f64, String>,
    /// Calls that ask for memory.
    pub allocations: Result<f64, String>,
    /// Sends for each who gets 16 lines that are published at once. `None` of those who only echo.
    pub sends: Option<Result<f64, String>>,
    /// How often another process ran in its place, by its own will or not.
    pub switches: Result<f64, String>,
}

fn unknown() -> Result<f64, String> {
    Err("not counted when the file was written".to_owned())
}

/// The traffic: 64 bytes on each of 64 connections.
#[must_use]
pub fn workload() -> Workload {
    Workload::echo(64, 64, 1.0)
}

/// Counts one contestant; its instructions by stepping if that is wanted, or if there is no other way.
#[must_use]
pub fn count(ready: &Ready, load: &Path, cores: Cores, stepped: bool) -> Counts {
    let of = |requests| Workload { requests, ..workload() };
    let (few, many) = (of(FEW_AND_MANY.0), of(FEW_AND_MANY.1));
    let calls = calls::each(ready, few, many, load, cores);
    let profile = callgrind::each(ready, few, many, load, cores);
    let stepped = stepped || ready.contestant.is_on_rings();
    let steps = match stepped || ready.contestant.is_ours() {
        true => step::each(ready, of(STEPPED), load, cores),
        false => Err("it was not stepped".to_owned()),
    };
    let atomics = |steps: Steps| steps.atomics.ok_or_else(|| "not known on this machine".to_owned());
    Counts {
        atomics: steps.clone().and_then(atomics),
        name: ready.contestant.name.to_owned(),
        futexes: calls.as_ref().map(|calls| calls::sum(calls, |name| name == "futex")).map_err(Clone::clone),
        calls: calls.map(|calls| calls::sum(&calls, |_| true)),
        instructions: match stepped {
            true => steps.map(|steps| steps.instructions),
            false => profile.clone().map(|profile| profile.instructions),
        },
        stepped,
        allocations: profile.map(|profile| profile.allocations),
        sends: ready.contestant.serves(Role::Relay).then(|| sends(ready, load, cores)),
        switches: once(ready, workload(), load, cores)
            .map(|report| report.switches as f64 / report.requests as f64),
    }
}

/// For each subscriber, and each time that [`PUBLISHED`] lines are published at once. Ours tell how often they sent, as strace sees
/// no sends on a ring; of others strace tells.
fn sends(ready: &Ready, load: &Path, cores: Cores) -> Result<f64, String> {
    let of = |times: u64| Workload {
        requests: times * (PUBLISHED * SUBSCRIBERS) as u64,
        ..Workload::fan_out(PUBLISHED, 1.0)
    };
    let (few, many) = (of(1), of(5));
    let sends = if ready.contestant.is_ours() {
        told(ready, many, load, cores)? - told(ready, few, load, cores)?
    } else {
        let each = calls::sum(&calls::each(ready, few, many, load, cores)?, |name| SENDS.contains(&name));
        each * (requests(many) - requests(few)) as f64
    };
    // They are published in whole pieces, of which one more keeps the server busy at the end.
    let pieces = |workload| requests(workload).div_ceil((PUBLISHED * SUBSCRIBERS) as u64);
    Ok(sends / ((pieces(many) - pieces(few)) * SUBSCRIBERS as u64) as f64)
}

fn requests(workload: Workload) -> u64 {
    workload.warm_up() + workload.requests
}

/// How often a server of ours says that it sent.
fn told(ready: &Ready, workload: Workload, load: &Path, cores: Cores) -> Result<f64, String> {
    let server = Server::start(ready, workload.service(), cores.server)?;
    drive(&workload.plan(&server, cores), load, cores, &mut |_| ())?;
    let said = server.terminate().map_err(|error| error.to_string())?;
    sends::parse(&said).map(|sends| sends as f64).ok_or_else(|| "it did not say how often it sent".to_owned())
}

/// A table with a row for each contestant, and what could not be counted below it.
#[must_use]
pub fn markdown(all: &[Counts]) -> String {
    let mut text = format!("### Counts for each request: {}\n\n", workload().name());
    text += "| | system calls | futex calls | own instructions | atomic ones | allocations | switches | sends to each of 1000 for 16 lines at once |\n";
    text += "|---|---:|---:|---:|---:|---:|---:|---:|\n";
    let mut reasons = String::new();
    for Counts { name, calls, futexes, instructions, stepped, atomics, allocations, switches, sends } in all {
        let mut cell = |what: &str, count: &Result<f64, String>, digits: usize| match count {
            Ok(count) => format!("{count:.digits$}"),
            Err(reason) => {
                let _ = writeln!(reasons, "\nNot counted: {what} of {name}: {reason}");
                "-".to_owned()
            }
        };
        let calls = cell("system calls", calls, 3);
        let futexes = cell("futex calls", futexes, 4);
        let how = if *stepped { " (stepped)" } else { "" };
        let instructions = cell("instructions", instructions, 0) + how;
        // That few are stepped needs no word for each.
        let atomics = atomics.as_ref().map_or("-".to_owned(), |atomics| format!("{atomics:.3}"));
        let allocations = cell("allocations", allocations, 3);
        let switches = cell("switches", switches, 4);
        let sends = sends.as_ref().map_or("-".to_owned(), |sends| cell("sends", sends, 4));
        let _ = writeln!(
            text,
            "| {name} | {calls} | {futexes} | {instructions} | {atomics} | {allocations} | {switches} | {sends} |"
        );
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
            futexes: Ok(0.0),
            instructions: Err("no valgrind".to_owned()),
            stepped: false,
            atomics: Ok(0.0),
            allocations: Ok(0.0),
            switches: Ok(0.25),
            sends: None,
        };
        let text = markdown(&[counts]);
        assert!(text.contains("| some | 2.016 | 0.0000 | - | 0.000 | 0.000 | 0.2500 | - |"), "{text}");
        assert!(text.contains("Not counted: instructions of some: no valgrind"), "{text}");
    }
}
