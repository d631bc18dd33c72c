//! The instructions of each operation, as callgrind counts them: those of the program, without the kernel's.
//!
//! Each program runs with the case's few operations and with twice as many, and divided is the difference: starting and
//! warming up are in neither. Who waits in a ring is left out, because valgrind does not know how to run one. Two numbers depend
//! on time, and are less sure: what a program does while it waits for a thread differs from run to run, and under valgrind
//! everything takes fifty times as long, so that fewer timers end in one turn.

use std::fmt::Write;
use std::fs;
use std::process::Command;
use std::sync::Mutex;
use std::thread;

use rustix::thread::CpuSet;
use serde_json::{Value, json};

use super::case::{Case, Plan};
use super::contestant::{Contestant, Ready};
use super::profile::{Profile, difference, parse};
use super::program::{COUNTED, Said};
use super::rounds::{ask, with_backend};
use crate::cores::Cores;

/// How many functions are named for each case, at most.
const NAMED: usize = 12;
/// What share of all instructions a function has that is named.
const SHARE: f64 = 0.02;

/// What was counted for one contestant and case.
#[derive(Clone, Debug)]
pub struct Count {
    /// Which contestant.
    pub contestant: Contestant,
    /// Which operations.
    pub case: Case,
    /// The instructions of an operation by function, most first; or why there are none.
    pub found: Result<Vec<(String, f64)>, String>,
}

impl Count {
    fn total(&self) -> Option<f64> {
        Some(self.found.as_ref().ok()?.iter().map(|(_, count)| count).sum())
    }
}

/// Counts for every contestant that valgrind can run, two at a time if there are two cores.
#[must_use]
pub fn run(ready: &[Ready], plans: &[Plan], cores: Cores) -> Vec<Count> {
    let can = ready.iter().filter(|ready| !ready.contestant.is_ring);
    let jobs: Vec<(&Ready, Plan)> =
        can.flat_map(|ready| plans.iter().map(move |plan| (ready, *plan))).collect();
    let (left, counts) = (Mutex::new(jobs.iter()), Mutex::new(Vec::new()));
    let work = |core: CpuSet| {
        let next = || left.lock().ok()?.next();
        while let Some((ready, plan)) = next() {
            eprintln!("{}: instructions of {}", plan.title, ready.contestant.name);
            let found = count(ready, *plan, core);
            if let Ok(mut counts) = counts.lock() {
                counts.push(Count { contestant: ready.contestant, case: plan.case, found });
            }
        }
    };
    let workers = if cores.are_two() { vec![cores.server, cores.load] } else { vec![cores.server] };
    thread::scope(|scope| {
        for core in workers {
            scope.spawn(move || work(core));
        }
    });
    counts.into_inner().unwrap_or_default()
}

fn count(ready: &Ready, plan: Plan, core: CpuSet) -> Result<Vec<(String, f64)>, String> {
    let fewer = profile(ready, plan, plan.few, core)?;
    let more = profile(ready, plan, 2 * plan.few, core)?;
    Ok(difference(&fewer, &more, plan.few))
}

fn profile(ready: &Ready, plan: Plan, operations: u64, core: CpuSet) -> Result<Profile, String> {
    let name = format!("{}-{}-{operations}.callgrind", ready.contestant.name, plan.name);
    let out = ready.path.with_file_name(name);
    // That of another run must not be taken for this one's.
    let _ = fs::remove_file(&out);
    let mut command = Command::new("valgrind");
    command.args(["--quiet", "--tool=callgrind", &format!("--callgrind-out-file={}", out.display())]);
    command.arg(&ready.path).args([plan.name, &operations.to_string(), COUNTED]);
    with_backend(&mut command, ready.contestant);
    if let Said::Missing(reason) = ask(&mut command, core)? {
        return Err(reason);
    }
    let text = fs::read_to_string(&out).map_err(|error| format!("callgrind wrote nothing: {error}"))?;
    let _ = fs::remove_file(&out);
    Ok(parse(&text))
}

