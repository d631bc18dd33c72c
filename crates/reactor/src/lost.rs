//! Why a connection ended.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use crate::contain::Panic;

/// Why a connection ended, and what was lost with it.
#[derive(Clone, Debug)]
pub struct Lost {
    reason: Reason,
    unsent: usize,
}

/// The kinds of ends.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Reason {
    /// In good order: both directions ended, or `close` was called and everything was sent.
    Clean,
    /// The peer reset the connection, or no longer took what was sent.
    Reset,
    /// `abort` was called.
    Aborted,
    /// A deadline passed: nothing moved while closing, or a policy's limit.
    Timeout,
    /// The peer's direction ended before it said so in the way that a [filter](crate::filter) demands: what came last may be
    /// missing. TLS tells it from a good end.
    Truncated,
    /// A callback answered with this error ([`Transport::fail`](crate::Transport::fail)), or a [filter](crate::filter) failed.
    Failed(Arc<dyn Error + Send + Sync>),
    /// A callback panicked.
    Panicked(Panic),
    /// The loop was shut down.
    Shutdown,
    /// The system reported another error.
    Io(Arc<io::Error>),
}

impl Lost {
    pub(crate) fn new(reason: Reason, unsent: usize) -> Self {
        Self { reason, unsent }
    }

    /// The kind of the end.
    #[must_use]
    pub fn reason(&self) -> &Reason {
        &self.reason
    }

    /// How many bytes that `write` accepted had not been handed to the system.
    #[must_use]
    pub fn unsent(&self) -> usize {
        self.unsent
    }

    /// Whether it ended in good order.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        matches!(self.reason, Reason::Clean)
    }

    /// Whether the peer reset it.
    #[must_use]
    pub fn is_reset(&self) -> bool {
        matches!(self.reason, Reason::Reset)
    }

    /// Whether a deadline passed.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self.reason, Reason::Timeout)
    }

    /// Whether the peer's direction ended where it should not have.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        matches!(self.reason, Reason::Truncated)
    }

    pub(crate) fn set_reason(&mut self, reason: Reason) {
        self.reason = reason;
    }

    pub(crate) fn set_unsent(&mut self, unsent: usize) {
        self.unsent = unsent;
    }

    /// The error that a stream answers with after this end.
    #[must_use]
    pub fn to_io_error(&self) -> io::Error {
        let kind = match &self.reason {
            Reason::Clean => io::ErrorKind::BrokenPipe,
            Reason::Reset => io::ErrorKind::ConnectionReset,
            Reason::Aborted | Reason::Shutdown => io::ErrorKind::ConnectionAborted,
            Reason::Timeout => io::ErrorKind::TimedOut,
            Reason::Truncated => io::ErrorKind::UnexpectedEof,
            Reason::Failed(_) | Reason::Panicked(_) => io::ErrorKind::Other,
            Reason::Io(error) => error.kind(),
        };
        io::Error::new(kind, self.clone())
    }
}

impl Reason {
    /// The reason that stands for an error of the system. A peer that takes no more (EPIPE) has reset us: our own
    /// end of the direction is never written to.
    pub(crate) fn from_io(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Self::Reset,
            _ => Self::Io(Arc::new(error)),
        }
    }

    /// Whether it is a failure of a callback, which hides nothing and is hidden by nothing.
    pub(crate) fn is_failure(&self) -> bool {
        matches!(self, Self::Failed(_) | Self::Panicked(_))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clean => f.write_str("the connection ended"),
            Self::Reset => f.write_str("the peer reset the connection"),
            Self::Aborted => f.write_str("the connection was aborted"),
            Self::Timeout => f.write_str("the connection timed out"),
            Self::Truncated => f.write_str("the peer's direction was cut off"),
            Self::Failed(error) => write!(f, "the connection's protocol failed: {error}"),
            Self::Panicked(panic) => write!(f, "the connection's protocol {panic}"),
            Self::Shutdown => f.write_str("the loop was shut down"),
            Self::Io(error) => write!(f, "the connection broke: {error}"),
        }
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)?;
        if self.unsent > 0 { write!(f, " ({} bytes unsent)", self.unsent) } else { Ok(()) }
    }
}

impl Error for Lost {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.reason {
            Reason::Failed(error) => Some(&**error),
            Reason::Io(error) => Some(&**error),
            Reason::Panicked(panic) => Some(panic),
            _ => None,
        }
    }
}
