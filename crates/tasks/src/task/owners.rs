//! How many hold a task.
//!
//! A task's wakers are cloned, woken and dropped on its own thread nearly always, and may be on any other. So what its own
//! thread does is counted apart, without atomics, as long as the task lives. At its end, which is on its own thread, the two
//! counts become one, which is atomic.

use std::cell::Cell;
use std::process::abort;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// What the shared count is above its value before the counts become one, so that it is never taken for the last owner's.
const APART: usize = 1 << (usize::BITS - 2);
/// A program that forgets so many owners has to end before a count begins anew.
const LIMIT: usize = APART + APART / 2;

pub(super) struct Owners {
    /// What the task's own thread counted, below zero if it saw more of them end than begin. For that thread alone.
    here: Cell<usize>,
    /// One if the counts are one, and zero before. A whole word, as nobody may be told of what lies between the fields: they are
    /// looked at while another owner frees them.
    are_one: Cell<usize>,
    shared: AtomicUsize,
}

impl Owners {
    pub(super) fn new(owners: usize) -> Self {
        Self { here: Cell::new(owners), are_one: Cell::new(0), shared: AtomicUsize::new(APART) }
    }

    /// There is one more, made from another one. `is_home` says whether this is the thread of the task.
    #[inline]
    pub(super) fn add(&self, is_home: bool) {
        if is_home && self.are_one.get() == 0 {
            let here = self.here.get().wrapping_add(1);
            self.here.set(here);
            if here == APART {
                abort();
            }
        } else if self.shared.fetch_add(1, Ordering::Relaxed) > LIMIT {
            abort();
        }
    }

    /// There is one less: whether it was the last.
    #[must_use]
    #[inline]
    pub(super) fn give_up(&self, is_home: bool) -> bool {
        if is_home && self.are_one.get() == 0 {
            self.here.set(self.here.get().wrapping_sub(1));
            return false;
        }
        // Who is alone needs no atomic operation: nobody else could add one.
        self.shared.load(Ordering::Acquire) == 1 || self.shared.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// The task has ended, on its thread, which gives up its last claim: whether that was the last one. Called once.
    #[must_use]
    pub(super) fn unite(&self) -> bool {
        let left = self.here.get().wrapping_sub(1);
        self.are_one.set(1);
        if left == 0 && self.shared.load(Ordering::Acquire) == APART {
            return true;
        }
        let change = left.wrapping_sub(APART);
        self.shared.fetch_add(change, Ordering::AcqRel).wrapping_add(change) == 0
    }
}

thread_local! {
    /// Zero on a thread that nobody asked yet.
    static NUMBER: Cell<u64> = const { Cell::new(0) };
}

/// The number of a thread, never used again in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Thread(u64);

impl Thread {
    /// This one.
    #[inline]
    pub(crate) fn current() -> Self {
        let number = NUMBER.get();
        Self(if number == 0 { Self::begin() } else { number })
    }

    #[cold]
    fn begin() -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        NUMBER.set(number);
        number
    }

    /// Whether it is this one.
    #[inline]
    pub(crate) fn is_current(self) -> bool {
        NUMBER.get() == self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_is_found_wherever_owners_begin_and_end() {
        // Two begin on one side and end on the other, before the counts become one or after.
        for (begins_here, ends_here, ends_before) in
            [(true, false, true), (false, true, true), (true, false, false), (false, false, false)]
        {
            let owners = Owners::new(1);
            owners.add(begins_here);
            owners.add(begins_here);
            if ends_before {
                assert!(!owners.give_up(ends_here));
                assert!(!owners.give_up(ends_here));
                assert!(owners.unite());
            } else {
                assert!(!owners.unite());
                assert!(!owners.give_up(ends_here));
                assert!(owners.give_up(true));
            }
        }
    }

    #[test]
    fn who_has_begun_after_the_end_counts_too() {
        let owners = Owners::new(2);
        assert!(!owners.unite());
        owners.add(true);
        assert!(!owners.give_up(true));
        assert!(owners.give_up(true));
    }

    #[test]
    fn threads_have_numbers_of_their_own() {
        let other = std::thread::spawn(Thread::current).join().unwrap();
        assert!(other != Thread::current() && !other.is_current() && Thread::current().is_current());
    }
}
