//! Listeners.
//!
//! * `accepting`: how they accept, and how they end.
//! * `draining`: an end in which nobody who waits is lost, and connections that were accepted elsewhere.

mod accepting;
mod draining;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use crate::address::{Address, Addresses};
use crate::endpoint::{Endpoint, Target};
use crate::error::ListenError;
use crate::group;
use crate::inherited;
use crate::key::Key;
use crate::lost::Lost;
use crate::protocol::Protocol;
use crate::reactor::{Shell, Slot};
use draining::Draining;

type Factory = Box<dyn FnMut(&Addresses) -> Option<Box<dyn Protocol>>>;
type OnLost = Box<dyn FnMut(&Addresses, &Lost)>;
type OnError = Box<dyn FnMut(&io::Error)>;

/// What the loop keeps of a listener.
pub(crate) struct Listening {
    /// `None` while it runs.
    factory: Option<Factory>,
    on_lost: Option<OnLost>,
    on_error: Option<OnError>,
    on_stopped: Vec<Box<dyn FnOnce()>>,
    address: Address,
    /// How many connections may stand at a time.
    limit: usize,
    live: usize,
    state: State,
}

#[derive(Clone, Copy, Default)]
struct State {
    paused: bool,
    /// The backend may have connections.
    input: bool,
    listed: bool,
    backing_off: bool,
    stopping: bool,
    /// It is closed, and stands for connections that are left.
    closed: bool,
    /// It accepts nobody itself: it is given its connections.
    fed: bool,
    draining: Draining,
}

impl Listening {
    fn new(factory: Factory, address: Address, limit: usize) -> Box<Self> {
        Box::new(Self {
            factory: Some(factory),
            on_lost: None,
            on_error: None,
            on_stopped: Vec::new(),
            address,
            limit,
            live: 0,
            state: State::default(),
        })
    }

    fn accepts(&self) -> bool {
        self.has_room() && self.factory.is_some()
    }

    fn has_room(&self) -> bool {
        let state = self.state;
        !(state.paused || state.backing_off || state.stopping) && self.live < self.limit
    }

    /// What a dump says of it.
    pub(crate) fn line(&self) -> String {
        let State { paused, backing_off, stopping, .. } = self.state;
        let state = if self.state.closed {
            "closed"
        } else if stopping {
            "stopping"
        } else if paused {
            "paused"
        } else if backing_off {
            "waiting, because the system had no room"
        } else if self.live >= self.limit {
            "full"
        } else {
            "accepting"
        };
        let limit =
            if self.limit == usize::MAX { String::new() } else { format!(" of at most {}", self.limit) };
        format!("on {}: {state}, {}{limit} connections", self.address, self.live)
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.state.stopping
    }

    /// Whether only its connections are left of it.
    pub(crate) fn is_closed(&self) -> bool {
        self.state.closed
    }

    /// Whether it has to be listed, to go on accepting. Marks it so.
    fn wants_list(&mut self) -> bool {
        let wants = self.state.input && self.accepts() && !self.state.listed;
        self.state.listed |= wants;
        wants
    }
}

/// A listener: a small handle, `Clone` and not `Send`. Dropping it changes nothing; the loop owns the listener.
#[derive(Clone)]
pub struct Server {
    shell: Rc<Shell>,
    key: Key,
}

impl Server {
    pub(crate) fn listen(
        shell: &Rc<Shell>,
        endpoint: &Endpoint,
        factory: Factory,
    ) -> Result<Self, ListenError> {
        if shell.refuses_work() {
            return Err(ListenError::Over);
        }
        let shared = match endpoint.target() {
            Target::Registered(_) => None,
            _ => group::shared_listening(shell),
        };
        if let Some(shared) = shared {
            return shared.listen(shell, endpoint, factory);
        }
        let inherited = match endpoint.target() {
            Target::Tcp(_) | Target::Unix(_) => None,
            Target::Descriptor(number) => Some(inherited::take(*number)),
            Target::Systemd(name) => Some(inherited::from_service_manager(name)),
            Target::Registered(parts) => {
                let kind = parts.kind();
                let kind = kind.ok_or_else(|| ListenError::WrongKind { target: parts.to_string() })?;
                let server = kind.listen(&crate::reactor::Handle::new(Rc::clone(shell)), parts, factory)?;
                endpoint.limit_value().into_iter().for_each(|limit| server.set_limit(limit));
                return Ok(server);
            }
            _ => return Err(ListenError::WrongKind { target: endpoint.to_string() }),
        };
        if let Some(inherited) = inherited {
            let listener = inherited.map_err(|source| ListenError::Adopt { source })?;
            let server = Self::adopt(shell, listener, factory)?;
            endpoint.limit_value().into_iter().for_each(|limit| server.set_limit(limit));
            return Ok(server);
        }
        let wanted = listen_address(endpoint, |host, port| shell.backend().resolve(host, port))?;
        let key = shell.add_slot(Slot::Reserved);
        let listening = shell.backend().listen(key, &wanted, &endpoint.listen_options());
        match listening {
            Ok(address) => {
                let limit = endpoint.limit_value().unwrap_or(usize::MAX);
                Ok(Self::install(shell, key, factory, address, limit))
            }
            Err(error) => {
                shell.remove_slot(key);
                Err(ListenError::system(wanted, error))
            }
        }
    }

