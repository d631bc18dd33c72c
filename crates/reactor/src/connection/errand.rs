//! Errands: a protocol that takes its input itself names the call that does it, and this runs at once if it is next anyway.
//!
//! Most often all that it does with the connection is to receive and to write. So the [flight](super::flight) goes on meanwhile.

use std::mem::ManuallyDrop;
use std::rc::Rc;

use super::flight::Stage;
use super::{Flags, Visit};
use crate::key::Key;
use crate::reactor::{Shell, Slot};
use crate::ready::{Callback, Entry};
use crate::transport::Taken;

impl Shell {
    /// Makes this the errand of a protocol that is just being asked whether it takes its input, if nothing is ready; or else it goes into the
    /// ready queue.
    #[inline]
    pub(crate) fn push_next(&self, call: Callback) {
        if self.flight.stage.get() == Stage::Asked && !self.flight.is_over() && self.passes() {
            self.flight.stage.set(Stage::Named);
            self.flight.call.set(Some(call));
        } else {
            self.push(Entry::Call(call));
        }
    }

    /// The protocol panicked, or does not take its input after all: the call waits for its turn, before all that became ready later.
    #[inline]
    pub(super) fn put_off_errand(&self) {
        if self.flight.stage.get() == Stage::Named {
            self.flight.stage.set(Stage::Visit);
            if let Some(call) = self.flight.call.take() {
                self.push_first(Entry::Call(call));
            }
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
        if let Some(call) = self.flight.call.take() {
            self.stats().callback();
            // A callback that was called holds nothing, and need not be dropped.
            self.run_callback(&mut ManuallyDrop::new(call));
        }
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
