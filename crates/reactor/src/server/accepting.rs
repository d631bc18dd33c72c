//! How listeners accept, and how they end.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use super::{Listening, State};
use crate::address::Addresses;
use crate::backend::{Accepted, Close, Started};
use crate::connection::Connection;
use crate::key::Key;
use crate::lost::Lost;
use crate::protocol::Protocol;
use crate::reactor::{Shell, Slot};

/// How many connections one listener accepts in a turn.
const ACCEPTS: usize = 64;
/// How long a listener waits after the system had no descriptor, or no memory, for a connection.
const BACK_OFF: Duration = Duration::from_millis(100);

/// What an accept led to.
enum Step {
    Next,
    Stop,
}

impl Shell {
    pub(super) fn listening<R>(&self, key: Key, change: impl FnOnce(&mut Listening) -> R) -> Option<R> {
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
                return self.go_on_draining(key);
            }
            if let Step::Stop = self.accept_one(key) {
                return self.go_on_draining(key);
            }
        }
        if self.spends_round(key) {
            self.go_on_accepting(key);
        }
    }

    pub(super) fn go_on_accepting(&self, key: Key) {
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
        let Some(protocol) = self.make_protocol(listener, &addresses) else {
            return self.turn_away(key);
        };
        let connection = Connection::new(protocol, addresses, Some(listener));
        self.begin(key, connection);
    }

    /// A protocol of the listener's factory. The connection counts as one of its from now on.
    pub(super) fn make_protocol(
        self: &Rc<Self>,
        listener: Key,
        addresses: &Addresses,
    ) -> Option<Box<dyn Protocol>> {
        let mut factory = self.listening(listener, |listening| listening.factory.take()).flatten()?;
        let made = || self.contained(|| factory(addresses)).flatten();
        let protocol = self.timed(made, || format!("the factory of the listener on {}", addresses.local));
        let mut factory = Some(factory);
        self.listening(listener, |listening| {
            listening.factory = factory.take();
            listening.live += usize::from(protocol.is_some());
        });
        self.contained(move || drop(factory));
        protocol
    }

    /// Puts a connection in its slot and tells its protocol.
    pub(crate) fn begin(self: &Rc<Self>, key: Key, connection: Connection) {
        self.stand(key, connection);
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
        // What stood for the connections that were left goes with the last.
        let was_last = self.listening(key, |listening| listening.state.closed && listening.live == 0);
        let gone = if was_last == Some(true) { self.remove_slot(key) } else { None };
        if let Some(Slot::Listener(listening)) = gone {
            self.discard_listening(*listening);
        }
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

    pub(super) fn stop_listener(&self, key: Key) {
        let begin = self.listening(key, |listening| {
            let begins = !std::mem::replace(&mut listening.state.stopping, true);
            (begins, listening.state.fed)
        });
        if begin == Some((true, true)) {
            self.listener_closed(key);
        } else if begin == Some((true, false)) {
            let started = self.backend().close(key, Close::Orderly);
            if let Started::Done(()) = started {
                self.listener_closed(key);
            }
        }
    }

    pub(crate) fn listener_closed(&self, key: Key) {
        let stays = self.listening(key, |listening| {
            let State { draining, fed, .. } = listening.state;
            let stays = (draining.is_under_way() || fed) && listening.live > 0;
            listening.state.closed = stays;
            stays.then(|| (listening.factory.take(), std::mem::take(&mut listening.on_stopped)))
        });
        let stopped = match stays.flatten() {
            Some((factory, stopped)) => {
                self.discard(factory);
                stopped
            }
            None => match self.remove_slot(key) {
                Some(Slot::Listener(listening)) => self.discard_listening(*listening),
                _ => return,
            },
        };
        for call in stopped {
            let place = std::panic::Location::caller();
            self.push(crate::ready::Entry::Call(crate::ready::Callback::new(call, place)));
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
