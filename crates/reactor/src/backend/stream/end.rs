//! One descriptor that was made elsewhere.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use mio::unix::SourceFd;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::RecvFlags;

use super::socket::{PARTS, SEND, uninterrupted};
use super::typing;
use crate::address::Address;
use crate::backend::poller::{Direction, Poller};
use crate::backend::{Outgoing, SystemCalls, socket};
use crate::key::Key;

/// How much is written at once to what might block: a pipe that poll(2) calls writable has room for so much (pipe(7)), and a
/// terminal for a line of that length, on all but exotic ones.
const CAREFUL: usize = 512;

/// What a descriptor stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nature {
    Socket,
    Pipe {
        /// Each write is read by itself (O_DIRECT), so a short read says nothing.
        packets: bool,
    },
    /// A terminal, as the programs in it have it.
    Terminal,
    /// The side of a terminal where a person would sit.
    Master,
    /// A file, or a device that is no terminal.
    Other,
}

/// One descriptor.
#[derive(Debug)]
pub(super) struct End {
    pub(super) descriptor: OwnedFd,
    pub(super) nature: Nature,
    /// Calls on it may block, so poll(2) is asked first.
    blocks: bool,
    /// Its first state may be one that the multiplexer does not tell.
    is_untold: bool,
    registered: bool,
    /// The last byte that was typed into a terminal.
    typed: Cell<Option<u8>>,
}

impl End {
    pub(super) fn new(descriptor: OwnedFd, nature: Nature, blocks: bool) -> Self {
        let typed = Cell::new(None);
        Self { descriptor, nature, blocks, is_untold: false, registered: false, typed }
    }

    /// It has to be read once without being announced.
    pub(super) fn untold(mut self) -> Self {
        self.is_untold = true;
        self
    }

    pub(super) fn is_socket(&self) -> bool {
        self.nature == Nature::Socket
    }

    pub(super) fn is_master(&self) -> bool {
        self.nature == Nature::Master
    }

    pub(super) fn is_terminal(&self) -> bool {
        matches!(self.nature, Nature::Terminal | Nature::Master)
    }

    pub(super) fn may_block(&self) -> bool {
        self.blocks
    }

    /// Whether a read that gives less than it could has taken everything. Of a socket it does not hold, as urgent data, which
    /// is not asked about here, ends a read early.
    pub(super) fn drains(&self) -> bool {
        self.nature == Nature::Pipe { packets: false }
    }

