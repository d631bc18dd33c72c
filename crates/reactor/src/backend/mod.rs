//! The backend contract: what the loop asks of a multiplexer, and what it promises in return.
//!
//! **Unstable**: it is public so that a backend can be written elsewhere, and may still change in details.
//!
//! A [`Backend`] is *operation-shaped*: the core starts operations and the backend answers each of them
//! exactly once, at once ([`Started::Done`]) or later by a [`Completion`] that [`Backend::next`] hands out.
//! A readiness multiplexer (epoll, kqueue) emulates that, a completion multiplexer (io_uring, completion ports)
//! is that, and the memory backend has no kernel at all.
//!
//! # One turn, as the backend sees it
//!
//! 1. [`wait`](Backend::wait): sleeps until an event, a moment, or a wake-up.
//! 2. [`next`](Backend::next), until it answers `None`: the events, as plain data. Between two of them the core
//!    calls user code, and any operation may be started. Two calls make what is most frequent cheaper, and may be left out:
//!    [`take_sent`](Backend::take_sent), once before all of these, and [`next_inputs`](Backend::next_inputs) before each.
//! 3. Any number of operations, from callbacks, tasks and the flush at the end of the turn. A backend that
//!    batches its submissions makes them in the next `wait`.
//!
//! `next` has to come to `None`. So what operations of this turn bring about, other than the answer to a close, waits for the
//! next turn: two connections that answer each other would never let this one end.
//!
//! # Order
//!
//! Completions are *independent* unless one of these rules holds, and independent ones may be told in any order, in this
//! turn or a later one, as long as no `wait` sleeps over them (the success of a send that [`expedite`](Backend::expedite) was not
//! called for excepted):
//!
//! * Nothing of a key is told before its `Connected`, and nothing after its `Closed`.
//! * What was under way at a close is answered before that close.
//! * What a foreign source is ready for is told in the order in which it came to be.
//! * The `Input` that a `Dry` has promised is told after the next wait, so that a source comes to an end in each turn.
//!
//! So a peer's end may be told before the bytes that came before it, and the answer to a send after both.
//!
//! # Bytes in are pulled, bytes out are lent
//!
//! [`Completion::Input`] says that [`receive`](Backend::receive) (of a connection) or [`accept`](Backend::accept)
//! (of a listener) *may* have something. It is an edge: it need not be repeated until the core has pulled
//! until `Dry`. The core pulls when it wants to, so pausing costs nothing and needs no call; a backend that
//! receives ahead of being asked (multishot receive) keeps what arrived, bounded, and gives it out in order.
//! Memory of the user's is only ever borrowed for the one call of `receive`.
//!
//! A send moves an [`Outgoing`] into the backend and back again with the answer. At most one send of a
//! connection is under way; what is written meanwhile queues in the core. A backend never drops an `Outgoing` while the core
//! calls it: owned bytes may run code of the user's then, which would find the backend borrowed.
//! Files are lent only where the backend [sends](Backend::sends_files) them, each alone. Others are read by the core.
//!
//! # Descriptors among the bytes
//!
//! A connection that was asked for it ([`ListenOptions::descriptors`], [`ConnectOptions::descriptors`],
//! [`Opening::Passing`]) [carries descriptors](Backend::carries_descriptors). An [`Outgoing`] then has them between its bytes.
//! One call sends the [first](Outgoing::first_descriptors) of them with the [bytes before the
//! next](Outgoing::bytes_before_next_descriptor), and with at least one byte they are passed; the core closes ours. What
//! is received comes as a [`Chunk`] [with descriptors](Chunk::with_descriptors), also where memory was offered, and never later
//! than the byte it was sent with. What does not carry descriptors closes those that come. A backend without such
//! connections refuses what asks for one.
//!
//! # The end of a connection
//!
//! [`close`](Backend::close) ends everything: each operation of that key that is still under way is answered
//! first (with an error, unless it won the race), then the close itself, and after that the key is never
//! named again. When the close is answered the descriptor is closed, and nothing of the key's is in the kernel.
//!
//! # What the core promises
//!
//! * Keys are dense in their index and never repeated, so a table indexed by [`Key::index`] is enough. An index is not
//!   used again before the close of its key was answered; a key that `accept` gave no connection for is free at once.
//! * It never borrows the backend while user code runs.
//! * It sends no empty `Outgoing`, starts no second send, connect or shutdown while one is under way, and starts
//!   nothing after `close`. It may still ask [`may_receive`](Backend::may_receive) then.
//! * Each [`Chunk`] is [`release`](Backend::release)d, in any order, also after the close of its connection.
//! * It calls [`expedite`](Backend::expedite) whenever something waits for a send.
//! * It closes every key before it drops the backend, and does not wait for the answers: the drop ends what is in
//!   flight, or leaks its memory.
//!
//! In return nothing of a connection that is being made is announced before [`Completion::Connected`].

