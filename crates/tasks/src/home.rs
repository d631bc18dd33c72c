//! What belongs to one thread, in handles that go to any.
//!
//! # Rules
//!
//! * **H1** The value is touched, and dropped, on the thread that made it: the number of the thread is compared before, and no other
//!   thread of the process ever has the same.
#![allow(unsafe_code)]

use std::mem::ManuallyDrop;

use crate::task::Thread;

/// A value of the thread that made it. Elsewhere it is not to be had, and when the last handle is dropped there it is forgotten:
/// whoever puts something into it takes that out again at home.
pub(crate) struct Home<T> {
    thread: Thread,
    value: ManuallyDrop<T>,
}

// SAFETY: H1.
unsafe impl<T> Send for Home<T> {}
// SAFETY: H1.
unsafe impl<T> Sync for Home<T> {}

impl<T> Home<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { thread: Thread::current(), value: ManuallyDrop::new(value) }
    }

    /// The value, on its thread.
    #[inline]
    pub(crate) fn get(&self) -> Option<&T> {
        self.thread.is_current().then(|| &*self.value)
    }
}

impl<T> Drop for Home<T> {
    fn drop(&mut self) {
        if self.thread.is_current() {
            // SAFETY: H1, and nobody uses it after this.
            unsafe { ManuallyDrop::drop(&mut self.value) };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;
    use std::sync::Arc;
    use std::thread;

    use super::*;

    #[test]
    fn a_value_is_had_and_dropped_on_its_own_thread_only() {
        let held = Rc::new(Cell::new(1));
        let home = Arc::new(Home::new(Rc::clone(&held)));
        let there = Arc::clone(&home);
        assert!(thread::spawn(move || there.get().is_none()).join().unwrap());
        home.get().unwrap().set(2);
        assert_eq!((held.get(), Rc::strong_count(&held)), (2, 2));
        drop(home);
        assert_eq!(Rc::strong_count(&held), 1);
    }

    #[test]
    fn a_value_that_was_emptied_may_be_dropped_anywhere() {
        let home = Home::new(Cell::new(Some(Rc::new(()))));
        assert!(home.get().unwrap().take().is_some());
        thread::spawn(move || drop(home)).join().unwrap();
    }
}
