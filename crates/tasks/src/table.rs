//! Values named by keys that are plain data.

use std::mem;

/// Names one entry of a [`Table`] for good: the number is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TableKey {
    index: usize,
    number: u64,
}

const PAGE: usize = 64;
const NONE: usize = usize::MAX;

/// A table whose keys are never reused. It grows page by page, so growing copies nothing and leaves no half-empty doubling
/// behind.
pub(crate) struct Table<T> {
    pages: Vec<Box<[Slot<T>]>>,
    /// The vacant slot to use next: the one that was vacated last.
    vacant: usize,
    /// How many entries were ever made.
    made: u64,
}

enum Slot<T> {
    Vacant { next: usize },
    Taken { number: u64, value: T },
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { pages: Vec::new(), vacant: NONE, made: 0 }
    }
}

impl<T> Table<T> {
    pub(crate) fn insert(&mut self, value: T) -> TableKey {
        let key = self.next_key();
        self.put(key, value);
        key
    }

    /// Makes a value that knows its key, and is shared with whoever asks.
    pub(crate) fn insert_shared(&mut self, make: impl FnOnce(TableKey) -> T) -> T
    where
        T: Clone,
    {
        let key = self.next_key();
        let value = make(key);
        self.put(key, value.clone());
        value
    }

    /// The key of what is put into the table next.
    fn next_key(&mut self) -> TableKey {
        if self.vacant == NONE {
            self.grow();
        }
        self.made += 1;
        TableKey { index: self.vacant, number: self.made }
    }

    fn put(&mut self, key: TableKey, value: T) {
        let slot = &mut self.pages[key.index / PAGE][key.index % PAGE];
        let taken = Slot::Taken { number: key.number, value };
        if let Slot::Vacant { next } = mem::replace(slot, taken) {
            self.vacant = next;
        }
    }

    pub(crate) fn get_mut(&mut self, key: TableKey) -> Option<&mut T> {
        match self.slot(key)? {
            Slot::Taken { value, .. } => Some(value),
            Slot::Vacant { .. } => None,
        }
    }

    pub(crate) fn remove(&mut self, key: TableKey) -> Option<T> {
        let next = self.vacant;
        match mem::replace(self.slot(key)?, Slot::Vacant { next }) {
            Slot::Taken { value, .. } => {
                self.vacant = key.index;
                Some(value)
            }
            Slot::Vacant { .. } => None,
        }
    }

    /// One entry after the other, in no order.
    pub(crate) fn into_values(self) -> impl Iterator<Item = T> {
        let slots = self.pages.into_iter().flat_map(<[_]>::into_vec);
        slots.filter_map(|slot| match slot {
            Slot::Taken { value, .. } => Some(value),
            Slot::Vacant { .. } => None,
        })
    }

    /// The slot of the entry, if it is still there.
    fn slot(&mut self, key: TableKey) -> Option<&mut Slot<T>> {
        let slot = self.pages.get_mut(key.index / PAGE)?.get_mut(key.index % PAGE)?;
        matches!(slot, Slot::Taken { number, .. } if *number == key.number).then_some(slot)
    }

    fn grow(&mut self) {
        let first = self.pages.len() * PAGE;
        let next = |index: usize| if (index + 1) % PAGE == 0 { NONE } else { index + 1 };
        self.pages.push((first..first + PAGE).map(|index| Slot::Vacant { next: next(index) }).collect());
        self.vacant = first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_key_never_finds_the_slots_next_entry() {
        let mut table = Table::default();
        let first = table.insert('a');
        assert_eq!(table.remove(first), Some('a'));
        let second = table.insert('b');
        assert_eq!(first.index, second.index);
        assert_eq!(table.get_mut(first), None);
        assert_eq!(table.remove(first), None);
        assert_eq!(table.get_mut(second), Some(&mut 'b'));
    }

    #[test]
    fn vacated_slots_are_used_again_before_the_table_grows() {
        let mut table = Table::default();
        let keys: Vec<_> = (0..1000).map(|value| table.insert(value)).collect();
        assert!(keys.iter().enumerate().all(|(index, key)| key.index == index));
        let removed = keys.iter().step_by(3).filter_map(|key| table.remove(*key)).count();
        let again: Vec<_> = (0..removed).map(|value| table.insert(value)).collect();
        assert!(again.iter().all(|key| key.index < 1000));
        assert_eq!(table.pages.len(), 1000_usize.div_ceil(PAGE));
        assert_eq!(table.into_values().count(), 1000);
    }
}
