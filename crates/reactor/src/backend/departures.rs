//! Few bytes that are to be sent, where their backend finds them.
//!
//! To lend a queue of bytes to a send takes more steps than to copy a few of them, and to ask the backend for each send as many
//! again. So the core writes them here, one behind the other, and notes whose they are: they depart. The backend begins their sends before
//! its next wait, or when the core says that some have waited for long. A send that succeeds is not answered. When those of a
//! turn are over all of this is free again, at once. One that fails gets a queue after all.
//!
//! Where sending is a call to the system nothing departs, and the core sends from here what it has written.
//!
//! # Rules
//!
//! - **O1** The memory stays where it is as long as the departures live. Their backend keeps them as long as it sends from there.
//! - **O2** What departs lies before `start`, and is written to only from there on. Only the backend sets that back, when nothing is
//!   being sent any more.
//! - **O3** A reference into the list lives within one method, which calls nobody meanwhile.
//! - **O4** Nothing is written while somebody looks at what is written.
#![allow(unsafe_code)]

use std::cell::{Cell, UnsafeCell};
use std::mem::MaybeUninit;
use std::ops::Deref;
use std::os::fd::RawFd;
use std::ptr::{self, NonNull};
use std::rc::Rc;
use std::slice;
use std::time::Duration;

use super::{LentSocket, Outgoing};
use crate::instant::Instant;
use crate::key::Key;

/// How much memory there is, and where departures begin in it: at multiples of a line of the processor's cache.
const SIZE: usize = 256 * 1024;
const LINE: usize = 64;
/// No more bytes than these are few.
pub(crate) const FEW: usize = 2048;
/// How much may be written of what does not depart.
pub(crate) const MOST: usize = 64 * 1024;

/// The part of a backend that lets few bytes depart, in place of a [`send`](super::Backend::send): with the end of the next
/// [`wait`](super::Backend::wait) all of them are sent, and no completion tells that.
pub trait Departing {
    /// Where they depart. It is asked for once.
    fn departures(&mut self) -> Rc<Departures>;

    /// On which socket those of a connection may depart, if they may. The core asks once it stands.
    fn departs(&mut self, key: Key) -> Option<LentSocket>;

    /// Some have [waited for long](Departures::wait_for_long).
    fn depart(&mut self);

    /// Moves the keys of those that were not sent in the wait as a whole to the end of `into`: those sends are pending from then on as
    /// if their bytes had been lent, and are answered so, with whatever stands for what was lent. The core asks after each wait,
    /// before anything else.
    fn take_unsent(&mut self, into: &mut Vec<Key>);
}

/// The list, which the core and its backend share.
#[derive(Debug)]
pub struct Departures {
    /// Nobody reads of it what was not written.
    memory: NonNull<[MaybeUninit<u8>]>,
    /// How much of the memory there is to write to.
    size: Cell<usize>,
    /// Where the next one begins, and how far it is written.
    start: Cell<usize>,
    next: Cell<usize>,
    made: UnsafeCell<Vec<Departure>>,
    /// Of so many the backend has begun the sends.
    begun: Cell<usize>,
    /// Which was taken back last.
    taken_back: Cell<usize>,
    /// When it was seen first that some wait; [`Instant::FAR`] if it was not.
    since: Cell<Instant>,
    /// For how long they may.
    hold: Duration,
}

/// Whose it is, or nobody's any more, on which socket, in which line it begins, and how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Departure {
    key: Key,
    socket: RawFd,
    line: u16,
    len: u16,
}

const _: () = assert!(SIZE / LINE <= u16::MAX as usize && LINE.is_power_of_two());
const _: () = assert!(FEW <= u16::MAX as usize);

impl Departures {
    /// None yet, that may wait for so long.
    pub(super) fn new(hold: Duration) -> Self {
        Self::with(SIZE, hold)
    }

    /// For a backend that has none.
    pub(crate) fn never() -> Self {
        Self::with(MOST, Duration::ZERO)
    }

    fn with(size: usize, hold: Duration) -> Self {
        Self {
            memory: NonNull::from(Box::leak(Box::new_uninit_slice(size))),
            size: Cell::new(size),
            start: Cell::new(0),
            next: Cell::new(0),
            made: UnsafeCell::default(),
            begun: Cell::new(0),
            taken_back: Cell::new(0),
            since: Cell::new(Instant::FAR),
            hold,
        }
    }

