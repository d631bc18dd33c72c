//! What the keys of one loop stand for in the network.

use super::state::Id;
use crate::key::Key;

/// A table indexed by [`Key::index`], because the loop's keys are dense.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    slots: Vec<Option<Socket>>,
}

/// What a key stands for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Socket {
    pub(super) key: Key,
    pub(super) id: Id,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Listener,
    /// A connection whose loop was not told yet that it is established.
    Connecting,
    Connection,
    Datagram,
}

impl Sockets {
    pub(super) fn insert(&mut self, key: Key, id: Id, kind: Kind) {
        if self.slots.len() <= key.index() {
            self.slots.resize(key.index() + 1, None);
        }
        self.slots[key.index()] = Some(Socket { key, id, kind });
    }

    pub(super) fn get(&self, key: Key) -> Option<Socket> {
        let socket = *self.slots.get(key.index())?;
        socket.filter(|socket| socket.key == key)
    }

    /// The end of a connection, established or not.
    pub(super) fn end(&self, key: Key) -> Option<Id> {
        let is_end = |socket: &Socket| matches!(socket.kind, Kind::Connecting | Kind::Connection);
        self.get(key).filter(is_end).map(|socket| socket.id)
    }

    pub(super) fn listener(&self, key: Key) -> Option<Id> {
        self.get(key).filter(|socket| socket.kind == Kind::Listener).map(|socket| socket.id)
    }

    pub(super) fn datagram(&self, key: Key) -> Option<Id> {
        self.get(key).filter(|socket| socket.kind == Kind::Datagram).map(|socket| socket.id)
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<Socket> {
        let socket = self.get(key)?;
        self.slots[key.index()] = None;
        Some(socket)
    }

    /// The loop is told that a connection is established.
    pub(super) fn connected(&mut self, key: Key) {
        if let Some(socket) = self.get(key) {
            self.insert(key, socket.id, Kind::Connection);
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = Socket> + '_ {
        self.slots.iter().flatten().copied()
    }
}
