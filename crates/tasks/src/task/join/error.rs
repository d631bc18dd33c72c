//! A task without an output.

use std::any::Any;
use std::error::Error;
use std::fmt;

use marline_reactor::Panic;

use super::outcome::Ended;

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
    pub(super) fn never_ran() -> Self {
        Self { kind: Kind::NeverRan }
    }

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

    /// Whether it never ran, because there was no loop, the loop had ended, or it refused a task from another thread. So
    /// answers also a handle whose outcome was taken before.
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

impl From<Ended> for JoinError {
    fn from(ended: Ended) -> Self {
        let kind = match ended {
            Ended::Aborted => Kind::Aborted,
            Ended::Panicked(panic) => Kind::Panicked(panic),
        };
        Self { kind }
    }
}

/// Of the kind `Other`, for programs that pass errors on.
impl From<JoinError> for std::io::Error {
    fn from(error: JoinError) -> Self {
        Self::other(error)
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
