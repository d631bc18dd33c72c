//! The readiness backend: epoll on Linux, through mio.
//!
//! The kernel tells when a socket *may* be read or written, and the calls are made when the core asks for bytes or
//! lends some. What the kernel said is remembered for each socket, so a call that would find nothing is not made.
//!
//! - `../stream/`: connections, and streams of bytes that are no sockets.
//! - `lending.rs`: sockets that the core receives and sends on by itself.
//! - `listener.rs`: one listener.
//! - `datagrams.rs`: datagram sockets.
//! - `waker.rs`: waking the loop from another thread.
//!
//! # What the kernel does, and what follows
//!
//! - Each object is registered once, *edge-triggered*, for both directions: epoll(7) then reports a change once,
//!   together with the state of everything else at that time, and the state at the registration as the first
//!   change. Reading less or more often needs no call.
//! - close(2) takes the registration back if it closes the last descriptor. That holds for the sockets that are made
//!   here, and not for an adopted listener, whose registration is taken back by hand.
//! - Events that were collected before a close may still be there after it. Their key finds nothing in the table.
//! - An error is told once, to the first call that can fail with it. It is remembered here, lest a reset looks like
//!   an orderly end to the call after that.

mod datagrams;
mod lending;
mod listener;
#[cfg(test)]
mod tests;
mod waker;

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use super::bits::Bits;
use super::datagram::Desk;
use super::object::{self, unknown};
use super::poller::{Event, Poller, due, untold_input};
use super::stream::{
    Carrying, Channel, Connection, Ends, Scratch, Socket, Special, TakenOver, connect, take_over,
};
use super::table::Table;
use super::watched::Watched;
use super::{
    Accepted, Alarm, Backend, Chunk, Close, Completion, ConnectOptions, DatagramBackend, ListenOptions,
    Opened, Opening, Outgoing, Received, Sent, SocketLender, Started, SystemCalls, Terminals, Wait, Wakeup,
    Watchable, socket as sockets,
};
use crate::address::{Address, Addresses};
use crate::choice::Choices;
use crate::credentials::Credentials;
use crate::instant::Instant;
use crate::key::Key;
use crate::protocol::Internal;
use crate::watch::Interest;
use listener::Listener;
use waker::Waker;

/// What a key stands for.
type Object = object::Object<Connection<Socket>, Listener>;

/// The backend for the operating system's readiness multiplexer.
///
/// Its waits have a resolution of one millisecond, rounded up: they never end before their moment on account of
/// time, and up to one millisecond after it. Other threads' wake-ups are counted among the other system calls.
///
/// An [orderly](Close::Orderly) close throws away what was received and not read, up to one megabyte, where an event
/// has told of it: the kernel would send a reset in place of the end otherwise.
#[derive(Debug)]
pub struct Readiness {
    table: Table<Object>,
    poller: Poller,
    /// Answers to operations that a close ended.
    answers: VecDeque<Completion>,
    scratch: Scratch,
    desk: Desk,
    waker: Arc<Waker>,
    /// Once a host has asked for the descriptor.
    alarm: Option<Alarm>,
    choices: Choices,
    calls: SystemCalls,
}

impl Readiness {
    /// A backend with nothing registered. Its clock is [`Instant::monotonic`], as that of every loop with real time, so that a
    /// moment means the same on all of them.
    ///
    /// # Errors
    ///
    /// The operating system's, where it has no descriptors or memory left.
    pub fn new() -> io::Result<Self> {
        let poller = Poller::new()?;
        Ok(Self {
            waker: Arc::new(Waker::new(&poller)?),
            poller,
            alarm: None,
            table: Table::default(),
            answers: VecDeque::new(),
            scratch: Scratch::default(),
            desk: Desk::default(),
            choices: Choices::random(),
            calls: SystemCalls {
                // The multiplexer and the waker, and the latter's registration.
                others: 2,
                registrations: 1,
                ..SystemCalls::default()
            },
        })
    }

    fn timeout(&self, wait: Wait) -> Option<Duration> {
        if self.has_events() {
            return Some(Duration::ZERO);
        }
        wait.until.map(|until| until.since(self.now()))
    }

