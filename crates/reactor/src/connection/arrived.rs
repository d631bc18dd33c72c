//! Input that the backend has received already, and that lies where the core [finds it](crate::backend::Arrivals).

use std::rc::Rc;

use super::{Flags, Visit};
use crate::backend::{Arrivals, Bytes};
use crate::key::Key;
use crate::reactor::Shell;

impl Shell {
    /// Delivers what comes next, if that is input. Whether it was.
    #[inline(always)]
    pub(crate) fn visit_next_arrived(self: &Rc<Self>, visit: &mut Visit, arrivals: &Arrivals) -> bool {
        let Some((key, bytes)) = arrivals.take_next() else { return false };
        let Some(is_usual) = self.begin_visit_and_look(key, visit, Some(self.wait_number())) else {
            arrivals.decline();
            self.deliver_announced(key);
            return true;
        };
        self.stats().event();
        if bytes.is_empty() || !is_usual {
            self.visit_behind(key, visit, arrivals, bytes);
        } else if self.flight.leaves() {
            self.visit_arrived_leaving(key, visit, arrivals, bytes);
        } else {
            self.visit_arrived(key, visit, arrivals, bytes, true);
        }
        true
    }

    /// Something is under way, or it did not arrive.
    #[inline(never)]
    fn visit_behind(self: &Rc<Self>, key: Key, visit: &mut Visit, arrivals: &Arrivals, bytes: Bytes) {
        if bytes.is_empty() || !self.flight.is_fresh() {
            arrivals.decline();
            self.visit_protocol(key, visit);
        } else if self.flight.leaves() {
            self.visit_arrived_leaving(key, visit, arrivals, bytes);
        } else {
            self.visit_arrived(key, visit, arrivals, bytes, false);
        }
    }

    /// The protocol may take what arrived itself. Meanwhile it stays where it is.
    #[inline(always)]
    fn visit_arrived_leaving(
        self: &Rc<Self>,
        key: Key,
        visit: &mut Visit,
        arrivals: &Arrivals,
        bytes: Bytes,
    ) {
        let shown = arrivals.show(bytes);
        self.flight.untold.set(true);
        self.visit_leaving(key, visit);
        drop(shown);
    }

    /// Shows the protocol what arrived for it, where it lies.
    #[inline(always)]
    fn visit_arrived(
        self: &Rc<Self>,
        key: Key,
        visit: &mut Visit,
        arrivals: &Arrivals,
        bytes: Bytes,
        is_usual: bool,
    ) {
        let bytes = arrivals.show(bytes);
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
        if !self.flight.is_of(key) || !self.fly_home_departing(key, is_usual, |home| visit.leave(home, none))
        {
            self.conclude_elsewhere(key, visit, Ok(none));
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
