//! Bytes out through filters, and the end of a connection that has some.
//!
//! What the protocol wrote waits in `outgoing`, as without filters, until the wire is empty. Then a bounded amount goes
//! through the filters and onto the wire; until the wire is empty again, it counts as lent.

use std::io::IoSlice;
use std::rc::Rc;

use super::chain::{Chain, Leave, Shut};
use super::files::{Failure, InLine, SHARE};
use super::{Connection, Flags};
use crate::backend::{Close, Outgoing, Sent, Started};
use crate::filter::{FilterError, SendNow};
use crate::key::Key;
use crate::lost::Reason;
use crate::reactor::Shell;

/// How many bytes go through the filters at a time, in how many parts.
const AT_A_TIME: usize = 64 * 1024;
const PARTS: usize = 64;

/// With less than this on the wire, what was written goes through the filters first, so that both leave together: the end of a
/// handshake, and the first answer.
const SHORT: usize = 4 * 1024;

enum Wire {
    Empty,
    Short,
    /// A send is under way, or may not be made.
    Waits,
    Lent(Box<Outgoing>),
}

impl Connection {
    fn lend_wire(&mut self, wait: u32, may_be_short: bool) -> Wire {
        self.flags.clear(Flags::DIRTY);
        if self.flags.any(Flags::SENDING | Flags::RETRYING | Flags::LOST) {
            return Wire::Waits;
        }
        if !may_be_short && self.has_short_wire() && self.outgoing.is_some() && self.may_seal() > 0 {
            return Wire::Short;
        }
        let Some(chain) = self.chain_mut() else { return Wire::Waits };
        match chain.wire().take_if(|wire| !wire.is_empty()) {
            Some(wire) => {
                self.flags.set(Flags::SENDING);
                self.lent_in = wait;
                Wire::Lent(wire)
            }
            None => Wire::Empty,
        }
    }

    fn has_short_wire(&self) -> bool {
        let wire = self.chain().map_or(0, Chain::wire_len);
        0 < wire && wire < SHORT
    }

    /// How many of the bytes that were written may go through the filters now.
    fn may_seal(&self) -> usize {
        if self.flags.any(Flags::PARTING | Flags::LOST) {
            return 0;
        }
        let takes = self.chain().map_or(0, Chain::takes);
        // What was written before a filter came still goes where that failed: an alert of its own is behind that.
        let is_held_back = takes == usize::MAX && (self.has_failed() || self.flags.any(Flags::SHAKING));
        if is_held_back { 0 } else { takes.min(AT_A_TIME) }
    }

    /// Whether a filter may take bytes within the program's call: a portion of them, which would count as waiting.
    fn seals_now(&mut self) -> bool {
        self.write_limit >= AT_A_TIME && self.may_seal() > 0 && self.chain().is_some_and(Chain::takes_at_once)
    }

    /// Whether what was written for filters that will never be established is dropped.
    fn gives_up(&self) -> bool {
        self.has_failed() || self.flags.all(Flags::CLOSING | Flags::SHAKING)
    }

    /// Whether everything that shall go out is out.
    pub(super) fn is_flushed(&self) -> bool {
        if !self.is_filtered() {
            return self.buffered() == 0;
        }
        let wire =
            self.flags.any(Flags::SENDING | Flags::RETRYING) || self.chain().is_some_and(Chain::has_wire);
        let waits = if self.gives_up() {
            self.may_seal() > 0
        } else {
            let held = self.chain().is_some_and(Chain::has_held);
            held || self.buffered() > 0 && !self.flags.any(Flags::PARTING)
        };
        !wire && !waits
    }

    /// Whether our direction ended, and what filters say of that, such as close_notify, is not out yet.
    pub(crate) fn is_saying_end(&self) -> bool {
        let ends = self.flags.any(Flags::EOF_ASKED) && !self.flags.any(Flags::LOST) && self.is_filtered();
        ends && self.chain().is_some_and(|chain| match chain.shut {
            Shut::No => !self.flags.any(Flags::SHUT),
            Shut::Told { .. } => true,
            Shut::Done { .. } => false,
        })
    }

