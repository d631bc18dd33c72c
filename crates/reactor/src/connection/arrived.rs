//! Input that the backend has received already, and that lies where the core [finds it](crate::backend::Arrivals).

use std::cell::RefMut;
use std::rc::Rc;

use super::{Connection, Flags, Visit};
use crate::backend::{Arrivals, Shown};
use crate::key::Key;
use crate::reactor::{Shell, Slot};

impl Shell {
    /// Delivers what comes next, if that is input. Whether it was.
    #[inline(always)]
    pub(super) fn visit_next_arrived(self: &Rc<Self>, visit: &mut Visit, arrivals: &Arrivals) -> bool {
        let Some((key, bytes)) = arrivals.take_next() else { return false };
        if !self.begin_visit(key, visit, Some(self.wait_number())) {
            arrivals.decline();
            self.deliver_announced(key);
            return true;
        }
        self.stats().event();
        if bytes.is_empty() || !self.flight.is_fresh() {
            arrivals.decline();
            self.visit_protocol(key, visit);
            return true;
        }
        let bytes = arrivals.show(bytes);
        if self.flight.leaves() {
            self.flight.untold.set(true);
            self.visit_leaving(key, visit);
        } else {
            self.visit_arrived(key, visit, arrivals, bytes);
        }
        true
    }

    /// Shows the protocol what arrived for it, where it lies.
    #[inline(always)]
    fn visit_arrived(self: &Rc<Self>, key: Key, visit: &mut Visit, arrivals: &Arrivals, bytes: Shown<'_>) {
        let Some(protocol) = &mut visit.protocol else { return };
        match protocol.receive_buffer() {
            None if self.flight.is_of(key) && arrivals.decide() => {}
            None => {
                arrivals.decline();
                return self.visit_told(key, visit);
            }
            Some(buffer) => {
                if self.flight.is_of(key) {
                    self.flight.untold.set(true);
                } else {
                    arrivals.decline();
                }
                let mut more = false;
                let filled = self.receive_into(key, buffer, &mut more);
                let shown = self.show_filled(key, visit, filled, more);
                return self.conclude_elsewhere(key, visit, shown);
            }
        }
        self.stats().received();
        self.flight.received.set(bytes.len());
        self.deliver_bytes(&mut **protocol, key, &visit.transport, &bytes);
        drop(bytes);
        let none = Flags::default();
        if !self.flight.is_of(key) || !self.fly_home_with_copy(key, |home| visit.leave(home, none)) {
            self.conclude_elsewhere(key, visit, Ok(none));
        }
    }

    /// As [`fly_home`](Self::fly_home), where sending is no call, and the backend knows of what was received.
    #[inline(always)]
    pub(super) fn fly_home_with_copy(self: &Rc<Self>, key: Key, note: impl FnOnce(&mut Connection)) -> bool {
        let bytes = self.flight.bytes.borrow_mut();
        let mut slots = self.slots();
        let Some(Slot::Connection(connection)) = slots.get_mut(key) else { return false };
        if !bytes.is_empty() {
            if !self.flight.is_usual() && connection.is_sending(self.wait_number()) {
                return false;
            }
            connection.traffic.sent += bytes.len() as u64;
            connection.lend_copy(bytes.len(), self.wait_number());
        }
        connection.traffic.received += self.flight.received.get() as u64;
        note(connection);
        drop(slots);
        self.flight.end();
        if !bytes.is_empty() {
            self.send_flown_copy(key, bytes);
        }
        true
    }

    /// Sends what was written in a flight, and is noted.
    #[inline(always)]
    fn send_flown_copy(self: &Rc<Self>, key: Key, mut bytes: RefMut<'_, Vec<u8>>) {
        if self.backend_in_turn().send_copy(key, &bytes) {
            self.stats().sent();
            bytes.clear();
        } else {
            self.lend_flown(key, bytes);
        }
    }

    /// What arrived stays with the backend.
    #[inline]
    pub(super) fn decline_arrived(&self) {
        if let Some(arrivals) = &self.arrivals {
            arrivals.decline();
        }
    }

    /// Copies what arrived, if nobody has taken it, and there is room for all of it. If there is not, the backend has it.
    #[inline]
    pub(super) fn receive_arrived(&self, memory: &mut [u8]) -> Option<usize> {
        let arrivals = self.arrivals.as_ref().filter(|_| self.flight.untold.replace(false))?;
        let copied = arrivals.copy_into(memory);
        if copied.is_some() {
            self.stats().received();
        } else {
            arrivals.decline();
        }
        copied
    }
}
