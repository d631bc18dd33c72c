//! Who awaits a task.

use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use crate::combinators::is_of_combinator;
use crate::task::body::contain;
use crate::task::identity::is_of_running_task;
use crate::task::report::{self, Origin};

/// A foreign waker that is to be woken when a task ends.
///
/// The end of a task wakes it in a place where a panic would end the process, and the executor whose waker it is may be
/// anybody's. So its panics are contained here, and reported to the loop of the task.
pub(super) struct Awaiter {
    /// `None` only while it is dropped.
    waker: Option<Waker>,
    origin: Origin,
}

impl Awaiter {
    /// The waker to give to the task: `None` if that of who polls is one of this crate's, which cannot panic, and otherwise
    /// one that contains what it wakes. The last one is kept in `known`.
    pub(super) fn guard(
        known: &mut Option<Arc<Self>>,
        origin: &Origin,
        context: &Context<'_>,
    ) -> Option<Waker> {
        let waker = context.waker();
        if is_of_running_task(waker) || is_of_combinator(waker) {
            return None;
        }
        let same =
            known.take().filter(|awaiter| awaiter.waker.as_ref().is_some_and(|own| own.will_wake(waker)));
        let awaiter =
            same.unwrap_or_else(|| Arc::new(Self { waker: Some(waker.clone()), origin: origin.clone() }));
        *known = Some(Arc::clone(&awaiter));
        Some(Waker::from(awaiter))
    }
}

impl Wake for Awaiter {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let Some(waker) = &self.waker else { return };
        if let Err(panic) = contain(|| waker.wake_by_ref()) {
            report::waker_panicked(panic, &self.origin);
        }
    }
}

impl Drop for Awaiter {
    fn drop(&mut self) {
        let waker = self.waker.take();
        if let Err(panic) = contain(move || drop(waker)) {
            report::waker_panicked(panic, &self.origin);
        }
    }
}
