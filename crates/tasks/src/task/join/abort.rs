//! Ending a task from elsewhere.

use std::fmt;
use std::sync::Arc;

use marline_reactor::Remote;
use parking_lot::Mutex;

use crate::local::Local;
use crate::mail;
use crate::table::TableKey;
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
    Known(Remote, TableKey),
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
            Target::Known(remote, key) => abort_task(remote, *key),
            Target::Distant(fate) => fate.abort(),
        }
    }

    /// As [`JoinHandle::id`](super::JoinHandle::id).
    #[must_use]
    pub fn id(&self) -> Option<TaskId> {
        match &self.target {
            Target::Nowhere => None,
            Target::Known(remote, key) => Some(TaskId::new(remote.loop_id(), *key)),
            Target::Distant(fate) => {
                fate.state.lock().arrived.as_ref().map(|(remote, key)| TaskId::new(remote.loop_id(), *key))
            }
        }
    }
}

impl fmt::Debug for AbortHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AbortHandle").field("id", &self.id()).finish_non_exhaustive()
    }
}

/// Aborts a task on its loop's thread.
pub(super) fn abort_task(remote: &Remote, key: TableKey) {
    if let Some(local) = Local::find(remote) {
        return local.executor.abort(key);
    }
    let there = remote.clone();
    // If the loop is gone, so is the task.
    _ = mail::send(remote, move || {
        if let Some(local) = Local::find(&there) {
            local.executor.abort(key);
        }
    });
}

/// What is to become of a task that is on its way to its loop.
#[derive(Default)]
pub(super) struct Fate {
    state: Mutex<FateState>,
}

#[derive(Default)]
struct FateState {
    aborted: bool,
    arrived: Option<(Remote, TableKey)>,
}

impl Fate {
    pub(super) fn abort(&self) {
        let mut state = self.state.lock();
        state.aborted = true;
        let arrived = state.arrived.clone();
        drop(state);
        if let Some((remote, key)) = arrived {
            abort_task(&remote, key);
        }
    }

    pub(super) fn is_aborted(&self) -> bool {
        self.state.lock().aborted
    }

    /// It has become this task: whether that is to end at once.
    pub(super) fn arrive(&self, remote: &Remote, key: TableKey) -> bool {
        let mut state = self.state.lock();
        state.arrived = Some((remote.clone(), key));
        state.aborted
    }
}
