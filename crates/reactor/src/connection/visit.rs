//! Visits: protocols are shown what came, one after another, on the [straight](super::straight) path.

use std::panic::resume_unwind;
use std::rc::Rc;

use super::flight::{Errands, Stage};
use super::input::Pulled;
use super::{Connection, Flags};
use crate::backend::{Chunk, Received};
use crate::contain::Panic;
use crate::key::Key;
use crate::protocol::Protocol;
use crate::reactor::{Shell, Slot};
use crate::transport::Transport;

/// Whoever visits. It is kept outside of what a panic destroys.
pub(crate) struct Visit {
    pub(super) transport: Transport,
    /// While its callback runs.
    pub(super) protocol: Option<Box<dyn Protocol>>,
    /// What it is shown, if that is memory of the backend's.
    chunk: Option<Chunk>,
}

impl Visit {
    pub(crate) fn new(shell: &Rc<Shell>) -> Self {
        Self { transport: Transport::new(Rc::clone(shell), Key::NOBODY), protocol: None, chunk: None }
    }

    /// Puts the protocol back.
    #[inline]
    pub(super) fn leave(&mut self, connection: &mut Connection, input: Flags) {
        connection.flags.clear(Flags::INPUT);
        connection.flags.set(input);
        // One of the two has it, so nothing is dropped.
        std::mem::swap(&mut self.protocol, &mut connection.protocol);
    }
}

/// What came of a callback: what is to be noted of further input. Or, as an error, that the visit is over, and whether there may be
/// more to pull.
pub(super) type Shown = Result<Flags, bool>;

/// Visits are not contained one by one, but many at a time: [`visit_failed`](Shell::visit_failed) is for the one that ends them. What is
/// usual is put together where it runs, by `inline(always)`, and everything else stands elsewhere: that makes it half as long.
impl Shell {
    /// Delivers what comes next, if that is input. Whether it was.
    #[inline(always)]
    pub(crate) fn visit_next_announced(self: &Rc<Self>, visit: &mut Visit) -> bool {
        let Some(key) = self.next_announced() else { return false };
        if self.begin_visit(key, visit, Some(self.wait_number())) {
            self.stats().event();
            self.visit_protocol(key, visit);
        } else {
            self.deliver_announced(key);
        }
        true
    }

    /// The same, where the backend lends sockets. Nothing departs there, and it has no input by itself.
    #[inline(always)]
    pub(crate) fn visit_next_lent(self: &Rc<Self>, visit: &mut Visit) -> bool {
        let Some(key) = self.next_announced() else { return false };
        if !self.begin_visit(key, visit, None) {
            self.deliver_announced(key);
            return true;
        }
        let socket = self.flight.socket.get();
        if socket.is_none() && !self.note_announced(key) {
            self.give_up_visit(key, visit);
            return true;
        }
        self.stats().event();
        self.flight.untold.set(socket.is_some());
        if self.flight.leaves() {
            self.visit_leaving(key, visit);
        } else if let Some(socket) = socket {
            self.visit_directly(key, visit, socket);
        } else {
            let shown = self.show_input(key, visit);
            self.conclude_visit(key, visit, shown);
        }
        true
    }

    #[inline(never)]
    pub(super) fn deliver_announced(self: &Rc<Self>, key: Key) {
        if self.note_announced(key) {
            self.stats().event();
            self.deliver_input(key);
        }
    }

    /// Puts the protocol back, which was not called.
    #[inline(never)]
    fn give_up_visit(&self, key: Key, visit: &mut Visit) {
        if let Some(Slot::Connection(connection)) = self.slots().get_mut(key) {
            std::mem::swap(&mut visit.protocol, &mut connection.protocol);
        }
        self.flight.end();
    }

    /// The backend may have input.
    pub(crate) fn visit_or_deliver(self: &Rc<Self>, key: Key, visit: &mut Visit) {
        let wait = (!self.lends).then(|| self.wait_number());
        if self.begin_visit(key, visit, wait) {
            self.visit_protocol(key, visit);
        } else {
            self.deliver_input(key);
        }
    }

