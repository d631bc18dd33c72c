//! Filters between a protocol and its connection: putting them in place, and bytes in.
//!
//! While the code of a filter runs, its chain is out of the connection, and nothing is borrowed.

use std::any::Any;
use std::io::IoSlice;
use std::rc::Rc;
use std::sync::Arc;

use super::chain::{Chain, Filled, Source};
use super::{Connection, Flags, Notice};
use crate::backend::{Chunk, Close, Received};
use crate::contain::contain;
use crate::filter::{Filter, FilterError, Output, ReadAhead, ReadAheadRefused};
use crate::key::Key;
use crate::lost::Reason;
use crate::protocol::Protocol;
use crate::reactor::Shell;

/// How much a filtered connection delivers at once, to who has no memory of his own: four records of TLS.
const ROOM: usize = 64 * 1024;

/// What a connection has while it has filters, or had some.
#[derive(Default)]
pub(super) struct Filtered {
    /// `None` while the code of a filter runs, and when all filters are finished.
    pub(super) chain: Option<Box<Chain>>,
    /// What becomes of bytes that were received before the filters that have not started.
    read_ahead: ReadAhead,
    /// Values that filters made known, for the program.
    pub(super) published: Vec<Rc<dyn Any>>,
    /// A filter failed: how the connection ends when what was sent before is out.
    pub(super) parting: Option<Reason>,
    /// Then the peer may still answer a filter that stood below it, and is not to be reset for that.
    pub(super) answer_is_due: bool,
}

/// The backend, as a chain reads from it.
struct Raw<'a> {
    shell: &'a Shell,
    key: Key,
}

impl Source for Raw<'_> {
    fn receive(&mut self) -> Received {
        self.shell.stats().received();
        self.shell.backend().receive(self.key, None)
    }

    fn release(&mut self, chunk: Chunk) {
        self.shell.release(chunk);
    }

    fn send_now(&self, parts: &[IoSlice<'_>]) -> usize {
        if self.shell.is_ended() {
            return 0;
        }
        let sent = self.shell.backend().send_now(self.key, parts);
        if sent > 0 {
            self.shell.stats().sent();
        }
        sent
    }
}

impl Filtered {
    /// What is of the user's.
    #[allow(clippy::boxed_local)]
    pub(super) fn into_parts(self: Box<Self>) -> Vec<Box<dyn Any>> {
        let layers = self.chain.map(|chain| chain.into_parts().0).unwrap_or_default();
        let layers = layers.into_iter().map(|layer| Box::new(layer) as Box<dyn Any>);
        let published = self.published.into_iter().map(|value| Box::new(value) as Box<dyn Any>);
        let parting = self.parting.map(|reason| Box::new(reason) as Box<dyn Any>);
        layers.chain(published).chain(parting).collect()
    }
}

impl Connection {
    pub(super) fn filtered(&self) -> Option<&Filtered> {
        self.rare.as_ref()?.layered.as_ref()?.filtered.as_deref()
    }

    pub(super) fn filtered_mut(&mut self) -> Option<&mut Filtered> {
        self.rare.as_mut()?.layered.as_mut()?.filtered.as_deref_mut()
    }

    /// Whether there is a filter, or what one sent is not out.
    pub(crate) fn is_filtered(&self) -> bool {
        self.flags.any(Flags::FILTERED)
    }

    /// Whether bytes of the protocol's flow.
    pub(crate) fn is_established(&self) -> bool {
        !self.flags.any(Flags::SHAKING)
    }

    pub(super) fn chain(&self) -> Option<&Chain> {
        self.filtered()?.chain.as_deref()
    }

    pub(super) fn chain_mut(&mut self) -> Option<&mut Chain> {
        self.filtered_mut()?.chain.as_deref_mut()
    }

    /// Whether bytes go through a filter.
    pub(super) fn has_filters(&self) -> bool {
        self.filtered().is_some_and(|filtered| filtered.chain.as_ref().is_none_or(|chain| !chain.is_empty()))
    }

