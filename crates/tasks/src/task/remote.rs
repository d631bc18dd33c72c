//! Tasks from other threads.

use std::panic::Location;

use marline_reactor::Remote;

use super::join::{self, JoinHandle};
use super::live::Name;
use super::spawn_at;

/// Starts a task on another loop, from any thread. It is polled and dropped on that loop's thread; its handle can be awaited
/// anywhere: by a task of this or another loop, or under any other executor.
///
/// It gets there as a [post](Remote::post) does, so tasks that one thread sends begin in the order in which they were sent,
/// and a program that [limits](marline_reactor::Builder::post_limit) the posts limits these. On the loop's own thread it is
/// started as by [`spawn_on`](crate::spawn_on).
///
/// No task is lost in silence. If the loop refuses, or has ended, the future is dropped before this returns, and the handle
/// answers with an error; if the loop ends before the task arrives, the future is dropped on the loop's thread, and the handle
/// answers then. Like every task this one does not keep its loop running; see
/// [`Handle::keep_alive`](marline_reactor::Handle::keep_alive).
///
/// # Cancellation
///
/// That of [`JoinHandle`]. A task that is aborted before it arrives is never polled.
///
/// ```
/// use marline_reactor::Reactor;
/// use marline_tasks::{sleep, spawn_remote};
/// use std::time::Duration;
///
/// let reactor = Reactor::new()?;
/// let (remote, alive) = (reactor.handle().remote(), reactor.handle().keep_alive());
/// let thread = std::thread::spawn(move || {
///     let task = spawn_remote(&remote, async {
///         sleep(Duration::from_millis(1)).await;
///         6 * 7
///     });
///     let answer = futures::executor::block_on(task).unwrap();
///     spawn_remote(&remote, async { marline_reactor::Handle::current().unwrap().stop() });
///     answer
/// });
/// reactor.run()?;
/// assert_eq!(thread.join().unwrap(), 42);
/// # drop(alive);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[track_caller]
pub fn spawn_remote<F>(remote: &Remote, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    send_to(remote, move || future, Location::caller(), None)
}

/// As [`spawn_remote`], of a future that is not `Send`: `make` is called on the loop's thread and makes it there, when the task
/// is first polled. A panic of `make` is one of the task's.
///
/// ```
/// use marline_reactor::Reactor;
/// use marline_tasks::spawn_remote_with;
/// use std::rc::Rc;
///
/// let reactor = Reactor::new()?;
/// let (remote, alive) = (reactor.handle().remote(), reactor.handle().keep_alive());
/// let thread = std::thread::spawn(move || {
///     let task = spawn_remote_with(&remote, || {
///         let shared = Rc::new(42);
///         async move {
///             marline_reactor::Handle::current().unwrap().stop();
///             *shared
///         }
///     });
///     futures::executor::block_on(task)
/// });
/// reactor.run()?;
/// assert_eq!(thread.join().unwrap()?, 42);
/// # drop(alive);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[track_caller]
pub fn spawn_remote_with<M, F>(remote: &Remote, make: M) -> JoinHandle<F::Output>
where
    M: FnOnce() -> F + Send + 'static,
    F: Future + 'static,
    F::Output: Send + 'static,
{
    send_to(remote, make, Location::caller(), None)
}

/// As [`spawn_remote_with`], called at `place`.
pub(crate) fn spawn_remote_at<M, F>(
    remote: &Remote,
    make: M,
    place: &'static Location<'static>,
) -> JoinHandle<F::Output>
where
    M: FnOnce() -> F + Send + 'static,
    F: Future + 'static,
    F::Output: Send + 'static,
{
    send_to(remote, make, place, None)
}

pub(super) fn send_to<M, F>(
    remote: &Remote,
    make: M,
    place: &'static Location<'static>,
    name: Option<Name>,
) -> JoinHandle<F::Output>
where
    M: FnOnce() -> F + Send + 'static,
    F: Future + 'static,
    F::Output: Send + 'static,
{
    match remote.local() {
        Some(handle) => spawn_at(Some(&handle), async move { make().await }, place, name),
        None => join::send(remote, make, place, name),
    }
}
