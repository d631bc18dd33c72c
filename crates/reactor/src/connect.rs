//! Connecting: look the name up, try the addresses one after the other, give the first that answers to a protocol.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::panic::Location;
use std::rc::{Rc, Weak};

use crate::address::{Address, Addresses};
use crate::backend::Close;
use crate::connection::Connection;
use crate::contain::contain;
use crate::endpoint::{Endpoint, EndpointError};
use crate::error::ConnectError;
use crate::key::Key;
use crate::pool::Job;
use crate::protocol::Protocol;
use crate::reactor::{Shell, Slot};
use crate::ready::{Callback, Entry};
use crate::slab::Slab;
use crate::timer::queue::TimerId;
use crate::transport::Transport;

type Factory = Box<dyn FnOnce(&Addresses) -> Option<Box<dyn Protocol>>>;
type Done = Box<dyn FnOnce(Result<Transport, ConnectError>)>;

/// What is being connected to.
pub(crate) struct Attempt {
    endpoint: Endpoint,
    factory: Factory,
    done: Done,
    /// Addresses that are still to be tried.
    candidates: VecDeque<Address>,
    failed: Vec<(Address, io::Error)>,
    /// The slot of the address that is being tried.
    current: Option<(Key, Address)>,
    deadline: Option<TimerId>,
    /// The look-up of the name.
    look_up: Option<Job>,
    /// Where the program asked for it.
    place: &'static Location<'static>,
}

impl Attempt {
    fn row(&self) -> String {
        let state = match &self.current {
            Some((_, address)) => format!("trying {address}"),
            None => "looking the name up".to_owned(),
        };
        let (left, failed) = (self.candidates.len(), self.failed.len());
        format!(
            "to {}, begun at {}: {state}; {left} addresses left, {failed} failed",
            self.endpoint, self.place
        )
    }
}

/// The loop's attempts.
pub(crate) struct ConnectTable {
    table: Slab<Attempt>,
}

impl Default for ConnectTable {
    fn default() -> Self {
        Self { table: Slab::new() }
    }
}

impl ConnectTable {
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// A line for each.
    pub(crate) fn rows(&self) -> Vec<String> {
        self.table.values().map(Attempt::row).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.table.len() == 0
    }
}

/// A connection attempt that is under way. Dropping it changes nothing.
#[derive(Clone)]
pub struct Connecting {
    shell: Weak<Shell>,
    /// `None` if it failed before it began.
    key: Option<Key>,
}

impl Connecting {
    #[track_caller]
    pub(crate) fn start(
        shell: &Rc<Shell>,
        endpoint: Result<Endpoint, EndpointError>,
        factory: Factory,
        done: Done,
    ) -> Self {
        let endpoint = match endpoint {
            Ok(endpoint) if !shell.refuses_work() => endpoint,
            failed => {
                let error = failed.map_or_else(ConnectError::Endpoint, |_| ConnectError::Over);
                shell.answer(done, Err(error), Location::caller());
                shell.contained(move || drop(factory));
                return Self { shell: shell.weak(), key: None };
            }
        };
        let timeout = endpoint.timeout_value();
        let key = shell.connects.borrow_mut().table.insert(Attempt {
            endpoint,
            factory,
            done,
            candidates: VecDeque::new(),
            failed: Vec::new(),
            current: None,
            deadline: None,
            place: Location::caller(),
            look_up: None,
        });
        if let Some(timeout) = timeout {
            let timed = Rc::clone(shell);
            let deadline = shell.timer_after(timeout, move || timed.connect_timed_out(key));
            shell.attempt(key, |attempt| attempt.deadline = Some(deadline));
        }
        shell.look_up(key);
        Self { shell: shell.weak(), key: Some(key) }
    }

    /// Gives up: the outcome is [`ConnectError::Cancelled`], told from the loop. `false` if the outcome is certain already.
    pub fn cancel(&self) -> bool {
        let (Some(shell), Some(key)) = (self.shell.upgrade(), self.key) else {
            return false;
        };
        shell.fail_connect(key, |attempt| ConnectError::Cancelled { target: attempt.endpoint.to_string() })
    }

    /// Whether the outcome is still open.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        let (Some(shell), Some(key)) = (self.shell.upgrade(), self.key) else {
            return false;
        };
        shell.attempt(key, |_| ()).is_some()
    }
}

impl fmt::Debug for Connecting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connecting").field("is_pending", &self.is_pending()).finish()
    }
}

impl Shell {
    fn attempt<R>(&self, key: Key, change: impl FnOnce(&mut Attempt) -> R) -> Option<R> {
        self.connects.borrow_mut().table.get_mut(key).map(change)
    }

    fn answer(
        &self,
        done: Done,
        outcome: Result<Transport, ConnectError>,
        place: &'static Location<'static>,
    ) {
        self.push(Entry::Call(Callback::new(move || done(outcome), place)));
    }

    /// Finds the addresses: in the endpoint itself, from the backend, or else from the resolver's threads.
    fn look_up(self: &Rc<Self>, key: Key) {
        let Some((literal, host, port)) = self.attempt(key, |attempt| {
            let endpoint = &attempt.endpoint;
            (endpoint.literal(), endpoint.host(), endpoint.port())
        }) else {
            return;
        };
        if let Some(address) = literal {
            self.attempt(key, |attempt| attempt.candidates.push_back(address));
            return self.try_next(key);
        }
        let known = self.backend().resolve(&host, port);
        match known {
            Some(result) => self.looked_up(key, result),
            None => {
                let asked = self.ask_resolver(host, port, key);
                match asked {
                    Ok(job) => _ = self.attempt(key, |attempt| attempt.look_up = Some(job)),
                    Err(error) => self.looked_up(key, Err(error)),
                }
            }
        }
    }

