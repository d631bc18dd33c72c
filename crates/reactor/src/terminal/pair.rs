//! Both sides of a terminal.

use std::io;
use std::os::fd::OwnedFd;
use std::process::Stdio;

use super::{WindowSize, set_window_size, system};
use crate::backend::Opening;

/// Both sides of a terminal that was [made](crate::Handle::open_pty).
#[derive(Debug)]
#[non_exhaustive]
pub struct Pty {
    /// Where a person would sit, for [`Handle::adopt_stream`](crate::Handle::adopt_stream).
    pub master: Opening,
    /// For the programs in it. While it is open here, the master does not end.
    pub slave: Slave,
}

/// The side of a terminal where programs run: what a child process gets as its standard input and output, and as its controlling
/// terminal.
///
/// [`Command::terminal`](crate::Command::terminal) makes it all of that, with [`into_fd`](Self::into_fd).
#[derive(Debug)]
pub struct Slave(Side);

#[derive(Debug)]
enum Side {
    Descriptor(OwnedFd),
    Virtual,
}

impl Slave {
    /// Another descriptor of it, for one of a child's of the standard library.
    ///
    /// # Errors
    ///
    /// `Unsupported` on the memory backend, where no child is; the system's, if it has no descriptors left.
    pub fn to_stdio(&self) -> io::Result<Stdio> {
        match &self.0 {
            Side::Descriptor(descriptor) => Ok(descriptor.try_clone()?.into()),
            Side::Virtual => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Its descriptor, which is closed in child processes that are not given it.
    ///
    /// # Errors
    ///
    /// `Unsupported` on the memory backend, where it has none.
    pub fn into_fd(self) -> io::Result<OwnedFd> {
        match self.0 {
            Side::Descriptor(descriptor) => Ok(descriptor),
            Side::Virtual => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

impl From<Slave> for Stdio {
    /// The last of a child's descriptors takes it. Without a kernel that is `/dev/null`.
    fn from(slave: Slave) -> Self {
        slave.into_fd().map_or_else(|_| Self::null(), Self::from)
    }
}

impl Pty {
    /// One whose other side somebody else has.
    pub(crate) fn without_kernel(master: Opening) -> Self {
        Self { master, slave: Slave(Side::Virtual) }
    }
}

pub(super) fn open(size: WindowSize) -> io::Result<Pty> {
    let master = system::master()?;
    rustix::pty::grantpt(&master)?;
    rustix::pty::unlockpt(&master)?;
    let slave = system::slave(&master)?;
    set_window_size(&master, size)?;
    Ok(Pty { master: master.into(), slave: Slave(Side::Descriptor(slave)) })
}
