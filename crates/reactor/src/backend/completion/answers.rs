//! What came of operations.

use std::collections::VecDeque;
use std::io;

use super::Object;
use super::bulk::Bulk;
use super::connection::{
    CLOSING, CONNECTING, EOF, HOLDS, PEER_TOLD, POLLING, RECEIVING, SHUT, STOPPING, WATCHED,
};
use super::ring::Answer;
use super::tag::{Tag, What};
use super::waiting::ENOUGH;
use super::{Uring, aborted};
use crate::backend::{Completion, Outgoing, Sent};
use crate::key::Key;

/// What the core is told, in order.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// What comes before everything else of a wait: the sends that were over when it began to wait. Whoever answers what
    /// was received then finds the memory of the answer before free.
    early: Vec<(Key, Box<Outgoing>)>,
    queue: VecDeque<Completion>,
    /// What comes after everything else of a wait: a send that failed may have been answered before the bytes that
    /// arrived first.
    late: VecDeque<Completion>,
}

impl Answers {
    pub(super) fn push(&mut self, completion: Completion) {
        self.queue.push_back(completion);
    }

    /// All of it was sent.
    #[inline]
    pub(super) fn push_sent(&mut self, key: Key, outgoing: Box<Outgoing>) {
        self.early.push((key, outgoing));
    }

    pub(super) fn take_sent(&mut self, into: &mut Vec<(Key, Box<Outgoing>)>) {
        into.append(&mut self.early);
    }

    pub(super) fn push_late(&mut self, completion: Completion) {
        self.late.push_back(completion);
    }

    /// A wait is over.
    fn settle(&mut self) {
        self.queue.append(&mut self.late);
    }

    pub(super) fn pop(&mut self) -> Option<Completion> {
        // The core has taken them, as a rule.
        match self.early.pop() {
            Some((key, outgoing)) => {
                let result = Ok(outgoing.len());
                Some(Completion::Sent(key, Sent { outgoing, result }))
            }
            None => self.queue.pop_front(),
        }
    }

    /// Takes what comes next, if it is input.
    #[inline]
    pub(super) fn pop_input(&mut self) -> Option<Key> {
        match self.queue.front() {
            Some(Completion::Input(key)) if self.early.is_empty() => {
                let key = *key;
                self.queue.pop_front();
                Some(key)
            }
            _ => None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.early.is_empty() && self.queue.is_empty() && self.late.is_empty()
    }
}

impl Uring {
    /// Reads all answers of the kernel's, and what follows from there being no others.
    pub(super) fn collect(&mut self) -> io::Result<()> {
        self.gathering.begin();
        let took_all = loop {
            // Asked before: to look at an answer may enter the kernel, and what that call brings was not read yet.
            let took_all = self.ring.took_all();
            let mut fresh = std::mem::take(&mut self.fresh);
            self.ring.read_into(&mut fresh);
            for answer in fresh.drain(..) {
                self.look_at(answer);
            }
            self.fresh = fresh;
            if !self.ring.overflowed() {
                break took_all;
            }
            // The kernel keeps what found no room, and gives it out when asked again.
            self.ring.submit(&mut self.calls)?;
        };
        if took_all {
            self.conclude_quiet_sends();
        }
        self.look_at_foreign()?;
        self.answers.settle();
        Ok(())
    }

    fn look_at(&mut self, answer: Answer) {
        match answer.tag.what() {
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
        let Some((key, object)) = self.table.at(answer.tag.index()).filter(|(key, _)| answer.tag.is_of(*key))
        else {
            tracing::error!(?answer, "an operation was answered that nobody began");
            return;
        };
        if !answer.more() {
            self.under_way -= 1;
            match object {
                Object::Connection(connection) => connection.under_way -= 1,
                Object::Listener(listener) => listener.under_way -= 1,
                Object::Watched(_) | Object::Stream(_) | Object::Datagram(_) => {}
            }
        }
        match answer.tag.what() {
            What::Receive => {
                self.received(key, &answer);
                if answer.more() {
                    // It is not over, so no close is.
                    return;
                }
            }
            What::Send => self.sent(key, &answer),
            What::Connect => self.connected(key, &answer),
            What::Peer => self.peer_polled(key, &answer),
            What::Accept => self.accepted_one(key, answer),
            _ => {}
        }
        self.finish_close(key);
    }

    fn received(&mut self, key: Key, answer: &Answer) {
        let count = usize::try_from(answer.result).unwrap_or(0);
        // The piece is there whoever the bytes are for: dropping it gives its buffer back.
        let piece = answer.buffer().and_then(|(number, goes_on)| self.buffers.take(number, count, goes_on));
        let Some(connection) = self.table.connection(key) else { return };
        let limited = connection.is_limited;
        if !answer.more() {
            connection.state.remove(RECEIVING.or(STOPPING));
            connection.is_limited = false;
        }
        if connection.is(CLOSING) {
            return;
        }
        match (piece, -answer.result) {
            (Some(piece), _) => {
                let input = &mut connection.input;
                input.get_or_insert_with(|| self.inputs.pop().unwrap_or_default()).push(piece);
                self.gathering.note(&mut connection.busy);
                // It keeps a piece of the pool.
                if !connection.is(HOLDS) {
                    connection.state.insert(HOLDS);
                    self.lists.holding.push(key);
                }
                // It brings more than anybody pulls.
                let unlimited =
                    connection.is(RECEIVING) && !connection.is(STOPPING) && !connection.is_limited;
                if unlimited && connection.input_len() >= ENOUGH.min(self.much) {
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
            self.answers.push(Completion::Input(key));
        }
        if !answer.more() {
            if connection.bulk == Bulk::Off && connection.input_len() >= self.much {
                connection.bulk = Bulk::Dry;
            }
            self.want_receive(key);
        }
    }

    /// Tells the core that there is something to pull, once until it has pulled dry.
    fn announce(&mut self, key: Key) {
        let Some(connection) = self.table.connection(key) else { return };
        if connection.announces() {
            self.answers.push(Completion::Input(key));
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
            self.answers.push(Completion::Input(key));
        }
        if quits {
            self.quit(key);
        }
    }
}