    /// # Safety
    ///
    /// O3.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    unsafe fn made(&self) -> &mut Vec<Departure> {
        // SAFETY: the caller's promise. Only the thread of the loop is here.
        unsafe { &mut *self.made.get() }
    }

    #[inline]
    fn bytes(&self, departure: Departure) -> NonNull<[u8]> {
        // SAFETY: what departs was written there, in the memory (O1).
        let start = unsafe { self.memory.cast::<u8>().add(usize::from(departure.line) * LINE) };
        NonNull::slice_from_raw_parts(start, usize::from(departure.len))
    }

    // For the core.

    /// Begins to write at `start`.
    #[inline(always)]
    fn begin_at(&self, start: usize) {
        self.start.set(start);
        self.next.set(start);
    }

    /// Writes this behind what is written, if there is room for all of it, and that is no more than `most` then.
    #[inline(always)]
    pub(crate) fn write(&self, bytes: &[u8], most: usize) -> bool {
        let next = self.next.get();
        let end = next + bytes.len();
        if end > self.size.get() || end - self.start.get() > most {
            return false;
        }
        self.next.set(end);
        // SAFETY: the place lies within the memory (O1), behind all that departs (O2). Nobody has a reference to it (O4).
        unsafe {
            let place = self.memory.cast::<u8>().as_ptr().add(next);
            ptr::copy_nonoverlapping(bytes.as_ptr(), place, bytes.len());
        }
        true
    }

    /// How much is written.
    #[inline(always)]
    pub(crate) fn written(&self) -> usize {
        self.next.get() - self.start.get()
    }

    /// What is written, which does not depart. It is gone when this is dropped.
    #[inline(always)]
    pub(crate) fn take_written(&self) -> Written<'_> {
        let (start, len) = (self.start.get(), self.written());
        // Nothing is written meanwhile (O4).
        Written { departures: self, start, len, size: self.size.replace(0) }
    }

    /// What is written, `len` bytes, is this connection's, and departs.
    #[inline(always)]
    #[allow(clippy::cast_possible_truncation)] // The assertion above.
    pub(crate) fn depart(&self, key: Key, socket: LentSocket, len: usize) {
        debug_assert!(len == self.written() && (1..=FEW).contains(&len));
        let (start, socket) = (self.start.get(), socket.number());
        let departure = Departure { key, socket, line: (start / LINE) as u16, len: len as u16 };
        // SAFETY: O3.
        unsafe { self.made().push(departure) };
        self.begin_at((start + len + LINE - 1) & !(LINE - 1));
    }

    /// These bytes depart, if there are any, they are few, there is room, and nothing else is being written. Whether they do.
    pub(crate) fn put(&self, key: Key, socket: LentSocket, bytes: &[u8]) -> bool {
        let fits = self.written() == 0 && !bytes.is_empty() && self.write(bytes, FEW);
        if fits {
            self.depart(key, socket, bytes.len());
        }
        fits
    }

    /// How many are here.
    pub(crate) fn len(&self) -> usize {
        // SAFETY: O3.
        unsafe { self.made() }.len()
    }

    /// Whether some have waited for too long by now, as far as is known.
    #[inline]
    pub(crate) fn wait_for_long(&self, now: Instant) -> bool {
        if self.are_waiting() {
            self.since.set(self.since.get().min(now));
            now.since(self.since.get()) > self.hold
        } else {
            false
        }
    }

    // For the backend.

    /// Whether the sends of some are not begun.
    #[inline]
    pub(super) fn are_waiting(&self) -> bool {
        self.begun.get() < self.len()
    }

    /// Whether the send of this one's is not begun.
    pub(super) fn is_waiting(&self, key: Key) -> bool {
        // SAFETY: O3.
        unsafe { self.made() }.iter().skip(self.begun.get()).any(|departure| departure.key == key)
    }

    /// The next whose send is to begin. The bytes stay as they are until all are [cleared](Self::clear).
    #[inline(always)]
    pub(super) fn begin_next(&self) -> Option<(Key, RawFd, NonNull<[u8]>)> {
        let begun = self.begun.get();
        // SAFETY: O3.
        let Some(departure) = unsafe { self.made() }.get(begun).copied() else {
            self.since.set(Instant::FAR);
            return None;
        };
        self.begun.set(begun + 1);
        Some((departure.key, departure.socket, self.bytes(departure)))
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A queue of the bytes of this connection's, if some are here: from now on that queue stands for them.
    pub(super) fn take_back(&self, key: Key) -> Option<Box<Outgoing>> {
        // SAFETY: O3.
        let made = unsafe { self.made() };
        // Those that failed are asked for in their order, nearly always.
        let last = self.taken_back.get().min(made.len());
        let index = (last..made.len()).chain(0..last).find(|index| made[*index].key == key)?;
        self.taken_back.set(index);
        let mut outgoing = Box::new(Outgoing::default());
        // SAFETY: it lies within the memory (O1), and was written. Nobody writes to it now (O2).
        outgoing.push_copy(unsafe { self.bytes(made[index]).as_ref() });
        if index < self.begun.get() {
            made[index].key = Key::NOBODY;
        } else {
            made.remove(index);
        }
        Some(outgoing)
    }

    /// Whose sends have begun.
    pub(super) fn begun(&self) -> Vec<Key> {
        // SAFETY: O3.
        let made = unsafe { &self.made()[..self.begun.get()] };
        made.iter().map(|departure| departure.key).filter(|key| *key != Key::NOBODY).collect()
    }

    /// The sends of all that were begun are over.
    pub(super) fn clear(&self) {
        // SAFETY: O3.
        let made = unsafe { self.made() };
        made.drain(..self.begun.replace(0));
        self.taken_back.set(0);
        // If somebody has written meanwhile the memory is free again only after the next time.
        if made.is_empty() && self.written() == 0 && self.size.get() > 0 {
            self.begin_at(0);
        }
    }
}

