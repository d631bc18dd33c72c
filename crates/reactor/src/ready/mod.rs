//! What is ready to run.
//!
//! `callback`: a closure stored inline. This file: the one queue of the loop, in which callbacks, timers that
//! came due and notices to protocols stand in the order in which they became ready.

mod callback;

use std::any::Any;
use std::collections::VecDeque;

use bytes::Bytes;

pub(crate) use callback::{Callback, SendCallback, Waiting};

use crate::connection::Notice;
use crate::key::Key;
use crate::timer::queue::Due;

/// One thing to run.
///
/// Nearly all are calls, and are copied into the queue and out of it. What an entry is stands where a callback has its table,
/// so that it has six words, which are copied as such.
pub(crate) enum Entry {
    /// A callback of the user's, or a task (which is a callback to this crate).
    Call(Callback),
    Other(Other),
}

const _: () = assert!(size_of::<Entry>() == size_of::<Callback>());

/// What is ready and not to be called.
pub(crate) enum Other {
    /// A timer that came due, unless it is cancelled or reset until its turn comes.
    Timer(Due),
    /// Something to tell a protocol.
    Notice(Key, Notice),
    /// A signal that was raised.
    Signal(Key),
    /// A signal that nobody holds any more.
    Forget(Key),
    /// Something of the user's to drop.
    Discard(Box<dyn Any>),
    /// Owned bytes that are sent or given up. Their owner may be of the user's.
    Spent(Bytes),
    /// What was cancelled after it had been queued.
    Cancelled,
}

/// The queue. Each entry has a number, one more than the entry before it, by which it can be cancelled.
pub(crate) struct ReadyQueue {
    entries: VecDeque<Entry>,
    /// The number of the entry at the front.
    first: u64,
    /// How often the queue had to grow.
    growths: u64,
    /// How many entries waited at a time, at most.
    peak: usize,
}

/// Once it is empty, a queue that grew longer than this gives its memory back.
const KEPT: usize = 4096;

impl ReadyQueue {
    pub(crate) const fn new() -> Self {
        Self { entries: VecDeque::new(), first: 0, growths: 0, peak: 0 }
    }

    #[inline]
    pub(crate) fn push(&mut self, entry: Entry) -> u64 {
        if self.entries.len() == self.entries.capacity() {
            self.growths += 1;
        }
        self.entries.push_back(entry);
        self.peak = self.peak.max(self.entries.len());
        self.end() - 1
    }

    /// An entry that would be the only one runs without being put here, or comes by [`push_first`](Self::push_first).
    #[inline]
    pub(crate) fn pass(&mut self) {
        self.first += 1;
    }

    /// The one that was to [`pass`](Self::pass) has to wait. All others that there are by now came after it.
    pub(crate) fn push_first(&mut self, entry: Entry) {
        self.entries.push_front(entry);
        self.first -= 1;
        self.peak = self.peak.max(self.entries.len());
    }

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Entry> {
        let entry = self.entries.pop_front()?;
        self.first += 1;
        Some(entry)
    }

    /// The loop goes on to something else. It is no part of [`pop`](Self::pop), which would have to put the entry aside for it.
    pub(crate) fn rest(&mut self) {
        if self.entries.capacity() > KEPT && self.entries.len() < self.entries.capacity() / 8 {
            self.entries.shrink_to(self.entries.len() * 2);
        }
    }

    /// The number that the entry at the front has.
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// The number that the next entry will get.
    pub(crate) fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn peak(&self) -> usize {
        self.peak
    }

    pub(crate) fn growths(&self) -> u64 {
        self.growths
    }

    /// Whether the entry `number` still waits.
    pub(crate) fn waits(&self, number: u64) -> bool {
        self.slot(number).is_some_and(|slot| !matches!(self.entries[slot], Entry::Other(Other::Cancelled)))
    }

    /// Takes the entry `number` out, if it still waits. The caller drops it, outside of any borrow.
    pub(crate) fn cancel(&mut self, number: u64) -> Option<Entry> {
        let slot = self.slot(number)?;
        let entry = std::mem::replace(&mut self.entries[slot], Entry::Other(Other::Cancelled));
        (!matches!(entry, Entry::Other(Other::Cancelled))).then_some(entry)
    }

    fn slot(&self, number: u64) -> Option<usize> {
        let slot = usize::try_from(number.checked_sub(self.first)?).ok()?;
        (slot < self.entries.len()).then_some(slot)
    }
}
