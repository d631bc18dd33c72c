//! A connection, as a program holds it.

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::RangeBounds;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_io::{AsyncBufRead, AsyncRead, AsyncWrite};
use marline_reactor::{Address, IntoEndpoint, Remote, Transport};

use super::connect::Connect;
use super::halves::{ReadHalf, WriteHalf};
use super::io::{Door, Port};
use super::operations::{self, Read, WriteAll};
use super::state::StreamCell;
use super::turns::NO_TICKET;

/// A connection, to be read and written by async code.
///
/// It is `Send` and `Sync`, as it lets only its loop's thread at what belongs to that; the connection itself lives in its loop. On
/// another thread every operation answers with [`WrongThread`](crate::WrongThread); dropped there, it ends on its own loop.
///
/// Reading obeys back-pressure: what the program does not read stays with the system, but for one piece of the backend's, which
/// is 256 KiB at most on those that come with Marline. A read with room for a KiB or more is a receive into its buffer; smaller
/// ones are served from such a piece.
/// Writing waits while more than the [high watermark](Transport::set_watermarks) waits to be sent. What is written leaves
/// at the end of the loop's turn at the latest, together with what else was written until then: that of a task which input woke may leave
/// when this poll of it ends. [`flush`](Self::flush) is needed only to wait for it.
///
/// Its own methods ([`read`](Self::read), [`write_all`](Self::write_all)) take `&self`, and let one reader and one writer
/// at a time: a second gets `ResourceBusy` at once, and the first is not disturbed. The `AsyncRead` and
/// `AsyncWrite` traits are there for `Stream` and for `&Stream`, so that a stream can be copied onto itself. Polls through
/// the traits cannot be told apart: several that wait are all woken, and the first to come gets what is there.
///
/// A callback protocol's connection becomes a stream with [`from_transport`](Self::from_transport), and a stream becomes
/// one of those again with [`into_protocol`](Self::into_protocol).
///
/// Dropping it closes the connection after what was written is sent.
///
/// # Cancellation
///
/// A read that is dropped loses nothing. A write that is dropped has written a part.
///
/// ```
/// use marline_tasks::{Listener, Stream, spawn};
///
/// # marline_tasks::run(async {
/// let listener = Listener::bind("tcp://127.0.0.1:0")?;
/// let client = Stream::connect(listener.local_address()?).await?;
/// let server = listener.accept().await?;
/// client.write_all(b"hello").await?;
/// let mut buffer = [0; 16];
/// let count = server.read(&mut buffer).await?;
/// assert_eq!(&buffer[..count], b"hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub struct Stream {
    pub(super) port: Port,
    /// It is taken apart, and its drop ends nothing.
    pub(super) is_split: bool,
}

impl Stream {
    pub(super) fn new(remote: Remote, cell: Arc<StreamCell>) -> Self {
        Self { port: Port::new(Door { remote, cell }), is_split: false }
    }

    /// Connects to an endpoint.
    ///
    /// # Errors
    ///
    /// [`ConnectError`](marline_reactor::ConnectError), when awaited.
    ///
    /// # Cancellation
    ///
    /// Dropping the future gives the attempt up.
    pub fn connect(endpoint: impl IntoEndpoint) -> Connect {
        Connect::new(endpoint.into_endpoint())
    }

    /// Reads what is there, at least one byte; 0 at the end. An empty buffer reads 0 at once.
    ///
    /// # Errors
    ///
    /// How the connection ended, unless in good order; `ResourceBusy` if another read is under way.
    #[track_caller]
    pub fn read<'a>(&'a self, buffer: &'a mut [u8]) -> Read<'a> {
        Read::new(&self.port, buffer)
    }

    /// Writes all of `data`, waiting for room as often as is needed.
    ///
    /// # Errors
    ///
    /// How the connection ended; `BrokenPipe` after our direction was ended; `ResourceBusy` if another write is under
    /// way.
    #[track_caller]
    pub fn write_all<'a>(&'a self, data: &'a [u8]) -> WriteAll<'a> {
        WriteAll::new(&self.port.door, data)
    }

