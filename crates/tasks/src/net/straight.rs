//! The straight path of a stream: bytes that are there are taken, a task waits where there are none, and a peer who keeps up is
//! written to.
//!
//! Nearly every poll is of that kind. Here it borrows the stream once, and calls nobody. Whatever is unusual is left to `io`, which
//! does the same for every state that a stream can be in, and for every waker.

use std::task::Context;

use marline_reactor::Transport;

use super::scratch::Scratch;
use super::state::{Phase, Received, StreamState, Streams};
use super::turns::{Ticket, Wakers};
use crate::table::TableKey;
use crate::task::is_of_task;

/// Whoever has room for so much takes bytes from where they are. Less is taken from a copy, and not with a call to the system
/// each time.
const ROOMY: usize = 1024;
/// How much is received at once for who has less room.
const PIECE: usize = 64 * 1024;

/// What came for a reader.
pub(super) enum Came<R> {
    Bytes(R),
    /// There are bytes that this connection did not receive yet.
    Left(Transport),
    /// Nothing yet. Whoever polls is woken as soon as this connection, which is to be read, brings something.
    Nothing(Transport),
    /// It is to be looked at more closely.
    Unusual,
}

impl Streams {
    /// Lets `take` have what was received, or waits for it. It has room for so many bytes, or for none where they are.
    #[inline]
    pub(super) fn read_straight<R>(
        &self,
        key: TableKey,
        ticket: Ticket,
        context: &Context<'_>,
        room: usize,
        take: impl FnOnce(&mut Received) -> R,
    ) -> Came<R> {
        let came = self.with(key, |state| {
            if !state.reader.is_free_for(ticket) {
                return Came::Unusual;
            }
            if state.received.is_empty() {
                return state.come_straight(ticket, context, room);
            }
            let taken = take(&mut state.received);
            if state.received.is_empty() {
                self.give_back(std::mem::take(&mut state.received));
            }
            state.reader.vacate();
            Came::Bytes(taken)
        });
        came.unwrap_or(Came::Unusual)
    }

    /// There are bytes that its connection has not received: who waits for them. `None` if they are to be received as usual.
    #[inline]
    pub(super) fn leave_input(&self, key: TableKey) -> Option<Wakers> {
        self.with(key, |state| {
            let stands = state.takes && state.phase == Phase::InPlace && state.received.is_empty();
            if !stands || state.descriptors.is_full() {
                return None;
            }
            state.left = true;
            Some(state.reader.wakers())
        })?
    }

    /// Receives what was left with the connection. For little room it is received elsewhere, and the rest kept for the next read.
    #[inline]
    pub(super) fn take_left(&self, key: TableKey, transport: &Transport, into: &mut [u8]) -> Option<usize> {
        if into.len() < ROOMY {
            return self.take_little(key, transport, into);
        }
        let taken = transport.try_receive(into)?;
        if taken.more {
            self.with(key, |state| state.left = true);
        }
        Some(taken.count)
    }

    fn take_little(&self, key: TableKey, transport: &Transport, into: &mut [u8]) -> Option<usize> {
        let mut scratch = Scratch::take(PIECE);
        let taken = transport.try_receive(&mut scratch)?;
        let (count, received) = (taken.count.min(into.len()), &scratch[..taken.count]);
        into[..count].copy_from_slice(&received[..count]);
        if count < received.len() {
            // Nobody waits for the rest: this one read, and it is its turn.
            self.receive(key, &received[count..]).wake();
        }
        if taken.more {
            self.with(key, |state| state.left = true);
        }
        Some(count)
    }

    /// The connection, if whoever comes can write to it at once and leaves nobody behind who waits.
    #[inline]
    pub(super) fn writable_straight(&self, key: TableKey) -> Option<Transport> {
        self.with(key, |state| {
            let stands = state.lost.is_none() && state.phase != Phase::Over && state.writer.is_vacant();
            if stands { state.transport.clone() } else { None }
        })?
    }
}

impl StreamState {
    #[inline]
    fn come_straight<R>(&mut self, ticket: Ticket, context: &Context<'_>, room: usize) -> Came<R> {
        self.takes = room >= ROOMY;
        if !self.left {
            return self.wait_straight(ticket, context);
        }
        // Who comes takes all of it, or says so.
        self.left = false;
        match &self.transport {
            Some(transport) if room > 0 && self.lost.is_none() => {
                self.reader.vacate();
                Came::Left(transport.clone())
            }
            _ => Came::Unusual,
        }
    }

    /// Who came for the bytes that were left comes later.
    #[cold]
    pub(super) fn leave_again(&mut self, ticket: Ticket) {
        self.left = true;
        self.reader.hold(ticket);
    }

    /// Keeps the waker of a task. It is this crate's own, so that cloning it calls nobody who could look for the stream.
    #[inline]
    fn wait_straight<R>(&mut self, ticket: Ticket, context: &Context<'_>) -> Came<R> {
        let stands = self.phase == Phase::InPlace && !self.eof && self.lost.is_none();
        if !stands || self.descriptors.is_full() || !is_of_task(context.waker()) {
            return Came::Unusual;
        }
        match &self.transport {
            Some(transport) => {
                self.reader.wait_straight(ticket, context.waker().clone());
                Came::Nothing(transport.clone())
            }
            None => Came::Unusual,
        }
    }
}
