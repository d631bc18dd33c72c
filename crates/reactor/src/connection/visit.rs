//! Visits: protocols are shown what came, one after another, on the [straight](super::straight) path.

use std::panic::resume_unwind;
use std::rc::Rc;

use super::flight::Stage;
use super::input::Pulled;
use super::{Connection, Flags};
use crate::backend::{Chunk, NextInput, Received};
use crate::contain::Panic;
use crate::key::Key;
use crate::protocol::Protocol;
use crate::reactor::{Shell, Slot};
use crate::transport::Transport;

/// Whoever visits. It is kept outside of what a panic destroys.
pub(crate) struct Visit {
    transport: Transport,
    /// While its callback runs.
    protocol: Option<Box<dyn Protocol>>,
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
type Shown = Result<Flags, bool>;

/// Visits are not contained one by one, but many at a time: [`visit_failed`](Shell::visit_failed) is for the one that ends them. What is
/// usual is put together where it runs, by `inline(always)`, and everything else stands elsewhere: that makes it half as long.
impl Shell {
    /// Delivers what comes next, if that is input. Whether it was.
    #[inline(always)]
    pub(crate) fn visit_next(self: &Rc<Self>, visit: &mut Visit) -> bool {
        let mut room = self.room.borrow_mut();
        let begin = &mut |key| self.begin_visit(key, visit) && self.flight.receives();
        let next = self.backend_in_turn().next_input(&mut room, begin);
        match next {
            NextInput::Filled { key, count, more } => {
                self.stats().event();
                self.stats().received();
                self.flight.received.set(count);
                let shown = self.show_filled(key, visit, &room[..count], more);
                drop(room);
                self.conclude_visit(key, visit, shown);
            }
            NextInput::Other => return false,
            NextInput::Unreceived(key) if visit.protocol.is_some() => {
                drop(room);
                self.stats().event();
                self.visit_protocol(key, visit);
            }
            other => {
                drop(room);
                self.stats().event();
                self.visit_otherwise(visit, other);
            }
        }
        true
    }

    #[inline(never)]
    fn visit_otherwise(self: &Rc<Self>, visit: &mut Visit, next: NextInput) {
        match next {
            NextInput::Received { key, received, more } => {
                self.stats().received();
                let shown = self.show_unasked(key, visit, received, more);
                self.conclude_visit(key, visit, shown);
            }
            NextInput::Unreceived(key) => self.visit_or_deliver(key, visit),
            NextInput::Filled { .. } | NextInput::Other => {}
        }
    }

    /// The backend may have input.
    pub(crate) fn visit_or_deliver(self: &Rc<Self>, key: Key, visit: &mut Visit) {
        if self.begin_visit(key, visit) {
            self.visit_protocol(key, visit);
        } else {
            self.deliver_input(key);
        }
    }

    /// Nothing was received for this one.
    fn visit_protocol(self: &Rc<Self>, key: Key, visit: &mut Visit) {
        let left = if self.flight.leaves() { self.leave_input(key, visit) } else { None };
        if left.is_some_and(|shown| shown.is_ok()) && self.flight.stage.get() == Stage::Named {
            return self.run_errand(key, visit);
        }
        let shown = left.unwrap_or_else(|| self.show_input(key, visit));
        self.conclude_visit(key, visit, shown);
    }

    /// Takes the protocol out of a connection that is as usual and has input for it. Whether it is so.
    #[inline(always)]
    fn begin_visit(&self, key: Key, visit: &mut Visit) -> bool {
        if self.debug.is_on() || !self.flight.is_over() {
            return false;
        }
        let mut slots = self.slots();
        let Some(Slot::Connection(connection)) = slots.get_mut(key) else { return false };
        let is_usual = !connection.flags.any(Flags::NO_STRAIGHT_INPUT) && !connection.has_rarities();
        if !is_usual || connection.protocol.is_none() {
            return false;
        }
        // One of the two has it, so nothing is dropped.
        std::mem::swap(&mut visit.protocol, &mut connection.protocol);
        visit.transport.point_to(key);
        self.flight.begin(key, connection);
        true
    }

    // What the protocol is shown.

    /// Tells a protocol that there is input. `None` if it does not take that itself.
    fn leave_input(self: &Rc<Self>, key: Key, visit: &mut Visit) -> Option<Shown> {
        let protocol = visit.protocol.as_mut()?;
        self.flight.stage.set(Stage::Asked);
        if protocol.readable(&visit.transport) {
            return Some(Ok(Flags::INPUT | Flags::LEFT));
        }
        self.put_off_errand();
        if self.flight.is_of(key) {
            self.flight.receive_after_all();
            return None;
        }
        self.alter(key, |connection| connection.flags.clear(Flags::LEFT));
        self.end_vain_visit(key, visit, Pulled::Unwanted);
        Some(Err(true))
    }

