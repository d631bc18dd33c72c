//! Bytes on their way out, and descriptors among them.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::os::fd::{BorrowedFd, OwnedFd};

use bytes::Bytes;

use super::descriptors::Descriptors;

/// A segment is not made larger by copying into it than this; what comes then begins another. Larger buffers, of single
/// large writes, are freed when they are emptied.
const SEGMENT: usize = 64 * 1024;
/// How many emptied buffers a queue keeps.
const SPARES: usize = 8;

/// A queue of bytes to send, in segments: small writes are copied together, owned bytes are kept as they are.
///
/// It is a plain value: a connection has one only while bytes wait, and lends it to the backend for a send.
///
/// Descriptors stand between the bytes, on connections that [carry](super::Backend::carries_descriptors) them: each travels
/// with the byte behind it, in the same message. In what is lent there always is one.
#[derive(Debug, Default)]
pub struct Outgoing {
    segments: VecDeque<Segment>,
    /// Bytes of the first segment that are sent.
    sent: usize,
    len: usize,
    /// Emptied buffers, for the next copies.
    spares: Vec<Vec<u8>>,
    /// Few connections ever have any.
    descriptors: Option<Box<Descriptors>>,
}

#[derive(Debug)]
enum Segment {
    Copied(Vec<u8>),
    Owned(Bytes),
}

impl Segment {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Copied(bytes) => bytes,
            Self::Owned(bytes) => bytes,
        }
    }
}

impl Outgoing {
    /// How many bytes wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none wait.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Copies `bytes` to the end.
    pub fn push_copy(&mut self, bytes: &[u8]) {
        self.len += bytes.len();
        match self.segments.back_mut() {
            Some(Segment::Copied(last)) if last.len() + bytes.len() <= SEGMENT => extend(last, bytes),
            _ if bytes.is_empty() => {}
            _ => {
                let mut segment = self.spares.pop().unwrap_or_default();
                extend(&mut segment, bytes);
                self.segments.push_back(Segment::Copied(segment));
            }
        }
    }