    /// Nothing was received for this one.
    #[inline(never)]
    pub(super) fn visit_protocol(self: &Rc<Self>, key: Key, visit: &mut Visit) {
        if self.flight.leaves() {
            return self.visit_leaving(key, visit);
        }
        let shown = self.show_input(key, visit);
        self.conclude_visit(key, visit, shown);
    }

    /// The same, for one that may take its input itself.
    #[inline(always)]
    pub(super) fn visit_leaving(self: &Rc<Self>, key: Key, visit: &mut Visit) {
        let Some(protocol) = visit.protocol.as_mut() else { return };
        self.flight.stage.set(Stage::Asked);
        let is_left = protocol.readable(&visit.transport);
        if is_left && self.flight.stage.get() == Stage::Named {
            self.run_errand(key, visit);
        } else {
            self.visit_left(key, visit, is_left);
        }
    }

    /// It was asked whether it takes its input, and has named no errand, or has no use for that.
    #[inline(never)]
    fn visit_left(self: &Rc<Self>, key: Key, visit: &mut Visit, is_left: bool) {
        self.put_off_errand();
        // It is not asked any more.
        self.flight.stage.set(Stage::Visit);
        let shown = match is_left {
            true => Ok(Flags::INPUT | Flags::LEFT),
            false if self.flight.is_of(key) => {
                self.flight.receive_after_all();
                return self.visit_protocol(key, visit);
            }
            false => {
                self.alter(key, |connection| connection.flags.clear(Flags::LEFT));
                self.end_vain_visit(key, visit, Pulled::Unwanted);
                Err(true)
            }
        };
        self.conclude_visit(key, visit, shown);
    }

    /// Takes the protocol out of a connection that is as usual and has input for it. Whether it is so. The next wait is named unless the
    /// backend lends sockets.
    #[inline(always)]
    pub(super) fn begin_visit(&self, key: Key, visit: &mut Visit, wait: Option<u32>) -> bool {
        self.begin_visit_and_look(key, visit, wait).is_some()
    }

    /// The same: if it is so, whether nothing is under way.
    #[inline(always)]
    pub(super) fn begin_visit_and_look(
        &self,
        key: Key,
        visit: &mut Visit,
        wait: Option<u32>,
    ) -> Option<bool> {
        if self.debug.is_on() || !self.flight.is_over() {
            return None;
        }
        let mut slots = self.slots();
        let Some(Slot::Connection(connection)) = slots.get_mut(key) else { return None };
        let is_usual = !connection.flags.any(Flags::NO_STRAIGHT_INPUT) && !connection.has_rarities();
        if !is_usual || connection.protocol.is_none() {
            return None;
        }
        // One of the two has it, so nothing is dropped.
        std::mem::swap(&mut visit.protocol, &mut connection.protocol);
        visit.transport.point_to(key);
        Some(self.flight.begin(key, connection, wait))
    }

    // What the protocol is shown.

    /// Whether the protocol wants bytes, after it was asked for memory. It may have done something to its connection then.
    #[inline]
    fn still_wants_input(&self, key: Key) -> bool {
        self.flight.is_of(key) || self.wants_input(key)
    }

    /// So much was received for it.
    fn note_received(&self, key: Key, count: usize) {
        if self.flight.is_of(key) {
            self.flight.received.set(count);
        } else {
            self.count_received(key, count);
        }
    }

    /// What is received now, into its memory, the loop's, or the backend's.
    #[inline(always)]
    fn show_input(self: &Rc<Self>, key: Key, visit: &mut Visit) -> Shown {
        let Some(protocol) = &mut visit.protocol else { return Err(false) };
        match protocol.receive_buffer() {
            None => self.show_without_memory(key, visit),
            Some(buffer) => {
                let mut more = false;
                let filled = self.receive_into(key, buffer, &mut more);
                self.show_filled(key, visit, filled, more)
            }
        }
    }

