//! Ending a task from elsewhere.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::task::cell::TaskRef;
use crate::task::injector;
use crate::task::list::TaskId;

/// Ends a task without waiting for it: made by [`JoinHandle::abort_handle`](super::JoinHandle::abort_handle).
///
/// It is `Send` and `Sync`, whatever the output of the task is, and clones end the same task. It keeps neither the task nor
/// its output, and dropping it changes nothing.
///
/// ```
/// use marline_tasks::spawn;
///
/// marline_tasks::run(async {
///     let task = spawn(std::future::pending::<std::rc::Rc<()>>());
///     let handle = task.abort_handle();
///     std::thread::spawn(move || handle.abort());
///     assert!(task.await.unwrap_err().is_aborted());
///     Ok::<(), Box<dyn std::error::Error>>(())
/// }).unwrap();
/// ```
#[derive(Clone)]
pub struct AbortHandle {
    target: Target,
}

#[derive(Clone)]
pub(super) enum Target {
    /// There is no task.
    Nowhere,
    Known(TaskRef),
    Distant(Arc<Fate>),
}

impl AbortHandle {
    pub(super) fn new(target: Target) -> Self {
        Self { target }
    }

    /// As [`JoinHandle::abort`](super::JoinHandle::abort).
    pub fn abort(&self) {
        match &self.target {
            Target::Nowhere => {}
            Target::Known(task) => injector::abort(task),
            Target::Distant(fate) => fate.abort(),
        }
    }

    /// As [`JoinHandle::id`](super::JoinHandle::id).
    #[must_use]
    pub fn id(&self) -> Option<TaskId> {
        match &self.target {
            Target::Nowhere => None,
            Target::Known(task) => Some(task.header().id()),
            Target::Distant(fate) => fate.state.lock().arrived.as_ref().map(|task| task.header().id()),
        }
    }
}

impl fmt::Debug for AbortHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AbortHandle").field("id", &self.id()).finish_non_exhaustive()
    }
}

/// What is to become of a task that is on its way to its loop.
#[derive(Default)]
pub(super) struct Fate {
    state: Mutex<FateState>,
}

#[derive(Default)]
struct FateState {
    aborted: bool,
    arrived: Option<TaskRef>,
}

impl Fate {
    pub(super) fn abort(&self) {
        let mut state = self.state.lock();
        state.aborted = true;
        let arrived = state.arrived.clone();
        drop(state);
        if let Some(task) = arrived {
            injector::abort(&task);
        }
    }

    pub(super) fn is_aborted(&self) -> bool {
        self.state.lock().aborted
    }

    /// It has become this task: whether that is to end at once.
    pub(super) fn arrive(&self, task: &TaskRef) -> bool {
        let mut state = self.state.lock();
        state.arrived = Some(task.clone());
        state.aborted
    }
}
