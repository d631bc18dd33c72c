//! What a callback writes on the [straight](super::straight) path, before it is the connection's.
//!
//! A protocol that is shown what came mostly answers by some bytes, and asks its connection nothing. As long as that is so, the
//! connection is not touched: what is written waits here, in memory that all connections share, and goes from here to the
//! backend, or where that finds what [departs](Departures). That is a flight. Whoever wants to know or change anything about the
//! connection meanwhile ends it, by [landing](Shell::land): then everything is noted in the connection, where it would have been noted at once otherwise.
//!
//! Where the backend lends the socket, the calls to the system are made from here too. Input that it has announced is then received
//! before it is told that we have come to it; who lands meanwhile tells it.
//!
//! A protocol that takes its input itself may name a call that does it, its [errand](super::errand). Then the flight goes on with
//! that, and keeps the protocol meanwhile.

use std::cell::Cell;
use std::io::IoSlice;
use std::mem::ManuallyDrop;
use std::rc::Rc;

use super::{Connection, Flags};
use crate::backend::{Departures, FEW, LentSocket, MOST, Written};
use crate::filter::AT_ONCE;
use crate::key::Key;
use crate::protocol::Protocol;
use crate::reactor::{Shell, Slot};
use crate::ready::Waiting;

/// How many bytes may be written where nothing waits.
#[allow(clippy::cast_possible_truncation)]
pub(super) const fn most(high: usize, write_limit: usize) -> u32 {
    let most = if high < write_limit { high } else { write_limit };
    if most < MOST { most as u32 } else { MOST as u32 }
}

/// What goes on in a flight.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Stage {
    /// A callback of the protocol.
    #[default]
    Visit,
    /// The callback that asks whether it takes its input, in which it may name an errand.
    Asked,
    /// That callback, and it has named one.
    Named,
    /// The errand. There is input that it can take.
    Left,
    /// The errand, which has taken all of it.
    Taken,
}

/// The flight of a loop: there is one at most.
pub(crate) struct Flight {
    /// Whose it is.
    key: Cell<Key>,
    /// How many bytes may be written, and nothing follows from that.
    room: Cell<usize>,
    /// How many it may be at most.
    most: usize,
    /// Where they are written; and whether the backend lets them depart from there.
    pub(super) departures: Rc<Departures>,
    pub(super) departs: bool,
    /// How many bytes were received for it.
    pub(super) received: Cell<usize>,
    /// Whether its input is left to the protocol.
    leaves: Cell<bool>,
    /// Its socket, if the backend lends it and does nothing with it now.
    pub(super) socket: Cell<Option<LentSocket>>,
    /// The backend has announced input for it, and does not know yet that we have come to it; or that has arrived, and nobody has
    /// taken it.
    pub(super) untold: Cell<bool>,
    /// Nothing was under way when it began; and no input came before that which is announced. Not said where sockets are lent.
    is_usual: Cell<bool>,
    is_fresh: Cell<bool>,
    pub(super) stage: Cell<Stage>,
    /// The errand, until it runs,
    pub(super) errand: Waiting,
    /// and, while it runs, the protocol that named it. Both are taken out before another is put in, so there is nothing to drop then,
    /// which would be a look at each.
    protocol: Cell<Option<ManuallyDrop<Box<dyn Protocol>>>>,
    /// What errands there were since events are delivered.
    pub(crate) errands: Cell<Errands>,
}

/// What there was of errands.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Errands {
    #[default]
    NoneYet,
    /// One runs.
    Runs,
    Ran,
}

impl Flight {
    /// None yet, of a loop whose backend lets few bytes depart, or does not.
    pub(crate) fn new(departures: Option<Rc<Departures>>) -> Self {
        let most = if departures.is_some() { FEW } else { MOST };
        Self {
            departs: departures.is_some(),
            departures: departures.unwrap_or_else(|| Rc::new(Departures::never())),
            key: Cell::new(Key::NOBODY),
            room: Cell::new(0),
            most,
            received: Cell::new(0),
            leaves: Cell::default(),
            socket: Cell::default(),
            untold: Cell::default(),
            is_usual: Cell::default(),
            is_fresh: Cell::default(),
            stage: Cell::default(),
            errand: Waiting::default(),
            protocol: Cell::default(),
            errands: Cell::default(),
        }
    }

