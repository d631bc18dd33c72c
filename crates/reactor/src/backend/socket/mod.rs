//! The calls to the operating system that make sockets and ask about them, for every backend that has any.
//!
//! - `name.rs`: addresses as the system writes them.
//! - `file.rs`: the files of UNIX sockets. `credentials.rs`: their peers (`no_credentials.rs`: on other systems than Linux).
//!
//! Every call is counted as `strace` would show it, the repetitions after an interrupted one included (but not the
//! check of the descriptor that the standard library makes before each close in debug builds).

#[cfg(target_os = "linux")]
mod credentials;
mod file;
mod name;
#[cfg(not(target_os = "linux"))]
mod no_credentials;

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use socket2::{SockAddr, SockRef, Type};

use super::{ConnectOptions, ListenOptions, SystemCalls, descriptors};
use crate::address::{Address, Addresses, UnixAddress};
#[cfg(target_os = "linux")]
pub(super) use credentials::peer_credentials;
pub(super) use file::SocketFile;
#[cfg(not(target_os = "linux"))]
pub(super) use no_credentials::peer_credentials;

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

/// What the system calls an end of a socket.
pub(super) fn read_address(address: &SockAddr) -> io::Result<Address> {
    name::read(address)
}

/// An end of a socket, as the system writes it.
pub(super) fn write_address(address: &Address) -> io::Result<SockAddr> {
    name::write(address)
}

/// What kind of sockets have such addresses.
pub(super) fn domain(address: &Address) -> io::Result<socket2::Domain> {
    name::domain(address)
}

/// Binds a UNIX socket, of whatever type, and gives its file the mode, if one was asked for. A file that a dead one of its type
/// left is replaced.
pub(super) fn bind_unix(
    socket: &socket2::Socket,
    address: &UnixAddress,
    mode: Option<u32>,
    calls: &mut SystemCalls,
) -> io::Result<Option<SocketFile>> {
    file::bind(socket, address, mode, calls)
}

/// Whether the socket has a peer.
pub(super) fn is_connected(socket: &impl AsFd, calls: &mut SystemCalls) -> bool {
    peer(socket, calls).is_ok()
}

pub(super) fn addresses(socket: &impl AsFd, calls: &mut SystemCalls) -> io::Result<Addresses> {
    Ok(Addresses { local: local(socket, calls)?, peer: peer(socket, calls)? })
}

pub(super) fn local(socket: &impl AsFd, calls: &mut SystemCalls) -> io::Result<Address> {
    calls.others += 1;
    name::read(&SockRef::from(socket).local_addr()?)
}

pub(super) fn peer(socket: &impl AsFd, calls: &mut SystemCalls) -> io::Result<Address> {
    calls.others += 1;
    name::read(&SockRef::from(socket).peer_addr()?)
}

pub(crate) fn set_nodelay(socket: &impl AsFd, calls: &mut SystemCalls) -> io::Result<()> {
    calls.others += 1;
    SockRef::from(socket).set_tcp_nodelay(true)
}

/// Makes the close of a TCP socket a reset (TCP(7): SO_LINGER with no time). Others have no such thing: a UNIX socket resets
/// its peer if there are bytes that were not read.
pub(super) fn reset_on_close(socket: &impl AsFd, calls: &mut SystemCalls) {
    calls.others += 1;
    // It fails only on a connection that is broken already.
    let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
}

/// A socket that listens.
#[derive(Debug)]
pub(crate) struct Listening {
    pub(crate) socket: OwnedFd,
    pub(crate) local: Address,
    /// Its file, if we made one: removed when this is dropped.
    #[cfg_attr(
        not(all(target_os = "linux", feature = "io-uring")),
        expect(dead_code, reason = "it only has to be dropped")
    )]
    pub(super) file: Option<SocketFile>,
    /// Whether each connection must be given TCP_NODELAY.
    pub(crate) set_nodelay: bool,
    /// Whether descriptors are passed over its connections.
    pub(crate) descriptors: bool,
}

