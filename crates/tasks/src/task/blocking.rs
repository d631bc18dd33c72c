//! Work that blocks, as a future.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use marline_reactor::{Handle, Job, JobError, PoolError};

use super::report::{self, Origin};
use crate::deferred::{Deferred, deferred};

/// Runs `work`, which may block, on a thread of the [pool](Handle::run_blocking) of the loop that runs here.
///
/// The work is handed in at once, not when the future is polled first. If the pool is full, the loop is shutting down, or
/// there is none, the work is dropped, and the future answers with an error; [`Handle::run_blocking`] hands it back
/// instead.
///
/// ```
/// use marline_tasks::spawn_blocking;
///
/// marline_tasks::run(async {
///     let name = spawn_blocking(|| std::fs::read_to_string("/proc/self/comm")).await?;
///     println!("this program is {name:?}");
///     assert_eq!(spawn_blocking(|| 6 * 7).await?, 42);
///     Ok::<(), Box<dyn std::error::Error>>(())
/// }).unwrap();
/// ```
#[track_caller]
pub fn spawn_blocking<W, T>(work: W) -> Blocking<T>
where
    W: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let Ok(handle) = Handle::current() else {
        return Blocking { state: State::Refused(Kind::Over) };
    };
    let (resolver, answer) = deferred();
    let origin = Origin { loop_id: handle.loop_id(), place: Location::caller(), name: None };
    // If nobody awaits it any more, the loop drops the result.
    let started = handle.run_blocking(work, move |outcome| {
        drop(resolver.resolve(Answer { outcome: Some(outcome), origin }));
    });
    let state = match started {
        Ok(job) => State::Started { job, answer },
        Err(error) => State::Refused(Kind::refused(&error)),
    };
    Blocking { state }
}

/// Blocking work that was handed in with [`spawn_blocking`]: a future of its result.
///
/// It is `Send` and `Sync`, as its result is `Send`.
///
/// # Cancellation
///
/// Dropping it neither waits for the work nor cancels it: the result is dropped, on the loop's thread, and a panic is reported
/// to whoever is [told of failures](Handle::on_failure), with the place where the work was handed in.
/// [`abort`](Self::abort) cancels work that has not begun. Awaited through a reference it can be left and awaited again.
#[must_use = "the result of the work is lost"]
pub struct Blocking<T> {
    state: State<T>,
}

enum State<T> {
    Started {
        job: Job,
        answer: Deferred<Answer<T>>,
    },
    /// It never began.
    Refused(Kind),
    /// The outcome was taken.
    Over,
}

/// How the work ended. Dropped untaken, by whomever and wherever, it reports a panic that nobody waits for.
struct Answer<T> {
    /// `None` once taken.
    outcome: Option<Result<T, JobError>>,
    origin: Origin,
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        if let Some(Err(JobError::Panicked(panic))) = self.outcome.take() {
            report::work_panicked(panic, &self.origin);
        }
    }
}

impl<T> Blocking<T> {
    /// Cancels the work: whether it had not begun. Work that runs cannot be interrupted. From any thread.
    pub fn abort(&self) -> bool {
        matches!(&self.state, State::Started { job, .. } if job.cancel())
    }
}

impl<T> Future for Blocking<T> {
    type Output = Result<T, BlockingError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = match &mut self.state {
            State::Started { answer, .. } => match ready!(Pin::new(answer).poll(context)) {
                Ok(mut answer) => {
                    answer.outcome.take().unwrap_or(Err(JobError::Abandoned)).map_err(Kind::Failed)
                }
                // The loop was dropped.
                Err(_) => Err(Kind::Failed(JobError::Abandoned)),
            },
            State::Refused(kind) => Err(std::mem::replace(kind, Kind::Over)),
            State::Over => Err(Kind::Over),
        };
        self.state = State::Over;
        Poll::Ready(outcome.map_err(|kind| BlockingError { kind }))
    }
}

// The future is not tied to the place of a result that it does not hold.
impl<T> Unpin for Blocking<T> {}

impl<T> fmt::Debug for Blocking<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blocking").finish_non_exhaustive()
    }
}

/// Blocking work has no result.
pub struct BlockingError {
    kind: Kind,
}

enum Kind {
    Failed(JobError),
    Full,
    Over,
    Thread(String),
}

impl Kind {
    fn refused<W, D>(error: &PoolError<W, D>) -> Self {
        match error.thread_error() {
            Some(error) => Self::Thread(error.to_string()),
            None if error.is_full() => Self::Full,
            None => Self::Over,
        }
    }
}

impl BlockingError {
    /// Whether it was aborted before it began.
    #[must_use]
    pub fn is_aborted(&self) -> bool {
        matches!(self.kind, Kind::Failed(JobError::Cancelled))
    }

    /// Whether it panicked.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        matches!(self.kind, Kind::Failed(JobError::Panicked(_)))
    }

    /// Whether too much other work waited for the pool.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self.kind, Kind::Full)
    }

    /// Whether there was no loop, or it ended before there was a result. So answers also a future whose outcome was
    /// taken before.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.kind, Kind::Over | Kind::Failed(JobError::NeverBegan | JobError::Abandoned))
    }

    /// What it panicked with, as [`std::panic::catch_unwind`] gives it.
    #[must_use]
    pub fn into_panic(self) -> Option<Box<dyn Any + Send>> {
        match self.kind {
            Kind::Failed(JobError::Panicked(panic)) => panic.take_payload(),
            _ => None,
        }
    }
}

/// Of the kind `Other`, for programs that pass errors on.
impl From<BlockingError> for std::io::Error {
    fn from(error: BlockingError) -> Self {
        Self::other(error)
    }
}

impl fmt::Display for BlockingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Failed(error) => error.fmt(f),
            Kind::Full => f.write_str("too much work waits for the loop's pool"),
            Kind::Over => f.write_str("there is no loop to run the work for, or it is shutting down"),
            Kind::Thread(error) => write!(f, "no thread could be started for the work: {error}"),
        }
    }
}

impl fmt::Debug for BlockingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlockingError({self})")
    }
}

impl Error for BlockingError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.kind {
            Kind::Failed(error) => Some(error),
            _ => None,
        }
    }
}
