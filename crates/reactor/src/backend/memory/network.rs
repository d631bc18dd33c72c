//! The network's handle, for tests.

use std::cell::{RefCell, RefMut};
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;

use super::datagram_peer::DatagramPeer;
use super::mailbox::Delivery;
use super::peer::{Peer, PeerListener};
use super::state::{Id, Owner, Phase, State};
use super::virtual_stream::{StreamKind, VirtualStream};
use super::wire::Chunking;
use crate::address::Address;
use crate::backend::Close;
use crate::choice::Choices;
use crate::credentials::Credentials;
use crate::os_signal::SignalKind;

/// A network without a kernel, shared by [`Memory`](super::Memory) backends (several hosts, or several loops) and
/// by scripted [`Peer`]s. Clones are handles onto the same network.
///
/// It knows the loopback addresses, and those of the hosts that were [added](Self::add_host). Bytes arrive at
/// once; whoever receives them sees them in its next turn.
///
/// ```
/// use marline_reactor::Choices;
/// use marline_reactor::backend::memory::Network;
/// use std::net::SocketAddr;
///
/// let network = Network::new(Choices::tame());
/// let listener = network.listen(SocketAddr::from(([127, 0, 0, 1], 80)))?;
/// let client = network.connect(listener.address())?;
/// let server = listener.accept().expect("a client has connected");
/// assert_eq!(client.write(b"hello"), 5);
/// assert_eq!(server.read(), b"hello");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Network {
    state: Rc<RefCell<State>>,
}

impl Network {
    /// An empty network, where chance is drawn from `choices`.
    #[must_use]
    pub fn new(choices: Choices) -> Self {
        let state = Rc::new(RefCell::new(State::new(choices)));
        Self { state }
    }

    /// Where chance is drawn from.
    #[must_use]
    pub fn choices(&self) -> Choices {
        self.state().choices.clone()
    }

    /// How bytes are cut up on their way.
    #[must_use]
    pub fn chunking(&self) -> Chunking {
        self.state().chunking
    }

    /// From now on, bytes are cut up like this, those that are on their way included.
    pub fn set_chunking(&self, chunking: Chunking) {
        self.state().chunking = chunking;
    }

    /// From now on, this becomes of datagrams that are sent.
    pub fn set_delivery(&self, delivery: Delivery) {
        self.state().delivery = delivery;
    }

    /// Opens a scripted datagram socket. Port 0 means any free port.
    ///
    /// # Errors
    ///
    /// `AddrInUse` if somebody is bound there.
    pub fn bind_datagram(&self, address: impl Into<Address>) -> io::Result<DatagramPeer> {
        DatagramPeer::bind(self, address.into())
    }

    /// How many bytes each direction of a connection holds, at least one; 64 KiB by default. More does not fit, and
    /// a send waits until some are received. A datagram socket that holds so many loses what comes.
    pub fn set_capacity(&self, bytes: usize) {
        let mut state = self.state();
        state.capacity = bytes.max(1);
        for end in state.ends.keys() {
            state.resume(end);
        }
    }

    /// Makes `name` (in any case) resolve to `addresses`, and the addresses known. `localhost` is known from the
    /// start, as 127.0.0.1. A name without addresses resolves to nothing, an unknown one is an error.
    pub fn add_host(&self, name: &str, addresses: Vec<IpAddr>) {
        self.state().hosts.insert(name.to_ascii_lowercase(), addresses);
    }

    /// Lets every connect to `address` wait, until it is [heeded](Self::heed).
    pub fn ignore(&self, address: impl Into<Address>) {
        self.state().ignored.insert(address.into());
    }

    /// Lets connects to `address` be answered again, those that [wait](Self::ignore) by now included.
    pub fn heed(&self, address: impl Into<Address>) {
        let address = address.into();
        let mut state = self.state();
        if state.ignored.remove(&address) {
            state.reach_late(&address);
        }
    }

    /// Connects a scripted client. If the listener's backlog is full, the client
    /// [is connected](Peer::is_connected) once there is room.
    ///
    /// # Errors
    ///
    /// `ConnectionRefused` if nobody listens there.
    pub fn connect(&self, address: impl Into<Address>) -> io::Result<Peer> {
        let mut state = self.state();
        let id = state.connect(Owner::Script, &address.into(), None)?;
        let Some(end) = state.ends.get(id) else {
            return Err(ErrorKind::NotConnected.into());
        };
        if end.phase == Phase::Refused {
            state.remove_end(id, Close::Reset);
            return Err(ErrorKind::ConnectionRefused.into());
        }
        let addresses = end.addresses.clone();
        Ok(Peer::new(self.clone(), id, addresses))
    }

    /// Begins to listen as a scripted server. Port 0 means any free port.
    ///
    /// # Errors
    ///
    /// `AddrInUse` if somebody listens there.
    pub fn listen(&self, address: impl Into<Address>) -> io::Result<PeerListener> {
        let (id, address) = self.state().listen(Owner::Script, &address.into(), usize::MAX, false)?;
        Ok(PeerListener::new(self.clone(), id, address))
    }

