//! Listeners for connections that keep records apart.

use std::fmt;
use std::io;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use marline_reactor::backend::ListenOptions;
use marline_reactor::{Address, DatagramError, Handle, PacketServer, UnixAddress};

use super::line::{Accepting, Line, Listeners, Next};
use crate::local::Local;
use crate::net::datagram::{DatagramSocket, Feeder};

impl Accepting for PacketServer {
    type Socket = DatagramSocket;

    fn listeners(local: &Local) -> &Listeners<Self> {
        &local.packet_listeners
    }

    fn pause(&self) {
        Self::pause(self);
    }

    fn resume(&self) {
        Self::resume(self);
    }

    fn stop(&self) {
        Self::stop(self);
    }

    fn local_address(&self) -> Option<Address> {
        Self::local_address(self)
    }
}

/// Listens on a UNIX socket for connections that keep records apart (SOCK_SEQPACKET).
///
/// It is plain data, `Send` and `Sync`, and belongs to its loop as a [`DatagramSocket`] does. Connections that were accepted
/// before anybody asked wait here, at most 64. Dropping it stops listening and closes those.
///
/// ```
/// use marline_reactor::{DatagramOptions, UnixAddress};
/// use marline_tasks::{DatagramSocket, PacketListener};
///
/// # marline_tasks::run(async {
/// let path = std::env::temp_dir().join(format!("marline-packets-{}.sock", std::process::id()));
/// let listener = PacketListener::bind(&UnixAddress::path(&path))?;
/// let mut options = DatagramOptions::connect(UnixAddress::path(&path));
/// options.packets = true;
/// let client = DatagramSocket::open(&options)?;
/// let server = listener.accept().await?;
/// client.send(b"one").await?;
/// client.send(b"two").await?;
/// let mut record = [0; 64];
/// assert_eq!(server.recv(&mut record).await?, 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub struct PacketListener {
    line: Line<PacketServer>,
}

impl PacketListener {
    /// Listens at an address, on the loop that runs here, as [`bind_with`](Self::bind_with) does with the default options.
    ///
    /// # Errors
    ///
    /// Those of `bind_with`.
    pub fn bind(address: &UnixAddress) -> Result<Self, DatagramError> {
        Self::bind_with(address, &ListenOptions::default())
    }

    /// Listens at an address, on the loop that runs here, with a backlog or a mode of its own.
    ///
    /// # Errors
    ///
    /// As [`Handle::listen_packets`]; also without a loop.
    pub fn bind_with(address: &UnixAddress, options: &ListenOptions) -> Result<Self, DatagramError> {
        let handle = Handle::current().map_err(|_| DatagramError::Over)?;
        let local = Local::of(&handle).ok_or(DatagramError::Over)?;
        let line = Line::new(&local, handle.remote());
        let (weak, remote, key) = (Rc::downgrade(&local), handle.remote(), line.key);
        let factory = move |_: &Address| Feeder::arriving(&weak, &remote, key);
        line.begin(&local, handle.listen_packets(address, options, factory)?);
        Ok(Self { line })
    }

    /// Waits for the next connection. Its end is told by a receive: a [clean](marline_reactor::Reason::Clean) loss is `NotConnected`.
    ///
    /// # Errors
    ///
    /// On the wrong thread, and after the end of the loop. A connection that could not be accepted (for want of
    /// descriptors, above all) is no error of this: the listener waits and goes on.
    ///
    /// # Cancellation
    ///
    /// A connection that a dropped future did not return is returned next time.
    #[track_caller]
    pub fn accept(&self) -> AcceptPackets<'_> {
        AcceptPackets { next: self.line.next(Location::caller()) }
    }

    /// Where it listens.
    ///
    /// # Errors
    ///
    /// On the wrong thread, and after the end of the loop.
    #[track_caller]
    pub fn local_address(&self) -> io::Result<Address> {
        self.line.local_address(Location::caller())
    }
}

impl fmt::Debug for PacketListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PacketListener({:?})", self.line)
    }
}

/// The future of [`PacketListener::accept`].
#[must_use = "futures do nothing unless awaited"]
pub struct AcceptPackets<'a> {
    next: Next<'a, PacketServer>,
}

impl Future for AcceptPackets<'_> {
    type Output = io::Result<DatagramSocket>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.next).poll(context)
    }
}