    /// Whether filters may have bytes for the protocol that the backend does not know of.
    pub(super) fn has_filter_backlog(&self) -> bool {
        self.is_filtered() && !self.flags.any(Flags::EOF) && self.chain().is_some_and(Chain::has_more)
    }

    /// Whether filters have something for the protocol that nobody pulls yet, as no bytes came for it.
    fn has_news_of_filters(&mut self) -> bool {
        let elsewhere = Flags::SHAKING | Flags::PARTING | Flags::INPUT;
        let backlog = !self.flags.any(elsewhere) && self.has_filter_backlog();
        if backlog {
            self.flags.set(Flags::INPUT);
        }
        backlog || self.has_unread() || self.flags.any(Flags::EOF_UNTOLD)
    }

    fn take_unread(&mut self) -> Vec<u8> {
        self.rare.as_mut().map(|rare| std::mem::take(&mut rare.unread).into_bytes()).unwrap_or_default()
    }

    /// Whether filters wait to be started, so that what follows is not for the protocol.
    pub(crate) fn has_new_filters(&self) -> bool {
        self.flags.any(Flags::SHAKING) && !self.is_closing() && self.chain().is_some_and(Chain::needs_start)
    }

    fn push_filter(&mut self, filter: Box<dyn Filter>, read_ahead: ReadAhead) {
        let (before, lent, ended) = (self.buffered(), self.lent, self.flags.any(Flags::EOF));
        let is_first = !self.is_filtered();
        let lends_plain = is_first && self.flags.any(Flags::SENDING);
        let never_reads = self.flags.any(Flags::WRITES_ONLY);
        self.flags.set(Flags::FILTERED | Flags::SHAKING);
        // What was left is for the filters.
        self.flags.clear(Flags::LEFT);
        let filtered = self.layered().filtered.get_or_insert_default();
        let chain = filtered.chain.get_or_insert_default();
        if !chain.needs_start() {
            // Those who are pushed together begin with what the first of them gets.
            filtered.read_ahead = read_ahead;
        }
        chain.has_lent_plain |= lends_plain;
        chain.source_ended |= is_first && ended && !never_reads;
        // What is lent was taken by the filters there are, unless it never goes through any.
        let taken = if is_first || chain.has_lent_plain { 0 } else { lent };
        chain.push(filter, before - taken);
    }

    /// Whether the notice that all filters are established is due, and nothing has to come before it.
    fn may_hear_of_filters(&mut self) -> bool {
        let before = Flags::UNMADE | Flags::BUSY | Flags::LOST;
        self.flags.any(Flags::ESTABLISHED_QUEUED) && !self.flags.any(before)
    }

    /// Whether a filter failed, so that only what was sent before still goes out.
    pub(super) fn has_failed(&self) -> bool {
        self.filtered().is_some_and(|filtered| filtered.parting.is_some())
    }
}

impl Shell {
    /// Puts a filter on top of those that there are. What is written from now on goes through it; it begins when the callback
    /// that runs has returned.
    pub(crate) fn push_filter(self: &Rc<Self>, key: Key, filter: Box<dyn Filter>, read_ahead: ReadAhead) {
        let mut filter = Some(filter);
        let later = self.ask(key, |connection| {
            filter.take().into_iter().for_each(|filter| connection.push_filter(filter, read_ahead));
            !connection.flags.any(Flags::BUSY)
        });
        if later {
            self.notify(key, Notice::Filters);
        }
    }

