//! What the loop keeps of a stream.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

use marline_reactor::{Addresses, Lost, Transport, Warning};

use super::descriptors::Untaken;
use super::received::{Pool, Received};
use super::turns::{Ticket, Turn, Wakers};
use crate::error::HandedOver;
use crate::home::Home;
use crate::local::Local;
use crate::table::{Table, TableKey};
use crate::task::Executor;

/// The streams of a loop.
#[derive(Default)]
pub(crate) struct Streams {
    table: RefCell<Table<Arc<StreamCell>>>,
    pool: Pool,
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

/// A stream, as the loop, its handles and its protocol share it: one allocation, to which each of them has a straight way. The
/// loop has it in its table until the stream is over, and empties it then.
pub(super) struct StreamCell {
    key: TableKey,
    state: Home<RefCell<StreamState>>,
}

/// A stream's end of its connection.
#[derive(Default)]
pub(super) struct StreamState {
    /// That of its loop, as long as the stream is not over.
    pub(super) executor: Option<Rc<Executor>>,
    /// Known before the stream's protocol is in place where it takes over a live connection, and kept until another
    /// takes over.
    pub(super) transport: Option<Transport>,
    pub(super) phase: Phase,
    pub(super) received: Received,
    rare: Option<Box<Rare>>,
    /// Bytes can come and go. It follows from the rest, and is written down for who looks in each step.
    pub(super) is_usual: bool,
    /// There are bytes that the connection has and did not receive.
    pub(super) left: bool,
    /// Who read last has room to receive such bytes into.
    pub(super) takes: bool,
    pub(super) eof: bool,
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

/// What few streams have.
#[derive(Default)]
struct Rare {
    lost: Option<Lost>,
    /// Those that came, and that the program has not taken. They go where the bytes go.
    descriptors: Untaken,
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

impl Streams {
    /// A stream whose protocol is not in place yet.
    pub(super) fn add(&self, transport: Option<Transport>, executor: &Rc<Executor>) -> Arc<StreamCell> {
        let executor = Some(Rc::clone(executor));
        let state = RefCell::new(StreamState { executor, transport, ..StreamState::default() });
        let make = |key| Arc::new(StreamCell { key, state: Home::new(state) });
        self.table.borrow_mut().insert_shared(make)
    }

    /// Works on a stream. `change` must run no code of anybody else's: no waker, no drop.
    pub(super) fn with<R>(&self, key: TableKey, change: impl FnOnce(&mut StreamState) -> R) -> Option<R> {
        self.with_usual(key, |state| {
            let result = change(state);
            state.is_usual = state.looks_usual();
            result
        })
    }

    /// The same, where `change` has nothing to do with what makes a stream [usual](StreamState::is_usual).
    #[inline]
    pub(super) fn with_usual<R>(
        &self,
        key: TableKey,
        change: impl FnOnce(&mut StreamState) -> R,
    ) -> Option<R> {
        let mut table = self.table.borrow_mut();
        let state = table.get_mut(key)?.state()?;
        Some(change(&mut state.borrow_mut()))
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
            last.then(|| (state.transport.clone(), state.is_lost(), ended))
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
        let cell = self.table.borrow_mut().remove(key);
        if let Some(mut state) = cell.and_then(|cell| cell.empty()) {
            self.give_back(std::mem::take(&mut state.received));
            drop(state);
        }
    }

    /// The loop has ended.
    pub(crate) fn end(&self) {
        drop(self.arrivals.take());
        for state in self.table.take().into_values().filter_map(|cell| cell.empty()) {
            state.reader.end();
            state.writer.end();
        }
    }

    /// Puts received bytes where the reader finds them: who waits for them.
    #[inline]
    pub(super) fn receive(&self, key: TableKey, data: &[u8]) -> Wakers {
        let received = self.with_usual(key, |state| {
            state.received.push(data, &self.pool);
            state.reader.wakers()
        });
        received.unwrap_or_default()
    }

    /// Keeps the memory of a read buffer that is used up.
    #[inline]
    pub(super) fn give_back(&self, received: Received) {
        self.pool.give_back(received);
    }
}

impl StreamCell {
    /// Names it in the loop's table.
    pub(super) fn key(&self) -> TableKey {
        self.key
    }

    /// The stream, on the thread of its loop. It is borrowed only while nobody else's code runs.
    #[inline]
    pub(super) fn state(&self) -> Option<&RefCell<StreamState>> {
        self.state.get()
    }

    /// Takes out what there is, for good.
    fn empty(&self) -> Option<StreamState> {
        self.state().map(RefCell::take)
    }
}

impl StreamState {
    /// The error of a stream whose connection is gone; `None` if it went in good order.
    pub(super) fn broken(&self) -> Option<io::Error> {
        let lost = self.rare.as_ref()?.lost.as_ref();
        lost.filter(|lost| !lost.is_clean()).map(Lost::to_io_error)
    }

    fn looks_usual(&self) -> bool {
        let stands = self.phase == Phase::InPlace && !self.eof && self.transport.is_some();
        stands && !self.is_lost() && !self.has_many_descriptors()
    }

    /// Whether the connection is lost.
    pub(super) fn is_lost(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.lost.is_some())
    }

    pub(super) fn set_lost(&mut self, lost: Lost) {
        self.rare.get_or_insert_default().lost = Some(lost);
    }

    /// Whether so many descriptors wait to be taken that nothing is received any more.
    pub(super) fn has_many_descriptors(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.descriptors.is_full())
    }

    pub(super) fn push_descriptor(&mut self, descriptor: OwnedFd) {
        self.rare.get_or_insert_default().descriptors.push(descriptor);
    }

    pub(super) fn take_descriptors(&mut self) -> Vec<OwnedFd> {
        self.rare.as_mut().map(|rare| rare.descriptors.take()).unwrap_or_default()
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
