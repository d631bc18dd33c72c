//! The future around the user's.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use marline_reactor::Panic;
use pin_project_lite::pin_project;

use super::executor::Executor;
use super::join::Ended;
use super::report;
use crate::table::TableKey;

pin_project! {
    /// Polls the user's future, contains its panics, drops it where it is to be dropped, and takes the task off the
    /// executor's list.
    pub(super) struct Body<F> {
        // Dropped as soon as it is done: what it holds must not wait for the last waker.
        #[pin]
        future: Option<F>,
        entry: Entry,
    }
}

/// The task's entry in the executor's list.
struct Entry {
    executor: Rc<Executor>,
    key: TableKey,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.executor.finished(self.key);
    }
}

impl<F> Body<F> {
    pub(super) fn new(future: F, executor: Rc<Executor>, key: TableKey) -> Self {
        Self { future: Some(future), entry: Entry { executor, key } }
    }
}

impl<F> Future for Body<F>
where
    F: Future,
    F::Output: 'static,
{
    type Output = Result<F::Output, Ended>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Entry { executor, key } = &*this.entry;
        let outcome = if executor.is_aborted(*key) {
            Err(Ended::Aborted)
        } else {
            let polled = contain(|| this.future.as_mut().as_pin_mut().map(|future| future.poll(context)));
            match polled {
                Ok(Some(Poll::Pending)) => return Poll::Pending,
                Ok(Some(Poll::Ready(output))) => Ok(output),
                // A task is not polled after its end.
                Ok(None) => Err(Ended::Aborted),
                Err(panic) => Err(Ended::Panicked(panic)),
            }
        };
        let dropped = contain(|| this.future.set(None));
        let outcome = match (outcome, dropped) {
            (Ok(output), Err(panic)) => {
                drop(contain(move || drop(output)));
                Err(Ended::Panicked(panic))
            }
            (outcome, _) => outcome,
        };
        if executor.is_detached(*key) {
            report::unobserved(outcome, executor.place(*key));
            return Poll::Ready(Err(Ended::Aborted));
        }
        Poll::Ready(outcome)
    }
}

/// Calls code of the user's. A panic becomes an error.
pub(super) fn contain<R>(call: impl FnOnce() -> R) -> Result<R, Panic> {
    // The future that panicked is dropped and never polled again.
    catch_unwind(AssertUnwindSafe(call)).map_err(Panic::new)
}
