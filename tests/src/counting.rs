//! An allocator that counts, for each thread on its own.
//!
//! ```
//! use marline_tests::counting::{Counting, counted};
//!
//! #[global_allocator]
//! static ALLOCATOR: Counting = Counting;
//!
//! let (boxed, counts) = counted(|| Box::new(7_u64));
//! assert_eq!((counts.allocations, counts.bytes), (1, 8));
//! # drop(boxed);
//! ```
//!
//! # Rules
//!
//! * **A1** Every call is passed on to [`System`] with the arguments as they came, so the caller's promises are its own.
//! * **A2** Counting allocates nothing, takes no lock and cannot panic: the counters are plain numbers in memory of
//!   the thread's that is there before the thread runs, and need no destructor.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static BYTES: Cell<i64> = const { Cell::new(0) };
}

/// Counts for the thread that allocates, and passes everything on to the system.
pub struct Counting;

/// What a thread has allocated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// How many times memory was asked for, or asked to become larger or smaller.
    pub allocations: u64,
    /// How many bytes more were allocated than freed, on this thread.
    pub bytes: i64,
}

impl Counts {
    /// What this thread has counted so far.
    #[must_use]
    pub fn here() -> Self {
        Self { allocations: ALLOCATIONS.get(), bytes: BYTES.get() }
    }

    /// What was counted since then.
    #[must_use]
    pub fn since(self, then: Self) -> Self {
        Self { allocations: self.allocations - then.allocations, bytes: self.bytes - then.bytes }
    }
}

/// Calls `work`, and tells what it allocated on this thread.
pub fn counted<R>(work: impl FnOnce() -> R) -> (R, Counts) {
    let before = Counts::here();
    let answer = work();
    (answer, Counts::here().since(before))
}

fn count(allocations: u64, bytes: i64) {
    ALLOCATIONS.set(ALLOCATIONS.get().wrapping_add(allocations));
    BYTES.set(BYTES.get().wrapping_add(bytes));
}

#[allow(clippy::cast_possible_wrap)]
fn signed(bytes: usize) -> i64 {
    bytes as i64
}

// SAFETY: by A1 it is as good as `System`, and by A2 counting changes nothing about that.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, signed(layout.size()));
        // SAFETY: A1.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(1, signed(layout.size()));
        // SAFETY: A1.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(1, signed(size) - signed(layout.size()));
        // SAFETY: A1.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(0, -signed(layout.size()));
        // SAFETY: A1.
        unsafe { System.dealloc(memory, layout) }
    }
}
