//! One direction of a connection, and how much of it arrives at a time.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::os::fd::OwnedFd;

use crate::choice::{ChoiceKind, Choices};

/// How the bytes that were sent are cut up on their way.
///
/// TCP promises nothing about it, so a program must bear all of these. Whatever the setting, no byte is lost,
/// repeated or reordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Chunking {
    /// A receive gets everything that has arrived, up to the memory it receives into. The tame default.
    #[default]
    Joined,
    /// A receive gets at most what one write brought.
    AsWritten,
    /// A receive gets at most so many bytes (at least one).
    Fixed(usize),
    /// [`Choices`] decide: a receive gets, and a send takes, everything possible, one byte, half, or any other
    /// part. Besides, a send that could be done at once may be answered by a later completion.
    Chosen,
}

impl Chunking {
    /// How many bytes a receive with memory for `limit` bytes gets from `wire`: at least one if both have any.
    pub(super) fn received(self, wire: &Wire, limit: usize, choices: &Choices) -> usize {
        let there = wire.len().min(limit).min(wire.bytes_before_next_descriptor());
        match self {
            Self::Joined => there,
            Self::AsWritten => there.min(wire.first_write()),
            Self::Fixed(size) => there.min(size.max(1)),
            Self::Chosen => part(there, ChoiceKind::ReceiveSize, choices),
        }
    }

    /// How many of `possible` bytes a send takes: at least one if any are possible.
    pub(super) fn sent(self, possible: usize, choices: &Choices) -> usize {
        match self {
            Self::Chosen => part(possible, ChoiceKind::SendSize, choices),
            _ => possible,
        }
    }

    /// How many of `all` datagrams one call moves: at least one if there are any.
    pub(super) fn count(self, all: usize, kind: ChoiceKind, choices: &Choices) -> usize {
        if self == Self::Chosen { part(all, kind, choices) } else { all }
    }

    /// Whether a send that is done is answered later, as completion multiplexers do.
    pub(super) fn answers_later(self, choices: &Choices) -> bool {
        self == Self::Chosen && choices.choose(ChoiceKind::SendSize, 2) == 1
    }
}

/// The first choice is among few, so that the extremes come up often and an exhaustive search stays possible.
fn part(all: usize, kind: ChoiceKind, choices: &Choices) -> usize {
    if all <= 1 {
        return all;
    }
    match choices.choose(kind, 4) {
        0 => all,
        1 => 1,
        2 => all.div_ceil(2),
        _ => 1 + choices.choose(kind, all),
    }
}

/// Bytes that were sent and not received yet, and whether the sender ended this direction after them.
#[derive(Debug, Default)]
pub(super) struct Wire {
    bytes: VecDeque<u8>,
    /// How many bytes of each write are still there.
    writes: VecDeque<usize>,
    ended: bool,
    /// Descriptors among the bytes, each with the number of all bytes before it that ever came.
    descriptors: VecDeque<(u64, OwnedFd)>,
    /// How many bytes were ever taken.
    taken: u64,
}

impl Wire {
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether no byte will be added.
    pub(super) fn is_ended(&self) -> bool {
        self.ended
    }

    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    fn first_write(&self) -> usize {
        self.writes.front().copied().unwrap_or(0)
    }

    /// Adds the first `count` bytes of `parts`, as one write.
    pub(super) fn write(&mut self, parts: &[IoSlice<'_>], count: usize) {
        let mut left = count;
        for part in parts {
            let size = part.len().min(left);
            self.bytes.extend(&part[..size]);
            left -= size;
        }
        if count > left {
            self.writes.push_back(count - left);
        }
    }

    /// Adds a descriptor behind the bytes that are there and `ahead` others.
    pub(super) fn pass(&mut self, ahead: usize, descriptor: OwnedFd) {
        self.descriptors.push_back((self.taken + (self.len() + ahead) as u64, descriptor));
    }

    /// Whether a descriptor comes with the first byte.
    pub(super) fn begins_with_descriptor(&self) -> bool {
        self.descriptors.front().is_some_and(|(at, _)| *at == self.taken)
    }

    /// A receive ends before a byte that a descriptor comes with, unless it is the first.
    fn bytes_before_next_descriptor(&self) -> usize {
        let next = self.descriptors.iter().find(|(at, _)| *at > self.taken);
        next.map_or(usize::MAX, |(at, _)| usize::try_from(at - self.taken).unwrap_or(usize::MAX))
    }

    /// Moves the first bytes to `into`, which is no longer than the wire is, and answers with the descriptors that come with
    /// them.
    pub(super) fn take(&mut self, into: &mut [u8]) -> Vec<OwnedFd> {
        let count = into.len().min(self.len());
        let (front, back) = self.bytes.as_slices();
        let split = count.min(front.len());
        into[..split].copy_from_slice(&front[..split]);
        into[split..count].copy_from_slice(&back[..count - split]);
        self.bytes.drain(..count);
        self.forget_writes(count);
        self.taken += count as u64;
        let passed = self.descriptors.iter().take_while(|(at, _)| *at < self.taken).count();
        self.descriptors.drain(..passed).map(|(_, descriptor)| descriptor).collect()
    }

    fn forget_writes(&mut self, mut count: usize) {
        while let Some(first) = self.writes.front_mut() {
            if *first > count {
                *first -= count;
                return;
            }
            count -= *first;
            self.writes.pop_front();
        }
    }

    /// Discards the bytes.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.writes.clear();
        self.descriptors.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire() -> Wire {
        let mut wire = Wire::default();
        wire.write(&[IoSlice::new(b"abc"), IoSlice::new(b"defgh")], 5);
        wire.write(&[IoSlice::new(b"xyz")], 3);
        wire
    }

    fn receive(wire: &mut Wire, chunking: Chunking, limit: usize, choices: &Choices) -> String {
        let mut bytes = vec![0; chunking.received(wire, limit, choices)];
        wire.take(&mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    fn all(chunking: Chunking, choices: &Choices) -> Vec<String> {
        let mut wire = wire();
        let mut chunks = Vec::new();
        while !wire.is_empty() {
            chunks.push(receive(&mut wire, chunking, 99, choices));
        }
        assert!(wire.writes.is_empty());
        chunks
    }

    #[test]
    fn k03_bytes_arrive_joined_as_written_or_in_pieces_of_one_size() {
        let tame = Choices::tame();
        assert_eq!(all(Chunking::Joined, &tame), ["abcdexyz"]);
        assert_eq!(all(Chunking::AsWritten, &tame), ["abcde", "xyz"]);
        assert_eq!(all(Chunking::Fixed(3), &tame), ["abc", "dex", "yz"]);
        assert_eq!(all(Chunking::Fixed(0), &tame).len(), 8);
        assert_eq!(all(Chunking::Chosen, &tame), ["abcdexyz"]);
    }

    #[test]
    fn k03_chosen_sizes_follow_the_choices() {
        let script = Choices::script([1, 2, 3, 1]);
        assert_eq!(all(Chunking::Chosen, &script), ["a", "bcde", "xy", "z"]);
    }

    #[test]
    fn the_receivers_memory_limits_every_chunking() {
        let tame = Choices::tame();
        for chunking in [Chunking::Joined, Chunking::AsWritten, Chunking::Fixed(9)] {
            let mut wire = wire();
            assert_eq!(receive(&mut wire, chunking, 2, &tame), "ab");
            assert_eq!(receive(&mut wire, chunking, 2, &tame), "cd");
        }
    }
}
