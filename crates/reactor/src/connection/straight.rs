//! The straight path: a connection that is in no particular state receives, its protocol answers, and the answer is sent.
//!
//! Nearly all traffic is of that kind. Whatever happens here happens in `input`, `dispatch` and `output` as well, step by step
//! and for every state there is, with a look at the connection in each step. These here look at it as seldom as they can, do
//! nothing unless everything is as usual, and leave the rest to those: that is a third of the instructions of an echo.

use std::io::IoSlice;
use std::rc::Rc;

use super::{Connection, Flags};
use crate::backend::{Outgoing, Sent, SentWhole, Started};
use crate::filter::AT_ONCE;
use crate::key::Key;
use crate::reactor::Shell;
use crate::transport::WriteStatus;

impl Flags {
    /// Input is not for the protocol, or not now.
    pub(super) const NO_STRAIGHT_INPUT: Self = Self::union(&[
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
    pub(super) const NO_STRAIGHT_END: Self = Self::union(&[
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
    pub(super) fn take_straight(&mut self) -> Option<Box<Outgoing>> {
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
    pub(crate) fn ends_straight(&mut self, len: usize) -> bool {
        let stands = !self.flags.any(Flags::NO_STRAIGHT_END) && !self.has_rarities();
        if !stands || self.outgoing.is_some() || self.lent != len {
            return false;
        }
        self.flags.clear(Flags::SENDING);
        self.traffic.sent += len as u64;
        self.lent = 0;
        true
    }

    /// So much is under way from now on.
    #[inline]
    pub(super) fn lend_straight(&mut self, len: usize, wait: u32) {
        self.flags.set(Flags::SENDING);
        (self.lent, self.lent_in) = (len, wait);
    }
}

impl Shell {
    #[inline]
    pub(super) fn take_spare(&self) -> Box<Outgoing> {
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
    pub(crate) fn send_straight(self: &Rc<Self>, key: Key, outgoing: Box<Outgoing>) {
        if self.gives_room {
            let sent = self.backend().send_now(key, &[IoSlice::new(outgoing.front())]);
            if sent > 0 {
                self.stats().sent();
            }
            if sent == outgoing.len() {
                return self.keep_spare(outgoing);
            }
            return self.give_back(key, outgoing, sent);
        }
        let (len, wait) = (outgoing.len(), self.wait_number());
        let departs = self.ask(key, |connection| {
            let departs = self.departs(key, connection, outgoing.front());
            if departs {
                connection.lend_departing(len, wait);
            } else {
                // It is under way, and not sent.
                connection.traffic.sent -= len as u64;
                connection.lend_straight(len, wait);
            }
            departs
        });
        if departs {
            self.keep_spare(outgoing);
            self.departed();
        } else {
            self.send_lent(key, outgoing);
        }
    }

    /// Only some of it was sent.
    #[cold]
    fn give_back(self: &Rc<Self>, key: Key, mut outgoing: Box<Outgoing>, sent: usize) {
        let before = outgoing.len();
        outgoing.advance(sent, &mut Vec::new());
        self.alter(key, |connection| {
            connection.traffic.sent -= (before - sent) as u64;
            connection.outgoing = Some(outgoing);
        });
        self.flush_closely(key);
    }

    /// Sends what is noted as lent.
    #[inline]
    pub(super) fn send_lent(self: &Rc<Self>, key: Key, outgoing: Box<Outgoing>) {
        self.stats().sent();
        let started = self.backend().send(key, outgoing);
        if let Started::Done(sent) = started {
            self.sent(key, sent);
            self.flush_closely(key);
        }
    }

    /// A send that was pending is done. What it was is given back if that is to be looked at more closely.
    #[inline]
    pub(crate) fn end_straight(&self, key: Key, sent: Sent) -> Result<(), Sent> {
        let len = sent.outgoing.len();
        let is_whole = sent.outgoing.is_plain() && matches!(sent.result, Ok(count) if count == len);
        if !is_whole || !self.ask(key, |connection| connection.ends_straight(len)) {
            return Err(sent);
        }
        self.keep_spare(sent.outgoing);
        Ok(())
    }

    /// The same of one of which everything was sent.
    #[inline]
    pub(crate) fn end_whole(&self, sent: SentWhole) -> Result<(), SentWhole> {
        let (SentWhole { key, outgoing }, len) = (&sent, sent.outgoing.len());
        if !outgoing.is_plain() || !self.ask(*key, |connection| connection.ends_straight(len)) {
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
}
