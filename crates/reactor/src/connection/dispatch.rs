//! Calls protocols, and puts things right after a callback.

use std::rc::Rc;

use super::{Flags, Notice};
use crate::contain::contain;
use crate::key::Key;
use crate::lost::Reason;
use crate::protocol::Protocol;
use crate::reactor::Shell;
use crate::transport::Transport;

impl Shell {
    /// Takes the protocol out of its slot, for a callback. Nothing is borrowed while it is out.
    pub(super) fn check_out(&self, key: Key) -> Option<Box<dyn Protocol>> {
        self.alter(key, |connection| {
            let protocol = connection.protocol.take()?;
            connection.flags.set(Flags::BUSY);
            Some(protocol)
        })?
    }

    /// Calls a protocol from the loop. `None` if the connection is gone or the callback panicked.
    pub(crate) fn call_protocol<R>(
        self: &Rc<Self>,
        key: Key,
        call: impl FnOnce(&mut dyn Protocol, &Transport) -> R,
    ) -> Option<R> {
        let (answer, is_dirty) = self.call_unflushed(key, call)?;
        if is_dirty {
            self.flush(key);
        }
        self.go_on_reading(key);
        answer
    }

    /// The same, but what was written is left to the caller, who is told whether there is something to flush.
    pub(super) fn call_unflushed<R>(
        self: &Rc<Self>,
        key: Key,
        call: impl FnOnce(&mut dyn Protocol, &Transport) -> R,
    ) -> Option<(Option<R>, bool)> {
        let mut protocol = self.check_out(key)?;
        let transport = Transport::new(Rc::clone(self), key);
        let outcome =
            self.timed_protocol(key, &mut *protocol, |protocol| contain(|| call(protocol, &transport)));
        let answer = outcome.map_err(|panic| self.abort(key, Reason::Panicked(panic))).ok();
        Some((answer, self.return_protocol(key, protocol)))
    }

    /// Puts the protocol back after a callback, and sends what was written.
    pub(super) fn check_in(self: &Rc<Self>, key: Key, protocol: Box<dyn Protocol>) {
        if self.return_protocol(key, protocol) {
            self.flush(key);
        }
    }

    /// Puts the protocol back after a callback, or its successor in its place. Whether there is something to flush.
    fn return_protocol(self: &Rc<Self>, key: Key, protocol: Box<dyn Protocol>) -> bool {
        let mut protocol = protocol;
        loop {
            // What the one before had not used is for filters that were pushed, and not for its successor.
            protocol = self.succeed(key, protocol);
            self.start_filters(key, &mut protocol);
            // Filters may know a transport, and ask for either.
            if !self.ask(key, |connection| connection.has_successor() || connection.has_new_filters()) {
                break;
            }
        }
        self.ask(key, |connection| {
            connection.protocol = Some(protocol);
            connection.flags.clear(Flags::BUSY);
            connection.flags.any(Flags::DIRTY)
        })
    }

    /// Delivers a notice from the ready queue.
    pub(crate) fn deliver(self: &Rc<Self>, key: Key, notice: Notice) {
        // A notice may be older than the call that replaced the protocol; the old one hears nothing after that.
        if self.ask(key, |connection| connection.flags.any(Flags::UNMADE)) {
            self.deliver_made(key);
        }
        match notice {
            Notice::Made | Notice::Filters => self.deliver_made(key),
            Notice::Established => {
                self.deliver_established(key);
                self.flush(key);
            }
            Notice::Flow => self.deliver_flow(key),
            Notice::Drained => {
                let asked = self.ask(key, |connection| {
                    let asked = connection.flags.any(Flags::DRAIN_QUEUED);
                    connection.flags.clear(Flags::DRAIN_QUEUED);
                    asked
                });
                // Who took over meanwhile has not asked.
                if asked {
                    self.deliver_if_alive(key, Protocol::drained);
                }
            }
            Notice::PeerClosed => self.deliver_if_alive(key, Protocol::peer_closed),
            Notice::Lost => self.deliver_lost(key),
        }
    }

    fn deliver_if_alive(self: &Rc<Self>, key: Key, call: impl FnOnce(&mut dyn Protocol, &Transport)) {
        if !self.is_gone(key) {
            self.call_protocol(key, call);
        }
    }

    fn deliver_flow(self: &Rc<Self>, key: Key) {
        let due = self.alter(key, |connection| {
            connection.flags.clear(Flags::FLOW_QUEUED);
            let due = connection.flow_due().filter(|_| !connection.flags.any(Flags::LOST))?;
            if due {
                connection.flags.set(Flags::TOLD_PAUSE);
            } else {
                connection.flags.clear(Flags::TOLD_PAUSE);
            }
            Some(due)
        });
        if let Some(pause) = due.flatten() {
            self.call_protocol(key, |protocol, transport| {
                if pause { protocol.pause_writing(transport) } else { protocol.resume_writing(transport) }
            });
        }
    }
}
