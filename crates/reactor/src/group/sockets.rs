//! The listening sockets of a group. They belong to the group and not to the loops that serve them, so that one that leaves takes
//! nobody along who waits to be accepted.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use parking_lot::Mutex;
use socket2::SockRef;

use super::feed::Feed;
use super::options::Balance;
use super::shared::Shared;
use crate::address::Address;
use crate::backend::socket::{self, Listening};
use crate::backend::{ListenOptions, SystemCalls};
use crate::endpoint::{Endpoint, Target};
use crate::error::ListenError;
use crate::inherited;
use crate::server::listen_address;

/// Whether several sockets that listen on one port get a share of its connections each (socket(7): SO_REUSEPORT). Elsewhere
/// the option exists, and the socket that was bound last gets all.
const SHARES_PORTS: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// The sockets of a group, with what they were bound for.
#[derive(Default)]
pub(super) struct Sockets {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    bound: Vec<Bound>,
    closed: bool,
    /// How many still need what is bound, after the close too.
    needed: usize,
}

struct Bound {
    service: usize,
    endpoint: Endpoint,
    address: Address,
    kind: Kind,
}

enum Kind {
    /// A socket for each loop.
    Each(Vec<Option<Listening>>),
    /// One, whose connections are handed over.
    One(Listening, Option<Arc<Feed>>),
}

/// What a loop listens with.
pub(super) enum Share {
    Own(OwnedFd),
    Fed(Address, Arc<Feed>),
}

impl Sockets {
    /// Binds the first socket of an endpoint, so that what is wrong with it is known at once.
    pub(super) fn begin(&self, service: usize, endpoint: &Endpoint) -> Result<Address, ListenError> {
        let mut state = self.state.lock();
        let at = state.find(service, endpoint)?;
        Ok(state.bound[at].address.clone())
    }

    /// What the loop in `seat`, of `seats`, listens with.
    pub(super) fn share(
        &self,
        service: usize,
        endpoint: &Endpoint,
        (seat, seats): (usize, usize),
        balance: Balance,
    ) -> Result<Share, ListenError> {
        let mut state = self.state.lock();
        let at = state.find(service, endpoint)?;
        let bound = &mut state.bound[at];
        bound.settle(balance);
        let address = bound.address.clone();
        match &mut bound.kind {
            Kind::Each(sockets) => {
                sockets.resize_with(seats.max(sockets.len()), || None);
                let own = match sockets[seat].take() {
                    Some(own) => own,
                    None => bind_beside(&address, endpoint)?,
                };
                let copy = own.socket.try_clone();
                sockets[seat] = Some(own);
                copy.map(Share::Own).map_err(|source| ListenError::System { address, source })
            }
            Kind::One(listening, feed) => {
                let made = || Arc::new(Feed::new(at, endpoint, listening, balance));
                Ok(Share::Fed(address, Arc::clone(feed.get_or_insert_with(made))))
            }
        }
    }

    /// The sockets whose connections are handed over.
    pub(super) fn fed(&self) -> io::Result<Vec<(OwnedFd, Arc<Feed>)>> {
        let state = self.state.lock();
        let fed = state.bound.iter().filter_map(|bound| match &bound.kind {
            Kind::One(listening, Some(feed)) => Some((listening, feed)),
            _ => None,
        });
        fed.map(|(listening, feed)| Ok((listening.socket.try_clone()?, Arc::clone(feed)))).collect()
    }

    /// Whether a loop of its own has a socket for this.
    pub(super) fn is_each(&self, service: usize) -> bool {
        let state = self.state.lock();
        state.bound.iter().any(|bound| bound.service == service && matches!(bound.kind, Kind::Each(_)))
    }

    /// Where the group listens. Nowhere once it is closed.
    pub(super) fn addresses(&self) -> Vec<Address> {
        let state = self.state.lock();
        let bound = state.bound.iter().filter(|_| !state.closed);
        bound.map(|bound| bound.address.clone()).collect()
    }

