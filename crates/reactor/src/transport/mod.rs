//! The handle of a connection.

mod reading;

use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::{self, IoSlice};
use std::ops::RangeBounds;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::address::Address;
use crate::connection::{Connection, Traffic};
use crate::credentials::Credentials;
use crate::error::{ReplaceError, SendDescriptorError, SendFileError, WatermarkError};
use crate::key::Key;
use crate::lost::Reason;
use crate::protocol::Protocol;
use crate::reactor::{Handle, Shell};
use crate::sendable::sendable;
pub use reading::Taken;

/// A connection, as its protocol and everybody else sees it: a small handle, `Clone` and not `Send`.
///
/// The loop owns the connection. A handle that outlives it is inert: it answers [`WriteStatus::Closed`], and never reaches
/// the connection that uses the slot next. No method blocks, and none calls back before it returns.
///
/// * Writing: [`write`](Self::write), [`try_write`](Self::try_write), [`try_send`](Self::try_send), [`write_owned`](Self::write_owned), [`write_vectored`](Self::write_vectored),
///   [`send_file`](Self::send_file), [`flush`](Self::flush), [`buffered`](Self::buffered), [`room`](Self::room), [`set_watermarks`](Self::set_watermarks),
///   [`notify_drained`](Self::notify_drained).
/// * Reading: [`pause_reading`](Self::pause_reading), [`resume_reading`](Self::resume_reading),
///   [`try_receive`](Self::try_receive), [`unread`](Self::unread), [`watch_peer`](Self::watch_peer).
/// * The end: [`write_eof`](Self::write_eof), [`close`](Self::close), [`abort`](Self::abort), [`fail`](Self::fail).
/// * Terminals: [`window_size`](Self::window_size), [`set_window_size`](Self::set_window_size).
/// * For layers around a protocol, such as [policies](crate::policy): [`traffic`](Self::traffic),
///   [`suspend_reading`](Self::suspend_reading), [`time_out`](Self::time_out), [`attach`](Self::attach).
/// * Handing over: [`set_protocol`](Self::set_protocol),
///   [`is_handed_over`](Self::is_handed_over).
#[derive(Clone)]
pub struct Transport {
    shell: Rc<Shell>,
    key: Key,
}

/// What became of a write. It may be ignored: what is lost is told by
/// [`connection_lost`](Protocol::connection_lost) anyway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteStatus {
    /// All of it was accepted.
    Ok,
    /// All of it was accepted, and more than the high watermark now waits.
    ///
    /// That is no [`pause_writing`](Protocol::pause_writing) yet: if it leaves at the next chance, neither that nor
    /// [`resume_writing`](Protocol::resume_writing) comes. Who stops at this answer, and not at the pause, asks for
    /// [`drained`](Transport::notify_drained) to go on.
    OverHigh,
    /// None of it: the connection is closing, closed, or its direction was ended by `write_eof`.
    Closed,
}

impl WriteStatus {
    /// Whether it was accepted.
    #[must_use]
    pub fn is_accepted(self) -> bool {
        self != Self::Closed
    }
}

impl Transport {
    /// For flow control a descriptor that waits to be sent is as much as so many bytes.
    pub const DESCRIPTOR_WEIGHT: usize = 1024;

    pub(crate) fn new(shell: Rc<Shell>, key: Key) -> Self {
        Self { shell, key }
    }

    /// Makes it the handle of another connection.
    #[inline]
    pub(crate) fn point_to(&mut self, key: Key) {
        self.key = key;
    }

    /// Sends a copy of `data` after everything written before: all of it or nothing. It leaves when the running callback
    /// of this connection returns, or the [call](crate::Handle::call_next) that takes its input, or at the end of the turn, together
    /// with what else was written until then; what is large may leave at once, as far as there is room.
    pub fn write(&self, data: impl AsRef<[u8]>) -> WriteStatus {
        self.shell.write_copy(self.key, data.as_ref())
    }

