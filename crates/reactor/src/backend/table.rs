//! What each key stands for.
//!
//! The core chooses the keys, dense in their index, so finding an entry takes two index operations. The table grows by
//! pages: nothing is copied, and no half of it stays empty as in a vector that doubles.

use crate::key::Key;

const PAGE: usize = 64;

/// The objects of a backend, by key.
#[derive(Debug)]
pub(super) struct Table<T> {
    pages: Vec<Box<[Entry<T>; PAGE]>>,
}

#[derive(Debug)]
struct Entry<T> {
    generation: u32,
    object: Option<T>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { pages: Vec::new() }
    }
}

impl<T> Table<T> {
    /// How many bytes an entry has.
    #[cfg(test)]
    pub(super) const ENTRY: usize = size_of::<Entry<T>>();

    /// Puts `object` at `key`. What an old life of the slot might have left there is dropped.
    pub(super) fn insert(&mut self, key: Key, object: T) {
        while self.pages.len() <= key.index() / PAGE {
            let page: Box<[_]> = (0..PAGE).map(|_| Entry { generation: 0, object: None }).collect();
            self.pages.extend(page.try_into());
        }
        self.pages[key.index() / PAGE][key.index() % PAGE] =
            Entry { generation: key.generation(), object: Some(object) };
    }

    #[inline]
    fn entry(&mut self, key: Key) -> Option<&mut Entry<T>> {
        let entry = &mut self.pages.get_mut(key.index() / PAGE)?[key.index() % PAGE];
        (entry.generation == key.generation()).then_some(entry)
    }

    /// What `key` stands for.
    #[inline]
    pub(super) fn get(&mut self, key: Key) -> Option<&mut T> {
        self.entry(key)?.object.as_mut()
    }

    /// What the key of this index stands for, and that key.
    #[cfg_attr(not(all(target_os = "linux", feature = "io-uring")), allow(dead_code))]
    pub(super) fn at(&mut self, index: usize) -> Option<(Key, &mut T)> {
        let entry = &mut self.pages.get_mut(index / PAGE)?[index % PAGE];
        let generation = entry.generation;
        let index = u32::try_from(index).ok()?;
        entry.object.as_mut().map(|object| (Key::new(index, generation), object))
    }

    /// Everything that is there.
    #[cfg_attr(not(all(target_os = "linux", feature = "io-uring")), allow(dead_code))]
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.pages.iter().flat_map(|page| page.iter()).filter_map(|entry| entry.object.as_ref())
    }

    /// Takes out what `key` stands for.
    pub(super) fn remove(&mut self, key: Key) -> Option<T> {
        self.entry(key)?.object.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_found_under_a_key_that_was_never_used() {
        let mut table = Table::default();
        assert!(table.get(Key::new(3, 0)).is_none());
        table.insert(Key::new(4, 1), 'x');
        assert!(table.get(Key::new(3, 0)).is_none());
        assert!(table.remove(Key::new(3, 0)).is_none());
        assert!(table.get(Key::new(4, 0)).is_none());
        assert_eq!(table.remove(Key::new(4, 1)), Some('x'));
        assert!(table.get(Key::new(4, 1)).is_none());
    }
}
