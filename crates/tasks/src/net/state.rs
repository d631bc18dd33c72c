//! What the loop keeps of a stream.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;

use marline_reactor::{Addresses, Lost, Transport, Warning};

use super::descriptors::Untaken;
use super::turns::{Ticket, Turn, Wakers};
use crate::error::HandedOver;
use crate::local::Local;
use crate::table::{Table, TableKey};

/// How many empty read buffers are kept for whoever receives next, and how large they may be.
const POOL: usize = 64;
const POOLED: usize = 64 * 1024;

/// The streams of a loop.
#[derive(Default)]
pub(crate) struct Streams {
    table: RefCell<Table<StreamState>>,
    /// Read buffers that nobody uses: a stream has one only while it has bytes that were not read.
    pool: RefCell<Vec<Vec<u8>>>,
    tickets: Cell<Ticket>,
    /// The stream whose conversation is being made, and the ends that its connection will have.
    expected: RefCell<Option<(TableKey, Addresses)>>,
    /// What is to be done when the connection of a stream is made. Here, because it is there for a short time only.
    arrivals: RefCell<HashMap<TableKey, Arrival>>,
}

/// It may hold the stream.
pub(super) type Arrival = Box<dyn FnOnce(&Local)>;

/// While it lives, a stream that has no connection yet knows its ends.
pub(super) struct Expected<'a> {
    streams: &'a Streams,
    before: Option<(TableKey, Addresses)>,
}

impl Drop for Expected<'_> {
    fn drop(&mut self) {
        self.streams.expected.replace(self.before.take());
    }
}

/// A stream's end of its connection.
#[derive(Default)]
pub(super) struct StreamState {
    /// Known before the stream's protocol is in place where it takes over a live connection, and kept until another
    /// takes over.
    pub(super) transport: Option<Transport>,
    pub(super) phase: Phase,
    pub(super) received: Received,
    /// Those that came, and that the program has not taken. They go where the bytes go.
    pub(super) descriptors: Untaken,
    /// There are bytes that the connection has and did not receive.
    pub(super) left: bool,
    /// Who read last has room to receive such bytes into.
    pub(super) takes: bool,
    pub(super) eof: bool,
    pub(super) lost: Option<Box<Lost>>,
    /// The program had paused reading when the stream took over, and whoever takes over from it finds that so.
    pub(super) was_paused: bool,
    /// Our direction is to end as soon as the connection is known.
    pub(super) end_early: bool,
    /// The program has ended our direction.
    pub(super) closed: bool,
    pub(super) reader: Turn,
    pub(super) writer: Turn,
    /// The program has dropped its handle of the reading side: the stream, or the half.
    pub(super) reading_dropped: bool,
    /// The same of the writing side.
    pub(super) writing_dropped: bool,
}

/// Where a stream stands with its connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its protocol is not in place yet. What the program asks for waits.
    #[default]
    Awaited,
    InPlace,
    /// Given away by the program; the bytes that were not read are still to be collected.
    Leaving,
    /// Given away as a bare transport. Reads nothing, and the connection is kept for whoever takes over.
    Released,
    /// Another protocol took over, or none ever came.
    Over,
}

/// Bytes that were received and not read.
#[derive(Default)]
pub(super) struct Received {
    bytes: Vec<u8>,
    start: usize,
}

impl Received {
    pub(super) fn is_empty(&self) -> bool {
        self.start == self.bytes.len()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Takes up to `into.len()` bytes out.
    #[inline]
    pub(super) fn take(&mut self, into: &mut [u8]) -> usize {
        let count = into.len().min(self.bytes.len() - self.start);
        into[..count].copy_from_slice(&self.bytes[self.start..self.start + count]);
        self.start += count;
        count
    }

    pub(super) fn into_bytes(mut self) -> Vec<u8> {
        self.bytes.drain(..self.start);
        self.bytes
    }

    /// Puts bytes back that were taken out before.
    pub(super) fn put_front(&mut self, mut earlier: Self) {
        if !earlier.is_empty() {
            earlier.bytes.extend_from_slice(self.bytes());
            *self = earlier;
        }
    }

    /// `count` of the bytes were read.
    pub(super) fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.bytes.len());
    }
}

impl Streams {
    /// A stream whose protocol is not in place yet.
    pub(super) fn add(&self, transport: Option<Transport>) -> TableKey {
        self.table.borrow_mut().insert(StreamState { transport, ..StreamState::default() })
    }

    /// Works on a stream. `change` must run no code of anybody else's: no waker, no drop.
    #[inline]
    pub(super) fn with<R>(&self, key: TableKey, change: impl FnOnce(&mut StreamState) -> R) -> Option<R> {
        self.table.borrow_mut().get_mut(key).map(change)
    }

