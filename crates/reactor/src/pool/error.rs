//! How a job can fail, or be refused.

use std::fmt;
use std::io;

use thiserror::Error;

use super::crew::Refusal;
use crate::contain::Panic;

/// A job on the loop's pool has no result.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum JobError {
    /// It was cancelled before it began.
    #[error("the job was cancelled before it began")]
    Cancelled,
    /// It panicked.
    #[error("the job {0}")]
    Panicked(#[source] Panic),
    /// The loop was shut down before it began.
    #[error("the loop was shut down before the job began")]
    NeverBegan,
    /// The loop was shut down, and did not wait for it any longer. It may still run.
    #[error("the loop was shut down while the job ran")]
    Abandoned,
}

/// A job was not taken. Hands back what was given.
#[derive(Error)]
#[error("{}", self.text())]
pub struct PoolError<W, D> {
    why: Refusal,
    work: W,
    done: D,
}

impl<W, D> PoolError<W, D> {
    pub(super) fn new(why: Refusal, work: W, done: D) -> Self {
        Self { why, work, done }
    }

    /// Whether as many jobs [wait](crate::Builder::pool_queue) as may.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self.why, Refusal::Full)
    }

    /// Whether the loop is shutting down, or has ended.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.why, Refusal::Over)
    }

    /// The system's error, if no thread could be started and there was none.
    #[must_use]
    pub fn thread_error(&self) -> Option<&io::Error> {
        match &self.why {
            Refusal::Thread(error) => Some(error),
            _ => None,
        }
    }

    /// The work, and what was to be called with its result.
    pub fn into_inner(self) -> (W, D) {
        (self.work, self.done)
    }

    fn text(&self) -> String {
        match &self.why {
            Refusal::Full => "too many jobs wait for the loop's pool".to_owned(),
            Refusal::Over => "the loop is shutting down, or has ended".to_owned(),
            Refusal::Thread(error) => format!("no thread could be started for the job: {error}"),
        }
    }
}

impl<W, D> fmt::Debug for PoolError<W, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolError").field("why", &self.why).finish_non_exhaustive()
    }
}
