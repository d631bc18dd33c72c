//! What the core pulls: bytes of connections, and connections of listeners.

use std::io;

use super::Chunk;
use crate::address::Addresses;

/// What [`Backend::receive`](super::Backend::receive) had.
#[derive(Debug)]
pub enum Received {
    /// Bytes in memory of the backend's.
    Chunk(Chunk),
    /// So many bytes in the caller's memory, at least one.
    Filled(usize),
    /// The peer ended its direction, and everything before that was received.
    Eof,
    /// Nothing now; an [`Input`](super::Completion::Input) will come.
    Dry,
    /// The connection broke. The core closes it.
    Failed(io::Error),
}

impl Received {
    /// How many bytes are in the caller's memory, or what it is in place of that.
    #[inline]
    pub(crate) fn into_filled(self) -> Result<usize, Self> {
        if let Self::Filled(count) = self {
            // A number has nothing to drop, which the compiler finds out with a call.
            std::mem::forget(self);
            return Ok(count);
        }
        Err(self)
    }
}

/// What [`Backend::accept`](super::Backend::accept) had.
#[derive(Debug)]
pub enum Accepted {
    /// A connection.
    Connection(Addresses),
    /// Nothing now; an [`Input`](super::Completion::Input) will come.
    Dry,
    /// One attempt failed; more may be waiting. The core goes on at once after `ConnectionAborted` and `PermissionDenied`, and
    /// after a tenth of a second otherwise. Either way it asks again without a further [`Input`](super::Completion::Input).
    Failed(io::Error),
}