    /// Holds them no more: when the loops do not either, they are closed, and nothing is bound any more.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.let_go();
    }

    fn need(&self) {
        self.state.lock().needed += 1;
    }

    fn need_no_more(&self) {
        let mut state = self.state.lock();
        state.needed -= 1;
        state.let_go();
    }
}

/// While it lives, what is bound is not closed. It goes with what tells a loop to listen, as the group may be told to end before
/// that loop comes to it: it listens then all the same, and serves those who wait.
pub(super) struct Needed(Arc<Shared>);

impl Needed {
    pub(super) fn new(group: &Arc<Shared>) -> Self {
        group.sockets.need();
        Self(Arc::clone(group))
    }
}

impl Drop for Needed {
    fn drop(&mut self) {
        self.0.sockets.need_no_more();
    }
}

impl State {
    /// Closes what nobody needs, after the close.
    fn let_go(&mut self) {
        if self.closed && self.needed == 0 {
            self.bound.clear();
        }
    }

    /// Where the sockets of this endpoint are, the first of which is bound if there is none.
    fn find(&mut self, service: usize, endpoint: &Endpoint) -> Result<usize, ListenError> {
        let known =
            self.bound.iter().position(|bound| bound.service == service && bound.endpoint == *endpoint);
        if let Some(known) = known {
            return Ok(known);
        }
        if self.closed {
            return Err(ListenError::Over);
        }
        let listening = bind_first(endpoint)?;
        let (endpoint, address) = (endpoint.clone(), listening.local.clone());
        self.bound.push(Bound { service, endpoint, address, kind: Kind::One(listening, None) });
        Ok(self.bound.len() - 1)
    }
}

impl Bound {
    /// Decides whether each loop has a socket of its own, as soon as the first asks.
    fn settle(&mut self, balance: Balance) {
        let is_tcp = matches!(self.endpoint.target(), Target::Tcp(_));
        if !(SHARES_PORTS && is_tcp && balance == Balance::System) {
            return;
        }
        if let Kind::One(listening, None) = &self.kind {
            // After its bind, which has found out that nobody else has the port: with the option set, it would have joined a
            // program of the same user that shares its own, a second start of this one above all. If it cannot be set, one
            // socket serves all.
            let shared = SockRef::from(&listening.socket).set_reuse_port(true);
            if shared.is_err() {
                return;
            }
        } else {
            return;
        }
        let old = std::mem::replace(&mut self.kind, Kind::Each(Vec::new()));
        if let (Kind::One(first, _), Kind::Each(sockets)) = (old, &mut self.kind) {
            sockets.push(Some(first));
        }
    }
}

fn bind_first(endpoint: &Endpoint) -> Result<Listening, ListenError> {
    let calls = &mut SystemCalls::default();
    let inherited = match endpoint.target() {
        Target::Tcp(_) | Target::Unix(_) => return bind(endpoint, &endpoint.listen_options()),
        Target::Descriptor(number) => inherited::take(*number),
        Target::Systemd(name) => inherited::from_service_manager(name),
        _ => return Err(ListenError::WrongKind { target: endpoint.to_string() }),
    };
    let adopted = inherited.and_then(|listener| socket::adopt(listener, calls));
    let adopted = adopted.and_then(|listening| {
        SockRef::from(&listening.socket).set_nonblocking(true)?;
        Ok(listening)
    });
    adopted.map_err(|source| ListenError::Adopt { source })
}

fn bind(endpoint: &Endpoint, options: &ListenOptions) -> Result<Listening, ListenError> {
    let address = listen_address(endpoint, |_, _| None)?;
    let bound = socket::listen(&address, options, &mut SystemCalls::default());
    bound.map_err(|source| ListenError::system(address, source))
}

/// Binds one more socket to the port that the first has.
fn bind_beside(address: &Address, endpoint: &Endpoint) -> Result<Listening, ListenError> {
    let mut options = endpoint.listen_options();
    options.reuse_port = true;
    let bound = socket::listen(address, &options, &mut SystemCalls::default());
    bound.map_err(|source| ListenError::system(address.clone(), source))
}