    fn close_connection<C: Channel>(
        &mut self,
        key: Key,
        connection: Connection<C>,
        how: Close,
    ) -> Started<()> {
        if how == Close::Orderly && connection.has_unread() {
            self.scratch.discard(&connection, &mut self.calls);
        }
        let before = self.answers.len();
        connection.close(key, how, &self.poller, &mut self.answers, &mut self.calls);
        if self.answers.len() == before {
            return Started::Done(());
        }
        self.answers.push_back(Completion::Closed(key));
        Started::Pending
    }
}

impl Readiness {
    #[inline(never)]
    fn receive_closely(&mut self, key: Key, into: Option<&mut [u8]>, more: &mut bool) -> Received {
        match self.table.get(key) {
            Some(Object::Connection(connection)) => {
                let received = self.scratch.receive(connection, into, &mut self.calls);
                *more = connection.is_readable();
                received
            }
            Some(Object::Stream(stream)) => {
                let received = self.scratch.receive(stream, into, &mut self.calls);
                *more = stream.is_readable();
                received
            }
            _ => {
                *more = false;
                Received::Failed(unknown())
            }
        }
    }

    #[inline(never)]
    fn send_to_stream(&mut self, key: Key, parts: &[IoSlice<'_>]) -> usize {
        self.table.stream(key).map_or(0, |stream| stream.send_now(parts, &mut self.calls))
    }

    fn open_socket(&mut self, key: Key, socket: OwnedFd) -> io::Result<Opened> {
        let addresses = sockets::addresses(&socket, &mut self.calls)?;
        let socket = Socket::register(socket, &self.poller, key, &mut self.calls)?.at(&addresses.local);
        self.table.insert(key, Object::Connection(Connection::accepted(socket).shared()));
        Ok(Opened { addresses, reads: true, writes: true, drops_input: true })
    }

    fn open_passing(&mut self, key: Key, socket: OwnedFd) -> io::Result<Opened> {
        let addresses = sockets::addresses(&socket, &mut self.calls)?;
        let socket = Socket::register(socket, &self.poller, key, &mut self.calls)?;
        self.table.insert(key, passing(socket, |socket| Connection::accepted(socket).shared()));
        Ok(Opened { addresses, reads: true, writes: true, drops_input: true })
    }

    fn open_ends(&mut self, key: Key, ends: Ends) -> io::Result<Opened> {
        let (ends, untold) = ends.register(&self.poller, key, &mut self.calls)?;
        let opened = ends.opened();
        if untold {
            self.poller.push(untold_input(key));
        }
        self.table.insert(key, Object::Stream(Box::new(Connection::accepted(Special::Ends(ends)))));
        Ok(opened)
    }
}

impl Backend for Readiness {
    fn name(&self) -> &'static str {
        "readiness"
    }

    fn now(&self) -> Instant {
        Instant::monotonic()
    }

    fn choices(&self) -> &Choices {
        &self.choices
    }

    fn waker(&self) -> Arc<dyn Wakeup> {
        self.waker.clone()
    }

    fn wait(&mut self, wait: Wait) -> io::Result<()> {
        let timeout = self.timeout(wait);
        self.poller.wait(timeout, &mut self.calls)?;
        // The kernel may have more than fits. A host that looks for changes only has to see one.
        if self.alarm.is_some() && self.poller.is_full() {
            self.waker.wake();
        }
        Ok(())
    }

    fn next(&mut self) -> Option<Completion> {
        loop {
            if !self.answers.is_empty() {
                return self.answers.pop_front();
            }
            let mut event = self.poller.pop()?;
            let completion = match self.table.get(event.key) {
                Some(Object::Connection(connection)) => connection.advance(&mut event, &mut self.calls),
                Some(Object::Listener(_)) => Some(Listener::announce(&mut event)),
                Some(Object::Stream(stream)) => stream.advance(&mut event, &mut self.calls),
                Some(Object::Watched(watched)) => watched.advance(&mut event),
                Some(Object::Datagram(socket)) => socket.advance(&mut event),
                None => continue,
            };
            if !event.due.is_empty() {
                self.poller.push_front(event);
            }
            if completion.is_some() {
                return completion;
            }
        }
    }

    fn has_events(&self) -> bool {
        self.poller.has_events() || !self.answers.is_empty()
    }

