//! A paged table of slots with generations.
//!
//! It grows page by page, so growing copies nothing and leaves no half-empty doubling behind, and what a [`Key`]
//! names is found by two index operations. A vacated slot's generation goes up, so an old key finds nothing.

use crate::key::Key;

const PAGE: usize = 64;
const NONE: u32 = u32::MAX;

/// A table whose entries are named by [`Key`]s.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    pages: Vec<Box<[Slot<T>; PAGE]>>,
    /// The vacant slot to use next: the one that was vacated last.
    vacant: u32,
    len: usize,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    /// The next vacant slot, while this one is vacant.
    next: u32,
    value: Option<T>,
}

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Self { pages: Vec::new(), vacant: NONE, len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Puts `value` into a vacant slot.
    #[inline]
    pub(crate) fn insert(&mut self, value: T) -> Key {
        if self.vacant == NONE {
            self.grow();
        }
        let index = self.vacant;
        let slot = &mut self.pages[index as usize / PAGE][index as usize % PAGE];
        self.vacant = slot.next;
        slot.value = Some(value);
        self.len += 1;
        Key::new(index, slot.generation)
    }

    #[inline]
    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        let slot = &self.pages.get(key.index() / PAGE)?[key.index() % PAGE];
        if slot.generation == key.generation() { slot.value.as_ref() } else { None }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let slot = &mut self.pages.get_mut(key.index() / PAGE)?[key.index() % PAGE];
        if slot.generation == key.generation() { slot.value.as_mut() } else { None }
    }

    /// The same, of a key that is known to stand.
    #[inline]
    pub(crate) fn get_standing(&mut self, key: Key) -> Option<&mut T> {
        let slot = &mut self.pages.get_mut(key.index() / PAGE)?[key.index() % PAGE];
        debug_assert!(slot.generation == key.generation() && slot.value.is_some());
        slot.value.as_mut()
    }

    /// Vacates the slot.
    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let value = self.get_slot(key)?.value.take()?;
        self.vacated(key);
        Some(value)
    }

    /// Vacates the slot and drops what is in it, where it is.
    pub(crate) fn vacate(&mut self, key: Key) {
        let Some(slot) = self.get_slot(key).filter(|slot| slot.value.is_some()) else { return };
        slot.value = None;
        self.vacated(key);
    }

    #[inline]
    fn get_slot(&mut self, key: Key) -> Option<&mut Slot<T>> {
        let slot = &mut self.pages.get_mut(key.index() / PAGE)?[key.index() % PAGE];
        (slot.generation == key.generation()).then_some(slot)
    }

    #[inline]
    fn vacated(&mut self, key: Key) {
        let slot = &mut self.pages[key.index() / PAGE][key.index() % PAGE];
        slot.generation = slot.generation.wrapping_add(1);
        slot.next = self.vacant;
        #[allow(clippy::cast_possible_truncation)]
        {
            self.vacant = key.index() as u32;
        }
        self.len -= 1;
    }

    /// The keys of all entries, in the order of their slots.
    pub(crate) fn keys(&self) -> Vec<Key> {
        let slots = self.pages.iter().flat_map(|page| page.iter());
        let occupied = slots.zip(0u32..).filter(|(slot, _)| slot.value.is_some());
        occupied.map(|(slot, index)| Key::new(index, slot.generation)).collect()
    }

    /// All entries with their keys, in the order of their slots.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (Key, &T)> {
        let slots = self.pages.iter().flat_map(|page| page.iter()).zip(0u32..);
        slots.filter_map(|(slot, index)| Some((Key::new(index, slot.generation), slot.value.as_ref()?)))
    }

    /// All entries, in the order of their slots.
    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.pages.iter().flat_map(|page| page.iter()).filter_map(|slot| slot.value.as_ref())
    }

    /// Everything that is in it, in the order of the slots.
    pub(crate) fn into_values(self) -> impl Iterator<Item = T> {
        self.pages
            .into_iter()
            .flat_map(|page| (page as Box<[Slot<T>]>).into_vec())
            .filter_map(|slot| slot.value)
    }

    #[cold]
    #[allow(clippy::cast_possible_truncation)]
    fn grow(&mut self) {
        let first = (self.pages.len() * PAGE) as u32;
        let last = first + PAGE as u32 - 1;
        let page = (first..=last).map(|index| Slot {
            generation: 1,
            next: if index == last { self.vacant } else { index + 1 },
            value: None,
        });
        self.pages.extend(page.collect::<Box<[_]>>().try_into());
        self.vacant = first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_key_never_finds_the_slots_next_user() {
        let mut slab = Slab::new();
        let first = slab.insert('a');
        assert_eq!(slab.remove(first), Some('a'));
        let second = slab.insert('b');
        assert_eq!(first.index(), second.index());
        assert_eq!(slab.get(first), None);
        assert_eq!(slab.remove(first), None);
        assert_eq!(slab.get(second), Some(&'b'));
    }

    #[test]
    fn slots_are_dense_and_reused_across_pages() {
        let mut slab = Slab::new();
        let keys: Vec<_> = (0..1000).map(|number| slab.insert(number)).collect();
        assert!(keys.iter().enumerate().all(|(index, key)| key.index() == index));
        for key in &keys[..500] {
            slab.remove(*key);
        }
        assert_eq!((slab.len(), slab.keys().len()), (500, 500));
        assert!((0..500).all(|number| slab.insert(number).index() < 500));
        assert_eq!(slab.keys().len(), 1000);
    }
}
