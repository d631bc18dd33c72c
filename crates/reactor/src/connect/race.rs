//! The race of a target's addresses ("happy eyeballs", RFC 8305): they are begun one after the other, a short time apart,
//! and the first that answers is the connection.
//!
//! ```text
//!  IPv6 a  ├──────────────────────────────x given up when b has won
//!  IPv4 b          ├──────────────> connected
//!          250 ms  ^
//! ```
//!
//! * An address begins when the one before it has had its time alone (the *attempt delay*), or when one has failed.
//! * Addresses of IPv4 that come from the resolver before the answer for IPv6 wait a little for that (the *resolution
//!   delay*).
//! * Both are one timer: the attempt *pauses*. So it does when a UNIX socket's listener has no room (EAGAIN, connect(2)): the
//!   system tells nobody when there is some, so it is tried again.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use super::{Attempt, Try, TryState};
use crate::address::{Address, Addresses};
use crate::backend::ConnectOptions;
use crate::connection::Connection;
use crate::contain::contain;
use crate::endpoint::Host;
use crate::error::{ConnectError, LookupError};
use crate::key::Key;
use crate::reactor::{Shell, Slot};
use crate::resolve::Family;
use crate::transport::Transport;

/// How long addresses of IPv4 wait for those of IPv6 (RFC 8305, section 8).
const RESOLUTION_DELAY: Duration = Duration::from_millis(50);
/// How long a UNIX socket waits before it is tried again whose listener's backlog is full.
const TRY_AGAIN: Duration = Duration::from_millis(10);
/// How many addresses of one target are tried at the same time. Each has a descriptor.
const AT_ONCE: usize = 64;

/// What an attempt does next.
enum Step {
    Try(Address, ConnectOptions),
    Pause(Duration),
    /// For an answer, of an address or of the resolver, or for the end of the pause.
    Wait,
    Fail(ConnectError),
}

/// What became of an address that was to begin.
enum Begun {
    UnderWay,
    NoRoom,
    Failed,
}

impl Attempt {
    fn next_step(&mut self) -> Step {
        if self.pause.is_some() {
            return Step::Wait;
        }
        if self.candidates.is_empty() {
            let waits = self.under_way().next().is_some() || self.expects_more();
            return if waits { Step::Wait } else { Step::Fail(self.failure()) };
        }
        if self.tries.is_empty() && self.expects(Family::V6) && !self.has_waited {
            return Step::Pause(RESOLUTION_DELAY);
        }
        if self.under_way().count() >= AT_ONCE {
            return Step::Wait;
        }
        let options = self.endpoint.connect_options();
        self.candidates.pop().map_or(Step::Wait, |address| Step::Try(address, options))
    }

    /// Whether the resolver may still find addresses of this family that could be tried.
    pub(super) fn expects(&self, family: Family) -> bool {
        self.look_up.awaits(family) && self.candidates.accepts(family)
    }

    pub(super) fn expects_more(&self) -> bool {
        self.expects(Family::V4) || self.expects(Family::V6)
    }

    /// The backend answered for an address that was under way. Whether it is to be tried again.
    fn note_failure(&mut self, slot: Key, error: io::Error) -> bool {
        let Some(place) = self.tries.iter().position(|one| one.slot() == Some(slot)) else { return false };
        if !has_no_room(&self.tries[place].address, &error) {
            self.tries[place].state = TryState::Failed(error);
            return false;
        }
        let address = self.tries.remove(place).address;
        self.candidates.add_literal(address);
        true
    }

    /// An address did not even begin. Whether it is to be tried again.
    fn note_refusal(&mut self, address: Address, error: io::Error) -> bool {
        if has_no_room(&address, &error) {
            self.candidates.add_literal(address);
            return true;
        }
        self.tries.push(Try::failed(address, error));
        false
    }

    /// Why it came to nothing.
    fn failure(&mut self) -> ConnectError {
        let (target, error) = (self.endpoint.to_string(), self.look_up.error.take());
        if !self.tries.is_empty() {
            let tries = std::mem::take(&mut self.tries).into_iter();
            let attempts = tries.filter_map(Try::into_failure).collect();
            return ConnectError::Failed { target, attempts, look_up: error };
        }
        let bind = self.endpoint.bind_value();
        let none_matches = self.candidates.skipped_some() || self.look_up.is_open();
        match (error, bind) {
            (None, Some(local)) if none_matches => ConnectError::WrongFamily { target, local },
            (error, _) => {
                let source = error.unwrap_or(LookupError::NoAddress);
                ConnectError::Lookup {
                    host: self.endpoint.host().map_or_else(String::new, Host::name),
                    source,
                }
            }
        }
    }
}

