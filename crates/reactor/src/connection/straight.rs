//! The straight path: a connection that is in no particular state receives, its protocol answers, and the answer is sent.
//!
//! Nearly all traffic is of that kind. Whatever happens here happens in `input`, `dispatch` and `output` as well, step by step
//! and for every state there is, with a look at the connection in each step. These here look at it as seldom as they can, do
//! nothing unless everything is as usual, and leave the rest to those: that is a third of the instructions of an echo.

use std::io::IoSlice;
use std::rc::Rc;

use super::input::Pulled;
use super::show::{Shown, Way};
use super::{Connection, Flags};
use crate::backend::{Outgoing, Sent, Started};
use crate::contain::contain;
use crate::filter::AT_ONCE;
use crate::key::Key;
use crate::protocol::Protocol;
use crate::reactor::Shell;
use crate::transport::{Transport, WriteStatus};

impl Flags {
    /// Input is not for the protocol, or not now.
    const NO_STRAIGHT_INPUT: Self = Self::union(&[
        Self::PAUSED,
        Self::LEFT,
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
    /// That a send is done has consequences.
    const NO_STRAIGHT_END: Self = Self::union(&[
        Self::RETRYING,
        Self::CLOSING,
        Self::LOST,
        Self::EOF_ASKED,
        Self::DRAIN_ASKED,
        Self::TOLD_PAUSE,
        Self::LENT_FILE,
        Self::FILTERED,
        Self::PARTING,
    ]);
    /// Nothing may be written, or something that is no bytes is on its way.
    const NO_STRAIGHT_WRITE: Self =
        Self::union(&[Self::EOF_ASKED, Self::CLOSING, Self::LOST, Self::LENT_FILE]);
}

impl Connection {
    /// Takes what was written, if it is bytes and no more than may wait without a word to the protocol. It counts as sent.
    #[inline]
    fn take_straight(&mut self) -> Option<Box<Outgoing>> {
        if self.flags.any(Flags::NO_STRAIGHT_SEND) || self.has_rarities() {
            return None;
        }
        let high = self.high;
        let fits = |outgoing: &mut Box<Outgoing>| outgoing.is_plain() && (1..=high).contains(&outgoing.len());
        let outgoing = self.outgoing.take_if(fits)?;
        self.flags.clear(Flags::DIRTY);
        self.traffic.sent += outgoing.len() as u64;
        Some(outgoing)
    }

    /// So much was lent, and all of it is sent: whether nothing follows from that.
    fn ends_straight(&mut self, len: usize) -> bool {
        let stands = !self.flags.any(Flags::NO_STRAIGHT_END) && !self.has_rarities();
        if !stands || self.outgoing.is_some() || self.lent != len {
            return false;
        }
        self.flags.clear(Flags::SENDING);
        self.traffic.sent += len as u64;
        self.lent = 0;
        true
    }

    /// It is under way, and not sent.
    fn lend_after_all(&mut self, len: usize, turn: u32) {
        self.flags.set(Flags::SENDING);
        self.traffic.sent -= len as u64;
        (self.lent, self.lent_in) = (len, turn);
    }
}

impl Shell {
    #[inline]
    fn take_spare(&self) -> Box<Outgoing> {
        self.spare.take().unwrap_or_else(|| self.spares.borrow_mut().take())
    }

    /// Copies a few bytes behind others, or only behind those that are no more than the high watermark. `None` if that is to be
    /// looked at more closely.
    #[inline]
    pub(super) fn write_straight(&self, key: Key, data: &[u8], within: bool) -> Option<WriteStatus> {
        if data.is_empty() || data.len() >= AT_ONCE || self.is_ended() {
            return None;
        }
        let mut list = false;
        let status = self.alter(key, |connection| {
            if connection.flags.any(Flags::NO_STRAIGHT_WRITE) || connection.has_rarities() {
                return None;
            }
            let outgoing = connection.outgoing.get_or_insert_with(|| self.take_spare());
            let waiting = connection.lent + outgoing.len();
            let most =
                if within { connection.high.min(connection.write_limit) } else { connection.write_limit };
            if !outgoing.is_plain() || waiting > most {
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
        match self.alter(key, Connection::take_straight).flatten() {
            Some(outgoing) => {
                self.send_straight(key, outgoing);
                true
            }
            None => false,
        }
    }

    /// Where sending is a call to the system, it sends all of it nearly always. Then nothing of the connection has to be changed.
    #[inline]
    fn send_straight(self: &Rc<Self>, key: Key, outgoing: Box<Outgoing>) {
        if self.gives_room {
            let sent = self.backend().send_now(key, &[IoSlice::new(outgoing.front())]);
            if sent > 0 {
                self.stats().sent();
            }
            if sent == outgoing.len() {
                return self.keep_spare(outgoing);
            }
            return self.put_off(key, outgoing, sent);
        }
        self.send_lent(key, outgoing);
    }

    /// Only some of it was sent.
    #[cold]
    fn put_off(self: &Rc<Self>, key: Key, mut outgoing: Box<Outgoing>, sent: usize) {
        let before = outgoing.len();
        outgoing.advance(sent, &mut Vec::new());
        self.alter(key, |connection| {
            connection.traffic.sent -= (before - sent) as u64;
            connection.outgoing = Some(outgoing);
        });
        self.flush_closely(key);
    }

    #[inline(never)]
    fn send_lent(self: &Rc<Self>, key: Key, outgoing: Box<Outgoing>) {
        self.stats().sent();
        let (len, turn) = (outgoing.len(), self.turn_number());
        self.alter(key, |connection| connection.lend_after_all(len, turn));
        let started = self.backend().send(key, outgoing);
        if let Started::Done(sent) = started {
            self.sent(key, sent);
            self.flush_closely(key);
        }
    }

    /// A send that was pending is done. What it was is given back if that is to be looked at more closely.
    #[inline]
    pub(super) fn end_straight(&self, key: Key, sent: Sent) -> Result<(), Sent> {
        let len = sent.outgoing.len();
        let is_whole = sent.outgoing.is_plain() && matches!(sent.result, Ok(count) if count == len);
        if !is_whole || !self.ask(key, |connection| connection.ends_straight(len)) {
            return Err(sent);
        }
        self.keep_spare(sent.outgoing);
        Ok(())
    }

    /// Everything of it is sent.
    #[inline]
    fn keep_spare(&self, mut outgoing: Box<Outgoing>) {
        outgoing.clear_plain();
        if let Some(other) = self.spare.replace(Some(outgoing)) {
            self.recycle(other);
        }
    }

    /// The backend may have input. `false` if that is to be looked at more closely.
    #[inline]
    pub(crate) fn input_straight(self: &Rc<Self>, key: Key) -> bool {
        let Some((mut protocol, takes)) = self.begin_straight(key) else { return false };
        if takes {
            match self.leave_straight(key, protocol) {
                Some(goes_on) => protocol = goes_on,
                None => return true,
            }
        }
        if self.pull_straight(key, protocol) {
            self.pull(key);
        }
        true
    }

    /// Takes the protocol out of a connection that is as usual and has input for it.
    #[inline]
    fn begin_straight(&self, key: Key) -> Option<(Box<dyn Protocol>, bool)> {
        if self.debug.is_on() {
            return None;
        }
        self.alter(key, |connection| {
            if connection.flags.any(Flags::NO_STRAIGHT_INPUT) || connection.has_rarities() {
                return None;
            }
            let protocol = connection.protocol.take()?;
            let takes = connection.flags.any(Flags::TAKES);
            connection.flags.set(Flags::BUSY | Flags::INPUT);
            // Here, so that whoever resumes within the callback has the last word.
            connection.flags.put(Flags::LEFT, takes);
            Some((protocol, takes))
        })?
    }

    /// Tells a protocol that there is input. Gives it back if the input is to be received all the same.
    fn leave_straight(
        self: &Rc<Self>,
        key: Key,
        mut protocol: Box<dyn Protocol>,
    ) -> Option<Box<dyn Protocol>> {
        let transport = Transport::new(Rc::clone(self), key);
        match contain(|| protocol.readable(&transport)) {
            Ok(true) => self.was_left(key, protocol),
            Ok(false) => {
                let wanted = self.ask(key, |connection| {
                    connection.flags.clear(Flags::LEFT);
                    connection.is_reading()
                });
                if wanted {
                    return Some(protocol);
                }
                self.conclude_pull(key, protocol, Ok(Pulled::Unwanted));
                self.pull(key);
            }
            Err(panic) => drop(self.conclude_pull(key, protocol, Err(panic))),
        }
        None
    }

    /// Puts a protocol back that takes its input itself.
    fn was_left(self: &Rc<Self>, key: Key, protocol: Box<dyn Protocol>) {
        let (mut protocol, mut is_dirty, mut is_left) = (Some(protocol), false, true);
        self.alter(key, |connection| {
            if connection.has_rarities() {
                return;
            }
            connection.protocol = protocol.take();
            connection.flags.clear(Flags::BUSY);
            is_dirty = connection.flags.any(Flags::DIRTY);
            is_left = connection.flags.any(Flags::LEFT);
        });
        if let Some(protocol) = protocol {
            self.conclude_pull(key, protocol, Ok(Pulled::Data));
            is_left = false;
        } else if is_dirty {
            self.flush(key);
        }
        if !is_left {
            // It was told to go on, or somebody else is there.
            self.pull(key);
        }
    }

    /// Receives, delivers, and sends what the protocol wrote. Whether there may be more to pull.
    #[inline]
    fn pull_straight(self: &Rc<Self>, key: Key, mut protocol: Box<dyn Protocol>) -> bool {
        let transport = Transport::new(Rc::clone(self), key);
        let mut shown = Shown::default();
        let bytes = contain(|| self.show(&mut *protocol, &transport, &mut shown, Way::Straight));
        self.was_shown(key, &mut shown);
        if !matches!(bytes, Ok(true)) {
            return self.conclude_pull(key, protocol, bytes.map(|bytes| shown.what_came(bytes)));
        }
        let more = shown.more;
        let (mut protocol, mut is_dirty) = (Some(protocol), false);
        let outgoing = self.alter(key, |connection| {
            // A successor and new filters are rare, too.
            if connection.has_rarities() {
                return None;
            }
            connection.protocol = protocol.take();
            connection.flags.clear(Flags::BUSY);
            connection.flags.put(Flags::INPUT, more);
            is_dirty = connection.flags.any(Flags::DIRTY);
            if is_dirty { connection.take_straight() } else { None }
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
