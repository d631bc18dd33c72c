//! Sockets: the calls to the operating system that move bytes. This is the file to write anew for another system.
//!
//! Every call is counted as `strace` would show it, the repetitions after an interrupted one included (but not the
//! check of the descriptor that the standard library makes before each close in debug builds).

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use mio::unix::SourceFd;
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags};

use super::{Channel, passing};
use crate::address::{Address, Addresses};
use crate::backend::poller::Poller;
use crate::backend::{Close, ConnectOptions, FileRange, LentSocket, Outgoing, SystemCalls, socket};
use crate::credentials::Credentials;
use crate::key::Key;
use crate::os_signal::survive_sigpipe;

/// How many segments one call sends at most: as many as fit on the stack without being felt there.
pub(super) const PARTS: usize = 64;

/// How many times its memory a close throws away at most,
const DISCARDS: usize = 16;
/// and by how many receives, where each ends behind a message.
const MESSAGES: usize = 1024;

/// Writing to a dead peer is an error, and never a signal.
#[cfg(not(target_vendor = "apple"))]
pub(in crate::backend) const SEND: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);
/// There is no such flag here; Rust's runtime has the signal ignored before `main`.
#[cfg(target_vendor = "apple")]
pub(in crate::backend) const SEND: SendFlags = SendFlags::DONTWAIT;

/// The socket of a connection, registered with the poller.
///
/// It is created close-on-exec and never duplicated, so closing it takes its registration back as well. One that was made
/// elsewhere may have other holders ([`Connection::shared`](super::Connection::shared)).
#[derive(Debug)]
pub(in crate::backend) struct Socket {
    descriptor: OwnedFd,
    /// Whether a receive takes everything there is room for.
    drains: bool,
}

impl Socket {
    /// Registers `socket`; on an error it is closed.
    pub(in crate::backend) fn register(
        socket: impl Into<OwnedFd>,
        poller: &Poller,
        key: Key,
        calls: &mut SystemCalls,
    ) -> io::Result<Self> {
        let socket = socket.into();
        let registered = poller.connection(&mut SourceFd(&socket.as_raw_fd()), key, calls);
        calls.closes += u64::from(registered.is_err());
        registered.map(|()| Self { descriptor: socket, drains: false })
    }

    /// Notes where one of its ends is. A receive from a UNIX socket ends behind a message that descriptors came with, wanted
    /// or not, whatever waits behind that; those of the Internet have no such thing.
    pub(in crate::backend) fn at(mut self, address: &Address) -> Self {
        self.drains = address.as_inet().is_some();
        self
    }

    fn send_parts(&self, outgoing: &Outgoing, calls: &mut SystemCalls) -> io::Result<(usize, bool)> {
        let mut parts = [IoSlice::new(&[]); PARTS];
        let filled = outgoing.fill(&mut parts);
        self.send_message(&parts[..filled], calls)
    }

    /// What takes less than was offered is full, and tells when it has room again.
    #[inline(always)]
    fn send_bytes(&self, bytes: &[u8], calls: &mut SystemCalls) -> io::Result<(usize, bool)> {
        let sent = uninterrupted(|| {
            calls.sends += 1;
            rustix::net::send(&self.descriptor, bytes, SEND)
        })?;
        Ok((sent, sent == bytes.len()))
    }

    #[inline(never)]
    fn send_message(&self, parts: &[IoSlice<'_>], calls: &mut SystemCalls) -> io::Result<(usize, bool)> {
        let sent = uninterrupted(|| {
            calls.sends += 1;
            rustix::net::sendmsg(&self.descriptor, parts, &mut SendAncillaryBuffer::default(), SEND)
        })?;
        let offered: usize = parts.iter().map(|part| part.len()).sum();
        Ok((sent, sent == offered))
    }

    /// For the core to receive and send on by itself, if it is of the Internet.
    pub(in crate::backend) fn lend(&self) -> Option<LentSocket> {
        if !self.drains {
            return None;
        }
        // SAFETY: by T1, this socket stands in the backend's table from when the core learns of it to the close of its key.
        #[allow(unsafe_code)]
        unsafe {
            Some(LentSocket::new(self.descriptor.as_fd()))
        }
    }

    #[cfg(test)]
    pub(in crate::backend) fn has_nodelay(&self) -> bool {
        socket2::SockRef::from(&self.descriptor).tcp_nodelay().unwrap_or(false)
    }

    /// Closes it without a word about how.
    pub(in crate::backend) fn drop_it(self, calls: &mut SystemCalls) {
        calls.closes += 1;
        drop(self);
    }
}

impl Channel for Socket {
    fn addresses(&self, calls: &mut SystemCalls) -> io::Result<Addresses> {
        socket::addresses(self, calls)
    }

    fn is_connected(&self, calls: &mut SystemCalls) -> bool {
        socket::is_connected(self, calls)
    }

    fn drains(&self) -> bool {
        self.drains
    }

