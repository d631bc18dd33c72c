//! How much may pass when, as a plain struct that is told the time.

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::instant::Instant;

const SECOND: u128 = 1_000_000_000;

/// A token bucket that goes into debt: what came has come, and is paid for by waiting.
#[derive(Debug)]
pub(super) struct Bucket {
    /// Bytes per second.
    rate: u128,
    /// As many bytes lie in it at most.
    burst: i128,
    /// Bytes that may pass without a wait, when it was last filled. Below zero they are owed.
    level: i128,
    filled: Instant,
}

impl Bucket {
    /// A full one. Less than a byte per second counts as one.
    pub(super) fn new(rate: u64, burst: u64) -> Self {
        let burst = i128::from(burst);
        Self { rate: u128::from(rate.max(1)), burst, level: burst, filled: Instant::ZERO }
    }

    /// So many bytes passed: how long to wait before more may. It has to be told the time of each, or a bucket that was full for
    /// long would have its burst twice.
    pub(super) fn take(&mut self, bytes: u64, now: Instant) -> Option<Duration> {
        self.fill(now);
        self.level -= i128::from(bytes);
        let owed = u128::try_from(-self.level).ok().filter(|owed| *owed > 0)?;
        let nanos = (owed * SECOND).div_ceil(self.rate);
        Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }

    /// Adds what has come together since the last time, in whole bytes; the time of a part of one is left for later.
    fn fill(&mut self, now: Instant) {
        let passed = u128::from(now.as_nanos().saturating_sub(self.filled.as_nanos()));
        let grown = passed * self.rate / SECOND;
        let level = self.level.saturating_add(i128::try_from(grown).unwrap_or(i128::MAX));
        if level >= self.burst {
            (self.level, self.filled) = (self.burst, now);
        } else {
            let used = u64::try_from((grown * SECOND).div_ceil(self.rate)).unwrap_or(u64::MAX);
            self.level = level;
            self.filled =
                Instant::from_nanos(self.filled.as_nanos().saturating_add(used).min(now.as_nanos()));
        }
    }
}
