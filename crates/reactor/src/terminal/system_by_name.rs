//! How POSIX makes the two sides of a terminal: the other side has a name.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use rustix::io::FdFlags;
use rustix::pty::{OpenptFlags, openpt, ptsname};

pub(super) fn master() -> io::Result<OwnedFd> {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    // A child that another thread makes right now has it, too: there is no way to ask for it at once everywhere.
    rustix::io::fcntl_setfd(&master, FdFlags::CLOEXEC)?;
    Ok(master)
}

pub(super) fn slave(master: &OwnedFd) -> io::Result<OwnedFd> {
    let name = ptsname(master, Vec::new())?;
    Ok(rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?)
}
