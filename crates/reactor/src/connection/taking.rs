//! Bytes in that are received when the program asks for them, into its memory.

use std::rc::Rc;

use super::{Connection, Flags};
use crate::backend::Received;
use crate::key::Key;
use crate::reactor::Shell;
use crate::transport::Taken;

/// Input is not for the protocol, or comes in another way. That the program paused reading is no matter: it is the one who asks.
const NOT_TO_BE_TAKEN: Flags = Flags::union(&[
    Flags::SUSPENDED,
    Flags::LISTED,
    Flags::UNMADE,
    Flags::BUSY,
    Flags::EOF,
    Flags::EOF_UNTOLD,
    Flags::CLOSING,
    Flags::LINGERING,
    Flags::LOST,
    Flags::FILTERED,
    Flags::SHAKING,
    Flags::PARTING,
]);

impl Connection {
    #[inline]
    fn can_be_taken_from(&self) -> bool {
        let wanted = Flags::INPUT | Flags::LEFT;
        self.flags.has_of(NOT_TO_BE_TAKEN | wanted, wanted) && !self.has_rarities()
    }

    /// Where there is no more to take, the protocol hears of what comes.
    #[inline]
    fn was_taken_from(&mut self, count: usize, more: bool) -> Taken {
        self.traffic.received += count as u64;
        if !more {
            self.flags.clear(Flags::INPUT | Flags::LEFT);
        }
        Taken::new(count, more)
    }
}

impl Shell {
    /// The protocol hears of input that it can take.
    pub(crate) fn notify_readable(&self, key: Key) {
        self.alter(key, |connection| connection.flags.set(Flags::TAKES));
    }

    #[inline]
    pub(crate) fn take_input(self: &Rc<Self>, key: Key, into: &mut [u8]) -> Option<Taken> {
        if into.is_empty() {
            return None;
        }
        if self.flight.is_left(key) {
            return self.take_in_flight(key, into);
        }
        self.take_out_of_flight(key, into)
    }

    #[inline(never)]
    fn take_out_of_flight(self: &Rc<Self>, key: Key, into: &mut [u8]) -> Option<Taken> {
        self.end_flight(key);
        // Before the connection: it may tell the loop's host, which is code of others, that something changes.
        let mut backend = self.backend();
        let received = self.alter(key, |connection| {
            if !connection.can_be_taken_from() {
                return None;
            }
            let mut more = false;
            let received = backend.receive_and_look(key, Some(&mut *into), &mut more).into_filled();
            Some(received.map(|count| connection.was_taken_from(count, more)).map_err(|other| (other, more)))
        });
        drop(backend);
        let received = received??;
        self.stats().received();
        received.or_else(|(other, more)| self.take_other(key, other, more, into)).ok()
    }

    /// The backend's own memory, or no bytes. What cannot be taken comes through the protocol.
    pub(super) fn take_other(
        self: &Rc<Self>,
        key: Key,
        received: Received,
        more: bool,
        into: &mut [u8],
    ) -> Result<Taken, ()> {
        match self.set_aside(key, received) {
            Some(Received::Filled(count)) => return self.note_taken(key, count, more),
            Some(Received::Chunk(lent)) if lent.bytes().len() <= into.len() => {
                let count = lent.bytes().len();
                into[..count].copy_from_slice(lent.bytes());
                self.release(lent);
                return self.note_taken(key, count, more);
            }
            Some(Received::Chunk(lent)) => {
                let count = self.fit(key, lent, into);
                return self.note_taken(key, count, true);
            }
            Some(Received::Eof) => self.eof(key),
            Some(Received::Dry) => self.dry(key),
            Some(Received::Failed(error)) => self.broken(key, error),
            None => true,
        };
        self.stop_taking(key);
        Err(())
    }

    /// The rest comes through the protocol.
    fn stop_taking(&self, key: Key) {
        let goes_on = self.ask(key, |connection| {
            connection.flags.clear(Flags::LEFT);
            connection.goes_on_reading()
        });
        if goes_on {
            self.list(key);
        }
    }

    fn note_taken(&self, key: Key, count: usize, more: bool) -> Result<Taken, ()> {
        self.alter(key, |connection| connection.was_taken_from(count, more)).ok_or(())
    }
}
