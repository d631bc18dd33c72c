//! The straight path of a stream: bytes that are there are taken, a task waits where there are none, and a peer who keeps up is
//! written to.
//!
//! Nearly every poll is of that kind. Here it borrows the stream once, and calls nobody. Whatever is unusual is left to `io`, which
//! does the same for every state that a stream can be in, and for every waker.

use std::task::Context;

use marline_reactor::{Taken, Transport, WriteStatus};

use super::received::Received;
use super::scratch::Scratch;
use super::state::{Phase, StreamCell, StreamState, Streams};
use super::turns::Ticket;
use crate::table::TableKey;
use crate::task::clone_of_task;

/// Whoever has room for so much takes bytes from where they are. Less is taken from a copy, and not with a call to the system
/// each time.
const ROOMY: usize = 1024;
/// So much is received at a time for those who have less room. They get it bit by bit, from a copy.
const AHEAD: usize = 64 * 1024;
/// What is less needs no look at how much there is.
const FEW: usize = 16 * 1024;

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

/// What a read came to that was tried in the usual way.
pub(super) enum Straight {
    Read(usize),
    /// There is nothing yet, and who polls is woken when there is.
    Waits,
    /// It is to be looked at more closely.
    Unusual,
}

/// What a stream says to a read.
enum Look {
    /// There are bytes that this connection did not receive.
    Left,
    /// There is nothing, and who polls waits from now on. This connection is to be read: whoever else has its transport, as a
    /// protocol around the stream's does, may have paused it.
    Waits,
    Unusual,
}

impl StreamCell {
    /// Receives what was left with the connection, into much room, or waits for it.
    #[inline]
    pub(super) fn read_straight(&self, ticket: Ticket, context: &Context<'_>, into: &mut [u8]) -> Straight {
        let Some(state) = self.state() else { return Straight::Unusual };
        let mut state = state.borrow_mut();
        let look = state.look_straight(ticket, context, into.len());
        // A transport calls nobody but a loop's host, who must only wake himself: the stream may stay borrowed.
        match (&state.transport, look) {
            (Some(transport), Look::Left) => match transport.try_receive(into) {
                Some(Taken { more: false, count, .. }) if count < FEW => Straight::Read(count),
                Some(taken) => state.received_much(taken),
                None => Straight::Unusual,
            },
            (Some(transport), Look::Waits) => {
                transport.resume_reading();
                Straight::Waits
            }
            _ => Straight::Unusual,
        }
    }

    /// There are bytes that its connection has not received: who waits for them is woken. `false` if they are to be received as
    /// usual.
    #[inline]
    pub(super) fn leave_input(&self) -> bool {
        let Some(state) = self.state() else { return false };
        let mut state = state.borrow_mut();
        if !state.is_usual || !state.takes || !state.received.is_nothing() {
            return false;
        }
        state.left = true;
        let reader = state.reader.wakers();
        drop(state);
        reader.wake_next();
        true
    }

    /// Writes all of it, if it is not much and nothing is in its way: whether it was written.
    #[inline(always)]
    pub(super) fn write_straight(&self, data: &[u8]) -> bool {
        let Some(state) = self.state().filter(|_| data.len() < FEW) else { return false };
        let state = state.borrow();
        if !state.is_usual || !state.writer.is_vacant() {
            return false;
        }
        // As above. Of so few no filter takes anything within the call.
        let Some(transport) = &state.transport else { return false };
        transport.try_write(data).is_some_and(WriteStatus::is_accepted)
    }
}

impl Streams {
    /// Lets `take` have what was received, or waits for it. It has room for so many bytes, or for none where they are.
    #[inline]
    pub(super) fn come_for<R>(
        &self,
        key: TableKey,
        ticket: Ticket,
        context: &Context<'_>,
        room: usize,
        take: impl FnOnce(&mut Received) -> R,
    ) -> Came<R> {
        let came = self.with_usual(key, |state| {
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

    /// There is more that the connection did not receive.
    #[cold]
    fn leave_more(&self, key: TableKey) {
        self.with_usual(key, |state| state.left = true);
    }

    /// Receives what was left with the connection. For little room it is received elsewhere, and the rest kept for the next read.
    pub(super) fn take_left(&self, key: TableKey, transport: &Transport, into: &mut [u8]) -> Option<usize> {
        if into.len() < ROOMY {
            return self.take_little(key, transport, into);
        }
        let taken = transport.try_receive(into)?;
        if taken.more {
            self.leave_more(key);
        }
        Some(taken.count)
    }

    fn take_little(&self, key: TableKey, transport: &Transport, into: &mut [u8]) -> Option<usize> {
        let mut scratch = Scratch::take();
        let taken = transport.try_receive(&mut scratch[..AHEAD])?;
        let (count, received) = (taken.count.min(into.len()), &scratch[..taken.count]);
        into[..count].copy_from_slice(&received[..count]);
        if count < received.len() {
            // Nobody waits for the rest: this one read, and it is its turn.
            self.receive(key, &received[count..]).wake();
        }
        if taken.more {
            self.leave_more(key);
        }
        Some(count)
    }

    /// The connection, if whoever comes can write to it at once and leaves nobody behind who waits.
    #[inline]
    pub(super) fn writable_straight(&self, key: TableKey) -> Option<Transport> {
        self.with_usual(key, |state| {
            let stands = !state.is_lost() && state.phase != Phase::Over && state.writer.is_vacant();
            if stands { state.transport.clone() } else { None }
        })?
    }
}

impl StreamState {
    #[cold]
    fn received_much(&mut self, taken: Taken) -> Straight {
        self.left |= taken.more;
        if let Some(executor) = &self.executor {
            executor.allowance.charge(taken.count);
        }
        Straight::Read(taken.count)
    }

    #[inline]
    fn look_straight(&mut self, ticket: Ticket, context: &Context<'_>, room: usize) -> Look {
        if !self.is_usual || !self.received.is_nothing() || !self.reader.is_free_for(ticket) {
            return Look::Unusual;
        }
        if self.left {
            // A peer who writes as fast never lets it wait. Who has little room pays where it is received.
            let pays = || self.executor.as_ref().is_some_and(|executor| executor.allowance.try_use());
            if room < ROOMY || !pays() {
                return Look::Unusual;
            }
            (self.left, self.takes) = (false, true);
            self.reader.vacate();
            return Look::Left;
        }
        // The waker of a task is this crate's own, so that cloning it calls nobody who could look for the stream.
        let Some(waker) = clone_of_task(context.waker()) else { return Look::Unusual };
        self.reader.wait_straight(ticket, waker);
        self.takes = room >= ROOMY;
        Look::Waits
    }

    #[inline]
    fn come_straight<R>(&mut self, ticket: Ticket, context: &Context<'_>, room: usize) -> Came<R> {
        self.takes = room >= ROOMY;
        if !self.left {
            return self.wait_straight(ticket, context);
        }
        // Who comes takes all of it, or says so.
        self.left = false;
        match &self.transport {
            Some(transport) if room > 0 && !self.is_lost() => {
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
        match &self.transport {
            Some(transport) if self.is_usual => match clone_of_task(context.waker()) {
                Some(waker) => {
                    self.reader.wait_straight(ticket, waker);
                    Came::Nothing(transport.clone())
                }
                None => Came::Unusual,
            },
            _ => Came::Unusual,
        }
    }
}