    /// Starts filters that were pushed, between two callbacks of the protocol. What that received and did not use is for them.
    pub(super) fn start_filters(self: &Rc<Self>, key: Key, protocol: &mut Box<dyn Protocol>) {
        if !self.ask(key, |connection| connection.has_new_filters()) {
            return;
        }
        let mut unread = match contain(|| protocol.give_back()) {
            Ok(bytes) => bytes,
            Err(panic) => return self.abort(key, Reason::Panicked(panic)),
        };
        let read_ahead = self.alter(key, |connection| {
            unread.extend_from_slice(&connection.take_unread());
            connection.filtered().map(|filtered| filtered.read_ahead)
        });
        if read_ahead.flatten() == Some(ReadAhead::Refuse) && !unread.is_empty() {
            let refused = ReadAheadRefused { bytes: unread.len() };
            return self.abort(key, Reason::Failed(Arc::new(refused)));
        }
        self.with_chain(key, |chain, _| chain.start(&unread));
        self.go_on_negotiating(key);
    }

    /// Filters that are not established are read for, also where the protocol has paused.
    fn go_on_negotiating(&self, key: Key) {
        let list = self.ask(key, |connection| {
            if connection.chain().is_some_and(Chain::has_more) {
                connection.flags.set(Flags::INPUT);
            }
            connection.is_filtered() && connection.wants_list()
        });
        if list {
            self.list(key);
        }
    }

    /// Works on the filters of a connection, and does what they asked for. `None` if there are none, or they failed.
    pub(super) fn with_chain<R>(
        self: &Rc<Self>,
        key: Key,
        work: impl FnOnce(&mut Chain, &mut dyn Source) -> Result<R, FilterError>,
    ) -> Option<R> {
        let mut chain = self.alter(key, |connection| connection.filtered_mut()?.chain.take()).flatten()?;
        if chain.wire().is_none() {
            *chain.wire() = Some(self.spares.borrow_mut().take());
        }
        let outcome = contain(|| work(&mut chain, &mut Raw { shell: self, key }));
        self.grant(key, &mut chain);
        self.put_chain(key, chain);
        match outcome {
            Ok(Ok(answer)) => Some(answer),
            Ok(Err(error)) => {
                self.filter_failed(key, error);
                None
            }
            Err(panic) => {
                self.abort(key, Reason::Panicked(panic));
                None
            }
        }
    }

    /// Puts the chain back, and sees to what follows from how far it is now.
    fn put_chain(self: &Rc<Self>, key: Key, chain: Box<Chain>) {
        let mut chain = Some(chain);
        let (mut established, mut list) = (false, false);
        self.alter(key, |connection| {
            let Some(mut chain) = chain.take_if(|_| !connection.flags.any(Flags::LOST)) else { return };
            let filtered = connection.layered().filtered.get_or_insert_default();
            // The code of a filter may know a transport, and push others.
            filtered.chain.take().into_iter().for_each(|pushed| chain.append(*pushed));
            let goes_out = chain.has_wire() || chain.may_shut_further();
            established = chain.is_established();
            filtered.chain = Some(chain);
            if goes_out && connection.wants_flush() {
                self.flush_later(key);
            }
            established = established
                && connection.flags.any(Flags::SHAKING)
                && connection.flags.raise(Flags::ESTABLISHED_QUEUED);
            list = connection.has_news_of_filters() && connection.goes_on_reading();
        });
        if let Some(chain) = chain {
            self.end_chain(*chain);
        }
        if established {
            self.notify(key, Notice::Established);
        }
        if list {
            self.list(key);
        }
    }

    /// Does what the filters asked for, and takes out those that are finished.
    fn grant(self: &Rc<Self>, key: Key, chain: &mut Chain) {
        for layer in chain.layers() {
            let (state, timer, number) = layer.wishes();
            if let Some(deadline) = state.deadline.take() {
                timer.take().into_iter().for_each(|timer| self.cancel_timer(timer));
                *timer = deadline.map(|after| {
                    let shell = Rc::clone(self);
                    self.timer_after(after, move || shell.filter_expired(key, number))
                });
            }
            if state.published.is_empty() && state.addresses.is_none() {
                continue;
            }
            let (mut published, addresses) = (std::mem::take(&mut state.published), state.addresses.take());
            self.alter(key, |connection| {
                let known = &mut connection.layered().filtered.get_or_insert_default().published;
                known.reserve_exact(published.len());
                known.append(&mut published);
                addresses.into_iter().for_each(|addresses| connection.addresses = *addresses);
            });
        }
        let (finished, left) = chain.take_finished();
        for layer in finished {
            self.end_layer(layer);
        }
        let has_ended = chain.take_end();
        if !left.is_empty() || has_ended {
            self.alter(key, |connection| {
                connection.rare().unread.put_behind(&left);
                if has_ended && connection.flags.raise(Flags::EOF) {
                    connection.flags.set(Flags::EOF_UNTOLD);
                }
            });
        }
        if chain.wire().as_ref().is_some_and(|wire| wire.is_empty()) {
            chain.wire().take().into_iter().for_each(|wire| self.recycle(wire));
        }
    }