    fn pollable_fd(&mut self) -> io::Result<Option<OwnedFd>> {
        if self.alarm.is_none() {
            match Alarm::new(&mut self.calls) {
                Ok(alarm) => {
                    self.poller.alarm(alarm.descriptor(), &mut self.calls)?;
                    self.alarm = Some(alarm);
                }
                Err(error) if error.kind() == io::ErrorKind::Unsupported => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        self.calls.others += 1;
        self.poller.descriptor().map(Some)
    }

    fn arm(&mut self, until: Option<Instant>) {
        let now = self.now();
        match &mut self.alarm {
            Some(_) if until.is_some_and(|until| until <= now) => self.waker.wake(),
            Some(alarm) => alarm.set(until, now, &mut self.calls),
            None => {}
        }
    }

    fn listen(&mut self, key: Key, address: &Address, options: &ListenOptions) -> io::Result<Address> {
        let listening = sockets::listen(address, options, &mut self.calls)?;
        let local = listening.local.clone();
        let listener = Listener::register(listening, &self.poller, key, &mut self.calls)?;
        self.table.insert(key, Object::Listener(Box::new(listener)));
        Ok(local)
    }

    /// The socket's options are left as they are, TCP_NODELAY included: it may have other holders.
    fn adopt(&mut self, key: Key, listener: OwnedFd) -> io::Result<Address> {
        let listening = sockets::adopt(listener, &mut self.calls)?;
        // The mode belongs to the open file description, so whoever else holds the listener gets it too.
        self.calls.others += 1;
        socket2::SockRef::from(&listening.socket).set_nonblocking(true)?;
        let local = listening.local.clone();
        let listener = Listener::register(listening, &self.poller, key, &mut self.calls)?;
        self.table.insert(key, Object::Listener(Box::new(listener.shared())));
        Ok(local)
    }

    fn accept(&mut self, listener: Key, key: Key) -> Accepted {
        let Some(listener) = self.table.listener(listener) else {
            return Accepted::Failed(unknown());
        };
        match listener.accept(&self.poller, key, &mut self.calls) {
            Ok((socket, addresses)) => {
                let object = if listener.passes_descriptors() {
                    passing(socket, Connection::accepted)
                } else {
                    Object::Connection(Connection::accepted(socket))
                };
                self.table.insert(key, object);
                Accepted::Connection(addresses)
            }
            Err(accepted) => accepted,
        }
    }

    fn connect(&mut self, key: Key, address: &Address, options: &ConnectOptions) -> io::Result<()> {
        let stream = connect(address, options, &mut self.calls)?;
        // It is registered after the connect: epoll calls a socket that was never connected hung up.
        let socket = Socket::register(stream, &self.poller, key, &mut self.calls)?.at(address);
        let object = if options.descriptors {
            passing(socket, Connection::connecting)
        } else {
            Object::Connection(Connection::connecting(socket))
        };
        self.table.insert(key, object);
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
        match self.table.get(key) {
            Some(Object::Connection(connection)) => connection.addresses(&mut self.calls),
            Some(Object::Stream(stream)) => stream.addresses(&mut self.calls),
            _ => Err(unknown()),
        }
    }

    fn receive(&mut self, key: Key, into: Option<&mut [u8]>) -> Received {
        self.receive_and_look(key, into, &mut false)
    }

    fn receive_and_look(&mut self, key: Key, into: Option<&mut [u8]>, more: &mut bool) -> Received {
        // Nearly all are sockets; what else there may be would make this one slower.
        let Some(memory) = into else { return self.receive_closely(key, None, more) };
        let Some(Object::Connection(connection)) = self.table.get(key) else {
            return self.receive_closely(key, Some(memory), more);
        };
        let received = connection.receive(memory, &mut self.calls);
        *more = connection.is_readable();
        received.map_or_else(|other| other, Received::Filled)
    }

    fn takes_room(&self) -> bool {
        true
    }

    fn may_receive(&mut self, key: Key) -> bool {
        match self.table.get(key) {
            Some(Object::Connection(connection)) => connection.is_readable(),
            Some(Object::Stream(stream)) => stream.is_readable(),
            _ => false,
        }
    }

    fn lender(&mut self, _: Internal) -> Option<&mut dyn SocketLender> {
        Some(self)
    }

    fn release(&mut self, chunk: Chunk) {
        self.scratch.release(chunk);
    }

    fn send(&mut self, key: Key, outgoing: Box<Outgoing>) -> Started<Sent> {
        match self.table.get(key) {
            Some(Object::Connection(connection)) => connection.send(outgoing, &mut self.calls),
            Some(Object::Stream(stream)) => stream.send(outgoing, &mut self.calls),
            _ => Started::Done(Sent { outgoing, result: Err(unknown()) }),
        }
    }

    fn sends_files(&mut self, key: Key) -> bool {
        match self.table.get(key) {
            Some(Object::Connection(connection)) => connection.sends_files(&mut self.calls),
            Some(Object::Stream(stream)) => stream.sends_files(&mut self.calls),
            _ => false,
        }
    }

    fn send_now(&mut self, key: Key, parts: &[IoSlice<'_>]) -> usize {
        match self.table.get(key) {
            Some(Object::Connection(connection)) => connection.send_now(parts, &mut self.calls),
            _ => self.send_to_stream(key, parts),
        }
    }

    /// Nothing is ever kept back here.
    fn expedite(&mut self, _: Key) {}

    fn shutdown(&mut self, key: Key) -> Started<io::Result<()>> {
        match self.table.get(key) {
            Some(Object::Connection(connection)) => connection.shutdown(&self.poller, &mut self.calls),
            Some(Object::Stream(stream)) => stream.shutdown(&self.poller, &mut self.calls),
            _ => Started::Done(Err(unknown())),
        }
    }

    fn close(&mut self, key: Key, how: Close) -> Started<()> {
        match self.table.remove(key) {
            Some(Object::Connection(connection)) => return self.close_connection(key, connection, how),
            Some(Object::Stream(stream)) => return self.close_connection(key, *stream, how),
            Some(Object::Listener(listener)) => listener.close(&self.poller, &mut self.calls),
            Some(Object::Watched(_)) if how == Close::Forget => {}
            Some(Object::Watched(watched)) => watched.close(&self.poller, &mut self.calls),
            Some(Object::Datagram(socket)) => socket.close(&mut self.calls),
            None => {}
        }
        Started::Done(())
    }

    fn watch_peer(&mut self, key: Key) {
        let ended = match self.table.get(key) {
            Some(Object::Connection(connection)) => connection.watch(),
            Some(Object::Stream(stream)) => stream.watch(),
            _ => false,
        };
        if ended {
            self.poller.push(Event { key, says: Bits::NONE, due: due::PEER });
        }
    }

    fn carries_descriptors(&mut self, key: Key) -> bool {
        self.table.stream(key).is_some_and(|stream| stream.carries_descriptors())
    }

    fn peer_credentials(&mut self, key: Key) -> io::Result<Credentials> {
        match self.table.get(key) {
            Some(Object::Connection(connection)) => connection.peer_credentials(&mut self.calls),
            Some(Object::Stream(stream)) => stream.peer_credentials(&mut self.calls),
            _ => Err(unknown()),
        }
    }

    fn watch(&mut self, key: Key, what: Watchable, interest: Interest) -> io::Result<()> {
        let watched = match what {
            Watchable::Descriptor(descriptor) => {
                Watched::register(descriptor, key, interest, &self.poller, &mut self.calls)?
            }
            Watchable::Registered => Watched::registered(),
            Watchable::Virtual(_) => return Err(io::ErrorKind::Unsupported.into()),
        };
        self.table.insert(key, Object::Watched(watched));
        Ok(())
    }

    fn rewatch(&mut self, key: Key, interest: Interest) -> io::Result<()> {
        let watched = self.table.watched(key).ok_or_else(unknown)?;
        watched.change(key, interest, &self.poller, &mut self.calls)
    }

    fn registry(&mut self) -> io::Result<mio::Registry> {
        self.calls.others += 1;
        self.poller.registry().try_clone()
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

/// A connection that descriptors are passed over.
fn passing(socket: Socket, as_it_is: fn(Special) -> Connection<Special>) -> Object {
    Object::Stream(Box::new(as_it_is(Special::Carrying(Carrying::new(socket)))))
}
