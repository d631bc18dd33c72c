//! A heap with four children to a node, which knows where each entry is.
//!
//! The heap is half as deep as a binary one, and four entries share about two cache lines; they are kept inline and compared
//! without following a pointer. Where they are is a table of its own, four bytes for each slot: entries move often, and it
//! stays in the cache when what the slots hold does not.

use crate::instant::Instant;
use crate::key::Key;

const CHILDREN: usize = 4;

#[derive(Debug)]
pub(super) struct Heap {
    entries: Vec<Entry>,
    /// For each slot the position of its entry, if it has one.
    positions: Vec<u32>,
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

    /// One number, so that nothing has to be guessed where the processor would guess wrong half of the time.
    fn rank(&self) -> u128 {
        u128::from(self.deadline.as_nanos()) << 64 | u128::from(self.sequence)
    }

    fn is_before(&self, other: &Self) -> bool {
        self.rank() < other.rank()
    }
}

impl Heap {
    pub(super) const fn new() -> Self {
        Self { entries: Vec::new(), positions: Vec::new() }
    }

    #[inline]
    pub(super) fn first(&self) -> Option<&Entry> {
        self.entries.first()
    }

    /// The entry of a slot that has one.
    pub(super) fn get(&self, key: Key) -> &Entry {
        &self.entries[self.positions[key.index()] as usize]
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

    /// Adds an entry, of a slot that has none.
    #[inline]
    pub(super) fn push(&mut self, entry: Entry) {
        if entry.key.index() >= self.positions.len() {
            self.make_room(entry.key);
        }
        self.entries.push(entry);
        self.sift_up(self.entries.len() - 1, entry);
    }

    #[cold]
    fn make_room(&mut self, key: Key) {
        self.positions.resize(key.index() + 1, 0);
    }

    /// Takes out the entry that is before all others.
    pub(super) fn pop(&mut self) -> Option<Entry> {
        let first = *self.entries.first()?;
        self.take_out(0);
        Some(first)
    }

    /// Takes out the entry of a slot that has one.
    #[inline]
    pub(super) fn remove(&mut self, key: Key) {
        self.take_out(self.positions[key.index()] as usize);
    }

    fn take_out(&mut self, position: usize) {
        let last = self.entries.pop();
        if let Some(filler) = last.filter(|_| position < self.entries.len()) {
            self.fill(position, filler);
        }
    }

    /// Puts `entry` in the place of the one that its slot has, and from there to where it belongs.
    pub(super) fn replace(&mut self, entry: Entry) {
        self.fill(self.positions[entry.key.index()] as usize, entry);
    }

    fn fill(&mut self, hole: usize, entry: Entry) {
        if self.sift_up(hole, entry) == hole {
            self.sift_down(hole, entry);
        }
    }

    /// Moves the hole at `hole` up to where `entry` belongs, fills it, and tells where that is.
    fn sift_up(&mut self, mut hole: usize, entry: Entry) -> usize {
        while hole > 0 {
            let parent = (hole - 1) / CHILDREN;
            if !entry.is_before(&self.entries[parent]) {
                break;
            }
            self.put(hole, self.entries[parent]);
            hole = parent;
        }
        self.put(hole, entry);
        hole
    }

    fn sift_down(&mut self, mut hole: usize, entry: Entry) {
        while let Some(child) = self.first_child(hole) {
            if !self.entries[child].is_before(&entry) {
                break;
            }
            self.put(hole, self.entries[child]);
            hole = child;
        }
        self.put(hole, entry);
    }

    /// The child of a position that comes before its siblings.
    fn first_child(&self, position: usize) -> Option<usize> {
        let first = position * CHILDREN + 1;
        let children = self.entries.get(first..)?;
        if let [a, b, c, d, ..] = children {
            let (left, of_left) = if b.rank() < a.rank() { (1, b.rank()) } else { (0, a.rank()) };
            let (right, of_right) = if d.rank() < c.rank() { (3, d.rank()) } else { (2, c.rank()) };
            return Some(first + if of_right < of_left { right } else { left });
        }
        let of = |child: &usize| self.entries[*child].rank();
        (first..self.entries.len()).min_by_key(of)
    }

    #[allow(clippy::cast_possible_truncation)]
    fn put(&mut self, position: usize, entry: Entry) {
        self.entries[position] = entry;
        self.positions[entry.key.index()] = position as u32;
    }
}