    /// A filter failed. What it sent until then, such as an alert, goes out, and then the connection closes. To who closes
    /// anyway, and has no use for what still comes, it is as good as a filter that took its leave.
    fn filter_failed(self: &Rc<Self>, key: Key, error: FilterError) {
        let mut reason = Some(error.into_reason());
        if matches!(reason, Some(Reason::Timeout)) {
            return self.lose(key, Reason::Timeout, Close::Reset);
        }
        self.alter(key, |connection| {
            if connection.flags.any(Flags::PARTING) {
                return;
            }
            let parting = &mut connection.layered().filtered.get_or_insert_default().parting;
            if parting.is_none() {
                *parting = reason.take();
            }
            connection.flags.set(Flags::CLOSING);
            connection.drop_waiting_descriptors();
        });
        self.contained(move || drop(reason));
        if self.ask(key, Connection::wants_flush) {
            self.flush_later(key);
        }
    }

    /// The deadline of a filter has passed.
    fn filter_expired(self: &Rc<Self>, key: Key, number: u32) {
        if self.ask(key, |connection| !connection.has_failed()) {
            self.with_chain(key, |chain, _| chain.deadline(number));
            self.flush(key);
        }
    }

    /// Every filter is established: the protocol hears of it, and then bytes flow. What is to be flushed is left to the caller.
    pub(super) fn deliver_established(self: &Rc<Self>, key: Key) {
        let is_so = self.ask(key, |connection| {
            // It may have been told before its turn.
            let is_due = connection.flags.any(Flags::ESTABLISHED_QUEUED);
            connection.flags.clear(Flags::ESTABLISHED_QUEUED);
            let stands = is_due && !connection.flags.any(Flags::CLOSING | Flags::LOST);
            let is_so = stands && connection.chain().is_some_and(Chain::is_established);
            if is_so {
                connection.flags.clear(Flags::SHAKING);
                if connection.has_filter_backlog() {
                    connection.flags.set(Flags::INPUT);
                }
                if connection.buffered() > 0 || connection.flags.any(Flags::EOF_ASKED) {
                    connection.flags.set(Flags::DIRTY);
                }
            }
            is_so
        });
        if is_so {
            self.call_unflushed(key, Protocol::filter_established);
            self.go_on_reading(key);
            self.drop_chain_if_over(key);
        }
    }

    /// With no filter left, the connection is as if it never had one.
    pub(super) fn drop_chain_if_over(&self, key: Key) {
        let chain = self.alter(key, |connection| {
            let busy = Flags::SENDING | Flags::SHAKING | Flags::PARTING | Flags::LOST;
            if !connection.is_filtered() || connection.lent > 0 || connection.flags.any(busy) {
                return None;
            }
            let filtered = connection.filtered_mut()?;
            let is_over =
                |chain: &mut Box<Chain>| chain.is_empty() && !chain.has_wire() && !chain.is_shutting();
            let chain = filtered.chain.take_if(is_over)?;
            connection.flags.clear(Flags::FILTERED);
            Some(chain)
        });
        if let Some(chain) = chain.flatten() {
            self.end_chain(*chain);
        }
    }

