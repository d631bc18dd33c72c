//! The loop's clock, which may be virtual.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};
use std::sync::OnceLock;
use std::time::Duration;

/// A moment of the loop's monotonic clock, in nanoseconds since a start that the backend chose.
///
/// It is not [`std::time::Instant`], so that a test can move it. Setting the wall clock never changes it.
/// Arithmetic saturates: a delay too long to express means "never" ([`Instant::FAR`]).
///
/// ```
/// use marline_reactor::Instant;
/// use std::time::Duration;
///
/// let start = Instant::from_nanos(5);
/// assert_eq!((start + Duration::from_nanos(2)) - start, Duration::from_nanos(2));
/// assert_eq!(start + Duration::MAX, Instant::FAR);
/// assert_eq!(start - (start + Duration::from_secs(1)), Duration::ZERO);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The start of the clock.
    pub const ZERO: Self = Self(0);
    /// A moment that never comes (584 years after the start).
    pub const FAR: Self = Self(u64::MAX);

    /// The time of the system's monotonic clock, since it was first asked for here: the clock of backends that have none of
    /// their own.
    #[must_use]
    pub fn monotonic() -> Self {
        static START: OnceLock<std::time::Instant> = OnceLock::new();
        Self::ZERO + START.get_or_init(std::time::Instant::now).elapsed()
    }

    /// The moment `nanos` nanoseconds after the start of the clock.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the start of the clock.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero if it is not after it.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, delay: Duration) -> Self {
        let nanos = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, delay: Duration) {
        *self = *self + delay;
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.since(earlier)
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} after the start", Duration::from_nanos(self.0))
    }
}