    /// Puts `bytes` at the end without a copy.
    pub fn push_owned(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.len += bytes.len();
            self.segments.push_back(Segment::Owned(bytes));
        }
    }

    /// Puts everything that waits in `other` at the end, without a copy. The empty buffers go the other way: `other` is
    /// what will be written into next.
    pub fn append(&mut self, other: &mut Self) {
        if other.sent > 0 {
            // A queue that was sent from in part comes first, never second; should it, its bytes are copied.
            let rest = other.front().to_vec();
            other.segments.pop_front();
            other.segments.push_front(Segment::Copied(rest));
            other.sent = 0;
        }
        if let Some(descriptors) = other.descriptors.take() {
            self.descriptors.get_or_insert_default().append(self.len, *descriptors);
        }
        self.len += std::mem::take(&mut other.len);
        self.segments.append(&mut other.segments);
        other.spares.append(&mut self.spares);
        other.spares.truncate(SPARES);
    }

    /// Fills `parts` with the bytes from the front on, one part a segment, and tells how many parts it filled.
    pub fn fill<'a>(&'a self, parts: &mut [IoSlice<'a>]) -> usize {
        self.fill_up_to(usize::MAX, parts)
    }

    /// As [`fill`](Self::fill), with no more than `limit` bytes.
    pub fn fill_up_to<'a>(&'a self, limit: usize, parts: &mut [IoSlice<'a>]) -> usize {
        let (mut skip, mut left) = (self.sent, limit);
        let mut filled = 0;
        for (part, segment) in parts.iter_mut().zip(&self.segments) {
            if left == 0 {
                break;
            }
            let bytes = &segment.bytes()[skip..];
            let bytes = &bytes[..bytes.len().min(left)];
            *part = IoSlice::new(bytes);
            left -= bytes.len();
            skip = 0;
            filled += 1;
        }
        filled
    }

    /// The bytes of the first segment that wait; empty if none do.
    #[must_use]
    pub fn front(&self) -> &[u8] {
        self.segments.front().map_or(&[], |segment| &segment.bytes()[self.sent..])
    }

    /// How many segments wait.
    #[must_use]
    pub fn segments(&self) -> usize {
        self.segments.len()
    }

    /// Takes `count` bytes off the front (all of them, if there are not so many). Owned bytes that are done go to
    /// `spent`, because dropping them may run code of the user's.
    pub fn advance(&mut self, count: usize, spent: &mut Vec<Bytes>) {
        let count = count.min(self.len);
        self.len -= count;
        if let Some(descriptors) = &mut self.descriptors {
            descriptors.advance(count);
        }
        self.forget_descriptors_if_none();
        let mut left = count + self.sent;
        while let Some(first) = self.segments.front() {
            let size = first.bytes().len();
            if left < size {
                break;
            }
            left -= size;
            match self.segments.pop_front() {
                Some(Segment::Copied(buffer)) => self.keep(buffer),
                Some(Segment::Owned(bytes)) => spent.push(bytes),
                None => {}
            }
        }
        self.sent = left;
    }

    // Descriptors.

    /// Puts a descriptor behind the last byte. It travels with the byte that is put there next.
    ///
    /// # Errors
    ///
    /// Hands it back if 253 wait for that byte already.
    pub fn push_descriptor(&mut self, descriptor: OwnedFd) -> Result<(), OwnedFd> {
        let pushed = self.descriptors.get_or_insert_default().push(self.len, descriptor);
        self.forget_descriptors_if_none();
        pushed
    }

    /// How many descriptors a byte follows.
    #[must_use]
    pub fn descriptors(&self) -> usize {
        self.descriptors.as_ref().map_or(0, |descriptors| descriptors.followed(self.len))
    }

    /// The descriptors that travel with the first byte.
    pub fn first_descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.descriptors.iter().flat_map(|descriptors| descriptors.first())
    }

    /// How many bytes may be sent together with the [first descriptors](Self::first_descriptors): those before the next
    /// descriptor.
    #[must_use]
    pub fn bytes_before_next_descriptor(&self) -> usize {
        let limit = self.descriptors.as_ref().map(|descriptors| descriptors.bytes_before_next());
        limit.map_or(self.len, |limit| limit.min(self.len))
    }

    /// Takes out the descriptors that travel with one of the first `count` bytes, each with the number of bytes before it:
    /// for backends that carry them by value. [`advance`](Self::advance) closes what was not taken.
    pub fn take_descriptors(&mut self, count: usize) -> Vec<(usize, OwnedFd)> {
        let taken = self.descriptors.as_mut().map(|descriptors| descriptors.take(count).collect());
        self.forget_descriptors_if_none();
        taken.unwrap_or_default()
    }

    /// Whether it has neither bytes nor descriptors.
    pub(crate) fn is_void(&self) -> bool {
        self.is_empty() && self.descriptors.is_none()
    }

    /// Takes out the descriptors that no byte follows, as another queue.
    pub(crate) fn split_waiting(&mut self) -> Option<Box<Self>> {
        let waiting = self.descriptors.as_mut()?.take_behind(self.len);
        self.forget_descriptors_if_none();
        let waiting = (!waiting.is_empty()).then(|| Box::new(waiting))?;
        Some(Box::new(Self { descriptors: Some(waiting), ..Self::default() }))
    }

    /// Closes all descriptors.
    pub(crate) fn drop_descriptors(&mut self) {
        self.descriptors = None;
    }

    fn forget_descriptors_if_none(&mut self) {
        self.descriptors.take_if(|descriptors| descriptors.is_empty());
    }

    fn keep(&mut self, mut buffer: Vec<u8>) {
        if buffer.capacity() <= SEGMENT && self.spares.len() < SPARES {
            buffer.clear();
            self.spares.push(buffer);
        }
    }

    /// How many bytes of memory the emptied buffers have.
    pub(crate) fn spare_memory(&self) -> usize {
        self.spares.iter().map(Vec::capacity).sum()
    }

    /// Frees the emptied buffers.
    pub(crate) fn free_spares(&mut self) {
        self.spares.clear();
    }

    /// Empties it, as [`advance`](Self::advance) does, and makes it as good as new.
    pub fn clear(&mut self, spent: &mut Vec<Bytes>) {
        self.advance(self.len, spent);
        self.drop_descriptors();
    }
}

