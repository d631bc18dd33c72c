//! What comes before a wait, and the wait.

use std::io;
use std::time::Duration;

use super::bulk::{Bulk, MOST, NEVER};
use super::connection::{CLOSING, HOLDS, POLLING, RECEIVING, TO_RECEIVE, TOLD, WATCHED};
use super::ring::{PEER_ENDED, READABLE};
use super::tag::{Tag, What};
use super::{Object, Uring};
use crate::backend::object::unknown;
use crate::backend::{Backend, Received};
use crate::instant::Instant;
use crate::key::Key;
use crate::patience::Patience;

/// How many bytes one receive brings before it has to be begun anew: where they show whether a connection is in bulk, and where
/// they need not.
#[allow(clippy::cast_possible_truncation)]
const TRIAL: u32 = MOST as u32;
const CREDIT: u32 = 256 * 1024;
/// How many bytes may wait to be pulled before no more are asked for.
pub(super) const ENOUGH: usize = 256 * 1024;
/// How many connections are too few to look through.
const FEW: usize = 128;

impl Uring {
    /// Submits what was asked for, and sleeps until there is an answer.
    pub(super) fn sleep(&mut self, until: Option<Instant>) -> io::Result<()> {
        self.prepare();
        let limit = self.limit(until);
        self.poll_foreign(limit != Some(Duration::ZERO));
        match limit {
            Some(Duration::ZERO) => self.look()?,
            limit => self.wait_for_answers(limit)?,
        }
        self.patience = Patience::default();
        self.collect()?;
        self.end_wait();
        Ok(())
    }

    /// For how long there is nothing to do.
    fn limit(&mut self, until: Option<Instant>) -> Option<Duration> {
        if until == Some(Instant::ZERO) || self.has_events() || self.ring.has_answers() {
            return Some(Duration::ZERO);
        }
        until.map(|until| until.since(self.now()))
    }

    /// Fetches what is there. That takes no call if there is nothing to submit or to fetch.
    fn look(&mut self) -> io::Result<()> {
        if self.ring.has_unsubmitted() || self.ring.wants_enter() {
            self.ring.submit(&mut self.calls)?;
        }
        Ok(())
    }

    /// A wait that gathers ends with as many answers as the best of the last waits brought, or when its time is over.
    fn wait_for_answers(&mut self, limit: Option<Duration>) -> io::Result<()> {
        let (want, time) = self.gathering.want(limit).unzip();
        self.ring.wait(want.unwrap_or(1), limit, time, &mut self.calls)
    }

    /// Does what is due before the kernel is entered.
    pub(super) fn prepare(&mut self) {
        self.send_departures();
        self.take_back_arrivals();
        if !self.answers.arrivals.are_shown() {
            self.buffers.let_go();
        }
        if self.buffers.is_low() {
            self.save_held();
        } else if self.lists.holding.len() > self.lists.most_holding {
            self.forget_held();
        }
        self.buffers.refill();
        self.begin_receives();
        while let Some(key) = self.lists.ended.pop() {
            self.poll_peer(key);
        }
    }

    // Receives.

    /// Lists a connection whose receive is to be begun.
    pub(super) fn want_receive(&mut self, key: Key) {
        let Some(connection) = self.table.connection(key) else { return };
        connection.want_receive(key, &mut self.lists);
    }

    /// Receives into memory, or a chunk, and looks whether there is more.
    pub(super) fn receive_what_came(
        &mut self,
        key: Key,
        into: Option<&mut [u8]>,
        more: &mut bool,
    ) -> Received {
        self.take_back_arrivals_of(key);
        let connection = match self.table.get(key) {
            Some(Object::Connection(connection)) => connection,
            Some(Object::Stream(stream)) => {
                let received = self.scratch.receive(stream, into, &mut self.calls);
                *more = stream.is_readable();
                return received;
            }
            _ => {
                *more = false;
                return Received::Failed(unknown());
            }
        };
        let Some(input) = &mut connection.input else {
            let calls = connection.bulk.has_input();
            return if calls { self.receive_in_bulk(key, into, more) } else { self.receive_none(key, more) };
        };
        let Some(memory) = into else {
            let chunk = input.take();
            connection.offers(self.much, self.much);
            *more = connection.was_pulled(key, &mut self.inputs, &mut self.lists);
            return chunk.map_or(Received::Dry, Received::Chunk);
        };
        let count = match input.take_small(memory) {
            Some(count) => count,
            None => {
                let count = input.take_into(memory);
                connection.offers(memory.len(), self.much);
                count
            }
        };
        *more = connection.was_pulled(key, &mut self.inputs, &mut self.lists);
        if count > 0 { Received::Filled(count) } else { Received::Dry }
    }

