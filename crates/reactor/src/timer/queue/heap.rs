//! A heap with four children to a node, which tells where each entry is.
//!
//! Four entries share about two cache lines and the heap is half as deep as a binary one, so the entries, which are
//! kept inline, are compared without following a pointer.

use crate::instant::Instant;
use crate::key::Key;

const CHILDREN: usize = 4;

#[derive(Debug)]
pub(super) struct Heap {
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) deadline: Instant,
    /// The place among equal deadlines.
    sequence: u64,
    pub(super) key: Key,
}

impl Entry {
    pub(super) const fn new(deadline: Instant, sequence: u64, key: Key) -> Self {
        Self { deadline, sequence, key }
    }

    /// By what entries are compared.
    pub(super) fn order(&self) -> (Instant, u64) {
        (self.deadline, self.sequence)
    }

    fn is_before(&self, other: &Self) -> bool {
        self.order() < other.order()
    }
}

impl Heap {
    pub(super) const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    pub(super) fn first(&self) -> Option<&Entry> {
        self.entries.first()
    }

    pub(super) fn get(&self, position: u32) -> &Entry {
        &self.entries[position as usize]
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.entries.capacity()
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }

    /// Adds an entry. Here as below, `moved` is told the new position of each entry that is put anywhere.
    pub(super) fn push(&mut self, entry: Entry, mut moved: impl FnMut(Key, u32)) {
        self.entries.push(entry);
        self.sift_up(self.entries.len() - 1, entry, &mut moved);
    }

    /// Takes out the entry at a position.
    pub(super) fn remove(&mut self, position: u32, moved: impl FnMut(Key, u32)) -> Entry {
        let last = self.entries.len() - 1;
        let taken = self.entries.swap_remove(position as usize);
        if position as usize != last {
            let filler = self.entries[position as usize];
            self.replace(position, filler, moved);
        }
        taken
    }

    /// Puts `entry` in the place of the one at a position, and from there to where it belongs.
    pub(super) fn replace(&mut self, position: u32, entry: Entry, mut moved: impl FnMut(Key, u32)) {
        let start = position as usize;
        if self.sift_up(start, entry, &mut moved) == start {
            self.sift_down(start, entry, &mut moved);
        }
    }

    /// Moves the hole at `hole` up to where `entry` belongs, fills it, and tells where that is.
    fn sift_up(&mut self, mut hole: usize, entry: Entry, moved: &mut impl FnMut(Key, u32)) -> usize {
        while hole > 0 {
            let parent = (hole - 1) / CHILDREN;
            if !entry.is_before(&self.entries[parent]) {
                break;
            }
            self.put(hole, self.entries[parent], moved);
            hole = parent;
        }
        self.put(hole, entry, moved);
        hole
    }

    fn sift_down(&mut self, mut hole: usize, entry: Entry, moved: &mut impl FnMut(Key, u32)) {
        while let Some(child) = self.first_child(hole) {
            if !self.entries[child].is_before(&entry) {
                break;
            }
            self.put(hole, self.entries[child], moved);
            hole = child;
        }
        self.put(hole, entry, moved);
    }

    /// The child of a position that comes before its siblings.
    fn first_child(&self, position: usize) -> Option<usize> {
        let first = position * CHILDREN + 1;
        let end = (first + CHILDREN).min(self.entries.len());
        (first..end).reduce(
            |best, child| {
                if self.entries[child].is_before(&self.entries[best]) { child } else { best }
            },
        )
    }

    #[allow(clippy::cast_possible_truncation)]
    fn put(&mut self, position: usize, entry: Entry, moved: &mut impl FnMut(Key, u32)) {
        self.entries[position] = entry;
        moved(entry.key, position as u32);
    }
}
