//! Everything that is no socket: pipes, terminals, files, and pairs of descriptors of any kind.
//!
//! # What the kernel does, and what follows
//!
//! - A pipe tells whoever writes into it that nobody reads any more by an error condition (EPOLLERR), and by EPIPE.
//! - The master of a terminal reports the end of the other side by EIO, and a terminal that hung up does too. Both are ends.
//! - A terminal that gives or takes less than was asked for may have more: a line at a time, or as much as a buffer holds.
//! - A UNIX socket gives less than it has where descriptors were sent with some of the bytes.
//! - epoll refuses what is always ready (EPERM): regular files, `/dev/null`. Such a descriptor is read and written without
//!   waiting, and what it lacks is told by an error (ENOSPC).
//! - close(2) takes a registration back only with the last descriptor of the open file description, which others may have.
//!   So it is taken back by hand.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;

use mio::unix::SourceFd;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};

use super::Channel;
use super::socket::{PARTS, SEND, uninterrupted};
use crate::address::{Address, Addresses};
use crate::backend::poller::{Direction, Poller};
use crate::backend::{Close, Opened, Outgoing, SystemCalls};
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
    Terminal,
    /// A file, or a device that is no terminal.
    Other,
}

/// One descriptor.
#[derive(Debug)]
pub(super) struct End {
    descriptor: OwnedFd,
    nature: Nature,
    /// Calls on it may block, so poll(2) is asked first.
    blocks: bool,
    registered: bool,
}

/// What is written to.
#[derive(Debug)]
pub(super) enum Output {
    /// The descriptor that is also read from.
    Same,
    Own(End),
}

/// What is read from, and what is written to.
#[derive(Debug)]
pub(in crate::backend) struct Ends {
    input: Option<End>,
    output: Option<Output>,
    /// They stand for standard input and output, whose descriptors end with them.
    stdio: bool,
}

impl End {
    pub(super) fn new(descriptor: OwnedFd, nature: Nature, blocks: bool) -> Self {
        Self { descriptor, nature, blocks, registered: false }
    }

    /// Registers it. What cannot be waited for is always ready: whether it is that.
    fn register(
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
                Ok(false)
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.blocks = false;
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }

    fn close(self, poller: &Poller, calls: &mut SystemCalls) {
        if self.registered {
            poller.forget(&mut SourceFd(&self.descriptor.as_raw_fd()), calls);
        }
        calls.closes += 1;
        drop(self);
    }

    fn is(&self, wanted: PollFlags, calls: &mut SystemCalls) -> bool {
        calls.others += 1;
        let mut asked = [PollFd::new(&self.descriptor, wanted)];
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        rustix::event::poll(&mut asked, Some(&zero)).is_ok() && asked[0].revents().intersects(wanted)
    }

    fn read(&self, memory: &mut [u8], calls: &mut SystemCalls) -> io::Result<usize> {
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
        match read {
            Err(error) if self.nature == Nature::Terminal && is(&error, Errno::IO) => Ok(0),
            read => read,
        }
    }

    fn write(&self, bytes: &[u8], calls: &mut SystemCalls) -> io::Result<(usize, bool)> {
        let bytes = if self.blocks { &bytes[..bytes.len().min(CAREFUL)] } else { bytes };
        if self.blocks && !self.is(PollFlags::OUT | PollFlags::ERR, calls) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = uninterrupted(|| {
            calls.sends += 1;
            match self.nature {
                Nature::Socket => rustix::net::send(&self.descriptor, bytes, SEND),
                _ => rustix::io::write(&self.descriptor, bytes),
            }
        })?;
        Ok((count, self.has_more_room(count, bytes.len())))
    }

    fn write_parts(&self, outgoing: &Outgoing, calls: &mut SystemCalls) -> io::Result<(usize, bool)> {
        let mut parts = [IoSlice::new(&[]); PARTS];
        let filled = outgoing.fill(&mut parts);
        let parts = &parts[..filled];
        let count = uninterrupted(|| {
            calls.sends += 1;
            match self.nature {
                Nature::Socket => {
                    let mut nothing = rustix::net::SendAncillaryBuffer::default();
                    rustix::net::sendmsg(&self.descriptor, parts, &mut nothing, SEND | SendFlags::DONTWAIT)
                }
                _ => rustix::io::writev(&self.descriptor, parts),
            }
        })?;
        let offered = parts.iter().map(|part| part.len()).sum();
        Ok((count, self.has_more_room(count, offered)))
    }

    /// Pipes and sockets take all there is room for. Of others only a refusal says that they are full.
    fn has_more_room(&self, count: usize, offered: usize) -> bool {
        count == offered || matches!(self.nature, Nature::Terminal | Nature::Other)
    }

    /// In words.
    fn address(&self) -> Address {
        Address::named(match self.nature {
            Nature::Socket => "socket",
            Nature::Pipe { .. } => "pipe",
            Nature::Terminal => "terminal",
            Nature::Other => "file",
        })
    }
}

impl Ends {
    pub(super) fn new(input: Option<End>, output: Option<Output>) -> Self {
        Self { input, output, stdio: false }
    }

    pub(super) fn standing_for_stdio(mut self) -> Self {
        self.stdio = true;
        self
    }

    /// What the core has to know about it.
    pub(in crate::backend) fn opened(&self, calls: &mut SystemCalls) -> io::Result<Opened> {
        Ok(Opened {
            addresses: self.addresses(calls)?,
            reads: self.input.is_some(),
            writes: self.output.is_some(),
            drops_input: false,
        })
    }

