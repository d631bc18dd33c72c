//! The answer to a send.

use std::io;

use super::Outgoing;
use crate::key::Key;

/// How a send ended.
#[derive(Debug)]
pub struct Sent {
    /// What was lent, as it was: the core takes the sent bytes off.
    pub outgoing: Box<Outgoing>,
    /// How many bytes were sent, at least one: after zero the core would ask again, for ever. `WouldBlock` says that the
    /// system is short of memory, and not that there is no room: nothing was sent,
    /// and the core tries again after a pause. Of a [file](Outgoing::file), `Unsupported` says that this one cannot be sent, so
    /// that the core reads it, and `UnexpectedEof` that it ends before the range begins.
    pub result: io::Result<usize>,
}

/// A send of which everything was sent.
#[derive(Debug)]
pub struct SentWhole {
    /// Whose it is.
    pub key: Key,
    /// What was lent, as it was.
    pub outgoing: Box<Outgoing>,
}
