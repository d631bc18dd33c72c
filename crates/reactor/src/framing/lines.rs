//! Lines, and whatever else ends with a fixed delimiter.

#[cfg(test)]
mod tests;

use memchr::{memchr_iter, memmem};

use super::kept::Kept;
use super::{Encode, Feed};

/// Finds the lines in a stream of bytes.
///
/// A line ends with `\n`, and a `\r` in front of that is dropped; or with exactly the bytes that were
/// [chosen](Self::delimiter). Lines come out without their delimiter, and may be empty.
///
/// A line of more than [`max_length`](Self::max_length) bytes (16 384 by default, the delimiter not counted) is not
/// buffered: [`next`](Feed::next) answers [`LineTooLong`] once, and goes on with the line that follows.
/// So a parser holds no more than the length of a line and a delimiter, and what it was asked to keep.
#[derive(Debug)]
pub struct LineParser {
    kept: Kept,
    /// How many of the kept bytes are known to hold no end of a line.
    scanned: usize,
    delimiter: &'static [u8],
    /// Whether a `\r` before the delimiter belongs to it.
    drop_return: bool,
    max_length: usize,
    /// Whether we are within a line that was too long. Then what was scanned serves only to find its end.
    skipping: bool,
}

/// A line was longer than the parser allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a line is longer than the limit of {limit} bytes")]
pub struct LineTooLong {
    limit: usize,
}

impl LineTooLong {
    /// The length that is allowed, in bytes.
    #[must_use]
    pub const fn limit(&self) -> usize {
        self.limit
    }
}

/// A line cannot be sent: whoever reads it would see another one, or two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a line holds what ends a line")]
pub struct UnsendableLine;

/// Where the first line ends: so many bytes of what was kept, and then so many of the input.
#[derive(Clone, Copy)]
struct End {
    kept: usize,
    input: usize,
}

impl LineParser {
    /// A parser of lines that end with `\n` or `\r\n`.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            kept: Kept::new(),
            scanned: 0,
            delimiter: b"\n",
            drop_return: true,
            max_length: 16 * 1024,
            skipping: false,
        }
    }

    /// Lets lines end with exactly these bytes. An empty delimiter does not compile.
    ///
    /// ```
    /// use marline_reactor::framing::{Feed, LineParser};
    ///
    /// let mut parser = LineParser::new().delimiter(b"\r\n");
    /// let line = parser.next(&mut &b"a\nb\r\n"[..])?;
    /// assert_eq!(line, Some(&b"a\nb"[..]));
    /// # Ok::<(), marline_reactor::framing::LineTooLong>(())
    /// ```
    #[must_use]
    pub const fn delimiter<const N: usize>(mut self, delimiter: &'static [u8; N]) -> Self {
        const { assert!(N > 0, "a delimiter has at least one byte") }
        self.delimiter = delimiter;
        self.drop_return = false;
        self
    }

    /// Allows lines of so many bytes, the delimiter not counted. 16 384 by default.
    #[must_use]
    pub const fn max_length(mut self, bytes: usize) -> Self {
        self.max_length = bytes;
        self
    }

    /// Finds the first place at which a delimiter is complete, looking at each byte once.
    fn find_end(&mut self, input: &[u8]) -> Option<End> {
        let kept = self.kept.bytes();
        let last = *self.delimiter.last()?;
        for found in memchr_iter(last, &kept[self.scanned..]) {
            let end = self.scanned + found + 1;
            if kept[..end].ends_with(self.delimiter) {
                self.scanned = 0;
                return Some(End { kept: end, input: 0 });
            }
        }
        self.scanned = kept.len();
        for found in memchr_iter(last, input) {
            if joined_end_with(kept, &input[..=found], self.delimiter) {
                let kept = std::mem::take(&mut self.scanned);
                let input = found + 1;
                return Some(End { kept, input });
            }
        }
        None
    }

    fn take_line<'a, 'i: 'a>(&'a mut self, end: End, input: &mut &'i [u8]) -> Result<&'a [u8], LineTooLong> {
        let too_long = self.too_long();
        let (front, behind) = input.split_at(end.input);
        *input = behind;
        let length = end.kept + end.input;
        if length > self.max_length.saturating_add(self.longest_delimiter()) {
            self.kept.pass(end.kept);
            return Err(too_long);
        }
        let whole = if end.kept > 0 {
            // An end within the input leaves nothing kept behind it.
            self.kept.push(front);
            self.kept.take_front(length)
        } else {
            front
        };
        let mut line = &whole[..length - self.delimiter.len()];
        if self.drop_return {
            line = line.strip_suffix(b"\r").unwrap_or(line);
        }
        if line.len() > self.max_length { Err(too_long) } else { Ok(line) }
    }

    /// Keeps the start of a line, unless it can only become too long.
    fn keep_unfinished(&mut self, input: &mut &[u8]) -> Result<(), LineTooLong> {
        let rest = std::mem::take(input);
        let length = self.scanned + rest.len();
        let unfinished_delimiter = self.longest_delimiter() - 1;
        let tolerable = self.max_length.saturating_add(unfinished_delimiter);
        if length <= tolerable && !self.skipping {
            self.kept.push(rest);
            self.scanned = length;
            return Ok(());
        }
        let reported = std::mem::replace(&mut self.skipping, true);
        self.kept.push(&rest[rest.len().saturating_sub(unfinished_delimiter)..]);
        let kept = self.kept.len();
        self.kept.pass(kept.saturating_sub(unfinished_delimiter));
        self.scanned = kept.min(unfinished_delimiter);
        self.kept.forget_handed_out();
        if reported { Ok(()) } else { Err(self.too_long()) }
    }

    const fn longest_delimiter(&self) -> usize {
        self.delimiter.len() + self.drop_return as usize
    }

    const fn too_long(&self) -> LineTooLong {
        let limit = self.max_length;
        LineTooLong { limit }
    }
}

