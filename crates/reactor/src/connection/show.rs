//! Shows a protocol what was received.

use std::rc::Rc;

use super::input::Pulled;
use crate::backend::{Chunk, Received};
use crate::key::Key;
use crate::protocol::Protocol;
use crate::reactor::Shell;
use crate::transport::Transport;

/// How much a receive asks for that gets room of the loop's.
const ROOM: usize = 64 * 1024;

/// What is known about a connection that is received from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// It has no filters.
    Straight,
    Any,
}

/// What a protocol is shown, and what came in place of bytes.
#[derive(Default)]
pub(super) struct Shown {
    /// The backend's memory.
    chunk: Option<Chunk>,
    other: Option<Pulled>,
    /// Whether the backend may have more, where it was asked: on the straight way.
    pub(super) more: bool,
}

impl Shown {
    /// What a pull brought, if it was bytes or not.
    pub(super) fn what_came(&mut self, bytes: bool) -> Pulled {
        self.other.take().filter(|_| !bytes).unwrap_or(Pulled::Data)
    }

    #[cold]
    fn note(&mut self, other: Pulled) -> bool {
        self.other = Some(other);
        false
    }
}

impl Shell {
    /// Receives into the protocol's memory, the loop's or the backend's, and hands over. Whether that were bytes. Runs code of
    /// the user's, so it is contained; what is shown stays with the caller, who takes it back also after a panic.
    #[inline]
    pub(super) fn show(
        self: &Rc<Self>,
        protocol: &mut dyn Protocol,
        transport: &Transport,
        shown: &mut Shown,
        way: Way,
    ) -> bool {
        let key = transport.key();
        let received = match protocol.receive_buffer() {
            Some(_) if !self.wants_input(key) => return shown.note(Pulled::Unwanted),
            Some([]) => return shown.note(self.receive_for_nothing(key)),
            Some(buffer) => match self.receive_some(key, Some(&mut *buffer), way, &mut shown.more) {
                Err(Some(Received::Chunk(lent))) => Ok(self.fit(key, lent, buffer)),
                received => received,
            },
            None if self.gives_room => return self.show_room(protocol, transport, shown, way),
            None => self.receive_some(key, None, way, &mut shown.more),
        };
        match received {
            Ok(count) => {
                self.count_received(key, count);
                protocol.buffer_filled(transport, count);
                true
            }
            Err(other) => self.show_other(protocol, transport, shown, other),
        }
    }

    /// The bytes are in memory of the loop's.
    #[inline]
    fn show_room(
        self: &Rc<Self>,
        protocol: &mut dyn Protocol,
        transport: &Transport,
        shown: &mut Shown,
        way: Way,
    ) -> bool {
        let key = transport.key();
        // It is in use only if there is a delivery within another.
        let (mut kept, mut own) = (self.room.try_borrow_mut().ok(), Vec::new());
        let room = kept.as_deref_mut().unwrap_or(&mut own);
        if room.is_empty() {
            *room = vec![0; ROOM];
        }
        match self.receive_some(key, Some(&mut *room), way, &mut shown.more) {
            Ok(count) => {
                self.count_received(key, count);
                let bytes = &room[..count];
                self.begin_delivery(key, bytes);
                protocol.data_received(transport, bytes);
                self.end_delivery(key, bytes);
                true
            }
            Err(other) => self.show_other(protocol, transport, shown, other),
        }
    }

    fn show_other(
        self: &Rc<Self>,
        protocol: &mut dyn Protocol,
        transport: &Transport,
        shown: &mut Shown,
        received: Option<Received>,
    ) -> bool {
        match received {
            Some(Received::Chunk(lent)) => {
                let bytes = shown.chunk.insert(lent).bytes();
                self.count_received(transport.key(), bytes.len());
                self.begin_delivery(transport.key(), bytes);
                protocol.data_received(transport, bytes);
                true
            }
            None | Some(Received::Filled(_)) => true,
            Some(Received::Eof) => shown.note(Pulled::Eof),
            Some(Received::Dry) => shown.note(Pulled::Dry),
            Some(Received::Failed(error)) => shown.note(Pulled::Failed(error)),
        }
    }

    /// How many bytes are in the memory that was offered, or what came in place of that.
    #[inline]
    fn receive_some(
        self: &Rc<Self>,
        key: Key,
        into: Option<&mut [u8]>,
        way: Way,
        more: &mut bool,
    ) -> Result<usize, Option<Received>> {
        if way == Way::Any {
            let Some(received) = self.receive_bytes(key, into) else { return Err(None) };
            return received.into_filled().map_err(Some);
        }
        self.stats().received();
        let received = self.backend().receive_and_look(key, into, more);
        received.into_filled().map_err(|other| self.set_aside(key, other))
    }

    /// A backend may ignore the protocol's offer. What does not fit is given back.
    pub(super) fn fit(&self, key: Key, lent: Chunk, buffer: &mut [u8]) -> usize {
        let count = lent.bytes().len().min(buffer.len());
        buffer[..count].copy_from_slice(&lent.bytes()[..count]);
        self.count_received(key, lent.bytes().len() - count);
        self.unread(key, &lent.bytes()[count..]);
        self.release(lent);
        count
    }

    /// Takes back what a protocol was shown, but for what it gave back.
    #[inline]
    pub(super) fn was_shown(&self, key: Key, shown: &mut Shown) {
        if let Some(chunk) = shown.chunk.take() {
            self.end_delivery(key, chunk.bytes());
            self.release(chunk);
        }
    }
}
