//! The calls to the operating system that make stream sockets and ask about them, for every backend that has any.
//!
//! Every call is counted as `strace` would show it, the repetitions after an interrupted one included (but not the
//! check of the descriptor that the standard library makes before each close in debug builds).

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::io::Errno;
use socket2::{Domain, SockAddr, SockRef, Type};

use super::{ConnectOptions, ListenOptions, SystemCalls};
use crate::address::{Address, Addresses};

/// Whether accepted connections have the TCP_NODELAY of their listener, which saves a call for each. Linux clones
/// the listening socket with it (`tcp_create_openreq_child`), and FreeBSD copies the flag (`syncache_socket`).
pub(super) const NODELAY_IS_INHERITED: bool =
    cfg!(any(target_os = "linux", target_os = "android", target_os = "freebsd"));

/// The error that the socket holds. Asking for it clears it, and so does every call that fails with it.
///
/// Linux calls a reset EPIPE if the peer's FIN came before it (`tcp_reset` in CLOSE_WAIT). It is a reset
/// all the same.
pub(super) fn take_error(socket: impl AsFd, calls: &mut SystemCalls) -> Option<io::Error> {
    calls.others += 1;
    match rustix::net::sockopt::socket_error(socket) {
        Ok(Ok(())) => None,
        Ok(Err(Errno::PIPE)) => Some(reset()),
        Ok(Err(error)) | Err(error) => Some(error.into()),
    }
}

/// Whether the socket has a peer.
pub(super) fn is_connected(socket: &impl AsFd, calls: &mut SystemCalls) -> bool {
    peer(socket, calls).is_ok()
}

pub(super) fn addresses(socket: &impl AsFd, calls: &mut SystemCalls) -> io::Result<Addresses> {
    Ok(Addresses { local: local(socket, calls)?.into(), peer: peer(socket, calls)?.into() })
}

pub(super) fn local(socket: &impl AsFd, calls: &mut SystemCalls) -> io::Result<SocketAddr> {
    calls.others += 1;
    inet(&SockRef::from(socket).local_addr()?)
}

pub(super) fn peer(socket: &impl AsFd, calls: &mut SystemCalls) -> io::Result<SocketAddr> {
    calls.others += 1;
    inet(&SockRef::from(socket).peer_addr()?)
}

pub(super) fn set_nodelay(socket: &impl AsFd, calls: &mut SystemCalls) -> io::Result<()> {
    calls.others += 1;
    SockRef::from(socket).set_tcp_nodelay(true)
}

/// Makes the close a reset (TCP(7): SO_LINGER with no time).
pub(super) fn reset_on_close(socket: &impl AsFd, calls: &mut SystemCalls) {
    calls.others += 1;
    // It fails only on a connection that is broken already.
    let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
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

/// Makes sure that `listener` is a listening TCP socket, and tells where it listens.
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
    inet(&SockRef::from(listener).local_addr()?)
}

/// Makes a socket to connect to `address` from. On an error it is closed.
pub(super) fn prepare(
    address: &Address,
    options: &ConnectOptions,
    calls: &mut SystemCalls,
) -> io::Result<(socket2::Socket, SockAddr)> {
    let Address::Inet(address) = *address;
    let socket = open(address, calls)?;
    let prepared = set_up(&socket, options, calls);
    calls.closes += u64::from(prepared.is_err());
    prepared.map(|()| (socket, address.into()))
}

fn set_up(socket: &socket2::Socket, options: &ConnectOptions, calls: &mut SystemCalls) -> io::Result<()> {
    if options.nodelay {
        set_nodelay(socket, calls)?;
    }
    if let Some(Address::Inet(bind)) = options.bind {
        calls.others += 1;
        socket.bind(&bind.into())?;
    }
    Ok(())
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
