//! Counts requests, and reads the server's processor time at both ends of the measured ones.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::plan::{Line, Plan, Report, Sample};
use super::timing::Timing;
use crate::usage;

/// Counts what begins and what ends.
///
/// The measurement begins with the end of the last request of the warm-up, and ends with that of the last measured one. At
/// either moment other requests are under way; as many are cut at one end as at the other.
pub(super) struct Meter<'a> {
    plan: &'a Plan,
    tell: &'a mut dyn FnMut(&Line),
    begun: u64,
    done: u64,
    idle: Duration,
    start: Option<Reading>,
    report: Option<Report>,
    timing: Option<Timing>,
    /// What other threads did.
    others: Arc<AtomicU64>,
}

struct Reading {
    at: Instant,
    server: Duration,
    server_user: Duration,
    switches: u64,
    idle: Duration,
    others: u64,
}

impl Reading {
    fn take(pid: u32, idle: Duration, others: u64) -> io::Result<Self> {
        Ok(Self {
            at: Instant::now(),
            server: usage::cpu_time(pid)?,
            server_user: usage::user_time(pid)?,
            switches: usage::switches(pid)?,
            idle,
            others,
        })
    }
}

impl<'a> Meter<'a> {
    pub(super) fn new(plan: &'a Plan, tell: &'a mut dyn FnMut(&Line)) -> Self {
        let timing = if plan.timed { Timing::new() } else { None };
        let others = Arc::default();
        Self {
            plan,
            tell,
            begun: 0,
            done: 0,
            idle: Duration::ZERO,
            start: None,
            report: None,
            timing,
            others,
        }
    }

    /// What other threads count there is counted too.
    pub(super) fn with(self, others: Arc<AtomicU64>) -> Self {
        Self { others, ..self }
    }

    /// Nothing was to be done for so long.
    pub(super) fn was_idle(&mut self, time: Duration) {
        self.idle += time;
    }

    /// The number of the next request, or `None` once as many as wanted have begun.
    pub(super) fn begin(&mut self) -> Option<u64> {
        let number = self.begun;
        // Those beyond the measured ones keep the server as busy at the end of the measurement as it was at its beginning.
        let wanted =
            self.plan.warm_up + self.plan.requests + (self.plan.connections * self.plan.depth) as u64;
        (number < wanted).then(|| {
            self.begun += 1;
            number
        })
    }

    /// When a request begins, if requests are timed.
    pub(super) fn now(&self) -> Option<Instant> {
        self.timing.as_ref().map(|_| Instant::now())
    }

    /// A request that began then was answered; [`end`](Self::end) follows. It counts if it is one of the measured ones.
    pub(super) fn took_since(&mut self, begun: Option<Instant>) {
        let measured = self.start.is_some() && self.report.is_none();
        if let (Some(timing), Some(begun), true) = (&mut self.timing, begun, measured) {
            timing.add(begun.elapsed());
        }
    }

    /// A request was answered.
    pub(super) fn end(&mut self) -> io::Result<()> {
        self.done += 1;
        if self.done == self.plan.warm_up {
            self.start = Some(self.read()?);
        }
        if self.done == self.plan.warm_up + self.plan.requests {
            self.finish()?;
        }
        let measured = self.done.saturating_sub(self.plan.warm_up);
        match (&self.start, self.plan.sample_every) {
            (Some(start), Some(every)) if measured > 0 && measured % every == 0 => {
                let seconds = start.at.elapsed().as_secs_f64();
                self.sample(measured, seconds)
            }
            _ => Ok(()),
        }
    }

    fn read(&self) -> io::Result<Reading> {
        Reading::take(self.plan.pid, self.idle, self.others.load(Ordering::Relaxed))
    }

    fn sample(&mut self, requests: u64, seconds: f64) -> io::Result<()> {
        let pid = self.plan.pid;
        let (resident, descriptors) = (usage::resident(pid)?, usage::descriptors(pid)?);
        (self.tell)(&Line::Sample(Sample { requests, resident, descriptors, seconds }));
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        let Some(start) = &self.start else { return Ok(()) };
        let end = self.read()?;
        let nanoseconds = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.report = Some(Report {
            requests: self.plan.requests + end.others - start.others,
            server: nanoseconds(end.server.saturating_sub(start.server)),
            server_user: nanoseconds(end.server_user.saturating_sub(start.server_user)),
            load: nanoseconds((end.at - start.at).saturating_sub(end.idle - start.idle)),
            wall: nanoseconds(end.at - start.at),
            switches: end.switches.saturating_sub(start.switches),
            latency: self.timing.as_ref().map(Timing::latency),
        });
        Ok(())
    }

    /// How many requests were answered.
    pub(super) fn done(&self) -> u64 {
        self.done
    }

    /// What was measured, once every request that began has ended.
    pub(super) fn finished(&self) -> Option<Report> {
        self.report.filter(|_| self.done == self.begun)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Kind;

    #[test]
    fn exactly_the_requests_between_warm_up_and_drain_are_measured() {
        let plan = Plan {
            port: 0,
            pid: std::process::id(),
            kind: Kind::Echo,
            connections: 2,
            depth: 1,
            size: 1,
            warm_up: 3,
            requests: 10,
            spin: false,
            tls_resumes: None,
            timed: true,
            threads: 1,
            sample_every: Some(5),
        };
        let mut samples = Vec::new();
        let mut tell = |line: &Line| {
            let Line::Sample(sample) = line else { panic!("{line:?}") };
            samples.push(sample.requests);
        };
        let mut meter = Meter::new(&plan, &mut tell);
        let mut numbers = Vec::new();
        while let Some(number) = meter.begin() {
            numbers.push(number);
            assert!(meter.report.is_none() || number >= 13);
            meter.took_since(meter.now());
            meter.end().unwrap();
        }
        assert_eq!(numbers, (0..15).collect::<Vec<_>>());
        let report = meter.finished().unwrap();
        assert_eq!(report.requests, 10);
        let latency = report.latency.unwrap();
        assert!(0 < latency.p50 && latency.p50 <= latency.max, "{latency:?}");
        assert_eq!(samples, [5, 10]);
    }
}
