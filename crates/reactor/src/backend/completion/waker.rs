//! Waking the loop from another thread.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::event::{EventfdFlags, eventfd};

use crate::backend::Wakeup;

/// Writes to an eventfd that the ring polls.
///
/// Nobody ever reads it: a multishot poll tells each write, and the counter has room for the wake-ups of a few centuries.
#[derive(Debug)]
pub(super) struct Waker {
    event: OwnedFd,
    wakes: AtomicU64,
}

impl Waker {
    pub(super) fn new() -> io::Result<Self> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { event, wakes: AtomicU64::new(0) })
    }

    pub(super) fn descriptor(&self) -> RawFd {
        self.event.as_raw_fd()
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
        if let Err(error) = rustix::io::write(&self.event, &1_u64.to_ne_bytes()) {
            tracing::error!(%error, "the loop could not be woken");
        }
    }
}
