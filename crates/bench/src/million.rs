//! A million connections, one after the other, through one process: what it keeps of each would show.

use std::fmt::Write;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::contestant::Ready;
use crate::cores::Cores;
use crate::load::{Plan, Sample};
use crate::rounds::drive;
use crate::server::Server;
use crate::usage;
use crate::workload::Workload;

/// How long a server may take to close the last connections.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many KiB more a process may have resident than at the first look, apart from a tenth: what an allocator
/// rounds up to.
const SLACK: u64 = 1024;

/// What one server did.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    name: &'static str,
    samples: Vec<Sample>,
    seconds: f64,
    /// Of the server's processor time, in microseconds.
    per_connection: f64,
    /// How many descriptors it had afterwards.
    after: usize,
    /// What did not hold.
    pub failure: Option<String>,
}

/// Runs them through this server, and prints how it is ten times on the way.
///
/// # Errors
///
/// In words, if it fails. That its memory grows, or that it keeps descriptors, is in what was [found](Found::failure).
pub fn run(ready: &Ready, workload: Workload, load: &Path, cores: Cores) -> Result<Found, String> {
    let server = Server::start(ready, workload.service(), cores.server)?;
    let pid = server.pid();
    let descriptors = || usage::descriptors(pid).map_err(|error| error.to_string());
    let idle = descriptors()?;
    println!("\n### {}: {} connections\n", ready.contestant.name, workload.requests);
    println!(
        "| connections | seconds | resident, KiB | descriptors ({idle} when idle) |\n|---:|---:|---:|---:|"
    );
    let plan = Plan { sample_every: Some((workload.requests / 10).max(1)), ..workload.plan(&server, cores) };
    let mut samples = Vec::new();
    let report = drive(&plan, load, cores, &mut |sample| {
        let Sample { requests, resident, descriptors, seconds } = sample;
        println!("| {requests} | {seconds:.1} | {resident} | {descriptors} |");
        samples.push(sample);
    })?;
    let deadline = Instant::now() + PATIENCE;
    while descriptors()? > idle && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(10));
    }
    let per_connection = report.server as f64 / report.requests as f64 / 1000.0;
    let seconds = report.wall as f64 / 1e9;
    println!(
        "\nIn {seconds:.1} s, {per_connection:.2} µs of the server for each; {} descriptors afterwards.",
        descriptors()?
    );
    let failure = judge(&samples, idle, workload.connections, descriptors()?).err();
    Ok(Found {
        name: ready.contestant.name,
        samples,
        seconds,
        per_connection,
        after: descriptors()?,
        failure,
    })
}

/// As a row for each server, of the last of its samples.
#[must_use]
pub fn markdown(all: &[Found]) -> String {
    let mut text = String::from(
        "| | connections | seconds | server, µs for each | resident, KiB: first | last | descriptors afterwards |\n\
         |---|---:|---:|---:|---:|---:|---:|\n",
    );
    for Found { name, samples, seconds, per_connection, after, .. } in all {
        if let (Some(first), Some(last)) = (samples.first(), samples.last()) {
            let (requests, first, last) = (last.requests, first.resident, last.resident);
            let _ = writeln!(
                text,
                "| {name} | {requests} | {seconds:.1} | {per_connection:.2} | {first} | {last} | {after} |"
            );
        }
    }
    text
}

fn judge(samples: &[Sample], idle: usize, at_a_time: usize, after: usize) -> Result<(), String> {
    let Some(first) = samples.first() else { return Err("there was no time to look at it".to_owned()) };
    let most = first.resident + first.resident / 10 + SLACK;
    if let Some(sample) = samples.iter().find(|sample| sample.resident > most) {
        return Err(format!("memory grew from {} KiB to {} KiB", first.resident, sample.resident));
    }
    // A connection that the clients are done with may still be open, beside the one that took its place.
    if let Some(sample) = samples.iter().find(|sample| sample.descriptors > idle + 2 * at_a_time) {
        return Err(format!("{} descriptors for {at_a_time} connections at a time", sample.descriptors));
    }
    if after > idle {
        return Err(format!("{} descriptors were left open", after - idle));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(resident: u64, descriptors: usize) -> Sample {
        Sample { requests: 1, resident, descriptors, seconds: 1.0 }
    }

    #[test]
    fn flat_is_flat_and_growth_is_not() {
        assert_eq!(judge(&[sample(4000, 70), sample(4100, 50)], 10, 64, 10), Ok(()));
        assert!(judge(&[sample(4000, 70), sample(9000, 70)], 10, 64, 10).is_err());
        assert!(judge(&[sample(4000, 70), sample(4000, 200)], 10, 64, 10).is_err());
        assert!(judge(&[sample(4000, 70)], 10, 64, 11).is_err());
        assert!(judge(&[], 10, 64, 10).is_err());
    }
}
