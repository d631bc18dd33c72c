//! What came of operations.

#![allow(unsafe_code)]

use std::io;

use super::Object;
use super::bulk::Bulk;
use super::connection::{
    CLOSING, CONNECTING, EOF, PEER_TOLD, POLLING, RECEIVING, SHUT, STOPPING, TOLD, WATCHED,
};
use super::ring::Answer;
use super::tag::{Tag, What};
use super::waiting::ENOUGH;
use super::{Uring, aborted};
use crate::backend::Completion;
use crate::backend::table::Table;
use crate::key::Key;

/// What an operation belongs to that was answered.
fn object_of<'a>(table: &'a mut Table<Object>, answer: &Answer) -> Option<(Key, &'a mut Object)> {
    let found = object_at(table, answer.tag);
    if found.is_none() {
        tracing::error!(?answer, "an operation was answered that nobody began");
    }
    found
}

#[inline(always)]
fn object_at(table: &mut Table<Object>, tag: Tag) -> Option<(Key, &mut Object)> {
    table.at(tag.index()).filter(|(key, _)| tag.is_of(*key))
}

impl Uring {
    /// Reads all answers of the kernel's, and what follows from there being no others.
    pub(super) fn collect(&mut self) -> io::Result<()> {
        self.gathering.begin();
        self.answers.begin();
        self.collection = self.collection.wrapping_add(1);
        let took_all = loop {
            // Asked before: to look at an answer may enter the kernel, and what that call brings was not read yet.
            let took_all = self.ring.took_all();
            while let Some(answer) = self.put_down() {
                self.look_at(answer);
            }
            if !self.ring.overflowed() {
                break took_all;
            }
            // The kernel keeps what found no room, and gives it out when asked again.
            self.ring.submit(&mut self.calls)?;
        };
        if took_all {
            self.conclude_quiet_sends();
        } else {
            self.keep_departures();
        }
        self.look_at_foreign()?;
        self.answers.settle();
        Ok(())
    }

    #[inline(never)]
    fn look_at(&mut self, answer: Answer) {
        match answer.tag.what() {
            What::Receive => self.received(&answer),
            What::Ignored => {}
            // The polls of the backend's own end with it.
            What::Alarm | What::Wake | What::Foreign if self.ending => {}
            What::Foreign => self.foreign_answered(&answer),
            // What they tell ends a wait, and that is all there is to it.
            What::Alarm | What::Wake if answer.more() => {}
            What::Alarm => self.poll_alarm(),
            What::Wake => self.poll_waker(),
            _ => self.look_at_key(answer),
        }
    }

    fn look_at_key(&mut self, answer: Answer) {
        let Some((key, _)) = object_of(&mut self.table, &answer) else { return };
        if answer.tag.is(What::Departure) {
            self.keep_departure(key);
        }
        let Some(object) = self.table.get(key) else { return };
        if !answer.more() {
            self.under_way -= 1;
            match object {
                Object::Connection(connection) => connection.under_way -= 1,
                Object::Listener(listener) => listener.under_way -= 1,
                Object::Watched(_) | Object::Stream(_) | Object::Datagram(_) => {}
            }
        }
        match answer.tag.what() {
            What::Send | What::Departure => self.sent(key, &answer),
            What::Connect => self.connected(key, &answer),
            What::Peer => self.peer_polled(key, &answer),
            What::Accept => self.accepted_one(key, answer),
            _ => {}
        }
        self.finish_close(key);
    }

    /// Most of what is received is a few bytes for somebody who takes them at once, so they are put down where the core finds them:
    /// what comes next that is not.
    #[inline]
    fn put_down(&mut self) -> Option<Answer> {
        let Self { ring, table, buffers, gathering, answers, few, collection, .. } = self;
        let arrivals = &*answers.arrivals;
        ring.answers().find(|answer| {
            if !answer.tag.is(What::Receive) || !answer.more() || !(1..*few).contains(&answer.count()) {
                return true;
            }
            let Some((key, Object::Connection(connection))) = object_at(table, answer.tag) else {
                return true;
            };
            let Some(buffer) = answer.buffer().filter(|_| connection.is_open_to_arrivals()) else {
                return true;
            };
            if let Some(bytes) = buffers.hold(buffer, answer.count()) {
                gathering.note(&mut connection.busy);
                connection.arrived = *collection;
                // SAFETY: the pool's memory is what the arrivals own (V1), and the buffer is held until they were taken back, and while
                // they are shown (V2, B5).
                unsafe { arrivals.push_bytes(key, bytes) };
            }
            false
        })
    }

