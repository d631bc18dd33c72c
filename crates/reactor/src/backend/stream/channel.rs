//! What a connection asks of what it reads and writes.

use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;

use crate::address::Addresses;
use crate::backend::poller::Poller;
use crate::backend::{Close, FileRange, Outgoing, SystemCalls};
use crate::credentials::Credentials;

/// Something that bytes are read from and written to without blocking, registered with a poller.
pub(in crate::backend) trait Channel {
    fn addresses(&self, calls: &mut SystemCalls) -> io::Result<Addresses>;

    /// Whether the attempt to connect has succeeded, if it has not failed.
    fn is_connected(&self, calls: &mut SystemCalls) -> bool;

    /// Whether a receive that gives less than it could has taken everything, and what comes later is announced.
    fn drains(&self) -> bool;

    /// Receives into `memory`. Zero bytes are the end, or the shadow of an error (see
    /// [`error_at_end`](Self::error_at_end)).
    fn receive(&self, memory: &mut [u8], calls: &mut SystemCalls) -> io::Result<usize>;

    /// Sends from the front of `outgoing`. Tells how many bytes were sent, and whether there may be room for more.
    fn send(&self, outgoing: &Outgoing, calls: &mut SystemCalls) -> io::Result<(usize, bool)>;

    /// Sends from the front of `parts`: how many bytes, and whether there may be room for more.
    fn send_slices(&self, parts: &[IoSlice<'_>], calls: &mut SystemCalls) -> io::Result<(usize, bool)>;

    /// Makes it ready for [`send_file`](Self::send_file), if it can be: whether it is. If `shared`, its mode is somebody
    /// else's too and stays as it is.
    fn takes_files(&self, shared: bool, calls: &mut SystemCalls) -> bool;

    /// Passes on from the beginning of `range`, as [`send`](Self::send) does. `Unsupported` if it has to be read, and
    /// `UnexpectedEof` if the file ends before it.
    fn send_file(&self, range: &FileRange, calls: &mut SystemCalls) -> io::Result<(usize, bool)>;

    /// Ends our direction. What it answers with is to be sent for that, if anything.
    fn shutdown(&mut self, poller: &Poller, calls: &mut SystemCalls) -> io::Result<Vec<u8>>;

    /// The error that broke it, which may be told only once.
    fn take_error(&self, calls: &mut SystemCalls) -> Option<io::Error>;

    /// The error that a receive of no bytes may have been about, the first or one that came `again` after it.
    fn error_at_end(&self, again: bool, calls: &mut SystemCalls) -> Option<io::Error>;

    /// Throws away what was received and not read, where closing over it would do harm.
    fn discard(&self, scratch: &mut [u8], calls: &mut SystemCalls);

    /// Whether descriptors are passed over it.
    fn carries_descriptors(&self) -> bool {
        false
    }

    /// The descriptors that came with what was just received.
    fn take_descriptors(&self) -> Vec<OwnedFd> {
        Vec::new()
    }

    /// Who is at the other end.
    fn peer_credentials(&self, calls: &mut SystemCalls) -> io::Result<Credentials> {
        let _ = calls;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Takes the registration back by hand, as others may have the open file description.
    fn forget(&self, poller: &Poller, calls: &mut SystemCalls);

    fn close(self, how: Close, poller: &Poller, calls: &mut SystemCalls);
}
