//! Bytes on their way out, and descriptors among them.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::{BorrowedFd, OwnedFd};

use bytes::Bytes;

use super::descriptors::Descriptors;
use super::file::FileRange;

/// A segment is not made larger by copying into it than this; what comes then begins another. Larger buffers, of single
/// large writes, are freed when they are emptied.
const SEGMENT: usize = 64 * 1024;
/// How many emptied buffers a queue keeps.
const SPARES: usize = 8;

/// A queue of bytes to send, in segments: small writes are copied together, owned bytes are kept as they are. Parts of files
/// stand in it, too.
///
/// It is a plain value: a connection has one only while bytes wait, and lends it to the backend for a send. What is lent is
/// bytes alone, or one [file](Self::file) alone.
///
/// Descriptors stand between the bytes, on connections that [carry](super::Backend::carries_descriptors) them: each travels
/// with the byte behind it, in the same message. In what is lent there always is one.
#[derive(Debug, Default)]
pub struct Outgoing {
    /// All of the bytes, while they are copies that fit into one segment, as almost always. There are no `segments` then.
    plain: Vec<u8>,
    segments: VecDeque<Segment>,
    /// Bytes of the first segment, or of the plain ones, that are sent. A file knows that itself.
    sent: usize,
    len: usize,
    /// How many segments are files, and how many of the bytes are theirs.
    files: usize,
    in_files: usize,
    /// Emptied buffers, for the next copies.
    spares: Vec<Vec<u8>>,
    /// Few connections ever have any.
    descriptors: Option<Box<Descriptors>>,
}

#[derive(Debug)]
enum Segment {
    Copied(Vec<u8>),
    Owned(Bytes),
    File(Box<FileRange>),
}

impl Segment {
    /// `None` of a file.
    fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Copied(bytes) => Some(bytes),
            Self::Owned(bytes) => Some(bytes),
            Self::File(_) => None,
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Copied(bytes) => bytes.len(),
            Self::Owned(bytes) => bytes.len(),
            Self::File(range) => range.len(),
        }
    }
}

impl Outgoing {
    /// How many bytes wait, those of files included.
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
    #[inline]
    pub fn push_copy(&mut self, bytes: &[u8]) {
        if self.segments.is_empty() && self.plain.len() + bytes.len() <= self.plain.capacity().min(SEGMENT) {
            self.len += bytes.len();
            self.plain.extend_from_slice(bytes);
        } else {
            self.push_longer_copy(bytes);
        }
    }

