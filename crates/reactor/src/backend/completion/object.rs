//! What a key may stand for.

use super::connection::Connection;
use super::listener::Listener;
use crate::backend::table::Table;
use crate::backend::watched::Watched;
use crate::key::Key;

/// What a key may stand for, until its close was answered. Listeners are few, so they are boxed.
#[derive(Debug)]
pub(super) enum Object {
    Connection(Connection),
    Listener(Box<Listener>),
    Watched(Watched),
}

impl Table<Object> {
    pub(super) fn connection(&mut self, key: Key) -> Option<&mut Connection> {
        match self.get(key)? {
            Object::Connection(connection) => Some(connection),
            _ => None,
        }
    }

    pub(super) fn listener(&mut self, key: Key) -> Option<&mut Listener> {
        match self.get(key)? {
            Object::Listener(listener) => Some(listener),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_connection_costs_few_bytes() {
        const { assert!(Table::<Object>::ENTRY <= 88) }
    }
}
