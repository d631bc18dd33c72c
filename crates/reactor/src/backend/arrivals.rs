//! Input that a backend has received before it was asked for, where the core finds it.
//!
//! The backend puts down, in order, whose input came, and where its bytes lie. The core takes what is next, and shows the bytes to
//! their protocol where they are: neither of them has to ask the other. What the core has no use for just now it declines. That, what it
//! has not decided on, and what it has not come to, the backend takes back as soon as anybody asks for such input, and before the next
//! wait at the latest.
//!
//! # Rules
//!
//! - **V1** The memory of all bytes that are put down is owned by what these arrivals own, and stays mapped as long.
//! - **V2** Nobody writes to such bytes as long as they are here or [are shown](Arrivals::are_shown). What was taken may be read as
//!   long as something is shown, and not otherwise.
//! - **V3** A reference into the lists lives within one method, which calls nobody meanwhile.
#![allow(unsafe_code)]

use std::any::Any;
use std::cell::{Cell, RefCell, UnsafeCell};
use std::ops::Deref;
use std::ptr::NonNull;
use std::rc::Rc;

use crate::key::Key;

/// The list, which the core and its backend share.
#[derive(Debug)]
pub struct Arrivals {
    list: UnsafeCell<Vec<Arrival>>,
    /// What was taken and declined.
    declined: UnsafeCell<Vec<Arrival>>,
    /// Which comes next.
    next: Cell<usize>,
    /// So many come before something that is no input does.
    before_other: Cell<usize>,
    /// What was taken last is not shown, copied or declined yet.
    is_undecided: Cell<bool>,
    /// Of those before this one bytes were taken back, if they were not taken.
    looked: Cell<usize>,
    /// How often bytes are being shown.
    shown: Cell<u32>,
    _memory: Rc<dyn Any>,
    /// What lets its bytes be written to when it is dropped, of a backend that has ended while they are shown.
    kept: RefCell<Option<Box<dyn Any>>>,
}

/// Whose input came, and the bytes, if they are here.
#[derive(Clone, Copy, Debug)]
struct Arrival {
    key: Key,
    bytes: NonNull<[u8]>,
}

const NO_BYTES: NonNull<[u8]> = NonNull::<[u8; 0]>::dangling();

impl Arrivals {
    /// None yet, of bytes that lie in this memory (V1).
    pub(super) fn new(memory: Rc<dyn Any>) -> Self {
        Self {
            list: UnsafeCell::default(),
            declined: UnsafeCell::default(),
            next: Cell::new(0),
            before_other: Cell::new(usize::MAX),
            is_undecided: Cell::new(false),
            looked: Cell::new(0),
            shown: Cell::new(0),
            _memory: memory,
            kept: RefCell::default(),
        }
    }

