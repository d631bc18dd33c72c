//! Where the system has no call that binds a thread to a processor.

use std::io;

/// The processors that this process may use.
pub(super) fn allowed() -> io::Result<Vec<usize>> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Binds the calling thread to one.
pub(super) fn to(_processor: usize) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
