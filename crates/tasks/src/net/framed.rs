//! Frames from a stream, and frames onto it.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};
use marline_reactor::framing::{Encode, Feed};
use polonius_the_crab::{polonius, polonius_return};

use super::scratch::Scratch;

/// Memory for outgoing frames that is kept from one to the next.
const SPARE: usize = 4 * 1024;

/// A stream of bytes with a parser on it: frames to read, and frames to send.
///
/// It reads from whatever is [`AsyncRead`], and sends to whatever is [`AsyncWrite`]: a [`Stream`](crate::Stream), a
/// reference to one, or one of its halves. The parser is one of [`framing`](marline_reactor::framing), or a program's own;
/// to send, it has to be an [encoder](Encode) too.
///
/// Frames are lent, without a copy where they arrived in one piece, until the next call. What comes is taken only while
/// a frame is asked for, so a program that asks for none stops its peer. While none is under way, no buffer is held.
///
/// # Cancellation
///
/// A [`next`](Self::next) that is dropped loses nothing. Of a [`send`](Self::send) that is dropped, what is not yet written
/// goes out in front of the next frame, or with [`flush`](Self::flush): never is a part of a frame followed by another.
///
/// ```
/// use marline_reactor::framing::{LineParser, NetstringParser};
/// use marline_tasks::{Framed, Listener, Stream, spawn};
///
/// # marline_tasks::run(async {
/// let listener = Listener::bind("tcp://127.0.0.1:0")?;
/// let address = listener.local_address()?;
/// spawn(async move {
///     let stream = listener.accept().await?;
///     let mut strings = Framed::new(&stream, NetstringParser::new());
///     while let Some(string) = strings.try_next().await? {
///         let answer = string.to_ascii_uppercase();
///         strings.send(&answer).await?;
///     }
///     Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// });
///
/// let stream = Stream::connect(address).await?;
/// let mut strings = Framed::new(&stream, NetstringParser::new());
/// strings.send(b"hello").await?;
/// strings.send(b"goodbye").await?;
/// assert_eq!(strings.next().await.transpose()?, Some(&b"HELLO"[..]));
/// assert_eq!(strings.next().await.transpose()?, Some(&b"GOODBYE"[..]));
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// # }).unwrap();
/// ```
pub struct Framed<S, F> {
    stream: S,
    parser: F,
    /// A buffer, while some of what is in it was not parsed yet: that from `used` to `filled`.
    received: Scratch,
    used: usize,
    filled: usize,
    /// The stream ended.
    has_ended: bool,
    /// Frames, of which this many bytes are written.
    outgoing: Vec<u8>,
    written: usize,
}

/// Why there is no next frame.
#[derive(Debug, thiserror::Error)]
pub enum FramedError<E> {
    /// How the stream ended.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// What the parser says of the bytes. If it can go on, the next frame can be asked for.
    #[error(transparent)]
    Frame(E),
    /// The stream ended with these bytes behind the last frame.
    #[error("the stream ended with an unfinished frame of {} bytes", .0.len())]
    Unfinished(Vec<u8>),
}

/// Why a frame was not sent.
#[derive(Debug, thiserror::Error)]
pub enum FramedSendError<E> {
    /// How the stream ended.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The framing cannot express it. Nothing was sent, and other frames can be.
    #[error(transparent)]
    Frame(E),
}

impl<S, F> Framed<S, F> {
    /// Puts a parser on a stream. What it has kept comes before what is read.
    pub const fn new(stream: S, parser: F) -> Self {
        Self {
            stream,
            parser,
            received: Scratch::none(),
            used: 0,
            filled: 0,
            has_ended: false,
            outgoing: Vec::new(),
            written: 0,
        }
    }

    /// The stream below. Whoever reads from it takes bytes away from the frames.
    pub const fn get_ref(&self) -> &S {
        &self.stream
    }

    /// The parser.
    pub const fn parser_mut(&mut self) -> &mut F {
        &mut self.parser
    }
}

impl<S, F: Feed> Framed<S, F> {
    /// The stream, the parser, and the bytes that were read and belong to no frame yet: for whoever goes on with the
    /// stream in another way. What a dropped [`send`](Framed::send) left is lost, unless it was [flushed](Framed::flush).
    ///
    /// ```
    /// use marline_reactor::framing::LineParser;
    /// use marline_tasks::Framed;
    /// use futures::io::{AllowStdIo, Cursor};
    ///
    /// # futures::executor::block_on(async {
    /// let mut lines = Framed::new(Cursor::new("upgrade\nraw bytes"), LineParser::new());
    /// assert_eq!(lines.try_next().await?, Some(&b"upgrade"[..]));
    /// let (_stream, _parser, rest) = lines.into_parts();
    /// assert_eq!(rest, b"raw bytes");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn into_parts(mut self) -> (S, F, Vec<u8>) {
        let mut rest = self.parser.take_rest();
        rest.extend_from_slice(&self.received[self.used..self.filled]);
        (self.stream, self.parser, rest)
    }

    /// The next frame among the bytes that are here.
    fn take(&mut self) -> Result<Option<F::Frame<'_>>, F::Error> {
        let mut input = &self.received[self.used..self.filled];
        let taken = self.parser.next(&mut input);
        self.used = self.filled - input.len();
        taken
    }

    /// Whether no frame comes any more.
    fn is_over(&self) -> bool {
        self.has_ended || self.parser.is_broken()
    }

    /// After the end of the stream.
    fn finish(&mut self) -> Result<(), FramedError<F::Error>> {
        self.has_ended = true;
        let rest = self.parser.take_rest();
        if rest.is_empty() { Ok(()) } else { Err(FramedError::Unfinished(rest)) }
    }
}