    /// # Safety
    ///
    /// V3.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    unsafe fn list(&self) -> &mut Vec<Arrival> {
        // SAFETY: the caller's promise. Only the thread of the loop is here.
        unsafe { &mut *self.list.get() }
    }

    // For the backend.

    /// There is input of this key, which the backend has.
    #[inline]
    pub(super) fn push(&self, key: Key) {
        // SAFETY: V3.
        unsafe { self.list().push(Arrival { key, bytes: NO_BYTES }) };
    }

    /// There is input of this key, which is here.
    ///
    /// # Safety
    ///
    /// V1, V2.
    #[inline(always)]
    pub(super) unsafe fn push_bytes(&self, key: Key, bytes: NonNull<[u8]>) {
        // SAFETY: V3.
        unsafe { self.list().push(Arrival { key, bytes }) };
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        // SAFETY: V3.
        unsafe { self.list() }.len()
    }

    /// How many of them the core has taken.
    pub(super) fn taken(&self) -> usize {
        self.next.get()
    }

    /// Whether the core has taken all of them.
    pub(super) fn is_empty(&self) -> bool {
        self.taken() == self.len()
    }

    /// Forgets those that the core has taken.
    pub(super) fn forget_taken(&self) {
        let taken = self.next.replace(0);
        self.looked.set(self.looked.get().saturating_sub(taken));
        // SAFETY: V3.
        unsafe { self.list().drain(..taken) };
    }

    /// So many of them come before something that is no input.
    pub(super) fn come_before_other(&self, count: usize) {
        self.before_other.set(count);
    }

    /// Whether bytes may be here that nobody has taken.
    #[inline]
    pub(super) fn have_bytes(&self) -> bool {
        // SAFETY: V3.
        let has_declined = unsafe { !(*self.declined.get()).is_empty() };
        has_declined || self.is_undecided.get() || self.looked.get().max(self.taken()) < self.len()
    }

    /// Takes back all bytes that nobody has taken for good, in order. That their keys have input stands.
    pub(super) fn take_back(&self, mut take: impl FnMut(Key, NonNull<[u8]>)) {
        self.decline();
        // SAFETY: V3.
        let mut declined = std::mem::take(unsafe { &mut *self.declined.get() });
        declined.drain(..).for_each(|arrival| take(arrival.key, arrival.bytes));
        // It keeps its memory. SAFETY: V3.
        unsafe { *self.declined.get() = declined };
        let first = self.looked.replace(self.len()).max(self.taken());
        for index in first..self.len() {
            // SAFETY: V3.
            let arrival = unsafe { &mut self.list()[index] };
            let Arrival { key, bytes } = std::mem::replace(arrival, Arrival { bytes: NO_BYTES, ..*arrival });
            if !bytes.is_empty() {
                take(key, bytes);
            }
        }
    }

    /// Whether bytes are being shown (V2).
    pub(super) fn are_shown(&self) -> bool {
        self.shown.get() > 0
    }

    /// Keeps this as long as there are arrivals: the backend ends while something is shown (V2).
    pub(super) fn keep(&self, held: Box<dyn Any>) {
        self.kept.replace(Some(held));
    }

    // For the core.

    /// Takes what comes next, if that is input: whose, and the bytes that are here, if any are. What becomes of them is to be decided:
    /// they are [taken for good](Self::decide), copied, or declined. Until then the backend may take them back.
    #[inline(always)]
    pub(crate) fn take_next(&self) -> Option<(Key, Bytes)> {
        let next = self.next.get();
        // SAFETY: V3.
        let arrival = unsafe { self.list() }.get(next).filter(|_| next < self.before_other.get())?;
        self.next.set(next + 1);
        self.is_undecided.set(true);
        Some((arrival.key, Bytes(arrival.bytes)))
    }

    /// What was taken last is taken for good: whether it was still here.
    #[inline(always)]
    pub(crate) fn decide(&self) -> bool {
        self.is_undecided.replace(false)
    }

    /// The core has no use for what it took last, unless that was decided before.
    pub(crate) fn decline(&self) {
        if let Some(arrival) = self.undecided() {
            // SAFETY: V3.
            unsafe { &mut *self.declined.get() }.push(arrival);
        }
        self.is_undecided.set(false);
    }

    /// What was taken last, if its bytes are here.
    fn undecided(&self) -> Option<Arrival> {
        let last = self.next.get().checked_sub(1).filter(|_| self.is_undecided.get())?;
        // SAFETY: V3.
        unsafe { self.list() }.get(last).filter(|arrival| !arrival.bytes.is_empty()).copied()
    }

    /// Shows what was just taken: what it shows is there as long as that is.
    #[inline(always)]
    pub(crate) fn show(&self, bytes: Bytes) -> Shown<'_> {
        self.shown.set(self.shown.get() + 1);
        Shown { bytes: bytes.0, arrivals: self }
    }

    /// Copies the bytes of what was taken last, and is shown, if there is room for them: how many.
    #[inline]
    pub(crate) fn copy_into(&self, memory: &mut [u8]) -> Option<usize> {
        let arrival = self.undecided().filter(|_| self.are_shown())?;
        let place = memory.get_mut(..arrival.bytes.len())?;
        // SAFETY: V1, V2.
        place.copy_from_slice(unsafe { arrival.bytes.as_ref() });
        self.is_undecided.set(false);
        Some(place.len())
    }
}

/// Bytes that were taken, and are neither shown nor declined.
#[derive(Clone, Copy)]
pub(crate) struct Bytes(NonNull<[u8]>);

impl Bytes {
    #[inline]
    pub(crate) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    #[cfg(test)]
    pub(super) fn len(self) -> usize {
        self.0.len()
    }
}

/// Bytes that are shown.
pub(crate) struct Shown<'a> {
    bytes: NonNull<[u8]>,
    arrivals: &'a Arrivals,
}

impl Deref for Shown<'_> {
    type Target = [u8];

    #[inline(always)]
    fn deref(&self) -> &[u8] {
        // SAFETY: V1, V2; or it is none.
        unsafe { self.bytes.as_ref() }
    }
}

