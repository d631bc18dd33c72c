//! One listener.

use std::io;
use std::os::fd::AsRawFd as _;

use mio::unix::SourceFd;
use socket2::SockRef;

use crate::address::{Address, Addresses};
use crate::backend::bits::Bits;
use crate::backend::poller::{Event, Poller};
use crate::backend::socket::{self, Listening};
use crate::backend::stream::Socket;
use crate::backend::{Accepted, Completion, SystemCalls};
use crate::key::Key;

/// A listening socket, registered with the poller.
#[derive(Debug)]
pub(super) struct Listener {
    listening: Listening,
    /// Whether others may hold the socket, too.
    shared: bool,
}

impl Listener {
    /// Registers what listens, which is non-blocking; on an error it is closed.
    pub(super) fn register(
        listening: Listening,
        poller: &Poller,
        key: Key,
        calls: &mut SystemCalls,
    ) -> io::Result<Self> {
        let descriptor = listening.socket.as_raw_fd();
        let registered = poller.listener(&mut SourceFd(&descriptor), key, calls);
        calls.closes += u64::from(registered.is_err());
        registered.map(|()| Self { listening, shared: false })
    }

    /// Whether descriptors are passed over its connections.
    pub(super) fn passes_descriptors(&self) -> bool {
        self.listening.descriptors
    }

    /// A listener that others may hold too.
    pub(super) fn shared(mut self) -> Self {
        self.shared = true;
        self
    }

    /// Tells what `event` announces.
    pub(super) fn announce(event: &mut Event) -> Completion {
        event.due = Bits::NONE;
        Completion::Input(event.key)
    }

    /// Accepts one connection, and registers it as `key`. The system is asked in any case: who came after the last wait was not
    /// announced yet, and is to be found by a listener that looks for the last time.
    pub(super) fn accept(
        &mut self,
        poller: &Poller,
        key: Key,
        calls: &mut SystemCalls,
    ) -> Result<(Socket, Addresses), Accepted> {
        let (socket, peer) = self.take(calls)?;
        let socket = Socket::register(socket, poller, key, calls).map_err(Accepted::Failed)?;
        let socket = socket.at(&self.listening.local);
        match self.finish(&socket, calls) {
            Ok(local) => Ok((socket, Addresses { local, peer })),
            Err(error) => {
                socket.drop_it(calls);
                Err(Accepted::Failed(error))
            }
        }
    }

    /// A connection, close-on-exec. It stays a blocking socket, as no call on it ever waits (MSG_DONTWAIT).
    fn take(&mut self, calls: &mut SystemCalls) -> Result<(socket2::Socket, Address), Accepted> {
        loop {
            calls.accepts += 1;
            match SockRef::from(&self.listening.socket).accept() {
                Ok((socket, peer)) => {
                    return Ok((socket, socket::read_address(&peer).map_err(Accepted::Failed)?));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Err(Accepted::Dry);
                }
                Err(error) => return Err(Accepted::Failed(error)),
            }
        }
    }

    /// Sets what is not inherited, and finds out the local address: the listener's own, unless it listens on all.
    fn finish(&self, socket: &Socket, calls: &mut SystemCalls) -> io::Result<Address> {
        if self.listening.set_nodelay {
            socket::set_nodelay(socket, calls)?;
        }
        if socket::is_wildcard(&self.listening.local) {
            return socket::local(socket, calls);
        }
        Ok(self.listening.local.clone())
    }

    /// Closes our descriptor. There is no shutdown, as that would end the listener for its other holders, too. And while
    /// there are any, close(2) leaves the registration in place, so it is taken back first.
    pub(super) fn close(self, poller: &Poller, calls: &mut SystemCalls) {
        if self.shared {
            poller.forget(&mut SourceFd(&self.listening.socket.as_raw_fd()), calls);
        }
        calls.closes += 1;
        drop(self);
    }
}