/// Copies `bytes` to the end of `buffer`, which grows by doubling, but not beyond a segment unless it has to.
fn extend(buffer: &mut Vec<u8>, bytes: &[u8]) {
    let needed = buffer.len() + bytes.len();
    if needed > buffer.capacity() {
        let doubled = (buffer.capacity() * 2).min(SEGMENT);
        buffer.reserve_exact(needed.max(doubled) - buffer.len());
    }
    buffer.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(outgoing: &Outgoing) -> Vec<u8> {
        let mut parts = [IoSlice::new(&[]); 16];
        let filled = outgoing.fill(&mut parts);
        parts[..filled].iter().flat_map(|part| part.to_vec()).collect()
    }

    #[test]
    fn bytes_leave_in_the_order_they_came() {
        let (mut outgoing, mut spent) = (Outgoing::default(), Vec::new());
        outgoing.push_copy(b"ab");
        outgoing.push_copy(b"cd");
        outgoing.push_owned(Bytes::from_static(b"efg"));
        outgoing.push_copy(b"hi");
        assert_eq!((outgoing.len(), outgoing.segments()), (9, 3));
        outgoing.advance(3, &mut spent);
        assert_eq!(all(&outgoing), b"defghi");
        assert_eq!(outgoing.front(), b"d");
        outgoing.advance(3, &mut spent);
        assert_eq!(all(&outgoing), b"ghi");
        assert!(spent.is_empty());
        outgoing.advance(99, &mut spent);
        assert_eq!((outgoing.len(), outgoing.segments(), spent.len()), (0, 0, 1));
        outgoing.push_copy(b"again");
        assert_eq!(all(&outgoing), b"again");
    }

    #[test]
    fn a_used_queue_allocates_nothing_for_the_next_message() {
        let (mut outgoing, mut spent) = (Outgoing::default(), Vec::new());
        outgoing.push_copy(&[1; 64]);
        let before = outgoing.front().as_ptr();
        outgoing.clear(&mut spent);
        outgoing.push_copy(&[2; 64]);
        assert_eq!(outgoing.front().as_ptr(), before);
    }

    #[test]
    fn small_writes_fill_a_segment_whose_buffer_is_kept() {
        let (mut outgoing, mut spent) = (Outgoing::default(), Vec::new());
        (0..SEGMENT / 1000).for_each(|_| outgoing.push_copy(&[1; 1000]));
        assert_eq!(outgoing.segments(), 1);
        outgoing.clear(&mut spent);
        assert_eq!(outgoing.spare_memory(), SEGMENT);
        outgoing.push_copy(&[1; SEGMENT + 1]);
        outgoing.clear(&mut spent);
        assert_eq!(outgoing.spare_memory(), 0);
    }

    #[test]
    fn the_queue_that_is_written_into_next_gets_the_emptied_buffers() {
        let (mut first, mut second, mut spent) = (Outgoing::default(), Outgoing::default(), Vec::new());
        first.push_copy(b"first");
        let buffer = first.front().as_ptr();
        second.push_copy(b"second");
        first.advance(5, &mut spent);
        first.append(&mut second);
        assert_eq!((first.front(), second.is_empty()), (&b"second"[..], true));
        second.push_copy(b"third");
        assert_eq!(second.front().as_ptr(), buffer);
    }

    fn descriptor() -> OwnedFd {
        std::fs::File::open("/dev/null").expect("a descriptor").into()
    }

    #[test]
    fn a_descriptor_travels_with_the_byte_behind_it() {
        let (mut outgoing, mut spent) = (Outgoing::default(), Vec::new());
        outgoing.push_copy(b"ab");
        assert!(outgoing.push_descriptor(descriptor()).is_ok());
        assert_eq!(outgoing.descriptors(), 0, "no byte follows it yet");
        outgoing.push_copy(b"cd");
        assert_eq!((outgoing.descriptors(), outgoing.first_descriptors().count()), (1, 0));
        assert_eq!(outgoing.bytes_before_next_descriptor(), 2);
        let mut parts = [IoSlice::new(&[]); 4];
        assert_eq!((outgoing.fill_up_to(2, &mut parts), &*parts[0]), (1, &b"ab"[..]));
        outgoing.advance(2, &mut spent);
        assert_eq!((outgoing.first_descriptors().count(), outgoing.bytes_before_next_descriptor()), (1, 2));
        outgoing.advance(1, &mut spent);
        assert_eq!((outgoing.first_descriptors().count(), outgoing.descriptors()), (0, 0));
        assert!(outgoing.descriptors.is_none());
    }

    #[test]
    fn descriptors_keep_their_places_when_queues_are_joined_and_parted() {
        let (mut first, mut second, mut spent) = (Outgoing::default(), Outgoing::default(), Vec::new());
        first.push_copy(b"xxab");
        first.advance(2, &mut spent);
        first.push_descriptor(descriptor()).expect("room");
        let mut waiting = first.split_waiting().expect("one waits");
        assert!(!first.is_void() && first.split_waiting().is_none());
        second.push_copy(b"cd");
        second.push_descriptor(descriptor()).expect("room");
        second.push_copy(b"e");
        waiting.append(&mut second);
        first.append(&mut waiting);
        let places: Vec<usize> = first.take_descriptors(5).into_iter().map(|(place, _)| place).collect();
        assert_eq!((places, all(&first)), (vec![2, 4], b"abcde".to_vec()));
    }

    #[test]
    fn no_more_descriptors_travel_with_one_byte_than_the_system_takes() {
        let mut outgoing = Outgoing::default();
        for _ in 0..super::super::descriptors::MOST {
            outgoing.push_descriptor(descriptor()).expect("room");
        }
        assert!(outgoing.push_descriptor(descriptor()).is_err());
        outgoing.push_copy(b"a");
        assert!(outgoing.push_descriptor(descriptor()).is_ok());
        assert_eq!(outgoing.descriptors(), super::super::descriptors::MOST);
        outgoing.clear(&mut Vec::new());
        assert!(outgoing.is_void());
    }
}
