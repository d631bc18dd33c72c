//! Values that belong to one thread, in things that other threads hold too.
//!
//! A waker may be cloned, woken and dropped on any thread, and what it shares with its task holds a future that may be not
//! `Send`. So the future is kept in a [`Bound`], which every thread may hold and only its own can open.
//!
//! # Rules
//!
//! * **T1** The value is reached, and dropped, on the thread on which it was put there: each way to it compares the number
//!   of the thread, which no other thread of the process ever has.
//! * **T2** A value that was not [dropped](Bound::clear) there is leaked: the drop of a `Bound`, which may happen on any
//!   thread, drops nothing.
//! * **T3** A value that was lent pinned does not move until it is dropped: the `Bound` stays where it is, which whoever
//!   calls [`with_pinned`](Bound::with_pinned) promises, and `clear` drops in place.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};

/// A value that only the thread which made it can reach.
pub(super) struct Bound<T> {
    thread: u64,
    /// `None` once dropped.
    value: ManuallyDrop<RefCell<Option<T>>>,
}

// SAFETY: by T1 and T2 other threads neither reach nor drop the value, and the number is plain data.
unsafe impl<T> Send for Bound<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Bound<T> {}

impl<T> Bound<T> {
    /// Binds the value to this thread.
    pub(super) fn new(value: T) -> Self {
        Self { thread: this_thread(), value: ManuallyDrop::new(RefCell::new(Some(value))) }
    }

    /// Looks at the value. `None` on another thread, when it is dropped, and while it is lent.
    #[inline]
    pub(super) fn with<R>(&self, look: impl FnOnce(&T) -> R) -> Option<R> {
        if self.thread != this_thread() {
            return None;
        }
        let value = self.value.try_borrow().ok()?;
        value.as_ref().map(look)
    }

    /// Lends the value, pinned. `None` as with [`with`](Self::with).
    ///
    /// # Safety
    ///
    /// From the first call on the `Bound` must not move (T3).
    #[inline]
    pub(super) unsafe fn with_pinned<R>(&self, work: impl FnOnce(Pin<&mut T>) -> R) -> Option<R> {
        if self.thread != this_thread() {
            return None;
        }
        let mut value = self.value.try_borrow_mut().ok()?;
        // SAFETY: T3. The one other way to a `&mut T` is in `clear`, which drops the value in place.
        value.as_mut().map(|value| work(unsafe { Pin::new_unchecked(value) }))
    }

    /// Drops the value in its place. On another thread, and while it is lent, nothing happens.
    pub(super) fn clear(&self) {
        if self.thread == this_thread() {
            if let Ok(mut value) = self.value.try_borrow_mut() {
                *value = None;
            }
        }
    }
}

/// The number of this thread, never used again in this process.
#[inline]
fn this_thread() -> u64 {
    thread_local! {
        static NUMBER: Cell<u64> = const { Cell::new(0) };
    }
    NUMBER.with(|number| match number.get() {
        0 => begin(number),
        known => known,
    })
}

#[cold]
fn begin(number: &Cell<u64>) -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    number.set(NEXT.fetch_add(1, Ordering::Relaxed));
    number.get()
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;
    use std::sync::Arc;

    use super::*;

    #[test]
    fn another_thread_neither_reaches_nor_drops_the_value() {
        let value = Rc::new(7);
        let bound = Arc::new(Bound::new(Rc::clone(&value)));
        let there = Arc::clone(&bound);
        let seen = std::thread::spawn(move || {
            there.clear();
            there.with(|_| ()).is_some()
        });
        assert!(!seen.join().unwrap());
        assert_eq!((bound.with(|value| **value), Rc::strong_count(&value)), (Some(7), 2));
        bound.clear();
        assert_eq!((bound.with(|value| **value), Rc::strong_count(&value)), (None, 1));
    }

    #[test]
    fn a_value_that_is_lent_is_not_lent_twice() {
        let bound = Box::pin(Bound::new(1));
        // SAFETY: it is pinned (T3).
        let both = unsafe { bound.with_pinned(|_| (bound.with(|_| ()), bound.with_pinned(|_| ()))) };
        assert_eq!(both, Some((None, None)));
    }

    #[test]
    fn a_value_that_its_thread_left_behind_is_leaked() {
        let value = Arc::new(());
        let (bound, copy) = (Bound::new(Arc::clone(&value)), Arc::clone(&value));
        drop(copy);
        std::thread::spawn(move || drop(bound)).join().unwrap();
        assert_eq!(Arc::strong_count(&value), 2);
    }
}
