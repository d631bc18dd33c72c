//! Passing a part of a file on to a socket or a pipe without a copy (Linux).
//!
//! Neither sendfile(2) nor splice(2) knows MSG_NOSIGNAL: somebody has seen to it before that SIGPIPE harms nobody.

use std::io;
use std::os::fd::AsFd;

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
        call()
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
