//! Connecting: look the name up, try the addresses, give the first that answers to a protocol.
//!
//! * `look_up`: what is asked of the resolver, and what to do with its answers.
//! * `candidates`: the addresses, in the order in which they are tried.
//! * `opened`: what is opened rather than reached.
//! * `race`: when each of them begins, and what becomes of it.
//! * `timed`: the timeout of an endpoint of a program's kind.
//! * This file: an attempt, from its beginning to its end.

mod candidates;
mod look_up;
mod opened;
mod race;
mod timed;

use std::fmt;
use std::io;
use std::panic::Location;
use std::rc::{Rc, Weak};

use candidates::Candidates;
use look_up::LookUp;
pub(crate) use look_up::Part;

use crate::address::Address;
use crate::backend::Close;
use crate::endpoint::{ConnectDone, ConnectFactory, Endpoint, EndpointError, Target};
use crate::error::ConnectError;
use crate::filter::Stage;
use crate::key::Key;
use crate::reactor::{Handle, Shell};
use crate::ready::{Callback, Entry};
use crate::slab::Slab;
use crate::timer::queue::TimerId;
use crate::transport::Transport;

/// What is being connected to.
pub(crate) struct Attempt {
    endpoint: Endpoint,
    factory: ConnectFactory,
    done: ConnectDone,
    look_up: LookUp,
    /// Addresses that are still to be tried.
    candidates: Candidates,
    /// Those that were begun, in that order.
    tries: Vec<Try>,
    deadline: Option<TimerId>,
    /// Until it comes no further address begins, unless one fails.
    pause: Option<TimerId>,
    /// It has paused before.
    has_waited: bool,
    /// Where the program asked for it.
    place: &'static Location<'static>,
}

/// An address that was begun.
struct Try {
    address: Address,
    state: TryState,
}

enum TryState {
    /// With its slot.
    UnderWay(Key),
    Failed(io::Error),
}

impl Try {
    fn begun(address: Address, slot: Key) -> Self {
        Self { address, state: TryState::UnderWay(slot) }
    }

    fn failed(address: Address, error: io::Error) -> Self {
        Self { address, state: TryState::Failed(error) }
    }

    fn slot(&self) -> Option<Key> {
        match self.state {
            TryState::UnderWay(slot) => Some(slot),
            TryState::Failed(_) => None,
        }
    }

    fn into_failure(self) -> Option<(Address, io::Error)> {
        match self.state {
            TryState::UnderWay(_) => None,
            TryState::Failed(error) => Some((self.address, error)),
        }
    }
}

impl Attempt {
    fn new(
        endpoint: Endpoint,
        factory: ConnectFactory,
        done: ConnectDone,
        place: &'static Location<'static>,
    ) -> Self {
        Self {
            candidates: Candidates::new(endpoint.bind_value()),
            endpoint,
            factory,
            done,
            look_up: LookUp::default(),
            tries: Vec::new(),
            deadline: None,
            pause: None,
            has_waited: false,
            place,
        }
    }

    /// The slots of the addresses that are being tried.
    fn under_way(&self) -> impl Iterator<Item = Key> {
        self.tries.iter().filter_map(Try::slot)
    }

