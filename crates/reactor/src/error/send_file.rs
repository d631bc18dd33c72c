//! Files that cannot be sent.

use std::fmt;
use std::fs::File;
use std::io;
use std::sync::Arc;

use thiserror::Error;

/// A file was not sent. Hands it back.
#[derive(Error)]
#[error("cannot send the file: {cause}")]
pub struct SendFileError {
    file: Arc<File>,
    #[source]
    cause: SendFileErrorKind,
}

/// Why a file was not sent.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SendFileErrorKind {
    /// It is no regular file: a directory, a pipe, a device.
    #[error("it is not a regular file")]
    NotRegular,
    /// It is not open for reading.
    #[error("it is not open for reading")]
    Unreadable,
    /// The range begins or ends behind the end of the file, or ends before it begins, or is larger than memory could be.
    #[error("it has {size} bytes, and bytes {start} to {end} were asked for")]
    OutOfRange {
        /// The first byte that was asked for.
        start: u64,
        /// The first that was not.
        end: u64,
        /// How many bytes the file has.
        size: u64,
    },
    /// With what waits already it is more than can be counted: `isize::MAX` bytes.
    #[error("more than {} bytes would wait", isize::MAX)]
    TooMuch,
    /// The system could not tell about it.
    #[error("{0}")]
    System(#[source] io::Error),
}

impl SendFileError {
    pub(crate) fn new(file: Arc<File>, cause: SendFileErrorKind) -> Self {
        Self { file, cause }
    }

    /// Why.
    #[must_use]
    pub fn kind(&self) -> &SendFileErrorKind {
        &self.cause
    }

    /// The file.
    #[must_use]
    pub fn into_inner(self) -> Arc<File> {
        self.file
    }
}

impl fmt::Debug for SendFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SendFileError").field(&self.cause).finish()
    }
}

/// A file that was being sent became shorter than the range that was promised. It is the reason of the connection's loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a file that was being sent ended {missing} bytes too early")]
pub struct FileTruncated {
    pub(crate) missing: usize,
}
