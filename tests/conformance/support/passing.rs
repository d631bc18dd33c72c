//! Descriptors that are passed over UNIX sockets, and who notices where they are.

use std::cell::{Cell, RefCell};
use std::io::{IoSlice, Read as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use marline_reactor::{Addresses, Endpoint, Protocol, Transport};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use rustix::pipe::{PipeFlags, pipe_with};

use super::{Log, Trace, World, scratch};

/// A descriptor that can be told from others, and the means to find out whether all copies of it are closed.
pub struct Token {
    watch: std::fs::File,
    pub inode: u64,
}

impl Token {
    pub fn new() -> (OwnedFd, Self) {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).expect("a pipe");
        let inode = inode(&write);
        (write, Self { watch: read.into(), inode })
    }

    pub fn several(count: usize) -> (Vec<OwnedFd>, Vec<Self>) {
        (0..count).map(|_| Self::new()).unzip()
    }

    pub fn is_closed(&self) -> bool {
        matches!((&self.watch).read(&mut [0]), Ok(0))
    }
}

pub fn inode(descriptor: &OwnedFd) -> u64 {
    rustix::fs::fstat(descriptor).expect("a descriptor").st_ino
}

/// Sends bytes with descriptors from a plain socket: how many bytes.
pub fn send_with(socket: &UnixStream, bytes: &[u8], descriptors: &[OwnedFd]) -> usize {
    let borrowed: Vec<BorrowedFd<'_>> = descriptors.iter().map(|descriptor| descriptor.as_fd()).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(&borrowed)));
    let sent = rustix::net::sendmsg(
        socket,
        &[IoSlice::new(bytes)],
        &mut control,
        SendFlags::DONTWAIT | SendFlags::NOSIGNAL,
    );
    sent.unwrap_or(0)
}

/// What a [`Keeper`] was given. Clones share it.
#[derive(Clone, Default)]
pub struct Kept {
    /// Each with how many bytes had come before.
    pub descriptors: Rc<RefCell<Vec<(usize, OwnedFd)>>>,
    /// Pause at each.
    pub pauses: Rc<Cell<bool>>,
}

impl Kept {
    pub fn len(&self) -> usize {
        self.descriptors.borrow().len()
    }

    pub fn inodes(&self) -> Vec<u64> {
        self.descriptors.borrow().iter().map(|(_, descriptor)| inode(descriptor)).collect()
    }

    /// How many bytes had come before each.
    pub fn places(&self) -> Vec<usize> {
        self.descriptors.borrow().iter().map(|(place, _)| *place).collect()
    }
}

/// A [`Trace`] that keeps descriptors.
pub struct Keeper {
    trace: Trace,
    log: Log,
    kept: Kept,
}

impl Keeper {
    pub fn new(log: &Log, kept: &Kept) -> Self {
        Self { trace: Trace::new(log), log: log.clone(), kept: kept.clone() }
    }
}

impl Protocol for Keeper {
    fn connection_made(&mut self, transport: &Transport) {
        self.trace.connection_made(transport);
    }

    fn descriptor_received(&mut self, transport: &Transport, descriptor: OwnedFd) {
        self.kept.descriptors.borrow_mut().push((self.log.received(), descriptor));
        if self.kept.pauses.get() {
            transport.pause_reading();
        }
    }

    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        self.trace.data_received(transport, data);
    }

    fn eof_received(&mut self, transport: &Transport) -> marline_reactor::OnEof {
        self.trace.eof_received(transport)
    }

    fn pause_writing(&mut self, transport: &Transport) {
        self.trace.pause_writing(transport);
    }

    fn resume_writing(&mut self, transport: &Transport) {
        self.trace.resume_writing(transport);
    }

    fn connection_lost(&mut self, transport: &Transport, lost: &marline_reactor::Lost) {
        self.trace.connection_lost(transport, lost);
    }
}

impl World {
    /// Two ends of a UNIX connection in the same loop: who connected, and who accepted.
    pub fn unix_pair<P: Protocol, Q: Protocol>(
        &self,
        what: &str,
        descriptors: bool,
        connecting: P,
        accepting: Q,
    ) -> (Transport, Transport) {
        let endpoint = Endpoint::unix(scratch(what)).descriptors(descriptors);
        let (near, far) = (Rc::new(Cell::new(None)), Rc::new(Cell::new(None)));
        let (seen, mut accepting) = (Rc::clone(&far), Some(accepting));
        let server = self.handle().listen(&endpoint, move |_: &Addresses| {
            let seen = Rc::clone(&seen);
            accepting.take().map(|inner| super::announce::Announce { inner, seen })
        });
        let (server, seen) = (server.expect("a listener"), Rc::clone(&near));
        self.handle().connect(
            &endpoint,
            move |_: &Addresses| connecting,
            move |outcome| seen.set(Some(outcome.expect("a connection"))),
        );
        let both = Cell::new(None);
        self.until(|| {
            match (near.take(), far.take()) {
                (Some(near), Some(far)) => both.set(Some((near, far))),
                (first, second) => {
                    near.set(first);
                    far.set(second);
                }
            }
            let pair = both.take();
            let there = pair.is_some();
            both.set(pair);
            there
        });
        server.stop();
        both.take().expect("both ends")
    }
}
