//! A wake-up for backends that wait in no kernel.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// Ends a [`Backend::wait`](super::Backend::wait), from any thread. Several calls before the loop looks count as one.
pub trait Wakeup: Send + Sync {
    /// Ends the wait that is under way, or else the next one. After the backend is gone it does nothing.
    fn wake(&self);
}

/// Ends a sleep from any thread: the [`Wakeup`] of backends that wait in no kernel. It stays raised until a sleep or
/// [`take`](Self::take) sees it.
///
/// ```
/// use marline_reactor::backend::{Bell, Wakeup};
/// use std::{sync::Arc, thread};
///
/// let bell = Arc::new(Bell::default());
/// let other = Arc::clone(&bell);
/// thread::spawn(move || other.wake());
/// bell.sleep(None); // until then
/// assert!(!bell.take());
/// ```
#[derive(Debug, Default)]
pub struct Bell {
    raised: Mutex<bool>,
    rung: Condvar,
}

impl Bell {
    /// Whether it was raised; it no longer is.
    pub fn take(&self) -> bool {
        std::mem::take(&mut *self.raised.lock())
    }

    /// Sleeps until it is raised, for at most `limit`. Then it no longer is.
    pub fn sleep(&self, limit: Option<Duration>) {
        let mut raised = self.raised.lock();
        match limit {
            Some(limit) => _ = self.rung.wait_while_for(&mut raised, |raised| !*raised, limit),
            None => self.rung.wait_while(&mut raised, |raised| !*raised),
        }
        *raised = false;
    }
}

impl Wakeup for Bell {
    fn wake(&self) {
        *self.raised.lock() = true;
        self.rung.notify_one();
    }
}