    /// What is in the loop's room.
    #[inline(always)]
    fn show_filled(self: &Rc<Self>, key: Key, visit: &mut Visit, bytes: &[u8], more: bool) -> Shown {
        let Some(protocol) = &mut visit.protocol else { return Err(false) };
        match protocol.receive_buffer() {
            None if self.still_wants_input(key) => {
                self.deliver_bytes(&mut **protocol, &visit.transport, bytes);
            }
            buffer => match self.fill_late(key, bytes, buffer) {
                Ok(count) => protocol.buffer_filled(&visit.transport, count),
                Err(pulled) => return Err(self.end_vain_visit(key, visit, pulled)),
            },
        }
        Ok(Flags::INPUT.when(more))
    }

    /// What was received before the protocol was asked for memory.
    fn show_unasked(self: &Rc<Self>, key: Key, visit: &mut Visit, received: Received, more: bool) -> Shown {
        let chunk = match received {
            Received::Chunk(chunk) if !chunk.has_descriptors() => chunk,
            other => return self.show_received(key, visit, other, more),
        };
        let Some(protocol) = &mut visit.protocol else { return Err(false) };
        let buffer = protocol.receive_buffer();
        if buffer.is_none() && self.still_wants_input(key) {
            return self.show_received(key, visit, Received::Chunk(chunk), more);
        }
        self.note_received(key, chunk.bytes().len());
        let filled = self.fill_late(key, chunk.bytes(), buffer);
        self.release(chunk);
        match filled {
            Ok(count) => protocol.buffer_filled(&visit.transport, count),
            Err(pulled) => return Err(self.end_vain_visit(key, visit, pulled)),
        }
        Ok(Flags::INPUT.when(more))
    }

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

    /// The protocol has memory of its own, which nobody knew: from now on it is asked for that first. Or it wants nothing any more.
    #[cold]
    fn fill_late(&self, key: Key, bytes: &[u8], buffer: Option<&mut [u8]>) -> Result<usize, Pulled> {
        if buffer.is_some() {
            self.alter(key, |connection| connection.flags.set(Flags::HAS_MEMORY));
        }
        let Some(buffer) = buffer.filter(|_| self.wants_input(key)) else {
            self.unread(key, bytes);
            return Err(Pulled::Unwanted);
        };
        if buffer.is_empty() {
            return Err(Pulled::EmptyBuffer);
        }
        let count = bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&bytes[..count]);
        self.unread(key, &bytes[count..]);
        Ok(count)
    }

    /// What is received now, into its memory, the loop's, or the backend's.
    fn show_input(self: &Rc<Self>, key: Key, visit: &mut Visit) -> Shown {
        let Some(protocol) = &mut visit.protocol else { return Err(false) };
        let mut more = false;
        let received = match protocol.receive_buffer() {
            None if !self.still_wants_input(key) => {
                return Err(self.end_vain_visit(key, visit, Pulled::Unwanted));
            }
            None if self.gives_room => {
                let mut room = self.room.borrow_mut();
                let received = self.receive_straight(key, Some(&mut room), &mut more);
                if let Received::Filled(count) = received {
                    self.note_received(key, count);
                    self.deliver_bytes(&mut **protocol, &visit.transport, &room[..count]);
                    return Ok(Flags::INPUT.when(more));
                }
                received
            }
            None => self.receive_straight(key, None, &mut more),
            Some(buffer) => match self.receive_into(key, buffer, &mut more) {
                Ok(count) => {
                    protocol.buffer_filled(&visit.transport, count);
                    return Ok(Flags::INPUT.when(more));
                }
                Err(pulled) => return Err(self.end_vain_visit(key, visit, pulled)),
            },
        };
        self.show_received(key, visit, received, more)
    }

    /// A chunk. If there is none, the visit is over.
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
        self.deliver_bytes(&mut **protocol, &visit.transport, bytes);
        visit.chunk.take().into_iter().for_each(|chunk| self.backend_in_turn().release(chunk));
        Ok(Flags::INPUT.when(more))
    }

    fn receive_straight(&self, key: Key, into: Option<&mut [u8]>, more: &mut bool) -> Received {
        self.stats().received();
        self.backend_in_turn().receive_and_look(key, into, more)
    }

    /// Receives into memory of the protocol's. It may have done something to its connection when it was asked for that.
    fn receive_into(self: &Rc<Self>, key: Key, buffer: &mut [u8], more: &mut bool) -> Result<usize, Pulled> {
        if !self.still_wants_input(key) {
            return Err(Pulled::Unwanted);
        }
        if buffer.is_empty() {
            return Err(self.receive_for_nothing(key));
        }
        let count = match self.receive_straight(key, Some(buffer), more) {
            Received::Filled(count) => count,
            other => match self.set_aside(key, other) {
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

    /// A callback panicked. What panics elsewhere, panics on.
    #[cold]
    pub(crate) fn visit_failed(self: &Rc<Self>, visit: &mut Visit, panic: Panic) {
        let Some(protocol) = visit.protocol.take() else {
            self.end_flight(visit.transport.key());
            self.flight.bytes.borrow_mut().clear();
            resume_unwind(panic.take_payload().unwrap_or_else(|| Box::new(panic)));
        };
        let key = visit.transport.key();
        self.end_flight(key);
        self.put_off_errand();
        visit.chunk.take().into_iter().for_each(|chunk| self.release(chunk));
        self.conclude_pull(key, protocol, Err(panic));
    }
}
