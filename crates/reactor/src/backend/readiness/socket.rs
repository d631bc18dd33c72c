//! The calls to the operating system for stream sockets. This is the file to write anew for another system.
//!
//! Every call is counted as `strace` would show it, the repetitions after an interrupted one included (but not the
//! check of the descriptor that the standard library makes before each close in debug builds).

use std::io::{self, IoSlice};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags};
use socket2::{Domain, SockAddr, SockRef, Type};

use super::poller::Poller;
use crate::address::{Address, Addresses};
use crate::backend::{ConnectOptions, ListenOptions, Outgoing, SystemCalls};
use crate::key::Key;

/// How many segments one call sends at most: as many as fit on the stack without being felt there.
const PARTS: usize = 64;

/// How often a close looks for bytes to throw away.
const DISCARDS: usize = 16;

/// Whether accepted connections have the TCP_NODELAY of their listener, which saves a call for each. Linux clones
/// the listening socket with it (`tcp_create_openreq_child`), and FreeBSD copies the flag (`syncache_socket`).
pub(super) const NODELAY_IS_INHERITED: bool =
    cfg!(any(target_os = "linux", target_os = "android", target_os = "freebsd"));

/// Writing to a dead peer is an error, and never a signal.
#[cfg(not(target_vendor = "apple"))]
const SEND: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);
/// There is no such flag here; Rust's runtime has the signal ignored before `main`.
#[cfg(target_vendor = "apple")]
const SEND: SendFlags = SendFlags::DONTWAIT;

/// The socket of a connection, registered with the poller.
///
/// It is created close-on-exec and never duplicated, so closing it takes its registration back as well.
#[derive(Debug)]
pub(super) struct Socket(OwnedFd);

impl Socket {
    /// Registers `stream`; on an error it is closed.
    pub(super) fn register(
        mut stream: mio::net::TcpStream,
        poller: &Poller,
        key: Key,
        calls: &mut SystemCalls,
    ) -> io::Result<Self> {
        let registered = poller.connection(&mut stream, key, calls);
        calls.closes += u64::from(registered.is_err());
        registered.map(|()| Self(OwnedFd::from(stream)))
    }

    /// Receives into `memory`. Zero bytes are the end, or the shadow of an error (see [`Self::take_error`]).
    pub(super) fn receive(&self, memory: &mut [u8], calls: &mut SystemCalls) -> io::Result<usize> {
        uninterrupted(|| {
            calls.receives += 1;
            rustix::net::recv(&self.0, &mut *memory, RecvFlags::DONTWAIT).map(|(count, _)| count)
        })
    }

    /// Sends from the front of `outgoing`. Tells how many bytes were sent, and whether that is all that was offered.
    pub(super) fn send(&self, outgoing: &Outgoing, calls: &mut SystemCalls) -> io::Result<(usize, bool)> {
        if outgoing.segments() > 1 {
            return self.send_parts(outgoing, calls);
        }
        let bytes = outgoing.front();
        let sent = uninterrupted(|| {
            calls.sends += 1;
            rustix::net::send(&self.0, bytes, SEND)
        })?;
        Ok((sent, sent == bytes.len()))
    }

    fn send_parts(&self, outgoing: &Outgoing, calls: &mut SystemCalls) -> io::Result<(usize, bool)> {
        let mut parts = [IoSlice::new(&[]); PARTS];
        let filled = outgoing.fill(&mut parts);
        let parts = &parts[..filled];
        let sent = uninterrupted(|| {
            calls.sends += 1;
            rustix::net::sendmsg(&self.0, parts, &mut SendAncillaryBuffer::default(), SEND)
        })?;
        let offered: usize = parts.iter().map(|part| part.len()).sum();
        Ok((sent, sent == offered))
    }

    /// The error that the socket holds. Asking for it clears it, and so does every call that fails with it.
    ///
    /// Linux calls a reset EPIPE if the peer's FIN came before it (`tcp_reset` in CLOSE_WAIT). It is a reset
    /// all the same.
    pub(super) fn take_error(&self, calls: &mut SystemCalls) -> Option<io::Error> {
        calls.others += 1;
        match rustix::net::sockopt::socket_error(&self.0) {
            Ok(Ok(())) => None,
            Ok(Err(Errno::PIPE)) => Some(reset()),
            Ok(Err(error)) | Err(error) => Some(error.into()),
        }
    }

    /// Whether the socket has a peer.
    pub(super) fn is_connected(&self, calls: &mut SystemCalls) -> bool {
        calls.others += 1;
        SockRef::from(&self.0).peer_addr().is_ok()
    }

    pub(super) fn addresses(&self, calls: &mut SystemCalls) -> io::Result<Addresses> {
        calls.others += 2;
        let socket = SockRef::from(&self.0);
        let (local, peer) = (socket.local_addr()?, socket.peer_addr()?);
        Ok(Addresses { local: inet(&local)?.into(), peer: inet(&peer)?.into() })
    }

    pub(super) fn local(&self, calls: &mut SystemCalls) -> io::Result<SocketAddr> {
        calls.others += 1;
        inet(&SockRef::from(&self.0).local_addr()?)
    }

    pub(super) fn set_nodelay(&self, calls: &mut SystemCalls) -> io::Result<()> {
        calls.others += 1;
        SockRef::from(&self.0).set_tcp_nodelay(true)
    }

    #[cfg(test)]
    pub(super) fn has_nodelay(&self) -> bool {
        SockRef::from(&self.0).tcp_nodelay().unwrap_or(false)
    }