    #[inline]
    pub(crate) fn is_of(&self, key: Key) -> bool {
        self.key.get() == key
    }

    #[inline]
    pub(super) fn is_over(&self) -> bool {
        self.is_of(Key::NOBODY)
    }

    /// What departs with that wait may be under way, if one is named. Whether nothing is under way.
    #[inline(always)]
    pub(super) fn begin(&self, key: Key, connection: &Connection, wait: Option<u32>) -> bool {
        self.received.set(0);
        self.leaves.set(connection.flags.any(Flags::TAKES));
        let unusual = Flags::NO_STRAIGHT_END | Flags::INPUT | Flags::SENDING;
        let is_usual = !connection.flags.any(unusual) && wait.is_none_or(|wait| connection.lent_in != wait);
        let is_usual = connection.outgoing.is_none() && is_usual;
        if is_usual {
            self.room.set(self.capped(connection.most as usize, wait));
            if wait.is_some() {
                self.is_usual.set(true);
                self.is_fresh.set(true);
            } else {
                self.socket.set(connection.socket);
            }
        } else {
            self.begin_behind(connection, wait);
        }
        self.stage.set(Stage::Visit);
        self.key.set(key);
        is_usual
    }

    /// Where sockets are lent it is no more in any case.
    #[inline(always)]
    fn capped(&self, room: usize, wait: Option<u32>) -> usize {
        if wait.is_some() { room.min(self.most) } else { room }
    }

    /// The same where something is under way already.
    #[inline(never)]
    fn begin_behind(&self, connection: &Connection, wait: Option<u32>) {
        // A send that is under way is seen to at the end of the flight.
        let writes = connection.outgoing.is_none() && !connection.flags.any(Flags::NO_STRAIGHT_END);
        let lent = wait.map_or(connection.lent, |wait| connection.lent_by(wait));
        let room = if writes { (connection.most as usize).saturating_sub(lent) } else { 0 };
        self.room.set(self.capped(room, wait));
        self.is_usual.set(false);
        self.is_fresh.set(!connection.flags.any(Flags::INPUT));
        let is_free = wait.is_none() && !connection.flags.any(Flags::INPUT | Flags::SENDING);
        self.socket.set(connection.socket.filter(|_| is_free));
    }

    /// Whether its input is left to the protocol.
    #[inline]
    pub(super) fn leaves(&self) -> bool {
        self.leaves.get()
    }

    /// On which socket to receive announced input.
    #[inline]
    pub(super) fn untold_socket(&self) -> Option<LentSocket> {
        if self.untold.get() { self.socket.get() } else { None }
    }

    /// Whether nothing was under way when it began.
    #[inline]
    pub(super) fn is_usual(&self) -> bool {
        self.is_usual.get()
    }

    /// Whether no input came before that which is announced.
    #[inline]
    pub(super) fn is_fresh(&self) -> bool {
        self.is_fresh.get()
    }

    pub(super) fn receive_after_all(&self) {
        self.leaves.set(false);
    }

    #[inline]
    pub(super) fn end(&self) {
        self.key.set(Key::NOBODY);
    }

    /// Whether an errand runs, and there is this connection's input for it.
    #[inline]
    pub(super) fn is_left(&self, key: Key) -> bool {
        self.is_of(key) && self.stage.get() == Stage::Left
    }

    /// Whether an errand runs, and there was this connection's input for it.
    #[inline]
    pub(super) fn is_taken(&self, key: Key) -> bool {
        self.is_of(key) && self.stage.get() == Stage::Taken
    }

    /// The protocol is here as long as an errand runs.
    #[inline]
    pub(super) fn keep_protocol(&self, protocol: Option<Box<dyn Protocol>>) {
        self.protocol.set(protocol.map(ManuallyDrop::new));
    }

