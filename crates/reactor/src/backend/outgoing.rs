//! Bytes on their way out.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use bytes::Bytes;

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
#[derive(Debug, Default)]
pub struct Outgoing {
    segments: VecDeque<Segment>,
    /// Bytes of the first segment that are sent. A file knows that itself.
    sent: usize,
    len: usize,
    /// How many segments are files, and how many of the bytes are theirs.
    files: usize,
    in_files: usize,
    /// Emptied buffers, for the next copies.
    spares: Vec<Vec<u8>>,
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

    /// Puts a part of a file at the end.
    pub fn push_file(&mut self, range: FileRange) {
        if !range.is_empty() {
            self.len += range.len();
            self.files += 1;
            self.in_files += range.len();
            self.segments.push_back(Segment::File(Box::new(range)));
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
        self.len += std::mem::take(&mut other.len);
        self.files += std::mem::take(&mut other.files);
        self.in_files += std::mem::take(&mut other.in_files);
        self.segments.append(&mut other.segments);
        other.spares.append(&mut self.spares);
        other.spares.truncate(SPARES);
    }

    /// Fills `parts` with the bytes from the front on, up to the first file, one part a segment, and tells how many parts it
    /// filled.
    pub fn fill<'a>(&'a self, parts: &mut [IoSlice<'a>]) -> usize {
        let mut skip = self.sent;
        let mut filled = 0;
        let bytes = self.segments.iter().map_while(Segment::bytes);
        for (part, bytes) in parts.iter_mut().zip(bytes) {
            *part = IoSlice::new(&bytes[skip..]);
            skip = 0;
            filled += 1;
        }
        filled
    }

    /// The bytes of the first segment that wait; empty if none do, or a file comes first.
    #[must_use]
    pub fn front(&self) -> &[u8] {
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
        self.segments.len()
    }

    /// Takes `count` bytes off the front (all of them, if there are not so many). Owned bytes that are done go to
    /// `spent`, because dropping them may run code of the user's.
    pub fn advance(&mut self, count: usize, spent: &mut Vec<Bytes>) {
        let count = count.min(self.len);
        self.len -= count;
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
        let bytes = self.segments.iter().take_while(|segment| segment.bytes().is_some()).count();
        let stays = bytes.max(1).min(self.segments.len());
        let len = self.segments.iter().take(stays).map(Segment::len).sum::<usize>() - self.sent;
        rest.segments.extend(self.segments.drain(stays..));
        rest.len = self.len - len;
        self.len = len;
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
        }
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

    fn file(offset: u64, len: usize) -> FileRange {
        let file = std::fs::File::open("Cargo.toml").expect("the manifest");
        FileRange::new(std::sync::Arc::new(file), offset, len, true)
    }

    #[test]
    fn a_file_is_lent_alone_and_bytes_up_to_the_next_one() {
        let (mut outgoing, mut spent) = (Outgoing::default(), Vec::new());
        outgoing.push_copy(b"abc");
        outgoing.push_file(file(1, 10));
        outgoing.push_file(file(0, 0));
        outgoing.push_file(file(3, 5));
        outgoing.push_copy(b"de");
        assert_eq!((outgoing.len(), outgoing.segments(), outgoing.in_memory()), (20, 4, 5 + 2 * SEGMENT));
        outgoing.advance(1, &mut spent);
        let mut lengths = Vec::new();
        while !outgoing.is_empty() {
            let mut rest = Outgoing::default();
            outgoing.split_into(&mut rest);
            assert!(outgoing.file().is_none_or(|range| range.len() == outgoing.len()));
            assert_eq!(outgoing.front().is_empty(), outgoing.file().is_some());
            lengths.push((outgoing.len(), outgoing.has_files(), rest.len()));
            // A part is sent, and the queue is whole again.
            outgoing.advance(if outgoing.has_files() { 3 } else { outgoing.len() }, &mut spent);
            outgoing.append(&mut rest);
        }
        let bytes = [(2, false, 17), (2, false, 0)];
        let files = [(10, true, 7), (7, true, 7), (4, true, 7), (1, true, 7), (5, true, 2), (2, true, 2)];
        assert_eq!(lengths, [&bytes[..1], &files, &bytes[1..]].concat());
        assert_eq!((outgoing.segments(), outgoing.in_memory()), (0, 0));
    }

    #[test]
    fn what_is_read_of_a_file_takes_its_place() {
        let manifest = std::fs::read("Cargo.toml").expect("the manifest");
        let (mut outgoing, mut spent) = (Outgoing::default(), Vec::new());
        outgoing.push_file(file(2, 6));
        outgoing.push_copy(b"after");
        assert_eq!(outgoing.read_file().ok(), Some(6));
        assert_eq!((all(&outgoing), outgoing.has_files()), ([&manifest[2..8], b"after"].concat(), false));
        outgoing.clear(&mut spent);
        outgoing.push_file(file(manifest.len() as u64, 6));
        assert_eq!((outgoing.read_file().ok(), outgoing.len()), (Some(0), 6));
        outgoing.drop_file();
        assert!(outgoing.is_empty() && outgoing.file().is_none() && !outgoing.has_files());
    }
}