    pub(crate) fn looked_up(self: &Rc<Self>, key: Key, result: io::Result<Vec<SocketAddr>>) {
        let result = result.and_then(|addresses| {
            if addresses.is_empty() {
                return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
            }
            Ok(addresses)
        });
        match result {
            Ok(addresses) => {
                self.attempt(key, |attempt| {
                    attempt.candidates.extend(addresses.into_iter().map(Address::Inet))
                });
                self.try_next(key);
            }
            Err(source) => {
                self.fail_connect(key, |attempt| ConnectError::Lookup {
                    host: attempt.endpoint.host(),
                    source,
                });
            }
        }
    }

    /// Tries the next address, until one is under way or none is left.
    fn try_next(self: &Rc<Self>, key: Key) {
        loop {
            let next = self.attempt(key, |attempt| {
                let address = attempt.candidates.pop_front()?;
                Some((address, attempt.endpoint.connect_options()))
            });
            let Some(next) = next else { return };
            let Some((address, options)) = next else {
                self.fail_connect(key, |attempt| ConnectError::Failed {
                    target: attempt.endpoint.to_string(),
                    attempts: std::mem::take(&mut attempt.failed),
                });
                return;
            };
            let slot = self.add_slot(Slot::Attempt(key));
            let begun = self.backend().connect(slot, &address, &options);
            match begun {
                Ok(()) => {
                    self.attempt(key, |attempt| attempt.current = Some((slot, address)));
                    return;
                }
                Err(error) => {
                    self.remove_slot(slot);
                    self.attempt(key, |attempt| attempt.failed.push((address, error)));
                }
            }
        }
    }

    /// The backend answered an attempt.
    pub(crate) fn connected(self: &Rc<Self>, slot: Key, result: io::Result<()>) {
        let key = self.slot(slot, |slot| match slot {
            Slot::Attempt(key) => Some(*key),
            _ => None,
        });
        let Some(key) = key.flatten() else { return };
        // An attempt that was given up is being closed; its answer concerns nobody.
        let current = self.attempt(key, |attempt| attempt.current.take_if(|(current, _)| *current == slot));
        let Some(Some((_, address))) = current else { return };
        match result.and_then(|()| self.backend().addresses(slot)) {
            Ok(addresses) => self.established(key, slot, addresses),
            Err(error) => {
                self.turn_away(slot);
                self.attempt(key, |attempt| attempt.failed.push((address, error)));
                self.try_next(key);
            }
        }
    }

    fn take_attempt(&self, key: Key) -> Option<Attempt> {
        let attempt = self.connects.borrow_mut().table.remove(key)?;
        if let Some(deadline) = attempt.deadline {
            self.cancel_timer(deadline);
        }
        if let Some(look_up) = &attempt.look_up {
            // One that waits for a thread need not be made any more.
            look_up.cancel();
        }
        Some(attempt)
    }

    fn established(self: &Rc<Self>, key: Key, slot: Key, addresses: Addresses) {
        let Some(Attempt { endpoint, factory, done, place, .. }) = self.take_attempt(key) else {
            return;
        };
        let target = || endpoint.to_string();
        let factory = || contain(|| factory(&addresses));
        let outcome = match self.timed(factory, || format!("the factory given to `connect` at {place}")) {
            Ok(Some(protocol)) => {
                self.begin(slot, Connection::new(protocol, addresses, None));
                let lost = self.alter(slot, |connection| connection.loss());
                match lost.flatten() {
                    Some(lost) => Err(ConnectError::Lost(lost)),
                    None => Ok(Transport::new(Rc::clone(self), slot)),
                }
            }
            refused => {
                self.turn_away(slot);
                Err(match refused {
                    Err(panic) => ConnectError::Panicked { target: target(), panic },
                    _ => ConnectError::Refused { target: target() },
                })
            }
        };
        let told = || contain(move || done(outcome)).map_err(|panic| self.report_panic(panic, place));
        _ = self.timed(told, || format!("the callback given to `connect` at {place}"));
    }

    /// Ends an attempt with an error: whether it was still open.
    fn fail_connect(self: &Rc<Self>, key: Key, error: impl FnOnce(&mut Attempt) -> ConnectError) -> bool {
        let Some(mut attempt) = self.take_attempt(key) else {
            return false;
        };
        let error = error(&mut attempt);
        if let Some((slot, _)) = attempt.current {
            let started = self.backend().close(slot, Close::Orderly);
            if let crate::backend::Started::Done(()) = started {
                self.remove_slot(slot);
            }
        }
        self.answer(attempt.done, Err(error), attempt.place);
        self.discard(attempt.factory);
        true
    }

    fn connect_timed_out(self: &Rc<Self>, key: Key) {
        self.fail_connect(key, |attempt| ConnectError::TimedOut {
            target: attempt.endpoint.to_string(),
            after: attempt.endpoint.timeout_value().unwrap_or_default(),
        });
    }

    /// Tells every attempt that the loop ends.
    pub(crate) fn cancel_connects(self: &Rc<Self>) {
        let keys = self.connects.borrow().table.keys();
        for key in keys {
            self.fail_connect(key, |_| ConnectError::Over);
        }
    }

    pub(crate) fn clear_connects(&self) {
        let table = std::mem::take(&mut *self.connects.borrow_mut());
        for key in table.table.keys() {
            let current = table.table.get(key).and_then(|attempt| attempt.current.as_ref());
            if let Some((slot, _)) = current {
                let _ = self.backend().close(*slot, Close::Orderly);
            }
        }
        for attempt in table.table.into_values() {
            let Attempt { factory, done, .. } = attempt;
            self.contained(move || drop(factory));
            self.contained(move || drop(done));
        }
    }
}
