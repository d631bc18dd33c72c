//! A descriptor that stands for a process: it is readable when that has ended, and a signal through it never reaches
//! another process that got the same number.

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// One for this child, which was not waited for. `None` where the system has no such thing, or a sandbox forbids it.
pub(super) fn open(process: Pid) -> io::Result<Option<OwnedFd>> {
    match pidfd_open(process, PidfdFlags::empty()) {
        Ok(descriptor) => Ok(Some(descriptor)),
        Err(error @ (Errno::MFILE | Errno::NFILE | Errno::NOMEM)) => Err(error.into()),
        Err(_) => Ok(None),
    }
}

pub(super) fn send(process: &OwnedFd, signal: Signal) -> io::Result<()> {
    Ok(pidfd_send_signal(process, signal)?)
}
