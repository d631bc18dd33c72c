//! One direction of a stream each.

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::RangeBounds;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_io::{AsyncBufRead, AsyncRead, AsyncWrite};

use super::io::{Door, Port, on_loop};
use super::operations::{self, Read, WriteAll};
use super::stream::Stream;
use super::turns::NO_TICKET;

/// The reading half of a [`Stream`]. Dropping it stops the reading; the connection stays for the writing half.
///
/// ```
/// use marline_tasks::{Listener, Stream};
///
/// # marline_tasks::run(async {
/// let listener = Listener::bind("tcp://127.0.0.1:0")?;
/// let client = Stream::connect(listener.local_address()?).await?;
/// let (reading, _writing) = listener.accept().await?.into_split();
/// client.write_all(b"hello").await?;
/// let mut buffer = [0; 16];
/// assert_eq!(reading.read(&mut buffer).await?, 5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub struct ReadHalf {
    pub(super) port: Port,
    /// It went back into a stream, and its drop ends nothing.
    is_reunited: bool,
}

/// The writing half of a [`Stream`]. Dropping it ends our direction, after what was written.
///
/// ```
/// use marline_tasks::{Listener, Stream};
///
/// # marline_tasks::run(async {
/// let listener = Listener::bind("tcp://127.0.0.1:0")?;
/// let client = Stream::connect(listener.local_address()?).await?;
/// let (_reading, writing) = listener.accept().await?.into_split();
/// writing.write_all(b"good").await?;
/// writing.write_all(b"bye").await?;
/// writing.close().await?;
/// let mut buffer = [0; 16];
/// assert_eq!(client.read(&mut buffer).await?, 7);
/// assert_eq!(client.read(&mut buffer).await?, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub struct WriteHalf {
    pub(super) door: Door,
    /// It went back into a stream, and its drop ends nothing.
    is_reunited: bool,
}

pub(super) fn split(mut stream: Stream) -> (ReadHalf, WriteHalf) {
    let write = WriteHalf { door: stream.port.door.duplicate(), is_reunited: false };
    stream.is_split = true;
    let empty = Port::new(stream.port.door.duplicate());
    let port = std::mem::replace(&mut stream.port, empty);
    (ReadHalf { port, is_reunited: false }, write)
}

impl ReadHalf {
    /// As [`Stream::read`].
    ///
    /// # Errors
    ///
    /// Those of [`Stream::read`].
    #[track_caller]
    pub fn read<'a>(&'a self, buffer: &'a mut [u8]) -> Read<'a> {
        Read::new(&self.port, buffer)
    }

    /// Makes one stream of both halves again. Nothing is lost, neither bytes that were read ahead nor unsent ones.
    ///
    /// # Errors
    ///
    /// Gives both back if they are not of the same stream.
    ///
    /// ```
    /// use marline_tasks::{Listener, Stream};
    ///
    /// # marline_tasks::run(async {
    /// let listener = Listener::bind("tcp://127.0.0.1:0")?;
    /// let stream = Stream::connect(listener.local_address()?).await?;
    /// let (reading, writing) = stream.into_split();
    /// let stream = reading.reunite(writing)?;
    /// stream.write_all(b"whole again").await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn reunite(mut self, mut writing: WriteHalf) -> Result<Stream, ReuniteError> {
        let (door, other) = (&self.port.door, &writing.door);
        if door.key() != other.key() || door.remote.loop_id() != other.remote.loop_id() {
            return Err(ReuniteError { reading: self, writing });
        }
        let empty = Port::new(door.duplicate());
        writing.is_reunited = true;
        self.is_reunited = true;
        Ok(Stream { port: std::mem::replace(&mut self.port, empty), is_split: false })
    }
}

impl WriteHalf {
    /// As [`Stream::write_all`].
    ///
    /// # Errors
    ///
    /// Those of [`Stream::write_all`].
    #[track_caller]
    pub fn write_all<'a>(&'a self, data: &'a [u8]) -> WriteAll<'a> {
        WriteAll::new(&self.door, data)
    }

    /// As [`Stream::send_file`].
    ///
    /// # Errors
    ///
    /// Those of [`Stream::send_file`].
    #[track_caller]
    pub fn send_file<R: RangeBounds<u64>>(
        &self,
        file: impl Into<Arc<File>>,
        range: R,
    ) -> impl Future<Output = io::Result<()>> + Send + Sync {
        operations::send_file(&self.door, file.into(), range)
    }

    /// As [`Stream::flush`].
    ///
    /// # Errors
    ///
    /// Those of [`Stream::flush`].
    #[track_caller]
    pub fn flush(&self) -> impl Future<Output = io::Result<()>> + Send + Sync {
        operations::flush(&self.door)
    }

    /// As [`Stream::close`].
    ///
    /// # Errors
    ///
    /// Those of [`Stream::close`].
    #[track_caller]
    pub fn close(&self) -> impl Future<Output = io::Result<()>> + Send + Sync {
        operations::close(&self.door)
    }
}

/// The halves of two streams do not make one. Gives them back.
#[derive(Debug, thiserror::Error)]
#[error("the halves belong to different streams")]
pub struct ReuniteError {
    reading: ReadHalf,
    writing: WriteHalf,
}

impl ReuniteError {
    /// Both halves.
    #[must_use]
    pub fn into_parts(self) -> (ReadHalf, WriteHalf) {
        (self.reading, self.writing)
    }
}

impl Drop for ReadHalf {
    fn drop(&mut self) {
        if !self.is_reunited {
            self.port.door.drop_sides::<true, false>();
        }
    }
}

impl Drop for WriteHalf {
    fn drop(&mut self) {
        if self.is_reunited {
            return;
        }
        on_loop(&self.door.remote, self.door.key(), |local, key| {
            let transport = local.streams.with(key, |state| {
                // A connection that another protocol is about to get is not ended. If that protocol is the stream's own, it
                // sees to the end.
                let transport = state.transport.clone().filter(|transport| !transport.is_handed_over());
                state.end_early = transport.is_none();
                transport
            });
            if let Some(transport) = transport.flatten() {
                transport.write_eof();
            }
            local.streams.drop_sides::<false, true>(key);
        });
    }
}

impl AsyncRead for ReadHalf {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.port.poll_read(NO_TICKET, context, into)
    }
}

impl AsyncBufRead for ReadHalf {
    fn poll_fill_buf(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        self.get_mut().port.poll_fill(context)
    }

    fn consume(self: Pin<&mut Self>, count: usize) {
        self.get_mut().port.consume(count);
    }
}

impl AsyncWrite for WriteHalf {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.door.poll_write(NO_TICKET, context, data)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.door.poll_flush(NO_TICKET, context)
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.door.poll_close(NO_TICKET, context)
    }
}

impl fmt::Debug for ReadHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReadHalf({:?})", self.port.door.key())
    }
}

impl fmt::Debug for WriteHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WriteHalf({:?})", self.door.key())
    }
}
