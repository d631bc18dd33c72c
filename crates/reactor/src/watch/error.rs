//! What can go wrong.

use std::error::Error;
use std::fmt;
use std::io;
use std::os::fd::RawFd;

use thiserror::Error;

use crate::contain::Panic;

/// A source could not be watched. Hands it back.
pub struct WatchError<S> {
    watched: S,
    kind: WatchErrorKind,
}

/// Why a source could not be watched.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WatchErrorKind {
    /// The loop watches it already. That goes on as before.
    #[error("{} is watched by this loop already", Named(*descriptor))]
    Watched {
        /// Which, where it has one.
        descriptor: Option<RawFd>,
    },
    /// It belongs to the loop: a connection's or a listener's socket, or something else it has registered.
    #[error("{} belongs to this loop", Named(*descriptor))]
    Owned {
        /// Which, where it has one.
        descriptor: Option<RawFd>,
    },
    /// The system cannot tell when it is ready, because it always is: a file, a folder, `/dev/null`.
    #[error("{} cannot be waited for: it is always ready", Named(*descriptor))]
    NotPollable {
        /// Which, where it has one.
        descriptor: Option<RawFd>,
    },
    /// The backend of this loop does not watch sources of this kind.
    #[error("the loop's backend does not watch such sources")]
    Unsupported,
    /// The system refused.
    #[error("{} cannot be watched: {cause}", Named(*descriptor))]
    System {
        /// Which, where it has one.
        descriptor: Option<RawFd>,
        /// The system's error.
        #[source]
        cause: io::Error,
    },
    /// The source has another descriptor than when it was watched. This is only reported, and ends the watch.
    #[error("{} was replaced while it was watched", Named(*descriptor))]
    Replaced {
        /// The one that was watched.
        descriptor: Option<RawFd>,
    },
    /// The source panicked when it was asked what to watch, or when it registered itself.
    #[error("the source {0}")]
    Panicked(#[source] Panic),
    /// No loop runs here.
    #[error("no loop runs on this thread")]
    NotInLoop,
    /// The loop was shut down or dropped.
    #[error("the loop has ended")]
    Over,
}

impl<S> WatchError<S> {
    /// For whoever builds on [`Handle::watch`](crate::Handle::watch).
    #[must_use]
    pub fn new(source: S, kind: WatchErrorKind) -> Self {
        Self { watched: source, kind }
    }

    /// Why.
    #[must_use]
    pub fn kind(&self) -> &WatchErrorKind {
        &self.kind
    }

    /// Why, without the source: an error that can be passed on where the source belongs to its thread.
    #[must_use]
    pub fn into_kind(self) -> WatchErrorKind {
        self.kind
    }

    /// The source.
    pub fn into_inner(self) -> S {
        self.watched
    }

    /// The source, and why it was not watched.
    pub fn into_parts(self) -> (S, WatchErrorKind) {
        (self.watched, self.kind)
    }
}

impl<S> fmt::Debug for WatchError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchError").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl<S> fmt::Display for WatchError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl<S> Error for WatchError<S> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.kind.source()
    }
}

/// For programs that pass errors on, with the kind of the system's error.
impl From<WatchErrorKind> for io::Error {
    fn from(error: WatchErrorKind) -> Self {
        let kind = match &error {
            WatchErrorKind::System { cause, .. } => cause.kind(),
            WatchErrorKind::Watched { .. } | WatchErrorKind::Owned { .. } => io::ErrorKind::AlreadyExists,
            WatchErrorKind::NotPollable { .. } => io::ErrorKind::InvalidInput,
            WatchErrorKind::Unsupported | WatchErrorKind::NotInLoop => io::ErrorKind::Unsupported,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

/// For programs that pass errors on: the source is dropped.
impl<S> From<WatchError<S>> for io::Error {
    fn from(error: WatchError<S>) -> Self {
        error.kind.into()
    }
}

impl WatchErrorKind {
    pub(super) fn from_io(error: io::Error, descriptor: Option<RawFd>) -> Self {
        match error.kind() {
            io::ErrorKind::AlreadyExists => Self::Owned { descriptor },
            // epoll_ctl(2): EPERM, the target does not support epoll.
            io::ErrorKind::PermissionDenied => Self::NotPollable { descriptor },
            io::ErrorKind::Unsupported => Self::Unsupported,
            _ => Self::System { descriptor, cause: error },
        }
    }
}

/// The interest in a source could not be changed. It is watched no more if [`is_gone`](Self::is_gone), and otherwise
/// as before.
#[derive(Debug)]
pub struct InterestError {
    /// `None` if there is nothing to change.
    cause: Option<io::Error>,
}

impl InterestError {
    pub(super) fn gone() -> Self {
        Self { cause: None }
    }

    pub(super) fn system(cause: io::Error) -> Self {
        Self { cause: Some(cause) }
    }

    /// Whether the source is not watched any more.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.cause.is_none()
    }
}

impl fmt::Display for InterestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            None => f.write_str("the source is not watched any more"),
            Some(cause) => write!(f, "the interest in a source cannot be changed: {cause}"),
        }
    }
}

impl Error for InterestError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_ref().map(|cause| cause as _)
    }
}

/// A source, for people.
pub(super) struct Named(pub(super) Option<RawFd>);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(descriptor) => write!(f, "descriptor {descriptor}"),
            None => f.write_str("the source"),
        }
    }
}