    /// As [`write`](Self::write), unless more than the high watermark waits to be sent already: then nothing is written, and the
    /// answer is `None`.
    #[inline]
    pub fn try_write(&self, data: &[u8]) -> Option<WriteStatus> {
        self.shell.write_within(self.key, data)
    }

    /// Sends from the front of `data` what the system takes at once, and keeps nothing of it: how many bytes. None if something waits to
    /// be sent before it, and where nothing is sent so: behind filters, after the end, on backends that have sends under way. It is
    /// one system call at most, never blocks, and calls nobody; a failure is told by the next [`write`](Self::write).
    ///
    /// ```
    /// use marline_reactor::Transport;
    ///
    /// /// Has no more than the high watermark wait, however much there is to write: what is left is for another time.
    /// fn write_some(transport: &Transport, data: &[u8]) -> usize {
    ///     let sent = transport.try_send(data);
    ///     let room = transport.room().unwrap_or(0);
    ///     let more = &data[sent..][..room.min(data.len() - sent)];
    ///     if transport.write(more).is_accepted() { sent + more.len() } else { sent }
    /// }
    /// ```
    pub fn try_send(&self, data: &[u8]) -> usize {
        self.shell.send_some(self.key, data)
    }

    /// As [`write`](Self::write), without a copy.
    pub fn write_owned(&self, data: impl Into<Bytes>) -> WriteStatus {
        let mut data = Some(data.into());
        self.shell.write(self.key, |outgoing| {
            // Empty bytes stay here: the queue would drop them while the loop is borrowed, and their owner may use the loop.
            if let Some(data) = data.take_if(|data| !data.is_empty()) {
                outgoing.push_owned(data);
            }
        })
    }

    /// As [`write`](Self::write), for several pieces in a row, however many.
    pub fn write_vectored(&self, parts: &[IoSlice<'_>]) -> WriteStatus {
        self.shell.write(self.key, |outgoing| parts.iter().for_each(|part| outgoing.push_copy(part)))
    }

    /// Sends a descriptor over a connection that [carries](crate::Endpoint::descriptors) them, between what was written before and
    /// what is written next: all of these are kept in order.
    ///
    /// It travels with the next byte, as the system passes none without: it waits for one, and the peer has it no later than
    /// that byte. At most 253 wait for the same one. If none follows before `write_eof`, `close` or the end of the connection,
    /// it is closed then. Everything else waits for it no more than for a byte that was not written: not
    /// [`drained`](Protocol::drained), and not flow control. Once a byte follows, it weighs as much as
    /// [`DESCRIPTOR_WEIGHT`](Self::DESCRIPTOR_WEIGHT) bytes in [`buffered`](Self::buffered), and so for the watermarks and
    /// the write limit. Ours is closed when it was handed to the system.
    ///
    /// # Errors
    ///
    /// If the connection carries none, takes no more, or 253 wait for the next byte. Hands the descriptor back.
    ///
    /// ```
    /// use marline_reactor::backend::Opening;
    /// use marline_reactor::{Protocol, Reactor, Transport};
    /// use std::fs::File;
    /// use std::io::Read;
    /// use std::os::fd::OwnedFd;
    /// use std::os::unix::net::UnixStream;
    ///
    /// /// Reads the file that it is given.
    /// struct Reader(Option<File>);
    ///
    /// impl Protocol for Reader {
    ///     fn descriptor_received(&mut self, _: &Transport, descriptor: OwnedFd) {
    ///         self.0 = Some(descriptor.into());
    ///     }
    ///
    ///     fn data_received(&mut self, transport: &Transport, _: &[u8]) {
    ///         let mut text = String::new();
    ///         self.0.take().map(|mut file| file.read_to_string(&mut text));
    ///         assert!(text.contains("[package]"));
    ///         transport.close();
    ///     }
    /// }
    ///
    /// let reactor = Reactor::new()?;
    /// let (left, right) = UnixStream::pair()?;
    /// reactor.handle().adopt_stream(Opening::with_descriptors(left), Reader(None))?;
    /// let silent = |_: &Transport, _: &[u8]| ();
    /// let transport = reactor.handle().adopt_stream(Opening::with_descriptors(right), silent)?;
    /// transport.send_descriptor(File::open("Cargo.toml")?)?;
    /// transport.write(b"!");
    /// reactor.run()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_descriptor(
        &self,
        descriptor: impl Into<OwnedFd>,
    ) -> Result<WriteStatus, SendDescriptorError> {
        self.shell.send_descriptor(self.key, descriptor.into())
    }

