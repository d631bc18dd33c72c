//! What a key may stand for, on backends with real sockets.

use std::io;

use super::datagram::DatagramSocket;
use super::stream::{Connection, Special};
use super::table::Table;
use super::watched::Watched;
use crate::key::Key;

/// The answer to an operation of a key that stands for nothing of that kind, which the core does not start.
pub(super) fn unknown() -> io::Error {
    io::ErrorKind::NotConnected.into()
}

/// What a key may stand for. Listeners and datagram sockets are few, so they are boxed and do not make the entries of connections larger.
#[derive(Debug)]
pub(super) enum Object<C, L> {
    Connection(C),
    Listener(Box<L>),
    /// A stream that is no plain socket. There are few.
    Stream(Box<Connection<Special>>),
    Watched(Watched),
    Datagram(Box<DatagramSocket>),
}

impl<C, L> Table<Object<C, L>> {
    #[cfg(any(test, all(target_os = "linux", feature = "io-uring")))]
    pub(super) fn connection(&mut self, key: Key) -> Option<&mut C> {
        match self.get(key)? {
            Object::Connection(connection) => Some(connection),
            _ => None,
        }
    }

    pub(super) fn listener(&mut self, key: Key) -> Option<&mut L> {
        match self.get(key)? {
            Object::Listener(listener) => Some(listener),
            _ => None,
        }
    }

    pub(super) fn datagram(&mut self, key: Key) -> Option<&mut DatagramSocket> {
        match self.get(key)? {
            Object::Datagram(socket) => Some(socket),
            _ => None,
        }
    }

    pub(super) fn stream(&mut self, key: Key) -> Option<&mut Connection<Special>> {
        match self.get(key)? {
            Object::Stream(stream) => Some(stream),
            _ => None,
        }
    }

    pub(super) fn watched(&mut self, key: Key) -> Option<&mut Watched> {
        match self.get(key)? {
            Object::Watched(watched) => Some(watched),
            _ => None,
        }
    }
}
