//! A connection, as a program holds it.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncBufRead, AsyncRead, AsyncWrite};
use marline_reactor::{Address, IntoEndpoint, Remote, Transport};

use super::connect::Connect;
use super::halves::{ReadHalf, WriteHalf};
use super::io::{Door, Port};
use super::turns::{NO_TICKET, Ticket};
use crate::table::TableKey;

/// A connection, to be read and written by async code.
///
/// It is plain data, `Send` and `Sync`; the connection itself lives in its loop. On another thread every operation
/// answers with [`WrongThread`](crate::WrongThread); dropped there, it ends on its own loop.
///
/// Reading obeys back-pressure: the connection is read only while the program waits for bytes, and then one piece of the
/// backend's, which is 64 KiB at most on those that come with Marline.
/// Writing waits while more than the [high watermark](Transport::set_watermarks) waits to be sent. What is written leaves
/// at the end of the loop's turn, together with what else was written until then; [`flush`](Self::flush) is needed
/// only to wait for it.
///
/// Its own methods ([`read`](Self::read), [`write_all`](Self::write_all)) take `&self`, and let one reader and one writer
/// at a time: a second gets `ResourceBusy` at once, and the first is not disturbed. The `AsyncRead` and
/// `AsyncWrite` traits are there for `Stream` and for `&Stream`, so that a stream can be copied onto itself. Polls through
/// the traits cannot be told apart: several that wait are all woken, and the first to come gets what is there.
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
}

impl Stream {
    pub(super) fn new(remote: Remote, key: TableKey) -> Self {
        Self { port: Port::new(Door { remote, key }) }
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
    pub fn read<'a>(&'a self, buffer: &'a mut [u8]) -> Read<'a> {
        Read { port: &self.port, buffer, ticket: NO_TICKET }
    }

    /// Writes all of `data`, waiting for room as often as is needed.
    ///
    /// # Errors
    ///
    /// How the connection ended; `BrokenPipe` after our direction was ended; `ResourceBusy` if another write is under
    /// way.
    pub fn write_all<'a>(&'a self, data: &'a [u8]) -> WriteAll<'a> {
        WriteAll { door: &self.port.door, data, written: 0, ticket: NO_TICKET }
    }

    /// Waits until everything that was written is handed to the system.
    ///
    /// # Errors
    ///
    /// How the connection ended; `ResourceBusy` if a write is under way.
    pub async fn flush(&self) -> io::Result<()> {
        let turn = Writing::begin(&self.port.door)?;
        poll_fn(|context| turn.door.poll_flush(turn.ticket, context)).await
    }

    /// Ends our direction, after what was written. Reading can go on.
    ///
    /// # Errors
    ///
    /// How the connection ended, unless in good order; `ResourceBusy` if a write is under way.
    pub async fn close(&self) -> io::Result<()> {
        let turn = Writing::begin(&self.port.door)?;
        poll_fn(|context| turn.door.poll_close(turn.ticket, context)).await
    }

    /// Splits it into a reading and a writing half, which different tasks may hold. Dropping the writing half ends our
    /// direction; dropping both closes the connection.
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
        self.port.door.address(Transport::peer_address)
    }

    /// Our end.
    ///
    /// # Errors
    ///
    /// `NotConnected` after the end of the connection, and on the wrong thread.
    #[track_caller]
    pub fn local_address(&self) -> io::Result<Address> {
        self.port.door.address(Transport::local_address)
    }

    /// The callback side of the same connection: to set watermarks, to abort, to write from callbacks. Its reading belongs
    /// to the stream.
    ///
    /// # Errors
    ///
    /// On the wrong thread.
    #[track_caller]
    pub fn transport(&self) -> io::Result<Transport> {
        self.port.door.transport()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.port.door.drop_handle();
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stream({:?})", self.port.door.key)
    }
}

/// The future of [`Stream::read`].
#[must_use = "futures do nothing unless awaited"]
pub struct Read<'a> {
    port: &'a Port,
    buffer: &'a mut [u8],
    ticket: Ticket,
}

impl Future for Read<'_> {
    type Output = io::Result<usize>;

    #[track_caller]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if this.ticket == NO_TICKET {
            this.ticket = this.port.door.ticket()?;
        }
        this.port.poll_read(this.ticket, context, this.buffer)
    }
}

impl Drop for Read<'_> {
    fn drop(&mut self) {
        if self.ticket != NO_TICKET {
            self.port.door.leave(self.ticket, |state| &mut state.reader);
        }
    }
}

/// The future of [`Stream::write_all`].
#[must_use = "futures do nothing unless awaited"]
pub struct WriteAll<'a> {
    door: &'a Door,
    data: &'a [u8],
    written: usize,
    ticket: Ticket,
}

impl Future for WriteAll<'_> {
    type Output = io::Result<()>;

    #[track_caller]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if this.ticket == NO_TICKET {
            this.ticket = this.door.ticket()?;
        }
        while this.written < this.data.len() {
            this.written += ready!(this.door.poll_write(this.ticket, context, &this.data[this.written..]))?;
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for WriteAll<'_> {
    fn drop(&mut self) {
        if self.ticket != NO_TICKET {
            self.door.leave(self.ticket, |state| &mut state.writer);
        }
    }
}

/// A flush or a close that is under way: as a write, it is the only one.
struct Writing<'a> {
    door: &'a Door,
    ticket: Ticket,
}

impl<'a> Writing<'a> {
    fn begin(door: &'a Door) -> io::Result<Self> {
        Ok(Self { door, ticket: door.ticket()? })
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.door.leave(self.ticket, |state| &mut state.writer);
    }
}

// The traits, for `Stream` and for `&Stream`. The latter do the work.

impl AsyncRead for &Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.port.poll_read(NO_TICKET, context, into)
    }
}

impl AsyncWrite for &Stream {
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
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_read(context, into)
    }
}

impl AsyncWrite for Stream {
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
