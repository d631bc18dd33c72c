//! Operations that name no memory.

use std::os::fd::RawFd;
use std::ptr;

use io_uring::opcode;
use io_uring::types::{CancelBuilder, Fd};

use super::ring::{Ring, quiet};
use super::tag::{IGNORED, Tag};
use crate::backend::SystemCalls;

/// How many bytes a discarding receive throws away at most.
const DISCARDED: u32 = 1 << 20;

impl Ring {
    /// Throws away what was received and not read, once.
    pub(super) fn discard(&mut self, fd: RawFd, calls: &mut SystemCalls) {
        // MSG_TRUNC lets TCP drop the bytes without copying them (tcp(7)), so there is no memory for them.
        let flags = libc::MSG_TRUNC | libc::MSG_DONTWAIT;
        let entry = opcode::Recv::new(Fd(fd), ptr::null_mut(), DISCARDED).flags(flags).build();
        self.push_plain(&quiet(entry.user_data(IGNORED)), calls);
    }

    pub(super) fn accept(&mut self, fd: RawFd, tag: Tag, calls: &mut SystemCalls) {
        let entry = opcode::AcceptMulti::new(Fd(fd)).flags(libc::SOCK_CLOEXEC).build();
        self.push_plain(&entry.user_data(tag.into()), calls);
    }

    /// Tells each change of what `mask` (as in poll(2)) names; errors and hang-ups are always named.
    pub(super) fn poll(&mut self, fd: RawFd, mask: u32, tag: Tag, calls: &mut SystemCalls) {
        let entry = opcode::PollAdd::new(Fd(fd), mask).multi(true).build();
        self.push_plain(&entry.user_data(tag.into()), calls);
    }

    /// The same, once.
    pub(super) fn poll_once(&mut self, fd: RawFd, mask: u32, tag: Tag, calls: &mut SystemCalls) {
        let entry = opcode::PollAdd::new(Fd(fd), mask).build();
        self.push_plain(&entry.user_data(tag.into()), calls);
    }

    /// Cancels everything on the descriptor.
    pub(super) fn cancel_all(&mut self, fd: RawFd, calls: &mut SystemCalls) {
        let entry = opcode::AsyncCancel2::new(CancelBuilder::fd(Fd(fd)).all()).build();
        self.push_plain(&quiet(entry.user_data(IGNORED)), calls);
    }

    /// Cancels one operation.
    pub(super) fn cancel(&mut self, tag: Tag, calls: &mut SystemCalls) {
        let entry = opcode::AsyncCancel2::new(CancelBuilder::user_data(tag.into())).build();
        self.push_plain(&quiet(entry.user_data(IGNORED)), calls);
    }

    /// Cancels everything that is under way.
    pub(super) fn cancel_everything(&mut self, calls: &mut SystemCalls) {
        let entry = opcode::AsyncCancel2::new(CancelBuilder::any()).build();
        self.push_plain(&quiet(entry.user_data(IGNORED)), calls);
    }

    pub(super) fn close(&mut self, fd: RawFd, tag: Tag, calls: &mut SystemCalls) {
        let entry = opcode::Close::new(Fd(fd)).build();
        self.push_plain(&entry.user_data(tag.into()), calls);
    }
}
