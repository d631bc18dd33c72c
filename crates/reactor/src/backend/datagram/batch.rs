//! Datagrams that were received.

use std::fmt;

use crate::address::Address;

/// Datagrams that a backend received, lent to the core until it
/// [releases](super::DatagramBackend::release_datagrams) them. Its memory is used again, so a batch costs no allocation once
/// it has grown.
///
/// ```
/// use marline_reactor::Address;
/// use marline_reactor::backend::Datagrams;
///
/// let sender = Address::Inet(([127, 0, 0, 1], 7).into());
/// let mut batch = Datagrams::default();
/// batch.push(b"one", &sender);
/// batch.push(b"", &sender);
/// assert_eq!(batch.len(), 2);
/// assert_eq!(batch.get(0).unwrap().bytes, b"one");
/// assert!(batch.get(1).unwrap().bytes.is_empty());
/// ```
#[derive(Default)]
pub struct Datagrams {
    memory: Vec<u8>,
    /// How much of the memory is used, for those that were pushed.
    end: usize,
    entries: Vec<Entry>,
    /// Those who sent them; many in a row from one sender name it once.
    senders: Vec<Address>,
}

#[derive(Clone, Copy)]
struct Entry {
    start: usize,
    end: usize,
    sender: usize,
    is_cut: bool,
}

/// One datagram of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// What it says.
    pub bytes: &'a [u8],
    /// Who sent it.
    pub sender: &'a Address,
    /// It was longer, and the rest is lost.
    pub is_cut: bool,
}

impl Datagrams {
    /// Copies a datagram to the end.
    pub fn push(&mut self, bytes: &[u8], sender: &Address) {
        let (start, end) = (self.end, self.end + bytes.len());
        if self.memory.len() < end {
            self.memory.resize(end, 0);
        }
        self.memory[start..end].copy_from_slice(bytes);
        self.end = end;
        self.add(start..end, sender, false);
    }

    /// Notes a datagram that lies in the [memory](Self::memory) already.
    pub(super) fn add(&mut self, range: std::ops::Range<usize>, sender: &Address, is_cut: bool) {
        if self.senders.last() != Some(sender) {
            self.senders.push(sender.clone());
        }
        let sender = self.senders.len() - 1;
        self.entries.push(Entry { start: range.start, end: range.end, sender, is_cut });
    }

    /// The memory, of at least so many bytes, for whoever receives into it.
    pub(super) fn memory(&mut self, size: usize) -> &mut [u8] {
        if self.memory.len() < size {
            // All zeros come from the system without being touched, and most of them never are.
            self.memory = vec![0; size];
        }
        &mut self.memory[..size]
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The one at `index`, counted in the order of their arrival.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Datagram<'_>> {
        let entry = self.entries.get(index)?;
        Some(Datagram {
            bytes: self.memory.get(entry.start..entry.end)?,
            sender: self.senders.get(entry.sender)?,
            is_cut: entry.is_cut,
        })
    }

    /// All of them, in the order of their arrival.
    pub fn iter(&self) -> impl Iterator<Item = Datagram<'_>> {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// Forgets them, and keeps the memory.
    pub fn clear(&mut self) {
        self.end = 0;
        self.entries.clear();
        self.senders.clear();
    }

    /// A copy of those from `first` on, in memory of its own that is as small as can be.
    pub(crate) fn rest(&self, first: usize) -> Self {
        let mut rest = Self::default();
        for datagram in (first..self.len()).filter_map(|index| self.get(index)) {
            rest.push(datagram.bytes, datagram.sender);
            if let Some(entry) = rest.entries.last_mut() {
                entry.is_cut = datagram.is_cut;
            }
        }
        rest
    }
}

impl fmt::Debug for Datagrams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