    /// Sends a part of a file, after everything written before and before everything written later, as one
    /// [`write`](Self::write) of its bytes would: all of it or nothing, with the same watermarks, and with
    /// [`connection_lost`](Protocol::connection_lost) to tell if it did not come to its end. Its bytes are
    /// [buffered](Self::buffered) ones until they are sent, and [unsent](crate::Lost::unsent) ones if they are not; but they
    /// take no memory, so a file counts as no more than 64 KiB against the [write limit](Self::set_write_limit).
    ///
    /// Where the backend can, the system passes the bytes on without a copy (sendfile(2), splice(2)); elsewhere, and for
    /// files for which the system cannot, they are read when it is their turn, up to 64 KiB at a time. Either way the loop
    /// waits for the disk meanwhile, if the file is not in memory, and a turn sends about 256 KiB of it.
    ///
    /// The position of the file is neither used nor moved, so one open file (an `Arc<File>`) can be sent on any number of
    /// connections at a time. It is closed when the last of them is done with it.
    ///
    /// A range with an end is a promise. If the file becomes shorter meanwhile the connection fails with
    /// [`FileTruncated`](crate::FileTruncated), since the peer waits for bytes that are nowhere. A range without one goes to
    /// the end that the file has now, or, if it becomes shorter, has then. Whoever changes the bytes meanwhile changes what the
    /// peer gets, even after they were handed to the system.
    ///
    /// # Errors
    ///
    /// If it is not a regular file, is not open for reading, or does not have the bytes of the range. Files whose size the
    /// system does not tell, as those of `/proc`, have none. Then nothing is sent, and the error has the file.
    ///
    /// ```
    /// use std::fs::File;
    ///
    /// use marline_reactor::testing::Recorder;
    ///
    /// let (recorder, file) = (Recorder::new(), File::open("Cargo.toml")?);
    /// let length = file.metadata()?.len();
    /// recorder.transport().write(format!("{length}\n"));
    /// recorder.transport().send_file(file, 0..length)?;
    /// recorder.transport().close();
    /// assert!(recorder.written().ends_with(&std::fs::read("Cargo.toml")?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_file(
        &self,
        file: impl Into<Arc<File>>,
        range: impl RangeBounds<u64>,
    ) -> Result<WriteStatus, SendFileError> {
        let mut range = Some(sendable(file.into(), &range, self.buffered())?);
        Ok(self.shell.write(self.key, |outgoing| {
            range.take().into_iter().for_each(|range| outgoing.push_file(range));
        }))
    }

    /// Sends what was written now, instead of at the end of the turn. What has to go through [filters](crate::filter) still
    /// goes at the end of the turn: their code runs from the loop only.
    pub fn flush(&self) {
        self.shell.flush_now(self.key);
    }

    /// How many bytes wait to be sent, those lent to the system included. A [descriptor](Self::send_descriptor) that a
    /// byte follows counts as [many](Self::DESCRIPTOR_WEIGHT). What [filters](crate::filter) say at the end of our direction,
    /// such as the close_notify of TLS, counts as at least one byte.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.shell.inspect(self.key, Connection::waiting).unwrap_or(0)
    }

    /// How many descriptors wait to be sent, and a byte follows them.
    #[must_use]
    pub fn buffered_descriptors(&self) -> usize {
        self.shell.inspect(self.key, |connection| connection.buffered_descriptors()).unwrap_or(0)
    }

    /// Sets when [`pause_writing`](Protocol::pause_writing) (more than `high` bytes wait) and
    /// [`resume_writing`](Protocol::resume_writing) (no more than `low`) are called. 16 KiB and 64 KiB by default.
    ///
    /// # Errors
    ///
    /// If `low` is greater than `high`; then nothing changes.
    pub fn set_watermarks(&self, low: usize, high: usize) -> Result<(), WatermarkError> {
        self.shell.set_watermarks(self.key, low, high)
    }

    /// The low and the high watermark.
    #[must_use]
    pub fn watermarks(&self) -> (usize, usize) {
        self.shell.inspect(self.key, |connection| (connection.low, connection.high)).unwrap_or((0, 0))
    }

    /// How many more bytes can be written until the high watermark is reached. `None` if more than that waits already, and after the
    /// end of the connection.
    #[must_use]
    #[inline]
    pub fn room(&self) -> Option<usize> {
        self.shell.inspect(self.key, Connection::room)?
    }

    /// Sets how many bytes may wait in memory to be sent: 256 MiB by default. A write that comes while more than that wait is not
    /// accepted, and the connection fails with [`WriteLimitExceeded`](crate::WriteLimitExceeded): whoever ignores the
    /// watermarks pays with a connection, and not with the memory of all.
    pub fn set_write_limit(&self, bytes: usize) {
        self.shell.alter(self.key, |connection| connection.set_write_limit(bytes));
    }

    /// Asks for one [`drained`](Protocol::drained) as soon as nothing waits to be sent.
    pub fn notify_drained(&self) {
        self.shell.notify_drained(self.key);
    }

    /// Who is at the other end of a UNIX socket.
    ///
    /// ```
    /// use marline_reactor::{Protocol, Transport};
    ///
    /// /// Greets people by their number.
    /// struct Private;
    ///
    /// impl Protocol for Private {
    ///     fn connection_made(&mut self, transport: &Transport) {
    ///         match transport.peer_credentials() {
    ///             Ok(peer) => println!("user {} comes", peer.uid),
    ///             Err(_) => transport.abort(),
    ///         }
    ///     }
    ///
    ///     fn data_received(&mut self, transport: &Transport, _: &[u8]) {
    ///         transport.close();
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// `Unsupported` if it is no UNIX socket, or this system or backend cannot tell; `NotConnected` after the end.
    pub fn peer_credentials(&self) -> io::Result<Credentials> {
        let is_unix =
            self.shell.inspect(self.key, |connection| connection.addresses.peer.as_unix().is_some());
        match is_unix {
            Some(true) if !self.shell.is_gone(self.key) => self.shell.backend().peer_credentials(self.key),
            Some(false) => {
                Err(io::Error::new(io::ErrorKind::Unsupported, "only the peers of UNIX sockets are known"))
            }
            _ => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Asks for one [`peer_closed`](Protocol::peer_closed), or the loss if it was a reset, within a turn of the peer's
    /// ending the connection, even while reading is paused.
    pub fn watch_peer(&self) {
        self.shell.watch_peer(self.key);
    }

    /// Ends our direction after what was written (FIN). The peer can still send. Calling it again, or after `close`,
    /// does nothing.
    pub fn write_eof(&self) {
        self.shell.write_eof(self.key);
    }

    /// Sends what was written, then closes. Nothing is received any more. If nothing moves for the
    /// [close timeout](Self::set_close_timeout), the rest is dropped and the reason is a timeout.
    pub fn close(&self) {
        self.shell.close(self.key);
    }

    /// Closes at once, dropping what was not sent. The peer sees a reset.
    pub fn abort(&self) {
        self.shell.abort(self.key, Reason::Aborted);
    }

    /// Reports that the protocol failed: closes as [`abort`](Self::abort) does, with the error as the reason.
    pub fn fail(&self, error: impl Into<Box<dyn Error + Send + Sync>>) {
        self.shell.abort(self.key, Reason::Failed(Arc::from(error.into())));
    }

    /// Reports that a deadline of the program's passed: closes at once, with [`Reason::Timeout`]. Bytes that were not sent
    /// are dropped; only then does the peer see a reset. A connection that only waits for the peer's end after `close`
    /// ends clean.
    pub fn time_out(&self) {
        self.shell.time_out(self.key);
    }

    /// How long closing may go without any progress: 30 seconds by default, at most 49 days, in whole milliseconds.
    pub fn set_close_timeout(&self, timeout: Duration) {
        self.shell.set_close_timeout(self.key, timeout);
    }

    /// Whether it is closing or closed.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.shell.inspect(self.key, |connection| connection.is_closing()).unwrap_or(true)
    }

    /// Whether its end is certain: nothing is sent or received any more, and `connection_lost` has come or is about to.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.shell.is_gone(self.key)
    }

    /// Replaces the protocol: when the running callback of this connection returns, otherwise at once. The old one is
    /// dropped by the loop, with no `connection_lost`. The new one gets `connection_made`, then what the old one gave
    /// [back](Protocol::replaced), then `unread`, then fresh bytes.
    ///
    /// # Errors
    ///
    /// Hands the protocol back if the connection is gone.
    pub fn set_protocol<P: Protocol>(&self, protocol: P, unread: &[u8]) -> Result<(), ReplaceError<P>> {
        if self.shell.is_gone(self.key) {
            return Err(ReplaceError::new(protocol));
        }
        self.shell.set_protocol(self.key, Box::new(protocol), unread);
        Ok(())
    }

    /// Whether a protocol waits to take over: [`set_protocol`](Self::set_protocol) was called and has not taken effect yet.
    /// Whoever holds the connection in the name of the old protocol should not close it any more.
    #[must_use]
    pub fn is_handed_over(&self) -> bool {
        self.shell.inspect(self.key, |connection| connection.has_successor()).unwrap_or(false)
    }

    /// How many bytes it has moved, until `connection_lost` returned; none after that.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.shell.traffic(self.key)
    }

    /// Lets a value live as long as the connection, whatever protocols that has: it is dropped after `connection_lost`
    /// returned and before anybody else is told of the loss, or soon, if the connection is gone already.
    ///
    /// It is meant for guards, such as a place in a [limit](crate::policy::ConnectionLimit), which are to outlive a
    /// [change of protocols](Self::set_protocol).
    pub fn attach(&self, value: impl std::any::Any) {
        self.shell.attach(self.key, Box::new(value));
    }

    /// Our end, until `connection_lost` returned.
    #[must_use]
    pub fn local_address(&self) -> Option<Address> {
        self.shell.inspect(self.key, |connection| connection.addresses.local.clone())
    }

    /// The other end, until `connection_lost` returned.
    #[must_use]
    pub fn peer_address(&self) -> Option<Address> {
        self.shell.inspect(self.key, |connection| connection.addresses.peer.clone())
    }

    /// The loop, as long as the connection stands.
    pub(crate) fn shell(&self) -> &Rc<Shell> {
        &self.shell
    }

    pub(crate) fn alive(&self) -> io::Result<&Shell> {
        if self.shell.is_gone(self.key) { Err(io::ErrorKind::NotConnected.into()) } else { Ok(&self.shell) }
    }

    /// The loop that it belongs to.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle::new(Rc::clone(&self.shell))
    }

    /// Its key: plain data, unique within its loop.
    #[must_use]
    pub fn key(&self) -> Key {
        self.key
    }
}

impl PartialEq for Transport {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && Rc::ptr_eq(&self.shell, &other.shell)
    }
}

impl Eq for Transport {}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transport({:?})", self.key)
    }
}