    /// The connection of this stream is about to be made between these ends.
    pub(super) fn expect(&self, key: TableKey, addresses: &Addresses) -> Expected<'_> {
        Expected { streams: self, before: self.expected.replace(Some((key, addresses.clone()))) }
    }

    pub(super) fn expected(&self, key: TableKey) -> Option<Addresses> {
        let expected = self.expected.borrow();
        expected.as_ref().filter(|(stream, _)| *stream == key).map(|(_, addresses)| addresses.clone())
    }

    /// Does this when the connection of the stream is made.
    pub(super) fn when_made(&self, key: TableKey, arrival: Arrival) {
        self.arrivals.borrow_mut().insert(key, arrival);
    }

    pub(super) fn take_arrival(&self, key: TableKey) -> Option<Arrival> {
        self.arrivals.borrow_mut().remove(&key)
    }

    pub(super) fn ticket(&self) -> Ticket {
        self.tickets.set(self.tickets.get() + 1);
        self.tickets.get()
    }

    /// The program's handle of one side is gone, or that of both. With the last one the connection is closed, after what was
    /// written. Which handle stands for a side does not matter, so splitting and reuniting change nothing here.
    pub(super) fn drop_sides<const READING: bool, const WRITING: bool>(&self, key: TableKey) {
        let transport = self.with(key, |state| {
            state.reading_dropped |= READING;
            state.writing_dropped |= WRITING;
            let last = !state.is_held() && !matches!(state.phase, Phase::Leaving | Phase::Released);
            let ended = state.eof || state.closed;
            last.then(|| (state.transport.clone(), state.lost.is_some(), ended))
        });
        match transport.flatten() {
            // Its protocol forgets the stream when the other takes over; or, if the one that waits is its own, closes.
            Some((Some(transport), false, _)) if transport.is_handed_over() => {}
            Some((Some(transport), false, ended)) => {
                if !ended && !transport.is_closing() {
                    was_unclosed(&transport);
                }
                transport.close();
            }
            Some(_) => self.remove(key),
            None => {}
        }
    }

    pub(super) fn remove(&self, key: TableKey) {
        let state = self.table.borrow_mut().remove(key);
        if let Some(mut state) = state {
            self.give_back(std::mem::take(&mut state.received));
            drop(state);
        }
    }

    /// The loop has ended.
    pub(crate) fn end(&self) {
        drop(self.arrivals.take());
        for state in self.table.take().into_values() {
            state.reader.end();
            state.writer.end();
        }
    }

    /// Puts received bytes where the reader finds them: who waits for them.
    #[inline]
    pub(super) fn receive(&self, key: TableKey, data: &[u8]) -> Wakers {
        let received = self.with(key, |state| {
            let received = &mut state.received;
            if received.is_empty() {
                if received.bytes.capacity() == 0 {
                    received.bytes = self.pool.borrow_mut().pop().unwrap_or_default();
                }
                received.start = 0;
                received.bytes.clear();
            }
            received.bytes.extend_from_slice(data);
            state.reader.wakers()
        });
        received.unwrap_or_default()
    }

    /// Keeps the memory of a read buffer that is used up.
    #[inline]
    pub(super) fn give_back(&self, received: Received) {
        let bytes = received.bytes;
        // It is emptied by the one who uses it next.
        if (1..=POOLED).contains(&bytes.capacity()) {
            let mut pool = self.pool.borrow_mut();
            if pool.len() < POOL {
                pool.push(bytes);
            }
        }
    }
}

impl StreamState {
    /// The error of a stream whose connection is gone; `None` if it went in good order.
    pub(super) fn broken(&self) -> Option<io::Error> {
        self.lost.as_ref().filter(|lost| !lost.is_clean()).map(|lost| lost.to_io_error())
    }

    /// Whether the program has a handle of it.
    pub(super) fn is_held(&self) -> bool {
        !(self.reading_dropped && self.writing_dropped)
    }

    /// Whether its bytes come to another protocol.
    pub(super) fn handed_over(&self) -> Option<io::Error> {
        (self.phase == Phase::Over).then(|| HandedOver::new().into())
    }
}

/// The program dropped a stream while both directions were open.
fn was_unclosed(transport: &Transport) {
    let (local, peer) = (transport.local_address(), transport.peer_address());
    let ends = local.zip(peer).map_or_else(String::new, |(local, peer)| format!(", {local} with {peer}"));
    let key = transport.key();
    let what = format!("the stream on connection {key:?}{ends}: it was dropped without a close");
    let handle = transport.handle();
    if handle.is_debugging() {
        handle.warn(&Warning::unclosed(what));
    } else {
        tracing::debug!("{what}");
    }
}
