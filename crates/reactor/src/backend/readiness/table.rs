//! What each key stands for.
//!
//! The core chooses the keys, dense in their index, so finding an entry takes two index operations. The table grows by
//! pages: nothing is copied, and no half of it stays empty as in a vector that doubles.

use super::connection::Connection;
use super::listener::Listener;
use super::watched::Watched;
use crate::key::Key;

const PAGE: usize = 64;

/// The registered objects, by key.
#[derive(Debug, Default)]
pub(super) struct Table {
    pages: Vec<Box<[Entry]>>,
}

#[derive(Debug)]
struct Entry {
    generation: u32,
    object: Object,
}

/// What a key may stand for. Listeners are few, so they are boxed and do not make the entries of connections larger.
#[derive(Debug)]
pub(super) enum Object {
    Vacant,
    Connection(Connection),
    Listener(Box<Listener>),
    Watched(Watched),
}

impl Entry {
    const fn vacant() -> Self {
        Self { generation: 0, object: Object::Vacant }
    }
}

impl Table {
    /// Puts `object` at `key`. What an old life of the slot might have left there is dropped.
    pub(super) fn insert(&mut self, key: Key, object: Object) {
        while self.pages.len() <= key.index() / PAGE {
            self.pages.push((0..PAGE).map(|_| Entry::vacant()).collect());
        }
        self.pages[key.index() / PAGE][key.index() % PAGE] = Entry { generation: key.generation(), object };
    }

    fn entry(&mut self, key: Key) -> Option<&mut Entry> {
        let entry = self.pages.get_mut(key.index() / PAGE)?.get_mut(key.index() % PAGE)?;
        (entry.generation == key.generation()).then_some(entry)
    }

    /// What `key` stands for; [`Object::Vacant`] is never found.
    pub(super) fn get(&mut self, key: Key) -> Option<&mut Object> {
        match &mut self.entry(key)?.object {
            Object::Vacant => None,
            object => Some(object),
        }
    }

    pub(super) fn connection(&mut self, key: Key) -> Option<&mut Connection> {
        match &mut self.entry(key)?.object {
            Object::Connection(connection) => Some(connection),
            _ => None,
        }
    }

    pub(super) fn listener(&mut self, key: Key) -> Option<&mut Listener> {
        match &mut self.entry(key)?.object {
            Object::Listener(listener) => Some(listener),
            _ => None,
        }
    }

    pub(super) fn watched(&mut self, key: Key) -> Option<&mut Watched> {
        match &mut self.entry(key)?.object {
            Object::Watched(watched) => Some(watched),
            _ => None,
        }
    }

    /// Takes out what `key` stands for.
    pub(super) fn remove(&mut self, key: Key) -> Option<Object> {
        match std::mem::replace(&mut self.entry(key)?.object, Object::Vacant) {
            Object::Vacant => None,
            object => Some(object),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_connection_costs_few_bytes() {
        assert!(size_of::<Entry>() <= 32, "{} bytes", size_of::<Entry>());
    }

    #[test]
    fn nothing_is_found_under_a_key_that_was_never_used() {
        let mut table = Table::default();
        assert!(table.get(Key::new(3, 0)).is_none());
        table.pages.push((0..PAGE).map(|_| Entry::vacant()).collect());
        assert!(table.get(Key::new(3, 0)).is_none());
        assert!(table.remove(Key::new(3, 0)).is_none());
    }
}