impl Drop for Shown<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        self.arrivals.shown.set(self.arrivals.shown.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u32) -> Key {
        Key::new(number, 1)
    }

    /// Arrivals of bytes of this memory.
    struct Made {
        arrivals: Arrivals,
        memory: Rc<Vec<u8>>,
    }

    impl Made {
        fn new() -> Self {
            let memory: Rc<Vec<u8>> = Rc::new((0..=255).collect());
            Self { arrivals: Arrivals::new(Rc::<Vec<u8>>::clone(&memory)), memory }
        }

        fn push(&self, number: u32, start: usize, end: usize) {
            let bytes = NonNull::from(&self.memory[start..end]);
            // SAFETY: the arrivals own the memory (V1), and nobody writes to it (V2).
            unsafe { self.arrivals.push_bytes(key(number), bytes) };
        }

        fn take(&self) -> Option<(usize, Vec<u8>)> {
            let (key, bytes) = self.arrivals.take_next()?;
            assert!(self.arrivals.decide());
            Some((key.index(), self.arrivals.show(bytes).to_vec()))
        }

        fn take_back(&self) -> Vec<(usize, usize)> {
            let mut all = Vec::new();
            self.arrivals.take_back(|key, bytes| all.push((key.index(), bytes.len())));
            all
        }
    }

    #[test]
    fn what_arrived_is_taken_in_order_up_to_something_else() {
        let made = Made::new();
        made.push(1, 10, 13);
        made.arrivals.push(key(2));
        made.arrivals.come_before_other(2);
        made.push(3, 20, 21);
        assert_eq!(made.take(), Some((1, vec![10, 11, 12])));
        assert_eq!((made.take(), made.take()), (Some((2, vec![])), None));
        assert!(!made.arrivals.is_empty());
        made.arrivals.come_before_other(usize::MAX);
        assert_eq!((made.take(), made.take()), (Some((3, vec![20])), None));
        assert!(made.arrivals.is_empty() && made.arrivals.taken() == 3);
        made.arrivals.forget_taken();
        assert_eq!((made.arrivals.len(), made.arrivals.taken()), (0, 0));
    }

    #[test]
    fn what_nobody_takes_is_taken_back_once_and_in_order() {
        let made = Made::new();
        (1..6).for_each(|number| made.push(number, 0, number as usize));
        assert_eq!(made.take().map(|(number, _)| number), Some(1));
        for number in [2, 3] {
            assert_eq!(made.arrivals.take_next().map(|(key, _)| key), Some(key(number)));
            made.arrivals.decline();
        }
        assert!(made.arrivals.have_bytes());
        assert_eq!(made.take_back(), [(2, 2), (3, 3), (4, 4), (5, 5)]);
        assert!(!made.arrivals.have_bytes());
        assert_eq!(made.take_back(), []);
        // That there is input of theirs stands.
        assert_eq!((made.take(), made.take(), made.take()), (Some((4, vec![])), Some((5, vec![])), None));
        made.arrivals.decline();
        assert_eq!(made.take_back(), []);
    }

    #[test]
    fn what_is_undecided_is_taken_back_between_the_declined_and_the_untaken() {
        let made = Made::new();
        (1..4).for_each(|number| made.push(number, 0, number as usize));
        let taken = [(); 2].map(|()| {
            made.arrivals.decline();
            made.arrivals.take_next().map(|(key, _)| key)
        });
        assert_eq!(taken, [Some(key(1)), Some(key(2))]);
        assert_eq!(made.take_back(), [(1, 1), (2, 2), (3, 3)]);
        // So it is nobody's to decide on.
        assert!(!made.arrivals.decide());
        made.arrivals.decline();
        assert!(!made.arrivals.have_bytes());
    }

    #[test]
    fn what_is_shown_is_copied_if_there_is_room() {
        let made = Made::new();
        assert_eq!(made.arrivals.copy_into(&mut [0; 9]), None);
        made.push(1, 30, 34);
        let (_, bytes) = made.arrivals.take_next().expect("it is there");
        assert_eq!(made.arrivals.copy_into(&mut [0; 9]), None, "nobody holds it");
        let shown = made.arrivals.show(bytes);
        let mut memory = [0; 6];
        assert_eq!(made.arrivals.copy_into(&mut memory[..3]), None);
        assert_eq!((made.arrivals.copy_into(&mut memory), memory), (Some(4), [30, 31, 32, 33, 0, 0]));
        assert!(made.arrivals.are_shown());
        drop(shown);
        assert!(!made.arrivals.are_shown());
    }

    #[test]
    fn the_memory_lives_as_long_as_the_arrivals() {
        let Made { arrivals, memory } = Made::new();
        assert_eq!(Rc::strong_count(&memory), 2);
        drop(arrivals);
        assert_eq!(Rc::strong_count(&memory), 1);
    }
}