    fn row(&self) -> String {
        let trying = self.tries.iter().filter(|one| one.slot().is_some());
        let trying: Vec<String> = trying.map(|one| one.address.to_string()).collect();
        let looking_up = if self.look_up.is_open() { "looking the name up" } else { "" };
        let comma = if trying.is_empty() || looking_up.is_empty() { "" } else { ", " };
        let word = if trying.is_empty() { "" } else { "trying " };
        let (left, failed) = (self.candidates.len(), self.tries.len() - trying.len());
        format!(
            "to {}, begun at {}: {looking_up}{comma}{word}{}; {left} addresses left, {failed} failed",
            self.endpoint,
            self.place,
            trying.join(", ")
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
    /// What follows when the connection stands.
    then: Option<Then>,
}

/// A filter that negotiates on the connection, which itself may have been made so.
#[derive(Clone)]
struct Then {
    stage: Rc<Stage>,
    below: Box<Connecting>,
}

impl Connecting {
    #[track_caller]
    pub(crate) fn start(
        shell: &Rc<Shell>,
        endpoint: Result<Endpoint, EndpointError>,
        factory: ConnectFactory,
        done: ConnectDone,
    ) -> Self {
        let endpoint = match endpoint {
            Ok(endpoint) => endpoint,
            Err(error) => {
                shell.answer(done, Err(error.into()), Location::caller());
                shell.contained(move || drop(factory));
                return Self { shell: shell.weak(), key: None, then: None };
            }
        };
        let target = endpoint.target().clone();
        if let Target::Registered(parts) = &target {
            if let Some(kind) = parts.kind() {
                let handle = Handle::new(Rc::clone(shell));
                return match endpoint.timeout_value() {
                    Some(after) => timed::connect(&*kind, &handle, parts, after, factory, done),
                    None => kind.connect(&handle, parts, factory, done),
                };
            }
        }
        let place = Location::caller();
        let connecting = Self::insert(shell, endpoint, factory, done, place);
        let Some(key) = connecting.key else { return connecting };
        match target {
            Target::Tcp(_) | Target::Unix(_) => shell.look_up(key),
            Target::Udp(_) | Target::UnixDatagram(_) | Target::UnixSeqpacket(_) | Target::Registered(_) => {
                shell.fail_connect(key, |attempt| ConnectError::WrongKind {
                    target: attempt.endpoint.to_string(),
                });
            }
            _ => shell.open_soon(key, place),
        }
        connecting
    }

    /// An attempt that has failed already: for [kinds of endpoints](crate::EndpointKind) that find out before there is anything to
    /// connect to. The outcome is told from the loop, as any.
    #[track_caller]
    #[must_use]
    pub fn failed(handle: &Handle, error: ConnectError, done: ConnectDone) -> Self {
        let shell = handle.shell();
        shell.answer(done, Err(error), Location::caller());
        Self { shell: shell.weak(), key: None, then: None }
    }

    /// Begins an attempt that does nothing yet, but to come to its end in time.
    fn insert(
        shell: &Rc<Shell>,
        endpoint: Endpoint,
        factory: ConnectFactory,
        done: ConnectDone,
        place: &'static Location<'static>,
    ) -> Self {
        if shell.refuses_work() {
            shell.answer(done, Err(ConnectError::Over), place);
            shell.contained(move || drop(factory));
            return Self { shell: shell.weak(), key: None, then: None };
        }
        let timeout = endpoint.timeout_value();
        let attempt = Attempt::new(endpoint, factory, done, place);
        let key = shell.connects.borrow_mut().table.insert(attempt);
        if let Some(timeout) = timeout {
            let timed = Rc::clone(shell);
            let deadline = shell.timer_after(timeout, move || timed.connect_timed_out(key));
            shell.attempt(key, |attempt| attempt.deadline = Some(deadline));
        }
        Self { shell: shell.weak(), key: Some(key), then: None }
    }

    /// The outcome is that of another stage, which begins when this one is over.
    pub(crate) fn followed_by(self, stage: Rc<Stage>) -> Self {
        let shell = self.shell.clone();
        Self { shell, key: None, then: Some(Then { stage, below: Box::new(self) }) }
    }

    /// Gives up: the outcome is [`ConnectError::Cancelled`], told from the loop. `false` if the outcome is certain already.
    pub fn cancel(&self) -> bool {
        if let Some(then) = &self.then {
            if then.below.cancel() {
                then.stage.give_up();
                return true;
            }
            return then.stage.cancel();
        }
        let (Some(shell), Some(key)) = (self.shell.upgrade(), self.key) else {
            return false;
        };
        shell.fail_connect(key, |attempt| ConnectError::Cancelled { target: attempt.endpoint.to_string() })
    }

    /// Whether the outcome is still open.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        if let Some(then) = &self.then {
            return then.stage.is_pending();
        }
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
    /// Works on an attempt. `change` must run no code of the user's.
    fn attempt<R>(&self, key: Key, change: impl FnOnce(&mut Attempt) -> R) -> Option<R> {
        let mut connects = self.connects.borrow_mut();
        // If nothing is there, `change` and what it holds is dropped after the borrow: as an argument.
        let attempt = connects.table.get_mut(key)?;
        Some(change(attempt))
    }

    fn answer(
        &self,
        done: ConnectDone,
        outcome: Result<Transport, ConnectError>,
        place: &'static Location<'static>,
    ) {
        self.push(Entry::Call(Callback::new(move || done(outcome), place)));
    }

    /// Takes an attempt that is over out of the table, and its timers back.
    fn take_attempt(&self, key: Key) -> Option<Attempt> {
        let mut attempt = self.connects.borrow_mut().table.remove(key)?;
        let timers = [attempt.deadline.take(), attempt.pause.take()];
        timers.into_iter().flatten().for_each(|timer| self.cancel_timer(timer));
        Some(attempt)
    }

    /// Ends an attempt with an error: whether it was still open.
    fn fail_connect(self: &Rc<Self>, key: Key, error: impl FnOnce(&mut Attempt) -> ConnectError) -> bool {
        let Some(mut attempt) = self.take_attempt(key) else {
            return false;
        };
        attempt.under_way().for_each(|slot| self.turn_away(slot));
        let error = error(&mut attempt);
        self.answer(attempt.done, Err(error), attempt.place);
        self.discard(attempt.factory);
        self.end_look_up(attempt.look_up);
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
        for slot in table.table.values().flat_map(Attempt::under_way) {
            let _ = self.backend().close(slot, Close::Orderly);
        }
        for attempt in table.table.into_values() {
            let Attempt { factory, done, look_up, .. } = attempt;
            self.contained(move || drop(factory));
            self.contained(move || drop(done));
            self.drop_look_up(look_up);
        }
    }
}
