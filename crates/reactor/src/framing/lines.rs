//! Lines, and whatever else ends with a fixed delimiter.

#[cfg(test)]
mod tests;

use memchr::memchr_iter;

use super::Feed;

/// Room for the start of a short line that an idle parser may hold on to.
const SPARE: usize = 512;

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
    /// Bytes that were kept. Those before `start` have been handed out already.
    buffer: Vec<u8>,
    start: usize,
    /// How many bytes from `start` on are known to hold no end of a line.
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

/// A line, and what of the bytes that were kept comes behind it.
pub(crate) type LineAndKept<'a> = (&'a [u8], &'a [u8]);

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
            buffer: Vec::new(),
            start: 0,
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

    /// The next line, and what of the bytes that were kept comes behind it.
    pub(crate) fn next_and_kept<'a, 'i: 'a>(
        &'a mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<LineAndKept<'a>>, LineTooLong> {
        self.forget_handed_out();
        loop {
            let Some(end) = self.find_end(input) else {
                return self.keep_unfinished(input).map(|()| None);
            };
            if !self.skipping {
                return self.take_line(end, input).map(Some);
            }
            self.skipping = false;
            self.start += end.kept;
            *input = &input[end.input..];
        }
    }

    /// Finds the first place at which a delimiter is complete, looking at each byte once.
    fn find_end(&mut self, input: &[u8]) -> Option<End> {
        let kept = &self.buffer[self.start..];
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

    fn take_line<'a, 'i: 'a>(
        &'a mut self,
        end: End,
        input: &mut &'i [u8],
    ) -> Result<LineAndKept<'a>, LineTooLong> {
        let (front, behind) = input.split_at(end.input);
        *input = behind;
        let start = self.start;
        self.start += end.kept;
        if end.kept + end.input > self.max_length.saturating_add(self.longest_delimiter()) {
            return Err(self.too_long());
        }
        if end.kept > 0 && end.input > 0 {
            self.buffer.extend_from_slice(front);
            self.start = self.buffer.len();
        }
        let (handed_out, kept) = self.buffer.split_at(self.start);
        let whole = if end.kept > 0 { &handed_out[start..] } else { front };
        let mut line = &whole[..whole.len() - self.delimiter.len()];
        if self.drop_return {
            line = line.strip_suffix(b"\r").unwrap_or(line);
        }
        if line.len() > self.max_length {
            return Err(self.too_long());
        }
        Ok((line, kept))
    }

    /// Keeps the start of a line, unless it can only become too long.
    fn keep_unfinished(&mut self, input: &mut &[u8]) -> Result<(), LineTooLong> {
        let rest = std::mem::take(input);
        let length = self.scanned + rest.len();
        let unfinished_delimiter = self.longest_delimiter() - 1;
        let tolerable = self.max_length.saturating_add(unfinished_delimiter);
        if length <= tolerable && !self.skipping {
            self.keep(rest);
            self.scanned = length;
            return Ok(());
        }
        let reported = std::mem::replace(&mut self.skipping, true);
        self.keep(&rest[rest.len().saturating_sub(unfinished_delimiter)..]);
        let kept = self.buffer.len() - self.start;
        self.start += kept.saturating_sub(unfinished_delimiter);
        self.scanned = kept.min(unfinished_delimiter);
        self.forget_handed_out();
        if reported { Ok(()) } else { Err(self.too_long()) }
    }

    /// Makes room, without moving any byte more than twice on average, and lets go of memory that is not needed.
    fn forget_handed_out(&mut self) {
        if self.start == self.buffer.len() {
            self.buffer.clear();
            self.start = 0;
            if self.buffer.capacity() > SPARE {
                self.buffer = Vec::new();
            }
        } else if self.start > self.buffer.len() / 2 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
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
        let found = self.next_and_kept(input)?;
        Ok(found.map(|(line, _)| line))
    }

    fn keep(&mut self, input: &[u8]) {
        self.forget_handed_out();
        self.buffer.extend_from_slice(input);
    }

    fn take_rest(&mut self) -> Vec<u8> {
        let passed = if self.skipping { self.scanned } else { 0 };
        let mut rest = std::mem::take(&mut self.buffer);
        rest.drain(..self.start + passed);
        (self.start, self.scanned, self.skipping) = (0, 0, false);
        rest
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
