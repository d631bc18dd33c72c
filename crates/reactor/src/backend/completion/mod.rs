//! The completion backend: io_uring on Linux.
//!
//! The kernel is asked to receive, accept, send and close, and says when it has. What is asked for in a turn is submitted by
//! the call that waits for the next one, so a busy turn takes one system call however many connections had a part in it.
//!
//! - `options.rs`: how a ring is made, and which features it may do without.
//! - `ring.rs`: what is submitted and what came of it, with the rules of who owns which memory when; `plain.rs`: what names none.
//! - `tag.rs`: how an operation is named in the kernel. `message.rs`: the parts of a vectored send.
//! - `buffers.rs`: the pool that the kernel receives into; `guard.rs` finds mistakes in it (`no_guard.rs`: does not).
//! - `connection.rs`, `input.rs`: one connection, and what was received for it and not pulled yet. `bulk.rs`: connections that
//!   bring so much at a time that it is better received by calls. `listener.rs`, `accepting.rs`: one
//!   listener, and what it accepts.
//! - `waiting.rs`: what comes before a wait, and the wait. `gathering.rs`: whether that gathers answers. `answers.rs`: what came of
//!   operations; `told.rs`: what the core is told of it. `sending.rs`: sends, most of which are quiet.
//!   `closing.rs`: the end of a key, and of the ring.
//! - `datagrams.rs`: datagram sockets. `foreign.rs`: sources that somebody else owns, streams that are no sockets, and sockets
//!   that descriptors are passed over. `host.rs`: a descriptor for a foreign loop that drives this one.
//!   `waker.rs`: waking the loop from another thread.
//!
//! # What the kernel does, and what follows
//!
//! - A multishot receive goes on by itself. It is limited by its *credit*, and begun anew when what it brought was pulled. So a
//!   paused connection holds a bounded number of bytes, and pausing costs nothing. Kernels without such a limit have the
//!   receive cancelled; what it brings all the same is kept.
//! - A receive that finds no buffer ends (`ENOBUFS`). Bytes that are not pulled are copied out of the pool when it runs low, so that
//!   paused connections keep nobody else from receiving.
//! - A send that succeeds at once makes no completion (`IOSQE_CQE_SKIP_SUCCESS`): there would be one for each, and each
//!   would end a wait for nothing.
//! - Operations outlive the close of their descriptor, so a close cancels them first, and is answered when all are over.
//! - Completions of one socket do not come in the order of their causes. Errors of sends are told after what was received.

mod accepting;
mod answers;
mod buffers;
mod bulk;
mod closing;
mod connection;
mod datagrams;
mod foreign;
mod gathering;
#[cfg(marline_guard)]
mod guard;
mod host;
mod input;
mod listener;
mod message;
#[cfg(not(marline_guard))]
mod no_guard;
mod options;
mod plain;
mod ring;
mod sending;
mod tag;
#[cfg(test)]
mod tests;
mod told;
mod waiting;
mod waker;

use std::cell::Cell;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

pub use options::{Feature, Options};

use super::arrivals::Arrivals;
use super::datagram::Desk;
use super::departures::{Departing, Departures};
use super::object::{self, unknown};
use super::poller::{Event, Poller, due};
use super::stream::{Scratch, TakenOver, take_over};
use super::table::Table;
use super::{
    Accepted, Backend, Chunk, Close, Completion, ConnectOptions, DatagramBackend, ListenOptions, Opened,
    Opening, Outgoing, Received, Sent, SentWhole, Started, SystemCalls, Terminals, Wait, Wakeup, Watchable,
    socket as sockets,
};
use crate::address::{Address, Addresses};
use crate::choice::Choices;
use crate::credentials::Credentials;
use crate::key::Key;
use crate::patience::Patience;
use crate::protocol::Internal;
use crate::watch::Interest;
use buffers::Buffers;
pub(super) use buffers::Lent;
use connection::Connection;
use gathering::Gathering;
use host::Host;
use input::Input;
use listener::Listener;
#[cfg(not(marline_guard))]
use no_guard as guard;
use ring::{READABLE, Ring};
use tag::{Tag, What};
use told::Answers;
use waker::Waker;

/// What a key stands for, until its close was answered.
type Object = object::Object<Connection, Listener>;

