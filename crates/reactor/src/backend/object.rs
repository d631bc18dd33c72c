//! What a key may stand for, on backends with real sockets.

use super::Completion;
use super::datagram::DatagramSocket;
use super::poller::Event;
use super::table::Table;
use super::watched::Watched;
use crate::key::Key;

/// What a key may stand for. Listeners and datagram sockets are few, so they are boxed and do not make the entries of connections larger.
#[derive(Debug)]
pub(super) enum Object<C, L> {
    Connection(C),
    Listener(Box<L>),
    Watched(Watched),
    Datagram(Box<DatagramSocket>),
}

impl<C, L> Table<Object<C, L>> {
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

    pub(super) fn watched(&mut self, key: Key) -> Option<&mut Watched> {
        match self.get(key)? {
            Object::Watched(watched) => Some(watched),
            _ => None,
        }
    }

    /// Does the first of what is due about an event of a multiplexer that stands in for another.
    #[cfg_attr(not(all(target_os = "linux", feature = "io-uring")), allow(dead_code))]
    pub(super) fn advance_polled(&mut self, event: &mut Event) -> Option<Completion> {
        if event.due.is_empty() {
            return None;
        }
        match self.get(event.key)? {
            Object::Watched(watched) => watched.advance(event),
            Object::Datagram(socket) => socket.advance(event),
            Object::Connection(_) | Object::Listener(_) => None,
        }
    }
}
