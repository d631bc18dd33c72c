//! Time that passes while a callback runs.

use std::time::Duration;

use marline_reactor::testing::Clock;

/// Makes time pass: the virtual clock moves, or else the thread sleeps.
#[derive(Clone)]
pub struct Hands {
    /// `None` on real sockets.
    pub(super) clock: Option<Clock>,
}

impl Hands {
    pub fn pass(&self, time: Duration) {
        match &self.clock {
            Some(clock) => clock.advance(time),
            None => std::thread::sleep(time),
        }
    }
}