    /// Ends our direction.
    pub(super) fn shutdown(&self, calls: &mut SystemCalls) -> io::Result<()> {
        calls.shutdowns += 1;
        Ok(rustix::net::shutdown(&self.0, rustix::net::Shutdown::Write)?)
    }

    /// Throws away bytes that were received and not read.
    ///
    /// close(2) with such bytes sends a reset in place of the FIN, and the reset overtakes what the peer has still to
    /// get from us (RFC 2525, 2.17; RFC 9112, 9.6). A peer that goes on sending is reset in the end, as
    /// the bytes it sends to a closed socket are refused.
    pub(super) fn discard(&self, scratch: &mut [u8], calls: &mut SystemCalls) {
        for _ in 0..DISCARDS {
            match self.receive(scratch, calls) {
                Ok(count) if count == scratch.len() => {}
                _ => return,
            }
        }
    }

    /// Makes the close a reset (TCP(7): SO_LINGER with no time).
    pub(super) fn reset_on_close(&self, calls: &mut SystemCalls) {
        calls.others += 1;
        // It fails only on a connection that is broken already.
        let _ = SockRef::from(&self.0).set_linger(Some(Duration::ZERO));
    }

    pub(super) fn close(self, calls: &mut SystemCalls) {
        calls.closes += 1;
        drop(self);
    }
}

/// Makes a listening socket and tells where it listens.
pub(super) fn listen(
    address: &Address,
    options: &ListenOptions,
    calls: &mut SystemCalls,
) -> io::Result<(TcpListener, SocketAddr)> {
    let Address::Inet(address) = *address;
    let socket = open(address, calls)?;
    let listening = begin_listening(&socket, address, options, calls);
    calls.closes += u64::from(listening.is_err());
    Ok((socket.into(), listening?))
}

fn begin_listening(
    socket: &socket2::Socket,
    address: SocketAddr,
    options: &ListenOptions,
    calls: &mut SystemCalls,
) -> io::Result<SocketAddr> {
    if options.reuse_address {
        calls.others += 1;
        socket.set_reuse_address(true)?;
    }
    if options.reuse_port {
        calls.others += 1;
        socket.set_reuse_port(true)?;
    }
    if options.nodelay {
        calls.others += 1;
        socket.set_tcp_nodelay(true)?;
    }
    if address.is_ipv6() {
        // Otherwise `[::]` would take the IPv4 port as well on some systems and settings, and not on others.
        calls.others += 1;
        socket.set_only_v6(true)?;
    }
    calls.others += 1;
    socket.bind(&address.into())?;
    calls.others += 1;
    socket.listen(i32::try_from(options.backlog).unwrap_or(i32::MAX))?;
    calls.others += 1;
    inet(&socket.local_addr()?)
}

/// Makes sure that `listener` is a listening TCP socket, tells where it listens, and makes it non-blocking.
///
/// The non-blocking mode belongs to the open file description, so whoever else holds the listener gets it too.
pub(super) fn adopt(listener: &TcpListener, calls: &mut SystemCalls) -> io::Result<SocketAddr> {
    let no_listener = |_| io::Error::new(io::ErrorKind::InvalidInput, "not a listening TCP socket");
    calls.others += 1;
    let is_stream = rustix::net::sockopt::socket_type(listener).map_err(no_listener)?;
    calls.others += 1;
    let listens = rustix::net::sockopt::socket_acceptconn(listener).map_err(no_listener)?;
    if is_stream != rustix::net::SocketType::STREAM || !listens {
        return Err(no_listener(Errno::INVAL));
    }
    calls.others += 1;
    let local = inet(&SockRef::from(listener).local_addr()?)?;
    calls.others += 1;
    listener.set_nonblocking(true)?;
    Ok(local)
}

/// Makes a socket and begins to connect it. On an error it is closed.
pub(super) fn connect(
    address: &Address,
    options: &ConnectOptions,
    calls: &mut SystemCalls,
) -> io::Result<TcpStream> {
    let Address::Inet(address) = *address;
    let socket = open(address, calls)?;
    let connecting = begin_connecting(&socket, address, options, calls);
    calls.closes += u64::from(connecting.is_err());
    connecting.map(|()| socket.into())
}

fn begin_connecting(
    socket: &socket2::Socket,
    address: SocketAddr,
    options: &ConnectOptions,
    calls: &mut SystemCalls,
) -> io::Result<()> {
    if options.nodelay {
        calls.others += 1;
        socket.set_tcp_nodelay(true)?;
    }
    if let Some(Address::Inet(bind)) = options.bind {
        calls.others += 1;
        socket.bind(&bind.into())?;
    }
    calls.connects += 1;
    match socket.connect(&address.into()) {
        Ok(()) => Ok(()),
        // An interrupted connect goes on in the background, as one in progress does (POSIX, connect()).
        Err(error) if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
        Err(error) => Err(error),
    }
}

fn open(address: SocketAddr, calls: &mut SystemCalls) -> io::Result<socket2::Socket> {
    calls.others += 1;
    socket2::Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), None)
}

fn inet(address: &SockAddr) -> io::Result<SocketAddr> {
    address.as_socket().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not an Internet socket"))
}

/// The error of a connection that the peer has reset.
pub(super) fn reset() -> io::Error {
    Errno::CONNRESET.into()
}

/// Whether the system is short of memory, which passes.
pub(super) fn is_shortage(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::NOBUFS | Errno::NOMEM))
}

fn uninterrupted<T>(mut call: impl FnMut() -> Result<T, Errno>) -> io::Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            result => return Ok(result?),
        }
    }
}