    #[inline(never)]
    fn received(&mut self, answer: &Answer) {
        // It comes behind what arrived, and is kept where that is not.
        if let Some((key, _)) = object_of(&mut self.table, answer) {
            self.take_back_arrivals_of(key);
        }
        let count = answer.count();
        // The piece is there whoever the bytes are for: dropping it gives its buffer back.
        let piece = answer.buffer().and_then(|of| self.buffers.take(of, count));
        let Some((key, Object::Connection(connection))) = object_of(&mut self.table, answer) else { return };
        let limited = connection.is_limited;
        if !answer.more() {
            self.under_way -= 1;
            connection.under_way -= 1;
            connection.state.remove(RECEIVING.or(STOPPING));
            connection.is_limited = false;
        }
        if connection.is(CLOSING) {
            if !answer.more() {
                self.finish_close(key);
            }
            return;
        }
        match (piece, -answer.result) {
            (Some(piece), _) => {
                connection.keep(key, piece, &mut self.inputs, &mut self.lists);
                self.gathering.note(&mut connection.busy);
                // It brings more than anybody pulls.
                let unlimited =
                    connection.is(RECEIVING) && !connection.is(STOPPING) && !connection.is_limited;
                let enough = if connection.bulk == Bulk::Off { ENOUGH.min(self.much) } else { ENOUGH };
                if unlimited && connection.input_len() >= enough {
                    connection.state.insert(STOPPING);
                    self.ring.cancel(Tag::new(key, What::Receive), &mut self.calls);
                }
            }
            // What was under way is a poll.
            (None, ..0) if connection.bulk == Bulk::Dry => connection.bulk = Bulk::Ready,
            (None, 0) => connection.state.insert(EOF),
            (None, libc::ENOBUFS) => {
                self.starved = true;
                self.buffers.grow();
            }
            // The kernel knows no credit. Several receives may learn of that.
            (None, libc::EINVAL) if limited => self.credit = false,
            (None, libc::ECANCELED | libc::EINTR | libc::EAGAIN) => {}
            (None, number) => connection.fail(number),
        }
        if connection.announces() {
            self.answers.push_input(key);
        }
        if !answer.more() {
            if connection.bulk == Bulk::Off && connection.input_len() >= self.much {
                connection.bulk = Bulk::Dry;
            }
            connection.want_receive(key, &mut self.lists);
        }
    }

    /// Takes back what the core has not taken of what arrived.
    #[inline]
    pub(super) fn take_back_arrivals(&mut self) {
        if self.answers.arrivals.have_bytes() {
            self.keep_arrivals();
        }
    }

    /// The same, if there may be something of this connection's: it is asked for, or more of it comes.
    #[inline]
    pub(super) fn take_back_arrivals_of(&mut self, key: Key) {
        let collection = self.collection;
        if self.table.connection(key).is_some_and(|connection| connection.arrived == collection) {
            self.take_back_arrivals();
        }
    }

    #[inline(never)]
    fn keep_arrivals(&mut self) {
        let Self { answers, buffers, table, inputs, lists, .. } = self;
        answers.arrivals.take_back(|key, bytes| {
            let Some(piece) = buffers.lend(bytes) else { return };
            let Some(connection) = table.connection(key).filter(|connection| !connection.is(CLOSING)) else {
                return;
            };
            connection.keep(key, piece, inputs, lists);
            // The core was told, or will be. What comes next waits until it has been asked for.
            connection.state.insert(TOLD);
        });
    }

    /// Tells the core that there is something to pull, once until it has pulled dry.
    fn announce(&mut self, key: Key) {
        let Some(connection) = self.table.connection(key) else { return };
        if connection.announces() {
            self.answers.push_input(key);
        }
    }

    fn connected(&mut self, key: Key, answer: &Answer) {
        let Some(connection) = self.table.connection(key) else { return };
        connection.state.remove(CONNECTING);
        let outcome = match answer.outcome() {
            Err(error) if error.raw_os_error() == Some(libc::ECANCELED) => Err(aborted()),
            outcome => outcome.map(drop),
        };
        match &outcome {
            Ok(()) => self.want_receive(key),
            // There is nothing but a close to come.
            Err(error) => connection.fail(error.raw_os_error().unwrap_or(libc::ECONNABORTED)),
        }
        self.answers.push(Completion::Connected(key, outcome));
    }

    fn peer_polled(&mut self, key: Key, answer: &Answer) {
        let Some(connection) = self.table.connection(key) else { return };
        if !answer.more() {
            connection.state.remove(POLLING);
        }
        let Ok(mask) = answer.outcome() else { return };
        if connection.is(CLOSING) {
            return;
        }
        if !answer.more() {
            self.lists.ended.push(key);
        }
        let says = |bits: libc::c_short| mask & i32::from(bits) != 0;
        // A receive may have been told of the error, which leaves a hang-up in both directions that we had no part in.
        let reset = says(libc::POLLERR) || (says(libc::POLLHUP) && !connection.is(SHUT));
        if reset {
            connection.take_error(&mut self.calls);
            if connection.broken().is_none() {
                // Another operation was told.
                connection.fail(libc::ECONNRESET);
            }
        }
        let ended = says(libc::POLLRDHUP | libc::POLLHUP | libc::POLLERR);
        if ended && connection.is(WATCHED) && !connection.is(PEER_TOLD) {
            connection.state.insert(PEER_TOLD);
            self.answers.push(Completion::PeerClosed { key, reset });
        }
        self.announce(key);
    }

    fn accepted_one(&mut self, key: Key, answer: Answer) {
        let more = answer.more();
        // Whoever it is for: dropped, it is closed.
        let accepted = answer.accepted();
        let Some(listener) = self.table.listener(key) else { return };
        // Not at the end of the ring, which cancels everything: there it would begin again and again.
        let stopped = listener.stopping && !more;
        if !more {
            listener.accepting = false;
            listener.stopping = false;
        }
        if listener.fd().is_none() {
            self.calls.closes += u64::from(accepted.is_ok());
            return;
        }
        let quits = listener.quits && !more;
        if matches!(accepted, Err(libc::ECANCELED)) {
            if quits {
                return self.quit(key);
            }
            // What was accepted ahead may all be gone by now.
            if stopped && !listener.told {
                self.begin_accepting(key);
            }
            return;
        }
        listener.ready.push_back(accepted);
        if listener.is_full() {
            listener.stopping = true;
            self.ring.cancel(super::Tag::new(key, What::Accept), &mut self.calls);
        }
        if !listener.told {
            listener.told = true;
            self.answers.push_input(key);
        }
        if quits {
            self.quit(key);
        }
    }
}
