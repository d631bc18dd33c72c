//! Async code on a group of loops: what the two traits here add to [`Group`] and [`GroupHandle`].

use std::panic::Location;
use std::time::Duration;

#[allow(unused_imports, reason = "the documentation links to it")]
use marline_reactor::Worker;
use marline_reactor::{Group, GroupHandle, GroupStats, IntoEndpoint, ListenError, Rolled};
use parking_lot::Mutex;

use crate::deferred::{Deferred, deferred};
use crate::net::{Stream, conversation_at};
use crate::task::{JoinHandle, spawn_remote_at};

/// Serving connections by async functions, on every loop of a [`Group`].
///
/// ```no_run
/// use marline_reactor::Group;
/// use marline_tasks::{AsyncGroup, copy};
///
/// fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
///     Group::new()?
///         .listen_async("tcp://127.0.0.1:8000", |stream| async move { copy(&stream, &stream).await })?
///         .run()
/// }
/// ```
///
/// A task that begins with each loop is started by a [hook](Group::on_start), with [`spawn`](crate::spawn()).
pub trait AsyncGroup: Sized {
    /// Serves an endpoint, as [`Group::listen`] does, by a task for each connection, as [`conversation`](crate::conversation)
    /// makes one. Each loop has its own clone of `talk`; its futures stay on the loop of their connection, and need not be `Send`.
    ///
    /// A [drain](GroupHandle::drain) waits for the futures as well as for the connections.
    ///
    /// # Errors
    ///
    /// As those of [`Group::listen`].
    fn listen_async<F, T>(self, endpoint: impl IntoEndpoint, talk: F) -> Result<Self, ListenError>
    where
        F: FnMut(Stream) -> T + Clone + Send + 'static,
        T: Future + 'static,
        T::Output: 'static;
}

impl AsyncGroup for Group {
    #[track_caller]
    fn listen_async<F, T>(self, endpoint: impl IntoEndpoint, talk: F) -> Result<Self, ListenError>
    where
        F: FnMut(Stream) -> T + Clone + Send + 'static,
        T: Future + 'static,
        T::Output: 'static,
    {
        let place = Location::caller();
        let talk = Mutex::new(talk);
        self.listen_with(endpoint, move |worker| {
            let (worker, mut talk) = (worker.clone(), talk.lock().clone());
            let counted = move |stream| {
                let busy = worker.busy();
                let talk = talk(stream);
                async move {
                    let output = talk.await;
                    drop(busy);
                    output
                }
            };
            conversation_at(counted, place)
        })
    }
}

/// Starting tasks on the loops of a [`Group`] from anywhere, and waiting for what its [`GroupHandle`] tells.
///
/// ```
/// use futures::executor::block_on;
/// use marline_reactor::{Group, Handle};
/// use marline_tasks::{GroupTasks, sleep};
/// use std::time::Duration;
///
/// let running = Group::new()?.loops(2).start()?;
/// let group = running.handle();
/// let task = group.spawn_on(1, async {
///     sleep(Duration::from_millis(1)).await;
///     marline_reactor::Worker::current().unwrap().index()
/// });
/// assert_eq!(block_on(task)?, 1);
/// assert_eq!(block_on(group.stats_async())?.loops.len(), 2);
/// group.stop();
/// running.join()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait GroupTasks {
    /// Starts a task on the loop whose turn it is. It gets there as [`spawn_remote`](crate::spawn_remote) sends it, and its handle
    /// can be awaited anywhere: on any loop, and under any other executor.
    ///
    /// A [drain](GroupHandle::drain) does not wait for it, unless the task itself is [busy](Worker::busy). A loop that ends drops
    /// its tasks, and their handles answer so.
    fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static;

    /// As [`spawn`](Self::spawn), on the loop with this [place](GroupHandle::remote): numbers beyond the last begin anew.
    fn spawn_on<F>(&self, index: usize, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static;

    /// As [`spawn`](Self::spawn), of a future that is not `Send`: `make` makes it on the loop's thread.
    fn spawn_with<M, F>(&self, make: M) -> JoinHandle<F::Output>
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future + 'static,
        F::Output: Send + 'static;

    /// What the loops count: [`GroupHandle::stats`].
    fn stats_async(&self) -> Deferred<GroupStats>;

    /// Restarts one loop after the other: [`GroupHandle::restart`].
    fn restart_async(&self, limit: Duration) -> Deferred<Rolled>;
}

impl GroupTasks for GroupHandle {
    #[track_caller]
    fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        spawn_remote_at(&self.next_remote(), move || future, Location::caller())
    }

    #[track_caller]
    fn spawn_on<F>(&self, index: usize, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        spawn_remote_at(&self.remote(index), move || future, Location::caller())
    }

    #[track_caller]
    fn spawn_with<M, F>(&self, make: M) -> JoinHandle<F::Output>
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        spawn_remote_at(&self.next_remote(), make, Location::caller())
    }

    fn stats_async(&self) -> Deferred<GroupStats> {
        let (resolver, stats) = deferred();
        self.stats(move |all| drop(resolver.resolve(all)));
        stats
    }

    fn restart_async(&self, limit: Duration) -> Deferred<Rolled> {
        let (resolver, rolled) = deferred();
        self.restart(limit, move |all| drop(resolver.resolve(all)));
        rolled
    }
}