    /// Whether the peer may still answer a filter that said goodbye.
    pub(super) fn awaits_answer(&self) -> bool {
        self.filtered().is_some_and(|filtered| filtered.answer_is_due)
    }

    /// What a connection is lost with that closes of its own accord.
    fn end_reason(&mut self) -> Reason {
        let unsent = self.flags.any(Flags::SHAKING) && self.buffered() > 0;
        let parting = self.filtered_mut().and_then(|filtered| filtered.parting.take());
        parting.unwrap_or(if unsent { Reason::Aborted } else { Reason::Clean })
    }
}

impl Shell {
    pub(super) fn flush_filtered(self: &Rc<Self>, key: Key) {
        let (wait, mut share, mut is_joined) = (self.wait_number(), SHARE, false);
        loop {
            match self.alter(key, |connection| connection.lend_wire(wait, is_joined)) {
                None | Some(Wire::Waits) => break,
                Some(Wire::Short) => {
                    is_joined = true;
                    self.seal(key, &mut share);
                }
                Some(Wire::Lent(wire)) => {
                    self.stats().sent();
                    let started = self.backend().send(key, wire);
                    match started {
                        Started::Done(sent) => self.wire_sent(key, sent),
                        Started::Pending => break,
                    }
                }
                Some(Wire::Empty) => {
                    self.wire_is_out(key);
                    if !self.seal(key, &mut share) {
                        break;
                    }
                }
            }
        }
        self.after_flush(key);
    }

    /// Has the filter take bytes right where the program wrote them, before anything else: how many. What it makes of them goes
    /// to the system at once, as far as that takes it.
    pub(super) fn seal_now(self: &Rc<Self>, key: Key, data: &[u8]) -> usize {
        let mut total = 0;
        while total < data.len() && self.ask(key, Connection::seals_now) {
            let piece = IoSlice::new(&data[total..data.len().min(total + AT_A_TIME)]);
            let taken =
                self.with_chain(key, |chain, source| chain.seal(&[piece], &|parts| source.send_now(parts)));
            let Some(taken) = taken.filter(|taken| *taken > 0) else { break };
            total += taken;
            let is_out = self.ask(key, |connection| {
                connection.lent += taken;
                !connection.chain().is_some_and(Chain::has_wire)
            });
            if is_out {
                self.wire_is_out(key);
            }
        }
        total
    }

    /// Everything that went through the filters was handed to the system.
    fn wire_is_out(&self, key: Key) {
        self.alter(key, |connection| {
            connection.traffic.sent += std::mem::take(&mut connection.lent) as u64;
        });
    }

    /// Has the filters take some of what was written, and of files no more than what is left of `share`. Whether there is something
    /// on the wire now.
    fn seal(self: &Rc<Self>, key: Key, share: &mut usize) -> bool {
        let limit = self.inspect(key, Connection::may_seal).unwrap_or(0);
        if limit > 0 && self.read_files_first(key, share).is_none() {
            return false;
        }
        let outgoing = self.alter(key, |connection| {
            let outgoing = connection.outgoing.take_if(|outgoing| limit > 0 && !outgoing.is_empty());
            outgoing.or_else(|| connection.outgoing.take_if(|outgoing| outgoing.is_void()))
        });
        let mut outgoing = outgoing.flatten();
        let taken = self.with_chain(key, |chain, source| {
            chain.settle()?;
            let Some(outgoing) = outgoing.as_deref().filter(|outgoing| !outgoing.is_empty()) else {
                return Ok(0);
            };
            seal_some(chain, outgoing, limit, &|parts| source.send_now(parts))
        });
        if let Some(outgoing) = &mut outgoing {
            self.take_off(outgoing, taken.unwrap_or(0));
        }
        let mut unused = None;
        let has_wire = self.ask(key, |connection| {
            connection.lent += taken.unwrap_or(0);
            Connection::take_back(&mut connection.outgoing, &mut outgoing);
            unused = outgoing.take();
            connection.chain().is_some_and(Chain::has_wire)
        });
        for unused in unused.into_iter().chain(outgoing) {
            self.throw_away(unused);
        }
        // A filter may take bytes and send none yet; then the next may follow at once.
        has_wire || taken.is_some_and(|taken| taken > 0)
    }

