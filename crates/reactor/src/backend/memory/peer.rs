//! Ends of connections that a test drives by hand.

use std::fmt;
use std::io::IoSlice;
use std::os::fd::OwnedFd;

use super::network::Network;
use super::state::{End, Id, Owner, Phase};
use crate::address::{Address, Addresses};
use crate::backend::Close;

/// A scripted end of a connection. No call blocks, and none calls back: what it causes, the other side sees in its
/// next turn. Dropping it [closes](Self::close) it.
///
/// ```
/// use marline_reactor::Choices;
/// use marline_reactor::backend::memory::Network;
/// use std::net::SocketAddr;
///
/// let network = Network::new(Choices::tame());
/// let listener = network.listen(SocketAddr::from(([127, 0, 0, 1], 0)))?;
/// let client = network.connect(listener.address())?;
/// let server = listener.accept().expect("a client has connected");
///
/// client.write(b"bye");
/// client.finish();
/// assert!(!server.is_finished(), "there still is something to read");
/// assert_eq!(server.read(), b"bye");
/// assert!(server.is_finished());
///
/// server.reset();
/// assert!(client.is_reset());
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Peer {
    network: Network,
    id: Id,
    addresses: Addresses,
}

impl Peer {
    pub(super) fn new(network: Network, id: Id, addresses: Addresses) -> Self {
        Self { network, id, addresses }
    }

    /// The script's end of this number, if it is still there.
    pub(super) fn of(network: &Network, id: Id) -> Option<Self> {
        let addresses = network.state().ends.get(id)?.addresses.clone();
        Some(Self::new(network.clone(), id, addresses))
    }

    /// Sends as much of `bytes` as there is room for, and tells how much that was: nothing as well if the connection
    /// is not established, is finished in this direction, was reset, or is closed.
    ///
    /// One call is one write for [`Chunking::AsWritten`](super::Chunking::AsWritten).
    pub fn write(&self, bytes: &[u8]) -> usize {
        let mut state = self.network.state();
        let count = state.room(self.id).map_or(0, |room| room.min(bytes.len()));
        if count > 0 {
            state.deliver(self.id, &[IoSlice::new(bytes)], count);
        }
        count
    }

    /// Sends descriptors with the first of these bytes, of which as many are sent as there is room for: how many. With no room,
    /// or nobody at the other end, the descriptors are closed.
    ///
    /// ```
    /// use marline_reactor::Choices;
    /// use marline_reactor::backend::memory::Network;
    /// use marline_reactor::UnixAddress;
    ///
    /// let network = Network::new(Choices::tame());
    /// let listener = network.listen(UnixAddress::path("/run/x.sock"))?;
    /// let client = network.connect(listener.address())?;
    /// let server = listener.accept().expect("a client has connected");
    /// client.write_with_descriptors(b"!", vec![std::fs::File::open("/dev/null")?.into()]);
    /// assert_eq!(server.read(), b"!");
    /// assert_eq!(server.take_descriptors().len(), 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn write_with_descriptors(&self, bytes: &[u8], descriptors: Vec<OwnedFd>) -> usize {
        let mut state = self.network.state();
        let room = state.room(self.id).map_or(0, |room| room.min(bytes.len()));
        if room > 0 {
            state.pass(self.id, descriptors.into_iter().map(|descriptor| (0, descriptor)).collect());
            state.deliver(self.id, &[IoSlice::new(bytes)], room);
        }
        room
    }

    /// The descriptors that came with the bytes that were read so far, and were not taken yet.
    #[must_use]
    pub fn take_descriptors(&self) -> Vec<OwnedFd> {
        let mut state = self.network.state();
        state.ends.get_mut(self.id).map(|end| std::mem::take(&mut end.descriptors)).unwrap_or_default()
    }

    /// Takes everything that has arrived.
    #[must_use]
    pub fn read(&self) -> Vec<u8> {
        self.read_up_to(usize::MAX)
    }

    /// Takes at most `count` bytes of what has arrived. What the other side could not send for lack of room may
    /// follow at once.
    #[must_use]
    pub fn read_up_to(&self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; self.buffered().min(count)];
        if !bytes.is_empty() {
            self.network.state().take(self.id, &mut bytes);
        }
        bytes
    }

    /// How many bytes have arrived and wait to be read.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.look(0, |end| end.incoming.len())
    }

    /// How many of the bytes written wait to be received by the other side.
    #[must_use]
    pub fn unread(&self) -> usize {
        let state = self.network.state();
        let other = state.ends.get(self.id).and_then(|end| end.other);
        let other = other.and_then(|other| state.ends.get(other));
        other.map_or(0, |other| other.incoming.len())
    }

    /// Whether the connection is established. It no longer is after a reset, nor when this end is closed.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.look(false, |end| end.phase == Phase::Open)
    }

    /// Whether the other side ended its direction and everything before that was read.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.look(false, |end| end.incoming.is_ended() && end.incoming.is_empty())
    }

    /// Whether the connection was reset by the other side (or refused, as it waited for a place in the backlog).
    #[must_use]
    pub fn is_reset(&self) -> bool {
        self.look(false, End::is_broken)
    }

    /// Whether one of the two ends is closed: the other side's (in whichever way, unread bytes or not; ending its
    /// direction is not enough), or this one. A real peer could not always tell.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.look(true, |end| end.other.is_none() && !matches!(end.phase, Phase::Connecting(_)))
    }

    /// Ends this direction (FIN). The other may go on.
    pub fn finish(&self) {
        // Without a connection there is nothing to end.
        let _ = self.network.state().finish(self.id);
    }

    /// Resets the connection: the other side loses what it has not received.
    pub fn reset(&self) {
        self.network.state().remove_end(self.id, Close::Reset);
    }

    /// Closes this end as the close of a socket does: if something has arrived that was not read, the other side
    /// sees a reset, otherwise an end after everything that was written. Then this end is inert.
    pub fn close(&self) {
        self.network.state().remove_end(self.id, Close::Orderly);
    }

    /// Both ends' addresses, also after the close.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        self.addresses.clone()
    }

    fn look<T>(&self, otherwise: T, at: impl FnOnce(&End) -> T) -> T {
        self.network.state().ends.get(self.id).map_or(otherwise, at)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Peer");
        debug.field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

/// A scripted server, to which code under test connects. Dropping it resets whoever waits to be accepted.
///
/// Its backlog is unlimited. [`Network::listen`] makes one, and shows it at work.
pub struct PeerListener {
    network: Network,
    id: Id,
    address: Address,
}

impl PeerListener {
    pub(super) fn new(network: Network, id: Id, address: Address) -> Self {
        Self { network, id, address }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> Address {
        self.address.clone()
    }

    /// The oldest connection that waits.
    #[must_use]
    pub fn accept(&self) -> Option<Peer> {
        let mut state = self.network.state();
        let id = state.accept(self.id, Owner::Script)?;
        let addresses = state.ends.get(id)?.addresses.clone();
        Some(Peer::new(self.network.clone(), id, addresses))
    }
}

impl Drop for PeerListener {
    fn drop(&mut self) {
        self.network.state().remove_listener(self.id);
    }
}

impl fmt::Debug for PeerListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("PeerListener");
        debug.field("address", &self.address).finish_non_exhaustive()
    }
}
