//! One connection: its socket, what is under way on it, and what came of that.

use std::io;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};

use rustix::io::Errno;

use super::buffers::Lent;
use super::bulk::Bulk;
use super::input::Input;
use super::{INPUTS, Lists};
use crate::backend::bits::Bits;
use crate::backend::{Outgoing, Received, SystemCalls, socket};
use crate::key::Key;

/// The connection attempt is under way.
pub(super) const CONNECTING: Bits = Bits::bit(0);
/// A receive is under way.
pub(super) const RECEIVING: Bits = Bits::bit(1);
/// The receive that is under way is being cancelled, as nobody pulls.
pub(super) const STOPPING: Bits = Bits::bit(2);
/// It stands on the list of those whose receive is to be begun.
pub(super) const TO_RECEIVE: Bits = Bits::bit(3);
/// It stands on the list of those who keep pieces of the pool.
pub(super) const HOLDS: Bits = Bits::bit(4);
/// The core was told of input, and has not pulled dry since.
pub(super) const TOLD: Bits = Bits::bit(5);
/// The end came.
pub(super) const EOF: Bits = Bits::bit(6);
/// The core has pulled the end.
pub(super) const EOF_PULLED: Bits = Bits::bit(7);
/// A quiet send is under way.
pub(super) const QUIET: Bits = Bits::bit(8);
/// The last send found no room.
pub(super) const FULL: Bits = Bits::bit(9);
/// Our direction was ended.
pub(super) const SHUT: Bits = Bits::bit(10);
/// The poll for the peer's end is under way.
pub(super) const POLLING: Bits = Bits::bit(11);
/// The core wants to hear of the peer's end.
pub(super) const WATCHED: Bits = Bits::bit(12);
/// The core has heard of that.
pub(super) const PEER_TOLD: Bits = Bits::bit(13);
/// It is being closed: everything that is under way only has to end.
pub(super) const CLOSING: Bits = Bits::bit(14);

/// Whoever took its input last took all of it, and nothing was kept since, nor is it broken: what comes next goes where the core
/// [finds it](super::Arrivals).
pub(super) const OPEN: Bits = Bits::bit(15);

/// A connection, or an attempt at one.
#[derive(Debug)]
pub(super) struct Connection {
    /// `None` once it is being closed.
    socket: Option<OwnedFd>,
    pub(super) state: Bits,
    /// How it is received.
    pub(super) bulk: Bulk,
    /// The receive that is under way has a credit. Apart from the other bits, as a `bool` has room for what makes an object of this.
    pub(super) is_limited: bool,
    /// Operations that are not over (R1).
    pub(super) under_way: u8,
    /// When the ring received anything for it last, as [`Gathering`](super::gathering::Gathering) counts.
    pub(super) busy: u8,
    /// The number of the error that broke the connection, or zero.
    error: u16,
    /// What was received and not pulled; not empty.
    pub(super) input: Option<Box<Input>>,
    /// When anything of it last went where the core finds it: which collection that was, as their number wraps.
    pub(super) arrived: u16,
    /// The bytes of the send that is under way (R2).
    pub(super) outgoing: Option<Box<Outgoing>>,
}

impl Connection {
    pub(super) fn new(socket: OwnedFd, state: Bits, bulk: Bulk) -> Self {
        Self {
            socket: Some(socket),
            state,
            bulk,
            is_limited: false,
            under_way: 0,
            busy: 0,
            error: 0,
            input: None,
            arrived: 0,
            outgoing: None,
        }
    }

    /// The descriptor, unless it is being closed.
    pub(super) fn fd(&self) -> Option<RawFd> {
        self.socket.as_ref().map(AsRawFd::as_raw_fd)
    }

    pub(super) fn socket(&self) -> Option<&OwnedFd> {
        self.socket.as_ref()
    }

    pub(super) fn is(&self, bits: Bits) -> bool {
        self.state.has(bits)
    }

    /// Whether there is anything to pull.
    pub(super) fn has_input(&self) -> bool {
        self.input.is_some()
            || self.bulk.has_input()
            || self.error != 0
            || (self.is(EOF) && !self.is(EOF_PULLED))
    }

    /// Whether what is received now may go where the core finds it: nothing is in its way.
    #[inline]
    pub(super) fn is_open_to_arrivals(&self) -> bool {
        let (those, others) = (RECEIVING.or(OPEN), STOPPING.or(TOLD).or(EOF).or(CLOSING).or(CONNECTING));
        let is_open = self.state.has_of(those.or(others), those);
        debug_assert!(!is_open || (self.error == 0 && self.input.is_none()));
        is_open
    }

    /// A piece of the pool is kept until it is pulled.
    #[allow(clippy::vec_box)] // As in `Uring`.
    pub(super) fn keep(&mut self, key: Key, piece: Lent, spares: &mut Vec<Box<Input>>, lists: &mut Lists) {
        self.state.remove(OPEN);
        self.input.get_or_insert_with(|| spares.pop().unwrap_or_default()).push(piece);
        if !self.is(HOLDS) {
            self.state.insert(HOLDS);
            lists.holding.push(key);
        }
    }

