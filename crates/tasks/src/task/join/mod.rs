//! The handle of a task.
//!
//! * `outcome`: how a task ended; `error`: without an output; `abort`: ending it from elsewhere.
//! * `distant`: a task that is on its way to the loop of another thread.

mod abort;
mod distant;
mod error;
mod outcome;

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use marline_reactor::Remote;
use parking_lot::Mutex;

use super::cell::Joined;
use super::list::TaskId;
use crate::table::TableKey;
pub use abort::AbortHandle;
use abort::{Target, abort_task};
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
    Known(Known<T>),
    /// It was sent to the loop of another thread, and nobody has looked yet whether it arrived.
    Distant(Arc<Distant<T>>),
}

struct Known<T: 'static> {
    task: Arc<dyn Joined<T>>,
    /// The handle may go to another thread, or be shared with one, where the output may be sent there.
    output: PhantomData<Mutex<T>>,
}

impl<T> JoinHandle<T> {
    pub(super) fn new(task: Arc<dyn Joined<T>>) -> Self {
        Self { inner: Inner::Known(Known { task, output: PhantomData }) }
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
            Inner::Known(known) => abort_task(known.remote(), known.key()),
            Inner::Distant(distant) => distant.fate().abort(),
        }
    }

    /// What ends the task from other places and other threads, while somebody else awaits it.
    #[must_use]
    pub fn abort_handle(&self) -> AbortHandle {
        AbortHandle::new(match &self.inner {
            Inner::Nowhere => Target::Nowhere,
            Inner::Known(known) => Target::Known(known.remote().clone(), known.key()),
            Inner::Distant(distant) => Target::Distant(Arc::clone(distant.fate())),
        })
    }

    fn known(&self) -> Option<(&Remote, TableKey)> {
        match &self.inner {
            Inner::Known(known) => Some((known.remote(), known.key())),
            Inner::Nowhere | Inner::Distant(_) => None,
        }
    }

    /// Whether the task has ended: awaiting it gives an answer at once.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        match &self.inner {
            Inner::Nowhere => true,
            Inner::Known(known) => known.task.has_ended(),
            Inner::Distant(distant) => distant.look(false, true, Self::is_finished),
        }
    }

    /// The task's number; `None` if it never ran, or has not yet arrived at its loop from another thread.
    #[must_use]
    pub fn id(&self) -> Option<TaskId> {
        match &self.inner {
            Inner::Nowhere => None,
            Inner::Known(known) => Some(TaskId::new(known.remote().loop_id(), known.key())),
            Inner::Distant(distant) => distant.look(None, None, Self::id),
        }
    }

    /// The name that its [builder](super::Builder) gave it.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match &self.inner {
            Inner::Nowhere => None,
            Inner::Known(known) => known.task.header().name.as_deref(),
            Inner::Distant(distant) => distant.name(),
        }
    }
}

impl<T> Known<T> {
    fn remote(&self) -> &Remote {
        self.task.header().injector.remote()
    }

    fn key(&self) -> TableKey {
        self.task.header().key
    }

    fn poll(&self, context: &Context<'_>) -> Poll<Result<T, JoinError>> {
        Poll::Ready(match ready!(self.task.poll_output(context)) {
            Some(outcome) => outcome.map_err(JoinError::from),
            None => Err(JoinError::never_ran()),
        })
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
        self.task.detach();
    }
}

// The handle is not tied to the place of anything: the task lives elsewhere.
impl<T> Unpin for JoinHandle<T> {}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("is_finished", &self.is_finished()).finish_non_exhaustive()
    }
}
