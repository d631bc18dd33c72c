//! The handle of a task.
//!
//! * `outcome`: how a task ended; `error`: without an output; `abort`: ending it from elsewhere.
//! * `awaiter`: who awaits it; `distant`: a task that is on its way to the loop of another thread.

mod abort;
mod awaiter;
mod distant;
mod error;
mod outcome;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use async_task::{FallibleTask, Task};
use marline_reactor::Remote;

use super::list::TaskId;
use super::queued::Queued;
use super::report::Origin;
use crate::table::TableKey;
pub use abort::AbortHandle;
use abort::{Target, abort_task};
use awaiter::Awaiter;
pub(super) use distant::send;
use distant::{Distant, Found};
pub use error::JoinError;
pub(super) use outcome::{Ended, Outcome};

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
    Known(Known<T>),
    /// It was sent to the loop of another thread, and nobody has looked yet whether it arrived.
    Distant(Arc<Distant<T>>),
}

struct Known<T: 'static> {
    /// `None` if its outcome was taken.
    task: Option<FallibleTask<Outcome<T>, Queued>>,
    key: TableKey,
    origin: Origin,
    awaiter: Option<Arc<Awaiter>>,
}

impl<T> JoinHandle<T> {
    pub(super) fn new(task: Task<Outcome<T>, Queued>, key: TableKey, origin: Origin) -> Self {
        Self { inner: Inner::Known(Known { task: Some(task.fallible()), key, origin, awaiter: None }) }
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
            Inner::Known(known) => abort_task(&known.origin.remote, known.key),
            Inner::Distant(distant) => distant.fate().abort(),
        }
    }

    /// What ends the task from other places and other threads, while somebody else awaits it.
    #[must_use]
    pub fn abort_handle(&self) -> AbortHandle {
        AbortHandle::new(match &self.inner {
            Inner::Nowhere => Target::Nowhere,
            Inner::Known(known) => Target::Known(known.origin.remote.clone(), known.key),
            Inner::Distant(distant) => Target::Distant(Arc::clone(distant.fate())),
        })
    }

    fn known(&self) -> Option<(&Remote, TableKey)> {
        match &self.inner {
            Inner::Known(known) => Some((&known.origin.remote, known.key)),
            Inner::Nowhere | Inner::Distant(_) => None,
        }
    }

    /// Whether the task has ended: awaiting it gives an answer at once.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        match &self.inner {
            Inner::Nowhere => true,
            Inner::Known(known) => known.task.as_ref().is_none_or(FallibleTask::is_finished),
            Inner::Distant(distant) => distant.look(false, true, Self::is_finished),
        }
    }

    /// The task's number; `None` if it never ran, or has not yet arrived at its loop from another thread.
    #[must_use]
    pub fn id(&self) -> Option<TaskId> {
        match &self.inner {
            Inner::Nowhere => None,
            Inner::Known(known) => Some(TaskId::new(known.origin.remote.loop_id(), known.key)),
            Inner::Distant(distant) => distant.look(None, None, Self::id),
        }
    }

    /// The name that its [builder](super::Builder) gave it.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match &self.inner {
            Inner::Nowhere => None,
            Inner::Known(known) => known.origin.name.as_deref(),
            Inner::Distant(distant) => distant.name(),
        }
    }
}

impl<T> Known<T> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<T, JoinError>> {
        let Some(task) = &mut self.task else { return Poll::Ready(Err(JoinError::never_ran())) };
        let guard = match task.is_finished() {
            true => None,
            false => Awaiter::guard(&mut self.awaiter, &self.origin, context),
        };
        let outcome = match guard {
            Some(waker) => ready!(Pin::new(task).poll(&mut Context::from_waker(&waker))),
            None => ready!(Pin::new(task).poll(context)),
        };
        self.task = None;
        let result = outcome.and_then(|mut outcome| outcome.take()).unwrap_or(Err(Ended::Aborted));
        Poll::Ready(result.map_err(JoinError::from))
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
            Inner::Known(known) => known.poll(context),
            Inner::Nowhere | Inner::Distant(_) => Poll::Ready(Err(JoinError::never_ran())),
        }
    }
}

impl<T: 'static> Drop for Known<T> {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.detach();
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
