//! Errands: a protocol that takes its input itself names the call that does it, and this runs at once if it is next anyway.
//!
//! Most often all that it does with the connection is to receive and to write. So the [flight](super::flight) goes on meanwhile.

use std::rc::Rc;

use super::flight::{Errands, Stage};
use super::{Connection, Flags, Visit};
use crate::contain::Panic;
use crate::key::Key;
use crate::reactor::Shell;
use crate::ready::{Callback, Entry};
use crate::transport::Taken;

impl Shell {
    /// Makes this the errand of a protocol that is just being asked whether it takes its input, if nothing is ready; or else it goes into the
    /// ready queue.
    #[inline]
    pub(crate) fn push_next(&self, call: Callback) {
        if self.flight.stage.get() == Stage::Asked && !self.flight.is_over() && self.passes() {
            self.flight.stage.set(Stage::Named);
            self.flight.errand.put(call);
        } else {
            self.push(Entry::Call(call));
        }
    }

    /// The protocol panicked, or does not take its input after all: the call waits for its turn, before all that became ready later.
    #[inline]
    pub(super) fn put_off_errand(&self) {
        if self.flight.stage.get() == Stage::Named {
            self.flight.stage.set(Stage::Visit);
            self.push_first(Entry::Call(self.flight.errand.take()));
        }
    }

    /// The protocol takes its input, and has named an errand.
    #[inline(always)]
    pub(super) fn run_errand(self: &Rc<Self>, key: Key, visit: &mut Visit) {
        let input = Flags::INPUT | Flags::LEFT;
        if self.flight.is_of(key) {
            self.flight.keep_protocol(visit.protocol.take());
            self.flight.stage.set(Stage::Left);
        } else {
            // It did something to its connection.
            self.conclude_visit(key, visit, Ok(input));
        }
        self.stats().callback();
        self.flight.errands.set(Errands::Runs);
        // Who contains the visit contains this.
        self.flight.errand.call();
        self.end_errand(key);
    }

    /// An errand panicked.
    #[cold]
    pub(super) fn errand_failed(self: &Rc<Self>, key: Key, panic: Panic) {
        self.report_panic(panic, self.flight.errand.place());
        self.end_errand(key);
    }

    #[inline(always)]
    fn end_errand(self: &Rc<Self>, key: Key) {
        self.flight.errands.set(Errands::Ran);
        if !self.flight.is_of(key) {
            return self.end_errand_closely(key);
        }
        let is_taken = self.flight.stage.get() == Stage::Taken;
        let note = |connection: &mut Connection| {
            self.flight.put_back_protocol(connection);
            connection.flags.put(Flags::INPUT | Flags::LEFT, !is_taken);
        };
        let flown = match self.flight.socket.get() {
            Some(socket) if is_taken => self.fly_home_directly(key, socket, note),
            _ => self.fly_home(key, note),
        };
        if !flown {
            self.end_errand_closely(key);
        }
    }

    /// It did something to its connection, or the last send is still under way. What it wrote does not wait for the end of the turn.
    #[inline(never)]
    fn end_errand_closely(self: &Rc<Self>, key: Key) {
        if self.ask(key, |connection| connection.flags.any(Flags::DIRTY)) {
            self.flush(key);
        }
    }

    /// As [`take_input`](Self::take_input), for an errand.
    #[inline]
    pub(super) fn take_in_flight(self: &Rc<Self>, key: Key, into: &mut [u8]) -> Option<Taken> {
        let mut more = false;
        let received = match self.flight.untold_socket() {
            Some(socket) => match self.receive_few(socket, into) {
                Ok(count) => {
                    self.flight.received.set(self.flight.received.get() + count);
                    self.flight.stage.set(Stage::Taken);
                    return Some(Taken::new(count, false));
                }
                Err(result) => self.was_received(key, socket, result, into, &mut more),
            },
            None => match self.receive_arrived(into) {
                Some(count) => Ok(count),
                None => self.receive_told(key, into, &mut more),
            },
        };
        match received {
            Ok(count) => {
                self.flight.received.set(self.flight.received.get() + count);
                if !more {
                    self.flight.stage.set(Stage::Taken);
                }
                Some(Taken::new(count, more))
            }
            Err(other) => {
                self.land();
                self.take_other(key, other, more, into).ok()
            }
        }
    }
}
