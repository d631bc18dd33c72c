//! How a datagram socket is made.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::RecvFlags;
use socket2::Socket;

use super::packets::tell_records_from_ends;
use super::socket::Kind;
use super::{DatagramOpened, DatagramOptions};
use crate::address::Address;
use crate::backend::SystemCalls;
use crate::backend::socket::{SocketFile, bind_unix, domain, local, write_address};

/// The largest datagrams of UDP: what the 16 bits of a length leave beside the headers. IPv4 counts its own header in, IPv6
/// does not (RFC 768, RFC 791, RFC 8200).
const LARGEST_4: usize = 65_535 - 8 - 20;
const LARGEST_6: usize = 65_535 - 8;

/// How often a look is taken for what came before the socket was connected.
const STRANGERS: usize = 64;

/// Makes a socket. On an error it is closed.
pub(super) fn open(
    options: &DatagramOptions,
    calls: &mut SystemCalls,
) -> io::Result<(OwnedFd, Kind, DatagramOpened, Option<SocketFile>)> {
    let address = options.local.as_ref().or(options.peer.as_ref()).ok_or(io::ErrorKind::InvalidInput)?;
    let kind = if options.packets { Kind::Packets } else { Kind::of(address)? };
    let domain = domain(address)?;
    calls.others += 1;
    let socket = Socket::new(domain, kind.of_socket().nonblocking(), None)?;
    let opened = set_up(&socket, kind, options, calls);
    calls.closes += u64::from(opened.is_err());
    opened.map(|(opened, file)| (socket.into(), kind, opened, file))
}

fn set_up(
    socket: &Socket,
    kind: Kind,
    options: &DatagramOptions,
    calls: &mut SystemCalls,
) -> io::Result<(DatagramOpened, Option<SocketFile>)> {
    set_options(socket, options, calls)?;
    let file = match &options.local {
        Some(Address::Unix(local)) => bind_unix(socket, local, options.mode, calls)?,
        Some(local) => {
            calls.others += 1;
            socket.bind(&write_address(local)?)?;
            None
        }
        None => None,
    };
    if let Some(peer) = &options.peer {
        calls.connects += 1;
        socket.connect(&write_address(peer)?)?;
        if kind == Kind::Packets {
            tell_records_from_ends(socket, calls)?;
        } else if options.local.is_some() {
            drop_strangers(socket, calls);
        }
    }
    let local = local(socket, calls)?;
    let largest = largest(socket, kind, &local, calls)?;
    Ok((DatagramOpened { local, peer: options.peer.clone(), largest }, file))
}

fn set_options(socket: &Socket, options: &DatagramOptions, calls: &mut SystemCalls) -> io::Result<()> {
    let mut set = |wanted: bool, option: &dyn Fn() -> io::Result<()>| {
        calls.others += u64::from(wanted);
        if wanted { option() } else { Ok(()) }
    };
    // Otherwise `[::]` would take the IPv4 port as well on some systems and settings, and not on others.
    let is_ipv6 = options.local.as_ref().and_then(Address::as_inet).is_some_and(|local| local.is_ipv6());
    set(is_ipv6, &|| socket.set_only_v6(true))?;
    set(options.reuse_address, &|| socket.set_reuse_address(true))?;
    set(options.reuse_port, &|| socket.set_reuse_port(true))?;
    set(options.broadcast, &|| socket.set_broadcast(true))?;
    if let Some(size) = options.receive_buffer {
        set(true, &|| socket.set_recv_buffer_size(size))?;
    }
    if let Some(size) = options.send_buffer {
        set(true, &|| socket.set_send_buffer_size(size))?;
    }
    Ok(())
}

/// Between the bind and the connect everybody could send. Who is connected hears one peer only, so what came is thrown away.
fn drop_strangers(socket: &Socket, calls: &mut SystemCalls) {
    for _ in 0..STRANGERS {
        calls.receives += 1;
        if rustix::net::recv(socket.as_fd(), &mut [0_u8; 1], RecvFlags::DONTWAIT).is_err() {
            return;
        }
    }
}

pub(super) fn largest(
    socket: &Socket,
    kind: Kind,
    local: &Address,
    calls: &mut SystemCalls,
) -> io::Result<usize> {
    match (kind, local.as_inet()) {
        (Kind::Inet, Some(SocketAddr::V6(_))) => Ok(LARGEST_6),
        (Kind::Inet, _) => Ok(LARGEST_4),
        (Kind::Unix | Kind::Packets | Kind::Listener, _) => {
            calls.others += 1;
            // The whole datagram has to fit, with what the system adds (`unix_dgram_sendmsg`).
            Ok(socket.send_buffer_size()?.saturating_sub(32))
        }
    }
}
