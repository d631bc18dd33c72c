//! Connections that keep records apart (SOCK_SEQPACKET of UNIX sockets), and their listeners.
//!
//! The system answers a receive with nothing for an empty record, and for the end of the connection as well. But a record comes
//! with the credentials of its sender, where these were asked for, and an end comes with nothing (`unix_dgram_recvmsg`).

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};
use socket2::{SockRef, Socket};

use super::DatagramOpened;
use super::open::largest;
use super::socket::{DatagramSocket, Kind, READABLE};
use crate::address::Address;
use crate::backend::object::unknown;
use crate::backend::poller::Poller;
use crate::backend::socket::{bind_unix, domain, local, peer};
use crate::backend::{ListenOptions, SystemCalls};
use crate::key::Key;

/// Asks for what a record has and an end has not.
pub(super) fn tell_records_from_ends(socket: impl AsFd, calls: &mut SystemCalls) -> io::Result<()> {
    calls.others += 1;
    pass_credentials(socket)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn pass_credentials(socket: impl AsFd) -> io::Result<()> {
    Ok(rustix::net::sockopt::set_socket_passcred(socket, true)?)
}

/// Here an empty record is taken for the end.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn pass_credentials(_: impl AsFd) -> io::Result<()> {
    Ok(())
}

impl DatagramSocket {
    /// Makes a listener that is registered with `poller`, and tells where it listens. On an error it is closed.
    pub(in crate::backend) fn listen(
        address: &Address,
        options: &ListenOptions,
        key: Key,
        poller: &Poller,
        calls: &mut SystemCalls,
    ) -> io::Result<(Self, Address)> {
        let Address::Unix(name) = address else { return Err(io::ErrorKind::InvalidInput.into()) };
        let domain = domain(address)?;
        calls.others += 3;
        let socket = Socket::new(domain, Kind::Listener.of_socket().nonblocking(), None)?;
        let file = bind_unix(&socket, name, options.mode, calls)?;
        socket.listen(i32::try_from(options.backlog).unwrap_or(i32::MAX))?;
        let opened = DatagramOpened { local: local(&socket, calls)?, peer: None, largest: 0 };
        let listener = Self::register(socket.into(), Kind::Listener, &opened, file, key, poller, calls)?;
        Ok((listener, opened.local))
    }

    /// Takes one connection that waits, if any does, as `key`.
    pub(in crate::backend) fn accept(
        &mut self,
        key: Key,
        poller: &Poller,
        calls: &mut SystemCalls,
    ) -> io::Result<Option<(Self, DatagramOpened)>> {
        if !self.state.has(READABLE) {
            return Ok(None);
        }
        let accepted = loop {
            calls.accepts += 1;
            match accept_with(&self.fd, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    self.state.remove(READABLE);
                    return Ok(None);
                }
                other => break other?,
            }
        };
        let opened = about(&accepted, calls)?;
        let socket = Self::register(accepted, Kind::Packets, &opened, None, key, poller, calls)?;
        Ok(Some((socket, opened)))
    }
}

fn about(socket: &OwnedFd, calls: &mut SystemCalls) -> io::Result<DatagramOpened> {
    tell_records_from_ends(socket, calls)?;
    let (local, peer) = (local(socket, calls)?, peer(socket, calls)?);
    let largest = largest(&SockRef::from(socket), Kind::Packets, &local, calls)?;
    if largest == 0 { Err(unknown()) } else { Ok(DatagramOpened { local, peer: Some(peer), largest }) }
}
