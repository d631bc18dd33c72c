//! The files of UNIX sockets.
//!
//! bind(2) makes the file, and nothing removes it: not the close of the socket, nor the end of its program. So whoever begins
//! to listen may find the file of somebody who is gone. Nobody listens there if a connect is refused.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode};
use socket2::Domain;

use super::name;
use crate::address::UnixAddress;
use crate::backend::SystemCalls;

/// The file of a bound socket. It is removed when this is dropped, unless the path names another file by then.
#[derive(Debug)]
pub(in crate::backend) struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

/// Binds `socket`, and gives its file the mode, if one was asked for. A file that a dead listener left is replaced.
pub(super) fn bind(
    socket: &socket2::Socket,
    address: &UnixAddress,
    mode: Option<u32>,
    calls: &mut SystemCalls,
) -> io::Result<Option<SocketFile>> {
    let named = name::write_unix(address)?;
    let Some(path) = address.as_path() else {
        calls.others += 1;
        socket.bind(&named)?;
        return Ok(None);
    };
    let mode = mode.map(|mode| Mode::from_raw_mode(mode as _));
    if let Some(mode) = mode {
        // The file is made with no more than the socket's own mode, so there is no moment in which it is too open.
        calls.others += 1;
        rustix::fs::fchmod(socket, mode)?;
    }
    calls.others += 1;
    match socket.bind(&named) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            remove_stale(socket, path, &named, calls).map_err(|why| why.unwrap_or(error))?;
            calls.others += 1;
            socket.bind(&named)?;
        }
        bound => bound?,
    }
    let file = SocketFile::of(path, calls)?;
    if let Some(mode) = mode {
        // And what the process's mask took away is given back.
        calls.others += 1;
        rustix::fs::chmodat(CWD, path, mode, AtFlags::empty())?;
    }
    Ok(Some(file))
}

/// Removes the file of a listener that is gone. An error without words says that the path is in use.
fn remove_stale(
    socket: &socket2::Socket,
    path: &Path,
    named: &socket2::SockAddr,
    calls: &mut SystemCalls,
) -> Result<(), Option<io::Error>> {
    calls.others += 1;
    let there = rustix::fs::lstat(path).map_err(|error| Some(error.into()))?;
    if FileType::from_raw_mode(there.st_mode) != FileType::Socket {
        return Err(Some(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file that is no socket")));
    }
    calls.others += 2;
    // One of another type would be refused by whoever is alive.
    let kind = socket.r#type().map_err(Some)?;
    let probe = socket2::Socket::new(Domain::UNIX, kind.nonblocking(), None).map_err(Some)?;
    calls.connects += 1;
    let refused =
        matches!(probe.connect(named), Err(error) if error.kind() == io::ErrorKind::ConnectionRefused);
    calls.closes += 1;
    drop(probe);
    if !refused {
        return Err(None);
    }
    calls.others += 1;
    rustix::fs::unlink(path).map_err(|error| Some(error.into()))
}

impl SocketFile {
    fn of(path: &Path, calls: &mut SystemCalls) -> io::Result<Self> {
        calls.others += 1;
        let about = path.symlink_metadata()?;
        // A program may change its directory before this is dropped.
        let path = std::path::absolute(path)?;
        Ok(Self { path, device: about.dev(), inode: about.ino() })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let about = self.path.symlink_metadata();
        let same = about.is_ok_and(|about| (about.dev(), about.ino()) == (self.device, self.inode));
        if same {
            // Whoever has removed it meanwhile did what was to be done.
            let _ = rustix::fs::unlink(&self.path);
        }
    }
}
