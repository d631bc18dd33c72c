//! UNIX sockets that descriptors are passed over: sendmsg(2) and recvmsg(2) with SCM_RIGHTS, unix(7).
//!
//! # What the kernel does, and what follows
//!
//! - Descriptors travel with the first byte of what a call sends, and a call that sends nothing passes none. So each that has
//!   bytes before it begins a call of its own.
//! - A receive ends behind the message that its descriptors came with, whatever waits behind that. So one that gives less
//!   than it could has not taken everything.
//! - It may begin before that message: then the descriptors come with bytes that were sent earlier.
//! - What finds no room, in the memory for them or in the process's table, is closed, and the receive says so
//!   (MSG_CTRUNC). There is memory for as many as one message has, so it was the table.
//! - Descriptors that are on their way are counted for each user, and too many of them are an error (ETOOMANYREFS) that
//!   passes when somebody receives some.

use std::cell::RefCell;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage,
};

use super::Channel;
use super::socket::{PARTS, SEND, Socket, uninterrupted};
use crate::address::Addresses;
use crate::backend::descriptors::MOST;
use crate::backend::poller::Poller;
use crate::backend::{Close, FileRange, Outgoing, SystemCalls};
use crate::credentials::Credentials;
use crate::error::DescriptorsCut;

/// What is received is not to be inherited by programs that are started.
#[cfg(not(target_vendor = "apple"))]
const RECEIVE: RecvFlags = RecvFlags::DONTWAIT.union(RecvFlags::CMSG_CLOEXEC);
/// There is no such flag here; they are marked one by one.
#[cfg(target_vendor = "apple")]
const RECEIVE: RecvFlags = RecvFlags::DONTWAIT;

/// The memory for the descriptors of one message.
const SPACE: usize = rustix::cmsg_space!(ScmRights(MOST));

/// A socket of a connection, with what came over it and was not handed out yet.
#[derive(Debug)]
pub(in crate::backend) struct Carrying {
    socket: Socket,
    received: RefCell<Vec<OwnedFd>>,
}

impl Carrying {
    pub(in crate::backend) fn new(socket: Socket) -> Self {
        Self { socket, received: RefCell::default() }
    }

    fn keep(&self, control: &mut RecvAncillaryBuffer<'_>) {
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                self.received.borrow_mut().extend(descriptors.inspect(mark));
            }
        }
    }
}

/// Has it closed in programs that are started, where the system has not done that.
fn mark(descriptor: &OwnedFd) {
    if cfg!(target_vendor = "apple") {
        // It is open, so this cannot fail.
        let _ = rustix::io::fcntl_setfd(descriptor, rustix::io::FdFlags::CLOEXEC);
    }
}

impl Channel for Carrying {
    fn addresses(&self, calls: &mut SystemCalls) -> io::Result<Addresses> {
        self.socket.addresses(calls)
    }

    fn is_connected(&self, calls: &mut SystemCalls) -> bool {
        self.socket.is_connected(calls)
    }

    fn drains(&self) -> bool {
        false
    }

    fn receive(&self, memory: &mut [u8], calls: &mut SystemCalls) -> io::Result<usize> {
        let mut space = [MaybeUninit::uninit(); SPACE];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = uninterrupted(|| {
            calls.receives += 1;
            let mut parts = [IoSliceMut::new(&mut *memory)];
            rustix::net::recvmsg(&self.socket, &mut parts, &mut control, RECEIVE)
        })?;
        self.keep(&mut control);
        if received.flags.contains(ReturnFlags::CTRUNC) {
            self.received.borrow_mut().clear();
            return Err(DescriptorsCut::new().into());
        }
        Ok(received.bytes)
    }

    fn send(&self, outgoing: &Outgoing, calls: &mut SystemCalls) -> io::Result<(usize, bool)> {
        let limit = outgoing.bytes_before_next_descriptor();
        let mut parts = [IoSlice::new(&[]); PARTS];
        let filled = outgoing.fill_up_to(limit, &mut parts);
        let parts = &parts[..filled];
        let descriptors: Vec<BorrowedFd<'_>> = outgoing.first_descriptors().collect();
        let mut space = [MaybeUninit::uninit(); SPACE];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(&descriptors));
        }
        let sent = uninterrupted(|| {
            calls.sends += 1;
            rustix::net::sendmsg(&self.socket, parts, &mut control, SEND)
        })?;
        let offered: usize = parts.iter().map(|part| part.len()).sum();
        Ok((sent, sent == offered))
    }

    fn send_slices(&self, parts: &[IoSlice<'_>], calls: &mut SystemCalls) -> io::Result<(usize, bool)> {
        self.socket.send_slices(parts, calls)
    }

    /// A call that passes files on passes no descriptors, so files are read.
    fn takes_files(&self, _: bool, _: &mut SystemCalls) -> bool {
        false
    }

    fn send_file(&self, _: &FileRange, _: &mut SystemCalls) -> io::Result<(usize, bool)> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn shutdown(&mut self, poller: &Poller, calls: &mut SystemCalls) -> io::Result<Vec<u8>> {
        self.socket.shutdown(poller, calls)
    }

    fn take_error(&self, calls: &mut SystemCalls) -> Option<io::Error> {
        self.socket.take_error(calls)
    }

    fn error_at_end(&self, again: bool, calls: &mut SystemCalls) -> Option<io::Error> {
        self.socket.error_at_end(again, calls)
    }

    /// By receives that want no descriptors, which therefore are closed.
    fn discard(&self, scratch: &mut [u8], calls: &mut SystemCalls) {
        self.socket.discard(scratch, calls);
    }

    fn carries_descriptors(&self) -> bool {
        true
    }

    fn take_descriptors(&self) -> Vec<OwnedFd> {
        self.received.take()
    }

    fn peer_credentials(&self, calls: &mut SystemCalls) -> io::Result<Credentials> {
        self.socket.peer_credentials(calls)
    }

    fn forget(&self, poller: &Poller, calls: &mut SystemCalls) {
        self.socket.forget(poller, calls);
    }

    fn close(self, how: Close, poller: &Poller, calls: &mut SystemCalls) {
        self.socket.close(how, poller, calls);
    }
}