    /// Receives what is little into the core's room: a copy costs less then than lending it.
    pub(super) fn receive_little(&mut self, key: Key, room: &mut [u8], more: &mut bool) -> Received {
        self.take_back_arrivals_of(key);
        let Some(connection) = self.table.connection(key) else {
            return self.receive_what_came(key, None, more);
        };
        let Some(input) = &mut connection.input else { return self.receive_what_came(key, None, more) };
        match input.take_small(room) {
            Some(count) => {
                *more = connection.was_pulled(key, &mut self.inputs, &mut self.lists);
                Received::Filled(count)
            }
            None => self.receive_what_came(key, None, more),
        }
    }

    /// There are no bytes: what else there is.
    #[cold]
    pub(super) fn receive_none(&mut self, key: Key, more: &mut bool) -> Received {
        *more = false;
        let Some(connection) = self.table.connection(key) else { return Received::Failed(unknown()) };
        let received = connection.end(&mut self.calls);
        *more = connection.has_input();
        match received {
            Received::Eof => {
                connection.state.remove(TOLD);
                self.lists.ended.push(key);
            }
            Received::Dry => self.pulled_dry(key),
            _ => {}
        }
        received
    }

    /// The core has pulled everything there was.
    pub(super) fn pulled_dry(&mut self, key: Key) {
        let Some(connection) = self.table.connection(key) else { return };
        connection.state.remove(TOLD);
        connection.want_receive(key, &mut self.lists);
    }

    /// Begins the receives and polls that are listed. Where there were too few buffers it begins no more receives than there are buffers,
    /// as the others would end at once; the next wait, which does not sleep, goes on.
    fn begin_receives(&mut self) {
        let mut polls = std::mem::take(&mut self.lists.poll);
        polls.drain(..).for_each(|key| self.begin_receive(key));
        self.lists.poll = polls;
        let buffers = self.buffers.provided();
        let most = if self.starved { buffers } else { usize::MAX };
        self.starved = false;
        for _ in 0..self.lists.receive.len().min(most) {
            // Without a buffer it would end at once. It is begun when one came back.
            if self.buffers.provided() == 0 {
                break;
            }
            let Some(key) = self.lists.receive.pop_front() else { break };
            self.begin_receive(key);
        }
        self.unbegun = buffers > 0 && !self.lists.receive.is_empty();
    }

    /// Begins to receive into the pool, or polls a connection in bulk.
    fn begin_receive(&mut self, key: Key) {
        let Some(connection) = self.table.connection(key) else { return };
        connection.state.remove(TO_RECEIVE);
        let wanted = connection.lacks_receive() && connection.input_len() < ENOUGH;
        let Some(fd) = connection.fd().filter(|_| wanted) else { return };
        connection.state.insert(RECEIVING);
        connection.under_way += 1;
        self.under_way += 1;
        let tag = Tag::new(key, What::Receive);
        if !connection.bulk.is_off() {
            return self.ring.poll_once(fd, READABLE, tag, &mut self.calls);
        }
        connection.is_limited |= self.credit;
        let shows_bulk = self.much != NEVER && connection.bulk == Bulk::Off;
        let credit = if shows_bulk { TRIAL } else { CREDIT };
        self.ring.receive(fd, tag, self.credit.then_some(credit), &mut self.calls);
    }

    /// Copies what nobody pulled out of the pool.
    fn save_held(&mut self) {
        while let Some(key) = self.lists.holding.pop() {
            if let Some(connection) = self.table.connection(key) {
                connection.state.remove(HOLDS);
                if let Some(input) = &mut connection.input {
                    input.save();
                }
            }
        }
    }

    /// Takes those off the list who keep nothing any more, or have gone.
    fn forget_held(&mut self) {
        let table = &mut self.table;
        self.lists.holding.retain(|key| {
            let Some(connection) = table.connection(*key) else { return false };
            let holds = connection.input.as_ref().is_some_and(|input| input.has_pieces());
            connection.state.remove(HOLDS.when(!holds));
            holds
        });
        // It has to double, so that each entry is looked at a few times at most.
        self.lists.most_holding = 2 * self.lists.holding.len() + FEW;
    }

    // The peer's end.

    /// Polls for the peer's end. After the end was received, that is a reset.
    pub(super) fn poll_peer(&mut self, key: Key) {
        let Some(connection) = self.table.connection(key) else { return };
        if connection.is(POLLING.or(CLOSING)) {
            return;
        }
        let Some(fd) = connection.fd() else { return };
        // An end is told whatever is asked for.
        let mask = if connection.is(WATCHED) { PEER_ENDED } else { 0 };
        connection.state.insert(POLLING);
        connection.under_way += 1;
        self.under_way += 1;
        self.ring.poll(fd, mask, Tag::new(key, What::Peer), &mut self.calls);
    }
}
