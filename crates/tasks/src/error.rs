//! Errors that several parts share.

use std::io;

/// A handle was used on a thread that is not its loop's, or after the loop's end.
///
/// Streams answer with it inside an [`io::Error`] of the kind `Unsupported`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the loop of this handle does not run on this thread, or has ended")]
pub struct WrongThread(());

impl WrongThread {
    pub(crate) fn new() -> Self {
        Self(())
    }
}

impl From<WrongThread> for io::Error {
    fn from(error: WrongThread) -> Self {
        Self::new(io::ErrorKind::Unsupported, error)
    }
}

/// Another protocol has taken the connection over from this stream, or the connection never came about.
///
/// Streams answer with it inside an [`io::Error`] of the kind `NotConnected`: to reads and writes that waited when
/// [`Transport::set_protocol`](marline_reactor::Transport::set_protocol) was called, and to all that come later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection of this stream belongs to another protocol now")]
pub struct HandedOver(());

impl HandedOver {
    pub(crate) fn new() -> Self {
        Self(())
    }
}

impl From<HandedOver> for io::Error {
    fn from(error: HandedOver) -> Self {
        Self::new(io::ErrorKind::NotConnected, error)
    }
}
