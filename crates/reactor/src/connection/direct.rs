//! What is received and sent on a socket that the backend [lent](crate::backend::SocketLender): a call to the system, and
//! nothing else. What cannot end so goes back to the backend.
//!
//! An echo is a visit on such a socket: the bytes are received into the loop's room, the protocol is shown them, and what it wrote is
//! sent. Nearly all traffic of that kind is of few bytes, so each step here has been counted.

use std::rc::Rc;

use rustix::io::{Errno, retry_on_intr};

use super::visit::Shown;
use super::{Connection, Flags, Visit};
use crate::backend::{LentSocket, Received};
use crate::key::Key;
use crate::protocol::Internal;
use crate::reactor::{Shell, Slot};

/// What a call gave, or what it gave when it was repeated because it had been interrupted.
fn uninterrupted(
    result: Result<usize, Errno>,
    again: impl FnMut() -> Result<usize, Errno>,
) -> Result<usize, Errno> {
    if result == Err(Errno::INTR) { retry_on_intr(again) } else { result }
}

impl Shell {
    /// Puts a connection that stands in its slot, with the socket that the backend lends.
    pub(crate) fn stand(&self, key: Key, mut connection: Connection) {
        if self.lends {
            let socket = self.backend_in_turn().lender(Internal).and_then(|lender| lender.lend_socket(key));
            connection.keep_socket(socket);
        } else if self.flight.departs {
            let mut backend = self.backend_in_turn();
            connection.keep_socket(backend.departing(Internal).and_then(|departing| departing.departs(key)));
        }
        self.slot(key, |slot| *slot = Slot::Connection(connection));
    }

    /// Announced input of a connection that is as usual, for a protocol that is shown it.
    #[inline(always)]
    pub(super) fn visit_directly(self: &Rc<Self>, key: Key, visit: &mut Visit, socket: LentSocket) {
        let Some(protocol) = &mut visit.protocol else { return };
        match protocol.receive_buffer() {
            None if self.flight.is_of(key) => {}
            None => return self.visit_told(key, visit),
            Some(buffer) => {
                let mut more = false;
                let filled = self.receive_into(key, buffer, &mut more);
                let shown = self.show_filled(key, visit, filled, more);
                return self.conclude_elsewhere(key, visit, shown);
            }
        }
        let mut room = self.room.borrow_mut();
        let count = match self.receive_few(socket, &mut room) {
            Ok(count) => count,
            Err(result) => {
                drop(room);
                return self.visit_received(key, visit, socket, result);
            }
        };
        self.flight.received.set(count);
        self.deliver_bytes(&mut **protocol, key, &visit.transport, &room[..count]);
        drop(room);
        let none = Flags::default();
        if !self.flight.is_of(key) || !self.fly_home_directly(key, socket, |home| visit.leave(home, none)) {
            self.conclude_elsewhere(key, visit, Ok(none));
        }
    }

    /// The protocol did something to its connection when it was asked for memory. So the backend knows of the input.
    #[cold]
    pub(super) fn visit_told(self: &Rc<Self>, key: Key, visit: &mut Visit) {
        let shown = self.show_without_memory(key, visit);
        self.conclude_visit(key, visit, shown);
    }

    /// It is as much as there is room for, or no bytes.
    #[inline(never)]
    fn visit_received(
        self: &Rc<Self>,
        key: Key,
        visit: &mut Visit,
        socket: LentSocket,
        result: Result<usize, Errno>,
    ) {
        let shown =
            self.show_room(key, visit, |room, more| self.was_received(key, socket, result, room, more));
        self.conclude_visit(key, visit, shown);
    }

    /// Apart from the calls of what is usual.
    #[inline(never)]
    pub(super) fn conclude_elsewhere(self: &Rc<Self>, key: Key, visit: &mut Visit, shown: Shown) {
        self.conclude_visit(key, visit, shown);
    }

    /// Ends a flight with announced input that was received, where it led to nothing but bytes, and sends those. `false` if that is
    /// to be looked at more closely.
    #[inline(always)]
    pub(super) fn fly_home_directly(
        self: &Rc<Self>,
        key: Key,
        socket: LentSocket,
        note: impl FnOnce(&mut Connection),
    ) -> bool {
        let written = self.flight.departures.written();
        let mut slots = self.slots();
        let Some(Slot::Connection(connection)) = slots.get_standing(key) else { return false };
        connection.traffic.received += self.flight.received.get() as u64;
        connection.traffic.sent += written as u64;
        note(connection);
        drop(slots);
        self.flight.end();
        if written > 0 {
            self.send_flown(key, socket);
        }
        true
    }

    /// Sends what was written in a flight that is over.
    #[inline(always)]
    pub(super) fn send_flown(self: &Rc<Self>, key: Key, socket: LentSocket) {
        let bytes = self.flight.departures.take_written();
        let sent = self.send_directly(key, socket, &bytes);
        if sent < bytes.len() {
            self.put_off(key, bytes, sent);
        }
    }

    /// Receives for a flight with announced input, if that is less than there is room for: then a socket of the Internet's has no
    /// more, and announces what comes later. Or else it is to be [looked at](Self::was_received) what the call gave.
    #[inline(always)]
    pub(super) fn receive_few(
        &self,
        socket: LentSocket,
        into: &mut [u8],
    ) -> Result<usize, Result<usize, Errno>> {
        self.stats().own_receive();
        match socket.receive(into) {
            Ok(count) if count != 0 && count < into.len() => {
                self.flight.untold.set(false);
                Ok(count)
            }
            result => Err(result),
        }
    }

    pub(super) fn receive_directly(
        &self,
        key: Key,
        socket: LentSocket,
        into: &mut [u8],
        more: &mut bool,
    ) -> Result<usize, Received> {
        self.receive_few(socket, into).or_else(|result| self.was_received(key, socket, result, into, more))
    }

    #[inline(never)]
    pub(super) fn was_received(
        &self,
        key: Key,
        socket: LentSocket,
        result: Result<usize, Errno>,
        into: &mut [u8],
        more: &mut bool,
    ) -> Result<usize, Received> {
        let result = uninterrupted(result, || {
            self.stats().own_receive();
            socket.receive(into)
        });
        self.flight.untold.set(false);
        let result = result.map_err(Into::into);
        let (received, left) = match self.backend_in_turn().lender(Internal) {
            Some(lender) => lender.was_received(key, result),
            None => (result.map_or_else(Received::Failed, Received::Filled), true),
        };
        *more = left;
        received.into_filled()
    }

    /// Sends: how many bytes were sent.
    #[inline(always)]
    fn send_directly(&self, key: Key, socket: LentSocket, bytes: &[u8]) -> usize {
        self.stats().own_send();
        match socket.send(bytes) {
            Ok(sent) if sent == bytes.len() => sent,
            result => self.was_sent(key, socket, result, bytes),
        }
    }

    #[cold]
    fn was_sent(&self, key: Key, socket: LentSocket, result: Result<usize, Errno>, bytes: &[u8]) -> usize {
        let result = uninterrupted(result, || {
            self.stats().own_send();
            socket.send(bytes)
        });
        if result == Ok(bytes.len()) {
            return bytes.len();
        }
        let result = result.map_err(Into::into);
        let sent = self.backend_in_turn().lender(Internal).map_or(0, |lender| lender.was_sent(key, result));
        if sent == 0 {
            self.stats().vain_send();
        }
        sent
    }
}