    /// Registers it. Tells whether it has to be read without being announced: what cannot be waited for is always ready.
    pub(super) fn register(
        &mut self,
        direction: Direction,
        key: Key,
        poller: &Poller,
        calls: &mut SystemCalls,
    ) -> io::Result<bool> {
        let source = &mut SourceFd(&self.descriptor.as_raw_fd());
        match poller.end(source, direction, key, calls) {
            Ok(()) => {
                self.registered = true;
                Ok(self.is_untold)
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.blocks = false;
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn close(self, poller: &Poller, calls: &mut SystemCalls) {
        if self.registered {
            poller.forget(&mut SourceFd(&self.descriptor.as_raw_fd()), calls);
        }
        calls.closes += 1;
        drop(self);
    }

    /// Ends the direction of a socket that is read, too.
    pub(super) fn shutdown(&self, calls: &mut SystemCalls) -> io::Result<()> {
        calls.shutdowns += 1;
        Ok(rustix::net::shutdown(&self.descriptor, rustix::net::Shutdown::Write)?)
    }

    fn is(&self, wanted: PollFlags, calls: &mut SystemCalls) -> bool {
        calls.others += 1;
        let mut asked = [PollFd::new(&self.descriptor, wanted)];
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        rustix::event::poll(&mut asked, Some(&zero)).is_ok() && asked[0].revents().intersects(wanted)
    }

    /// The error that broke it. A pipe that nobody reads is in one for good; a socket tells its own once.
    pub(super) fn take_error(&self, calls: &mut SystemCalls) -> Option<io::Error> {
        match self.nature {
            Nature::Socket => socket::take_error(&self.descriptor, calls),
            _ => self.is(PollFlags::ERR, calls).then(|| Errno::PIPE.into()),
        }
    }

    pub(super) fn read(&self, memory: &mut [u8], calls: &mut SystemCalls) -> io::Result<usize> {
        if self.blocks && !self.is(PollFlags::IN | PollFlags::HUP | PollFlags::ERR, calls) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let read = uninterrupted(|| {
            calls.receives += 1;
            match self.nature {
                Nature::Socket => {
                    let received = rustix::net::recv(&self.descriptor, &mut *memory, RecvFlags::DONTWAIT);
                    received.map(|(count, _)| count)
                }
                _ => rustix::io::read(&self.descriptor, &mut *memory),
            }
        });
        match (read, self.nature) {
            (Err(error), Nature::Terminal | Nature::Master) if is(&error, Errno::IO) => Ok(0),
            (Ok(0), Nature::Terminal) if !self.has_ended(calls) => Err(io::ErrorKind::WouldBlock.into()),
            (read, _) => read,
        }
    }

    /// A terminal that is not read by lines may give no bytes because there are none (a VMIN of 0), and ends only when it
    /// hangs up.
    fn has_ended(&self, calls: &mut SystemCalls) -> bool {
        calls.others += 1;
        typing::is_by_lines(&self.descriptor) || self.is(PollFlags::HUP, calls)
    }

    pub(super) fn write(&self, bytes: &[u8], calls: &mut SystemCalls) -> io::Result<(usize, bool)> {
        let bytes = if self.blocks { &bytes[..bytes.len().min(CAREFUL)] } else { bytes };
        if self.blocks && !self.is(PollFlags::OUT | PollFlags::ERR | PollFlags::HUP, calls) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = uninterrupted(|| {
            calls.sends += 1;
            match self.nature {
                Nature::Socket => rustix::net::send(&self.descriptor, bytes, SEND),
                _ => rustix::io::write(&self.descriptor, bytes),
            }
        })?;
        self.written(&[IoSlice::new(bytes)], count)
    }

    pub(super) fn write_parts(
        &self,
        outgoing: &Outgoing,
        calls: &mut SystemCalls,
    ) -> io::Result<(usize, bool)> {
        let mut parts = [IoSlice::new(&[]); PARTS];
        let filled = outgoing.fill(&mut parts);
        let parts = &parts[..filled];
        let count = uninterrupted(|| {
            calls.sends += 1;
            match self.nature {
                Nature::Socket => {
                    let mut nothing = rustix::net::SendAncillaryBuffer::default();
                    rustix::net::sendmsg(&self.descriptor, parts, &mut nothing, SEND)
                }
                _ => rustix::io::writev(&self.descriptor, parts),
            }
        })?;
        self.written(parts, count)
    }

    /// How many bytes that were, and whether there may be room for more. Pipes and sockets take all there is room for; of
    /// others only a refusal says that they are full.
    fn written(&self, parts: &[IoSlice<'_>], count: usize) -> io::Result<(usize, bool)> {
        let offered: usize = parts.iter().map(|part| part.len()).sum();
        if count == 0 && offered > 0 {
            // What takes nothing and does not say why would be asked for ever.
            return Err(io::ErrorKind::WriteZero.into());
        }
        if self.is_master() && count > 0 {
            self.typed.set(parts.iter().flat_map(|part| part.iter()).nth(count - 1).copied());
        }
        let fills = matches!(self.nature, Nature::Pipe { .. } | Nature::Socket);
        Ok((count, count == offered || !fills))
    }

    /// What to type for the end of the input of the programs in the terminal.
    pub(super) fn farewell(&self, calls: &mut SystemCalls) -> Vec<u8> {
        calls.others += 1;
        typing::farewell(&self.descriptor, self.typed.get())
    }

    /// In words.
    pub(super) fn address(&self) -> Address {
        Address::named(match self.nature {
            Nature::Socket => "socket",
            Nature::Pipe { .. } => "pipe",
            Nature::Terminal | Nature::Master => "terminal",
            Nature::Other => "file",
        })
    }
}

impl AsFd for End {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

fn is(error: &io::Error, wanted: Errno) -> bool {
    Errno::from_io_error(error) == Some(wanted)
}
