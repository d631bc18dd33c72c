//! Sends of few bytes, of which next to nothing is noted as long as nobody looks.
//!
//! Where sending is no call to the system, few bytes [depart](crate::backend::Backend::departing). All of them are sent by the end of
//! the next wait, nearly always, and the backend names the others then. So the connection keeps how much it was and with which wait it
//! departs, without the mark of a send that is under way. Whoever looks at the connection before that wait has ended finds
//! the send under way: it is marked so then, and ended after the wait. Whoever looks later finds all of it sent.

use std::rc::Rc;

use super::{Connection, Flags};
use crate::backend::Departing;
use crate::instant::Instant;
use crate::key::Key;
use crate::protocol::Internal;
use crate::reactor::{Shell, Slot};

/// After how many that depart outside of flights the clock is read.
const MANY: usize = 64;

impl Connection {
    /// So much departs with the next wait. It counts as sent.
    #[inline]
    pub(super) fn lend_departing(&mut self, len: usize, wait: u32) {
        self.flags.set(Flags::DEPARTED);
        (self.lent, self.lent_in) = (len, wait);
    }

    /// How much is under way before that wait.
    pub(super) fn lent_by(&self, wait: u32) -> usize {
        if self.flags.any(Flags::DEPARTED) && self.lent_in != wait { 0 } else { self.lent }
    }

    /// Whether a send is under way, or was begun since the last wait.
    #[inline]
    pub(super) fn is_sending(&self, wait: u32) -> bool {
        self.flags.any(Flags::SENDING) || self.lent_in == wait
    }

    /// Marks the send of what departed as under way.
    fn mark_departure(&mut self) {
        self.flags.clear(Flags::DEPARTED);
        self.flags.set(Flags::SENDING);
        self.traffic.sent -= self.lent as u64;
    }

    /// Somebody looks, when something has departed: whether it is still to be sent, in this wait.
    fn show_departure(&mut self, wait: u32) -> bool {
        let is_under_way = self.lent_in == wait;
        if is_under_way {
            self.mark_departure();
        } else {
            self.flags.clear(Flags::DEPARTED);
            self.lent = 0;
        }
        is_under_way
    }
}

impl Shell {
    /// Which wait comes next, as its number wraps.
    #[inline]
    pub(crate) fn wait_number(&self) -> u32 {
        self.waits.get()
    }

    /// Nobody finds something departed in a connection that is not what it seems.
    #[inline]
    pub(crate) fn look_at_departure(&self, key: Key, connection: &mut Connection) {
        if connection.flags.any(Flags::DEPARTED) {
            self.show_departure(key, connection);
        }
    }

    #[cold]
    fn show_departure(&self, key: Key, connection: &mut Connection) {
        if connection.show_departure(self.wait_number()) {
            self.departed.borrow_mut().push(key);
        }
    }

    /// Lets these bytes depart, which were written outside of a flight: whether they do.
    pub(super) fn departs(&self, key: Key, connection: &Connection, bytes: &[u8]) -> bool {
        let socket = connection.socket.filter(|_| self.flight.departs);
        socket.is_some_and(|socket| self.flight.departures.put(key, socket, bytes))
    }

    /// Some departed so.
    pub(super) fn departed(&self) {
        self.stats().sent();
        self.changed();
        if self.flight.departures.len() % MANY == 0 {
            self.depart_in_time(self.now());
        }
    }

    fn with_departing(&self, call: impl FnOnce(&mut dyn Departing)) {
        if let Some(departing) = self.backend_in_turn().departing(Internal) {
            call(departing);
        }
    }

    /// What departs does not wait for long, whatever else goes on in a turn. Whether some has.
    #[inline]
    pub(crate) fn depart_in_time(&self, now: Instant) -> bool {
        let are_late = self.flight.departures.wait_for_long(now);
        if are_late {
            self.with_departing(|departing| departing.depart());
        }
        are_late
    }

    /// As [`fly_home`](Self::fly_home), where bytes depart, and the backend knows of what was received. Of a flight that is usual nothing
    /// was under way when it began.
    #[inline(always)]
    pub(super) fn fly_home_departing(
        self: &Rc<Self>,
        key: Key,
        is_usual: bool,
        note: impl FnOnce(&mut Connection),
    ) -> bool {
        let written = self.flight.departures.written();
        if written == 0 {
            return self.fly_home_lending(key, note);
        }
        let mut slots = self.slots();
        let Some(Slot::Connection(connection)) = slots.get_standing(key) else { return false };
        let may = is_usual || !connection.is_sending(self.wait_number());
        let Some(socket) = connection.socket.filter(|_| may) else {
            drop(slots);
            return self.fly_home_lending(key, note);
        };
        connection.traffic.sent += written as u64;
        connection.lend_departing(written, self.wait_number());
        self.flight.departures.depart(key, socket, written);
        self.stats().sent();
        connection.traffic.received += self.flight.received.get() as u64;
        note(connection);
        self.flight.end();
        true
    }

    /// The same with nothing written, or with what does not depart.
    #[inline(never)]
    pub(super) fn fly_home_lending(self: &Rc<Self>, key: Key, note: impl FnOnce(&mut Connection)) -> bool {
        let (written, wait) = (self.flight.departures.written(), self.wait_number());
        let mut slots = self.slots();
        let Some(Slot::Connection(connection)) = slots.get_standing(key) else { return false };
        if written > 0 {
            self.look_at_departure(key, connection);
            if connection.is_sending(wait) {
                return false;
            }
            connection.lend_straight(written, wait);
        }
        connection.traffic.received += self.flight.received.get() as u64;
        note(connection);
        drop(slots);
        self.flight.end();
        if written > 0 {
            let mut outgoing = self.take_spare();
            outgoing.push_copy(&self.flight.departures.take_written());
            self.send_lent(key, outgoing);
        }
        true
    }

    /// A wait has ended, and with it the sends of what departed, all but those that the backend names: they go on as others do. Once for
    /// each wait: what departs after this is sent in the next one.
    pub(crate) fn end_departures(&self) {
        if !self.flight.departs {
            return;
        }
        let mut unsent = self.unsent.take();
        self.with_departing(|departing| departing.take_unsent(&mut unsent));
        for key in unsent.drain(..) {
            if let Some(Slot::Connection(connection)) = self.slots().get_mut(key) {
                if connection.flags.any(Flags::DEPARTED) {
                    connection.mark_departure();
                } else {
                    connection.flags.set(Flags::UNSENT);
                }
            }
        }
        self.unsent.set(unsent);
        let mut departed = self.departed.take();
        for key in departed.drain(..) {
            if let Some(len) = self.sent_departure(key) {
                self.end_departure(key, len);
            }
        }
        // It keeps its memory. Nothing departed meanwhile.
        self.departed.replace(departed);
    }

    /// How much was sent of what departed and was marked as under way, if it was.
    fn sent_departure(&self, key: Key) -> Option<usize> {
        let mut slots = self.slots();
        let Some(Slot::Connection(connection)) = slots.get_mut(key) else { return None };
        let is_sent = !connection.flags.any(Flags::UNSENT);
        connection.flags.clear(Flags::UNSENT);
        is_sent.then_some(connection.lent)
    }
}