    pub(crate) fn adopt(shell: &Rc<Shell>, listener: OwnedFd, factory: Factory) -> Result<Self, ListenError> {
        if shell.refuses_work() {
            return Err(ListenError::Over);
        }
        let key = shell.add_slot(Slot::Reserved);
        let adopted = shell.backend().adopt(key, listener);
        match adopted {
            Ok(address) => {
                let server = Self::install(shell, key, factory, address, usize::MAX);
                // From the loop, unless it is paused before that.
                server.with(|listening| listening.state.input = true);
                shell.go_on_accepting(key);
                Ok(server)
            }
            Err(source) => {
                shell.remove_slot(key);
                Err(ListenError::Adopt { source })
            }
        }
    }

    fn install(shell: &Rc<Shell>, key: Key, factory: Factory, address: Address, limit: usize) -> Self {
        shell.slot(key, |slot| *slot = Slot::Listener(Listening::new(factory, address, limit)));
        Self { shell: Rc::clone(shell), key }
    }

    /// Where it listens, with the real port. `None` once it is closed.
    #[must_use]
    pub fn local_address(&self) -> Option<Address> {
        self.with(|listening| (!listening.state.closed).then(|| listening.address.clone())).flatten()
    }

    /// How many of its connections may stand at a time.
    pub(crate) fn limit(&self) -> usize {
        self.with(|listening| listening.limit).unwrap_or(usize::MAX)
    }

    /// How many of its connections stand.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.with(|listening| listening.live).unwrap_or(0)
    }

    /// Accepts nobody until [`resume`](Self::resume). Peers queue in the system, as many as its backlog holds.
    pub fn pause(&self) {
        self.with(|listening| listening.state.paused = true);
    }

    /// Goes on accepting.
    pub fn resume(&self) {
        self.with(|listening| listening.state.paused = false);
        self.shell.go_on_accepting(self.key);
    }

    /// Sets how many of its connections may stand at a time. Unlimited by default. More peers queue in the system.
    pub fn set_limit(&self, limit: usize) {
        self.with(|listening| listening.limit = limit);
        self.shell.go_on_accepting(self.key);
    }

    /// Stops listening. Its connections go on. Calling it again does nothing.
    pub fn stop(&self) {
        self.shell.stop_listener(self.key);
    }

    /// Calls `call` when the socket is closed and its port is free; soon, if it is already.
    pub fn on_stopped(&self, call: impl FnOnce() + 'static) {
        let mut call = Some(call);
        self.with(|listening| {
            listening.on_stopped.extend(call.take().map(|call| Box::new(call) as Box<dyn FnOnce()>))
        });
        if let Some(call) = call {
            crate::reactor::Handle::new(Rc::clone(&self.shell)).call_soon(call);
        }
    }

    /// Calls `call` when one of its connections is lost, after the protocol was told. Replaces what was set before.
    pub fn on_lost(&self, call: impl FnMut(&Addresses, &Lost) + 'static) {
        let old = self.with(|listening| listening.on_lost.replace(Box::new(call)));
        self.shell.contained(move || drop(old));
    }

    /// Calls `call` when accepting failed: for want of descriptors, above all, after which the listener waits a
    /// tenth of a second before it goes on. Replaces what was set before.
    pub fn on_error(&self, call: impl FnMut(&io::Error) + 'static) {
        let old = self.with(|listening| listening.on_error.replace(Box::new(call)));
        self.shell.contained(move || drop(old));
    }

    fn with<R>(&self, change: impl FnOnce(&mut Listening) -> R) -> Option<R> {
        self.shell.listening(self.key, change)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({:?})", self.key)
    }
}

/// The address that an endpoint names, for a listener.
pub(crate) fn listen_address(
    endpoint: &Endpoint,
    resolve: impl FnOnce(&str, u16) -> Option<io::Result<Vec<SocketAddr>>>,
) -> Result<Address, ListenError> {
    if let Some(address) = endpoint.target().literal() {
        return Ok(address);
    }
    let (host, port) = endpoint.host().map(|host| (host.name(), host.port())).unwrap_or_default();
    if host == "localhost" {
        return Ok(Address::Inet(([127, 0, 0, 1], port).into()));
    }
    match resolve(&host, port) {
        Some(Ok(addresses)) if !addresses.is_empty() => Ok(Address::Inet(addresses[0])),
        _ => Err(ListenError::NotAnAddress { host }),
    }
}
