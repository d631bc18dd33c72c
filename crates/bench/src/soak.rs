//! Clients of all kinds on one server at once, for some time. What has to hold: its memory stays what it was, and no timer
//! is later by the loop's doing than the loop promises: the time in which others had its core, or its machine, counts for nothing.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::contestant::Ready;
use crate::cores::Cores;
use crate::lateness::{self, Lateness, PERIOD};
use crate::load::{Latency, Sample};
use crate::rounds::drive;
use crate::server::Server;
use crate::workload::Workload;

/// How late a timer may be by the loop's doing. `docs/design.md` promises 13 milliseconds, three until it stands in the ready
/// queue and ten of a turn that runs what stands before it, and what cannot be interrupted, which is less than one here. What is
/// measured may be too much by a period.
pub const BOUND: Duration = Duration::from_millis(13 + 1).saturating_add(PERIOD);
/// By what part memory may grow.
const GROWTH: u64 = 10;

/// What one server did.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    /// Which one.
    pub name: &'static str,
    /// How many round trips the fast clients made each second.
    pub each_second: f64,
    /// How long those took.
    pub latency: Latency,
    /// Its memory and descriptors, soon after the beginning and at the end.
    pub first: Sample,
    /// See [`first`](Self::first).
    pub last: Sample,
    /// How late its latest timer was.
    pub latest: Lateness,
}

/// Runs one server for so many seconds.
///
/// # Errors
///
/// In words: that of the server or of its clients.
pub fn run(ready: &Ready, seconds: u64, load: &Path, cores: Cores) -> Result<Found, String> {
    let workload = Workload::soak(seconds);
    let server = Server::start(ready, workload.service(), cores.server)?;
    let mut samples = Vec::new();
    let report = drive(&workload.plan(&server, cores), load, cores, &mut |sample| samples.push(sample))?;
    let said = server.terminate().map_err(|error| error.to_string())?;
    let latest =
        said.iter().find_map(|line| lateness::parse(line)).ok_or("it did not say how late its timer was")?;
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else {
        return Err("nobody looked at its memory".to_owned());
    };
    Ok(Found {
        name: ready.contestant.name,
        each_second: report.requests as f64 / (report.wall as f64 / 1e9),
        latency: report.latency.ok_or("no round trip was timed")?,
        first: *first,
        last: *last,
        latest,
    })
}

impl Found {
    /// What did not hold.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        let (first, last) = (self.first.resident, self.last.resident);
        if last > first + first / GROWTH {
            return Some(format!("its memory grew from {first} KiB to {last} KiB"));
        }
        let own = self.latest.own;
        (own > BOUND).then(|| format!("a timer was {own:?} late by the loop's doing, and may be {BOUND:?}"))
    }

    /// In a few lines.
    #[must_use]
    pub fn markdown(&self) -> String {
        let Self { name, each_second, latency, first, last, latest } = self;
        let micros = |nanoseconds: u64| nanoseconds as f64 / 1000.0;
        let (p50, p999, max) = (micros(latency.p50), micros(latency.p999), micros(latency.max));
        format!(
            "### soak, {name}, {:.0} s\n\n\
             - fast clients: {each_second:.0} round trips a second; p50 {p50:.0} µs, p99.9 {p999:.0} µs, max {max:.0} µs\n\
             - memory: {} KiB after {:.0} s, {} KiB at the end; descriptors: {} and {}\n\
             - the latest timer: {:?} by the clock, {:?} by the loop's doing (may be {BOUND:?}), {:?} while it stood still\n",
            last.seconds,
            first.resident,
            first.seconds,
            last.resident,
            first.descriptors,
            last.descriptors,
            latest.wall,
            latest.own,
            latest.still,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(resident: u64, own: Duration) -> Found {
        let sample = |resident, seconds| Sample { requests: 1, resident, descriptors: 9, seconds };
        let latency = Latency { p50: 1, p99: 2, p999: 3, max: 4 };
        // On the wall more than is allowed: others ran.
        let latest = Lateness { wall: own + 2 * BOUND, own, still: 2 * BOUND };
        let (first, last) = (sample(1000, 10.0), sample(resident, 60.0));
        Found { name: "some", each_second: 1.0, latency, first, last, latest }
    }

    #[test]
    fn growth_and_lateness_are_failures() {
        assert_eq!(found(1100, BOUND).failure(), None);
        assert!(found(1101, BOUND).failure().unwrap().contains("1101 KiB"));
        let late = BOUND * 2;
        assert!(found(1000, late).failure().unwrap().contains(&format!("{late:?} late")));
    }
}
