//! The virtual clock.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use crate::instant::Instant;

/// A clock that moves only when a test or an idle loop moves it. It starts at [`Instant::ZERO`]; clones share it.
///
/// *Automatic* (how it begins) means that a loop with nothing to do until its nearest deadline jumps there.
/// Otherwise only [`advance`](Self::advance) moves the time, and a [`Memory`](super::Memory) with nothing to do
/// returns from its wait instead of sleeping.
///
/// ```
/// use marline_reactor::backend::memory::Clock;
/// use std::time::Duration;
///
/// let clock = Clock::new();
/// let start = clock.now();
/// clock.clone().advance(Duration::from_millis(5));
/// assert_eq!(clock.now() - start, Duration::from_millis(5));
/// ```
#[derive(Clone, Debug)]
pub struct Clock {
    shared: Rc<Hands>,
}

#[derive(Debug)]
struct Hands {
    now: Cell<Instant>,
    automatic: Cell<bool>,
}

impl Clock {
    /// An automatic clock at [`Instant::ZERO`].
    #[must_use]
    pub fn new() -> Self {
        let (now, automatic) = (Cell::new(Instant::ZERO), Cell::new(true));
        Self { shared: Rc::new(Hands { now, automatic }) }
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.shared.now.get()
    }

    /// Moves the time on. It stops at [`Instant::FAR`].
    pub fn advance(&self, by: Duration) {
        self.shared.now.set(self.now() + by);
    }

    /// Whether idle loops move the time.
    pub fn set_automatic(&self, automatic: bool) {
        self.shared.automatic.set(automatic);
    }

    pub(super) fn is_automatic(&self) -> bool {
        self.shared.automatic.get()
    }

    /// Moves the time on to `moment`, if that is still to come: a shared clock may have passed it.
    pub(super) fn advance_to(&self, moment: Instant) {
        self.shared.now.set(self.now().max(moment));
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_never_goes_back_and_stops_at_the_far_end() {
        let clock = Clock::default();
        clock.advance_to(Instant::from_nanos(7));
        clock.advance_to(Instant::from_nanos(3));
        assert_eq!(clock.now(), Instant::from_nanos(7));
        clock.advance(Duration::MAX);
        assert_eq!(clock.now(), Instant::FAR);
    }
}
