//! Streams that are no plain sockets. There are few of them, so one kind of connection stands for all.

use std::io::{self, IoSlice};
use std::os::fd::{BorrowedFd, OwnedFd};

use super::{Carrying, Channel, Ends};
use crate::address::Addresses;
use crate::backend::poller::Poller;
use crate::backend::{Close, FileRange, Outgoing, SystemCalls};
use crate::credentials::Credentials;

/// What is no plain socket.
#[derive(Debug)]
pub(in crate::backend) enum Special {
    Ends(Ends),
    Carrying(Carrying),
}

macro_rules! either {
    ($this:expr, $it:ident => $call:expr) => {
        match $this {
            Special::Ends($it) => $call,
            Special::Carrying($it) => $call,
        }
    };
}

impl Special {
    pub(in crate::backend) fn terminal(&self) -> io::Result<BorrowedFd<'_>> {
        match self {
            Self::Ends(ends) => ends.terminal(),
            Self::Carrying(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

impl Channel for Special {
    fn addresses(&self, calls: &mut SystemCalls) -> io::Result<Addresses> {
        either!(self, it => it.addresses(calls))
    }

    fn is_connected(&self, calls: &mut SystemCalls) -> bool {
        either!(self, it => it.is_connected(calls))
    }

    fn drains(&self) -> bool {
        either!(self, it => it.drains())
    }

    fn receive(&self, memory: &mut [u8], calls: &mut SystemCalls) -> io::Result<usize> {
        either!(self, it => it.receive(memory, calls))
    }

    fn send(&self, outgoing: &Outgoing, calls: &mut SystemCalls) -> io::Result<(usize, bool)> {
        either!(self, it => it.send(outgoing, calls))
    }

    fn send_slices(&self, parts: &[IoSlice<'_>], calls: &mut SystemCalls) -> io::Result<(usize, bool)> {
        either!(self, it => it.send_slices(parts, calls))
    }

    fn takes_files(&self, shared: bool, calls: &mut SystemCalls) -> bool {
        either!(self, it => it.takes_files(shared, calls))
    }

    fn send_file(&self, range: &FileRange, calls: &mut SystemCalls) -> io::Result<(usize, bool)> {
        either!(self, it => it.send_file(range, calls))
    }

    fn shutdown(&mut self, poller: &Poller, calls: &mut SystemCalls) -> io::Result<Vec<u8>> {
        either!(self, it => it.shutdown(poller, calls))
    }

    fn take_error(&self, calls: &mut SystemCalls) -> Option<io::Error> {
        either!(self, it => it.take_error(calls))
    }

    fn error_at_end(&self, again: bool, calls: &mut SystemCalls) -> Option<io::Error> {
        either!(self, it => it.error_at_end(again, calls))
    }

    fn discard(&self, scratch: &mut [u8], calls: &mut SystemCalls) {
        either!(self, it => it.discard(scratch, calls));
    }

    fn carries_descriptors(&self) -> bool {
        either!(self, it => it.carries_descriptors())
    }

    fn take_descriptors(&self) -> Vec<OwnedFd> {
        either!(self, it => it.take_descriptors())
    }

    fn peer_credentials(&self, calls: &mut SystemCalls) -> io::Result<Credentials> {
        either!(self, it => it.peer_credentials(calls))
    }

    fn forget(&self, poller: &Poller, calls: &mut SystemCalls) {
        either!(self, it => it.forget(poller, calls));
    }

    fn close(self, how: Close, poller: &Poller, calls: &mut SystemCalls) {
        either!(self, it => it.close(how, poller, calls));
    }
}
