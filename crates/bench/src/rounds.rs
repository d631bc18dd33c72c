//! Who runs when.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;

use crate::contestant::{LeftOut, Ready};
use crate::cores::{Cores, spawn_on};
use crate::load::{Line, Plan, Report, Sample};
use crate::server::Server;
use crate::workload::Workload;

/// What one contestant did in one round.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Which contestant.
    pub name: &'static str,
    /// In which round.
    pub round: usize,
    /// What its clients measured.
    pub report: Report,
}

/// What all of them did under one workload.
#[derive(Debug)]
pub struct Outcome {
    /// What the clients did.
    pub workload: Workload,
    /// Every run, in the order in which they ran.
    pub runs: Vec<Run>,
    /// Who failed on the way; none of its runs are among the others.
    pub left_out: Vec<LeftOut>,
}

/// Lets each contestant run once a round, in an order drawn anew for each.
#[must_use]
pub fn run(ready: &[Ready], workload: Workload, rounds: usize, load: &Path, cores: Cores) -> Outcome {
    let mut outcome = Outcome { workload, runs: Vec::new(), left_out: Vec::new() };
    let mut order: Vec<&Ready> = ready.iter().collect();
    let mut chance = SmallRng::from_os_rng();
    for round in 0..rounds {
        eprintln!("{}: round {} of {rounds}", workload.name(), round + 1);
        order.shuffle(&mut chance);
        order.retain(|contestant| {
            let name = contestant.contestant.name;
            match once(contestant, workload, load, cores) {
                Ok(report) => outcome.runs.push(Run { name, round, report }),
                Err(reason) => {
                    eprintln!("left out: {name}: {reason}");
                    outcome.runs.retain(|run| run.name != name);
                    outcome.left_out.push(LeftOut { name, reason });
                    return false;
                }
            }
            true
        });
    }
    outcome
}

/// One run of a contestant, in a fresh process.
///
/// # Errors
///
/// In words: that of the server or of its clients.
pub fn once(ready: &Ready, workload: Workload, load: &Path, cores: Cores) -> Result<Report, String> {
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
