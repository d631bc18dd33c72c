//! How many connections there may be.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::rc::Rc;

use super::{Event, Policy, Wrapper};
use crate::address::Addresses;
use crate::protocol::{IntoProtocol, Protocol};
use crate::transport::Transport;

/// Bounds how many connections stand at a time: in all, and from one IP address.
///
/// Clones share the count, so that one limit serves several listeners of a loop. A connection that is one too many is
/// refused by the factory: the peer is closed, and no protocol is made. To let peers wait in the system's queue
/// instead there is [`Server::set_limit`](crate::Server::set_limit), which counts one listener's connections; it cannot
/// make one address wait and serve the others.
///
/// A place is taken before the factory is asked, and given back when the connection is lost, whatever became
/// of its protocol: it may have panicked, or been [replaced](Transport::set_protocol). Peers without an IP address count in
/// all only. An IPv4 address that is written as an IPv6 one is the same address.
///
/// ```
/// use marline_reactor::policy::ConnectionLimit;
/// use marline_reactor::testing::MemoryReactor;
/// use marline_reactor::{Addresses, Transport};
///
/// let memory = MemoryReactor::new();
/// let limit = ConnectionLimit::new().total(2);
/// let echo = |_: &Addresses| |transport: &Transport, data: &[u8]| transport.write(data);
/// memory.handle().listen("tcp://127.0.0.1:7", limit.wrap(echo))?;
/// memory.handle().listen("tcp://127.0.0.1:8", limit.wrap(echo))?;
/// let (first, _second) = (memory.connect("127.0.0.1:7")?, memory.connect("127.0.0.1:8")?);
/// memory.pump();
/// let third = memory.connect("127.0.0.1:7")?;
/// memory.pump();
/// assert!(third.is_finished());
/// assert_eq!((limit.connections(), limit.refused()), (2, 1));
///
/// first.close();
/// memory.pump();
/// assert_eq!(limit.connections(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ConnectionLimit {
    shared: Rc<Shared>,
}

struct Shared {
    total: Cell<usize>,
    per_peer: Cell<usize>,
    live: Cell<usize>,
    refused: Cell<u64>,
    /// Addresses without a connection are not listed.
    peers: RefCell<HashMap<IpAddr, usize>>,
}

impl ConnectionLimit {
    /// A limit that allows any number.
    #[must_use]
    pub fn new() -> Self {
        let shared = Shared {
            total: Cell::new(usize::MAX),
            per_peer: Cell::new(usize::MAX),
            live: Cell::new(0),
            refused: Cell::new(0),
            peers: RefCell::default(),
        };
        Self { shared: Rc::new(shared) }
    }

    /// Allows so many connections in all, for every clone. Those that stand go on if it is less than before.
    #[must_use]
    pub fn total(self, connections: usize) -> Self {
        self.shared.total.set(connections);
        self
    }

    /// Allows so many connections from one IP address, for every clone. Those that stand go on if it is less than
    /// before.
    #[must_use]
    pub fn per_peer(self, connections: usize) -> Self {
        self.shared.per_peer.set(connections);
        self
    }

    /// A factory that refuses connections that are too many, and asks `factory` about the others.
    pub fn wrap<F, P>(
        &self,
        mut factory: F,
    ) -> impl FnMut(&Addresses) -> Option<Limited<Box<dyn Protocol>>> + use<F, P> + 'static
    where
        F: FnMut(&Addresses) -> P + 'static,
        P: IntoProtocol,
    {
        let limit = self.clone();
        move |addresses| {
            let admission = limit.admit(addresses)?;
            let protocol = factory(addresses).into_protocol()?;
            Some(Wrapper::with(Admitted { admission: Some(admission) }, protocol))
        }
    }

    /// Takes a place, if there is one, for a connection whose factory is not wrapped: it is given back when the answer is
    /// dropped. An async program keeps it beside the stream that it accepted, or leaves it to
    /// [`Transport::attach`].
    ///
    /// ```
    /// use marline_reactor::policy::ConnectionLimit;
    /// use marline_reactor::Addresses;
    /// use std::net::SocketAddr;
    ///
    /// let local = SocketAddr::from(([127, 0, 0, 1], 80)).into();
    /// let peer = SocketAddr::from(([192, 0, 2, 1], 4000)).into();
    /// let addresses = Addresses { local, peer };
    /// let limit = ConnectionLimit::new().per_peer(1);
    /// let admission = limit.admit(&addresses).expect("nobody is there");
    /// assert!(limit.admit(&addresses).is_none());
    /// drop(admission);
    /// assert!(limit.admit(&addresses).is_some());
    /// ```
    #[must_use]
    pub fn admit(&self, addresses: &Addresses) -> Option<Admission> {
        let peer = addresses.peer.as_inet().map(|peer| peer.ip().to_canonical());
        let from_peer = peer.map_or(0, |peer| self.connections_from(peer));
        let shared = &self.shared;
        if shared.live.get() >= shared.total.get() || from_peer >= shared.per_peer.get() {
            shared.refused.set(shared.refused.get() + 1);
            let (live, peer) = (shared.live.get(), &addresses.peer);
            tracing::debug!(%peer, live, from_peer, "refused a connection, which is one too many");
            return None;
        }
        shared.live.set(shared.live.get() + 1);
        if let Some(peer) = peer {
            shared.peers.borrow_mut().insert(peer, from_peer + 1);
        }
        Some(Admission { shared: Rc::clone(shared), peer })
    }

    /// How many stand.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.live.get()
    }

    /// How many of them came from this address.
    #[must_use]
    pub fn connections_from(&self, peer: IpAddr) -> usize {
        self.shared.peers.borrow().get(&peer.to_canonical()).copied().unwrap_or(0)
    }

    /// How many were refused so far.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.shared.refused.get()
    }
}

impl Default for ConnectionLimit {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ConnectionLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = &mut f.debug_struct("ConnectionLimit");
        text.field("connections", &self.connections())
            .field("refused", &self.refused())
            .finish_non_exhaustive()
    }
}

/// A place within a [`ConnectionLimit`], given back when it is dropped.
#[must_use = "the place is given back when it is dropped"]
pub struct Admission {
    shared: Rc<Shared>,
    peer: Option<IpAddr>,
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.shared.live.set(self.shared.live.get() - 1);
        let Some(peer) = self.peer else { return };
        let mut peers = self.shared.peers.borrow_mut();
        if let Some(count) = peers.get_mut(&peer) {
            *count -= 1;
            if *count == 0 {
                peers.remove(&peer);
            }
        }
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Admission").field(&self.peer).finish()
    }
}

/// A protocol that a [`ConnectionLimit`] counts.
pub type Limited<P> = Wrapper<Admitted, P>;

/// The policy of what [`ConnectionLimit::wrap`] makes.
#[derive(Debug)]
pub struct Admitted {
    /// Until it is attached to the connection.
    admission: Option<Admission>,
}

impl Policy for Admitted {
    fn needs_no_input(&self) -> bool {
        true
    }

    fn before(&mut self, transport: &Transport, event: Event<'_>) {
        if let (Event::Made, Some(admission)) = (event, self.admission.take()) {
            transport.attach(admission);
        }
    }
}
