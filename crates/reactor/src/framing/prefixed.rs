//! Frames behind their length, as an integer of a fixed width.

#[cfg(test)]
mod tests;

use super::counted::{Counted, Layout, MAX_LENGTH, Refused, Shape};
use super::{Encode, Feed};

/// How the length in front of a frame is written: as 8, 16 or 32 bits, the most significant byte first, as is usual on
/// networks, unless [chosen otherwise](Self::little_endian). It counts the bytes that follow it.
///
/// It is an [encoder](Encode), and what a [`PrefixParser`] is made of.
///
/// ```
/// use marline_reactor::framing::{Encode, Prefix};
///
/// assert_eq!(Prefix::U32.to_bytes(b"hi")?, b"\0\0\0\x02hi");
/// assert_eq!(Prefix::U16.little_endian().to_bytes(b"hi")?, b"\x02\0hi");
///
/// let error = Prefix::U8.to_bytes(&[0; 256]).unwrap_err();
/// assert_eq!((error.length(), error.limit()), (256, 255));
/// # Ok::<(), marline_reactor::framing::FrameTooLong>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    width: usize,
    is_little_endian: bool,
}

impl Prefix {
    /// One byte: frames of at most 255 bytes.
    pub const U8: Self = Self { width: 1, is_little_endian: false };
    /// Two bytes: frames of at most 65 535 bytes.
    pub const U16: Self = Self { width: 2, is_little_endian: false };
    /// Four bytes: frames of at most 4 294 967 295 bytes.
    pub const U32: Self = Self { width: 4, is_little_endian: false };

    /// The same with the least significant byte first.
    #[must_use]
    pub const fn little_endian(mut self) -> Self {
        self.is_little_endian = true;
        self
    }

    /// The longest frame that it can express, in bytes.
    #[must_use]
    pub const fn max_length(self) -> usize {
        u32::MAX as usize >> (32 - 8 * self.width)
    }

    /// The length that stands at the front of the bytes, if it is complete.
    fn read(self, front: &[u8]) -> Option<usize> {
        let add = |length, byte: &u8| length << 8 | usize::from(*byte);
        let prefix = front.get(..self.width)?.iter();
        Some(if self.is_little_endian { prefix.rev().fold(0, add) } else { prefix.fold(0, add) })
    }
}

impl Encode for Prefix {
    type Item = [u8];
    type Error = FrameTooLong;

    fn encode(&self, frame: &[u8], into: &mut Vec<u8>) -> Result<(), FrameTooLong> {
        let (length, limit) = (frame.len(), self.max_length());
        if length > limit {
            return Err(FrameTooLong { length, limit });
        }
        into.reserve(self.width + length);
        if self.is_little_endian {
            into.extend_from_slice(&length.to_le_bytes()[..self.width]);
        } else {
            let bytes = length.to_be_bytes();
            into.extend_from_slice(&bytes[bytes.len() - self.width..]);
        }
        into.extend_from_slice(frame);
        Ok(())
    }
}

/// A frame is longer than the parser allows, or than the prefix can express.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {length} bytes is longer than the limit of {limit} bytes")]
pub struct FrameTooLong {
    length: usize,
    limit: usize,
}

impl FrameTooLong {
    /// How long it is, in bytes.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.length
    }

    /// The length that is allowed, in bytes.
    #[must_use]
    pub const fn limit(&self) -> usize {
        self.limit
    }
}

/// Finds the frames in a stream of bytes that come behind their length.
///
/// A frame of more than [`max_length`](Self::max_length) bytes (1 048 576 by default) is not buffered:
/// [`next`](Feed::next) answers [`FrameTooLong`] as soon as the prefix is there, and goes on with the frame that follows.
/// Memory grows with the bytes that arrive, not with the length that was announced.
///
/// It is also the [encoder](Encode) for its prefix; the limit is for what arrives, and does not count.
///
/// ```
/// use marline_reactor::framing::{Feed, Prefix, PrefixParser};
///
/// let mut parser = PrefixParser::new(Prefix::U16).max_length(1000);
/// let mut input: &[u8] = b"\0\x05hello\0\x03wo";
/// assert_eq!(parser.next(&mut input)?, Some(&b"hello"[..]));
/// assert_eq!(parser.next(&mut input)?, None);
/// assert_eq!(parser.next(&mut &b"w"[..])?, Some(&b"wow"[..]));
/// # Ok::<(), marline_reactor::framing::FrameTooLong>(())
/// ```
#[derive(Debug)]
pub struct PrefixParser {
    inner: Counted<Limited>,
}

#[derive(Clone, Copy, Debug)]
struct Limited {
    prefix: Prefix,
    max_length: usize,
}

impl PrefixParser {
    /// A parser of frames behind this prefix.
    #[must_use]
    pub const fn new(prefix: Prefix) -> Self {
        Self { inner: Counted::new(Limited { prefix, max_length: MAX_LENGTH }) }
    }

    /// Allows frames of so many bytes, the prefix not counted.
    #[must_use]
    pub const fn max_length(mut self, bytes: usize) -> Self {
        self.inner.layout.max_length = bytes;
        self
    }
}

impl Layout for Limited {
    type Error = FrameTooLong;

    fn read(&self, front: &[u8]) -> Result<Option<Shape>, Refused<FrameTooLong>> {
        let Some(length) = self.prefix.read(front) else { return Ok(None) };
        let (header, limit) = (self.prefix.width, self.max_length);
        if length > limit {
            let error = FrameTooLong { length, limit };
            return Err(Refused { error, length: Some(header as u64 + length as u64) });
        }
        Ok(Some(Shape { header, body: length, trailer: 0 }))
    }

    fn check(&self, _last: u8) -> Result<(), FrameTooLong> {
        Ok(())
    }
}

impl Feed for PrefixParser {
    type Frame<'a> = &'a [u8];
    type Error = FrameTooLong;

    fn next<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8]) -> Result<Option<&'a [u8]>, FrameTooLong> {
        self.inner.next(input)
    }

    fn keep(&mut self, input: &[u8]) {
        self.inner.keep(input);
    }

    fn take_rest(&mut self) -> Vec<u8> {
        self.inner.take_rest()
    }
}

impl Encode for PrefixParser {
    type Item = [u8];
    type Error = FrameTooLong;

    fn encode(&self, frame: &[u8], into: &mut Vec<u8>) -> Result<(), FrameTooLong> {
        self.inner.layout.prefix.encode(frame, into)
    }
}