    #[inline(always)]
    fn receive(&self, memory: &mut [u8], calls: &mut SystemCalls) -> io::Result<usize> {
        uninterrupted(|| {
            calls.receives += 1;
            rustix::net::recv(&self.descriptor, &mut *memory, RecvFlags::DONTWAIT).map(|(count, _)| count)
        })
    }

    #[inline]
    fn send(&self, outgoing: &Outgoing, calls: &mut SystemCalls) -> io::Result<(usize, bool)> {
        if !outgoing.is_plain() && outgoing.segments() > 1 {
            return self.send_parts(outgoing, calls);
        }
        self.send_bytes(outgoing.front(), calls)
    }

    #[inline(always)]
    fn send_slices(&self, parts: &[IoSlice<'_>], calls: &mut SystemCalls) -> io::Result<(usize, bool)> {
        match parts {
            [bytes] => self.send_bytes(bytes, calls),
            _ => self.send_message(parts, calls),
        }
    }

    /// sendfile(2) has no MSG_DONTWAIT: the socket itself must not block.
    /// Nor has it MSG_NOSIGNAL.
    fn takes_files(&self, shared: bool, calls: &mut SystemCalls) -> bool {
        if survive_sigpipe().is_err() {
            return false;
        }
        calls.others += 1;
        let Ok(flags) = rustix::fs::fcntl_getfl(&self.descriptor) else { return false };
        if flags.contains(OFlags::NONBLOCK) {
            return true;
        }
        if shared {
            return false;
        }
        calls.others += 1;
        rustix::fs::fcntl_setfl(&self.descriptor, flags | OFlags::NONBLOCK).is_ok()
    }

    fn send_file(&self, range: &FileRange, calls: &mut SystemCalls) -> io::Result<(usize, bool)> {
        passing::to_socket(self, range, calls)
    }

    fn shutdown(&mut self, _: &Poller, calls: &mut SystemCalls) -> io::Result<Vec<u8>> {
        calls.shutdowns += 1;
        rustix::net::shutdown(&self.descriptor, rustix::net::Shutdown::Write)?;
        Ok(Vec::new())
    }

    fn take_error(&self, calls: &mut SystemCalls) -> Option<io::Error> {
        socket::take_error(self, calls)
    }

    fn error_at_end(&self, _: bool, calls: &mut SystemCalls) -> Option<io::Error> {
        socket::take_error(self, calls)
    }

    /// close(2) over received bytes sends a reset in place of the FIN, and the reset overtakes what the peer has still to
    /// get from us (RFC 2525, 2.17; RFC 9112, 9.6). A peer that goes on sending is reset in the end, as
    /// the bytes it sends to a closed socket are refused.
    fn discard(&self, scratch: &mut [u8], calls: &mut SystemCalls) {
        discard(scratch, self.drains, |scratch| self.receive(scratch, calls));
    }

    fn peer_credentials(&self, calls: &mut SystemCalls) -> io::Result<Credentials> {
        socket::peer_credentials(self, calls)
    }

    fn forget(&self, poller: &Poller, calls: &mut SystemCalls) {
        poller.forget(&mut SourceFd(&self.descriptor.as_raw_fd()), calls);
    }

    fn close(self, how: Close, _: &Poller, calls: &mut SystemCalls) {
        if how == Close::Reset {
            socket::reset_on_close(&self, calls);
        }
        self.drop_it(calls);
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// Makes a socket and begins to connect it. On an error it is closed.
pub(in crate::backend) fn connect(
    address: &Address,
    options: &ConnectOptions,
    calls: &mut SystemCalls,
) -> io::Result<OwnedFd> {
    let (socket, address) = socket::prepare(address, options, calls)?;
    calls.connects += 1;
    match socket.connect(&address) {
        Ok(()) => Ok(socket.into()),
        // An interrupted connect goes on in the background, as one in progress does (POSIX, connect()).
        Err(error) if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => Ok(socket.into()),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(socket.into()),
        Err(error) => {
            calls.closes += 1;
            Err(error)
        }
    }
}

#[inline(always)]
pub(super) fn uninterrupted<T>(mut call: impl FnMut() -> Result<T, Errno>) -> io::Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            result => return Ok(result?),
        }
    }
}

/// Throws away what there is to receive, but no endless stream of it. Where a receive does not take everything there is room
/// for (`drains`), only one that gives nothing says that there is no more.
pub(super) fn discard(
    scratch: &mut [u8],
    drains: bool,
    mut receive: impl FnMut(&mut [u8]) -> io::Result<usize>,
) {
    let mut left = DISCARDS * scratch.len();
    for _ in 0..MESSAGES {
        match receive(scratch) {
            Ok(count) if count == scratch.len() || (count > 0 && !drains) => {
                left = left.saturating_sub(count)
            }
            _ => return,
        }
        if left == 0 {
            return;
        }
    }
}
