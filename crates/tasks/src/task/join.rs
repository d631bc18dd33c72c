//! The handle of a task.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_task::{FallibleTask, Task};
use marline_reactor::Panic;

use super::list::TaskId;
use super::report::{self, Origin};
use crate::local::Local;
use crate::mail;
use crate::table::TableKey;

/// How a task ended without an output.
#[derive(Debug)]
pub(crate) enum Ended {
    Aborted,
    Panicked(Panic),
}

/// How a task ended, for whoever takes it. Dropped untaken, by whomever and wherever, it reports the failure that nobody waits
/// for: so there is no moment between the end of a task and the drop of its handle at which a failure could get lost.
pub(super) struct Outcome<T: 'static> {
    /// `None` once taken.
    result: Option<Result<T, Ended>>,
    origin: Origin,
}

impl<T> Outcome<T> {
    pub(super) fn new(result: Result<T, Ended>, origin: Origin) -> Self {
        Self { result: Some(result), origin }
    }
}

impl<T: 'static> Drop for Outcome<T> {
    fn drop(&mut self) {
        if let Some(result) = self.result.take() {
            report::unobserved(result, &self.origin);
        }
    }
}

/// A task that was started: a future of its output.
///
/// It is `Send` and `Sync` where the output is, although the task itself stays on its loop's thread.
///
/// # Cancellation
///
/// Dropping it lets the task go on by itself. [`abort`](Self::abort) ends the task. Awaited through a reference it can be
/// left and awaited again.
pub struct JoinHandle<T: 'static> {
    /// `None` if it never ran, or its outcome was taken.
    task: Option<FallibleTask<Outcome<T>>>,
    door: Option<(TableKey, Origin)>,
}

impl<T> JoinHandle<T> {
    pub(super) fn new(task: Task<Outcome<T>>, key: TableKey, origin: Origin) -> Self {
        Self { task: Some(task.fallible()), door: Some((key, origin)) }
    }

    /// There was no loop to run it.
    pub(super) fn never_ran() -> Self {
        Self { task: None, door: None }
    }

    /// Ends the task: its future is dropped at the place where it waits, from the loop, and never polled again. A task that
    /// is finished keeps its output. From another thread it happens a little later.
    pub fn abort(&self) {
        self.on_executor(super::Executor::abort);
    }

    /// Whether the task has ended: awaiting it gives an answer at once.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.task.as_ref().is_none_or(FallibleTask::is_finished)
    }

    /// The task's number; `None` if it never ran.
    #[must_use]
    pub fn id(&self) -> Option<TaskId> {
        let (key, origin) = self.door.as_ref()?;
        Some(TaskId::new(origin.remote.loop_id(), *key))
    }

    /// The name that its [builder](super::Builder) gave it.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        let (_, origin) = self.door.as_ref()?;
        origin.name.as_deref()
    }

    /// Does something with the task's entry, on the loop's thread.
    fn on_executor(&self, act: fn(&super::Executor, TableKey)) {
        let Some((key, Origin { remote, .. })) = &self.door else { return };
        let key = *key;
        if let Some(local) = Local::find(remote) {
            act(&local.executor, key);
            return;
        }
        let there = remote.clone();
        // If the loop is gone, so is the task.
        _ = mail::send(remote, move || {
            if let Some(local) = Local::find(&there) {
                act(&local.executor, key);
            }
        });
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(task) = &mut self.task else {
            return Poll::Ready(Err(JoinError { kind: Kind::NeverRan }));
        };
        let Poll::Ready(outcome) = Pin::new(task).poll(context) else { return Poll::Pending };
        self.task = None;
        Poll::Ready(match outcome.and_then(|mut outcome| outcome.result.take()) {
            Some(Ok(output)) => Ok(output),
            Some(Err(Ended::Panicked(panic))) => Err(JoinError { kind: Kind::Panicked(panic) }),
            Some(Err(Ended::Aborted)) | None => Err(JoinError { kind: Kind::Aborted }),
        })
    }
}

impl<T: 'static> Drop for JoinHandle<T> {
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

/// A task has no output.
pub struct JoinError {
    kind: Kind,
}

enum Kind {
    NeverRan,
    Aborted,
    Panicked(Panic),
}

impl JoinError {
    /// Whether it was aborted, or its loop ended.
    #[must_use]
    pub fn is_aborted(&self) -> bool {
        matches!(self.kind, Kind::Aborted)
    }

    /// Whether it panicked.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        matches!(self.kind, Kind::Panicked(_))
    }

    /// Whether it never ran, because there was no loop, or the loop had ended. So answers also a handle whose outcome was
    /// taken before.
    #[must_use]
    pub fn is_never_ran(&self) -> bool {
        matches!(self.kind, Kind::NeverRan)
    }

    /// What it panicked with, as [`std::panic::catch_unwind`] gives it.
    #[must_use]
    pub fn into_panic(self) -> Option<Box<dyn Any + Send>> {
        match self.kind {
            Kind::Panicked(panic) => panic.take_payload(),
            _ => None,
        }
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::NeverRan => f.write_str("the task never ran: there was no loop for it"),
            Kind::Aborted => f.write_str("the task was aborted"),
            Kind::Panicked(panic) => write!(f, "the task {panic}"),
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinError({self})")
    }
}

impl Error for JoinError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.kind {
            Kind::Panicked(panic) => Some(panic),
            _ => None,
        }
    }
}
