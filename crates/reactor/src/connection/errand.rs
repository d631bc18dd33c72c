//! Errands: a protocol that takes its input itself names the call that does it, and this runs at once if it is next anyway.
//!
//! Most often all that it does with the connection is to receive and to write. So the [flight](super::flight) goes on meanwhile.

use std::rc::Rc;

use super::flight::Stage;
use super::{Flags, Visit};
use crate::key::Key;
use crate::reactor::{Shell, Slot};
use crate::ready::{Callback, Entry};
use crate::transport::Taken;

impl Shell {
    /// Puts this into the ready queue. If the queue is empty, and a protocol is just being asked whether it takes its input, that is its
    /// errand.
    #[inline]
    pub(crate) fn push_next(&self, call: Callback) {
        let is_next = self.flight.stage.get() == Stage::Asked && !self.flight.is_over() && !self.has_ready();
        if self.push(Entry::Call(call)).is_some() && is_next {
            self.flight.stage.set(Stage::Named);
        }
    }

    /// The protocol takes its input, and has named an errand.
    pub(super) fn run_errand(self: &Rc<Self>, key: Key, visit: &mut Visit) {
        let input = Flags::INPUT | Flags::LEFT;
        if self.flight.is_of(key) {
            if let Some(Slot::Connection(connection)) = self.slots().get_mut(key) {
                visit.leave(connection, input);
            }
            self.flight.stage.set(Stage::Left);
        } else {
            // It did something to its connection.
            self.conclude_visit(key, visit, Ok(input));
        }
        self.flight.had_errands.set(true);
        self.run_next();
        let is_taken = self.flight.is_taken(key);
        let flown = self.flight.is_of(key)
            && self.fly_home(key, |connection| {
                if is_taken {
                    connection.flags.clear(input);
                }
            });
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
        let received = self.backend_in_turn().receive_and_look(key, Some(&mut *into), &mut more);
        self.stats().received();
        match received.into_filled() {
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