    /// Puts bytes in the place of a file that comes first. `None` if that has to wait for the next wait, or was the
    /// connection's end.
    fn read_files_first(self: &Rc<Self>, key: Key, share: &mut usize) -> Option<()> {
        loop {
            let look = |connection: &Connection| {
                (connection.outgoing.as_deref().map(InLine::of), connection.buffered())
            };
            let (Some(InLine::File { .. }), before) = self.inspect(key, look)? else { return Some(()) };
            if *share == 0 {
                self.flush_in_next_turn(key);
                return None;
            }
            let in_memory = self.inspect(key, Connection::in_memory)?;
            self.read_file(key)?;
            let read = self.inspect(key, Connection::in_memory)?.saturating_sub(in_memory);
            *share = share.saturating_sub(read);
            // A file that is shorter than it was takes up less room in the queue.
            let after = self.inspect(key, Connection::buffered)?;
            if after < before {
                self.with_chain(key, |chain, _| chain.went_the_old_way(before - after));
            }
        }
    }

    /// A send of what is on the wire is done.
    pub(super) fn wire_sent(self: &Rc<Self>, key: Key, sent: Sent) {
        let Sent { mut outgoing, result } = sent;
        let failure = match result {
            Ok(count) => {
                self.take_off(&mut outgoing, count);
                None
            }
            Err(error) => Some(Failure::of(error, &mut outgoing)),
        };
        let is_out = outgoing.is_empty();
        let mut outgoing = Some(outgoing);
        let alive = self.ask(key, |connection| {
            connection.flags.clear(Flags::SENDING);
            if connection.flags.any(Flags::LOST) {
                let lent = std::mem::take(&mut connection.lent);
                let sent = if is_out { lent } else { 0 };
                connection.traffic.sent += sent as u64;
                connection.correct_unsent(lent, lent - sent);
                return false;
            }
            if let Some(chain) = connection.chain_mut() {
                Connection::take_back(chain.wire(), &mut outgoing);
            }
            true
        });
        if let Some(outgoing) = outgoing {
            self.throw_away(outgoing);
        }
        match failure {
            _ if !alive => {}
            None | Some(Failure::GoOn) => {
                if is_out {
                    self.wire_is_out(key);
                }
                self.extend_close_timer(key);
            }
            Some(Failure::Retry) => self.retry_later(key),
            Some(Failure::Lose(reason)) => self.wire_broke(key, reason),
        }
    }

    /// Nobody takes what is on the wire. That is nothing new to a connection that ends anyway.
    fn wire_broke(self: &Rc<Self>, key: Key, reason: Reason) {
        let ends = self.ask(key, |connection| connection.gives_up() || connection.flags.any(Flags::PARTING));
        if ends {
            self.lose_as_closed(key);
        } else {
            self.lose(key, reason, Close::Reset);
        }
    }

    /// The connection ends in good order, unless a filter failed before, or had not begun.
    pub(super) fn lose_as_closed(self: &Rc<Self>, key: Key) {
        let reason =
            self.alter(
                key,
                |connection| {
                    if connection.is_filtered() { connection.end_reason() } else { Reason::Clean }
                },
            );
        self.lose(key, reason.unwrap_or(Reason::Clean), Close::Orderly);
    }

