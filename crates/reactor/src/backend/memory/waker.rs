//! The one part that other threads touch.

use parking_lot::{Condvar, Mutex};

use crate::backend::Wakeup;

/// Ends a wait from any thread. It stays raised until a wait sees it.
#[derive(Debug, Default)]
pub(super) struct Bell {
    raised: Mutex<bool>,
    rung: Condvar,
}

impl Bell {
    /// Whether it was raised; it no longer is.
    pub(super) fn take(&self) -> bool {
        std::mem::take(&mut *self.raised.lock())
    }

    /// Sleeps until it is raised. There is no time limit, because the time that a loop knows is virtual.
    pub(super) fn sleep(&self) {
        let mut raised = self.raised.lock();
        while !std::mem::take(&mut *raised) {
            self.rung.wait(&mut raised);
        }
    }
}

impl Wakeup for Bell {
    fn wake(&self) {
        *self.raised.lock() = true;
        self.rung.notify_one();
    }
}
