//! Bulk: connections that bring much at a time.
//!
//! What the ring receives for many connections lies in the pool until their turn comes, and has left the processor's cache by then
//! if it is much. So a connection whose receive ended with a good deal in the pool is in *bulk* from then on: the ring polls it, and it
//! is received by calls of its own, straight into the memory of whoever pulls. Then nothing of it is in the pool, or waits
//! anywhere but in the kernel. A burst of little ends that.

use rustix::io::{Errno, retry_on_intr};
use rustix::net::RecvFlags;

use super::Uring;
use super::connection::{Connection, EOF, TOLD};
use crate::backend::Received;
use crate::backend::object::unknown;
use crate::key::Key;

/// How many bytes at a time are much.
pub(super) const MUCH: usize = 16 * 1024;
/// How many have to be: a receive into the pool brings no more, and one by a call has no more room, where they show it.
pub(super) const MOST: usize = 64 * 1024;
/// No bytes are.
pub(super) const NEVER: usize = usize::MAX;

/// How a connection is received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Bulk {
    /// By the ring, into the pool.
    #[default]
    Off,
    /// The same, however much comes: whoever takes it has little memory, and has it copied for less than a call costs.
    Little,
    /// By calls. There is nothing, as far as is known.
    Dry,
    /// By calls. A poll said that there is something.
    Ready,
    /// The same, and some of it was received.
    Going,
}

impl Bulk {
    /// Whether the ring receives it.
    #[inline]
    pub(super) fn is_off(self) -> bool {
        matches!(self, Self::Off | Self::Little)
    }

    /// Whether there may be something to receive by a call.
    #[inline]
    pub(super) fn has_input(self) -> bool {
        matches!(self, Self::Ready | Self::Going)
    }
}

impl Connection {
    /// Somebody has so much memory for what is in the pool.
    #[inline]
    pub(super) fn offers(&mut self, room: usize, much: usize) {
        if self.bulk == Bulk::Little && room >= much {
            self.bulk = Bulk::Off;
        }
    }

    /// So many bytes were received where there was room for `room`.
    fn received_in_bulk(&mut self, count: usize, room: usize, much: usize) {
        let whole = count == room;
        self.bulk = match self.bulk {
            _ if whole && room < much => Bulk::Little,
            _ if whole => Bulk::Going,
            Bulk::Going => Bulk::Dry,
            _ if count < much => Bulk::Off,
            _ => Bulk::Dry,
        };
    }
}

impl Uring {
    /// How a new connection is received.
    pub(super) fn bulk(&self) -> Bulk {
        if self.much == 0 { Bulk::Dry } else { Bulk::Off }
    }

    /// Receives by a call, as a poll has said that there is something.
    pub(super) fn receive_in_bulk(&mut self, key: Key, into: Option<&mut [u8]>, more: &mut bool) -> Received {
        let begun_as = self.bulk();
        let Some(connection) = self.table.connection(key) else { return Received::Failed(unknown()) };
        let Some(socket) = connection.socket() else { return Received::Failed(unknown()) };
        self.calls.receives += 1;
        let (mut count, mut room) = (0, 0);
        let received = self.scratch.fill(into, |memory| {
            room = memory.len();
            (_, count) = retry_on_intr(|| rustix::net::recv(socket, &mut *memory, RecvFlags::DONTWAIT))?;
            if count > 0 { Ok(count) } else { Err(None) }
        });
        match received {
            Ok(received) => {
                connection.received_in_bulk(count, room, self.much);
                *more = connection.has_input();
                if !*more {
                    connection.state.remove(TOLD);
                    connection.want_receive(key, &mut self.lists);
                }
                received
            }
            Err(why) => {
                // That was the end of much; or else the poll was answered for another reason, as the next one would be, too.
                connection.bulk = if connection.bulk == Bulk::Going { Bulk::Dry } else { begun_as };
                match why {
                    None => connection.state.insert(EOF),
                    Some(Errno::AGAIN) => {}
                    Some(error) => connection.fail(error.raw_os_error()),
                }
                self.receive_none(key, more)
            }
        }
    }
}
