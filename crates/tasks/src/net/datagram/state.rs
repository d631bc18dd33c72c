//! What the loop keeps of a datagram socket, and the protocol that feeds it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::rc::{Rc, Weak};

use marline_reactor::backend::DatagramQueue;
use marline_reactor::{Address, DatagramProtocol, DatagramTransport, Lost, Remote};

use super::super::turns::Turn;
use super::socket::DatagramSocket;
use crate::local::Local;
use crate::table::{Table, TableKey};

/// How many datagrams wait for a receive before the others are left to the system,
const MANY: usize = 64;
/// and how much they may hold, in bytes.
const MUCH: usize = 256 * 1024;
/// So many errors wait to be told; more say nothing new.
const ERRORS: usize = 16;

const WHAT: &str = "a datagram socket";

/// The datagram sockets of a loop.
#[derive(Default)]
pub(crate) struct DatagramSockets {
    table: RefCell<Table<SocketState>>,
}

#[derive(Default)]
pub(super) struct SocketState {
    /// `None` while it is being opened.
    pub(super) transport: Option<DatagramTransport>,
    /// What was received and not asked for yet, each with its sender.
    received: DatagramQueue,
    errors: VecDeque<io::Error>,
    lost: Option<Box<Lost>>,
    /// The pause of writing was told, and its resume will be.
    is_paused: bool,
    pub(super) reader: Turn,
    pub(super) writer: Turn,
}

/// What a receive found.
pub(super) type Taken = io::Result<(usize, Address)>;

impl DatagramSockets {
    pub(super) fn add(&self) -> TableKey {
        self.table.borrow_mut().insert(SocketState::default())
    }

    /// Works on a socket. `change` must run no code of anybody else's.
    pub(super) fn with<R>(&self, key: TableKey, change: impl FnOnce(&mut SocketState) -> R) -> Option<R> {
        self.table.borrow_mut().get_mut(key).map(change)
    }

    /// The program's handle is gone: the socket is closed, after what was sent.
    pub(super) fn remove(&self, key: TableKey) {
        let state = self.table.borrow_mut().remove(key);
        if let Some(state) = state {
            state.transport.iter().for_each(DatagramTransport::close);
            state.end();
        }
    }

    /// The loop has ended: everybody is woken, and finds an error.
    pub(crate) fn end(&self) {
        self.table.take().into_values().for_each(SocketState::end);
    }
}

impl SocketState {
    /// Takes out what is to be answered next: an error, or a datagram. `None` if there is nothing.
    pub(super) fn take(&mut self, into: &mut [u8]) -> Option<Taken> {
        if let Some(error) = self.errors.pop_front() {
            return Some(Err(error));
        }
        let taken = self.received.iter().next().map(|(bytes, sender)| {
            // What does not fit is lost, as it is with the system's own call.
            let count = bytes.len().min(into.len());
            into[..count].copy_from_slice(&bytes[..count]);
            let sender = sender.cloned().ok_or_else(|| io::ErrorKind::InvalidData.into());
            sender.map(|sender| (count, sender))
        });
        if taken.is_some() {
            self.received.pop(1);
            return taken;
        }
        self.lost.as_ref().map(|lost| Err(lost.to_io_error()))
    }

    pub(super) fn take_error(&mut self) -> Option<io::Error> {
        self.errors.pop_front()
    }

    /// The error of a socket that is closed.
    pub(super) fn broken(&self) -> Option<io::Error> {
        self.lost.as_ref().map(|lost| lost.to_io_error())
    }

    /// The transport, if it was paused and has to go on now.
    pub(super) fn to_resume(&self) -> Option<DatagramTransport> {
        let has_room = self.received.len() < MANY / 2 && self.received.bytes() < MUCH / 2;
        self.transport.clone().filter(|transport| has_room && !transport.is_reading())
    }

    /// Whether a resume will tell of room.
    pub(super) fn is_paused(&self) -> bool {
        self.is_paused
    }

    fn is_full(&self) -> bool {
        self.received.len() >= MANY || self.received.bytes() >= MUCH
    }

    fn end(self) {
        self.reader.end();
        self.writer.end();
    }
}

/// The protocol under a [`DatagramSocket`].
pub(in crate::net) struct Feeder {
    local: Weak<Local>,
    key: TableKey,
    /// The socket of a connection that was accepted, and whose listener has not got it yet.
    arriving: Option<(TableKey, DatagramSocket)>,
}

impl Feeder {
    pub(super) fn new(local: &Rc<Local>, key: TableKey) -> Self {
        Self { local: Rc::downgrade(local), key, arriving: None }
    }

    /// Under a connection that `listener` accepts. It gets the socket as soon as that can be used.
    pub(in crate::net) fn arriving(weak: &Weak<Local>, remote: &Remote, listener: TableKey) -> Self {
        let socket =
            weak.upgrade().map(|local| DatagramSocket { remote: remote.clone(), key: local.datagrams.add() });
        // Without a loop's own data there is nobody to feed.
        let key = socket.as_ref().map_or(listener, |socket| socket.key);
        Self { local: Weak::clone(weak), key, arriving: socket.map(|socket| (listener, socket)) }
    }

    fn with<R>(&self, change: impl FnOnce(&mut SocketState) -> R) -> Option<R> {
        self.local.upgrade()?.datagrams.with(self.key, change)
    }

    fn wake_writers(&self) {
        if let Some(wakers) = self.with(|state| state.writer.wakers()) {
            wakers.wake();
        }
    }
}

impl DatagramProtocol for Feeder {
    fn connection_made(&mut self, transport: &DatagramTransport) {
        let Some((listener, socket)) = self.arriving.take() else { return };
        self.with(|state| state.transport = Some(transport.clone()));
        if let Some(local) = self.local.upgrade() {
            local.packet_listeners.arrived(listener, socket);
        }
    }

    fn datagram_received(&mut self, transport: &DatagramTransport, data: &[u8], sender: &Address) {
        let told = self.with(|state| {
            state.received.push(data, Some(sender));
            (state.is_full(), state.reader.wakers())
        });
        let Some((is_full, wakers)) = told else { return };
        if is_full {
            transport.pause_reading();
        }
        wakers.wake();
    }

    fn error_received(&mut self, _: &DatagramTransport, error: &io::Error) {
        // The one that was told is lent.
        let copy = match error.raw_os_error() {
            Some(number) => io::Error::from_raw_os_error(number),
            None => io::Error::new(error.kind(), error.to_string()),
        };
        let wakers = self.with(|state| {
            if state.errors.len() < ERRORS {
                state.errors.push_back(copy);
            }
            state.reader.wakers()
        });
        if let Some(wakers) = wakers {
            wakers.wake();
        }
    }

    fn pause_writing(&mut self, _: &DatagramTransport) {
        self.with(|state| state.is_paused = true);
    }

    fn resume_writing(&mut self, _: &DatagramTransport) {
        self.with(|state| state.is_paused = false);
        self.wake_writers();
    }

    fn connection_lost(&mut self, _: &DatagramTransport, lost: &Lost) {
        let lost = Box::new(lost.clone());
        let wakers = self.with(|state| {
            state.lost = Some(lost);
            state.reader.wakers()
        });
        if let Some(wakers) = wakers {
            wakers.wake();
        }
        self.wake_writers();
    }
}

/// What wakers and reports call it.
pub(super) fn what() -> &'static str {
    WHAT
}
