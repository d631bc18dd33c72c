//! The handshake between a loop that wants to sleep and a thread that has work for it.
//!
//! The loop raises the flag, then looks once more for work, then sleeps. A thread puts its work down, then takes
//! the flag; only the one that took it rings the bell. Every change of the flag is a swap, so that each sees all that came
//! before the one that it follows: either the loop raised the flag first, and the thread takes it, or the loop sees the
//! work. The `loom` models try every order.

use super::sync::{AtomicBool, Ordering};

/// Whether the loop sleeps, or is about to.
#[derive(Debug)]
pub(crate) struct SleepFlag {
    sleeping: AtomicBool,
    /// Whether there is work that the loop has not taken.
    work: AtomicBool,
}

impl SleepFlag {
    pub(crate) fn new() -> Self {
        Self { sleeping: AtomicBool::new(false), work: AtomicBool::new(false) }
    }

    /// Called by a thread after it put work down: whether it has to ring the bell.
    #[must_use]
    pub(crate) fn announce(&self) -> bool {
        self.work.store(true, Ordering::Release);
        self.sleeping.swap(false, Ordering::AcqRel)
    }

    /// Called by the loop before it sleeps: whether it may. If so, [`awake`](Self::awake) follows.
    #[must_use]
    pub(crate) fn may_sleep(&self) -> bool {
        self.sleeping.swap(true, Ordering::AcqRel);
        if self.has_work() {
            self.awake();
            return false;
        }
        true
    }

    /// Called by the loop when it slept enough.
    pub(crate) fn awake(&self) {
        self.sleeping.swap(false, Ordering::AcqRel);
    }

    /// Called by the loop: whether there is work; the loop takes all of it after this.
    #[must_use]
    pub(crate) fn take_work(&self) -> bool {
        self.has_work() && self.work.swap(false, Ordering::AcqRel)
    }

    /// Whether there is work.
    pub(crate) fn has_work(&self) -> bool {
        self.work.load(Ordering::Acquire)
    }
}
