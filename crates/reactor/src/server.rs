//! Listeners.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use crate::address::{Address, Addresses};
use crate::backend::{Accepted, Close, Started};
use crate::connection::Connection;
use crate::endpoint::{Endpoint, Target};
use crate::error::ListenError;
use crate::inherited;
use crate::key::Key;
use crate::lost::Lost;
use crate::protocol::Protocol;
use crate::reactor::{Shell, Slot};

/// How many connections one listener accepts in a turn.
const ACCEPTS: usize = 64;
/// How long a listener waits after the system had no descriptor, or no memory, for a connection.
const BACK_OFF: Duration = Duration::from_millis(100);

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
        let state = self.state;
        !(state.paused || state.backing_off || state.stopping)
            && self.live < self.limit
            && self.factory.is_some()
    }

    /// What a dump says of it.
    pub(crate) fn line(&self) -> String {
        let State { paused, backing_off, stopping, .. } = self.state;
        let state = if stopping {
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
        let wanted = listen_address(shell, endpoint)?;
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
            Ok(address) => Ok(Self::install(shell, key, factory, address, usize::MAX)),
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
        self.with(|listening| listening.address.clone())
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
fn listen_address(shell: &Shell, endpoint: &Endpoint) -> Result<Address, ListenError> {
    if let Some(address) = endpoint.target().literal() {
        return Ok(address);
    }
    let (host, port) = endpoint.host().map(|host| (host.name(), host.port())).unwrap_or_default();
    if host == "localhost" {
        return Ok(Address::Inet(([127, 0, 0, 1], port).into()));
    }
    let resolved = shell.backend().resolve(&host, port);
    match resolved {
        Some(Ok(addresses)) if !addresses.is_empty() => Ok(Address::Inet(addresses[0])),
        _ => Err(ListenError::NotAnAddress { host }),
    }
}

/// What an accept led to.
enum Step {
    Next,
    Stop,
}

impl Shell {
    fn listening<R>(&self, key: Key, change: impl FnOnce(&mut Listening) -> R) -> Option<R> {
        self.slot(key, |slot| match slot {
            Slot::Listener(listening) => Some(change(listening)),
            _ => None,
        })?
    }

    /// The backend may have connections.
    pub(crate) fn acceptable(self: &Rc<Self>, key: Key) {
        let listed = self.listening(key, |listening| {
            listening.state.input = true;
            listening.state.listed
        });
        // What stands on the list has its turn there, and not twice.
        if listed == Some(false) {
            self.accept(key);
        }
    }

    /// Goes on with a listener that was listed.
    pub(crate) fn accept_more(self: &Rc<Self>, key: Key) {
        self.listening(key, |listening| listening.state.listed = false);
        self.accept(key);
    }

    fn accept(self: &Rc<Self>, key: Key) {
        for _ in 0..ACCEPTS {
            if self.listening(key, |listening| listening.accepts()) != Some(true) {
                return;
            }
            if let Step::Stop = self.accept_one(key) {
                return;
            }
        }
        self.go_on_accepting(key);
    }

    fn go_on_accepting(&self, key: Key) {
        if self.listening(key, Listening::wants_list) == Some(true) {
            self.list(key);
        }
    }

    fn accept_one(self: &Rc<Self>, listener: Key) -> Step {
        let key = self.add_slot(Slot::Reserved);
        let accepted = self.backend().accept(listener, key);
        match accepted {
            Accepted::Connection(addresses) => {
                self.welcome(listener, key, addresses);
                Step::Next
            }
            Accepted::Dry => {
                self.remove_slot(key);
                self.listening(listener, |listening| listening.state.input = false);
                Step::Stop
            }
            Accepted::Failed(error) => {
                self.remove_slot(key);
                self.accept_failed(listener, &error)
            }
        }
    }

    /// Asks the factory for a protocol, and begins the connection.
    fn welcome(self: &Rc<Self>, listener: Key, key: Key, addresses: Addresses) {
        let factory = self.listening(listener, |listening| listening.factory.take()).flatten();
        let Some(mut factory) = factory else {
            return self.turn_away(key);
        };
        let made = || self.contained(|| factory(&addresses)).flatten();
        let protocol = self.timed(made, || format!("the factory of the listener on {}", addresses.local));
        let mut factory = Some(factory);
        self.listening(listener, |listening| listening.factory = factory.take());
        self.contained(move || drop(factory));
        let Some(protocol) = protocol else {
            return self.turn_away(key);
        };
        self.listening(listener, |listening| listening.live += 1);
        let connection = Connection::new(protocol, addresses, Some(listener));
        self.begin(key, connection);
    }

    /// Puts a connection in its slot and tells its protocol.
    pub(crate) fn begin(self: &Rc<Self>, key: Key, connection: Connection) {
        self.slot(key, |slot| *slot = Slot::Connection(connection));
        self.call_protocol(key, |protocol, transport| protocol.connection_made(transport));
    }

    pub(crate) fn turn_away(&self, key: Key) {
        let started = self.backend().close(key, Close::Orderly);
        if let Started::Done(()) = started {
            self.remove_slot(key);
        }
    }

    fn accept_failed(self: &Rc<Self>, key: Key, error: &io::Error) -> Step {
        let this_peer_only =
            matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::PermissionDenied);
        if !this_peer_only {
            self.listening(key, |listening| listening.state.backing_off = true);
            let shell = Rc::clone(self);
            self.timer_after(BACK_OFF, move || {
                shell.listening(key, |listening| listening.state.backing_off = false);
                shell.go_on_accepting(key);
            });
        }
        let call = self.listening(key, |listening| listening.on_error.take()).flatten();
        if let Some(mut call) = call {
            self.contained(|| call(error));
            let mut call = Some(call);
            self.listening(key, |listening| {
                if listening.on_error.is_none() {
                    listening.on_error = call.take();
                }
            });
            self.contained(move || drop(call));
        } else {
            tracing::warn!(%error, "a connection could not be accepted");
        }
        if this_peer_only { Step::Next } else { Step::Stop }
    }

    /// One of the listener's connections is gone.
    pub(crate) fn server_lost_one(&self, key: Key, addresses: &Addresses, lost: &Lost) {
        let call = self.listening(key, |listening| {
            listening.live -= 1;
            listening.on_lost.take()
        });
        if let Some(mut call) = call.flatten() {
            self.contained(|| call(addresses, lost));
            let mut call = Some(call);
            self.listening(key, |listening| {
                if listening.on_lost.is_none() {
                    listening.on_lost = call.take();
                }
            });
            self.contained(move || drop(call));
        }
        self.go_on_accepting(key);
    }

    // The end of a listener.

    fn stop_listener(&self, key: Key) {
        let begin = self.listening(key, |listening| !std::mem::replace(&mut listening.state.stopping, true));
        if begin == Some(true) {
            let started = self.backend().close(key, Close::Orderly);
            if let Started::Done(()) = started {
                self.listener_closed(key);
            }
        }
    }

    pub(crate) fn listener_closed(&self, key: Key) {
        if let Some(Slot::Listener(listening)) = self.remove_slot(key) {
            for call in self.discard_listening(*listening) {
                self.push(crate::ready::Entry::Call(crate::ready::Callback::new(
                    call,
                    std::panic::Location::caller(),
                )));
            }
        }
    }

    /// Lets the loop drop what a listener called. Answers with what is to be called now.
    pub(crate) fn discard_listening(&self, listening: Listening) -> Vec<Box<dyn FnOnce()>> {
        let Listening { factory, on_lost, on_error, on_stopped, .. } = listening;
        self.discard(factory);
        self.discard(on_lost);
        self.discard(on_error);
        on_stopped
    }

    pub(crate) fn stop_listeners(&self) {
        for key in self.slot_keys() {
            self.stop_listener(key);
        }
    }
}
