//! How debug mode is asked for.

use std::time::Duration;

/// As long as asyncio waits.
const SLOW: Duration = Duration::from_millis(100);

/// Debug mode: the loop reports what is probably a mistake, as a [`Warning`](crate::Warning), to
/// [`Handle::on_warning`](crate::Handle::on_warning) or through `tracing`.
///
/// * Callbacks and polls of tasks that took at least as long as the [limit](Self::slow): 100 milliseconds unless set.
/// * Connections that are still open when their loop ends, and async streams that are dropped without a close.
/// * Handles of `marline-tasks` that are used on a thread that is not their loop's.
///
/// It is off unless [`Builder::debug`](crate::Builder::debug), [`Handle::set_debug`](crate::Handle::set_debug) or the
/// variable `MARLINE_DEBUG` asks for it; then each callback costs one look at a flag, and the clock is not read. When it
/// is on, the clock is read twice for each callback. It is the loop's clock, the backend's: on a virtual clock a callback is
/// slow if it moved that clock, however long it really took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DebugMode {
    slow: Duration,
}

impl DebugMode {
    /// The usual limits.
    #[must_use]
    pub fn new() -> Self {
        Self { slow: SLOW }
    }

    /// What the variable `MARLINE_DEBUG` asks for: nothing if it is not set, empty, or `0`; debug mode with the usual
    /// limits if it is `1`; and with another number, that many milliseconds as the limit of what is slow. Everything
    /// else means `1`.
    #[must_use]
    pub fn from_env() -> Option<Self> {
        Self::parse(&std::env::var("MARLINE_DEBUG").ok()?)
    }

    fn parse(value: &str) -> Option<Self> {
        match value.trim() {
            "" | "0" => None,
            "1" => Some(Self::new()),
            other => Some(
                other.parse().map_or(Self::new(), |limit| Self::new().slow(Duration::from_millis(limit))),
            ),
        }
    }

    /// Reports callbacks that take this long or longer.
    #[must_use]
    pub fn slow(mut self, limit: Duration) -> Self {
        self.slow = limit;
        self
    }

    /// How long a callback may take.
    #[must_use]
    pub fn slow_limit(self) -> Duration {
        self.slow
    }
}

impl Default for DebugMode {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_asks_for_nothing_for_the_usual_limits_or_for_a_limit() {
        let limit = |value| DebugMode::parse(value).map(|mode| mode.slow_limit().as_millis());
        assert_eq!(["", "0", " 0 "].map(limit), [None; 3]);
        assert_eq!(["1", "yes"].map(limit), [Some(100); 2]);
        assert_eq!(["2", "250"].map(limit), [Some(2), Some(250)]);
    }
}
