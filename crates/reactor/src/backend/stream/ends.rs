//! Everything that is no socket of ours: pipes, terminals, files, standard input and output, and pairs of any kind.
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
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use super::end::{End, Nature};
use super::socket::discard;
use super::{Channel, passing};
use crate::address::{Address, Addresses};
use crate::backend::poller::{Direction, Poller};
use crate::backend::{Close, FileRange, Opened, Outgoing, SystemCalls};
use crate::key::Key;

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

impl Ends {
    pub(super) fn new(input: Option<End>, output: Option<Output>) -> Self {
        Self { input, output, stdio: false }
    }

    pub(super) fn standing_for_stdio(mut self) -> Self {
        self.stdio = true;
        self
    }

    /// What the core has to know about it.
    pub(in crate::backend) fn opened(&self) -> Opened {
        Opened {
            addresses: self.names(),
            reads: self.input.is_some(),
            writes: self.output.is_some(),
            drops_input: self.socket().is_some(),
        }
    }

    /// Registers what can be waited for. Tells whether the input has to be read without being announced. On an error all is
    /// closed, and standard input and output stay what they are.
    pub(in crate::backend) fn register(
        mut self,
        poller: &Poller,
        key: Key,
        calls: &mut SystemCalls,
    ) -> io::Result<(Self, bool)> {
        match self.register_each(poller, key, calls) {
            Ok(untold) => Ok((self, untold)),
            Err(error) => {
                self.stdio = false;
                self.close(Close::Orderly, poller, calls);
                Err(error)
            }
        }
    }

    fn register_each(&mut self, poller: &Poller, key: Key, calls: &mut SystemCalls) -> io::Result<bool> {
        let mut untold = false;
        if let Some(input) = &mut self.input {
            let both = matches!(self.output, Some(Output::Same));
            let direction = if both { Direction::Both } else { Direction::Input };
            untold = input.register(direction, key, poller, calls)?;
        }
        if let Some(Output::Own(output)) = &mut self.output {
            output.register(Direction::Output, key, poller, calls)?;
        }
        Ok(untold)
    }

    fn output(&self) -> io::Result<&End> {
        let output = match &self.output {
            Some(Output::Same) => self.input.as_ref(),
            Some(Output::Own(output)) => Some(output),
            None => None,
        };
        output.ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }

    /// The one socket that is both read and written.
    fn socket(&self) -> Option<&End> {
        self.input.as_ref().filter(|input| input.is_socket() && matches!(self.output, Some(Output::Same)))
    }

    /// What has a window.
    pub(in crate::backend) fn terminal(&self) -> io::Result<BorrowedFd<'_>> {
        let either = self.output().ok().into_iter().chain(&self.input);
        let mut terminals = either.filter(|end| end.is_terminal()).map(AsFd::as_fd);
        terminals.next().ok_or_else(|| io::ErrorKind::Unsupported.into())
    }

    fn names(&self) -> Addresses {
        if self.stdio {
            let words: Arc<str> = "stdio:".into();
            return Addresses { local: Address::Named(words.clone()), peer: Address::Named(words) };
        }
        let input = self.input.as_ref().map(End::address);
        let output = self.output().ok().map(End::address);
        let either = input.clone().or_else(|| output.clone()).unwrap_or_else(|| Address::named("nothing"));
        Addresses { local: input.unwrap_or_else(|| either.clone()), peer: output.unwrap_or(either) }
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
}

impl Channel for Ends {
    fn addresses(&self, _: &mut SystemCalls) -> io::Result<Addresses> {
        Ok(self.names())
    }

    fn is_connected(&self, _: &mut SystemCalls) -> bool {
        true
    }

    fn drains(&self) -> bool {
        self.input.as_ref().is_some_and(End::drains)
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
        if outgoing.segments() > 1 && !output.may_block() {
            return output.write_parts(outgoing, calls);
        }
        output.write(outgoing.front(), calls)
    }

    /// The first of them only: a call for several may block some kinds of files.
    fn send_slices(&self, parts: &[IoSlice<'_>], calls: &mut SystemCalls) -> io::Result<(usize, bool)> {
        let first = parts.first().map_or(&[][..], |part| part);
        self.output()?.write(first, calls)
    }

    /// Pipes, whatever their mode. In one of packets a piece of a file would be one of a page.
    fn takes_files(&self, _: bool, _: &mut SystemCalls) -> bool {
        self.output().is_ok_and(|output| output.nature == Nature::Pipe { packets: false })
    }

    fn send_file(&self, range: &FileRange, calls: &mut SystemCalls) -> io::Result<(usize, bool)> {
        passing::to_pipe(&self.output()?.descriptor, range, calls)
    }

    /// Half of a terminal cannot be closed, and what programs in it read ends by what is typed. Neither can half of anything
    /// else that is read, too, unless it is a socket.
    fn shutdown(&mut self, poller: &Poller, calls: &mut SystemCalls) -> io::Result<Vec<u8>> {
        let Ok(output) = self.output() else { return Ok(Vec::new()) };
        if output.is_master() {
            return Ok(output.farewell(calls));
        }
        if let Some(socket) = self.socket() {
            socket.shutdown(calls)?;
        } else if let Some(Output::Own(_)) = self.output {
            self.close_output(poller, calls);
        }
        Ok(Vec::new())
    }

    fn take_error(&self, calls: &mut SystemCalls) -> Option<io::Error> {
        self.output().ok()?.take_error(calls)
    }

    /// The end of the input is no matter of the output's. Only when there is no input any more is that all there is.
    fn error_at_end(&self, again: bool, calls: &mut SystemCalls) -> Option<io::Error> {
        if again || self.socket().is_some() { self.take_error(calls) } else { None }
    }

    /// What was not read stays for whoever else has the descriptor, unless it is a socket's, whose peer would be reset.
    fn discard(&self, scratch: &mut [u8], calls: &mut SystemCalls) {
        if let Some(socket) = self.socket() {
            discard(scratch, socket.drains(), |scratch| socket.read(scratch, calls));
        }
    }

    /// Each takes back its registration when it is closed.
    fn forget(&self, _: &Poller, _: &mut SystemCalls) {}

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
