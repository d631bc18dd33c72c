//! Tasks: futures that the loop runs.
//!
//! * `executor`: what the loop keeps of its tasks; `injector`: wakes, from the loop's thread and others.
//! * `body`: the future around the user's, which contains it; `allowance`: how much a task gets in one go.
//! * `blocking`: work that blocks, as a future.
//! * `join`: the handle of a task; `run`: a whole program as one.

mod allowance;
mod blocking;
mod body;
mod executor;
mod injector;
mod join;
mod report;
mod run;
mod yield_now;

pub use blocking::{Blocking, BlockingError, spawn_blocking};
pub(crate) use executor::Executor;
pub use executor::{TaskStats, task_stats};
pub use join::{JoinError, JoinHandle};
pub use run::{run, run_on};
pub use yield_now::{YieldNow, yield_now};

use std::panic::Location;

use marline_reactor::Handle;

use crate::local::Local;

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
    let place = Location::caller();
    match Handle::current() {
        Ok(handle) => spawn_at(&handle, future, place),
        Err(_) => JoinHandle::never_ran(),
    }
}

/// As [`spawn`], on this loop.
#[track_caller]
pub fn spawn_on<F>(handle: &Handle, future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    spawn_at(handle, future, Location::caller())
}

fn spawn_at<F>(handle: &Handle, future: F, place: &'static Location<'static>) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    match Local::of(handle).filter(|_| !handle.is_over()) {
        Some(local) => local.executor.spawn(future, place),
        None => JoinHandle::never_ran(),
    }
}
