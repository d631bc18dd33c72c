//! Who runs when.

use std::io::{self, Read};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rustix::thread::CpuSet;

use super::case::{Case, Plan};
use super::contestant::{Contestant, Ready};
use super::program::{Measured, Said};
use crate::cores::{Cores, spawn_on};

/// How long a program may take for one case.
const PATIENCE: Duration = Duration::from_secs(120);

/// What one contestant did in one round.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Which contestant.
    pub name: &'static str,
    /// Which operations.
    pub case: Case,
    /// In which round.
    pub round: usize,
    /// What they took.
    pub measured: Measured,
}

/// A contestant that has no numbers for a case.
#[derive(Clone, Debug)]
pub struct Missing {
    /// Which contestant.
    pub name: &'static str,
    /// Which operations.
    pub case: Case,
    /// Why.
    pub reason: String,
}

/// What all of them did.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Every run, in the order in which they ran.
    pub runs: Vec<Run>,
    /// Who has no numbers for what.
    pub missing: Vec<Missing>,
}

impl Outcome {
    fn lacks(&self, name: &str, case: Case) -> bool {
        self.missing.iter().any(|missing| missing.name == name && missing.case == case)
    }
}

/// Lets each contestant run each case once a round. Those of one case run one after the other, in an order drawn anew each
/// time, so that what is divided by each other is less than a second apart.
pub fn run(
    ready: &[Ready],
    plans: &[Plan],
    rounds: usize,
    effort: f64,
    cores: Cores,
    mut after_round: impl FnMut(&Outcome),
) -> Outcome {
    let mut outcome = Outcome::default();
    let mut order: Vec<&Ready> = ready.iter().collect();
    let mut chance = SmallRng::from_os_rng();
    for round in 0..rounds {
        for plan in plans {
            eprintln!("round {} of {rounds}: {}", round + 1, plan.title);
            order.shuffle(&mut chance);
            for ready in &order {
                once(ready, *plan, round, effort, cores, &mut outcome);
            }
        }
        after_round(&outcome);
    }
    outcome
}

fn once(ready: &Ready, plan: Plan, round: usize, effort: f64, cores: Cores, outcome: &mut Outcome) {
    let (name, case) = (ready.contestant.name, plan.case);
    if outcome.lacks(name, case) {
        return;
    }
    match ask(&mut command(ready, plan, operations(plan, effort)), cores.server) {
        Ok(Said::Measured(measured)) => outcome.runs.push(Run { name, case, round, measured }),
        Ok(Said::Missing(reason)) => outcome.missing.push(Missing { name, case, reason }),
        Err(reason) => {
            eprintln!("left out: {name}: {}: {reason}", plan.title);
            outcome.runs.retain(|run| (run.name, run.case) != (name, case));
            outcome.missing.push(Missing { name, case, reason });
        }
    }
}

/// So many times the usual number, as a multiple of the smallest.
fn operations(plan: Plan, effort: f64) -> u64 {
    let times = (plan.count as f64 * effort / plan.few as f64).round().max(1.0);
    plan.few * times as u64
}

/// The program, asked for so many operations.
#[must_use]
pub fn command(ready: &Ready, plan: Plan, operations: u64) -> Command {
    let mut command = Command::new(&ready.path);
    command.args([plan.name, &operations.to_string()]);
    with_backend(&mut command, ready.contestant);
    command
}

/// Tells a program of ours which backend to take.
pub fn with_backend(command: &mut Command, contestant: Contestant) {
    if let Some(backend) = contestant.backend {
        command.env("MARLINE_BACKEND", backend);
    }
}

/// Runs a program on some cores, and reads what it says.
///
/// # Errors
///
/// In words: what it complained of, or that it took too long.
pub fn ask(command: &mut Command, cores: CpuSet) -> Result<Said, String> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn_on(cores, command).map_err(|error| error.to_string())?;
    let ended = wait(&mut child).map_err(|error| error.to_string())?;
    let read = |pipe: Option<&mut dyn Read>| {
        let mut text = String::new();
        pipe.map(|pipe| pipe.read_to_string(&mut text)).transpose().map(|_| text)
    };
    let output = read(child.stdout.as_mut().map(|pipe| pipe as _)).map_err(|error| error.to_string())?;
    if ended {
        if let Ok(said) = serde_json::from_str(&output) {
            return Ok(said);
        }
    }
    let complaint = read(child.stderr.as_mut().map(|pipe| pipe as _)).unwrap_or_default();
    let line = complaint.lines().find(|line| line.contains(char::is_alphabetic));
    let silent = if ended { "it said nothing" } else { "it took too long" };
    Err(line.map_or_else(|| silent.to_owned(), |line| line.trim().to_owned()))
}

/// Waits for the end of a process, and answers whether it came in time; otherwise kills it. What the programs say is short
/// enough for their pipes.
fn wait(child: &mut Child) -> io::Result<bool> {
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait()?.is_none() {
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            return Ok(false);
        }
        thread::sleep(Duration::from_millis(2));
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effort_changes_the_number_in_whole_steps() {
        let plan = Case::Yield10000.plan();
        assert_eq!(operations(plan, 1.0), plan.count);
        assert_eq!(operations(plan, 0.25), 300_000);
        assert_eq!(operations(plan, 0.0), plan.few);
    }

    #[test]
    fn what_a_program_complains_of_is_the_reason() {
        let here = Cores::choose(false).unwrap().server;
        let mut broken = Command::new("sh");
        broken.args(["-c", "echo >&2 'no ring here'; exit 1"]);
        assert_eq!(ask(&mut broken, here).unwrap_err(), "no ring here");
        let mut speaking = Command::new("echo");
        speaking.arg(r#"{"Missing":"no timers"}"#);
        assert!(matches!(ask(&mut speaking, here), Ok(Said::Missing(reason)) if reason == "no timers"));
    }
}