#[cfg(any(target_os = "linux", target_os = "android"))]
mod alarm;
#[cfg_attr(not(all(target_os = "linux", feature = "io-uring")), allow(dead_code))]
mod arrivals;
mod bell;
mod bits;
mod choose;
mod chunk;
#[cfg(all(target_os = "linux", feature = "io-uring"))]
pub mod completion;
pub(crate) mod datagram;
#[cfg_attr(not(all(target_os = "linux", feature = "io-uring")), allow(dead_code))]
mod departures;
pub(crate) mod descriptors;
pub(crate) mod ended;
mod events;
mod file;
#[cfg(test)]
mod full;
mod lent;
pub mod memory;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod no_alarm;
#[cfg(not(all(target_os = "linux", feature = "io-uring")))]
mod no_completion;
mod object;
mod options;
mod outgoing;
mod poller;
mod pulled;
pub mod readiness;
mod sent;
pub(crate) mod socket;
mod stream;
mod system_calls;
mod table;
mod terminals;
mod watched;

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

#[cfg(any(target_os = "linux", target_os = "android"))]
use alarm::Alarm;
pub(crate) use arrivals::{Arrivals, Bytes};
pub use bell::{Bell, Wakeup};
pub use choose::{auto, named};
pub use chunk::Chunk;
pub use datagram::{
    Datagram, DatagramBackend, DatagramChange, DatagramOpened, DatagramOptions, DatagramQueue, Datagrams,
    Membership, MulticastInterface, ReceivedDatagrams, Room, SentDatagrams,
};
pub(crate) use departures::{Departing, Departures, FEW, MOST, Written};
pub use events::{Close, Completion, Started, Wait, Watchable};
pub use file::FileRange;
pub(crate) use lent::{LentSocket, SocketLender};
#[cfg(not(any(target_os = "linux", target_os = "android")))]
use no_alarm::Alarm;
#[cfg(not(all(target_os = "linux", feature = "io-uring")))]
use no_completion as completion;
pub use options::{ConnectOptions, ListenOptions};
pub use outgoing::Outgoing;
pub use pulled::{Accepted, Received};
pub use sent::{Sent, SentWhole};
pub use stream::{Opened, Opening};
pub use system_calls::SystemCalls;
pub use terminals::Terminals;
pub(crate) use watched::token;

pub use crate::process::{Child, Spawned};

use crate::address::{Address, Addresses};
use crate::choice::Choices;
use crate::credentials::Credentials;
use crate::instant::Instant;
use crate::key::Key;
use crate::os_signal::SignalKind;
use crate::process::Command;
use crate::protocol::Internal;
use crate::watch::Interest;

/// A multiplexer. The [module](self) tells the rules of the whole.
pub trait Backend {
    /// A word for it: `"readiness"`, `"completion"`, `"memory"`.
    fn name(&self) -> &'static str;

    // Time, chance, and other threads.

    /// The clock, read fresh. It never goes back. By default it is the system's monotonic clock.
    fn now(&self) -> Instant {
        Instant::monotonic()
    }

    /// The stream that this run's choices are drawn from.
    fn choices(&self) -> &Choices;

    /// Ends a [`wait`](Self::wait) from any thread.
    fn waker(&self) -> Arc<dyn Wakeup>;

    /// Name resolution of the backend's own: `None` (the default) leaves it to the system's resolver. It is asked if the
    /// program gave the loop no [resolver](crate::Resolve), or if that leaves a name to the
    /// [system's](crate::SystemResolver).
    fn resolve(&mut self, host: &str, port: u16) -> Option<io::Result<Vec<SocketAddr>>> {
        let _ = (host, port);
        None
    }

