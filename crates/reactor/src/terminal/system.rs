//! How Linux makes the two sides of a terminal: no name is looked up, so the mounts do not matter.

use std::io;
use std::os::fd::OwnedFd;

use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt};

const FLAGS: OpenptFlags = OpenptFlags::RDWR.union(OpenptFlags::NOCTTY).union(OpenptFlags::CLOEXEC);

pub(super) fn master() -> io::Result<OwnedFd> {
    Ok(openpt(FLAGS)?)
}

pub(super) fn slave(master: &OwnedFd) -> io::Result<OwnedFd> {
    Ok(ioctl_tiocgptpeer(master, FLAGS)?)
}
