//! What can go wrong.

use std::io;

use thiserror::Error;

use super::SignalKind;

/// A signal could not be watched.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SignalError {
    /// [Nobody can](SignalKind::is_unwatchable) watch it.
    #[error("{signal} cannot be watched")]
    Unwatchable {
        /// Which.
        signal: SignalKind,
    },
    /// The system refused: it knows no such signal, or has no descriptors left.
    #[error("{signal} cannot be watched: {cause}")]
    System {
        /// Which.
        signal: SignalKind,
        /// The system's error.
        #[source]
        cause: io::Error,
    },
    /// No loop runs here.
    #[error("no loop runs on this thread")]
    NotInLoop,
    /// The loop was shut down or dropped.
    #[error("the loop has ended")]
    Over,
}

/// For programs that pass errors on.
impl From<SignalError> for io::Error {
    fn from(error: SignalError) -> Self {
        let kind = match &error {
            SignalError::System { cause, .. } => cause.kind(),
            SignalError::Unwatchable { .. } => io::ErrorKind::InvalidInput,
            SignalError::NotInLoop => io::ErrorKind::Unsupported,
            SignalError::Over => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}