/// Whether a listener only has no room for one more just now.
fn has_no_room(address: &Address, error: &io::Error) -> bool {
    address.as_unix().is_some() && error.kind() == io::ErrorKind::WouldBlock
}

impl Shell {
    /// Begins the next address if its time has come, and ends the attempt if nothing can come of it any more.
    pub(super) fn go_on_connecting(self: &Rc<Self>, key: Key) {
        loop {
            match self.attempt(key, Attempt::next_step) {
                Some(Step::Try(address, options)) => match self.try_address(key, &address, &options) {
                    Begun::UnderWay => return self.give_it_time(key),
                    Begun::NoRoom => return self.pause_connecting(key, TRY_AGAIN),
                    Begun::Failed => {}
                },
                Some(Step::Pause(delay)) => return self.pause_connecting(key, delay),
                Some(Step::Fail(error)) => {
                    self.fail_connect(key, |_| error);
                    return;
                }
                Some(Step::Wait) | None => return,
            }
        }
    }

    /// An address was begun: it is alone for a while, if others may follow.
    fn give_it_time(self: &Rc<Self>, key: Key) {
        let delay = self.attempt(key, |attempt| {
            let others = !attempt.candidates.is_empty() || attempt.expects_more();
            others.then(|| attempt.endpoint.attempt_delay_value())
        });
        if let Some(delay) = delay.flatten() {
            self.pause_connecting(key, delay);
        }
    }

    fn pause_connecting(self: &Rc<Self>, key: Key, delay: Duration) {
        let shell = Rc::clone(self);
        let pause = self.timer_after(delay, move || {
            shell.attempt(key, |attempt| {
                attempt.pause = None;
                attempt.has_waited = true;
            });
            shell.go_on_connecting(key);
        });
        self.attempt(key, |attempt| attempt.pause = Some(pause));
    }

    /// Begins to connect to this address.
    fn try_address(&self, key: Key, address: &Address, options: &ConnectOptions) -> Begun {
        let slot = self.add_slot(Slot::Attempt(key));
        let begun = self.backend().connect(slot, address, options);
        match begun {
            Ok(()) => {
                self.attempt(key, |attempt| attempt.tries.push(Try::begun(address.clone(), slot)));
                Begun::UnderWay
            }
            Err(error) => {
                self.remove_slot(slot);
                let again = self.attempt(key, |attempt| attempt.note_refusal(address.clone(), error));
                if again == Some(true) { Begun::NoRoom } else { Begun::Failed }
            }
        }
    }

    /// The backend answered for an address.
    pub(crate) fn connected(self: &Rc<Self>, slot: Key, result: io::Result<()>) {
        let key = self.slot(slot, |slot| match slot {
            Slot::Attempt(key) => Some(*key),
            _ => None,
        });
        let Some(key) = key.flatten() else { return };
        // One that was given up is being closed; its answer concerns nobody.
        let is_awaited = self.attempt(key, |attempt| attempt.under_way().any(|other| other == slot));
        if is_awaited != Some(true) {
            return;
        }
        match result.and_then(|()| self.backend().addresses(slot)) {
            Ok(addresses) => self.established(key, slot, addresses, |_| ()),
            Err(error) => self.address_failed(key, slot, error),
        }
    }

    fn address_failed(self: &Rc<Self>, key: Key, slot: Key, error: io::Error) {
        self.turn_away(slot);
        let noted = self.attempt(key, |attempt| (attempt.note_failure(slot, error), attempt.pause.take()));
        let Some((again, pause)) = noted else { return };
        pause.into_iter().for_each(|pause| self.cancel_timer(pause));
        if again {
            self.pause_connecting(key, TRY_AGAIN);
        } else {
            self.go_on_connecting(key);
        }
    }

    /// The connection stands. `finish` says what is particular about it.
    pub(super) fn established(
        self: &Rc<Self>,
        key: Key,
        slot: Key,
        addresses: Addresses,
        finish: impl FnOnce(&mut Connection),
    ) {
        let Some(attempt) = self.take_attempt(key) else { return };
        for other in attempt.under_way().filter(|other| *other != slot) {
            self.turn_away(other);
        }
        let Attempt { endpoint, factory, done, place, look_up, .. } = attempt;
        self.end_look_up(look_up);
        let target = || endpoint.to_string();
        let factory = || contain(|| factory(&addresses));
        let outcome = match self.timed(factory, || format!("the factory given to `connect` at {place}")) {
            Ok(Some(protocol)) => {
                let mut connection = Connection::new(protocol, addresses, None);
                finish(&mut connection);
                self.begin(slot, connection);
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
}
