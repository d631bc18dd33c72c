//! What can go wrong.

use std::ffi::OsString;
use std::io;
use std::os::fd::RawFd;

use thiserror::Error;

use crate::error::OpenError;
use crate::os_signal::SignalKind;

/// A process could not be started. Nothing is left of it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// The system refused, or the program could not be executed: it is not there, or not allowed.
    #[error("cannot start {program:?}: {cause}")]
    System {
        /// Which program.
        program: OsString,
        /// The system's error.
        #[source]
        cause: io::Error,
    },
    /// One of its descriptors could not be made: it is negative or beyond the limit, there is nothing to inherit, or the
    /// system has no descriptors left.
    #[error("cannot make descriptor {number} of {program:?}: {cause}")]
    Descriptor {
        /// Which program.
        program: OsString,
        /// Which descriptor of the child's.
        number: RawFd,
        /// The system's error.
        #[source]
        cause: io::Error,
    },
    /// Our end of one of its pipes could not be opened. The child was killed.
    #[error("cannot open the pipe to descriptor {number} of {program:?}: {cause}")]
    Pipe {
        /// Which program.
        program: OsString,
        /// Which descriptor of the child's.
        number: RawFd,
        /// Why.
        #[source]
        cause: OpenError,
    },
    /// No loop runs here.
    #[error("no loop runs on this thread")]
    NotInLoop,
    /// The loop was shut down or dropped.
    #[error("the loop has ended")]
    Over,
}

/// For programs that pass errors on.
impl From<SpawnError> for io::Error {
    fn from(error: SpawnError) -> Self {
        let kind = match &error {
            SpawnError::System { cause, .. } | SpawnError::Descriptor { cause, .. } => cause.kind(),
            SpawnError::NotInLoop => io::ErrorKind::Unsupported,
            SpawnError::Pipe { .. } | SpawnError::Over => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

/// A signal could not be sent to a process.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KillError {
    /// It has ended already. Nobody was hit instead.
    #[error("the process has ended")]
    Exited,
    /// The system refused: the child runs as another user, or there is no such signal.
    #[error("cannot send {signal}: {cause}")]
    System {
        /// Which signal.
        signal: SignalKind,
        /// The system's error.
        #[source]
        cause: io::Error,
    },
    /// The loop has ended, and does not know what became of it.
    #[error("the loop has ended")]
    Over,
}

/// For programs that pass errors on.
impl From<KillError> for io::Error {
    fn from(error: KillError) -> Self {
        let kind = match &error {
            KillError::System { cause, .. } => cause.kind(),
            KillError::Over => io::ErrorKind::Other,
            // What `kill(2)` calls ESRCH.
            KillError::Exited => io::ErrorKind::NotFound,
        };
        Self::new(kind, error)
    }
}
