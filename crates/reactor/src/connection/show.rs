//! Shows a protocol what was received.

use std::rc::Rc;

use super::input::Pulled;
use crate::backend::{Chunk, Received};
use crate::key::Key;
use crate::protocol::Protocol;
use crate::reactor::Shell;
use crate::transport::Transport;

/// How much a receive asks for that gets room of the loop's. An echo of 100 KiB takes a fifth less of the processor's time than with a
/// quarter of it.
pub(crate) const ROOM: usize = 256 * 1024;

/// What a protocol is shown, and what came in place of bytes.
#[derive(Default)]
pub(super) struct Shown {
    /// The backend's memory.
    chunk: Option<Chunk>,
    other: Option<Pulled>,
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
    ) -> bool {
        let key = transport.key();
        let received = match protocol.receive_buffer() {
            // It may have done something to its connection when it was asked.
            _ if !self.wants_input(key) => return shown.note(Pulled::Unwanted),
            Some([]) => return shown.note(self.receive_for_nothing(key)),
            Some(buffer) => match self.receive_some(key, Some(&mut *buffer)) {
                Err(Some(Received::Chunk(lent))) => Ok(self.fit(key, lent, buffer)),
                received => received,
            },
            None if self.gives_room => return self.show_in_room(protocol, transport, shown),
            None => self.receive_some(key, None),
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
    fn show_in_room(
        self: &Rc<Self>,
        protocol: &mut dyn Protocol,
        transport: &Transport,
        shown: &mut Shown,
    ) -> bool {
        let key = transport.key();
        // It is in use only if there is a delivery within another.
        let (mut kept, mut own) = (self.room.try_borrow_mut().ok(), Vec::new());
        let room = kept.as_deref_mut().unwrap_or_else(|| {
            own = vec![0; ROOM];
            &mut own
        });
        match self.receive_some(key, Some(&mut *room)) {
            Ok(count) => {
                self.count_received(key, count);
                let bytes = &room[..count];
                self.deliver_bytes(protocol, key, transport, bytes);
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
            Some(other) => shown.note(other.into()),
        }
    }

    /// How many bytes are in the memory that was offered, or what came in place of that.
    #[inline]
    fn receive_some(self: &Rc<Self>, key: Key, into: Option<&mut [u8]>) -> Result<usize, Option<Received>> {
        let Some(received) = self.receive_bytes(key, into) else { return Err(None) };
        received.into_filled().map_err(Some)
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
