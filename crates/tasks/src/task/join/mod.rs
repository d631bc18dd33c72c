//! The handle of a task.
//!
//! * `outcome`: how a task ended; `error`: without an output; `abort`: ending it from elsewhere.
//! * `distant`: a task that is on its way to the loop of another thread.

mod abort;
mod distant;
mod error;
mod outcome;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::cell::{Joined, TaskRef};
use super::injector;
use super::list::TaskId;
pub use abort::AbortHandle;
use abort::Target;
pub(super) use distant::send;
use distant::{Distant, Found};
pub use error::JoinError;
pub(super) use outcome::Ended;

/// A task that was started: a future of its output.
///
/// It is `Send` and `Sync` where the output is, although the task itself stays on its loop's thread. It can be awaited on
/// any thread and any executor.
///
/// # Cancellation
///
/// Dropping it lets the task go on by itself. [`abort`](Self::abort) ends the task. Awaited through a reference it can be
/// left and awaited again.
pub struct JoinHandle<T: 'static> {
    inner: Inner<T>,
}

enum Inner<T: 'static> {
    /// There was no loop to run it.
    Nowhere,
    Known(Joined<T>),
    /// It was sent to the loop of another thread, and nobody has looked yet whether it arrived.
    Distant(Arc<Distant<T>>),
}

impl<T> JoinHandle<T> {
    pub(super) fn new(task: Joined<T>) -> Self {
        Self { inner: Inner::Known(task) }
    }

    pub(super) fn never_ran() -> Self {
        Self { inner: Inner::Nowhere }
    }

    fn distant(shared: Arc<Distant<T>>) -> Self {
        Self { inner: Inner::Distant(shared) }
    }

    /// Ends the task: its future is dropped at the place where it waits, from the loop, and never polled again. A task that
    /// is finished keeps its output. From another thread it happens a little later.
    pub fn abort(&self) {
        match &self.inner {
            Inner::Nowhere => {}
            Inner::Known(known) => injector::abort(known.task()),
            Inner::Distant(distant) => distant.fate().abort(),
        }
    }

    /// What ends the task from other places and other threads, while somebody else awaits it.
    #[must_use]
    pub fn abort_handle(&self) -> AbortHandle {
        AbortHandle::new(match &self.inner {
            Inner::Nowhere => Target::Nowhere,
            Inner::Known(known) => Target::Known(known.task().clone()),
            Inner::Distant(distant) => Target::Distant(Arc::clone(distant.fate())),
        })
    }

    fn known(&self) -> Option<&TaskRef> {
        match &self.inner {
            Inner::Known(known) => Some(known.task()),
            Inner::Nowhere | Inner::Distant(_) => None,
        }
    }

    /// Whether the task has ended: awaiting it gives an answer at once.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        match &self.inner {
            Inner::Nowhere => true,
            Inner::Known(known) => known.has_ended(),
            Inner::Distant(distant) => distant.look(false, true, Self::is_finished),
        }
    }

    /// The task's number; `None` if it never ran, or has not yet arrived at its loop from another thread.
    #[must_use]
    pub fn id(&self) -> Option<TaskId> {
        match &self.inner {
            Inner::Nowhere => None,
            Inner::Known(known) => Some(known.task().header().id()),
            Inner::Distant(distant) => distant.look(None, None, Self::id),
        }
    }

    /// The name that its [builder](super::Builder) gave it.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match &self.inner {
            Inner::Nowhere => None,
            Inner::Known(known) => known.task().header().name.as_deref(),
            Inner::Distant(distant) => distant.name(),
        }
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Inner::Distant(distant) = &self.inner {
            match distant.watch(context) {
                Found::Nothing => return Poll::Pending,
                Found::Task(mut handle) => std::mem::swap(&mut self.inner, &mut handle.inner),
                Found::Gone(error) => {
                    self.inner = Inner::Nowhere;
                    return Poll::Ready(Err(error));
                }
            }
        }
        match &mut self.inner {
            Inner::Known(known) => Poll::Ready(match ready!(known.poll(context)) {
                Some(outcome) => outcome.map_err(JoinError::from),
                None => Err(JoinError::never_ran()),
            }),
            Inner::Nowhere | Inner::Distant(_) => Poll::Ready(Err(JoinError::never_ran())),
        }
    }
}

// The handle is not tied to the place of anything: the task lives elsewhere.
impl<T> Unpin for JoinHandle<T> {}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("is_finished", &self.is_finished()).finish_non_exhaustive()
    }
}
