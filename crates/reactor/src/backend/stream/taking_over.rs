//! Descriptors that were made elsewhere.
//!
//! O_NONBLOCK belongs to the open file description, and whoever shares that would suddenly read `EAGAIN`: a shell whose
//! terminal a child of its has made non-blocking, above all. So the mode is never changed. A pipe or a terminal is opened
//! anew through `/proc`, which makes another description; sockets are told with each call; and where neither
//! works (no `/proc`, or the permissions of another user), poll(2) is asked before each call, and small
//! pieces are written.

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use super::ends::{End, Ends, Nature, Output};
use crate::backend::SystemCalls;

/// What a descriptor turned out to be.
pub(in crate::backend) enum TakenOver {
    /// A connected stream socket.
    Socket(OwnedFd),
    /// A connected UNIX stream socket, over which descriptors are passed.
    Passing(OwnedFd),
    /// Anything else.
    Ends(Ends),
}

/// What kind of file it is, and for what it was opened.
struct About {
    kind: FileType,
    flags: OFlags,
}

impl About {
    fn of(descriptor: &impl AsFd, calls: &mut SystemCalls) -> io::Result<Self> {
        calls.others += 2;
        let stat = rustix::fs::fstat(descriptor)?;
        let flags = rustix::fs::fcntl_getfl(descriptor)?;
        Ok(Self { kind: FileType::from_raw_mode(stat.st_mode), flags })
    }

    fn access(&self) -> OFlags {
        self.flags & OFlags::RWMODE
    }

    fn reads(&self) -> bool {
        self.access() != OFlags::WRONLY
    }

    fn writes(&self) -> bool {
        self.access() != OFlags::RDONLY
    }
}

/// Finds out what the descriptor is.
pub(in crate::backend) fn take_over(descriptor: OwnedFd, calls: &mut SystemCalls) -> io::Result<TakenOver> {
    let about = About::of(&descriptor, calls)?;
    if about.kind == FileType::Socket {
        return stream_socket(descriptor, calls).map(TakenOver::Socket);
    }
    let (reads, writes) = (about.reads(), about.writes());
    let end = end(descriptor, &about, calls)?;
    Ok(TakenOver::Ends(match (reads, writes) {
        (true, true) => Ends::new(Some(end), Some(Output::Same)),
        (true, false) => Ends::new(Some(end), None),
        (false, _) => Ends::new(None, Some(Output::Own(end))),
    }))
}

/// A UNIX stream socket that descriptors are passed over.
pub(in crate::backend) fn take_over_passing(
    socket: OwnedFd,
    calls: &mut SystemCalls,
) -> io::Result<TakenOver> {
    calls.others += 1;
    if rustix::net::sockopt::socket_domain(&socket)? == rustix::net::AddressFamily::UNIX {
        return stream_socket(socket, calls).map(TakenOver::Passing);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "descriptors are passed over UNIX sockets only"))
}

/// The same for two descriptors. Two of one socket are that socket.
pub(in crate::backend) fn take_over_pair(
    input: OwnedFd,
    output: OwnedFd,
    calls: &mut SystemCalls,
) -> io::Result<TakenOver> {
    let abouts = (About::of(&input, calls)?, About::of(&output, calls)?);
    if abouts.0.kind == FileType::Socket && same_file(&input, &output, calls)? {
        calls.closes += 1;
        drop(output);
        return stream_socket(input, calls).map(TakenOver::Socket);
    }
    if !abouts.0.reads() || !abouts.1.writes() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "a descriptor is not open for that direction",
        ));
    }
    let (input, output) = (end(input, &abouts.0, calls)?, end(output, &abouts.1, calls)?);
    Ok(TakenOver::Ends(Ends::new(Some(input), Some(Output::Own(output)))))
}

/// Standard input and output. The descriptors stay in place: only copies, or other descriptions, are read and written.
pub(in crate::backend) fn take_over_stdio(calls: &mut SystemCalls) -> io::Result<TakenOver> {
    calls.others += 2;
    let input = rustix::io::fcntl_dupfd_cloexec(std::io::stdin(), 3)?;
    let output = rustix::io::fcntl_dupfd_cloexec(std::io::stdout(), 3)?;
    let taken = take_over_pair(input, output, calls)?;
    Ok(match taken {
        TakenOver::Ends(ends) => TakenOver::Ends(ends.standing_for_stdio()),
        socket => socket,
    })
}

fn same_file(one: &impl AsFd, other: &impl AsFd, calls: &mut SystemCalls) -> io::Result<bool> {
    calls.others += 2;
    let (one, other) = (rustix::fs::fstat(one)?, rustix::fs::fstat(other)?);
    Ok((one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
}

fn stream_socket(descriptor: OwnedFd, calls: &mut SystemCalls) -> io::Result<OwnedFd> {
    calls.others += 1;
    if rustix::net::sockopt::socket_type(&descriptor)? == rustix::net::SocketType::STREAM {
        return Ok(descriptor);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "not a stream socket"))
}

fn end(descriptor: OwnedFd, about: &About, calls: &mut SystemCalls) -> io::Result<End> {
    let nature = match about.kind {
        FileType::Socket => Nature::Socket,
        FileType::Fifo => Nature::Pipe { packets: about.flags.contains(OFlags::DIRECT) },
        FileType::CharacterDevice if is_terminal(&descriptor, calls) => Nature::Terminal,
        FileType::Directory => return Err(Errno::ISDIR.into()),
        _ => Nature::Other,
    };
    if about.flags.contains(OFlags::NONBLOCK) || matches!(nature, Nature::Socket | Nature::Other) {
        return Ok(End::new(descriptor, nature, false));
    }
    if nature == Nature::Terminal && is_master(&descriptor, calls) {
        // To open it anew would make another terminal. Whoever has the master made the terminal, and shares it with nobody.
        calls.others += 1;
        rustix::fs::fcntl_setfl(&descriptor, about.flags | OFlags::NONBLOCK)?;
        return Ok(End::new(descriptor, nature, false));
    }
    let path = format!("/proc/self/fd/{}", descriptor.as_raw_fd());
    let flags = about.access() | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    calls.others += 1;
    match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(anew) => {
            calls.closes += 1;
            Ok(End::new(anew, nature, false))
        }
        Err(_) => Ok(End::new(descriptor, nature, true)),
    }
}

fn is_terminal(descriptor: &impl AsFd, calls: &mut SystemCalls) -> bool {
    calls.others += 1;
    rustix::termios::isatty(descriptor)
}

fn is_master(descriptor: &impl AsFd, calls: &mut SystemCalls) -> bool {
    calls.others += 1;
    rustix::pty::ptsname(descriptor, Vec::new()).is_ok()
}
