//! Bytes in: pulled from the backend while the protocol wants them, a bounded amount a turn.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use super::show::Shown;
use super::unread::Unread;
use super::{Connection, Flags, Notice};
use crate::backend::Received;
use crate::contain::{Panic, contain};
use crate::error::EmptyReceiveBuffer;
use crate::key::Key;
use crate::lost::Reason;
use crate::protocol::{OnEof, Protocol};
use crate::reactor::Shell;
use crate::transport::Transport;

/// How often one connection is pulled from in a turn, so that a busy one does not starve the others.
const PULLS: usize = 8;

/// What comes next for a protocol.
enum Next {
    Nothing,
    Descriptor(OwnedFd),
    Unread(Unread),
    Eof,
    Receive,
    /// For filters alone.
    Negotiate,
    /// After the end of the peer's direction, only an error can still come.
    Probe,
}

/// What a pull brought.
pub(super) enum Pulled {
    Data,
    Eof,
    Dry,
    Failed(std::io::Error),
    EmptyBuffer,
    /// The protocol paused or closed when it was asked for memory.
    Unwanted,
}

impl From<Received> for Pulled {
    fn from(received: Received) -> Self {
        match received {
            Received::Chunk(_) | Received::Filled(_) => Self::Data,
            Received::Eof => Self::Eof,
            Received::Dry => Self::Dry,
            Received::Failed(error) => Self::Failed(error),
        }
    }
}

impl Connection {
    fn next_input(&mut self) -> Next {
        if self.flags.any(Flags::SHAKING | Flags::PARTING) {
            return self.next_negotiation();
        }
        let unwanted = Flags::PAUSED | Flags::LEFT | Flags::SUSPENDED | Flags::CLOSING | Flags::LOST;
        if self.flags.any(unwanted | Flags::UNMADE | Flags::BUSY) {
            Next::Nothing
        } else if let Some(descriptor) = self.next_descriptor() {
            Next::Descriptor(descriptor)
        } else if self.has_unread() {
            Next::Unread(std::mem::take(&mut self.rare().unread))
        } else if self.flags.any(Flags::EOF_UNTOLD) {
            self.flags.clear(Flags::EOF_UNTOLD);
            Next::Eof
        } else if !self.flags.any(Flags::INPUT) {
            Next::Nothing
        } else if self.flags.any(Flags::EOF) {
            Next::Probe
        } else {
            Next::Receive
        }
    }

    /// Filters that are not established, or take their leave, read also where the protocol does not.
    fn next_negotiation(&self) -> Next {
        let unwanted = Flags::BUSY | Flags::LOST | Flags::ESTABLISHED_QUEUED;
        let is_parting = self.flags.any(Flags::PARTING);
        let held_back = !is_parting && self.flags.any(Flags::SUSPENDED | Flags::CLOSING);
        // What arrives before the filters have begun is for them as well.
        let held_back = held_back || self.has_new_filters();
        if self.flags.any(unwanted) || held_back || !self.flags.any(Flags::INPUT) {
            Next::Nothing
        } else {
            Next::Negotiate
        }
    }

    /// The same, for a connection that reads and whose callbacks do not see to it.
    #[inline]
    pub(super) fn goes_on_reading(&mut self) -> bool {
        // Most often it is asked where everything was taken.
        (self.flags.any(Flags::INPUT | Flags::EOF_UNTOLD) || self.rare.is_some()) && self.goes_on_with_input()
    }

    fn goes_on_with_input(&mut self) -> bool {
        !self.flags.any(Flags::BUSY) && self.is_reading() && self.wants_list()
    }

    /// Whether there is something to pull that is not on its way, so that the connection has to be listed. Marks it so.
    pub(super) fn wants_list(&mut self) -> bool {
        let given_back = self.has_unread() || self.has_descriptors();
        let something = given_back || self.flags.any(Flags::INPUT | Flags::EOF_UNTOLD);
        something && self.flags.raise(Flags::LISTED)
    }
}

