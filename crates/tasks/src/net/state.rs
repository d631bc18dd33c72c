//! What the loop keeps of a stream, and the protocol that feeds it.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;

use marline_reactor::{Lost, OnEof, Protocol, Transport, Warning};

use super::turns::{Ticket, Turn, Wakers};
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
}

/// A stream's end of its connection.
#[derive(Default)]
pub(super) struct StreamState {
    pub(super) transport: Option<Transport>,
    pub(super) received: Received,
    pub(super) eof: bool,
    pub(super) lost: Option<Box<Lost>>,
    /// The program has ended our direction.
    pub(super) closed: bool,
    /// More waits to be sent than the high watermark.
    pub(super) full: bool,
    pub(super) reader: Turn,
    pub(super) writer: Turn,
    /// How many handles there are: one, or two halves. None is left when the program has dropped them all.
    pub(super) handles: u8,
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
    pub(super) fn take(&mut self, into: &mut [u8]) -> usize {
        let count = into.len().min(self.bytes.len() - self.start);
        into[..count].copy_from_slice(&self.bytes[self.start..self.start + count]);
        self.start += count;
        count
    }

    /// `count` of the bytes were read.
    pub(super) fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.bytes.len());
    }
}

impl Streams {
    /// A stream that is not connected yet.
    pub(super) fn add(&self) -> TableKey {
        self.table.borrow_mut().insert(StreamState { handles: 1, ..StreamState::default() })
    }

    /// Works on a stream. `change` must run no code of anybody else's: no waker, no drop.
    pub(super) fn with<R>(&self, key: TableKey, change: impl FnOnce(&mut StreamState) -> R) -> Option<R> {
        self.table.borrow_mut().get_mut(key).map(change)
    }

    pub(super) fn ticket(&self) -> Ticket {
        self.tickets.set(self.tickets.get() + 1);
        self.tickets.get()
    }

    /// One of the program's handles is gone. With the last one the connection is closed, after what was written.
    pub(super) fn drop_handle(&self, key: TableKey) {
        let transport = self.with(key, |state| {
            state.handles = state.handles.saturating_sub(1);
            let ended = state.eof || state.closed;
            if state.handles == 0 {
                Some((state.transport.clone(), state.lost.is_some(), ended))
            } else {
                None
            }
        });
        match transport.flatten() {
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

    fn remove(&self, key: TableKey) {
        let state = self.table.borrow_mut().remove(key);
        if let Some(mut state) = state {
            self.give_back(std::mem::take(&mut state.received));
            drop(state);
        }
    }

    /// Puts received bytes where the reader finds them.
    fn receive(&self, key: TableKey, data: &[u8]) {
        let mut pool = self.pool.borrow_mut();
        self.with(key, |state| {
            let received = &mut state.received;
            if received.is_empty() {
                received.start = 0;
                received.bytes.clear();
                if received.bytes.capacity() == 0 {
                    received.bytes = pool.pop().unwrap_or_default();
                }
            }
            received.bytes.extend_from_slice(data);
        });
    }

    /// Keeps the memory of a read buffer that is used up.
    pub(super) fn give_back(&self, received: Received) {
        let mut bytes = received.bytes;
        let mut pool = self.pool.borrow_mut();
        if pool.len() < POOL && bytes.capacity() > 0 && bytes.capacity() <= POOLED {
            bytes.clear();
            pool.push(bytes);
        }
    }
}

impl StreamState {
    /// The error of a stream whose connection is gone; `None` if it went in good order.
    pub(super) fn broken(&self) -> Option<io::Error> {
        self.lost.as_ref().filter(|lost| !lost.is_clean()).map(|lost| lost.to_io_error())
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

/// The protocol under a stream. It reads only while the program waits for bytes, so a program that does not
/// read stops the peer, and a stream that nobody reads holds no buffer.
pub(super) struct Feed {
    local: Rc<Local>,
    key: TableKey,
}

impl Feed {
    pub(super) fn new(local: Rc<Local>, key: TableKey) -> Self {
        Self { local, key }
    }

    fn with<R>(&self, change: impl FnOnce(&mut StreamState) -> R) -> Option<R> {
        self.local.streams.with(self.key, change)
    }
}

fn wake(wakers: Option<Wakers>) {
    wakers.unwrap_or_default().wake();
}

impl Protocol for Feed {
    fn connection_made(&mut self, transport: &Transport) {
        transport.pause_reading();
        let kept = transport.clone();
        let handles = self.with(|state| {
            state.transport = Some(kept);
            state.handles
        });
        if handles.unwrap_or(0) == 0 {
            transport.close();
        }
    }

    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        transport.pause_reading();
        self.local.streams.receive(self.key, data);
        wake(self.with(|state| state.reader.wakers()));
    }

    fn eof_received(&mut self, _: &Transport) -> OnEof {
        wake(self.with(|state| {
            state.eof = true;
            state.reader.wakers()
        }));
        OnEof::KeepOpen
    }

    fn pause_writing(&mut self, _: &Transport) {
        self.with(|state| state.full = true);
    }

    fn resume_writing(&mut self, _: &Transport) {
        wake(self.with(|state| {
            state.full = false;
            state.writer.wakers()
        }));
    }

    fn drained(&mut self, _: &Transport) {
        wake(self.with(|state| state.writer.wakers()));
    }

    fn connection_lost(&mut self, _: &Transport, lost: &Lost) {
        let lost = Box::new(lost.clone());
        let told = self.with(|state| {
            state.lost = Some(lost);
            (state.reader.wakers(), state.writer.wakers(), state.handles)
        });
        let Some((reader, writer, handles)) = told else { return };
        if handles == 0 {
            self.local.streams.remove(self.key);
        }
        wake(Some(reader));
        wake(Some(writer));
    }

    /// The bytes that the program did not read go to the next protocol, apart from those that it holds through
    /// `AsyncBufRead`. The stream is without a connection from now on: who
    /// waits for it gets an error, and its drop closes nothing.
    fn replaced(&mut self) -> Vec<u8> {
        let taken = self.with(|state| {
            state.transport = None;
            let received = std::mem::take(&mut state.received);
            (received, state.reader.wakers(), state.writer.wakers(), state.handles)
        });
        let Some((received, reader, writer, handles)) = taken else { return Vec::new() };
        if handles == 0 {
            self.local.streams.remove(self.key);
        }
        wake(Some(reader));
        wake(Some(writer));
        received.bytes().to_vec()
    }
}
