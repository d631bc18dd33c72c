//! Who runs when.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use crate::contestant::Ready;
use crate::cores::{Cores, spawn_on};
use crate::document::Left;
use crate::load::{Line, Plan, Report, Sample};
use crate::progress::Progress;
use crate::server::Server;
use crate::workload::Workload;

/// What one contestant did in one round.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    /// Which contestant.
    pub name: String,
    /// In which round.
    pub round: usize,
    /// What its clients measured.
    pub report: Report,
}

/// What all of them did under one workload.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// What the clients did.
    pub workload: Workload,
    /// Every run, in the order in which they ran.
    pub runs: Vec<Run>,
    /// Who failed on the way, or cannot do this; none of its runs are among the others.
    pub left_out: Vec<Left>,
    /// Whether clients and servers of several loops shared cores, as there were no others.
    #[serde(default)]
    pub shared: bool,
}

/// How often everyone runs.
#[derive(Clone, Copy, Debug)]
pub struct Rounds {
    /// At least so often.
    pub least: usize,
    /// At most so often.
    pub most: usize,
    /// After this no further round begins, if there were enough.
    pub until: Option<Instant>,
}

impl Rounds {
    fn goes_on(&self, round: usize) -> bool {
        let in_time = self.until.is_none_or(|until| Instant::now() < until);
        round < self.least || (round < self.most && in_time)
    }
}

/// Lets each contestant run once a round, in an order drawn anew for each.
#[must_use]
pub fn run(
    ready: &[Ready],
    workload: Workload,
    rounds: Rounds,
    load: &Path,
    cores: Cores,
    progress: &Progress,
) -> Outcome {
    let shared = workload.wide && !cores.leave_some();
    let mut outcome = Outcome { workload, runs: Vec::new(), left_out: Vec::new(), shared };
    let role = workload.service().role;
    let (mut order, unable): (Vec<&Ready>, Vec<&Ready>) =
        ready.iter().partition(|ready| ready.contestant.serves(role));
    for ready in unable {
        let (name, reason) = (ready.contestant.name.to_owned(), format!("has no server of {}", role.name()));
        outcome.left_out.push(Left { name, reason });
    }
    let mut chance = SmallRng::from_os_rng();
    for round in (0..).take_while(|round| rounds.goes_on(*round)) {
        order.shuffle(&mut chance);
        order.retain(|ready| {
            let name = ready.contestant.name.to_owned();
            progress.now(format!("{}: {name}", workload.name()));
            match once(ready, workload, load, cores) {
                Ok(report) => outcome.runs.push(Run { name, round, report }),
                Err(reason) => {
                    outcome.runs.retain(|run| run.name != name);
                    outcome.left_out.push(Left { name, reason });
                    return false;
                }
            }
            true
        });
        progress.step(1);
    }
    outcome
}

/// One run of a contestant, in a fresh process.
///
/// # Errors
///
/// In words: that of the server or of its clients.
pub fn once(ready: &Ready, workload: Workload, load: &Path, cores: Cores) -> Result<Report, String> {
    let cores = ready.contestant.place(cores);
    let server = Server::start(ready, workload.service(), cores.server)?;
    drive(&workload.plan(&server, cores), load, cores, &mut |_| ())
}

/// Makes the requests of a plan in a process of their own, and hands on what it says in between.
///
/// # Errors
///
/// In words: what the process complained of.
pub fn drive(
    plan: &Plan,
    load: &Path,
    cores: Cores,
    on_sample: &mut dyn FnMut(Sample),
) -> Result<Report, String> {
    let text = serde_json::to_string(plan).map_err(|error| error.to_string())?;
    let mut command = Command::new(load);
    command.arg(text).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn_on(cores.load, &mut command).map_err(|error| format!("the load: {error}"))?;
    let mut report = None;
    for line in child.stdout.take().into_iter().flat_map(|output| BufReader::new(output).lines()) {
        let line = line.map_err(|error| error.to_string())?;
        match serde_json::from_str(&line).map_err(|error| format!("the load said {line:?}: {error}"))? {
            Line::Sample(sample) => on_sample(sample),
            Line::Report(found) => report = Some(found),
        }
    }
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    report.ok_or_else(|| String::from_utf8_lossy(&output.stderr).trim().to_owned())
}

/// The machine is twice as slow in the second round; the ratio is the same in both.
#[cfg(test)]
pub(crate) fn example() -> Outcome {
    let run = |name: &str, round, server| {
        let (server_user, wall, load) = (server / 2, 2 * server, 1);
        let report = Report { requests: 10, server, server_user, load, wall, switches: 0, latency: None };
        Run { name: name.to_owned(), round, report }
    };
    let runs = vec![
        run("async-readiness", 0, 30_000),
        run("tokio", 0, 20_000),
        run("tokio", 1, 40_000),
        run("async-readiness", 1, 60_000),
    ];
    Outcome { workload: Workload::echo(64, 1, 1.0), runs, left_out: Vec::new(), shared: false }
}

/// All of them, as if they were built.
#[cfg(test)]
pub(crate) fn example_contestants() -> Vec<crate::document::Entry> {
    let all = crate::contestant::ALL.into_iter();
    let ready = |contestant| Ready { contestant, path: "none".into(), interpreter: None };
    let ready: Vec<Ready> = all.map(ready).collect();
    crate::document::Document::new("example", &ready, &[]).contestants
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_end_with_the_time_but_not_before_there_are_enough() {
        let over = Some(Instant::now());
        assert!(Rounds { least: 2, most: 5, until: over }.goes_on(1));
        assert!(!Rounds { least: 2, most: 5, until: over }.goes_on(2));
        assert!(Rounds { least: 2, most: 5, until: None }.goes_on(4));
        assert!(!Rounds { least: 2, most: 5, until: None }.goes_on(5));
    }
}