impl Shell {
    /// The backend may have input for the connection.
    pub(crate) fn input(self: &Rc<Self>, key: Key) {
        let listed = self.ask(key, |connection| {
            connection.flags.set(Flags::INPUT);
            connection.flags.any(Flags::LISTED)
        });
        // What stands on the list has its turn there, and not twice.
        if !listed {
            self.pull(key);
        }
    }

    /// Pulls what there is, within the budget of a turn.
    pub(crate) fn pull(self: &Rc<Self>, key: Key) {
        if self.ask(key, |connection| connection.is_lingering()) {
            return self.linger(key);
        }
        for _ in 0..PULLS {
            if !self.pull_once(key) {
                return;
            }
        }
        if self.ask(key, Connection::wants_list) {
            self.list(key);
        }
    }

    /// Whether there may be more.
    fn pull_once(self: &Rc<Self>, key: Key) -> bool {
        match self.alter(key, Connection::next_input) {
            None | Some(Next::Nothing) => false,
            Some(Next::Descriptor(first)) => self.deliver_descriptors(key, first),
            Some(Next::Unread(unread)) => self.deliver_unread(key, unread),
            Some(Next::Eof) => self.deliver_eof(key),
            Some(Next::Receive) => self.receive(key),
            Some(Next::Negotiate) => self.negotiate(key),
            Some(Next::Probe) => self.probe(key),
        }
    }

    fn receive(self: &Rc<Self>, key: Key) -> bool {
        if !self.may_receive(key) {
            return false;
        }
        let Some(mut protocol) = self.check_out(key) else {
            return false;
        };
        let transport = Transport::new(Rc::clone(self), key);
        let mut shown = Shown::default();
        let pulled = self.timed_protocol(key, &mut *protocol, |protocol| {
            contain(|| self.show(protocol, &transport, &mut shown))
        });
        self.was_shown(key, &mut shown);
        self.conclude_pull(key, protocol, pulled.map(|pulled| shown.what_came(pulled)))
    }

    /// Does what follows from a pull, and puts the protocol back. Whether there may be more.
    pub(super) fn conclude_pull(
        self: &Rc<Self>,
        key: Key,
        protocol: Box<dyn Protocol>,
        pulled: Result<Pulled, Panic>,
    ) -> bool {
        let more = match pulled {
            Ok(Pulled::Data) => self.may_receive(key),
            Ok(Pulled::Dry) => self.dry(key),
            Ok(Pulled::Eof) => self.eof(key),
            Ok(Pulled::Failed(error)) => self.broken(key, error),
            Ok(Pulled::Unwanted) => false,
            Ok(Pulled::EmptyBuffer) => {
                self.failed(key, Reason::Failed(std::sync::Arc::new(EmptyReceiveBuffer)))
            }
            Err(panic) => {
                // What it was shown is given up, also what it had given back.
                self.end_delivery(key, &[]);
                self.failed(key, Reason::Panicked(panic))
            }
        };
        self.check_in(key, protocol);
        more
    }

    /// Bytes, through filters if there are any. What came with descriptors is set aside; then, and where filters have
    /// made nothing of the bytes yet, the answer is `None`.
    pub(super) fn receive_bytes(self: &Rc<Self>, key: Key, into: Option<&mut [u8]>) -> Option<Received> {
        if self.ask(key, |connection| connection.is_filtered() && connection.has_filters()) {
            return self.receive_filtered(key, into);
        }
        let received = self.backend().receive(key, into);
        self.stats().received();
        self.set_aside(key, received)
    }

    /// The protocol has no room. That is an error only if there are bytes: the end needs none, nor does a false alarm.
    pub(super) fn receive_for_nothing(self: &Rc<Self>, key: Key) -> Pulled {
        let Some(received) = self.receive_bytes(key, None) else { return Pulled::Data };
        match received {
            Received::Chunk(chunk) => {
                self.release(chunk);
                Pulled::EmptyBuffer
            }
            Received::Filled(_) => Pulled::EmptyBuffer,
            other => other.into(),
        }
    }

    /// Whether the protocol still wants bytes after it was asked for memory.
    pub(super) fn wants_input(&self, key: Key) -> bool {
        self.inspect(key, Connection::is_reading).unwrap_or(false)
    }

