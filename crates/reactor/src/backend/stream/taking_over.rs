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

use super::end::{End, Nature};
use super::ends::{Ends, Output};
use crate::backend::{Opening, SystemCalls};

/// What a descriptor turned out to be.
pub(in crate::backend) enum TakenOver {
    /// A connected stream socket.
    Socket(OwnedFd),
    /// A connected UNIX stream socket, over which descriptors are passed.
    Passing(OwnedFd),
    /// Anything else.
    Ends(Ends),
}

/// Who has the open file description.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holders {
    /// Whoever gave it to us had it for us: if it does not block, it stays so.
    Us,
    /// Whoever else has it may make it block at any time.
    Others,
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

/// Finds out what it is.
pub(in crate::backend) fn take_over(opening: Opening, calls: &mut SystemCalls) -> io::Result<TakenOver> {
    match opening {
        Opening::One(descriptor) => one(descriptor, calls),
        Opening::Pair { input, output } => two(input, output, calls),
        Opening::Stdio => stdio(calls).map(TakenOver::Ends),
        Opening::Passing(socket) => passing(socket, calls),
        Opening::Virtual(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}

fn one(descriptor: OwnedFd, calls: &mut SystemCalls) -> io::Result<TakenOver> {
    let about = About::of(&descriptor, calls)?;
    if about.kind == FileType::Socket {
        return stream_socket(descriptor, calls).map(TakenOver::Socket);
    }
    let (reads, writes) = (about.reads(), about.writes());
    let end = end(descriptor, &about, Holders::Us, calls)?;
    Ok(TakenOver::Ends(match (reads, writes) {
        (true, true) => Ends::new(Some(end), Some(Output::Same)),
        (true, false) => Ends::new(Some(end), None),
        (false, _) => Ends::new(None, Some(Output::Own(end))),
    }))
}

/// A UNIX stream socket that descriptors are passed over.
fn passing(socket: OwnedFd, calls: &mut SystemCalls) -> io::Result<TakenOver> {
    calls.others += 1;
    if rustix::net::sockopt::socket_domain(&socket)? == rustix::net::AddressFamily::UNIX {
        return stream_socket(socket, calls).map(TakenOver::Passing);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "descriptors are passed over UNIX sockets only"))
}

/// Two descriptors of one socket are that socket.
fn two(input: OwnedFd, output: OwnedFd, calls: &mut SystemCalls) -> io::Result<TakenOver> {
    let abouts = (About::of(&input, calls)?, About::of(&output, calls)?);
    if abouts.0.kind == FileType::Socket && same_file(&input, &output, calls)? {
        calls.closes += 1;
        drop(output);
        return stream_socket(input, calls).map(TakenOver::Socket);
    }
    pair(input, output, &abouts, Holders::Us, calls).map(TakenOver::Ends)
}

fn pair(
    input: OwnedFd,
    output: OwnedFd,
    abouts: &(About, About),
    holders: Holders,
    calls: &mut SystemCalls,
) -> io::Result<Ends> {
    if !abouts.0.reads() || !abouts.1.writes() {
        let which = "a descriptor is not open for that direction";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, which));
    }
    let input = end(input, &abouts.0, holders, calls)?;
    let output = end(output, &abouts.1, holders, calls)?;
    Ok(Ends::new(Some(input), Some(Output::Own(output))))
}

/// Standard input and output. The descriptors stay in place: only copies, or other descriptions, are read and written.
fn stdio(calls: &mut SystemCalls) -> io::Result<Ends> {
    calls.others += 2;
    let input = rustix::io::fcntl_dupfd_cloexec(std::io::stdin(), 3)?;
    let output = rustix::io::fcntl_dupfd_cloexec(std::io::stdout(), 3)?;
    let abouts = (About::of(&input, calls)?, About::of(&output, calls)?);
    if abouts.0.kind == FileType::Socket && same_file(&input, &output, calls)? {
        // What is in place has to end with it, which no socket of ours sees to.
        calls.closes += 1;
        drop(output);
        let socket = End::new(stream_socket(input, calls)?, Nature::Socket, false);
        return Ok(Ends::new(Some(socket), Some(Output::Same)).standing_for_stdio());
    }
    pair(input, output, &abouts, Holders::Others, calls).map(Ends::standing_for_stdio)
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

fn end(descriptor: OwnedFd, about: &About, holders: Holders, calls: &mut SystemCalls) -> io::Result<End> {
    let nature = match about.kind {
        FileType::Socket => Nature::Socket,
        FileType::Fifo => Nature::Pipe { packets: about.flags.contains(OFlags::DIRECT) },
        FileType::CharacterDevice if is_master(&descriptor, calls) => Nature::Master,
        FileType::CharacterDevice if is_terminal(&descriptor, calls) => Nature::Terminal,
        FileType::Directory => return Err(Errno::ISDIR.into()),
        _ => Nature::Other,
    };
    let waits = !about.flags.contains(OFlags::NONBLOCK);
    match nature {
        Nature::Socket => Ok(End::new(descriptor, nature, false)),
        // A device may block (and what never does is told apart when it is registered). To open it anew may make another.
        Nature::Other => Ok(End::new(descriptor, nature, waits)),
        Nature::Master if waits => {
            // To open it anew would make another terminal. Whoever has it made the terminal, and shares it with nobody.
            calls.others += 1;
            rustix::fs::fcntl_setfl(&descriptor, about.flags | OFlags::NONBLOCK)?;
            Ok(End::new(descriptor, nature, false))
        }
        Nature::Pipe { .. } | Nature::Terminal if waits || holders == Holders::Others => {
            Ok(anew(descriptor, nature, about, calls))
        }
        _ => Ok(End::new(descriptor, nature, false)),
    }
}

/// Opens a pipe or a terminal anew, or else says that it may block.
///
/// Of a named pipe whose last writer is gone, a reader that opens it now is not told so (fifo(7) lets it wait for the next
/// writer), though a read finds the end. So a pipe is read once at first, whatever the multiplexer tells.
fn anew(descriptor: OwnedFd, nature: Nature, about: &About, calls: &mut SystemCalls) -> End {
    let path = format!("/proc/self/fd/{}", descriptor.as_raw_fd());
    let flags = about.access() | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    calls.others += 1;
    let Ok(anew) = rustix::fs::open(path, flags, Mode::empty()) else {
        return End::new(descriptor, nature, true);
    };
    if nature == (Nature::Pipe { packets: true }) {
        // open(2) refuses O_DIRECT for what is in no file system.
        calls.others += 1;
        let _ = rustix::fs::fcntl_setfl(&anew, about.access() | OFlags::NONBLOCK | OFlags::DIRECT);
    }
    calls.closes += 1;
    let end = End::new(anew, nature, false);
    if matches!(nature, Nature::Pipe { .. }) { end.untold() } else { end }
}

fn is_terminal(descriptor: &impl AsFd, calls: &mut SystemCalls) -> bool {
    calls.others += 1;
    rustix::termios::isatty(descriptor)
}

fn is_master(descriptor: &impl AsFd, calls: &mut SystemCalls) -> bool {
    calls.others += 1;
    rustix::pty::ptsname(descriptor, Vec::new()).is_ok()
}
