//! One listener.

use std::io;
use std::net::SocketAddr;

use super::socket::Socket;
use crate::address::Addresses;
use crate::backend::bits::Bits;
use crate::backend::poller::{Event, Poller};
use crate::backend::socket::{self, NODELAY_IS_INHERITED};
use crate::backend::{Accepted, Completion, SystemCalls};
use crate::key::Key;

/// A listening socket, registered with the poller.
#[derive(Debug)]
pub(super) struct Listener {
    socket: mio::net::TcpListener,
    local: SocketAddr,
    /// Whether an accept might find something.
    ready: bool,
    /// Whether others may hold the socket, too.
    shared: bool,
    /// Whether each connection must be given TCP_NODELAY.
    set_nodelay: bool,
}

impl Listener {
    /// Registers `listener`, which is non-blocking; on an error it is closed.
    pub(super) fn register(
        listener: std::net::TcpListener,
        local: SocketAddr,
        poller: &Poller,
        key: Key,
        calls: &mut SystemCalls,
    ) -> io::Result<Self> {
        let mut socket = mio::net::TcpListener::from_std(listener);
        let registered = poller.listener(&mut socket, key, calls);
        calls.closes += u64::from(registered.is_err());
        registered.map(|()| Self { socket, local, ready: false, shared: false, set_nodelay: false })
    }

    /// A listener that others may hold too.
    pub(super) fn shared(mut self) -> Self {
        self.shared = true;
        self
    }

    /// A listener whose connections send small writes at once.
    pub(super) fn nodelay(mut self, nodelay: bool) -> Self {
        self.set_nodelay = nodelay && !NODELAY_IS_INHERITED;
        self
    }

    /// Does what is due about `event`.
    pub(super) fn advance(&mut self, event: &mut Event) -> Option<Completion> {
        event.due = Bits::NONE;
        self.ready = true;
        Some(Completion::Input(event.key))
    }

    /// Accepts one connection, and registers it as `key`. An error leaves the listener ready: the event was spent,
    /// and the kernel announces a connection only once.
    pub(super) fn accept(
        &mut self,
        poller: &Poller,
        key: Key,
        calls: &mut SystemCalls,
    ) -> Result<(Socket, Addresses), Accepted> {
        if !self.ready {
            return Err(Accepted::Dry);
        }
        let (stream, peer) = self.take(calls)?;
        let socket = Socket::register(stream, poller, key, calls).map_err(Accepted::Failed)?;
        match self.finish(&socket, calls) {
            Ok(local) => Ok((socket, Addresses { local: local.into(), peer: peer.into() })),
            Err(error) => {
                socket.close(calls);
                Err(Accepted::Failed(error))
            }
        }
    }

    fn take(&mut self, calls: &mut SystemCalls) -> Result<(mio::net::TcpStream, SocketAddr), Accepted> {
        loop {
            calls.accepts += 1;
            match self.socket.accept() {
                Ok(taken) => return Ok(taken),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.ready = false;
                    return Err(Accepted::Dry);
                }
                Err(error) => return Err(Accepted::Failed(error)),
            }
        }
    }

    /// Sets what is not inherited, and finds out the local address: the listener's own, unless it listens on all.
    fn finish(&self, socket: &Socket, calls: &mut SystemCalls) -> io::Result<SocketAddr> {
        if self.set_nodelay {
            socket::set_nodelay(socket, calls)?;
        }
        if self.local.ip().is_unspecified() {
            return socket::local(socket, calls);
        }
        Ok(self.local)
    }

    /// Closes our descriptor. There is no shutdown, as that would end the listener for its other holders, too. And while
    /// there are any, close(2) leaves the registration in place, so it is taken back first.
    pub(super) fn close(mut self, poller: &Poller, calls: &mut SystemCalls) {
        if self.shared {
            poller.forget(&mut self.socket, calls);
        }
        calls.closes += 1;
        drop(self);
    }
}
