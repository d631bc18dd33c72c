//! Files among the bytes out.
//!
//! A backend is lent bytes, or one file alone, so the queue is split before each send, and is one again when the send was
//! answered. What the backend does not send itself is read here, a piece at a time and only when it is its turn.

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use super::{Connection, Flags, Spares};
use crate::backend::{Close, Outgoing};
use crate::error::FileTruncated;
use crate::key::Key;
use crate::lost::Reason;
use crate::reactor::Shell;

/// A flush sends no more of files once it has sent so much; the rest has to wait for the next turn. A peer who reads as fast
/// as a file is sent would let nobody else have one.
pub(super) const SHARE: usize = 256 * 1024;

/// What is to be sent next.
pub(super) enum InLine {
    Nothing,
    Bytes,
    File {
        /// By the core, as the backend cannot send it.
        is_read: bool,
    },
    /// It was taken out of the queue, to be lent.
    Lent(Box<Outgoing>),
}

/// What a send that failed leads to.
pub(super) enum Failure {
    /// What waits is to be sent all the same.
    GoOn,
    /// The system is short of memory.
    Retry,
    Lose(Reason),
}

impl InLine {
    pub(super) fn of(outgoing: &Outgoing) -> Self {
        match outgoing.file() {
            Some(range) => Self::File { is_read: range.is_read() },
            None if outgoing.is_empty() => Self::Nothing,
            None => Self::Bytes,
        }
    }
}

impl Failure {
    /// `error` is the answer to the send of `outgoing`.
    pub(super) fn of(error: io::Error, outgoing: &mut Outgoing) -> Self {
        let is_file = outgoing.file().is_some();
        match error.kind() {
            io::ErrorKind::WouldBlock => Self::Retry,
            io::ErrorKind::Unsupported if is_file => {
                outgoing.read_from_now_on();
                Self::GoOn
            }
            io::ErrorKind::UnexpectedEof if is_file => match end_file(outgoing) {
                Ok(()) => Self::GoOn,
                Err(truncated) => Self::Lose(Reason::Failed(Arc::new(truncated))),
            },
            _ => Self::Lose(Reason::from_io(error)),
        }
    }
}

/// The file that comes first has no more bytes.
fn end_file(outgoing: &mut Outgoing) -> Result<(), FileTruncated> {
    match outgoing.file() {
        Some(range) if range.is_promised() => Err(FileTruncated { missing: range.len() }),
        _ => {
            outgoing.drop_file();
            Ok(())
        }
    }
}

impl Shell {
    /// Takes what may be lent next, where there are files.
    pub(super) fn lend_among_files(
        self: &Rc<Self>,
        key: Key,
        share: usize,
        wait: u32,
    ) -> Option<Box<Outgoing>> {
        loop {
            let next = self.inspect(key, |connection| connection.outgoing.as_deref().map(InLine::of))?;
            match next {
                Some(InLine::File { .. }) if share == 0 => {
                    self.flush_in_next_turn(key);
                    return None;
                }
                Some(InLine::File { is_read: false }) if self.backend().sends_files(key) => break,
                Some(InLine::File { .. }) => self.read_file(key)?,
                _ => break,
            }
        }
        match self.alter(key, |connection| connection.lend(wait, &mut self.spares.borrow_mut()))? {
            InLine::Lent(outgoing) => Some(outgoing),
            _ => None,
        }
    }

    pub(super) fn flush_in_next_turn(&self, key: Key) {
        if self.ask(key, Connection::wants_flush) {
            self.flush_later(key);
        }
    }

    /// Puts bytes in the place of the file that comes first, or of its beginning. `None` if that was the connection's end.
    pub(super) fn read_file(self: &Rc<Self>, key: Key) -> Option<()> {
        self.stats().file_read();
        let read = self.alter(key, |connection| {
            let outgoing = connection.outgoing.as_mut()?;
            Some(match outgoing.read_file() {
                Ok(0) => end_file(outgoing).map_err(|truncated| Reason::Failed(Arc::new(truncated))),
                Ok(_) => Ok(()),
                Err(error) => Err(Reason::Io(Arc::new(error))),
            })
        });
        match read.flatten()? {
            Ok(()) => Some(()),
            Err(reason) => {
                self.lose(key, reason, Close::Reset);
                None
            }
        }
    }
}

impl Connection {
    /// Takes what comes first, to lend it to the backend.
    pub(super) fn lend(&mut self, wait: u32, spares: &mut Spares) -> InLine {
        let something = |outgoing: &mut Box<Outgoing>| !outgoing.is_empty() || outgoing.is_void();
        let Some(mut outgoing) = self.outgoing.take_if(something) else { return InLine::Nothing };
        if outgoing.is_empty() {
            spares.give_back(outgoing);
            return InLine::Nothing;
        }
        if outgoing.has_files() {
            let mut rest = spares.take();
            outgoing.split_into(&mut rest);
            self.flags.set(if outgoing.has_files() { Flags::LENT_FILE } else { Flags::default() });
            if rest.is_void() {
                spares.give_back(rest);
            } else {
                self.outgoing = Some(rest);
            }
        } else {
            self.outgoing = outgoing.split_waiting();
        }
        self.set_lent_descriptors(outgoing.descriptors());
        self.flags.set(Flags::SENDING);
        self.lent = outgoing.len();
        self.lent_in = wait;
        InLine::Lent(outgoing)
    }

    /// How many of the bytes that wait take memory.
    pub(super) fn in_memory(&self) -> usize {
        let lent = if self.flags.any(Flags::LENT_FILE) { 0 } else { self.lent };
        lent + self.outgoing.as_ref().map_or(0, |outgoing| outgoing.in_memory())
    }
}