    /// Sends a part of a file after what was written, without a copy where the system can, as
    /// [`Transport::send_file`] does. Resolves when the system has taken all of it.
    ///
    /// # Errors
    ///
    /// [`SendFileError`](marline_reactor::SendFileError) if the file cannot be sent: then nothing was. How the connection
    /// ended, for example with [`FileTruncated`](marline_reactor::FileTruncated); `BrokenPipe` after our direction was ended;
    /// `ResourceBusy` if a write is under way.
    ///
    /// # Cancellation
    ///
    /// Dropped while more than the high watermark waits to be sent, nothing of the file is. After that all of it is, whether
    /// or not anybody waits.
    ///
    /// ```
    /// use std::fs::File;
    ///
    /// use marline_tasks::{Listener, Stream};
    ///
    /// # marline_tasks::run(async {
    /// let listener = Listener::bind("tcp://127.0.0.1:0")?;
    /// let client = Stream::connect(listener.local_address()?).await?;
    /// let server = listener.accept().await?;
    /// server.send_file(File::open("Cargo.toml")?, 1..8).await?;
    /// let mut buffer = [0; 16];
    /// let count = client.read(&mut buffer).await?;
    /// assert_eq!(&buffer[..count], b"package");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    #[track_caller]
    pub fn send_file<R: RangeBounds<u64>>(
        &self,
        file: impl Into<Arc<File>>,
        range: R,
    ) -> impl Future<Output = io::Result<()>> + Send + Sync {
        operations::send_file(&self.port.door, file.into(), range)
    }

    /// Waits until everything that was written is handed to the system.
    ///
    /// # Errors
    ///
    /// How the connection ended; `ResourceBusy` if a write is under way.
    #[track_caller]
    pub fn flush(&self) -> impl Future<Output = io::Result<()>> + Send + Sync {
        operations::flush(&self.port.door)
    }

    /// Ends our direction, after what was written. Reading can go on.
    ///
    /// # Errors
    ///
    /// How the connection ended, unless in good order; `ResourceBusy` if a write is under way.
    #[track_caller]
    pub fn close(&self) -> impl Future<Output = io::Result<()>> + Send + Sync {
        operations::close(&self.port.door)
    }

    /// Splits it into a reading and a writing half, which different tasks may hold. Dropping the writing half ends our
    /// direction; dropping both closes the connection. [`ReadHalf::reunite`] makes one stream of them again.
    #[must_use]
    pub fn into_split(self) -> (ReadHalf, WriteHalf) {
        super::halves::split(self)
    }

    /// The other end.
    ///
    /// # Errors
    ///
    /// `NotConnected` after the end of the connection, and on the wrong thread.
    #[track_caller]
    pub fn peer_address(&self) -> io::Result<Address> {
        self.port.door.address(Transport::peer_address, |addresses| addresses.peer)
    }

    /// Our end.
    ///
    /// # Errors
    ///
    /// `NotConnected` after the end of the connection, and on the wrong thread.
    #[track_caller]
    pub fn local_address(&self) -> io::Result<Address> {
        self.port.door.address(Transport::local_address, |addresses| addresses.local)
    }

    /// The callback side of the same connection: to set watermarks, to abort, to write from callbacks. Its reading belongs
    /// to the stream, and [`into_protocol`](Self::into_protocol) is the way to give it away: a `set_protocol` on the
    /// transport takes the connection away from the stream, which then answers with [`HandedOver`](crate::HandedOver),
    /// and misses the bytes that are lent out through `AsyncBufRead`.
    ///
    /// # Errors
    ///
    /// On the wrong thread; `NotConnected` after another protocol took over.
    #[track_caller]
    pub fn transport(&self) -> io::Result<Transport> {
        self.port.door.transport()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if !self.is_split {
            self.port.door.drop_sides::<true, true>();
        }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stream({:?})", self.port.door.key())
    }
}

// The traits, for `Stream` and for `&Stream`. The latter do the work.

impl AsyncRead for &Stream {
    #[inline]
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.port.poll_read(NO_TICKET, context, into)
    }
}

impl AsyncWrite for &Stream {
    #[inline(always)]
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.port.door.poll_write(NO_TICKET, context, data)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.port.door.poll_flush(NO_TICKET, context)
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.port.door.poll_close(NO_TICKET, context)
    }
}

impl AsyncRead for Stream {
    #[inline]
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_read(context, into)
    }
}

impl AsyncWrite for Stream {
    #[inline]
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_write(context, data)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &*self).poll_flush(context)
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &*self).poll_close(context)
    }
}

impl AsyncBufRead for Stream {
    fn poll_fill_buf(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        self.get_mut().port.poll_fill(context)
    }

    fn consume(self: Pin<&mut Self>, count: usize) {
        self.get_mut().port.consume(count);
    }
}
