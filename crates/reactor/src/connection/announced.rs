//! Input that the backend has announced, and nobody has come to yet.

use std::cell::Cell;

use crate::key::Key;
use crate::protocol::Internal;
use crate::reactor::Shell;

/// So many are taken off the backend's list at a time.
const MOST: usize = 32;

/// Keys of what may have input, in order.
pub(crate) struct Announced {
    keys: [Cell<Key>; MOST],
    /// Which comes next,
    next: Cell<usize>,
    /// and how many there are.
    end: Cell<usize>,
}

impl Default for Announced {
    fn default() -> Self {
        Self { keys: [const { Cell::new(Key::NOBODY) }; MOST], next: Cell::new(0), end: Cell::new(0) }
    }
}

impl Announced {
    pub(crate) fn is_empty(&self) -> bool {
        self.next == self.end
    }
}

impl Shell {
    /// Whose input comes next, if that is what comes next.
    #[inline(always)]
    pub(super) fn next_announced(&self) -> Option<Key> {
        let next = self.announced.next.get();
        if next == self.announced.end.get() {
            return self.take_announced();
        }
        self.announced.next.set(next + 1);
        self.announced.keys.get(next).map(Cell::get)
    }

    #[inline(never)]
    fn take_announced(&self) -> Option<Key> {
        let announced = &self.announced;
        let mut backend = self.backend_in_turn();
        let count = match backend.lender(Internal) {
            Some(lender) => lender.next_announced(&announced.keys),
            None => backend.next_inputs(&announced.keys),
        };
        let count = count.min(MOST);
        announced.next.set(count.min(1));
        announced.end.set(count);
        announced.keys.first().filter(|_| count > 0).map(Cell::get)
    }

    /// The backend hears that we have come to it: whether it is input. If it is not, the backend tells what else it is.
    #[inline]
    pub(super) fn note_announced(&self, key: Key) -> bool {
        if self.lends {
            return self.tell_lender(key);
        }
        self.decline_arrived();
        true
    }

    #[inline(never)]
    fn tell_lender(&self, key: Key) -> bool {
        self.backend_in_turn().lender(Internal).is_some_and(|lender| lender.note_input(key))
    }
}
