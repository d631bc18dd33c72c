//! Received bytes in memory of the backend's.

use std::os::fd::OwnedFd;

use super::completion::Lent;

/// Bytes that a backend received into memory of its own, lent to the core until it
/// [releases](super::Backend::release) them.
///
/// The memory is a plain vector that is moved out and back, so no rule about its life is left to anybody's care; or a piece of
/// memory that is shared with the kernel, and goes back when the chunk is dropped.
#[derive(Debug)]
pub struct Chunk {
    memory: Memory,
    start: usize,
    end: usize,
    tag: u64,
    descriptors: Vec<OwnedFd>,
}

#[derive(Debug)]
enum Memory {
    Owned(Vec<u8>),
    Lent(Lent),
    /// The loop's, which filters filled.
    Room(Vec<u8>),
}

/// All of it.
impl From<Vec<u8>> for Chunk {
    fn from(memory: Vec<u8>) -> Self {
        let end = memory.len();
        Self { memory: Memory::Owned(memory), start: 0, end, tag: 0, descriptors: Vec::new() }
    }
}

impl Chunk {
    /// The bytes `start..end` of `memory`. The `tag` is the backend's, to know its memory by. The range is cut to what is there.
    #[must_use]
    pub fn new(memory: Vec<u8>, start: usize, end: usize, tag: u64) -> Self {
        let end = end.min(memory.len());
        Self { start: start.min(end), end, memory: Memory::Owned(memory), tag, descriptors: Vec::new() }
    }

    /// All of a piece.
    #[cfg_attr(not(all(target_os = "linux", feature = "io-uring")), allow(dead_code))]
    pub(super) fn lent(piece: Lent) -> Self {
        let end = piece.bytes().len();
        Self { start: 0, end, memory: Memory::Lent(piece), tag: 0, descriptors: Vec::new() }
    }

    /// What filters made, in memory that is not a backend's.
    pub(crate) const fn of_filters(room: Vec<u8>, len: usize) -> Self {
        Self { memory: Memory::Room(room), start: 0, end: len, tag: 0, descriptors: Vec::new() }
    }

    pub(crate) const fn is_of_filters(&self) -> bool {
        matches!(self.memory, Memory::Room(_))
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match &self.memory {
            Memory::Owned(memory) | Memory::Room(memory) => &memory[self.start..self.end],
            Memory::Lent(piece) => &piece.bytes()[self.start..self.end],
        }
    }

    /// The backend's tag.
    #[must_use]
    pub fn tag(&self) -> u64 {
        self.tag
    }

    /// With descriptors that came no later than the first of the bytes. Whoever does not take them closes them.
    #[must_use]
    pub fn with_descriptors(mut self, descriptors: Vec<OwnedFd>) -> Self {
        self.descriptors = descriptors;
        self
    }

    pub(crate) fn has_descriptors(&self) -> bool {
        !self.descriptors.is_empty()
    }

    /// The descriptors that came with the bytes, in order. Another call answers with none.
    pub fn take_descriptors(&mut self) -> Vec<OwnedFd> {
        std::mem::take(&mut self.descriptors)
    }

    /// The memory, for its backend, if it is a vector of its own.
    #[must_use]
    pub fn into_memory(self) -> Option<Vec<u8>> {
        match self.memory {
            Memory::Owned(memory) | Memory::Room(memory) => Some(memory),
            Memory::Lent(_) => None,
        }
    }
}