    /// What is received now, for a protocol that has no memory.
    #[inline(always)]
    pub(super) fn show_without_memory(self: &Rc<Self>, key: Key, visit: &mut Visit) -> Shown {
        if !self.still_wants_input(key) {
            return Err(self.end_vain_visit(key, visit, Pulled::Unwanted));
        }
        self.show_room(key, visit, |room, more| self.receive_for_room(key, room, more))
    }

    /// What `receive` puts into the loop's room, or gives in place of that.
    #[inline(always)]
    pub(super) fn show_room(
        self: &Rc<Self>,
        key: Key,
        visit: &mut Visit,
        receive: impl FnOnce(&mut [u8], &mut bool) -> Result<usize, Received>,
    ) -> Shown {
        let Some(protocol) = &mut visit.protocol else { return Err(false) };
        let (mut room, mut more) = (self.room.borrow_mut(), false);
        match receive(&mut room, &mut more) {
            Ok(count) => {
                self.note_received(key, count);
                self.deliver_bytes(&mut **protocol, key, &visit.transport, &room[..count]);
                Ok(Flags::INPUT.when(more))
            }
            Err(received) => {
                drop(room);
                self.show_received(key, visit, received, more)
            }
        }
    }

    /// What is in the protocol's memory.
    #[inline(never)]
    pub(super) fn show_filled(
        self: &Rc<Self>,
        key: Key,
        visit: &mut Visit,
        filled: Result<usize, Pulled>,
        more: bool,
    ) -> Shown {
        let Some(protocol) = &mut visit.protocol else { return Err(false) };
        match filled {
            Ok(count) => {
                protocol.buffer_filled(&visit.transport, count);
                Ok(Flags::INPUT.when(more))
            }
            Err(pulled) => Err(self.end_vain_visit(key, visit, pulled)),
        }
    }

    /// A chunk. If there is none, the visit is over.
    #[inline(never)]
    fn show_received(self: &Rc<Self>, key: Key, visit: &mut Visit, received: Received, more: bool) -> Shown {
        let chunk = match received {
            Received::Chunk(chunk) => chunk,
            other => return Err(self.end_vain_visit(key, visit, other.into())),
        };
        if chunk.has_descriptors() {
            self.set_aside(key, Received::Chunk(chunk));
            return Err(self.end_vain_visit(key, visit, Pulled::Data));
        }
        let Some(protocol) = &mut visit.protocol else { return Err(false) };
        let bytes = visit.chunk.insert(chunk).bytes();
        self.note_received(key, bytes.len());
        self.deliver_bytes(&mut **protocol, key, &visit.transport, bytes);
        visit.chunk.take().into_iter().for_each(|chunk| self.backend_in_turn().release(chunk));
        Ok(Flags::INPUT.when(more))
    }

    #[inline(always)]
    fn receive_for_room(&self, key: Key, room: &mut [u8], more: &mut bool) -> Result<usize, Received> {
        if let Some(socket) = self.flight.untold_socket() {
            return self.receive_directly(key, socket, room, more);
        }
        if let Some(count) = self.receive_arrived(room) {
            return Ok(count);
        }
        self.stats().received();
        self.backend_in_turn().receive_for_room(key, room, more).into_filled()
    }

    /// Receives what the backend knows that we have come to.
    pub(super) fn receive_told(&self, key: Key, into: &mut [u8], more: &mut bool) -> Result<usize, Received> {
        self.tell_announced(key);
        self.stats().received();
        self.backend_in_turn().receive_and_look(key, Some(into), more).into_filled()
    }

