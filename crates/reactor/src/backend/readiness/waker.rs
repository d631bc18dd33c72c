//! Waking the loop from another thread.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::backend::Wakeup;
use crate::backend::poller::Poller;

/// Writes to an eventfd (a pipe or a user event elsewhere) that the poller is registered for.
///
/// Nobody ever reads the eventfd: registered edge-triggered, each write is an event of its own, and the counter has
/// room for the wake-ups of a few centuries.
#[derive(Debug)]
pub(super) struct Waker {
    inner: mio::Waker,
    wakes: AtomicU64,
}

impl Waker {
    pub(super) fn new(poller: &Poller) -> io::Result<Self> {
        Ok(Self { inner: poller.waker()?, wakes: AtomicU64::new(0) })
    }

    /// How many system calls were made to wake.
    pub(super) fn calls(&self) -> u64 {
        self.wakes.load(Ordering::Relaxed)
    }
}

impl Wakeup for Waker {
    fn wake(&self) {
        self.wakes.fetch_add(1, Ordering::Relaxed);
        // A write of eight bytes to an eventfd of ours has no way to fail. If it did, there would be nobody to tell
        // but the log: the loop is asleep.
        if let Err(error) = self.inner.wake() {
            tracing::error!(%error, "the loop could not be woken");
        }
    }
}
