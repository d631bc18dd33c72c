//! What a callback writes on the [straight](super::straight) path, before it is the connection's.
//!
//! A protocol that is shown what came mostly answers by some bytes, and asks its connection nothing. As long as that is so, the
//! connection is not touched: what is written waits here, in memory that all connections share, and goes from here to the
//! backend. That is a flight. Whoever wants to know or change anything about the connection meanwhile ends it, by
//! [landing](Shell::land): then everything is noted in the connection, where it would have been noted at once otherwise.

use std::cell::{Cell, RefCell};

use super::{Connection, Flags};
use crate::filter::AT_ONCE;
use crate::key::Key;
use crate::reactor::{Shell, Slot};

/// No more than this waits here.
const MOST: usize = 64 * 1024;

/// The flight of a loop: there is one at most.
pub(crate) struct Flight {
    /// Whose it is.
    key: Cell<Key>,
    /// How many bytes may be written, and nothing follows from that.
    room: Cell<usize>,
    pub(super) bytes: RefCell<Vec<u8>>,
    /// How many bytes were received for it.
    pub(super) received: Cell<usize>,
    /// What the protocol is asked before anything is received: whether it takes that itself, or has memory for it.
    asks: Cell<Flags>,
}

impl Default for Flight {
    fn default() -> Self {
        Self {
            key: Cell::new(Key::NOBODY),
            room: Cell::new(0),
            bytes: RefCell::default(),
            received: Cell::new(0),
            asks: Cell::default(),
        }
    }
}

impl Flight {
    #[inline]
    pub(crate) fn is_of(&self, key: Key) -> bool {
        self.key.get() == key
    }

    #[inline]
    pub(super) fn is_over(&self) -> bool {
        self.is_of(Key::NOBODY)
    }

    #[inline(always)]
    pub(super) fn begin(&self, key: Key, connection: &Connection) {
        // A send that is under way is seen to at the end of the flight.
        let writes = connection.outgoing.is_none() && !connection.flags.any(Flags::NO_STRAIGHT_END);
        let most = connection.high.min(connection.write_limit).min(MOST);
        self.room.set(if writes { most.saturating_sub(connection.lent) } else { 0 });
        self.received.set(0);
        self.asks.set(connection.flags.of(Flags::TAKES | Flags::HAS_MEMORY));
        self.key.set(key);
    }

    #[inline]
    pub(super) fn receives(&self) -> bool {
        self.asks.get().is_empty()
    }

    /// Whether its input is left to the protocol.
    #[inline]
    pub(super) fn leaves(&self) -> bool {
        self.asks.get().any(Flags::TAKES)
    }

    pub(super) fn receive_after_all(&self) {
        self.asks.set(Flags::default());
    }

    #[inline]
    pub(super) fn end(&self) {
        self.key.set(Key::NOBODY);
    }

    /// Takes what is written to the connection, if that is something, and all there is to it.
    #[inline]
    pub(super) fn takes(&self, key: Key, data: &[u8]) -> bool {
        if !self.is_of(key) || !(1..AT_ONCE).contains(&data.len()) {
            return false;
        }
        let mut bytes = self.bytes.borrow_mut();
        let fits = bytes.len() + data.len() <= self.room.get();
        if fits {
            bytes.extend_from_slice(data);
        }
        fits
    }
}

impl Shell {
    /// Ends the flight: the connection is as if there had been none.
    #[cold]
    #[inline(never)]
    pub(crate) fn land(&self) {
        let key = self.flight.key.replace(Key::NOBODY);
        let mut bytes = self.flight.bytes.borrow_mut();
        if let Some(Slot::Connection(connection)) = self.slots().get_mut(key) {
            connection.flags.set(Flags::BUSY | Flags::INPUT);
            connection.flags.put(Flags::LEFT, self.flight.leaves());
            connection.traffic.received += self.flight.received.get() as u64;
            if !bytes.is_empty() {
                connection.flags.set(Flags::DIRTY);
                connection.outgoing.get_or_insert_with(|| self.take_spare()).push_copy(&bytes);
            }
        }
        bytes.clear();
    }
}
