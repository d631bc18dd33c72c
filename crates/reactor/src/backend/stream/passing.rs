//! Passing a part of a file on to a socket or a pipe without a copy (Linux).
//!
//! Neither sendfile(2) nor splice(2) knows MSG_NOSIGNAL, so SIGPIPE is blocked in this thread for the time of the call, and
//! taken back if the call has raised it. That costs two calls, each a small part of what passing on costs.
//!
//! - **G1** The sets of signals are initialized by sigemptyset(3) before anything else looks at them, and the pointers that
//!   these functions get are to values of this thread's stack.
//! - **G2** What is changed is the mask of this thread alone, and it is as before when the call returns. Between, no code runs
//!   that is not in this file.

#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::ptr;

use rustix::io::Errno;
use rustix::pipe::SpliceFlags;

use super::socket::uninterrupted;
use crate::backend::{FileRange, SystemCalls};

/// How much one call passes on at most: enough to make the call itself not felt, and no more than a turn's share of a file.
const MOST: usize = 256 * 1024;

/// Into a socket that does not block.
pub(super) fn to_socket(
    socket: &impl AsFd,
    range: &FileRange,
    calls: &mut SystemCalls,
) -> io::Result<(usize, bool)> {
    pass(calls, || {
        let mut offset = range.offset();
        rustix::fs::sendfile(socket, range.file(), Some(&mut offset), range.len().min(MOST))
    })
}

/// Into a pipe, which may block others.
pub(super) fn to_pipe(
    pipe: &impl AsFd,
    range: &FileRange,
    calls: &mut SystemCalls,
) -> io::Result<(usize, bool)> {
    pass(calls, || {
        let (mut offset, len) = (range.offset(), range.len().min(MOST));
        rustix::pipe::splice(range.file(), Some(&mut offset), pipe, None, len, SpliceFlags::NONBLOCK)
    })
}

/// How many bytes were passed on. A call that passes on less than it could says nothing about room: only a refusal does.
fn pass(
    calls: &mut SystemCalls,
    mut call: impl FnMut() -> Result<usize, Errno>,
) -> io::Result<(usize, bool)> {
    let passed = uninterrupted(|| {
        calls.sends += 1;
        calls.others += 2;
        without_sigpipe(&mut call)
    });
    match passed {
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(count) => Ok((count, true)),
        Err(error) if cannot(&error) => Err(io::ErrorKind::Unsupported.into()),
        Err(error) => Err(error),
    }
}

/// Whether an error says that this file cannot be passed on at all: its file system has no way, or a sandbox forbids the call.
fn cannot(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::INVAL | Errno::NOSYS | Errno::OVERFLOW | Errno::OPNOTSUPP | Errno::PERM)
    )
}

fn without_sigpipe(call: impl FnOnce() -> Result<usize, Errno>) -> Result<usize, Errno> {
    let mut pipe = MaybeUninit::uninit();
    let mut before = MaybeUninit::uninit();
    // SAFETY: G1, G2. With these arguments none of them fails.
    let (pipe, before) = unsafe {
        libc::sigemptyset(pipe.as_mut_ptr());
        libc::sigaddset(pipe.as_mut_ptr(), libc::SIGPIPE);
        libc::sigemptyset(before.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_BLOCK, pipe.as_ptr(), before.as_mut_ptr());
        (pipe.assume_init(), before.assume_init())
    };
    let result = call();
    // SAFETY: G1.
    let was_blocked = unsafe { libc::sigismember(&raw const before, libc::SIGPIPE) } == 1;
    if was_blocked {
        // One that is pending may be somebody else's, and harms nobody as long as it is blocked.
        return result;
    }
    if result == Err(Errno::PIPE) {
        let at_once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: G1. It does not wait, and fails if there is none.
        unsafe { libc::sigtimedwait(&raw const pipe, ptr::null_mut(), &raw const at_once) };
    }
    // SAFETY: G1, G2.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, ptr::null_mut()) };
    result
}
