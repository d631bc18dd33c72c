//! Copies of few bytes, while they are being sent.
//!
//! To lend a queue of bytes to a send takes more steps than to copy a few of them. So those are copied here, one behind the other. Such
//! a send is a quiet one, and nothing is noted of it but that it was made: when the sends of a turn are concluded all of this is
//! free again, at once. One that fails gets a queue after all.

use crate::backend::Outgoing;
use crate::key::Key;

/// How much memory there is, and where copies begin in it: at multiples of a line of the processor's cache.
const SIZE: usize = 256 * 1024;
const LINE: usize = 64;
/// No more bytes than these are few.
const FEW: usize = 2048;

/// The memory. It is there once it is used, and stays in its place. And what is in it.
#[derive(Debug, Default)]
pub(super) struct Copies {
    memory: Box<[u8]>,
    used: usize,
    made: Vec<UnderWay>,
}

/// Whose it is, or nobody's any more, where it begins, and how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct UnderWay {
    key: Key,
    start: u32,
    len: u32,
}

/// Which of the copies was made last for a connection. It may be over, or another's by now, and so tells nothing by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Last(u16);

const _: () =
    assert!(SIZE / LINE <= u16::MAX as usize && SIZE <= u32::MAX as usize && LINE.is_power_of_two());

impl Copies {
    /// Copies `bytes`, if there are any, they are few, and there is room.
    #[inline(always)]
    #[allow(clippy::cast_possible_truncation)] // The assertion above.
    pub(super) fn put(&mut self, key: Key, bytes: &[u8]) -> Option<(Last, &[u8])> {
        if !(1..=FEW).contains(&bytes.len()) {
            return None;
        }
        let (start, last) = (self.used, Last(self.made.len() as u16));
        if self.memory.len() < start + bytes.len() && !self.make() {
            return None;
        }
        let place = &mut self.memory[start..start + bytes.len()];
        place.copy_from_slice(bytes);
        self.made.push(UnderWay { key, start: start as u32, len: bytes.len() as u32 });
        self.used = start + ((bytes.len() + LINE - 1) & !(LINE - 1));
        Some((last, place))
    }

    /// Whether there is room now.
    #[cold]
    fn make(&mut self) -> bool {
        let is_new = self.memory.is_empty();
        if is_new {
            self.memory = vec![0; SIZE].into_boxed_slice();
        }
        is_new
    }

    /// Whether none is under way.
    pub(super) fn is_empty(&self) -> bool {
        self.made.is_empty()
    }

    /// Whether this one of the connection's is under way.
    pub(super) fn has(&self, key: Key, last: Last) -> bool {
        self.made.get(last.0 as usize).is_some_and(|copy| copy.key == key)
    }

    /// A queue of the bytes of this one of the connection's, if it is under way: from now on that queue stands for it.
    pub(super) fn take(&mut self, key: Key, last: Last) -> Option<Box<Outgoing>> {
        let copy = self.made.get_mut(last.0 as usize).filter(|copy| copy.key == key)?;
        copy.key = Key::NOBODY;
        let (start, len) = (copy.start as usize, copy.len as usize);
        let mut outgoing = Box::new(Outgoing::default());
        outgoing.push_copy(&self.memory[start..start + len]);
        Some(outgoing)
    }

    /// Whose are under way.
    pub(super) fn keys(&self) -> impl Iterator<Item = Key> {
        self.made.iter().map(|copy| copy.key).filter(|key| *key != Key::NOBODY)
    }

    /// Nothing of it is being sent any more.
    pub(super) fn clear(&mut self) {
        self.used = 0;
        self.made.clear();
    }

    /// Keeps the memory for ever (R6).
    pub(super) fn leak(&mut self) {
        std::mem::forget(std::mem::take(self));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> Key {
        Key::new(u32::try_from(number).expect("a small number"), 1)
    }

    #[test]
    fn copies_lie_beside_each_other_until_there_is_no_room() {
        let (mut copies, mut kept) = (Copies::default(), Vec::new());
        for number in 0.. {
            let bytes = vec![number as u8; 1 + number * 37 % FEW];
            let Some((last, copy)) = copies.put(key(number), &bytes) else { break };
            assert_eq!(copy, bytes);
            kept.push((last, bytes));
        }
        assert!(kept.len() > SIZE / (2 * FEW) && kept.len() <= SIZE / LINE);
        assert_eq!(copies.keys().count(), kept.len());
        for (number, (last, bytes)) in kept.iter().enumerate() {
            assert!(!copies.has(key(number + 1), *last));
            assert_eq!(copies.take(key(number), *last).expect("it is under way").front(), bytes);
            assert!(!copies.has(key(number), *last) && copies.take(key(number), *last).is_none());
        }
        assert_eq!((copies.keys().count(), copies.is_empty()), (0, false));
        copies.clear();
        assert_eq!(copies.put(key(0), &kept[0].1).map(|(last, _)| last), Some(kept[0].0));
    }

    #[test]
    fn there_is_room_for_a_copy_in_each_line() {
        let mut copies = Copies::default();
        let places = std::iter::from_fn(|| copies.put(key(1), b"x").map(|(_, copy)| copy.as_ptr() as usize));
        let places: Vec<_> = places.collect();
        assert_eq!(places.len(), SIZE / LINE);
        assert!(places.windows(2).all(|pair| pair[1] - pair[0] == LINE));
    }

    #[test]
    fn what_is_none_or_many_is_not_copied() {
        let mut copies = Copies::default();
        assert!(copies.put(key(1), b"").is_none() && copies.put(key(1), &[0; FEW + 1]).is_none());
        assert!(copies.is_empty() && copies.put(key(1), &[0; FEW]).is_some());
    }
}
