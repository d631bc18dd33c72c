//! How much a task gets in one go.

use std::cell::Cell;
use std::task::{Context, Poll};

/// How often one poll of a task gets something that it could get for ever.
const ALLOWANCE: u32 = 128;
/// Of bytes, so many count as one thing more.
const PIECE: usize = 16 * 1024;

/// A loop's allowance for the task that is being polled.
///
/// A task that writes to a peer who reads just as fast, sleeps for no time, or reads on at the end of a stream never has to
/// wait, and would keep the loop for itself. Such operations therefore let the others go first every so often; so do
/// reads of bytes that were left with the system. Those that have to wait sooner or later, because what they get comes through
/// the loop, are not counted. Under other executors, which
/// have their own ways, nothing is.
#[derive(Default)]
pub(crate) struct Allowance {
    /// `None` while no task is polled.
    left: Cell<Option<u32>>,
}

impl Allowance {
    /// A task is about to be polled: it gets a full allowance until what is returned is dropped.
    #[inline]
    pub(super) fn grant(&self) -> Granted<'_> {
        Granted { allowance: self, before: self.left.replace(Some(ALLOWANCE)) }
    }

    /// Whether the others come first, next time.
    #[inline]
    pub(crate) fn is_used_up(&self) -> bool {
        self.left.get() == Some(0)
    }

    /// So many bytes were had at once, of which there could be more for ever.
    #[inline]
    pub(crate) fn charge(&self, bytes: usize) {
        let pieces = u32::try_from(bytes / PIECE).unwrap_or(u32::MAX);
        self.left.set(self.left.get().map(|left| left.saturating_sub(pieces)));
    }

    /// Uses up a part of it, if something is left.
    #[inline]
    pub(crate) fn try_use(&self) -> bool {
        match self.left.get() {
            Some(0) => return false,
            left => self.left.set(left.map(|left| left - 1)),
        }
        true
    }

    /// Uses up a part of it. Pending, with the task woken, if nothing is left.
    pub(crate) fn poll_use(&self, context: &Context<'_>) -> Poll<()> {
        if self.try_use() {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

pub(super) struct Granted<'a> {
    allowance: &'a Allowance,
    before: Option<u32>,
}

impl Drop for Granted<'_> {
    #[inline]
    fn drop(&mut self) {
        self.allowance.left.set(self.before);
    }
}
