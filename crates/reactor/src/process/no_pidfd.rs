//! This system has no descriptors that stand for processes.

use std::io;
use std::os::fd::OwnedFd;

use rustix::process::{Pid, Signal};

pub(super) fn open(_: Pid) -> io::Result<Option<OwnedFd>> {
    Ok(None)
}

pub(super) fn send(_: &OwnedFd, _: Signal) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