    /// Drops filters from the loop, with their deadlines.
    pub(super) fn end_chain(&self, chain: Chain) {
        let (layers, wire) = chain.into_parts();
        layers.into_iter().for_each(|layer| self.end_layer(layer));
        if let Some(wire) = wire {
            self.throw_away(wire);
        }
    }

    fn end_layer(&self, mut layer: super::chain::Layer) {
        let (_, timer, _) = layer.wishes();
        timer.take().into_iter().for_each(|timer| self.cancel_timer(timer));
        self.discard(layer);
    }

    // Bytes in.

    /// Has filters that are not established read, or those that take their leave. Whether there may be more.
    pub(super) fn negotiate(self: &Rc<Self>, key: Key) -> bool {
        let parting = self.ask(key, |connection| connection.flags.any(Flags::PARTING));
        let filled = if parting {
            let mut room = self.room();
            let filled = self.with_chain(key, |chain, source| chain.drain(&mut room, source));
            self.keep_room(room);
            filled
        } else {
            self.with_chain(key, Chain::negotiate)
        };
        let more = match filled {
            Some(Filled::Bytes | Filled::Again) => true,
            Some(Filled::End) if !parting => {
                self.filter_failed(key, FilterError::truncated());
                false
            }
            Some(Filled::Dry | Filled::End) | None => {
                self.alter(key, |connection| connection.flags.clear(Flags::INPUT));
                false
            }
            // That the peer is gone ends a leave-taking, however it went.
            Some(Filled::Broken(_)) if parting => {
                self.with_chain(key, |chain, _| {
                    chain.give_up();
                    Ok(())
                });
                false
            }
            Some(Filled::Broken(error)) => self.broken(key, error),
        };
        // The protocol need not wait for those who became ready before. What it writes leaves with the end of the handshake, also
        // its answer to bytes that came with the peer's last message, and are received next.
        if self.ask(key, Connection::may_hear_of_filters) {
            self.deliver_established(key);
            if self.ask(key, |connection| connection.is_reading() && connection.has_filter_backlog()) {
                // Should that have to wait, the flush does not.
                self.flush_in_next_turn(key);
                return true;
            }
            self.flush(key);
            return self.ask(key, |connection| connection.flags.any(Flags::INPUT));
        }
        self.flush(key);
        more && self.ask(key, |connection| connection.flags.any(Flags::SHAKING | Flags::PARTING))
    }

    /// What [`receive`](crate::backend::Backend::receive) is to a connection without filters.
    pub(super) fn receive_filtered(self: &Rc<Self>, key: Key, into: Option<&mut [u8]>) -> Option<Received> {
        let mut own = Vec::new();
        let (room, is_own) = match into {
            Some(room) => (room, false),
            None => {
                own = self.room();
                (&mut own[..], true)
            }
        };
        let mut output = Output::new(room);
        let filled = self.with_chain(key, |chain, source| chain.fill(&mut output, source));
        let count = output.len();
        let received = match filled {
            Some(Filled::Bytes) if is_own => {
                return Some(Received::Chunk(Chunk::of_filters(own, count)));
            }
            Some(Filled::Bytes) => Some(Received::Filled(count)),
            Some(Filled::Again) => None,
            Some(Filled::End) => Some(Received::Eof),
            Some(Filled::Broken(error)) => Some(Received::Failed(error)),
            Some(Filled::Dry) | None => Some(Received::Dry),
        };
        if is_own {
            self.keep_room(own);
        }
        received
    }

    /// Room that the loop keeps for what filters deliver.
    fn room(&self) -> Vec<u8> {
        let mut room = self.filter_room.take();
        room.resize(ROOM, 0);
        room
    }

    pub(crate) fn keep_room(&self, room: Vec<u8>) {
        self.filter_room.set(room);
    }

    pub(crate) fn published<T: Any>(&self, key: Key) -> Option<Rc<T>> {
        let find = |connection: &Connection| {
            let published = &connection.filtered()?.published;
            published.iter().rev().find_map(|value| Rc::clone(value).downcast().ok())
        };
        self.inspect(key, find).flatten()
    }
}