    /// Receives into memory of the protocol's. It may have done something to its connection when it was asked for that.
    #[inline(never)]
    pub(super) fn receive_into(
        self: &Rc<Self>,
        key: Key,
        buffer: &mut [u8],
        more: &mut bool,
    ) -> Result<usize, Pulled> {
        if !self.still_wants_input(key) {
            return Err(Pulled::Unwanted);
        }
        if buffer.is_empty() {
            return Err(self.receive_for_nothing(key));
        }
        let received = match self.flight.untold_socket() {
            Some(socket) => self.receive_directly(key, socket, &mut *buffer, more),
            None => match self.receive_arrived(buffer) {
                Some(count) => Ok(count),
                None => self.receive_told(key, &mut *buffer, more),
            },
        };
        let count = match received {
            Ok(count) => count,
            Err(other) => match self.set_aside(key, other) {
                Some(Received::Chunk(lent)) => self.fit(key, lent, buffer),
                Some(other) => return Err(other.into()),
                None => return Err(Pulled::Data),
            },
        };
        self.note_received(key, count);
        Ok(count)
    }

    // What follows.

    #[inline(always)]
    pub(super) fn conclude_visit(self: &Rc<Self>, key: Key, visit: &mut Visit, shown: Shown) {
        let goes_on = match shown {
            Ok(input) => self.end_visit(key, visit, input),
            Err(goes_on) => goes_on,
        };
        if goes_on {
            self.pull(key);
        }
    }

    /// The callback has returned: puts the protocol back, and sends what it wrote. Whether there may be more to pull.
    #[inline(always)]
    fn end_visit(self: &Rc<Self>, key: Key, visit: &mut Visit, input: Flags) -> bool {
        if !self.flight.is_of(key) {
            return self.end_visit_closely(key, visit, input);
        }
        if !self.fly_home(key, |connection| visit.leave(connection, input)) {
            return self.end_visit_closely(key, visit, input);
        }
        input == Flags::INPUT
    }

    /// The same as [`end_visit`](Self::end_visit), where something was done to the connection, or its last send is still under way.
    #[inline(never)]
    fn end_visit_closely(self: &Rc<Self>, key: Key, visit: &mut Visit, input: Flags) -> bool {
        self.end_flight(key);
        let (mut protocol, mut is_dirty, mut goes_on) = (visit.protocol.take(), false, false);
        let outgoing = self.alter(key, |connection| {
            // A successor and new filters are rare, too.
            if connection.has_rarities() {
                return None;
            }
            connection.protocol = protocol.take();
            connection.flags.clear(Flags::BUSY);
            if input.any(Flags::LEFT) {
                // It may have been told to go on.
                goes_on = !connection.flags.any(Flags::LEFT);
            } else {
                goes_on = input.any(Flags::INPUT);
                connection.flags.put(Flags::INPUT, goes_on);
            }
            is_dirty = connection.flags.any(Flags::DIRTY);
            if is_dirty { connection.take_straight() } else { None }
        });
        match (outgoing.flatten(), protocol) {
            (Some(outgoing), _) => self.send_straight(key, outgoing),
            (None, Some(protocol)) => {
                return self.conclude_pull(key, protocol, Ok(Pulled::Data)) || input.any(Flags::LEFT);
            }
            (None, None) if is_dirty => self.flush(key),
            (None, None) => {}
        }
        goes_on
    }

    /// Nothing was shown.
    #[cold]
    fn end_vain_visit(self: &Rc<Self>, key: Key, visit: &mut Visit, pulled: Pulled) -> bool {
        self.end_flight(key);
        let Some(protocol) = visit.protocol.take() else { return false };
        self.conclude_pull(key, protocol, Ok(pulled))
    }

    /// A callback panicked, or an errand. What panics elsewhere, panics on.
    #[cold]
    pub(crate) fn visit_failed(self: &Rc<Self>, visit: &mut Visit, panic: Panic) {
        if self.flight.errands.get() == Errands::Runs {
            return self.errand_failed(visit.transport.key(), panic);
        }
        let Some(protocol) = visit.protocol.take() else {
            self.end_flight(visit.transport.key());
            drop(self.flight.departures.take_written());
            resume_unwind(panic.take_payload().unwrap_or_else(|| Box::new(panic)));
        };
        let key = visit.transport.key();
        self.end_flight(key);
        self.put_off_errand();
        self.decline_arrived();
        visit.chunk.take().into_iter().for_each(|chunk| self.release(chunk));
        self.conclude_pull(key, protocol, Err(panic));
    }
}
