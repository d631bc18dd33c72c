//! Datagrams that wait to be sent.

use std::collections::VecDeque;
use std::fmt;

use crate::address::Address;

/// What a datagram counts beside its bytes: empty ones need a place, too.
const OVERHEAD: usize = 64;

/// An empty queue keeps memory up to this size.
const KEPT: usize = 64 * 1024;

/// Datagrams that wait to be sent, in order. The bytes of all of them lie in one piece of memory, which is used again.
///
/// ```
/// use marline_reactor::Address;
/// use marline_reactor::backend::DatagramQueue;
///
/// let target = Address::Inet(([127, 0, 0, 1], 7).into());
/// let mut queue = DatagramQueue::default();
/// queue.push(b"one", Some(&target));
/// queue.push(b"two", None);
/// queue.pop(1);
/// assert_eq!(queue.iter().collect::<Vec<_>>(), [(&b"two"[..], None)]);
/// ```
#[derive(Default)]
pub struct DatagramQueue {
    memory: Vec<u8>,
    /// Where the bytes of the first one begin.
    start: usize,
    entries: VecDeque<Queued>,
}

struct Queued {
    len: usize,
    /// `None` for the one that the socket is connected with.
    target: Option<Address>,
}

impl DatagramQueue {
    /// Adds a copy of a datagram; without a target it goes to the one that the socket is connected with.
    pub fn push(&mut self, bytes: &[u8], target: Option<&Address>) {
        if self.start > self.memory.len() / 2 && self.memory.len() + bytes.len() > self.memory.capacity() {
            self.memory.drain(..self.start);
            self.start = 0;
        }
        self.memory.extend_from_slice(bytes);
        self.entries.push_back(Queued { len: bytes.len(), target: target.cloned() });
    }

    /// Takes the first `count` off.
    pub fn pop(&mut self, count: usize) {
        let count = count.min(self.entries.len());
        self.start += self.entries.drain(..count).map(|entry| entry.len).sum::<usize>();
        if self.entries.is_empty() {
            self.memory.clear();
            self.memory.shrink_to(KEPT);
            self.start = 0;
        }
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How much waits: the bytes of each, and 64 more for each.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes() + self.entries.len() * OVERHEAD
    }

    /// The bytes of all of them.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.memory.len() - self.start
    }

    /// What a datagram of so many bytes adds to the [size](Self::size).
    #[must_use]
    pub const fn cost(len: usize) -> usize {
        len.saturating_add(OVERHEAD)
    }

    /// All of them, the first one first, each with its target.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&Address>)> {
        let mut rest = &self.memory[self.start..];
        self.entries.iter().map(move |entry| {
            let (bytes, after) = rest.split_at(entry.len);
            rest = after;
            (bytes, entry.target.as_ref())
        })
    }
}

impl fmt::Debug for DatagramQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatagramQueue").field("len", &self.len()).field("size", &self.size()).finish()
    }
}
