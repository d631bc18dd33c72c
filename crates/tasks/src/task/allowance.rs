//! How much a task gets in one go.

use std::cell::Cell;
use std::task::{Context, Poll};

/// How many reads, writes, accepts and sleeps are answered at once within one poll of a task.
const ALLOWANCE: u32 = 128;

/// A loop's allowance for the task that is being polled.
///
/// A task that writes to a peer who reads just as fast, or sleeps for no time, never has to wait, and would keep the
/// loop for itself. Operations that would be answered at once therefore let the others go first every so often. Under other
/// executors, which have their own ways, nothing is counted.
#[derive(Default)]
pub(crate) struct Allowance {
    /// `None` while no task is polled.
    left: Cell<Option<u32>>,
}

impl Allowance {
    /// A task is about to be polled: it gets a full allowance until what is returned is dropped.
    pub(super) fn grant(&self) -> Granted<'_> {
        Granted { allowance: self, before: self.left.replace(Some(ALLOWANCE)) }
    }

    /// Pending, with the task woken, if what it got is used up.
    pub(crate) fn poll_left(&self, context: &Context<'_>) -> Poll<()> {
        if self.left.get() == Some(0) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// An operation was answered.
    pub(crate) fn use_up(&self) {
        self.left.set(self.left.get().map(|left| left.saturating_sub(1)));
    }
}

pub(super) struct Granted<'a> {
    allowance: &'a Allowance,
    before: Option<u32>,
}

impl Drop for Granted<'_> {
    fn drop(&mut self) {
        self.allowance.left.set(self.before);
    }
}
