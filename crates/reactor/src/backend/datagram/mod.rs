//! Datagrams: what the loop asks of a multiplexer about them, and how the backends on real sockets do it.
//!
//! A socket that keeps the boundaries of what was sent has other needs than a stream: many datagrams want to cross at once,
//! each with an address, an error concerns one of them and not the socket, and nothing has to be kept until the kernel is
//! done with it. So these operations are a contract of their own, [`DatagramBackend`], to which
//! [`Backend::datagrams`](super::Backend::datagrams) leads. All of them are done at once, on every backend.
//!
//! - `batch.rs`: datagrams that were received; `queue.rs`: datagrams that wait to be sent. `options.rs`: how a socket is
//!   opened, and what can be changed about it.
//! - `socket.rs`: one socket, for both backends that have any; `open.rs`: how it is made; `names.rs`: addresses as the
//!   system has them.
//! - `packets.rs`: connections that keep records apart, and their listeners.
//! - `many.rs`: many datagrams in one system call. `each.rs`, its twin: one call for each (`one.rs`), for systems that have no
//!   other.

mod batch;
#[cfg(any(test, not(target_os = "linux")))]
mod each;
#[cfg(target_os = "linux")]
mod many;
mod names;
mod one;
mod open;
mod options;
mod packets;
mod queue;
mod socket;
#[cfg(test)]
mod tests;

use std::io;

pub use batch::{Datagram, Datagrams};
#[cfg(not(target_os = "linux"))]
use each as calls;
#[cfg(target_os = "linux")]
use many as calls;
pub use options::{DatagramChange, DatagramOptions, Membership, MulticastInterface};
pub use queue::DatagramQueue;
pub(super) use socket::{DatagramSocket, Desk};

use super::ListenOptions;
use crate::address::Address;
use crate::key::Key;

/// How many datagrams one call moves at most.
pub(crate) const BATCH: usize = 64;

/// The operations on sockets that keep boundaries. Their keys live as those of connections do, and are closed by
/// [`Backend::close`](super::Backend::close), at once.
///
/// [`Completion::Input`](super::Completion::Input) announces datagrams or an error, as an edge, as with streams: it need not
/// be repeated until a receive answered [`Dry`](ReceivedDatagrams::Dry). [`Completion::Output`](super::Completion::Output)
/// announces room, once after each [`Room::None`].
pub trait DatagramBackend {
    /// Opens a socket. It receives from now on.
    ///
    /// # Errors
    ///
    /// The operating system's; then nothing stays bound. `Unsupported` for kinds of addresses that there are none of.
    fn open_datagram(&mut self, key: Key, options: &DatagramOptions) -> io::Result<DatagramOpened>;

    /// Begins to listen for connections that keep records apart (SOCK_SEQPACKET), and tells where.
    ///
    /// # Errors
    ///
    /// The operating system's; then nothing stays bound. `Unsupported` (the default) where there are no such sockets.
    fn listen_packets(
        &mut self,
        key: Key,
        address: &Address,
        options: &ListenOptions,
    ) -> io::Result<Address> {
        let _ = (key, address, options);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Takes one waiting connection of the seqpacket listener `listener`, which from now on is `key`, or `None` if none waits
    /// ([`Input`](super::Completion::Input) will come).
    ///
    /// # Errors
    ///
    /// The operating system's. `Unsupported` (the default) where there are no such listeners.
    fn accept_packets(&mut self, listener: Key, key: Key) -> io::Result<Option<DatagramOpened>> {
        let _ = (listener, key);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Pulls datagrams that arrived, at most so many (at least one), and fewer if that suits the backend.
    fn receive_datagrams(&mut self, key: Key, at_most: usize) -> ReceivedDatagrams;

    /// Gives back a batch. By default it is dropped.
    fn release_datagrams(&mut self, batch: Box<Datagrams>) {
        drop(batch);
    }

    /// Sends from the front of `queue`, which is not empty, as many as suit one call. The core takes those off that are
    /// [done](SentDatagrams::done) with, and calls again if there is room.
    fn send_datagrams(&mut self, key: Key, queue: &DatagramQueue) -> SentDatagrams;

    /// Changes something about a socket.
    ///
    /// # Errors
    ///
    /// The operating system's; `Unsupported` for what a backend does not have.
    fn change_datagram(&mut self, key: Key, change: &DatagramChange) -> io::Result<()>;
}

/// A socket was opened.
#[derive(Clone, Debug)]
pub struct DatagramOpened {
    /// Where it is bound, with the real port.
    pub local: Address,
    /// The one it is connected with.
    pub peer: Option<Address>,
    /// The size of the largest datagram that may be sent, in bytes, as far as is known before trying.
    pub largest: usize,
}

/// What [`DatagramBackend::receive_datagrams`] had.
#[derive(Debug)]
pub enum ReceivedDatagrams {
    /// Datagrams, at least one, lent until they are [released](DatagramBackend::release_datagrams).
    Batch(Box<Datagrams>),
    /// Nothing now; an [`Input`](super::Completion::Input) will come.
    Dry,
    /// The other end is closed, and everything before that was received. Of connections with boundaries only.
    Eof,
    /// The socket told of an error, most often about something that was sent before. There may be datagrams behind it.
    Failed(io::Error),
}

/// What became of a [`DatagramBackend::send_datagrams`].
#[derive(Debug)]
pub struct SentDatagrams {
    /// How many are done with, from the front: sent, or refused.
    pub done: usize,
    /// An error: of the one that was refused, or of something that was sent before.
    pub error: Option<io::Error>,
    /// Whether more can be sent.
    pub room: Room,
}

/// Whether a socket takes more datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// As far as is known.
    Some,
    /// Not now: an [`Output`](super::Completion::Output) will tell when.
    None,
    /// Not now, and nothing will tell when: the core tries again after a pause.
    Unknown,
}