    /// Signals of the backend's own, in place of the operating system's: from now on each `signal` is a
    /// [`Ready`](Completion::Ready) of `key`, until its [`close`](Self::close). `None` (the default) leaves it to the system;
    /// then the loop [watches](Self::watch) a descriptor.
    fn watch_signal(&mut self, key: Key, signal: SignalKind) -> Option<io::Result<()>> {
        let _ = (key, signal);
        None
    }

    /// Processes of the backend's own, in place of the operating system's: a [`Ready`](Completion::Ready) of `key` tells that
    /// the child has exited, until the [`close`](Self::close) of the key. `None` (the default) leaves it to the system.
    fn spawn(&mut self, key: Key, command: &Command) -> Option<io::Result<Spawned>> {
        let _ = (key, command);
        None
    }

    // The turn.

    /// Sleeps until there is a completion, a wake-up, or the moment in `wait`. Coming back early is allowed. It does not sleep
    /// if [`next`](Self::next) would have something, and looks for events of the system's also when it does not sleep.
    ///
    /// # Errors
    ///
    /// Only what makes going on pointless. An interrupted wait is not an error.
    fn wait(&mut self, wait: Wait) -> io::Result<()>;

    /// The next completion, or `None` when this turn has no more.
    fn next(&mut self) -> Option<Completion>;

    /// Takes keys off what [`next`](Self::next) has next, into `keys` from the front, as long as each is an [`Input`](Completion::Input):
    /// how many. The core asks before `next`, whenever it is through with those that it had. By default it takes none, and `next` has
    /// them all.
    fn next_inputs(&mut self, keys: &[Cell<Key>]) -> usize {
        let _ = keys;
        0
    }

    /// How many bytes of room [`receive_for_room`](Self::receive_for_room) has a use for, where [`takes_room`](Self::takes_room) says no:
    /// none by default. It is asked once.
    fn room(&self) -> usize {
        0
    }

    /// Moves the sends of which everything was sent to the end of `into`, in place of their [`Sent`](Completion::Sent). The core asks
    /// before the first [`next`](Self::next) after a wait. By default it moves none, and `next` has them all.
    fn take_sent(&mut self, into: &mut Vec<SentWhole>) {
        let _ = into;
    }

    /// Whether the next [`wait`](Self::wait) has something to do before it could sleep, told without a call to the operating
    /// system: completions that wait, operations that were not submitted. `false` is the default, for backends that
    /// answer everything at once or in `wait`.
    fn has_events(&self) -> bool {
        false
    }

    // Hosts: foreign loops that wait in the place of this backend, and drive the loop by waits that do not sleep.

    /// A descriptor that becomes readable when a [`wait`](Self::wait) would end: for an event, for a wake-up, and at the moment
    /// of [`arm`](Self::arm). It belongs to the caller, who waits for it and does nothing else with it. A wait makes it
    /// unreadable again, or has left something there, which makes it readable anew, also for whoever looks for changes
    /// only. `None` (the default) if there is no such thing.
    ///
    /// # Errors
    ///
    /// The operating system's, where it has no descriptors left.
    fn pollable_fd(&mut self) -> io::Result<Option<OwnedFd>> {
        Ok(None)
    }

    /// No turn follows now. The loop leaves the waiting to its host until this moment (`None`: whatever the time). If a
    /// descriptor was asked for, it becomes readable then; a moment that has passed makes it readable at once. Each call
    /// replaces the one before. It is called, too, when a loop without a host leaves `run`, or a turn that its program
    /// made: a backend that submits operations in `wait` submits them here, as the next wait may be far. Does nothing by
    /// default.
    fn arm(&mut self, until: Option<Instant>) {
        let _ = until;
    }

    // Operations.

    /// Begins to listen, and tells where (port 0 means any free port).
    ///
    /// # Errors
    ///
    /// The operating system's; then nothing stays bound.
    fn listen(&mut self, key: Key, address: &Address, options: &ListenOptions) -> io::Result<Address>;

