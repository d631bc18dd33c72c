//! Sockets that the core knows of: on which it receives and sends itself, or lets bytes depart.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, RawFd};

use rustix::io::Errno;
use rustix::net::RecvFlags;

use super::Received;
use super::stream::SEND;
use crate::key::Key;

/// The part of a backend that lends the core the sockets of connections, to receive and send on as long as that asks for nothing but
/// the call, which costs no more than the call then. What comes back is what has to be known here: what was received that is no
/// bytes, or all that there was room for; and what was sent that is not everything. Such a backend [takes
/// room](super::Backend::takes_room).
///
/// While a send is under way with the backend the core makes no call by itself, and while there may be input that the backend knows
/// of it receives none.
pub trait SocketLender {
    /// The socket of a connection, if that is one to lend. The core asks once the connection stands.
    fn lend_socket(&mut self, key: Key) -> Option<LentSocket>;

    /// Takes events off what comes next, as long as they say no more than that there is input, and room for output: their keys, into
    /// `keys` from the front, and how many they are. The core asks before [`next`](super::Backend::next), whenever it is through with
    /// those that it had. The backend knows of the input of a key when the core has received it, or taken [note](Self::note_input).
    fn next_announced(&mut self, keys: &[Cell<Key>]) -> usize;

    /// The core has come to such a key, and does not receive by itself: whether it is an [`Input`](super::Completion::Input). If it is
    /// not, [`next`](super::Backend::next) tells what it is, if anything.
    fn note_input(&mut self, key: Key) -> bool;

    /// What a receive of the core's gave, which is no bytes, or as many as there was room for: what
    /// [`receive`](super::Backend::receive) would say of it, and whether there may be more.
    fn was_received(&mut self, key: Key, result: io::Result<usize>) -> (Received, bool);

    /// What a send of the core's gave, which is not all that was to be sent: how many bytes were. A failure is met again by the next
    /// [`send`](super::Backend::send).
    fn was_sent(&mut self, key: Key, result: io::Result<usize>) -> usize;
}

/// The socket of a connection, lent to the core by the [backend](SocketLender) that owns it.
#[derive(Clone, Copy, Debug)]
pub struct LentSocket(BorrowedFd<'static>);

impl LentSocket {
    /// Lends a socket. One to receive on is of the Internet's: its receives take everything there is room for.
    ///
    /// # Safety
    ///
    /// It has to stay open until the core closes the connection's key, or drops the backend.
    #[must_use]
    pub unsafe fn new(socket: BorrowedFd<'_>) -> Self {
        // SAFETY: by T1 it is open as long as the core may use it, and by T2 the core does not use it after that.
        Self(unsafe { BorrowedFd::borrow_raw(socket.as_raw_fd()) })
    }

    /// Its number.
    #[inline(always)]
    pub(crate) fn number(self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Receives what there is, without waiting.
    #[inline(always)]
    pub(crate) fn receive(self, memory: &mut [u8]) -> Result<usize, Errno> {
        rustix::net::recv(self.0, &mut *memory, RecvFlags::DONTWAIT).map(|(count, _)| count)
    }

    /// Sends what there is room for, without waiting.
    #[inline(always)]
    pub(crate) fn send(self, bytes: &[u8]) -> Result<usize, Errno> {
        rustix::net::send(self.0, bytes, SEND)
    }
}