    /// Lets a signal come to every loop on this network, as to the threads of one process: whether any of them watches it.
    /// Nothing else happens; where the system would end a process, that is for the test to say.
    ///
    /// ```
    /// use marline_reactor::SignalKind;
    /// use marline_reactor::testing::MemoryReactor;
    /// use std::{cell::Cell, rc::Rc};
    ///
    /// let (memory, came) = (MemoryReactor::new(), Rc::new(Cell::new(0)));
    /// let count = Rc::clone(&came);
    /// memory.handle().on_signal(SignalKind::TERMINATE, move || count.set(count.get() + 1))?;
    /// assert!(memory.network().raise(SignalKind::TERMINATE));
    /// memory.pump();
    /// assert_eq!(came.get(), 1);
    /// # Ok::<(), marline_reactor::SignalError>(())
    /// ```
    #[allow(clippy::must_use_candidate)]
    pub fn raise(&self, signal: SignalKind) -> bool {
        self.state().raise_signal(signal, None)
    }

    /// Lets a signal come to the loop of this inbox alone.
    pub(crate) fn raise_for(&self, inbox: Id, signal: SignalKind) -> bool {
        self.state().raise_signal(signal, Some(inbox))
    }

    /// A stream that was not made by connecting, a pipe for example: what a loop opens with
    /// [`adopt_stream`](crate::Handle::adopt_stream), and the other end.
    #[must_use]
    pub fn stream(&self, kind: StreamKind) -> (VirtualStream, Peer) {
        let words = if kind == StreamKind::Duplex { "stream" } else { "pipe" };
        VirtualStream::pair(self, kind, words)
    }

    /// Makes standard input and output for the loop that opens [them](crate::backend::Opening::Stdio) next, and answers with
    /// the other end: whoever reads and writes them, as a terminal or the rest of a pipeline does.
    #[must_use]
    pub fn stdio(&self) -> Peer {
        let (stream, peer) = VirtualStream::pair(self, StreamKind::Duplex, "stdio:");
        self.set_stdio(stream);
        peer
    }

    /// What loops are told about who is at the other end of a UNIX socket. Without it they are told that nobody knows.
    ///
    /// ```
    /// use marline_reactor::testing::MemoryReactor;
    /// use marline_reactor::{Addresses, Credentials, Transport};
    ///
    /// let memory = MemoryReactor::new();
    /// memory.network().set_credentials(Credentials { pid: Some(7), uid: 1000, gid: 1000 });
    /// memory.handle().listen("unix:///run/x.sock", |_: &Addresses| |transport: &Transport, _: &[u8]| {
    ///     assert_eq!(transport.peer_credentials().map(|peer| peer.uid).ok(), Some(1000));
    /// })?;
    /// let peer = memory.network().connect(marline_reactor::UnixAddress::path("/run/x.sock"))?;
    /// peer.write(b"who am I?");
    /// memory.pump();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_credentials(&self, credentials: Credentials) {
        self.state().credentials = Some(credentials);
    }

    /// What was there and nobody opened is closed.
    pub(super) fn set_stdio(&self, stream: VirtualStream) {
        let mut state = self.state();
        if let Some(unopened) = std::mem::replace(&mut state.stdio, stream.into_id()) {
            state.remove_end(unopened, Close::Orderly);
        }
    }

    /// How many listeners, datagram sockets and ends of connections (attempts included) the backends have open: what a process would
    /// have descriptors for.
    #[must_use]
    pub fn sockets(&self) -> usize {
        self.state().sockets
    }

    /// Whether any backend has an event to hand out.
    #[must_use]
    pub fn pending(&self) -> bool {
        let state = self.state();
        let mut inboxes = state.inboxes.keys().into_iter();
        inboxes.any(|id| state.inboxes.get(id).is_some_and(|inbox| !inbox.is_empty()))
    }

    /// Whether this backend has an event to hand out.
    pub(crate) fn pending_for(&self, inbox: Id) -> bool {
        self.state().inboxes.get(inbox).is_some_and(|inbox| !inbox.is_empty())
    }

    /// The state, for one operation. No code of the user's ever runs while it is borrowed.
    pub(super) fn state(&self) -> RefMut<'_, State> {
        self.state.borrow_mut()
    }

    /// Whether this is a handle of the same network.
    pub(super) fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.state, &other.state)
    }

    pub(super) fn take_stdio(&self) -> io::Result<VirtualStream> {
        let id = self.state().stdio.take();
        let none = || io::Error::new(ErrorKind::NotFound, "the test made no standard input and output");
        id.map(|id| VirtualStream::from_id(self, id)).ok_or_else(none)
    }

    pub(super) fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let name = host.to_ascii_lowercase();
        let ips = match self.state().hosts.get(&name) {
            Some(known) => known.clone(),
            None if name == "localhost" => vec![Ipv4Addr::LOCALHOST.into()],
            None => vec![name.parse().map_err(|_| unknown(host))?],
        };
        Ok(ips.into_iter().map(|ip| SocketAddr::new(ip, port)).collect())
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").finish_non_exhaustive()
    }
}

fn unknown(host: &str) -> io::Error {
    io::Error::new(ErrorKind::NotFound, format!("no host is called {host:?}"))
}