impl<S: AsyncRead + Unpin, F: Feed + 'static> Framed<S, F> {
    /// The next frame; `None` at the end of the stream, and after an error that no frame can follow.
    ///
    /// # Errors
    ///
    /// How the stream ended, what the parser did not accept, and an end in the middle of a frame.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<F::Frame<'_>, FramedError<F::Error>>> {
        self.try_next().await.transpose()
    }

    /// As [`next`](Self::next), for `while let Some(frame) = framed.try_next().await?`.
    ///
    /// # Errors
    ///
    /// Those of [`next`](Self::next).
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses nothing.
    pub const fn try_next(&mut self) -> NextFrame<'_, S, F> {
        NextFrame { framed: Some(self) }
    }

    /// Reads more, when all that was read is parsed: whether there was more. The buffer is borrowed from the thread only
    /// while there are bytes in it.
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        (self.used, self.filled) = (0, 0);
        let mut buffer = std::mem::replace(&mut self.received, Scratch::none());
        if buffer.is_empty() {
            buffer = Scratch::take();
        }
        let read = Pin::new(&mut self.stream).poll_read(context, &mut buffer);
        match read {
            Poll::Ready(Ok(count)) if count > 0 => {
                (self.received, self.filled) = (buffer, count);
                Poll::Ready(Ok(true))
            }
            other => other.map_ok(|_| false),
        }
    }
}

/// The future of [`Framed::try_next`].
#[must_use = "futures do nothing unless awaited"]
pub struct NextFrame<'a, S, F> {
    framed: Option<&'a mut Framed<S, F>>,
}

impl<'a, S: AsyncRead + Unpin, F: Feed + 'static> Future for NextFrame<'a, S, F> {
    type Output = Result<Option<F::Frame<'a>>, FramedError<F::Error>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(mut framed) = self.framed.take().filter(|framed| !framed.is_over()) else {
            return Poll::Ready(Ok(None));
        };
        loop {
            // What `polonius!` is for: a frame is a loan of `framed` that is returned from here, and there is one only
            // sometimes. The borrow checker of today would take it for lent in any case.
            polonius!(|framed| -> Poll<Result<Option<F::Frame<'polonius>>, FramedError<F::Error>>> {
                if let Some(taken) = framed.take().transpose() {
                    polonius_return!(Poll::Ready(taken.map(Some).map_err(FramedError::Frame)));
                }
            });
            match framed.poll_fill(context) {
                Poll::Ready(Ok(true)) => {}
                Poll::Ready(Ok(false)) => return Poll::Ready(framed.finish().map(|()| None)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                Poll::Pending => {
                    self.framed = Some(framed);
                    return Poll::Pending;
                }
            }
        }
    }
}

impl<S: AsyncWrite + Unpin, F: Encode> Framed<S, F> {
    /// Writes a frame. On a [`Stream`](crate::Stream) it leaves at the end of the loop's turn at the latest, together with what
    /// else was written until then; for a stream that holds bytes back, there is [`flush`](Self::flush).
    ///
    /// # Errors
    ///
    /// If the framing cannot express it, and how the stream ended.
    ///
    /// # Cancellation
    ///
    /// What is not yet written of the frame goes out in front of the next one.
    pub async fn send(&mut self, item: &F::Item) -> Result<(), FramedSendError<F::Error>> {
        self.parser.encode(item, &mut self.outgoing).map_err(FramedSendError::Frame)?;
        poll_fn(|context| self.poll_outgoing(context)).await?;
        Ok(())
    }

    /// Waits until every frame is handed to the system, as far as the stream can tell.
    ///
    /// # Errors
    ///
    /// How the stream ended.
    pub async fn flush(&mut self) -> io::Result<()> {
        poll_fn(|context| {
            ready!(self.poll_outgoing(context))?;
            Pin::new(&mut self.stream).poll_flush(context)
        })
        .await
    }

    /// Ends our direction, after the last frame. Reading can go on.
    ///
    /// # Errors
    ///
    /// How the stream ended, unless in good order.
    pub async fn close(&mut self) -> io::Result<()> {
        poll_fn(|context| {
            ready!(self.poll_outgoing(context))?;
            Pin::new(&mut self.stream).poll_close(context)
        })
        .await
    }

    fn poll_outgoing(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.outgoing.len() {
            let rest = &self.outgoing[self.written..];
            let count = ready!(Pin::new(&mut self.stream).poll_write(context, rest))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += count;
        }
        self.outgoing.clear();
        self.outgoing.shrink_to(SPARE);
        self.written = 0;
        Poll::Ready(Ok(()))
    }
}

impl<S: fmt::Debug, F: fmt::Debug> fmt::Debug for Framed<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Framed")
            .field("stream", &self.stream)
            .field("parser", &self.parser)
            .finish_non_exhaustive()
    }
}
