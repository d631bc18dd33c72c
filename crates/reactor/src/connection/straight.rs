//! The straight path: a connection that is in no particular state receives, its protocol answers, and the answer is sent.
//!
//! Nearly all traffic is of that kind. Whatever happens here happens in `input`, `dispatch` and `output` as well, step by step
//! and for every state there is, with a look at the connection in each step. These here look at it as seldom as they can, do
//! nothing unless everything is as usual, and leave the rest to those: that is a third of the instructions of an echo.

use std::rc::Rc;

use super::input::{Pulled, Shown, Way};
use super::{Connection, Flags};
use crate::backend::{Outgoing, Sent, Started};
use crate::contain::contain;
use crate::key::Key;
use crate::protocol::Protocol;
use crate::reactor::Shell;
use crate::transport::{Transport, WriteStatus};

impl Flags {
    /// Input is not for the protocol, or not now.
    const NO_STRAIGHT_INPUT: Self = Self::union(&[
        Self::PAUSED,
        Self::SUSPENDED,
        Self::LISTED,
        Self::UNMADE,
        Self::BUSY,
        Self::EOF,
        Self::EOF_UNTOLD,
        Self::CLOSING,
        Self::LINGERING,
        Self::LOST,
        Self::FILTERED,
        Self::SHAKING,
        Self::PARTING,
    ]);
    /// A send cannot be made, or has consequences.
    const NO_STRAIGHT_SEND: Self = Self::union(&[
        Self::SENDING,
        Self::RETRYING,
        Self::CLOSING,
        Self::LOST,
        Self::EOF_ASKED,
        Self::DRAIN_ASKED,
        Self::TOLD_PAUSE,
        Self::FILTERED,
    ]);
    /// Nothing may be written, or something that is no bytes is on its way.
    const NO_STRAIGHT_WRITE: Self =
        Self::union(&[Self::EOF_ASKED, Self::CLOSING, Self::LOST, Self::LENT_FILE]);
}

impl Connection {
    /// Lends what was written, if it is bytes and no more than may wait without a word to the protocol.
    #[inline]
    fn lend_straight(&mut self, turn: u32) -> Option<Box<Outgoing>> {
        let high = self.high;
        let is_plain = |outgoing: &mut Box<Outgoing>| {
            outgoing.is_plain() && !outgoing.is_empty() && outgoing.len() <= high
        };
        if self.flags.any(Flags::NO_STRAIGHT_SEND) || self.rare.is_some() {
            return None;
        }
        let outgoing = self.outgoing.take_if(is_plain)?;
        self.flags.clear(Flags::DIRTY);
        self.flags.set(Flags::SENDING);
        self.lent = outgoing.len();
        self.lent_in = turn;
        Some(outgoing)
    }

    /// Everything that was lent is sent.
    #[inline]
    fn sent_straight(&mut self) {
        self.flags.clear(Flags::SENDING);
        self.traffic.sent += std::mem::take(&mut self.lent) as u64;
    }
}

impl Shell {
    /// Copies a few bytes behind others. `None` if that is to be looked at more closely.
    #[inline]
    pub(super) fn write_straight(&self, key: Key, data: &[u8]) -> Option<WriteStatus> {
        if data.is_empty() || self.is_ended() {
            return None;
        }
        let mut list = false;
        let status = self.alter(key, |connection| {
            if connection.flags.any(Flags::NO_STRAIGHT_WRITE) || connection.rare.is_some() {
                return None;
            }
            let outgoing = connection.outgoing.get_or_insert_with(|| self.spares.borrow_mut().take());
            let waiting = connection.lent + outgoing.len();
            if !outgoing.is_plain() || waiting > connection.write_limit {
                return None;
            }
            outgoing.push_copy(data);
            // After a callback everything is flushed anyway.
            list = if connection.flags.any(Flags::BUSY) {
                connection.flags.set(Flags::DIRTY);
                false
            } else {
                connection.wants_flush()
            };
            let over = waiting + data.len() > connection.high;
            Some(if over { WriteStatus::OverHigh } else { WriteStatus::Ok })
        });
        if list {
            self.flush_later(key);
        }
        status.flatten()
    }

    /// Sends what was written. `false` if that is to be looked at more closely.
    #[inline]
    pub(super) fn flush_straight(self: &Rc<Self>, key: Key) -> bool {
        let turn = self.turn_number();
        match self.alter(key, |connection| connection.lend_straight(turn)).flatten() {
            Some(outgoing) => {
                self.send_straight(key, outgoing);
                true
            }
            None => false,
        }
    }

    #[inline]
    fn send_straight(self: &Rc<Self>, key: Key, outgoing: Box<Outgoing>) {
        self.stats().sent();
        let started = self.backend().send(key, outgoing);
        let Started::Done(Sent { mut outgoing, result }) = started else { return };
        let all = result.as_ref().is_ok_and(|count| *count == outgoing.len()) && outgoing.is_plain();
        if all && self.alter(key, Connection::sent_straight).is_some() {
            outgoing.clear_plain();
            return self.recycle(outgoing);
        }
        self.sent(key, Sent { outgoing, result });
        self.flush(key);
    }

    /// The backend may have input. `false` if that is to be looked at more closely.
    #[inline]
    pub(crate) fn input_straight(self: &Rc<Self>, key: Key) -> bool {
        let Some(protocol) = self.begin_straight(key) else { return false };
        if self.pull_straight(key, protocol) {
            self.pull(key);
        }
        true
    }

    /// Takes the protocol out of a connection that is as usual and has input for it.
    #[inline]
    fn begin_straight(&self, key: Key) -> Option<Box<dyn Protocol>> {
        if self.debug.is_on() {
            return None;
        }
        self.alter(key, |connection| {
            if connection.flags.any(Flags::NO_STRAIGHT_INPUT) || connection.rare.is_some() {
                return None;
            }
            let protocol = connection.protocol.take()?;
            connection.flags.set(Flags::BUSY | Flags::INPUT);
            Some(protocol)
        })?
    }

    /// Receives, delivers, and sends what the protocol wrote. Whether there may be more to pull.
    #[inline]
    fn pull_straight(self: &Rc<Self>, key: Key, mut protocol: Box<dyn Protocol>) -> bool {
        let transport = Transport::new(Rc::clone(self), key);
        let mut shown = Shown::default();
        let pulled = contain(|| self.receive_for(&mut *protocol, &transport, &mut shown, Way::Straight));
        self.was_shown(key, shown);
        if !matches!(pulled, Ok(Pulled::Data)) {
            return self.conclude_pull(key, protocol, pulled);
        }
        let (more, turn) = (self.backend().may_receive(key), self.turn_number());
        let (mut protocol, mut is_dirty) = (Some(protocol), false);
        let outgoing = self.alter(key, |connection| {
            // A successor and new filters are rare, too.
            if connection.rare.is_some() {
                return None;
            }
            connection.protocol = protocol.take();
            connection.flags.clear(Flags::BUSY);
            connection.flags.put(Flags::INPUT, more);
            is_dirty = connection.flags.any(Flags::DIRTY);
            if is_dirty { connection.lend_straight(turn) } else { None }
        });
        match (outgoing.flatten(), protocol) {
            (Some(outgoing), _) => self.send_straight(key, outgoing),
            (None, Some(protocol)) => return self.conclude_pull(key, protocol, Ok(Pulled::Data)),
            (None, None) if is_dirty => self.flush(key),
            (None, None) => {}
        }
        more
    }
}
