//! A datagram socket, as a program holds it.

use std::fmt;
use std::io;
use std::panic::Location;
use std::rc::Rc;

use marline_reactor::{Address, DatagramError, DatagramOptions, DatagramTransport, Handle, Remote};

use super::operations::{RecvFrom, SendTo};
use super::state::{Feeder, what};
use crate::error::WrongThread;
use crate::local::Local;
use crate::net::io::on_loop;
use crate::table::TableKey;

/// A socket that sends and receives datagrams, for async code.
///
/// It is plain data, `Send` and `Sync`; the socket itself lives in its loop. On another thread every operation answers with
/// [`WrongThread`]; dropped there, it ends on its own loop.
///
/// Up to 64 datagrams that were received before anybody asked wait here, or 256 KiB of them; the others are left to the system.
/// One task at a time receives: a second gets `ResourceBusy` at once, and the first is not disturbed. Any number may send.
///
/// Dropping it closes the socket after what was sent has left.
///
/// # Cancellation
///
/// A receive that is dropped loses nothing. A send that is dropped has sent nothing.
///
/// ```
/// use marline_tasks::DatagramSocket;
/// use std::net::SocketAddr;
///
/// # marline_tasks::run(async {
/// let server = DatagramSocket::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
/// let client = DatagramSocket::connect(server.local_address()?)?;
/// client.send(b"hello").await?;
/// let mut buffer = [0; 1500];
/// let (count, sender) = server.recv_from(&mut buffer).await?;
/// server.send_to(&buffer[..count], sender).await?;
/// assert_eq!(client.recv(&mut buffer).await?, 5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub struct DatagramSocket {
    pub(super) remote: Remote,
    pub(super) key: TableKey,
}

impl DatagramSocket {
    /// A socket that is bound to `local`, on the loop that runs here. Port 0 means any free port.
    ///
    /// # Errors
    ///
    /// As [`Handle::bind_datagram`]; also without a loop.
    #[track_caller]
    pub fn bind(local: impl Into<Address>) -> Result<Self, DatagramError> {
        Self::open(&DatagramOptions::bind(local))
    }

    /// A socket that is connected with `peer`: it hears nobody else, and learns if the peer does not listen.
    ///
    /// # Errors
    ///
    /// As [`Handle::connect_datagram`]; also without a loop.
    #[track_caller]
    pub fn connect(peer: impl Into<Address>) -> Result<Self, DatagramError> {
        Self::open(&DatagramOptions::connect(peer))
    }

    /// A socket that is opened in whatever way.
    ///
    /// # Errors
    ///
    /// As [`Handle::open_datagram`]; also without a loop.
    #[track_caller]
    pub fn open(options: &DatagramOptions) -> Result<Self, DatagramError> {
        let handle = Handle::current().map_err(|_| DatagramError::Over)?;
        let local = Local::of(&handle).ok_or(DatagramError::Over)?;
        // From here on a drop tidies up.
        let socket = Self { remote: handle.remote(), key: local.datagrams.add() };
        let feeder = Feeder::new(&local, socket.key);
        let transport = handle.open_datagram(options, feeder)?;
        local.datagrams.with(socket.key, |state| state.transport = Some(transport));
        Ok(socket)
    }

    /// Receives the next datagram into `buffer`: how many bytes, and who sent it. What does not fit is lost.
    ///
    /// # Errors
    ///
    /// What the system told about something that was sent before (`ConnectionRefused`, above all, on a connected socket): the
    /// next receive goes on. `ResourceBusy` if another receive is under way. How the socket ended, once it is closed.
    #[track_caller]
    pub fn recv_from<'a>(&'a self, buffer: &'a mut [u8]) -> RecvFrom<'a> {
        RecvFrom::new(self, buffer, Location::caller())
    }

    /// As [`recv_from`](Self::recv_from), for whoever knows the sender: how many bytes.
    ///
    /// # Errors
    ///
    /// Those of `recv_from`.
    #[track_caller]
    pub fn recv<'a>(
        &'a self,
        buffer: &'a mut [u8],
    ) -> impl Future<Output = io::Result<usize>> + Send + Sync + 'a {
        let receive = self.recv_from(buffer);
        async move { receive.await.map(|(count, _)| count) }
    }

    /// Sends `data` as one datagram, when no more than the [high watermark](DatagramTransport::set_watermarks) waits to be
    /// sent. It leaves at the end of the loop's turn, together with others.
    ///
    /// # Errors
    ///
    /// Those of [`DatagramTransport::send_to`], in an [`io::Error`]. That the system could not send it is told to a later
    /// [`recv_from`](Self::recv_from), or by [`take_error`](Self::take_error).
    #[track_caller]
    pub fn send_to<'a>(&'a self, data: &'a [u8], target: impl Into<Address>) -> SendTo<'a> {
        SendTo::new(self, data, Some(target.into()), Location::caller())
    }

    /// As [`send_to`](Self::send_to), to the one that the socket is connected with.
    ///
    /// # Errors
    ///
    /// Those of `send_to`.
    #[track_caller]
    pub fn send<'a>(&'a self, data: &'a [u8]) -> SendTo<'a> {
        SendTo::new(self, data, None, Location::caller())
    }

    /// The oldest error that the system told of and that no receive has answered with: for who only sends.
    ///
    /// # Errors
    ///
    /// On the wrong thread.
    #[track_caller]
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        let local = self.local(Location::caller())?;
        Ok(local.datagrams.with(self.key, |state| state.take_error()).flatten())
    }

    /// Where it is bound.
    ///
    /// # Errors
    ///
    /// `NotConnected` once it is closed, and on the wrong thread.
    #[track_caller]
    pub fn local_address(&self) -> io::Result<Address> {
        self.transport()?.local_address().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// The one that it is connected with.
    ///
    /// # Errors
    ///
    /// `NotConnected` if it is not connected, once it is closed, and on the wrong thread.
    #[track_caller]
    pub fn peer_address(&self) -> io::Result<Address> {
        self.transport()?.peer_address().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// The callback side of the same socket: to join groups, to set watermarks, to send from callbacks. Its reading belongs to
    /// this handle.
    ///
    /// # Errors
    ///
    /// On the wrong thread.
    #[track_caller]
    pub fn transport(&self) -> io::Result<DatagramTransport> {
        self.transport_in(&*self.local(Location::caller())?)
    }

    pub(super) fn transport_in(&self, local: &Local) -> io::Result<DatagramTransport> {
        let transport = local.datagrams.with(self.key, |state| state.transport.clone()).flatten();
        transport.ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    pub(super) fn local(&self, place: &'static Location<'static>) -> io::Result<Rc<Local>> {
        Local::find(&self.remote).ok_or_else(|| WrongThread::of(what(), &self.remote, Some(place)).into())
    }
}

impl Drop for DatagramSocket {
    fn drop(&mut self) {
        on_loop(&self.remote, self.key, |local, key| local.datagrams.remove(key));
    }
}

impl fmt::Debug for DatagramSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatagramSocket({:?})", self.key)
    }
}
