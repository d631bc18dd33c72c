//! The multiplexer, and its events as plain data.

#[cfg(any(target_os = "linux", target_os = "android"))]
#[path = "epoll.rs"]
mod events;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[path = "portable.rs"]
mod events;

use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::time::Duration;

use mio::event::Source;
use mio::unix::SourceFd;
use mio::{Interest, Token};

use crate::backend::bits::Bits;
use crate::backend::{SystemCalls, token};
use crate::key::Key;
use events::Events;

#[cfg(not(target_pointer_width = "64"))]
compile_error!("the readiness backend packs a 64-bit key into mio's token, which is a `usize`");

/// How many events one wait takes at most. More stay on the kernel's ready list for the next wait.
const EVENTS: usize = 1024;

/// The waker's token: no key is this number, as the core's slots are counted up from zero.
const WAKE: Token = Token(usize::MAX);

/// Both directions, once and for all. Priority is asked for because urgent data ends a receive early, and
/// only a socket that is asked about it tells that it has some.
#[cfg(any(target_os = "linux", target_os = "android"))]
const CONNECTION: Interest = Interest::READABLE.add(Interest::WRITABLE).add(Interest::PRIORITY);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const CONNECTION: Interest = Interest::READABLE.add(Interest::WRITABLE);

/// What an event said.
pub(super) mod says {
    use super::Bits;

    pub(crate) const READABLE: Bits = Bits::bit(0);
    pub(crate) const WRITABLE: Bits = Bits::bit(1);
    /// The peer ended its direction, or both directions are over.
    pub(crate) const ENDED: Bits = Bits::bit(2);
    /// Nothing can be sent any more.
    pub(crate) const HUNG_UP: Bits = Bits::bit(3);
    /// The socket holds an error.
    pub(crate) const ERROR: Bits = Bits::bit(4);
    /// There is urgent data.
    pub(crate) const URGENT: Bits = Bits::bit(5);
}

/// What there is to do about an event, in this order: data comes before everything that ends a connection.
pub(super) mod due {
    use super::Bits;

    /// The event was not looked at yet.
    pub(crate) const LOOK: Bits = Bits::bit(0);
    /// A connection attempt has ended.
    pub(crate) const CONNECT: Bits = Bits::bit(1);
    pub(crate) const INPUT: Bits = Bits::bit(2);
    /// A send that waited can go on.
    pub(crate) const SEND: Bits = Bits::bit(3);
    /// The peer ended a watched connection.
    pub(crate) const PEER: Bits = Bits::bit(4);
}

/// Which way the bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Input,
    Output,
    Both,
}

/// One event, and what is still to be done about it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    pub(super) key: Key,
    pub(super) says: Bits,
    pub(super) due: Bits,
}

/// The multiplexer.
#[derive(Debug)]
pub(super) struct Poller {
    poll: mio::Poll,
    /// Events that come first: those that something is still to be done about, and those that nobody else told of.
    first: VecDeque<Event>,
    events: Events,
    /// Whether the last wait brought all that fits.
    is_full: bool,
}

impl Poller {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { poll: mio::Poll::new()?, first: VecDeque::new(), events: Events::new(), is_full: false })
    }

    pub(super) fn waker(&self) -> io::Result<mio::Waker> {
        mio::Waker::new(self.poll.registry(), WAKE)
    }

    /// Registers a connection. Right after it the kernel reports the state as it is, so nothing that came before
    /// is missed, and nobody needs to probe for it.
    pub(super) fn connection(
        &self,
        source: &mut impl Source,
        key: Key,
        calls: &mut SystemCalls,
    ) -> io::Result<()> {
        calls.registrations += 1;
        source.register(self.poll.registry(), token(key), CONNECTION)
    }

    /// Registers a listener, which can only ever be readable.
    pub(super) fn listener(
        &self,
        source: &mut impl Source,
        key: Key,
        calls: &mut SystemCalls,
    ) -> io::Result<()> {
        calls.registrations += 1;
        source.register(self.poll.registry(), token(key), Interest::READABLE)
    }

    /// Registers a descriptor that is no socket, for the directions that it has.
    pub(super) fn end(
        &self,
        source: &mut impl Source,
        direction: Direction,
        key: Key,
        calls: &mut SystemCalls,
    ) -> io::Result<()> {
        calls.registrations += 1;
        let interest = match direction {
            Direction::Input => Interest::READABLE,
            Direction::Output => Interest::WRITABLE,
            Direction::Both => Interest::READABLE | Interest::WRITABLE,
        };
        source.register(self.poll.registry(), token(key), interest)
    }

    /// Registers a timer, whose events only end a wait.
    pub(super) fn alarm(&self, timer: RawFd, calls: &mut SystemCalls) -> io::Result<()> {
        calls.registrations += 1;
        SourceFd(&timer).register(self.poll.registry(), WAKE, Interest::READABLE)
    }

    /// The multiplexer itself, which is readable while it has events.
    pub(super) fn descriptor(&self) -> io::Result<OwnedFd> {
        self.poll.registry().as_fd().try_clone_to_owned()
    }

    /// Where sources register themselves.
    pub(super) fn registry(&self) -> &mio::Registry {
        self.poll.registry()
    }

    /// Takes a registration back, for what others hold too: `close` takes it back only with the last descriptor.
    pub(super) fn forget(&self, source: &mut impl Source, calls: &mut SystemCalls) {
        calls.registrations += 1;
        // An error would say that it is not registered, which is what we want.
        let _ = source.deregister(self.poll.registry());
    }

    /// Waits, and appends what happened to the events that are still there.
    pub(super) fn wait(&mut self, timeout: Option<Duration>, calls: &mut SystemCalls) -> io::Result<()> {
        calls.waits += 1;
        self.is_full = false;
        self.is_full = self.events.wait(&mut self.poll, timeout)?;
        Ok(())
    }

    pub(super) fn has_events(&self) -> bool {
        !self.events.is_empty() || !self.first.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    pub(super) fn push(&mut self, event: Event) {
        self.first.push_back(event);
    }

    pub(super) fn push_front(&mut self, event: Event) {
        self.first.push_front(event);
    }

    /// Takes the next events that say no more than that there is input, and room for output: their keys, and how many they are.
    pub(super) fn take_usual(&mut self, keys: &[Cell<Key>]) -> usize {
        if self.first.is_empty() { self.events.take_usual(keys) } else { 0 }
    }

    pub(super) fn pop(&mut self) -> Option<Event> {
        self.first.pop_front().or_else(|| self.events.pop())
    }
}

/// An event that says no more than that there is input, and room for output.
pub(super) fn usual(key: Key) -> Event {
    Event { key, says: says::READABLE.or(says::WRITABLE), due: due::LOOK }
}

/// The event of what is readable, or may have ended, and the multiplexer does not tell. Reading goes on until there is no more.
pub(super) fn untold_input(key: Key) -> Event {
    Event { key, says: says::READABLE.or(says::URGENT), due: due::LOOK }
}
