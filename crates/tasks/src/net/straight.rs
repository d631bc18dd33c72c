//! The straight path of a stream: bytes that are there are taken, a task waits where there are none, and a peer who keeps up is
//! written to.
//!
//! Nearly every poll is of that kind. Here it borrows the stream once, and calls nobody. Whatever is unusual is left to `io`, which
//! does the same for every state that a stream can be in, and for every waker.

use std::task::Context;

use marline_reactor::Transport;

use super::state::{Phase, Received, StreamState, Streams};
use super::turns::Ticket;
use crate::table::TableKey;
use crate::task::is_of_running_task;

/// What came for a reader.
pub(super) enum Came<R> {
    Bytes(R),
    /// Nothing yet. Whoever polls is woken as soon as this connection, which is to be read, brings something.
    Nothing(Transport),
    /// It is to be looked at more closely.
    Unusual,
}

impl Streams {
    /// Lets `take` have what was received, or waits for it.
    #[inline]
    pub(super) fn read_straight<R>(
        &self,
        key: TableKey,
        ticket: Ticket,
        context: &Context<'_>,
        take: impl FnOnce(&mut Received) -> R,
    ) -> Came<R> {
        let came = self.with(key, |state| {
            if !state.reader.is_free_for(ticket) {
                return Came::Unusual;
            }
            if state.received.is_empty() {
                return state.wait_straight(ticket, context);
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

    /// The connection and its room, if whoever comes can write to it at once and leaves nobody behind who waits.
    #[inline]
    pub(super) fn room_straight(&self, key: TableKey) -> Option<(Transport, usize)> {
        let transport = self.with(key, |state| {
            let stands = state.lost.is_none() && state.phase != Phase::Over && state.writer.is_vacant();
            if stands { state.transport.clone() } else { None }
        })??;
        let room = transport.room()?;
        Some((transport, room))
    }
}

impl StreamState {
    /// Keeps the waker of a task. It is this crate's own, so that cloning it calls nobody who could look for the stream.
    #[inline]
    fn wait_straight<R>(&mut self, ticket: Ticket, context: &Context<'_>) -> Came<R> {
        let stands = self.phase == Phase::InPlace && !self.eof && self.lost.is_none();
        if !stands || self.descriptors.is_full() || !is_of_running_task(context.waker()) {
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
