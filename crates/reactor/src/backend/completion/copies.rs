//! Copies of few bytes, while they are being sent.
//!
//! To lend a queue of bytes to a send takes more steps than to copy a few of them. So those are copied here, one behind the other, and
//! all of the memory is free again when the sends of a turn are concluded: such a send is a quiet one. One that fails gets a queue
//! after all.

use std::num::NonZeroU32;

use crate::backend::Outgoing;

/// How much memory there is, and where copies begin in it: at multiples of a line of the processor's cache.
const SIZE: usize = 256 * 1024;
const LINE: usize = 64;
/// No more bytes than these are few.
const FEW: usize = 2048;
/// Bits of their number.
const BITS: u32 = 12;

/// The memory. It is there once it is used, and stays in its place.
#[derive(Debug, Default)]
pub(super) struct Copies {
    memory: Box<[u8]>,
    used: usize,
}

/// Where a copy is: its line, and behind that how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Copied(NonZeroU32);

const _: () = assert!(FEW < 1 << BITS && SIZE / LINE <= 1 << (32 - BITS));

impl Copies {
    /// Copies `bytes`, if there are any, they are few, and there is room.
    #[inline]
    #[allow(clippy::cast_possible_truncation)] // The assertion above.
    pub(super) fn put(&mut self, bytes: &[u8]) -> Option<Copied> {
        if !(1..=FEW).contains(&bytes.len()) {
            return None;
        }
        let place = match self.memory.get_mut(self.used..self.used + bytes.len()) {
            Some(place) => place,
            None => self.make()?.get_mut(..bytes.len())?,
        };
        place.copy_from_slice(bytes);
        let copied = NonZeroU32::new(((self.used / LINE) << BITS) as u32 | bytes.len() as u32)?;
        self.used += bytes.len().next_multiple_of(LINE);
        Some(Copied(copied))
    }

    #[cold]
    fn make(&mut self) -> Option<&mut [u8]> {
        if self.memory.is_empty() {
            self.memory = vec![0; SIZE].into_boxed_slice();
            return Some(&mut self.memory);
        }
        None
    }

    pub(super) fn get(&self, copied: Copied) -> &[u8] {
        let start = (copied.0.get() >> BITS) as usize * LINE;
        &self.memory[start..start + copied.len()]
    }

    /// A queue of the same bytes.
    pub(super) fn queue(&self, copied: Copied) -> Box<Outgoing> {
        let mut outgoing = Box::new(Outgoing::default());
        outgoing.push_copy(self.get(copied));
        outgoing
    }

    /// Nothing of it is being sent any more.
    pub(super) fn clear(&mut self) {
        self.used = 0;
    }

    /// Keeps the memory for ever (R6).
    pub(super) fn leak(&mut self) {
        std::mem::forget(std::mem::take(self));
    }
}

impl Copied {
    pub(super) fn len(self) -> usize {
        (self.0.get() & ((1 << BITS) - 1)) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_lie_beside_each_other_until_there_is_no_room() {
        let (mut copies, mut kept) = (Copies::default(), Vec::new());
        for number in 0.. {
            let bytes = vec![number as u8; 1 + number * 37 % FEW];
            let Some(copied) = copies.put(&bytes) else { break };
            kept.push((copied, bytes));
        }
        assert!(kept.len() > SIZE / (2 * FEW) && kept.len() <= SIZE / LINE);
        for (copied, bytes) in &kept {
            assert_eq!((copies.get(*copied), copied.len()), (&bytes[..], bytes.len()));
            assert_eq!(copies.queue(*copied).front(), bytes);
        }
        copies.clear();
        assert_eq!(copies.put(&kept[0].1), Some(kept[0].0));
    }

    #[test]
    fn all_lines_can_be_named() {
        let mut copies = Copies::default();
        let all: Vec<_> = std::iter::from_fn(|| copies.put(b"x")).collect();
        assert_eq!(all.len(), SIZE / LINE);
        assert_eq!(
            copies.get(all[all.len() - 1]).as_ptr() as usize - copies.memory.as_ptr() as usize,
            SIZE - LINE
        );
    }

    #[test]
    fn what_is_none_or_many_is_not_copied() {
        let mut copies = Copies::default();
        assert_eq!((copies.put(b""), copies.put(&[0; FEW + 1])), (None, None));
        assert!(copies.put(&[0; FEW]).is_some());
    }
}