/// The backend for Linux's io_uring.
///
/// Its waits have the resolution of the system's timers. Other threads' wake-ups are counted among the other system calls, and
/// each call that submits or waits is a [wait](SystemCalls::waits). Operations in the ring are no calls.
///
/// An [orderly](Close::Orderly) close throws away what was received and not read, up to one megabyte: the kernel would send a
/// reset in place of the end otherwise.
///
/// A ring belongs to the thread that made it: others are refused by the kernel.
#[derive(Debug)]
pub struct Uring {
    table: Table<Object>,
    ring: Ring,
    buffers: Buffers,
    /// What departs, and whose was not sent in the last wait.
    departures: Rc<Departures>,
    unsent: Vec<Key>,
    /// Whose sockets are full, with nothing under way to them; those of others, too.
    full: Vec<Key>,
    answers: Answers,
    /// What is less than so many bytes may arrive where the core takes it, if it does.
    few: usize,
    /// How often what came was collected, as the number wraps. What arrived before the last time is taken or was taken back.
    collection: u16,
    lists: Lists,
    /// Places for what was received, of those connections that have nothing of it.
    #[allow(clippy::vec_box)] // They go to connections as boxes, and come back so.
    inputs: Vec<Box<Input>>,
    /// Whether a receive can be limited, as far as is known.
    credit: bool,
    /// How many bytes at a time are much.
    much: usize,
    gathering: Gathering,
    /// It is dropped: nothing begins any more.
    ending: bool,
    /// A receive found no buffer since receives were last begun; and whether some are still to be begun.
    starved: bool,
    unbegun: bool,
    /// Somebody waits for the answer to a quiet send, so the next wait must not sleep.
    urgent: bool,
    /// Sends that wait to be submitted, and for how long they may.
    patience: Patience,
    hold: std::time::Duration,
    /// Operations that are not over, of all keys.
    under_way: usize,
    /// The multiplexer for foreign sources, once there is one, and whether it has events, and the ring polls it.
    foreign: Option<Box<Poller>>,
    /// What datagram sockets, which that multiplexer watches too, share.
    desk: Desk,
    foreign_ready: bool,
    foreign_polled: bool,
    /// The memory for streams that are no sockets.
    scratch: Scratch,
    /// Once a host has asked for the descriptor.
    host: Option<Host>,
    waker: Arc<Waker>,
    choices: Choices,
    calls: SystemCalls,
}

/// Who has something to be done before the next wait. Some of them may be gone by then.
#[derive(Debug, Default)]
struct Lists {
    /// Receives into the pool, and polls, to begin.
    receive: VecDeque<Key>,
    poll: Vec<Key>,
    /// Connections that keep pieces of the pool.
    holding: Vec<Key>,
    /// How long that list may become before it is looked through.
    most_holding: usize,
    /// Connections of which only a reset is still to be heard.
    ended: Vec<Key>,
    /// Quiet sends.
    quiet: Vec<Key>,
}

/// So many places for what was received are kept that nobody uses.
const INPUTS: usize = 512;

impl Uring {
    /// A backend with nothing under way, and everything that the kernel has.
    ///
    /// # Errors
    ///
    /// The operating system's: `PermissionDenied` where io_uring is forbidden (a seccomp filter, `kernel.io_uring_disabled`),
    /// `Unsupported` or `InvalidInput` where it is not there or too old (before Linux 6.1), `OutOfMemory` where too little
    /// memory may be locked, and those of a process that has no descriptors left.
    pub fn new() -> io::Result<Self> {
        Self::with(&Options::default())
    }

    fn with(options: &Options) -> io::Result<Self> {
        let ring = Ring::new(options)?;
        let buffers = Buffers::new(&ring, options)?;
        let arrivals = Rc::new(Arrivals::new(buffers.memory()));
        let gathers = ring.can_gather() && options.allows(Feature::Gathering) && !options.gather.is_zero();
        let mut this = Self {
            buffers,
            ring,
            departures: Rc::new(Departures::new(options.hold)),
            unsent: Vec::new(),
            full: Vec::new(),
            table: Table::default(),
            answers: Answers::new(arrivals),
            few: 0,
            collection: 0,
            lists: Lists::default(),
            inputs: Vec::new(),
            credit: true,
            much: options.bulk,
            gathering: Gathering::new(gathers.then_some(options.gather)),
            ending: false,
            starved: false,
            unbegun: false,
            urgent: false,
            patience: Patience::default(),
            hold: options.hold,
            under_way: 0,
            foreign: None,
            desk: Desk::default(),
            foreign_ready: false,
            foreign_polled: false,
            scratch: Scratch::default(),
            host: None,
            waker: Arc::new(Waker::new()?),
            choices: Choices::random(),
            // The ring, its three mappings and its buffers with theirs, and the waker.
            calls: SystemCalls { others: 8, ..SystemCalls::default() },
        };
        this.poll_waker();
        // What a kernel refuses, it refuses now.
        this.ring.submit(&mut this.calls)?;
        Ok(this)
    }