    /// Takes over a stream socket that listens already, and takes no connection of it before the first
    /// [`accept`](Self::accept): whoever waits may be meant for somebody else who holds the socket. Closing it later does not
    /// shut it down for them.
    ///
    /// # Errors
    ///
    /// `Unsupported` where a backend has no use for sockets (the default), `InvalidInput` if it is no listening stream
    /// socket.
    fn adopt(&mut self, key: Key, listener: OwnedFd) -> io::Result<Address> {
        let _ = (key, listener);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Takes one waiting connection of `listener`, which from now on is `key`. A backend may accept ahead, a bounded
    /// number; these are closed with the listener.
    fn accept(&mut self, listener: Key, key: Key) -> Accepted;

    /// Takes no more connections of this listener from the system, and leaves them there for whoever else holds the socket.
    /// [`Started::Pending`] if some were accepted ahead, or may be: [`Completion::AcceptsNoMore`] tells when that is over, and
    /// [`accept`](Self::accept) goes on to answer with them. `Done` is the default, for backends that accept nothing ahead.
    fn stop_accepting(&mut self, listener: Key) -> Started<()> {
        let _ = listener;
        Started::Done(())
    }

    /// Begins to connect; [`Completion::Connected`] answers.
    ///
    /// # Errors
    ///
    /// Where it fails at once. Then there is nothing to close. `Unsupported` is the default, for backends that serve only.
    fn connect(&mut self, key: Key, address: &Address, options: &ConnectOptions) -> io::Result<()> {
        let _ = (key, address, options);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Takes over a stream of bytes that exists already: `key` is a connection from now on, as if it had been connected.
    /// What is not to be read is never announced, but that nobody reads what we write (as a failed receive), and what cannot be
    /// written is never sent to nor shut down. It is closed on an error.
    ///
    /// # Errors
    ///
    /// `Unsupported` (the default) for what this backend has no use for, `InvalidInput` for what is no stream of bytes, and
    /// otherwise the operating system's.
    fn open(&mut self, key: Key, opening: Opening) -> io::Result<Opened> {
        let _ = (key, opening);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// What it knows of terminals: nothing by default, which leaves making them to the operating system.
    fn terminals(&mut self) -> Option<&mut dyn Terminals> {
        None
    }

    /// Both ends of a connection that was connected.
    ///
    /// # Errors
    ///
    /// The operating system's.
    fn addresses(&mut self, key: Key) -> io::Result<Addresses>;

    /// Pulls bytes that arrived: into the caller's memory, which is not empty, or else as a chunk of the backend's.
    fn receive(&mut self, key: Key, into: Option<&mut [u8]>) -> Received;

    /// The two calls of [`receive`](Self::receive) and [`may_receive`](Self::may_receive) in one, for backends that have both
    /// answers at the same place.
    fn receive_and_look(&mut self, key: Key, into: Option<&mut [u8]>, more: &mut bool) -> Received {
        let received = self.receive(key, into);
        *more = self.may_receive(key);
        received
    }

    /// The same for a protocol that offers no memory, with the core's room, which may be empty. Bytes are put there, or come as a chunk.
    fn receive_for_room(&mut self, key: Key, room: &mut [u8], more: &mut bool) -> Received {
        let into = if room.is_empty() { None } else { Some(room) };
        self.receive_and_look(key, into, more)
    }

    /// Whether a [`receive`](Self::receive) for a protocol that offers no memory gets some of the core's all the same: for
    /// backends that would only copy the bytes to memory of their own. By default not. It is asked once.
    fn takes_room(&self) -> bool {
        false
    }

    /// Whether [`receive`](Self::receive) would look for more, told without a call to the operating system, so that a
    /// protocol is asked for memory only when bytes are at hand. `true` (the default) may turn out wrong; `false` means
    /// what `Dry` means.
    fn may_receive(&mut self, key: Key) -> bool {
        let _ = key;
        true
    }

    /// The part that lends sockets, if there is one. Only the loop can ask for it, and only backends of this crate have it.
    fn lender(&mut self, _: Internal) -> Option<&mut dyn SocketLender> {
        None
    }

    /// Where its input arrives, if the core takes that from there in place of [`next_inputs`](Self::next_inputs). Only the loop can ask
    /// for it, once, and only backends of this crate have it.
    fn arrivals(&mut self, _: Internal) -> Option<Rc<Arrivals>> {
        None
    }

    /// The part that lets few bytes depart, if there is one. Only the loop can ask for it, and only backends of this crate have it.
    fn departing(&mut self, _: Internal) -> Option<&mut dyn Departing> {
        None
    }

    /// Gives back a chunk. By default it is dropped.
    fn release(&mut self, chunk: Chunk) {
        drop(chunk);
    }

    /// Sends some of `outgoing`, from its front: as much as is possible at one go, at least one byte. Without room it is
    /// [`Started::Pending`] until there is some. (What `WouldBlock` means, [`Sent`] tells.)
    fn send(&mut self, key: Key, outgoing: Box<Outgoing>) -> Started<Sent>;

    /// Whether [`send`](Self::send) takes [files](Outgoing::file) of this connection. It is asked before each that is lent.
    /// `false` is the default: then nothing but bytes is ever lent.
    fn sends_files(&mut self, key: Key) -> bool {
        let _ = key;
        false
    }

    /// Sends from the front of `parts` what the system takes at once: how many bytes, maybe none. The core asks for that with
    /// large writes that nothing waits before, where it saves the copy; it lends the rest by a [`send`](Self::send), which meets
    /// an error again. By default none are sent.
    fn send_now(&mut self, key: Key, parts: &[IoSlice<'_>]) -> usize {
        let _ = (key, parts);
        0
    }

    /// The core waits for the answer to the send of `key` that is under way: more bytes queue behind it, or a close, an
    /// end of our direction, or a notice does. Until this is called a backend may keep it to itself while it sleeps that
    /// all that was lent was sent, and answer when the wait ends for another reason. An error is never kept, and neither is
    /// a success in part, as the core sends the rest only then. Without a send it does nothing.
    fn expedite(&mut self, key: Key);

    /// Ends our direction (FIN). [`Completion::Shut`] answers if it is not done at once.
    fn shutdown(&mut self, key: Key) -> Started<io::Result<()>>;

    /// Closes a connection, a connection attempt, or a listener.
    fn close(&mut self, key: Key, how: Close) -> Started<()>;

    /// Asks for one [`Completion::PeerClosed`] when the peer ended or reset the connection, whether or not
    /// bytes wait to be received before that. Asking again changes nothing. By default there is none: then who does not
    /// read learns of it late.
    fn watch_peer(&mut self, key: Key) {
        let _ = key;
    }

    /// Whether descriptors can be passed over this connection, both ways. By default none can.
    fn carries_descriptors(&mut self, key: Key) -> bool {
        let _ = key;
        false
    }

    /// Who is at the other end of a UNIX socket.
    ///
    /// # Errors
    ///
    /// `Unsupported` (the default) where that is not known, and the operating system's.
    fn peer_credentials(&mut self, key: Key) -> io::Result<Credentials> {
        let _ = key;
        Err(io::ErrorKind::Unsupported.into())
    }

    // Foreign sources.

    /// Watches `what`, which is `key` from now on, until its [`close`](Self::close). What it promises of it, [`Watchable`] tells.
    ///
    /// # Errors
    ///
    /// `Unsupported` (the default) for what this backend cannot watch, `AlreadyExists` for what is registered with
    /// it already, `PermissionDenied` for what is always ready, and otherwise the operating system's. Then nothing is watched.
    fn watch(&mut self, key: Key, what: Watchable, interest: Interest) -> io::Result<()> {
        let _ = (key, what, interest);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Changes the interest, and tells the present state as a change. The core calls it with the same interest to
    /// ask for that; never for [`Watchable::Registered`].
    ///
    /// # Errors
    ///
    /// The operating system's. The core then closes the key.
    fn rewatch(&mut self, key: Key, interest: Interest) -> io::Result<()> {
        let _ = (key, interest);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Where sources of mio's register themselves, with [`Key::to_u64`] of a key that is watched as their token. What
    /// happens to them is told by [`Completion::Ready`].
    ///
    /// # Errors
    ///
    /// `Unsupported` (the default), and the operating system's.
    fn registry(&mut self) -> io::Result<mio::Registry> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The operations on sockets that keep the boundaries of what was sent. `None` (the default) if there are no such sockets
    /// here.
    fn datagrams(&mut self) -> Option<&mut dyn DatagramBackend> {
        None
    }

    /// How many calls to the operating system were made so far.
    fn system_calls(&self) -> SystemCalls {
        SystemCalls::default()
    }
}
