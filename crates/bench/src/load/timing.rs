//! How long requests took, one by one.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::plan::Latency;

/// The longest that is told apart from longer ones: a minute, in nanoseconds, after which nobody waits any more.
const LONGEST: u64 = 60_000_000_000;
/// So many digits of each are kept.
const DIGITS: u8 = 3;

/// A histogram of round trips.
pub(super) struct Timing {
    histogram: Histogram<u64>,
}

impl Timing {
    /// `None` only if such a histogram cannot be made.
    pub(super) fn new() -> Option<Self> {
        Histogram::new_with_bounds(1, LONGEST, DIGITS).ok().map(|histogram| Self { histogram })
    }

    pub(super) fn add(&mut self, time: Duration) {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(LONGEST);
        self.histogram.saturating_record(nanoseconds.max(1));
    }

    pub(super) fn latency(&self) -> Latency {
        let at = |quantile| self.histogram.value_at_quantile(quantile);
        Latency { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: self.histogram.max() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_what_was_added() {
        let mut timing = Timing::new().unwrap();
        (1..=1000).for_each(|micros| timing.add(Duration::from_micros(micros)));
        timing.add(Duration::from_secs(7200));
        let found = timing.latency();
        let near = |found: u64, expected: u64| found.abs_diff(expected) * 500 < expected;
        assert!(
            near(found.p50, 501_000) && near(found.p99, 991_000) && near(found.p999, 1_000_000),
            "{found:?}"
        );
        assert!(near(found.max, LONGEST), "{found:?}");
    }
}