    fn poll_waker(&mut self) {
        let fd = self.waker.descriptor();
        self.ring.poll(fd, READABLE, Tag::own(What::Wake), &mut self.calls);
    }
}

impl Backend for Uring {
    fn name(&self) -> &'static str {
        "completion"
    }

    fn choices(&self) -> &Choices {
        &self.choices
    }

    fn waker(&self) -> Arc<dyn Wakeup> {
        self.waker.clone()
    }

    fn wait(&mut self, wait: Wait) -> io::Result<()> {
        self.sleep(wait.until)
    }

    fn next_inputs(&mut self, keys: &[Cell<Key>]) -> usize {
        self.answers.pop_inputs(keys)
    }

    fn room(&self) -> usize {
        input::SMALL
    }

    fn take_sent(&mut self, into: &mut Vec<SentWhole>) {
        self.answers.take_sent(into);
    }

    fn next(&mut self) -> Option<Completion> {
        self.answers.pop()
    }

    fn has_events(&self) -> bool {
        !self.answers.is_empty() || self.urgent || self.unbegun || self.foreign_ready
    }

    fn pollable_fd(&mut self) -> io::Result<Option<OwnedFd>> {
        self.be_hosted().map(Some)
    }

    fn arm(&mut self, until: Option<crate::instant::Instant>) {
        self.rest(until);
    }

    fn listen(&mut self, key: Key, address: &Address, options: &ListenOptions) -> io::Result<Address> {
        let listening = sockets::listen(address, options, &mut self.calls)?;
        let local = listening.local.clone();
        self.insert_listener(key, Listener::new(listening));
        self.begin_accepting(key);
        Ok(local)
    }

    /// The socket's options are left as they are, its blocking mode included: it may have other holders.
    fn adopt(&mut self, key: Key, listener: OwnedFd) -> io::Result<Address> {
        let listening = sockets::adopt(listener, &mut self.calls)?;
        let local = listening.local.clone();
        self.insert_listener(key, Listener::new(listening));
        Ok(local)
    }

    fn accept(&mut self, listener: Key, key: Key) -> Accepted {
        self.accept_one(listener, key)
    }

    fn stop_accepting(&mut self, listener: Key) -> Started<()> {
        self.quit_accepting(listener)
    }

    fn connect(&mut self, key: Key, address: &Address, options: &ConnectOptions) -> io::Result<()> {
        if options.descriptors {
            return self.connect_passing(key, address, options);
        }
        let (socket, address) = sockets::prepare(address, options, &mut self.calls)?;
        let mut connection = Connection::new(socket.into(), connection::CONNECTING, self.bulk());
        connection.under_way += 1;
        self.under_way += 1;
        if let Some(fd) = connection.fd() {
            self.ring.connect(fd, address, Tag::new(key, What::Connect), &mut self.calls);
        }
        self.table.insert(key, Object::Connection(connection));
        Ok(())
    }

    fn open(&mut self, key: Key, opening: Opening) -> io::Result<Opened> {
        match take_over(opening, &mut self.calls)? {
            TakenOver::Socket(socket) => self.open_socket(key, socket),
            TakenOver::Passing(socket) => self.open_passing(key, socket),
            TakenOver::Ends(ends) => self.open_ends(key, ends),
        }
    }

    fn terminals(&mut self) -> Option<&mut dyn Terminals> {
        Some(&mut self.table)
    }

    fn addresses(&mut self, key: Key) -> io::Result<Addresses> {
        if let Some(stream) = self.table.stream(key) {
            return stream.addresses(&mut self.calls);
        }
        let socket = self.table.connection(key).and_then(|connection| connection.socket());
        sockets::addresses(socket.ok_or_else(unknown)?, &mut self.calls)
    }

    fn receive(&mut self, key: Key, into: Option<&mut [u8]>) -> Received {
        self.receive_and_look(key, into, &mut false)
    }

    fn receive_and_look(&mut self, key: Key, into: Option<&mut [u8]>, more: &mut bool) -> Received {
        self.receive_what_came(key, into, more)
    }

    fn receive_for_room(&mut self, key: Key, room: &mut [u8], more: &mut bool) -> Received {
        self.receive_little(key, room, more)
    }

    fn arrivals(&mut self, _: Internal) -> Option<Rc<Arrivals>> {
        self.few = self.much.min(waiting::ENOUGH);
        Some(Rc::clone(&self.answers.arrivals))
    }

    fn departing(&mut self, _: Internal) -> Option<&mut dyn Departing> {
        Some(self)
    }

    fn may_receive(&mut self, key: Key) -> bool {
        self.take_back_arrivals_of(key);
        if let Some(stream) = self.table.stream(key) {
            return stream.is_readable();
        }
        let may = self.table.connection(key).is_some_and(|connection| connection.has_input());
        if !may {
            self.pulled_dry(key);
        }
        may
    }

    fn release(&mut self, chunk: Chunk) {
        self.scratch.release(chunk);
    }

    fn send(&mut self, key: Key, outgoing: Box<Outgoing>) -> Started<Sent> {
        match self.table.get(key) {
            Some(Object::Stream(stream)) => stream.send(outgoing, &mut self.calls),
            _ => self.begin_send(key, outgoing),
        }
    }

    /// Pipes, but not sockets: a ring wants them to block, and then sendfile(2) would, too.
    fn sends_files(&mut self, key: Key) -> bool {
        self.table.stream(key).is_some_and(|stream| stream.sends_files(&mut self.calls))
    }

    fn send_now(&mut self, key: Key, parts: &[IoSlice<'_>]) -> usize {
        if let Some(stream) = self.table.stream(key) {
            return stream.send_now(parts, &mut self.calls);
        }
        self.send_at_once(key, parts)
    }

    fn expedite(&mut self, key: Key) {
        self.urgent |= self.is_quiet(key);
    }

    /// A call of its own: the kernel's operation runs on a thread of the kernel's, which looks the descriptor up when it comes
    /// to it. By then the number may be another connection's.
    fn shutdown(&mut self, key: Key) -> Started<io::Result<()>> {
        if let Some(Object::Stream(stream)) = self.table.get(key) {
            let poller = self.foreign.as_deref().ok_or_else(unknown);
            return match poller {
                Ok(poller) => stream.shutdown(poller, &mut self.calls),
                Err(error) => Started::Done(Err(error)),
            };
        }
        let Some(connection) = self.table.connection(key) else {
            return Started::Done(Err(unknown()));
        };
        connection.state.insert(connection::SHUT);
        let Some(socket) = connection.socket() else { return Started::Done(Err(unknown())) };
        self.calls.shutdowns += 1;
        Started::Done(rustix::net::shutdown(socket, rustix::net::Shutdown::Write).map_err(io::Error::from))
    }

    fn close(&mut self, key: Key, how: Close) -> Started<()> {
        self.begin_close(key, how)
    }

    fn watch_peer(&mut self, key: Key) {
        if let Some(stream) = self.table.stream(key) {
            if stream.watch() {
                self.push_foreign(Event { key, says: super::bits::Bits::NONE, due: due::PEER });
            }
            return;
        }
        let Some(connection) = self.table.connection(key) else { return };
        connection.state.insert(connection::WATCHED);
        if connection.is(connection::EOF) && !connection.is(connection::PEER_TOLD) {
            // The poll for a reset, which may be under way, has told of the end already.
            connection.state.insert(connection::PEER_TOLD);
            let reset = connection.broken().is_some();
            self.answers.push_late(Completion::PeerClosed { key, reset });
        }
        self.poll_peer(key);
    }

    fn carries_descriptors(&mut self, key: Key) -> bool {
        self.table.stream(key).is_some_and(|stream| stream.carries_descriptors())
    }

    fn peer_credentials(&mut self, key: Key) -> io::Result<Credentials> {
        if let Some(stream) = self.table.stream(key) {
            return stream.peer_credentials(&mut self.calls);
        }
        let socket = self.table.connection(key).and_then(|connection| connection.socket());
        sockets::peer_credentials(socket.ok_or_else(unknown)?, &mut self.calls)
    }

    fn watch(&mut self, key: Key, what: Watchable, interest: Interest) -> io::Result<()> {
        self.begin_watch(key, &what, interest)
    }

    fn rewatch(&mut self, key: Key, interest: Interest) -> io::Result<()> {
        let watched = self.table.watched(key).ok_or_else(unknown)?;
        let poller = self.foreign.as_ref().ok_or_else(unknown)?;
        watched.change(key, interest, poller, &mut self.calls)
    }

    fn registry(&mut self) -> io::Result<mio::Registry> {
        self.calls.others += 1;
        self.foreign()?.registry().try_clone()
    }

    fn datagrams(&mut self) -> Option<&mut dyn DatagramBackend> {
        Some(self)
    }

    fn system_calls(&self) -> SystemCalls {
        let mut calls = self.calls;
        calls.others += self.waker.calls();
        calls
    }
}

/// For the automatic choice.
pub(super) fn boxed() -> io::Result<Box<dyn Backend>> {
    Ok(Box::new(Uring::new()?))
}

/// The answer to what a close ended.
fn aborted() -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}