    /// Lets the filters take their leave of the peer, after everything was sent. Whether that is over.
    pub(super) fn take_leave(self: &Rc<Self>, key: Key) -> bool {
        let takes_leave = self.ask(key, |connection| {
            let at_once = connection.has_failed() || connection.flags.any(Flags::SHAKING);
            if !at_once {
                connection.flags.set(Flags::PARTING);
            }
            !at_once
        });
        if !takes_leave {
            self.with_chain(key, |chain, _| {
                chain.leave_at_once();
                Ok(())
            });
            let has_wire = self.ask(key, |connection| connection.chain().is_some_and(Chain::has_wire));
            if has_wire {
                self.flush(key);
            }
            return !has_wire;
        }
        let Some(leave) = self.with_chain(key, |chain, _| chain.close()) else { return false };
        let has_wire = self.ask(key, |connection| {
            let has_wire = connection.chain().is_some_and(Chain::has_wire);
            // Once it was read dry after that, only what comes can bring it further.
            if leave == (Leave::Waits { is_new: true }) {
                connection.flags.set(Flags::INPUT);
            }
            has_wire
        });
        if has_wire {
            // What follows the flush goes on from here.
            self.flush(key);
            return false;
        }
        if leave != Leave::Done {
            if !self.ask(key, |connection| connection.has_timer()) {
                self.arm_close_timer(key);
            }
            if self.ask(key, Connection::wants_list) {
                self.list(key);
            }
        }
        leave == Leave::Done
    }

    /// Lets the filters take their leave, and then goes on without them: what the flags tell of both directions is about the
    /// connection itself from then on. Whether that is over.
    pub(super) fn part_with_filters(self: &Rc<Self>, key: Key) -> bool {
        if !self.take_leave(key) {
            return false;
        }
        let chain = self.alter(key, |connection| {
            let chain = connection.filtered_mut()?.chain.take()?;
            let reads = !connection.flags.any(Flags::WRITES_ONLY);
            connection.flags.put(Flags::EOF, chain.source_ended || !reads);
            connection.flags.put(Flags::SHUT, matches!(chain.shut, Shut::Done { below: true }));
            let answer_is_due = chain.answer_is_due && connection.has_failed();
            connection.filtered_mut()?.answer_is_due = answer_is_due;
            Some(chain)
        });
        chain.flatten().into_iter().for_each(|chain| self.end_chain(*chain));
        true
    }

    /// Our direction ends, as far as the filters let it.
    pub(super) fn shut_filtered(self: &Rc<Self>, key: Key) {
        if self.with_chain(key, |chain, _| chain.end_outbound()).is_some() {
            self.flush(key);
        }
    }

    /// What the filters sent about the end of our direction is out.
    pub(super) fn shut_is_out(self: &Rc<Self>, key: Key) {
        let told = self.alter(key, |connection| {
            let chain = connection.chain_mut()?;
            let Shut::Told { below } = chain.shut else { return None };
            chain.shut = Shut::Done { below };
            Some(below)
        });
        match told.flatten() {
            Some(true) => self.shut_below(key),
            Some(false) => self.end_if_both_shut(key),
            None => {}
        }
    }
}

/// Shows a filter what comes first of what was written, in some parts; all that it may get as one, if it can do nothing with those.
fn seal_some(
    chain: &mut Chain,
    outgoing: &Outgoing,
    limit: usize,
    now: SendNow<'_>,
) -> Result<usize, FilterError> {
    let mut parts = [IoSlice::new(&[]); PARTS];
    let filled = outgoing.fill_up_to(limit, &mut parts);
    let taken = chain.seal(&parts[..filled], now)?;
    if taken > 0 || filled < PARTS {
        return Ok(taken);
    }
    let mut parts = vec![IoSlice::new(&[]); limit];
    let filled = outgoing.fill_up_to(limit, &mut parts);
    let joined: Vec<u8> = parts[..filled].iter().flat_map(|part| part.iter().copied()).collect();
    if filled > PARTS { chain.seal(&[IoSlice::new(&joined)], now) } else { Ok(0) }
}