    fn push_longer_copy(&mut self, bytes: &[u8]) {
        self.len += bytes.len();
        if self.segments.is_empty() && (self.plain.is_empty() || self.plain.len() + bytes.len() <= SEGMENT) {
            if self.plain.capacity() == 0 {
                self.plain = self.spares.pop().unwrap_or_default();
            }
            return extend(&mut self.plain, bytes);
        }
        self.make_segments();
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
            self.make_segments();
            self.len += bytes.len();
            self.segments.push_back(Segment::Owned(bytes));
        }
    }

    /// Puts a part of a file at the end.
    pub fn push_file(&mut self, range: FileRange) {
        if !range.is_empty() {
            self.make_segments();
            self.len += range.len();
            self.files += 1;
            self.in_files += range.len();
            self.segments.push_back(Segment::File(Box::new(range)));
        }
    }

    /// Puts everything that waits in `other` at the end, without a copy. The empty buffers go the other way: `other` is
    /// what will be written into next.
    pub fn append(&mut self, other: &mut Self) {
        self.make_segments();
        other.make_segments();
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
        self.files += std::mem::take(&mut other.files);
        self.in_files += std::mem::take(&mut other.in_files);
        self.segments.append(&mut other.segments);
        other.keep(std::mem::take(&mut self.plain));
        other.spares.append(&mut self.spares);
        other.spares.truncate(SPARES);
    }

    /// Fills `parts` with the bytes from the front on, up to the first file, one part a segment, and tells how many parts it
    /// filled.
    pub fn fill<'a>(&'a self, parts: &mut [IoSlice<'a>]) -> usize {
        self.fill_up_to(usize::MAX, parts)
    }

    /// As [`fill`](Self::fill), with no more than `limit` bytes.
    pub fn fill_up_to<'a>(&'a self, limit: usize, parts: &mut [IoSlice<'a>]) -> usize {
        if !self.plain.is_empty() {
            let bytes = &self.plain[self.sent..];
            let Some(part) = parts.first_mut().filter(|_| limit > 0) else { return 0 };
            *part = IoSlice::new(&bytes[..bytes.len().min(limit)]);
            return 1;
        }
        let (mut skip, mut left) = (self.sent, limit);
        let mut filled = 0;
        let bytes = self.segments.iter().map_while(Segment::bytes);
        for (part, bytes) in parts.iter_mut().zip(bytes) {
            if left == 0 {
                break;
            }
            let bytes = &bytes[skip..];
            let bytes = &bytes[..bytes.len().min(left)];
            *part = IoSlice::new(bytes);
            left -= bytes.len();
            skip = 0;
            filled += 1;
        }
        filled
    }

    /// The bytes of the first segment that wait; empty if none do, or a file comes first.
    #[must_use]
    pub fn front(&self) -> &[u8] {
        if !self.plain.is_empty() {
            return &self.plain[self.sent..];
        }
        self.segments.front().and_then(Segment::bytes).map_or(&[], |bytes| &bytes[self.sent..])
    }

    /// The file that comes first, if one does.
    #[must_use]
    pub fn file(&self) -> Option<&FileRange> {
        match self.segments.front() {
            Some(Segment::File(range)) => Some(range),
            _ => None,
        }
    }

    /// How many segments wait.
    #[must_use]
    pub fn segments(&self) -> usize {
        self.segments.len() + usize::from(!self.plain.is_empty())
    }

    /// Takes `count` bytes off the front (all of them, if there are not so many). Owned bytes that are done go to
    /// `spent`, because dropping them may run code of the user's.
    pub fn advance(&mut self, count: usize, spent: &mut Vec<Bytes>) {
        let count = count.min(self.len);
        if self.is_plain() {
            return self.advance_plain(count);
        }
        self.len -= count;
        if let Some(descriptors) = &mut self.descriptors {
            descriptors.advance(count);
        }
        self.forget_descriptors_if_none();
        self.make_segments();
        let mut left = count + self.sent;
        while let Some(first) = self.segments.front_mut() {
            let size = first.len();
            if left < size {
                if let Segment::File(range) = first {
                    range.skip(left);
                    self.in_files -= std::mem::take(&mut left);
                }
                break;
            }
            left -= size;
            match self.segments.pop_front() {
                Some(Segment::Copied(buffer)) => self.keep(buffer),
                Some(Segment::Owned(bytes)) => spent.push(bytes),
                Some(Segment::File(_)) => {
                    self.files -= 1;
                    self.in_files -= size;
                }
                None => {}
            }
        }
        self.sent = left;
    }

    fn advance_plain(&mut self, count: usize) {
        if count < self.len {
            self.len -= count;
            self.sent += count;
            return;
        }
        (self.len, self.sent) = (0, 0);
        if self.plain.capacity() > SEGMENT {
            self.plain = Vec::new();
        }
        self.plain.clear();
    }

    /// All of the plain bytes are sent.
    pub(crate) fn clear_plain(&mut self) {
        self.advance_plain(self.len);
    }

    /// Whether it has nothing but bytes that are copies in one piece.
    pub(crate) fn is_plain(&self) -> bool {
        self.segments.is_empty() && self.descriptors.is_none()
    }

    /// Bytes of another kind come behind the plain ones.
    fn make_segments(&mut self) {
        if !self.plain.is_empty() {
            self.segments.push_back(Segment::Copied(std::mem::take(&mut self.plain)));
        }
    }

    /// How many bytes a [`fill`](Self::fill) of so many parts gives, where there are no files.
    pub(crate) fn len_of_parts(&self, parts: usize) -> usize {
        if !self.plain.is_empty() {
            return if parts > 0 { self.len } else { 0 };
        }
        let segments = self.segments.iter().take(parts);
        segments.map(Segment::len).sum::<usize>() - self.sent
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
        let waiting = self.take_descriptors_behind(self.len)?;
        Some(Box::new(Self { descriptors: Some(waiting), ..Self::default() }))
    }

    fn take_descriptors_behind(&mut self, len: usize) -> Option<Box<Descriptors>> {
        let behind = self.descriptors.as_mut()?.take_behind(len);
        self.forget_descriptors_if_none();
        (!behind.is_empty()).then(|| Box::new(behind))
    }

    /// Closes all descriptors.
    pub(crate) fn drop_descriptors(&mut self) {
        self.descriptors = None;
    }

    fn forget_descriptors_if_none(&mut self) {
        self.descriptors.take_if(|descriptors| descriptors.is_empty());
    }

    // Files, as the core deals with them.

    /// How many bytes of memory it stands for: a file counts as what is read of it at a time.
    pub(crate) fn in_memory(&self) -> usize {
        self.len - self.in_files + self.files * SEGMENT
    }

    pub(crate) fn has_files(&self) -> bool {
        self.files > 0
    }

    /// Takes off what is not lent together with the front, and puts it into `rest`, which is empty.
    pub(crate) fn split_into(&mut self, rest: &mut Self) {
        self.make_segments();
        let bytes = self.segments.iter().take_while(|segment| segment.bytes().is_some()).count();
        let stays = bytes.max(1).min(self.segments.len());
        let len = self.segments.iter().take(stays).map(Segment::len).sum::<usize>() - self.sent;
        rest.segments.extend(self.segments.drain(stays..));
        rest.len = self.len - len;
        self.len = len;
        rest.descriptors = self.take_descriptors_behind(len);
        let (files, in_files) = if bytes == 0 { (1, len) } else { (0, 0) };
        rest.files = self.files - files;
        rest.in_files = self.in_files - in_files;
        (self.files, self.in_files) = (files, in_files);
    }

    /// The file that comes first is read from now on.
    pub(crate) fn read_from_now_on(&mut self) {
        if let Some(Segment::File(range)) = self.segments.front_mut() {
            range.read_from_now_on();
        }
    }

    /// Reads from the file that comes first: the bytes take their place before the rest of it. How many, none at its end.
    pub(crate) fn read_file(&mut self) -> io::Result<usize> {
        let Some(Segment::File(range)) = self.segments.front_mut() else { return Ok(0) };
        let mut piece = self.spares.pop().unwrap_or_default();
        let wanted = range.len().min(SEGMENT);
        if piece.capacity() < wanted {
            piece.reserve_exact(wanted);
        }
        let count = range.read(&mut piece)?;
        if count == 0 {
            self.keep(piece);
            return Ok(0);
        }
        range.skip(count);
        self.in_files -= count;
        if range.is_empty() {
            self.segments.pop_front();
            self.files -= 1;
        }
        self.segments.push_front(Segment::Copied(piece));
        Ok(count)
    }

    /// Drops what is left of the file that comes first.
    pub(crate) fn drop_file(&mut self) {
        if let Some(left) = self.file().map(FileRange::len) {
            self.segments.pop_front();
            self.files -= 1;
            self.in_files -= left;
            self.len -= left;
            if let Some(descriptors) = &mut self.descriptors {
                descriptors.bring_forward(left);
            }
        }
    }

    fn keep(&mut self, mut buffer: Vec<u8>) {
        if (1..=SEGMENT).contains(&buffer.capacity()) && self.spares.len() < SPARES {
            buffer.clear();
            self.spares.push(buffer);
        }
    }

    /// How many bytes of memory the emptied buffers have.
    pub(crate) fn spare_memory(&self) -> usize {
        let spares: usize = self.spares.iter().map(Vec::capacity).sum();
        self.plain.capacity() + spares
    }

    /// Frees the emptied buffers.
    pub(crate) fn free_spares(&mut self) {
        self.spares.clear();
        self.plain = Vec::new();
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
