//! What a program asks of the pool, and gets.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use super::crew::Shared;
use super::error::{JobError, PoolError};
use super::ticket::Work;
use super::{Refused, Whose};
use crate::key::Key;
use crate::reactor::Handle;

/// A job on the loop's pool, made by [`Handle::run_blocking`]. Dropping it changes nothing: the job goes on, its result is
/// delivered, and nobody waits.
///
/// It may be used on any thread.
#[derive(Clone)]
pub struct Job {
    key: Key,
    work: Arc<dyn Work>,
    shared: Arc<Shared>,
}

impl Job {
    pub(super) fn new(key: Key, work: Arc<dyn Work>, shared: &Arc<Shared>) -> Self {
        Self { key, work, shared: Arc::clone(shared) }
    }

    /// Cancels the job: whether it had not begun. Then it never runs, the loop drops what the work holds, and the outcome
    /// is [`JobError::Cancelled`], told from the loop. A job that runs cannot be interrupted.
    pub fn cancel(&self) -> bool {
        let cancelled = self.work.revoke();
        if cancelled {
            self.shared.revoked();
            self.shared.announce(self.key);
        }
        cancelled
    }

    /// Whether it still waits for a thread.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.work.is_waiting()
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("is_waiting", &self.is_waiting()).finish_non_exhaustive()
    }
}

impl Handle {
    /// Runs `work`, which may block, on a thread of the loop's [pool](crate::Builder::pool_threads), and calls `done` with
    /// the outcome, on the loop's thread and from the loop: the result, or that `work` panicked, was
    /// [cancelled](Job::cancel), or came to nothing because the loop was shut down.
    ///
    /// Jobs begin in the order in which they are given; where several have ended when the loop looks, their outcomes come
    /// in any order. Until `done` was called a job keeps [`run`](crate::Reactor::run) from returning for want of
    /// anything to do.
    ///
    /// At a [shutdown](Self::shutdown), once everybody is told, jobs that have not begun never do and new ones are refused;
    /// then, when all connections are gone, the loop's thread waits for those that run, for at most the
    /// [grace](crate::Builder::pool_grace), and tells each its outcome. When the loop is dropped instead, nobody is called, and
    /// the same time is waited at most. Threads that are still busy then end by themselves, as soon as they can.
    ///
    /// # Errors
    ///
    /// Hands `work` and `done` back if as many jobs wait as [may](crate::Builder::pool_queue), if the loop ends, or if there
    /// is no thread and the system lets none be started.
    ///
    /// ```
    /// let reactor = marline_reactor::Reactor::new()?;
    /// let work = || std::fs::read_to_string("/proc/self/comm");
    /// let job = reactor.handle().run_blocking(work, |outcome| match outcome {
    ///     Ok(read) => println!("this program is {read:?}"),
    ///     Err(error) => eprintln!("{error}"),
    /// });
    /// assert!(job.is_ok());
    /// reactor.run()?; // returns after the outcome was told
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn run_blocking<W, T, D>(&self, work: W, done: D) -> Result<Job, PoolError<W, D>>
    where
        W: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
        D: FnOnce(Result<T, JobError>) + 'static,
    {
        let started = self.shell().start_job(Whose::Program, work, done, Location::caller());
        started.map_err(|Refused { why, work, done }| PoolError::new(why, work, done))
    }
}
