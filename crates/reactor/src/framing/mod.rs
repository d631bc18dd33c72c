//! From bytes to messages: parsers that are plain structs.
//!
//! A stream cuts its bytes wherever it likes, so a protocol of messages has to find them again. The parsers here
//! need no loop and no connection: bytes go in, frames come out, and they serve callbacks, async code and tests
//! alike. [`Feed`] is their shape, and a program's own parser that has it is as good as these.
//!
//! * Lines: [`LineParser`]; [`Lines`](fn@Lines) makes a protocol of a [`LineProtocol`].
//! * Frames behind their length, as an integer of 8, 16 or 32 bits: [`PrefixParser`]. Netstrings: [`NetstringParser`].
//!   [`Frames`](fn@Frames) makes a protocol of a [`FrameProtocol`], whatever parser that names.
//! * To send: [`Encode`].
//!
//! Every parser keeps these promises: any split of the input gives the same frames; a frame that lies within the
//! pushed bytes is handed out without a copy; the time is linear in the bytes, however small the pieces; and each
//! limit is checked before anything is buffered.

mod counted;
mod encode;
mod frame_protocol;
mod kept;
mod line_protocol;
mod lines;
mod netstrings;
mod prefixed;
#[cfg(test)]
mod splits;

use std::ops::ControlFlow;

pub use encode::Encode;
pub use frame_protocol::{FrameProtocol, Frames, Rest};
pub use line_protocol::{ByLine, LineProtocol, Lines};
pub use lines::{LineParser, LineTooLong, UnsendableLine};
pub use netstrings::{Netstring, NetstringError, NetstringParser};
pub use prefixed::{FrameTooLong, Prefix, PrefixParser};

/// A parser that bytes are fed to, and frames taken from.
///
/// Call [`next`](Self::next) with the bytes that arrived until it answers `None`; then it has kept what is left of
/// them, and wants the bytes that follow. To stop earlier, [`keep`](Self::keep) the rest, and later go on with
/// no new bytes. [`feed`](Self::feed) does both.
///
/// ```
/// use marline_reactor::framing::{Feed, LineParser};
///
/// let mut parser = LineParser::new();
/// let mut input: &[u8] = b"one\r\ntwo\nthr";
/// assert_eq!(parser.next(&mut input)?, Some(&b"one"[..]));
/// assert_eq!(parser.next(&mut input)?, Some(&b"two"[..]));
/// assert_eq!(parser.next(&mut input)?, None);
/// assert_eq!(parser.next(&mut &b"ee\n"[..])?, Some(&b"three"[..]));
/// # Ok::<(), marline_reactor::framing::LineTooLong>(())
/// ```
pub trait Feed {
    /// What comes out: borrowed from the input where possible, otherwise from the parser.
    type Frame<'a>
    where
        Self: 'a;

    /// Why the input is not acceptable.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Takes the next frame off what was kept and the front of `input`. `None` says that no frame is complete; then
    /// all of `input` was kept.
    ///
    /// # Errors
    ///
    /// The parser's. What was wrong has been taken off, and `input` is what follows, so that a protocol which can
    /// forgive the error may go on. A parser that cannot is [broken](Self::is_broken): it takes all of `input` off, now
    /// and later, and answers `None` from then on.
    fn next<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8]) -> Result<Option<Self::Frame<'a>>, Self::Error>;

    /// Keeps bytes for a later `next`, without looking at them. No limit is checked: it is meant for what was left
    /// of one push.
    fn keep(&mut self, input: &[u8]);

    /// Takes out the bytes that were kept and belong to no frame yet. The parser is then as new.
    fn take_rest(&mut self) -> Vec<u8>;

    /// Whether an error left no way to tell where the next frame begins. Most parsers always find one, and by default none
    /// is ever broken.
    fn is_broken(&self) -> bool {
        false
    }

    /// Hands each frame to `each`, until there is none or `each` breaks; then the rest is kept, and feeding no
    /// bytes goes on. The answer tells which of the two it was.
    ///
    /// ```
    /// use marline_reactor::framing::{Feed, LineParser};
    /// use std::ops::ControlFlow::{Break, Continue};
    ///
    /// let mut parser = LineParser::new();
    /// let stopped = parser.feed(b"upgrade\nraw bytes", |line| {
    ///     if line == b"upgrade" { Break(()) } else { Continue(()) }
    /// });
    /// assert_eq!(stopped, Ok(Break(())));
    /// assert_eq!(parser.take_rest(), b"raw bytes");
    /// ```
    ///
    /// # Errors
    ///
    /// The parser's. The rest is kept.
    fn feed<F>(&mut self, input: &[u8], mut each: F) -> Result<ControlFlow<()>, Self::Error>
    where
        F: FnMut(Self::Frame<'_>) -> ControlFlow<()>,
    {
        let mut input = input;
        loop {
            let handled = self.next(&mut input).map(|frame| frame.map(&mut each));
            let flow = match handled {
                Ok(Some(ControlFlow::Continue(()))) => continue,
                Ok(Some(ControlFlow::Break(()))) => Ok(ControlFlow::Break(())),
                Ok(None) => Ok(ControlFlow::Continue(())),
                Err(error) => Err(error),
            };
            self.keep(input);
            return flow;
        }
    }
}
