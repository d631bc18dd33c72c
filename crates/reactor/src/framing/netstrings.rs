//! Netstrings: a length in decimal digits, a colon, the bytes, a comma (<https://cr.yp.to/proto/netstrings.txt>).

#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::io::Write as _;

use super::counted::{Counted, Layout, MAX_LENGTH, Refused, Shape};
use super::{Encode, Feed};

/// The [encoder](Encode) of netstrings. There is nothing that they cannot express.
///
/// ```
/// use marline_reactor::framing::{Encode, Netstring};
///
/// let Ok(bytes) = Netstring.to_bytes(b"hello world!");
/// assert_eq!(bytes, b"12:hello world!,");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Netstring;

impl Encode for Netstring {
    type Item = [u8];
    type Error = Infallible;

    fn encode(&self, frame: &[u8], into: &mut Vec<u8>) -> Result<(), Infallible> {
        // Writing to a `Vec` does not fail.
        _ = write!(into, "{}:", frame.len());
        into.extend_from_slice(frame);
        into.push(b',');
        Ok(())
    }
}

/// What is wrong with a netstring. Where the next one begins nobody can tell then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetstringError {
    /// It is longer than the parser allows.
    #[error("a netstring is longer than the limit of {limit} bytes")]
    TooLong {
        /// The length that is allowed, in bytes.
        limit: usize,
    },
    /// There is something else where a digit or the colon has to be.
    #[error("the length of a netstring has the byte {found:#04x} in it")]
    NoLength {
        /// What is there.
        found: u8,
    },
    /// The length begins with a zero, and goes on.
    #[error("the length of a netstring begins with a zero")]
    LeadingZero,
    /// There is something else where the comma has to be.
    #[error("a netstring ends with the byte {found:#04x}, and not with a comma")]
    NoComma {
        /// What is there.
        found: u8,
    },
}

/// Finds netstrings in a stream of bytes.
///
/// Their length is checked digit by digit, so that neither a long string nor a long length is buffered if it is more than
/// [`max_length`](Self::max_length) (1 048 576 by default), and memory grows with the bytes that arrive.
///
/// After an error nothing that follows makes sense. The parser is [broken](Feed::is_broken) then and drops all that it is
/// given; a connection with [`Frames`](struct@super::Frames) on it is closed.
///
/// ```
/// use marline_reactor::framing::{Feed, NetstringError, NetstringParser};
///
/// let mut parser = NetstringParser::new().max_length(100);
/// let mut input: &[u8] = b"5:hello,0:,101:";
/// assert_eq!(parser.next(&mut input), Ok(Some(&b"hello"[..])));
/// assert_eq!(parser.next(&mut input), Ok(Some(&b""[..])));
/// assert_eq!(parser.next(&mut input), Err(NetstringError::TooLong { limit: 100 }));
/// ```
#[derive(Debug)]
pub struct NetstringParser {
    inner: Counted<Limited>,
}

#[derive(Clone, Copy, Debug)]
struct Limited {
    max_length: usize,
}

impl NetstringParser {
    /// A parser of netstrings.
    #[must_use]
    pub const fn new() -> Self {
        Self { inner: Counted::new(Limited { max_length: MAX_LENGTH }) }
    }

    /// Allows strings of so many bytes.
    #[must_use]
    pub const fn max_length(mut self, bytes: usize) -> Self {
        self.inner.layout.max_length = bytes;
        self
    }
}

impl Limited {
    /// The length with one more digit, if it is acceptable.
    fn add_digit(self, length: usize, digit: u8) -> Result<usize, NetstringError> {
        let longer = length.checked_mul(10).and_then(|tens| tens.checked_add(usize::from(digit - b'0')));
        let limit = self.max_length;
        longer.filter(|length| *length <= limit).ok_or(NetstringError::TooLong { limit })
    }

    fn read_length(self, front: &[u8]) -> Result<Option<Shape>, NetstringError> {
        let mut body = 0;
        for (index, byte) in front.iter().enumerate() {
            match byte {
                b'0'..=b'9' if index == 1 && body == 0 => return Err(NetstringError::LeadingZero),
                b'0'..=b'9' => body = self.add_digit(body, *byte)?,
                b':' if index > 0 => return Ok(Some(Shape { header: index + 1, body, trailer: 1 })),
                _ => return Err(NetstringError::NoLength { found: *byte }),
            }
        }
        Ok(None)
    }
}

impl Layout for Limited {
    type Error = NetstringError;

    fn read(&self, front: &[u8]) -> Result<Option<Shape>, Refused<NetstringError>> {
        self.read_length(front).map_err(|error| Refused { error, length: None })
    }

    fn check(&self, last: u8) -> Result<(), NetstringError> {
        if last == b',' { Ok(()) } else { Err(NetstringError::NoComma { found: last }) }
    }
}

impl Feed for NetstringParser {
    type Frame<'a> = &'a [u8];
    type Error = NetstringError;

    fn next<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8]) -> Result<Option<&'a [u8]>, NetstringError> {
        self.inner.next(input)
    }

    fn keep(&mut self, input: &[u8]) {
        self.inner.keep(input);
    }

    fn take_rest(&mut self) -> Vec<u8> {
        self.inner.take_rest()
    }

    fn is_broken(&self) -> bool {
        self.inner.is_broken()
    }
}

impl Encode for NetstringParser {
    type Item = [u8];
    type Error = Infallible;

    fn encode(&self, frame: &[u8], into: &mut Vec<u8>) -> Result<(), Infallible> {
        Netstring.encode(frame, into)
    }
}

impl Default for NetstringParser {
    fn default() -> Self {
        Self::new()
    }
}