/// Makes a listening socket.
pub(crate) fn listen(
    address: &Address,
    options: &ListenOptions,
    calls: &mut SystemCalls,
) -> io::Result<Listening> {
    descriptors::check(options.descriptors, address)?;
    let socket = open(address, Type::STREAM, calls)?;
    let listening = begin_listening(&socket, address, options, calls);
    calls.closes += u64::from(listening.is_err());
    let (local, file) = listening?;
    let set_nodelay = options.nodelay && !NODELAY_IS_INHERITED && address.as_inet().is_some();
    let descriptors = options.descriptors;
    Ok(Listening { socket: socket.into(), local, file, set_nodelay, descriptors })
}

fn begin_listening(
    socket: &socket2::Socket,
    address: &Address,
    options: &ListenOptions,
    calls: &mut SystemCalls,
) -> io::Result<(Address, Option<SocketFile>)> {
    let file = match address {
        Address::Inet(address) => {
            bind_inet(socket, *address, options, calls)?;
            None
        }
        Address::Unix(address) => file::bind(socket, address, options.mode, calls)?,
        Address::Named(_) => return Err(name::no_socket()),
    };
    calls.others += 1;
    socket.listen(i32::try_from(options.backlog).unwrap_or(i32::MAX))?;
    Ok((local(socket, calls)?, file))
}

fn bind_inet(
    socket: &socket2::Socket,
    address: SocketAddr,
    options: &ListenOptions,
    calls: &mut SystemCalls,
) -> io::Result<()> {
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
    socket.bind(&address.into())
}

/// Makes sure that `listener` is a listening stream socket. Its options are left as they are, its file too.
pub(crate) fn adopt(listener: OwnedFd, calls: &mut SystemCalls) -> io::Result<Listening> {
    let local = listening_address(&listener, calls);
    calls.closes += u64::from(local.is_err());
    Ok(Listening { socket: listener, local: local?, file: None, set_nodelay: false, descriptors: false })
}

fn listening_address(listener: &OwnedFd, calls: &mut SystemCalls) -> io::Result<Address> {
    let no_listener = |_| io::Error::new(io::ErrorKind::InvalidInput, "not a listening stream socket");
    calls.others += 1;
    let kind = rustix::net::sockopt::socket_type(listener).map_err(no_listener)?;
    calls.others += 1;
    let listens = rustix::net::sockopt::socket_acceptconn(listener).map_err(no_listener)?;
    if kind != rustix::net::SocketType::STREAM || !listens {
        return Err(no_listener(Errno::INVAL));
    }
    local(listener, calls)
}

/// Whether a connection that is accepted on `local` has another address than that.
pub(super) fn is_wildcard(local: &Address) -> bool {
    local.as_inet().is_some_and(|address| address.ip().is_unspecified())
}

/// Makes a socket to connect to `address` from. On an error it is closed.
pub(super) fn prepare(
    address: &Address,
    options: &ConnectOptions,
    calls: &mut SystemCalls,
) -> io::Result<(socket2::Socket, SockAddr)> {
    descriptors::check(options.descriptors, address)?;
    let to = name::write(address)?;
    let socket = open(address, Type::STREAM, calls)?;
    let prepared = set_up(&socket, address, options, calls);
    calls.closes += u64::from(prepared.is_err());
    prepared.map(|()| (socket, to))
}

fn set_up(
    socket: &socket2::Socket,
    address: &Address,
    options: &ConnectOptions,
    calls: &mut SystemCalls,
) -> io::Result<()> {
    if options.nodelay && address.as_inet().is_some() {
        set_nodelay(socket, calls)?;
    }
    if let Some(bind) = &options.bind {
        calls.others += 1;
        socket.bind(&name::write(bind)?)?;
    }
    Ok(())
}

fn open(address: &Address, kind: Type, calls: &mut SystemCalls) -> io::Result<socket2::Socket> {
    let domain = name::domain(address)?;
    calls.others += 1;
    socket2::Socket::new(domain, kind.nonblocking(), None)
}

/// The error of a connection that the peer has reset.
pub(super) fn reset() -> io::Error {
    Errno::CONNRESET.into()
}

/// Whether the system is short of memory, or has too many descriptors on their way, which passes.
pub(super) fn is_shortage(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::NOBUFS | Errno::NOMEM | Errno::TOOMANYREFS))
}
