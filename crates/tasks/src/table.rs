//! Values named by keys that are plain data.

use slab::Slab;

/// Names one entry of a [`Table`] for good: the number is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TableKey {
    index: usize,
    number: u64,
}

/// A slab whose keys are never reused.
pub(crate) struct Table<T> {
    entries: Slab<(u64, T)>,
    /// How many entries were ever made.
    made: u64,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { entries: Slab::new(), made: 0 }
    }
}

impl<T> Table<T> {
    pub(crate) fn insert(&mut self, value: T) -> TableKey {
        self.made += 1;
        TableKey { index: self.entries.insert((self.made, value)), number: self.made }
    }

    pub(crate) fn get_mut(&mut self, key: TableKey) -> Option<&mut T> {
        let (number, value) = self.entries.get_mut(key.index)?;
        (*number == key.number).then_some(value)
    }

    pub(crate) fn remove(&mut self, key: TableKey) -> Option<T> {
        self.get_mut(key)?;
        Some(self.entries.remove(key.index).1)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn made(&self) -> u64 {
        self.made
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().map(|(_, (_, value))| value)
    }
}