impl Feed for LineParser {
    type Frame<'a> = &'a [u8];
    type Error = LineTooLong;

    fn next<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8]) -> Result<Option<&'a [u8]>, LineTooLong> {
        self.kept.forget_handed_out();
        loop {
            let Some(end) = self.find_end(input) else {
                return self.keep_unfinished(input).map(|()| None);
            };
            if !self.skipping {
                return self.take_line(end, input).map(Some);
            }
            self.skipping = false;
            self.kept.pass(end.kept);
            *input = &input[end.input..];
        }
    }

    fn keep(&mut self, input: &[u8]) {
        self.kept.forget_handed_out();
        self.kept.push(input);
    }

    fn take_rest(&mut self) -> Vec<u8> {
        if std::mem::take(&mut self.skipping) {
            self.kept.pass(self.scanned);
        }
        self.scanned = 0;
        self.kept.take()
    }
}

/// Puts the delimiter behind a line: `\n`, or the one that was [chosen](LineParser::delimiter). The limit is for what
/// arrives, and does not count.
impl Encode for LineParser {
    type Item = [u8];
    type Error = UnsendableLine;

    fn encode(&self, line: &[u8], into: &mut Vec<u8>) -> Result<(), UnsendableLine> {
        let start = into.len();
        into.extend_from_slice(line);
        into.extend_from_slice(self.delimiter);
        let first = memmem::find(&into[start..], self.delimiter);
        if first != Some(line.len()) || (self.drop_return && line.ends_with(b"\r")) {
            into.truncate(start);
            return Err(UnsendableLine);
        }
        Ok(())
    }
}

impl Default for LineParser {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether `end` comes last in the two slices together.
fn joined_end_with(first: &[u8], second: &[u8], end: &[u8]) -> bool {
    if second.len() >= end.len() {
        return second.ends_with(end);
    }
    let (head, tail) = end.split_at(end.len() - second.len());
    second == tail && first.ends_with(head)
}
