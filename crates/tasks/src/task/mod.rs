//! Tasks: futures that the loop runs.
//!
//! * `executor`: what the loop keeps of its tasks, `live` of each; `injector`: what other threads have to say of them.
//! * `cell`: a task, from its future to its output; `owners`: who holds it; `allowance`: how much a task gets in one go.
//! * `blocking`: work that blocks, as a future.
//! * `join`: the handle of a task; `run`: a whole program as one.
//! * `builder`: tasks with names; `list`: what tasks there are; `remote`: tasks from other threads; `spans`: tasks as
//!   `tokio-console` reads them.
//! * `group`: tasks that end before the group that started them; `local_value`: values of a task's own.

mod allowance;
mod blocking;
mod builder;
mod cell;
mod executor;
mod group;
mod injector;
mod join;
mod list;
mod live;
mod local_value;
mod owners;
mod remote;
mod report;
mod run;
mod spans;
mod yield_now;

pub use blocking::{Blocking, BlockingError, spawn_blocking};
pub use builder::Builder;
pub(crate) use cell::{clone_of_task, wake_task, wake_task_next};
pub(crate) use executor::Executor;
pub use executor::{TaskStats, task_stats};
pub use group::{Collecting, FailFast, GroupClosed, GroupError, GroupSpawner, TaskGroup};
pub use join::{AbortHandle, JoinError, JoinHandle};
pub use list::{TaskId, TaskInfo, TaskState, task_list, task_list_on};
pub use local_value::{LocalPlace, NotInScope, Scoped, TaskLocal};
pub(crate) use owners::Thread;
pub(crate) use remote::spawn_remote_at;
pub use remote::{spawn_remote, spawn_remote_with};
pub use run::{run, run_on};
pub use yield_now::{YieldNow, yield_now};

use std::panic::{AssertUnwindSafe, Location, catch_unwind};

use marline_reactor::{DebugMode, Handle, Panic};

use crate::local::Local;
use live::Name;

/// Starts a task on the loop that runs here. It is polled for the first time from the loop, after what is ready now.
///
/// The task goes on when the handle is dropped. If nobody awaits it then, a panic is reported to whoever is
/// [told of failures](Handle::on_failure), and so is an `Err` of these types: `Result<(), E>`, `Result<u64, E>` and
/// `Result<usize, E>`, where `E` is `std::io::Error`, `Box<dyn Error>` (also `+ Send + Sync`), or `String`. Other
/// outputs are dropped in silence.
///
/// Without a loop, or on one that has ended, the future is dropped, and the handle answers with an error.
///
/// ```
/// marline_tasks::run(async {
///     let task = marline_tasks::spawn(async { 6 * 7 });
///     assert_eq!(task.await?, 42);
///     Ok::<(), Box<dyn std::error::Error>>(())
/// }).unwrap();
/// ```
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    spawn_at(current().as_ref(), future, Location::caller(), None)
}

/// As [`spawn`], on this loop.
#[track_caller]
pub fn spawn_on<F>(handle: &Handle, future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    spawn_at(Some(handle), future, Location::caller(), None)
}

fn current() -> Option<Handle> {
    Handle::current().ok()
}

fn spawn_at<F>(
    handle: Option<&Handle>,
    future: F,
    place: &'static Location<'static>,
    name: Option<Name>,
) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let handle = handle.filter(|handle| !handle.is_over());
    let found = handle.and_then(|handle| Some((handle, Local::of(handle)?)));
    match found {
        Some((handle, local)) => local.executor.spawn(handle, future, place, name),
        None => {
            if handle.is_none() && DebugMode::from_env().is_some() {
                tracing::warn!(
                    "the task started at {place} never runs: no loop that goes on runs on this thread"
                );
            }
            JoinHandle::never_ran()
        }
    }
}

/// Goes on with a future as a task that nobody awaits.
pub(crate) fn detach_at<F>(handle: &Handle, future: F, place: &'static Location<'static>)
where
    F: Future + 'static,
    F::Output: 'static,
{
    drop(spawn_at(Some(handle), future, place, None));
}

/// Calls code of the user's. A panic becomes an error.
#[inline]
pub(crate) fn contain<R>(call: impl FnOnce() -> R) -> Result<R, Panic> {
    // The future that panicked is dropped and never polled again.
    catch_unwind(AssertUnwindSafe(call)).map_err(Panic::new)
}
