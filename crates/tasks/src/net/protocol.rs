//! The protocol under a stream.

use std::fmt;
use std::os::fd::OwnedFd;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use marline_reactor::{Lost, OnEof, Protocol, Remote, Transport};

use super::descriptors;
use super::state::{Phase, StreamCell, StreamState};
use super::stream::Stream;
use super::turns::Wakers;
use crate::local::Local;

/// The protocol under a [`Stream`], as the factories of [`conversation`](crate::conversation()) answer with it.
///
/// What comes while the program does not wait for it is left with the system, or is one piece at most, so a program that does
/// not read stops the peer, and a stream that has given out what it had holds no buffer.
pub struct StreamProtocol {
    /// Whoever keeps the protocol keeps nothing of the loop.
    local: Weak<Local>,
    cell: Arc<StreamCell>,
}

impl StreamProtocol {
    /// A stream, and the protocol that is to be put under it. Until then the stream waits; if that never happens, it answers
    /// with errors. If the connection exists already its transport is given.
    pub(super) fn with_stream(
        local: &Rc<Local>,
        remote: Remote,
        transport: Option<Transport>,
    ) -> (Self, Stream) {
        let cell = local.streams.add(transport, &local.executor);
        let stream = Stream::new(remote, Arc::clone(&cell));
        (Self { local: Rc::downgrade(local), cell }, stream)
    }

    /// Does this when the connection is made. Behind filters that is when they are established.
    pub(super) fn when_made(self, arrival: impl FnOnce(&Local) + 'static) -> Self {
        if let Some(local) = self.local.upgrade() {
            local.streams.when_made(self.cell.key(), Box::new(arrival));
        }
        self
    }

    fn with<R>(&self, change: impl FnOnce(&mut StreamState) -> R) -> Option<R> {
        self.local.upgrade()?.streams.with(self.cell.key(), change)
    }

    /// Wakes everybody who waits for the stream, and forgets it if the program has.
    fn settle(&self, told: (Wakers, Wakers, bool)) {
        let (reader, writer, is_held) = told;
        if !is_held {
            if let Some(local) = self.local.upgrade() {
                local.streams.remove(self.cell.key());
            }
        }
        reader.wake();
        writer.wake();
    }
}

/// The stream's own pauses end with it, and so does its reading if the program had paused before.
pub(super) fn restore_reading(transport: &Transport, was_paused: bool) {
    if was_paused {
        transport.pause_reading();
    } else {
        transport.resume_reading();
    }
}

impl Protocol for StreamProtocol {
    fn connection_made(&mut self, transport: &Transport) {
        let was_paused = transport.is_paused() && !transport.is_closing();
        transport.notify_readable();
        let kept = transport.clone();
        let told = self.with(|state| {
            state.transport = Some(kept);
            let is_released = state.phase == Phase::Released;
            if !is_released {
                state.phase = Phase::InPlace;
            }
            state.was_paused = was_paused;
            let asked = (state.reader.is_awaited() && !is_released, state.end_early);
            (state.is_held() || is_released, asked, state.writer.wakers())
        });
        let (is_held, (is_awaited, end_early), writer) = told.unwrap_or_default();
        if is_awaited {
            transport.resume_reading();
        } else {
            transport.pause_reading();
        }
        if end_early {
            transport.write_eof();
        }
        if !is_held {
            transport.close();
        }
        // What they asked of the connection before was asked in the name of its old protocol.
        writer.wake();
        if let Some(local) = self.local.upgrade() {
            let arrival = local.streams.take_arrival(self.cell.key());
            arrival.into_iter().for_each(|arrival| arrival(&local));
        }
    }

    fn readable(&mut self, _: &Transport) -> bool {
        self.cell.leave_input()
    }

    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        transport.pause_reading();
        let Some(local) = self.local.upgrade() else { return };
        local.streams.receive(self.cell.key(), data).wake();
    }

    /// The bytes that it came with follow, and wake the reader.
    fn descriptor_received(&mut self, _: &Transport, descriptor: OwnedFd) {
        self.with(|state| state.push_descriptor(descriptor));
    }

    fn eof_received(&mut self, _: &Transport) -> OnEof {
        let reader = self.with(|state| {
            state.eof = true;
            state.reader.wakers()
        });
        reader.unwrap_or_default().wake();
        OnEof::KeepOpen
    }

    fn resume_writing(&mut self, _: &Transport) {
        self.with(|state| state.writer.wakers()).unwrap_or_default().wake();
    }

    fn drained(&mut self, _: &Transport) {
        self.with(|state| state.writer.wakers()).unwrap_or_default().wake();
    }

    fn filter_established(&mut self, _: &Transport) {
        self.with(|state| state.writer.wakers()).unwrap_or_default().wake();
    }

    fn give_back(&mut self) -> Vec<u8> {
        self.with(|state| std::mem::take(&mut state.received)).unwrap_or_default().into_bytes()
    }

    fn connection_lost(&mut self, _: &Transport, lost: &Lost) {
        let lost = lost.clone();
        let told = self.with(|state| {
            state.set_lost(lost);
            (state.reader.wakers(), state.writer.wakers(), state.is_held())
        });
        if let Some(told) = told {
            self.settle(told);
        }
    }

    /// The bytes that the program did not read go to the next protocol. The stream is without a connection from now
    /// on: who waits for it gets an error, and its drop closes nothing.
    fn replaced(&mut self) -> Vec<u8> {
        let taken = self.with(|state| {
            // Who gave the stream away has seen to the reading, and the program may have paused it since.
            let reads = (state.phase != Phase::Leaving).then_some(state.was_paused);
            state.phase = Phase::Over;
            let left = (std::mem::take(&mut state.received), state.take_descriptors());
            let told = (state.reader.wakers(), state.writer.wakers(), state.is_held());
            (left, state.transport.take(), reads, told)
        });
        let Some(((received, descriptors), transport, reads, told)) = taken else { return Vec::new() };
        if let Some(transport) = transport {
            descriptors::give_back(&transport, descriptors);
            if let Some(was_paused) = reads {
                restore_reading(&transport, was_paused);
            }
        }
        self.settle(told);
        received.into_bytes()
    }
}

impl Drop for StreamProtocol {
    /// One that was never put in place, because its connection did not come about or another took over first; or one
    /// that is gone with its connection before another could take over.
    fn drop(&mut self) {
        // With the stream, if nobody else has got it.
        drop(self.local.upgrade().and_then(|local| local.streams.take_arrival(self.cell.key())));
        let told = self.with(|state| {
            (state.phase != Phase::Over && !state.is_lost()).then(|| {
                state.phase = Phase::Over;
                state.transport = None;
                (state.reader.wakers(), state.writer.wakers(), state.is_held())
            })
        });
        if let Some(Some(told)) = told {
            self.settle(told);
        }
    }
}

impl fmt::Debug for StreamProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamProtocol({:?})", self.cell.key())
    }
}
