//! Descriptors on their way out.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use crate::address::Address;

/// How many descriptors may travel with one byte: Linux takes no more in one message (SCM_MAX_FD, unix(7)).
pub(crate) const MOST: usize = 253;

/// Only UNIX sockets carry descriptors.
pub(super) fn check(wanted: bool, address: &Address) -> io::Result<()> {
    if wanted && address.as_unix().is_none() { Err(io::ErrorKind::Unsupported.into()) } else { Ok(()) }
}

/// Descriptors among bytes, each before the byte that it travels with. Positions are counted from where the queue began.
#[derive(Debug, Default)]
pub(super) struct Descriptors {
    /// Each with the number of the bytes before it.
    queue: VecDeque<(u64, OwnedFd)>,
    /// How many bytes are gone.
    gone: u64,
}

impl Descriptors {
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// How many stand behind all of the `len` bytes that wait.
    pub(super) fn behind(&self, len: usize) -> usize {
        let end = self.gone + len as u64;
        self.queue.iter().rev().take_while(|(at, _)| *at == end).count()
    }

    /// How many a byte follows, if `len` of them wait.
    pub(super) fn followed(&self, len: usize) -> usize {
        self.queue.len() - self.behind(len)
    }

    /// Adds one behind `len` bytes. Hands it back if as many stand there as can travel with one byte.
    pub(super) fn push(&mut self, len: usize, descriptor: OwnedFd) -> Result<(), OwnedFd> {
        if self.behind(len) >= MOST {
            return Err(descriptor);
        }
        self.queue.push_back((self.gone + len as u64, descriptor));
        Ok(())
    }

    /// Adds what stands among the bytes that come after `len` others.
    pub(super) fn append(&mut self, len: usize, other: Self) {
        let (from, to) = (other.gone, self.gone + len as u64);
        self.queue.extend(other.queue.into_iter().map(|(at, descriptor)| (at - from + to, descriptor)));
    }

    /// Those that travel with the first byte.
    pub(super) fn first(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let first = self.queue.iter().take_while(|(at, _)| *at <= self.gone);
        first.map(|(_, descriptor)| descriptor.as_fd())
    }

    /// How many bytes there are before the next of the others.
    pub(super) fn bytes_before_next(&self) -> usize {
        let next = self.queue.iter().find(|(at, _)| *at > self.gone);
        next.map_or(usize::MAX, |(at, _)| usize::try_from(at - self.gone).unwrap_or(usize::MAX))
    }

    /// So many bytes are gone, and what travelled with them.
    pub(super) fn advance(&mut self, count: usize) {
        self.gone += count as u64;
        while self.queue.front().is_some_and(|(at, _)| *at < self.gone) {
            self.queue.pop_front();
        }
    }

    /// Takes out those that stand before one of the next `count` bytes, each with the number of the bytes before it.
    pub(super) fn take(&mut self, count: usize) -> impl Iterator<Item = (usize, OwnedFd)> {
        let (gone, end) = (self.gone, self.gone + count as u64);
        let taken = self.queue.iter().take_while(|(at, _)| *at < end).count();
        let taken = self.queue.drain(..taken);
        taken.map(move |(at, descriptor)| (usize::try_from(at - gone).unwrap_or(usize::MAX), descriptor))
    }

    /// Takes out those behind `len` bytes, and behind more.
    pub(super) fn take_behind(&mut self, len: usize) -> Self {
        let end = self.gone + len as u64;
        let stay = self.queue.partition_point(|(at, _)| *at < end);
        let behind = self.queue.split_off(stay);
        let queue = behind.into_iter().map(|(at, descriptor)| (at - end, descriptor)).collect();
        Self { queue, gone: 0 }
    }

    /// So many bytes at the front do not come after all; what stands behind them comes with those that do.
    pub(super) fn bring_forward(&mut self, count: usize) {
        for (at, _) in &mut self.queue {
            *at = at.saturating_sub(count as u64).max(self.gone);
        }
    }
}