    /// How many bytes were received and not pulled.
    pub(super) fn input_len(&self) -> usize {
        self.input.as_ref().map_or(0, |input| input.len())
    }

    /// Whether the core is to be told that there is something to pull: once until it has pulled dry. Notes that it is.
    #[inline]
    pub(super) fn announces(&mut self) -> bool {
        let news = self.has_input() && !self.is(TOLD.or(CONNECTING));
        self.state.insert(TOLD.when(news));
        news
    }

    /// Whether a receive should be under way and is not.
    pub(super) fn lacks_receive(&self) -> bool {
        let quiet = self.error == 0 && !self.bulk.has_input();
        quiet && !self.is(RECEIVING.or(EOF).or(CLOSING).or(CONNECTING))
    }

    /// Lists it, if its receive is to be begun.
    #[inline]
    pub(super) fn want_receive(&mut self, key: Key, lists: &mut Lists) {
        if self.lacks_receive() && !self.is(TO_RECEIVE) {
            self.state.insert(TO_RECEIVE);
            if self.bulk.is_off() {
                lists.receive.push_back(key);
            } else {
                lists.poll.push(key);
            }
        }
    }

    /// Some of its input was pulled. Whether there is more.
    #[inline]
    #[allow(clippy::vec_box)] // As in `Uring`.
    pub(super) fn was_pulled(&mut self, key: Key, spares: &mut Vec<Box<Input>>, lists: &mut Lists) -> bool {
        if self.input.as_ref().is_some_and(|input| input.is_empty()) {
            if let Some(spare) = self.input.take().filter(|_| spares.len() < INPUTS) {
                spares.push(spare);
            }
        }
        let more = self.has_input();
        if !more {
            self.state.remove(TOLD);
            self.state.insert(OPEN);
            self.want_receive(key, lists);
        }
        more
    }

    /// Whether nothing will ever be received any more.
    pub(super) fn is_over(&self) -> bool {
        self.error != 0 || self.is(EOF)
    }

    /// What there is when no bytes are left.
    pub(super) fn end(&mut self, calls: &mut SystemCalls) -> Received {
        if self.is(EOF) && !self.is(EOF_PULLED) {
            // Once a FIN was received, Linux answers every receive with zero bytes, even after a reset.
            self.take_error(calls);
        }
        if let Some(error) = self.broken() {
            return Received::Failed(error);
        }
        if self.is(EOF) && !self.is(EOF_PULLED) {
            self.state.insert(EOF_PULLED);
            return Received::Eof;
        }
        Received::Dry
    }

    /// The error that broke the connection, if one did.
    pub(super) fn broken(&self) -> Option<io::Error> {
        (self.error != 0).then(|| io::Error::from_raw_os_error(i32::from(self.error)))
    }

    /// An operation failed with this number.
    pub(super) fn fail(&mut self, number: i32) {
        let number = if number == libc::EPIPE { libc::ECONNRESET } else { number };
        self.error = u16::try_from(number).unwrap_or(self.error);
        self.state.remove(OPEN.when(self.error != 0));
    }

    /// Notes the error that the socket holds, if it holds one that is not known yet.
    pub(super) fn take_error(&mut self, calls: &mut SystemCalls) {
        let Some(socket) = self.socket.as_ref().filter(|_| self.error == 0) else { return };
        let number = socket::take_error(socket, calls).and_then(|error| error.raw_os_error());
        self.fail(number.unwrap_or(0));
    }

    /// What a send's error means. A connection that we have not shut ourselves is a broken pipe for one reason only:
    /// it was broken before, and another operation was told how.
    pub(super) fn refused(&mut self, number: i32, calls: &mut SystemCalls) -> io::Error {
        let error = io::Error::from_raw_os_error(number);
        if socket::is_shortage(&error) {
            return io::ErrorKind::WouldBlock.into();
        }
        if number == libc::ECANCELED {
            return io::ErrorKind::ConnectionAborted.into();
        }
        if number == libc::EPIPE && !self.is(SHUT) {
            self.take_error(calls);
            return self.broken().unwrap_or_else(|| Errno::CONNRESET.into());
        }
        self.fail(number);
        error
    }

    /// The descriptor, which from now on is somebody else's to close.
    pub(super) fn give_up_socket(&mut self) -> Option<RawFd> {
        self.state.insert(CLOSING);
        self.input = None;
        self.socket.take().map(IntoRawFd::into_raw_fd)
    }
}

#[cfg(test)]
mod tests {
    use crate::backend::table::Table;

    #[test]
    fn an_idle_connection_costs_few_bytes() {
        const { assert!(Table::<super::super::Object>::ENTRY <= 40) }
    }
}