    /// Registers what can be waited for. Tells whether the input is always ready, and never announced. On an error all is closed.
    pub(in crate::backend) fn register(
        mut self,
        poller: &Poller,
        key: Key,
        calls: &mut SystemCalls,
    ) -> io::Result<(Self, bool)> {
        match self.register_each(poller, key, calls) {
            Ok(always) => Ok((self, always)),
            Err(error) => {
                self.close(Close::Orderly, poller, calls);
                Err(error)
            }
        }
    }

    fn register_each(&mut self, poller: &Poller, key: Key, calls: &mut SystemCalls) -> io::Result<bool> {
        let mut always = false;
        if let Some(input) = &mut self.input {
            let both = matches!(self.output, Some(Output::Same));
            let direction = if both { Direction::Both } else { Direction::Input };
            always = input.register(direction, key, poller, calls)?;
        }
        if let Some(Output::Own(output)) = &mut self.output {
            output.register(Direction::Output, key, poller, calls)?;
        }
        Ok(always)
    }

    fn output(&self) -> io::Result<&End> {
        let output = match &self.output {
            Some(Output::Same) => self.input.as_ref(),
            Some(Output::Own(output)) => Some(output),
            None => None,
        };
        output.ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }

    /// The descriptor that `stdio` stands for gives way to one of `/dev/null`: its number stays taken, and the last reader or
    /// writer of the other side's is gone.
    fn give_up(&self, give_up: impl Fn(BorrowedFd<'_>) -> rustix::io::Result<()>, calls: &mut SystemCalls) {
        if !self.stdio {
            return;
        }
        calls.others += 2;
        calls.closes += 1;
        let null = rustix::fs::open(
            "/dev/null",
            rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC,
            rustix::fs::Mode::empty(),
        );
        if let Ok(null) = null {
            // It can only fail for want of anything to give up.
            let _ = give_up(null.as_fd());
        }
    }

    fn close_output(&mut self, poller: &Poller, calls: &mut SystemCalls) {
        if let Some(Output::Own(output)) = self.output.take() {
            output.close(poller, calls);
        }
        self.give_up(|null| rustix::stdio::dup2_stdout(null), calls);
    }

    /// Half of a terminal cannot be closed. What a person types to say that there is no more says it here too, where a terminal
    /// takes it for that.
    fn type_end(&self, calls: &mut SystemCalls) {
        let Ok(terminal) = self.output() else { return };
        calls.others += 1;
        let Ok(settings) = rustix::termios::tcgetattr(&terminal.descriptor) else { return };
        if settings.local_modes.contains(rustix::termios::LocalModes::ICANON) {
            let end = settings.special_codes[rustix::termios::SpecialCodeIndex::VEOF];
            let _ = terminal.write(&[end], calls);
        }
    }
}

impl Channel for Ends {
    fn addresses(&self, _: &mut SystemCalls) -> io::Result<Addresses> {
        if self.stdio {
            let words: Arc<str> = "stdio:".into();
            return Ok(Addresses { local: Address::Named(words.clone()), peer: Address::Named(words) });
        }
        let input = self.input.as_ref().map(End::address);
        let output = self.output().ok().map(End::address);
        let either = input.clone().or_else(|| output.clone()).unwrap_or_else(|| Address::named("nothing"));
        Ok(Addresses { local: input.unwrap_or_else(|| either.clone()), peer: output.unwrap_or(either) })
    }

    fn is_connected(&self, _: &mut SystemCalls) -> bool {
        true
    }

    fn drains(&self) -> bool {
        let nature = self.input.as_ref().map(|input| input.nature);
        matches!(nature, Some(Nature::Pipe { packets: false }))
    }

    fn receive(&self, memory: &mut [u8], calls: &mut SystemCalls) -> io::Result<usize> {
        match &self.input {
            Some(input) => input.read(memory, calls),
            // There is nothing to read, but maybe nobody to write to either.
            None => Err(self.take_error(calls).unwrap_or_else(|| io::ErrorKind::WouldBlock.into())),
        }
    }

    fn send(&self, outgoing: &Outgoing, calls: &mut SystemCalls) -> io::Result<(usize, bool)> {
        let output = self.output()?;
        if outgoing.segments() > 1 && !output.blocks {
            return output.write_parts(outgoing, calls);
        }
        output.write(outgoing.front(), calls)
    }

    fn send_bytes(&self, bytes: &[u8], calls: &mut SystemCalls) -> io::Result<(usize, bool)> {
        self.output()?.write(bytes, calls)
    }

    fn shutdown(&mut self, poller: &Poller, calls: &mut SystemCalls) -> io::Result<()> {
        match &self.output {
            Some(Output::Same) => self.type_end(calls),
            Some(Output::Own(_)) => self.close_output(poller, calls),
            None => {}
        }
        Ok(())
    }

    fn take_error(&self, calls: &mut SystemCalls) -> Option<io::Error> {
        let output = self.output().ok()?;
        output.is(PollFlags::ERR, calls).then(|| Errno::PIPE.into())
    }

    /// The end of the input is no matter of the output's.
    fn error_at_end(&self, _: &mut SystemCalls) -> Option<io::Error> {
        None
    }

    /// What was not read stays for whoever else has the descriptor.
    fn discard(&self, _: &mut [u8], _: &mut SystemCalls) {}

    fn close(mut self, _: Close, poller: &Poller, calls: &mut SystemCalls) {
        if self.output.is_some() {
            self.close_output(poller, calls);
        }
        if let Some(input) = self.input.take() {
            input.close(poller, calls);
            self.give_up(|null| rustix::stdio::dup2_stdin(null), calls);
        }
    }
}

fn is(error: &io::Error, wanted: Errno) -> bool {
    Errno::from_io_error(error) == Some(wanted)
}