/// What is written and does not depart.
pub(crate) struct Written<'a> {
    departures: &'a Departures,
    start: usize,
    len: usize,
    size: usize,
}

impl Deref for Written<'_> {
    type Target = [u8];

    #[inline(always)]
    fn deref(&self) -> &[u8] {
        // SAFETY: it lies within the memory (O1), and was written. Nobody writes now (O4).
        unsafe {
            slice::from_raw_parts(self.departures.memory.cast::<u8>().as_ptr().add(self.start), self.len)
        }
    }
}

impl Drop for Written<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        self.departures.next.set(self.start);
        self.departures.size.set(self.size);
    }
}

impl Drop for Departures {
    fn drop(&mut self) {
        // SAFETY: it was a box, and is one's own again: nobody sends from it any more (O1).
        drop(unsafe { Box::from_raw(self.memory.as_ptr()) });
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    fn key(number: usize) -> Key {
        Key::new(u32::try_from(number).expect("a small number"), 1)
    }

    fn none() -> Departures {
        Departures::new(Duration::from_micros(50))
    }

    /// A socket that nobody uses.
    fn socket() -> LentSocket {
        // SAFETY: it is not used.
        unsafe { LentSocket::new(std::io::stdin().as_fd()) }
    }

    impl Departures {
        fn puts(&self, number: usize, bytes: &[u8]) -> bool {
            self.put(key(number), socket(), bytes)
        }

        /// The next, and its bytes.
        fn begins(&self) -> Option<(Key, &[u8])> {
            // SAFETY: the tests write to nothing that departs before they clear it.
            self.begin_next().map(|(key, _, bytes)| (key, unsafe { bytes.as_ref() }))
        }
    }

    #[test]
    fn departures_lie_beside_each_other_until_there_is_no_room() {
        let (departures, mut kept) = (none(), Vec::new());
        for number in 0.. {
            let bytes = vec![number as u8; 1 + number * 37 % FEW];
            if !departures.puts(number, &bytes) {
                break;
            }
            kept.push(bytes);
        }
        assert!(kept.len() > SIZE / (2 * FEW) && kept.len() <= SIZE / LINE);
        assert_eq!((departures.begun().len(), departures.len()), (0, kept.len()));
        for (number, bytes) in kept.iter().enumerate() {
            assert_eq!(departures.begins(), Some((key(number), &bytes[..])));
        }
        assert!(departures.begins().is_none() && !departures.are_waiting());
        assert_eq!(departures.begun().len(), kept.len());
        // In order, but for the last.
        let order = std::iter::once(kept.len() - 1).chain(0..kept.len() - 1);
        for number in order {
            let taken = departures.take_back(key(number)).expect("it is here");
            assert_eq!(taken.front(), &kept[number][..]);
            assert!(departures.take_back(key(number)).is_none());
        }
        assert_eq!((departures.begun().len(), departures.is_empty()), (0, false));
        departures.clear();
        assert!(departures.is_empty() && departures.puts(0, &kept[0]));
        assert_eq!(departures.begins(), Some((key(0), &kept[0][..])));
    }

    #[test]
    fn there_is_room_for_one_in_each_line() {
        let departures = none();
        let count = (0..).take_while(|number| departures.puts(*number, b"x")).count();
        assert_eq!(count, SIZE / LINE);
        let places = std::iter::from_fn(|| departures.begins()).map(|(_, bytes)| bytes.as_ptr() as usize);
        let places: Vec<_> = places.collect();
        assert!(places.len() == count && places.windows(2).all(|pair| pair[1] - pair[0] == LINE));
    }

    #[test]
    fn what_is_none_or_many_does_not_depart() {
        let departures = none();
        assert!(!departures.puts(1, b"") && !departures.puts(1, &[0; FEW + 1]));
        assert!(departures.is_empty() && departures.puts(1, &[0; FEW]));
    }

    #[test]
    fn a_piece_at_a_time_is_written_as_far_as_there_is_room() {
        let departures = none();
        assert!(departures.write(b"one ", 10) && departures.write(b"two ", 10));
        assert!(
            !departures.write(b"three", 10) && departures.write(b"3.", 10) && !departures.write(b".", 10)
        );
        assert_eq!(departures.written(), 10);
        departures.depart(key(7), socket(), 10);
        assert_eq!(departures.begins(), Some((key(7), &b"one two 3."[..])));
        assert!(departures.written() == 0 && !departures.write(b"no room", 0));
        assert!(departures.write(&[1; FEW], FEW) && !departures.write(b"one more", FEW));
    }

    #[test]
    fn what_is_written_is_taken_and_nothing_departs() {
        for departures in [none(), Departures::never()] {
            assert!(departures.write(b"few", 100));
            let taken = departures.take_written();
            assert!(!departures.write(b"more", 100) && !departures.puts(1, b"more"));
            assert_eq!(&taken[..], b"few");
            drop(taken);
            assert!(departures.written() == 0 && departures.is_empty());
            assert!(departures.write(b"more", 100) && departures.take_written().len() == 4);
            assert_eq!(departures.take_written().len(), 0);
            assert!(departures.puts(1, b"departs") && departures.begins().is_some());
        }
    }

    #[test]
    fn others_do_not_depart_while_something_is_being_written() {
        let departures = none();
        assert!(departures.puts(1, b"somebody else's"));
        assert!(departures.write(b"mine", 5) && !departures.puts(2, b"too late"));
        departures.depart(key(3), socket(), 4);
        let begun: Vec<_> = std::iter::from_fn(|| departures.begins()).map(|(key, _)| key).collect();
        assert_eq!(begun, [key(1), key(3)]);
    }

    #[test]
    fn who_waits_is_taken_back_before_it_begins() {
        let departures = none();
        (0..4).for_each(|number| assert!(departures.puts(number, &[number as u8; 9])));
        assert_eq!(departures.begins().map(|(key, _)| key), Some(key(0)));
        assert!(!departures.is_waiting(key(0)) && departures.is_waiting(key(2)));
        assert_eq!(departures.take_back(key(2)).expect("it waits").front(), [2; 9]);
        assert!(!departures.is_waiting(key(2)) && departures.is_waiting(key(3)));
        let begun: Vec<_> = std::iter::from_fn(|| departures.begins()).collect();
        assert_eq!(begun, [(key(1), &[1; 9][..]), (key(3), &[3; 9])]);
    }

    #[test]
    fn what_departs_after_the_others_have_begun_is_not_cleared_with_them() {
        let departures = none();
        assert!(departures.puts(1, b"first") && departures.begins().is_some());
        assert!(departures.puts(2, b"second") && departures.write(b"thi", 9));
        departures.clear();
        assert!(departures.write(b"rd", 9));
        departures.depart(key(3), socket(), 5);
        assert_eq!(departures.begins(), Some((key(2), &b"second"[..])));
        assert_eq!(departures.begins(), Some((key(3), &b"third"[..])));
        departures.clear();
        assert!(departures.is_empty() && departures.start.get() == 0);
    }

    #[test]
    fn they_have_waited_for_long_when_they_were_seen_waiting_for_so_long() {
        let departures = none();
        let at = |micros: u64| Instant::from_nanos(1000 * micros);
        assert!(!departures.wait_for_long(at(0)));
        assert!(departures.puts(1, b"x"));
        assert!(!departures.wait_for_long(at(100)) && !departures.wait_for_long(at(150)));
        assert!(departures.wait_for_long(at(151)));
        assert!(departures.begins().is_some() && departures.begins().is_none());
        assert!(!departures.wait_for_long(at(152)));
        assert!(departures.puts(1, b"y"));
        assert!(!departures.wait_for_long(at(300)) && departures.wait_for_long(at(351)));
    }
}
