//! Whose waker is whose.

use std::cell::Cell;
use std::ptr;
use std::task::{RawWakerVTable, Waker};

/// What a waker is made of. Nobody follows the pointers.
type Parts = (*const (), *const RawWakerVTable);

const NOBODY: Parts = (ptr::null(), ptr::null());

thread_local! {
    /// The waker of the task that is being polled on this thread.
    static POLLED: Cell<Parts> = const { Cell::new(NOBODY) };
}

fn parts(waker: &Waker) -> Parts {
    (waker.data(), waker.vtable())
}

/// While it lives, a task is being polled with its own waker.
pub(super) struct Polled {
    before: Parts,
}

impl Polled {
    #[inline]
    pub(super) fn with(waker: &Waker) -> Self {
        Self { before: POLLED.replace(parts(waker)) }
    }
}

impl Drop for Polled {
    #[inline]
    fn drop(&mut self) {
        POLLED.set(self.before);
    }
}

/// Whether this is the waker of the task that is being polled: one of this crate, which cannot panic.
#[inline]
pub(crate) fn is_of_running_task(waker: &Waker) -> bool {
    POLLED.get() == parts(waker)
}