    /// Puts it back in its place, where none is.
    #[inline]
    pub(super) fn put_back_protocol(&self, connection: &mut Connection) {
        let protocol = self.protocol.take().map(ManuallyDrop::into_inner);
        std::mem::forget(std::mem::replace(&mut connection.protocol, protocol));
    }

    /// Takes what is written to the connection, if that is something, and all there is to it.
    #[inline]
    pub(super) fn takes(&self, key: Key, data: &[u8]) -> bool {
        let may = self.is_of(key) && !data.is_empty() && data.len() < AT_ONCE;
        may && self.departures.write(data, self.room.get())
    }
}

impl Shell {
    /// Ends the flight: the connection is as if there had been none.
    #[cold]
    #[inline(never)]
    pub(crate) fn land(&self) {
        let key = self.flight.key.replace(Key::NOBODY);
        let (bytes, mut list) = (self.flight.departures.take_written(), false);
        if let Some(Slot::Connection(connection)) = self.slots().get_mut(key) {
            connection.traffic.received += self.flight.received.get() as u64;
            let written = !bytes.is_empty();
            if written {
                connection.flags.set(Flags::DIRTY);
                connection.outgoing.get_or_insert_with(|| self.take_spare()).push_copy(&bytes);
            }
            match self.flight.stage.get() {
                Stage::Visit | Stage::Asked | Stage::Named => {
                    connection.flags.set(Flags::BUSY | Flags::INPUT);
                    connection.flags.put(Flags::LEFT, self.flight.leaves());
                }
                stage => {
                    self.flight.put_back_protocol(connection);
                    connection.flags.put(Flags::INPUT | Flags::LEFT, stage == Stage::Left);
                    list = written && connection.wants_flush();
                }
            }
        }
        drop(bytes);
        self.tell_announced(key);
        if list {
            self.flush_later(key);
        }
    }

    /// The backend hears that we have come to what it announced, if that was not received.
    #[inline]
    pub(super) fn tell_announced(&self, key: Key) {
        if self.flight.untold.replace(false) {
            self.note_announced(key);
        }
    }

    /// Ends the flight where it led to nothing but bytes, and sends those. `false` if that is to be looked at more closely.
    #[inline(always)]
    pub(super) fn fly_home(self: &Rc<Self>, key: Key, note: impl FnOnce(&mut Connection)) -> bool {
        if !self.gives_room {
            self.tell_announced(key);
            return match self.flight.departs {
                true => self.fly_home_departing(key, self.flight.is_usual(), note),
                false => self.fly_home_lending(key, note),
            };
        }
        let written = self.flight.departures.written();
        let mut slots = self.slots();
        let Some(Slot::Connection(connection)) = slots.get_standing(key) else { return false };
        if written > 0 {
            if connection.flags.any(Flags::SENDING) {
                return false;
            }
            connection.traffic.sent += written as u64;
        }
        connection.traffic.received += self.flight.received.get() as u64;
        note(connection);
        drop(slots);
        self.tell_announced(key);
        self.flight.end();
        if written > 0 {
            self.send_written(key);
        }
        true
    }

    /// Sends what was written in a flight that is over.
    #[inline(always)]
    fn send_written(self: &Rc<Self>, key: Key) {
        if let Some(socket) = self.flight.socket.get() {
            return self.send_flown(key, socket);
        }
        // All of it, nearly always.
        let bytes = self.flight.departures.take_written();
        let sent = self.backend_in_turn().send_now(key, &[IoSlice::new(&bytes)]);
        if sent > 0 {
            self.stats().sent();
        }
        if sent < bytes.len() {
            self.put_off(key, bytes, sent);
        }
    }

    /// Only some of it was sent.
    #[cold]
    pub(super) fn put_off(self: &Rc<Self>, key: Key, bytes: Written<'_>, sent: usize) {
        self.alter(key, |connection| {
            let rest = &bytes[sent..];
            connection.traffic.sent -= rest.len() as u64;
            connection.outgoing.get_or_insert_with(|| self.take_spare()).push_copy(rest);
        });
        drop(bytes);
        self.flush_closely(key);
    }
}
