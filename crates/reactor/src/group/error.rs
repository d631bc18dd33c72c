//! Why a group could not start, or ended.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use super::report::Report;
use crate::contain::Panic;
use crate::error::{CreateError, ListenError, RunError};
use crate::os_signal::SignalError;

/// A group, or one of its loops, could not start. Whatever of it had started is ended by then.
#[derive(Debug)]
pub struct StartError {
    index: Option<usize>,
    kind: StartErrorKind,
}

/// What kept a group from starting.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartErrorKind {
    /// The system does not tell which processors this process may use.
    Processors(io::Error),
    /// There is no thread for the loop, or for the supervisor, or none with that name.
    Thread(io::Error),
    /// The loop could not be bound to its processor.
    Pin(io::Error),
    /// The loop could not be made.
    Create(CreateError),
    /// It could not listen.
    Listen(ListenError),
    /// It could not handle a signal of the operating system.
    Signal(SignalError),
    /// A [hook](super::Group::on_start) answered with an error.
    Hook(Box<dyn Error + Send + Sync>),
    /// A hook, or what makes a loop or a factory, panicked.
    Panicked(Panic),
    /// The backend of a loop that had started broke before the others had.
    Broken(Arc<RunError>),
    /// The group was stopped meanwhile.
    Stopped,
}

impl StartError {
    pub(super) fn of_group(kind: StartErrorKind) -> Self {
        Self { index: None, kind }
    }

    /// What the end of a loop says of a start that is not over.
    pub(super) fn of_end(index: usize, end: LoopEnd) -> Self {
        let kind = match end {
            LoopEnd::Panicked(panic) => StartErrorKind::Panicked(panic),
            LoopEnd::Broken(error) => StartErrorKind::Broken(error),
            _ => StartErrorKind::Stopped,
        };
        Self::of_loop(index, kind)
    }

    pub(super) fn of_loop(index: usize, kind: StartErrorKind) -> Self {
        Self { index: Some(index), kind }
    }

    /// What it was.
    #[must_use]
    pub fn kind(&self) -> &StartErrorKind {
        &self.kind
    }

    /// The same, to keep.
    #[must_use]
    pub fn into_kind(self) -> StartErrorKind {
        self.kind
    }

    /// Which loop it was, if it was one.
    #[must_use]
    pub fn index(&self) -> Option<usize> {
        self.index
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) => write!(f, "loop {index} of the group cannot start: ")?,
            None => f.write_str("the group cannot start: ")?,
        }
        match &self.kind {
            StartErrorKind::Processors(error) => write!(f, "its processors are not known: {error}"),
            StartErrorKind::Thread(error) => write!(f, "no thread: {error}"),
            StartErrorKind::Pin(error) => write!(f, "it cannot be bound to its processor: {error}"),
            StartErrorKind::Create(error) => error.fmt(f),
            StartErrorKind::Listen(error) => error.fmt(f),
            StartErrorKind::Signal(error) => error.fmt(f),
            StartErrorKind::Hook(error) => error.fmt(f),
            StartErrorKind::Panicked(panic) => panic.fmt(f),
            StartErrorKind::Broken(error) => error.fmt(f),
            StartErrorKind::Stopped => f.write_str("it was stopped meanwhile"),
        }
    }
}

impl Error for StartError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.kind {
            StartErrorKind::Processors(error)
            | StartErrorKind::Thread(error)
            | StartErrorKind::Pin(error) => Some(error),
            StartErrorKind::Create(error) => Some(error),
            StartErrorKind::Listen(error) => Some(error),
            StartErrorKind::Signal(error) => Some(error),
            StartErrorKind::Hook(error) => Some(&**error),
            StartErrorKind::Panicked(panic) => Some(panic),
            StartErrorKind::Broken(error) => Some(&**error),
            StartErrorKind::Stopped => None,
        }
    }
}

/// Loops of a group broke. The report tells of all.
#[derive(Debug)]
pub struct GroupBroken {
    pub(super) report: Report,
}

impl GroupBroken {
    /// What became of every loop.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// The same.
    #[must_use]
    pub fn into_report(self) -> Report {
        self.report
    }
}

impl fmt::Display for GroupBroken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a group of loops has ended, and not all in good order")?;
        let broken = self.report.loops.iter().filter(|report| report.end.is_broken());
        broken.into_iter().try_for_each(|report| write!(f, "; loop {} {}", report.index, report.end))
    }
}

impl Error for GroupBroken {}

/// How a loop of a group ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum LoopEnd {
    /// The group, or its [restart](super::GroupHandle::restart), ended it, when everything was done or its time was over.
    Drained,
    /// The group ended it at once.
    Stopped,
    /// The program did: by [`Handle::stop`](crate::Handle::stop) or [`Handle::shutdown`](crate::Handle::shutdown).
    ByProgram,
    /// Its thread panicked, beyond everything that contains panics; or a callback did, on a loop that a panic
    /// [stops](crate::OnPanic::Stop).
    Panicked(Panic),
    /// Its backend broke.
    Broken(Arc<RunError>),
}

impl LoopEnd {
    /// Whether it should not have come to that.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        matches!(self, Self::Panicked(_) | Self::Broken(_))
    }
}

impl fmt::Display for LoopEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drained => f.write_str("was drained"),
            Self::Stopped => f.write_str("was stopped"),
            Self::ByProgram => f.write_str("was stopped by the program"),
            Self::Panicked(panic) => panic.fmt(f),
            Self::Broken(error) => match error.source() {
                Some(cause) => write!(f, "broke: {error}: {cause}"),
                None => write!(f, "broke: {error}"),
            },
        }
    }
}