/// A table with a row for each case and a column for each contestant, and the functions of ours.
#[must_use]
pub fn markdown(counts: &[Count], plans: &[Plan], ready: &[Ready]) -> String {
    let contestants: Vec<Contestant> =
        ready.iter().map(|ready| ready.contestant).filter(|contestant| !contestant.is_ring).collect();
    let heads: String = contestants.iter().map(|contestant| format!(" {} |", contestant.name)).collect();
    let rule = "---:|".repeat(contestants.len());
    let mut text = format!("| instructions per operation |{heads}\n|---|{rule}\n");
    for plan in plans {
        let total = |of: &Contestant| find(counts, of, plan.case).and_then(Count::total);
        let cell =
            |of: &Contestant| total(of).map_or_else(|| " – |".to_owned(), |total| format!(" {total:.0} |"));
        let _ = writeln!(text, "| {} |{}", plan.title, contestants.iter().map(cell).collect::<String>());
    }
    for count in counts.iter().filter(|count| count.found.is_err()) {
        if let Err(reason) = &count.found {
            let _ =
                writeln!(text, "\nMissing: {}: {}: {reason}", count.contestant.name, count.case.plan().title);
        }
    }
    text + &functions(counts, plans, &contestants)
}

fn find<'a>(counts: &'a [Count], contestant: &Contestant, case: Case) -> Option<&'a Count> {
    counts.iter().find(|count| count.contestant == *contestant && count.case == case)
}

fn functions(counts: &[Count], plans: &[Plan], contestants: &[Contestant]) -> String {
    let mut text = String::new();
    for contestant in contestants.iter().filter(|contestant| contestant.is_ours()) {
        let _ = writeln!(text, "\n### Where the instructions of {} are", contestant.name);
        for plan in plans {
            let Some(count) = find(counts, contestant, plan.case) else { continue };
            let (Some(total), Ok(found)) = (count.total(), &count.found) else { continue };
            let _ = writeln!(text, "\n{}: {total:.0}\n", plan.title);
            for (name, count) in named(found, total) {
                let _ = writeln!(text, "- {count:.1} `{name}`");
            }
        }
    }
    text
}

fn named(found: &[(String, f64)], total: f64) -> impl Iterator<Item = &(String, f64)> {
    found.iter().take(NAMED).filter(move |(_, count)| *count >= SHARE * total)
}

/// Every count, with the functions that matter.
#[must_use]
pub fn document(counts: &[Count]) -> Value {
    let value = |count: &Count| {
        let functions = |total: f64, found: &[(String, f64)]| -> Vec<Value> {
            named(found, total).map(|(name, count)| json!({ "name": name, "instructions": count })).collect()
        };
        let (name, case) = (count.contestant.name, count.case.plan().name);
        match (&count.found, count.total()) {
            (Ok(found), Some(total)) => {
                json!({ "name": name, "case": case, "instructions": total, "functions": functions(total, found) })
            }
            (Err(reason), _) => json!({ "name": name, "case": case, "reason": reason }),
            (Ok(_), None) => Value::Null,
        }
    };
    json!({ "mode": "micro-counts", "counts": counts.iter().map(value).collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::micro::contestant::ALL;

    #[test]
    fn totals_are_shown_for_each_and_functions_for_ours() {
        let count = |contestant: Contestant, found| Count { contestant, case: Case::Yield1, found };
        let functions = vec![("turn".to_owned(), 90.0), ("poll".to_owned(), 29.0), ("rare".to_owned(), 1.0)];
        let counts = [count(ALL[2], Ok(functions)), count(ALL[7], Err("it broke".to_owned()))];
        let ready: Vec<Ready> =
            [ALL[2], ALL[3], ALL[7]].map(|contestant| Ready { contestant, path: "none".into() }).into();
        let text = markdown(&counts, &[Case::Yield1.plan()], &ready);
        assert!(text.contains("| yield, 1 task | 120 | – |"), "{text}");
        assert!(text.contains("Missing: futures: yield, 1 task: it broke"), "{text}");
        assert!(text.contains("- 90.0 `turn`") && !text.contains("rare"), "{text}");
        assert_eq!(document(&counts)["counts"][0]["instructions"], 120.0);
    }
}
