//! Again and again.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use marline_reactor::Instant;

use super::sleep::{Sleep, sleep};

/// What an [`Interval`] does with ticks that came while nobody waited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissedTicks {
    /// They are skipped, and the next tick keeps the phase: it comes at a whole number of periods after the first.
    #[default]
    Skip,
    /// They come at once, one after the other, until none is missed.
    Burst,
    /// The next tick comes a whole period after the late one.
    Delay,
}

/// Ticks every `period`, for the first time after one period. A period of zero ticks whenever it is asked. On a thread that
/// is not its loop's no tick counts as missed: they come one after the other.
///
/// ```
/// # marline_tasks::run(async {
/// let mut interval = marline_tasks::interval(std::time::Duration::from_millis(1));
/// let first = interval.tick().await;
/// let second = interval.tick().await;
/// assert!(second > first);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[must_use]
#[track_caller]
pub fn interval(period: Duration) -> Interval {
    Interval { sleep: sleep(period), period, missed: MissedTicks::default() }
}

/// Made by [`interval`].
#[derive(Debug)]
pub struct Interval {
    sleep: Sleep,
    period: Duration,
    missed: MissedTicks,
}

impl Interval {
    /// What is done with missed ticks: they are skipped by default.
    #[must_use]
    pub fn missed(mut self, missed: MissedTicks) -> Self {
        self.missed = missed;
        self
    }

    /// The time between two ticks.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.period
    }

    /// Waits for the next tick: the moment for which it was set. A tick that a dropped future did not return is returned
    /// next time.
    pub fn tick(&mut self) -> impl Future<Output = Instant> {
        std::future::poll_fn(move |context| self.poll_tick(context))
    }

    /// As [`tick`](Self::tick), for whoever writes futures by hand.
    pub fn poll_tick(&mut self, context: &mut Context<'_>) -> Poll<Instant> {
        if Pin::new(&mut self.sleep).poll(context).is_pending() {
            return Poll::Pending;
        }
        let tick = self.sleep.deadline();
        // On another thread nobody knows how late it is.
        let now = self.sleep.now().unwrap_or(tick);
        self.sleep.reset(self.next(tick, now));
        Poll::Ready(tick)
    }

    fn next(&self, tick: Instant, now: Instant) -> Instant {
        match self.missed {
            MissedTicks::Burst => tick + self.period,
            MissedTicks::Delay => now + self.period,
            MissedTicks::Skip if self.period.is_zero() => now,
            MissedTicks::Skip => {
                let late = (now - tick).as_nanos();
                let since_period = u64::try_from(late % self.period.as_nanos()).unwrap_or(u64::MAX);
                let left = self.period - Duration::from_nanos(since_period);
                now.max(tick) + left
            }
        }
    }
}
