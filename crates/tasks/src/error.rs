//! Errors that several parts share.

use std::io;
use std::panic::Location;

use marline_reactor::{Remote, Warning};

use crate::mail;

/// A handle was used on a thread that is not its loop's, or after the loop's end.
///
/// Streams answer with it inside an [`io::Error`] of the kind `Unsupported`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the loop of this handle does not run on this thread, or has ended")]
pub struct WrongThread(());

impl WrongThread {
    /// This handle of that loop's was used, maybe at this place. In debug mode its loop reports so.
    pub(crate) fn of(what: &str, remote: &Remote, place: Option<&'static Location<'static>>) -> Self {
        if remote.is_debugging() {
            let (warning, there) = (Warning::wrong_thread(what.to_owned(), place), remote.clone());
            // If the loop has ended, the thread is not what is wrong.
            _ = mail::send(remote, move || {
                if let Some(handle) = there.local() {
                    handle.warn(&warning);
                }
            });
        }
        Self(())
    }
}

impl From<WrongThread> for io::Error {
    fn from(error: WrongThread) -> Self {
        Self::new(io::ErrorKind::Unsupported, error)
    }
}

/// As many descriptors came over a stream as it keeps for a program that does not take them.
///
/// A read answers with it inside an [`io::Error`] of the kind `QuotaExceeded`, until
/// [`Stream::take_descriptors`](crate::Stream::take_descriptors) is called. Nothing is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("descriptors that came over this stream wait to be taken, and no more are received before that")]
pub struct UntakenDescriptors(());

impl UntakenDescriptors {
    pub(crate) fn new() -> Self {
        Self(())
    }
}

impl From<UntakenDescriptors> for io::Error {
    fn from(error: UntakenDescriptors) -> Self {
        Self::new(io::ErrorKind::QuotaExceeded, error)
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