    /// Whether the backend has more; if not, the connection waits for the next input.
    fn may_receive(&self, key: Key) -> bool {
        self.backend().may_receive(key) || self.dry(key)
    }

    pub(super) fn dry(&self, key: Key) -> bool {
        self.ask(key, |connection| {
            let backlog = connection.has_filter_backlog();
            if !backlog {
                connection.flags.clear(Flags::INPUT);
            }
            let untold = connection.flags.any(Flags::EOF_UNTOLD);
            backlog || untold || connection.has_unread() || connection.has_descriptors()
        })
    }

    pub(super) fn eof(&self, key: Key) -> bool {
        self.alter(key, |connection| {
            connection.flags.clear(Flags::INPUT);
            connection.flags.set(Flags::EOF | Flags::EOF_UNTOLD);
        });
        true
    }

    /// That nobody reads what we write any more is an orderly end for a pipe, if everything was written.
    pub(super) fn broken(self: &Rc<Self>, key: Key, error: std::io::Error) -> bool {
        let reason = Reason::from_io(error);
        let unharmed = self
            .ask(key, |connection| connection.flags.any(Flags::WRITES_ONLY) && connection.buffered() == 0);
        if unharmed && matches!(reason, Reason::Reset) {
            self.lose(key, Reason::Clean, crate::backend::Close::Orderly);
        } else {
            self.lose(key, reason, crate::backend::Close::Reset);
        }
        false
    }

    pub(super) fn failed(self: &Rc<Self>, key: Key, reason: Reason) -> bool {
        self.abort(key, reason);
        false
    }

    fn probe(self: &Rc<Self>, key: Key) -> bool {
        let received = self.backend().receive(key, None);
        match received {
            Received::Failed(error) => self.broken(key, error),
            Received::Chunk(chunk) => {
                self.release(chunk);
                false
            }
            _ => self.dry(key),
        }
    }

    fn deliver_eof(self: &Rc<Self>, key: Key) -> bool {
        let answer = self.call_protocol(key, |protocol, transport| protocol.eof_received(transport));
        // A successor that took over meanwhile is told of the end itself, and its answer counts.
        let answer = answer.filter(|_| !self.ask(key, |connection| connection.flags.any(Flags::EOF_UNTOLD)));
        match answer {
            Some(OnEof::Close) => self.close(key),
            Some(OnEof::KeepOpen) => self.end_if_both_shut(key),
            None => {}
        }
        // What was written goes out, and the close begins, without waiting for the end of the turn.
        self.flush(key);
        self.ask(key, |connection| connection.flags.any(Flags::INPUT | Flags::EOF_UNTOLD))
    }

    // Flow control.

    pub(crate) fn pause_reading(&self, key: Key) {
        self.alter(key, |connection| connection.flags.set(Flags::PAUSED));
    }

    #[inline]
    pub(crate) fn resume_reading(&self, key: Key) {
        // In a flight it is not paused.
        if self.flight.is_taken(key) {
            return;
        }
        let goes_on = self.ask(key, |connection| {
            connection.flags.clear(Flags::PAUSED | Flags::LEFT);
            connection.goes_on_reading()
        });
        if goes_on {
            self.list(key);
        }
    }

    /// Lists a connection that has something to read and wants it. While one of its callbacks runs, that is left to
    /// whoever called it: most often a pull that goes on by itself, and finds that there is no more.
    pub(super) fn go_on_reading(&self, key: Key) {
        if self.ask(key, Connection::goes_on_reading) {
            self.list(key);
        }
    }

    pub(crate) fn watch_peer(&self, key: Key) {
        if !self.is_gone(key) {
            self.backend().watch_peer(key);
        }
    }

    /// The peer of a watched connection closed or reset it.
    pub(crate) fn peer_closed(self: &Rc<Self>, key: Key, reset: bool) {
        if reset {
            self.broken(key, std::io::ErrorKind::ConnectionReset.into());
        } else if self.ask(key, |connection| connection.flags.raise(Flags::PEER_CLOSED)) {
            self.notify(key, Notice::PeerClosed);
        }
    }
}
