//! Many datagrams, each in a call of its own: for systems that have no other way.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::io::Errno;

use super::names::from_target;
use super::one;
use super::socket::Layout;
use super::{DatagramQueue, Datagrams};
use crate::address::Address;
use crate::backend::SystemCalls;

/// What the twin of this file keeps for its calls. There is nothing to keep here.
#[derive(Debug, Default)]
pub(super) struct Arrays;

/// The same.
#[derive(Debug, Default)]
pub(super) struct LastSender;

/// Receives datagrams until there is no more, or `layout` is full: how many. None is the end of a connection.
pub(super) fn receive(
    fd: BorrowedFd<'_>,
    _: &mut Arrays,
    batch: &mut Datagrams,
    layout: Layout,
    (nameless, _): (&Address, &mut LastSender),
    calls: &mut SystemCalls,
) -> Result<usize, Errno> {
    for index in 0..layout.count {
        let start = index * layout.slot;
        let memory = &mut batch.memory(layout.size())[start..start + layout.slot];
        match one::receive(fd, memory, calls) {
            // Whether it is an empty record is not known here.
            Ok((0, ..)) if layout.has_end => return Ok(index),
            Ok((count, is_cut, sender)) => {
                let sender = sender.and_then(from_target);
                batch.add(start..start + count, sender.as_ref().unwrap_or(nameless), is_cut);
            }
            // An error after the first datagram is told to the next call, if it lasts.
            Err(_) if index > 0 => return Ok(index),
            Err(error) => return Err(error),
        }
    }
    Ok(layout.count)
}

/// Sends from the front of `queue`: how many, at least one.
pub(super) fn send(fd: BorrowedFd<'_>, queue: &DatagramQueue, calls: &mut SystemCalls) -> io::Result<usize> {
    let mut sent = 0;
    for (bytes, target) in queue.iter().take(super::BATCH) {
        match one::send(fd, bytes, target, calls) {
            Ok(()) => sent += 1,
            Err(_) if sent > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(sent)
}
