//! Waking the loop from another thread.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::event::{EventfdFlags, eventfd};

use crate::backend::Wakeup;

/// Writes to an eventfd that the ring polls.
///
/// Nobody ever reads it: a multishot poll tells each write, and the counter has room for the wake-ups of a few centuries.
///
/// The eventfd that a host waits for is written to as well. The kernel would do that, but not from within a write to another
/// eventfd: it puts that off until no processor is in such a section (`eventfd_signal_allowed`), which takes milliseconds.
#[derive(Debug)]
pub(super) struct Waker {
    event: OwnedFd,
    host: OnceLock<OwnedFd>,
    wakes: AtomicU64,
}

impl Waker {
    pub(super) fn new() -> io::Result<Self> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { event, host: OnceLock::new(), wakes: AtomicU64::new(0) })
    }

    /// From now on a host waits for this.
    pub(super) fn tell_host(&self, event: OwnedFd) {
        // There is one host, once.
        let _ = self.host.set(event);
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
        for event in std::iter::once(&self.event).chain(self.host.get()) {
            self.wakes.fetch_add(1, Ordering::Relaxed);
            // A write of eight bytes to an eventfd of ours has no way to fail. If it did, there would be nobody to tell
            // but the log: the loop is asleep.
            if let Err(error) = rustix::io::write(event, &1_u64.to_ne_bytes()) {
                tracing::error!(%error, "the loop could not be woken");
            }
        }
    }
}
