//! The future around the user's.

use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use marline_reactor::Panic;
use pin_project_lite::pin_project;

use super::executor::Executor;
use super::identity::Polled;
use super::join::{Ended, Outcome};
use super::report::Origin;
use super::spans::Traced;
use crate::table::TableKey;

pin_project! {
    /// Polls the user's future, contains its panics, drops it where it is to be dropped, and takes the task off the
    /// executor's list.
    pub(super) struct Body<F> {
        // Dropped as soon as it is done: what it holds must not wait for the last waker.
        #[pin]
        future: Option<F>,
        // Closed before the task leaves the list.
        traced: Traced,
        entry: Entry,
    }

    impl<F> PinnedDrop for Body<F> {
        // A task that is dropped without being polled again: one that stood in the queue of a loop that ended. What
        // drops it must see no panic.
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            let (mut future, entry) = (this.future, this.entry);
            if let Err(panic) = contain(|| future.set(None)) {
                drop(Outcome::<()>::new(Err(Ended::Panicked(panic)), entry.origin()));
            }
        }
    }
}

/// The task's entry in the executor's list.
struct Entry {
    executor: Rc<Executor>,
    key: TableKey,
    place: &'static Location<'static>,
    has_name: bool,
}

impl Entry {
    fn origin(&self) -> Origin {
        let name = if self.has_name { self.executor.name_of(self.key) } else { None };
        Origin { remote: self.executor.remote().clone(), place: self.place, name }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.executor.finished(self.key);
    }
}

impl<F> Body<F> {
    pub(super) fn new(
        future: F,
        executor: Rc<Executor>,
        key: TableKey,
        place: &'static Location<'static>,
        name: Option<&str>,
    ) -> Self {
        let traced = Traced::new(key.number(), name, place);
        Self { future: Some(future), traced, entry: Entry { executor, key, place, has_name: name.is_some() } }
    }
}

impl<F> Future for Body<F>
where
    F: Future,
    F::Output: 'static,
{
    type Output = Outcome<F::Output>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Entry { executor, key, .. } = &*this.entry;
        let outcome = if let Some(_polling) = executor.begin_poll(*key) {
            let _granted = executor.allowance.grant();
            let _polled = Polled::with(context.waker());
            let future = this.future.as_mut().as_pin_mut();
            let poll = |future: Pin<&mut F>| this.traced.poll(context, |context| future.poll(context));
            let polled = contain(|| future.map(poll));
            match polled {
                Ok(Some(Poll::Pending)) => return Poll::Pending,
                Ok(Some(Poll::Ready(output))) => Ok(output),
                // A task is not polled after its end.
                Ok(None) => Err(Ended::Aborted),
                Err(panic) => Err(Ended::Panicked(panic)),
            }
        } else {
            Err(Ended::Aborted)
        };
        let dropped = contain(|| this.future.set(None));
        let outcome = match (outcome, dropped) {
            // The first panic is the one that is told of.
            (outcome, Ok(())) | (outcome @ Err(Ended::Panicked(_)), Err(_)) => outcome,
            (outcome, Err(panic)) => {
                drop(contain(move || drop(outcome)));
                Err(Ended::Panicked(panic))
            }
        };
        Poll::Ready(Outcome::new(outcome, this.entry.origin()))
    }
}

/// Calls code of the user's. A panic becomes an error.
pub(crate) fn contain<R>(call: impl FnOnce() -> R) -> Result<R, Panic> {
    // The future that panicked is dropped and never polled again.
    catch_unwind(AssertUnwindSafe(call)).map_err(Panic::new)
}
