//! The far ends of streams of bytes, whatever they are made of.

use std::cell::{Cell, RefCell};

use super::super::pipes::FarPipe;
use super::super::raw::Raw;
use super::super::terminals::Program;

/// The far end of a stream of bytes. All methods return at once.
pub trait Far {
    /// Sends what fits: how much that was.
    fn write(&self, data: &[u8]) -> usize;

    /// Takes what arrived.
    fn read(&self) -> Vec<u8>;

    /// Whether our side ended its direction, as far as everything before was read.
    fn is_finished(&self) -> bool;

    /// Whether the connection at the very bottom is gone for this end. What arrived before has to be read first.
    fn is_over(&self) -> bool;

    /// Ends this end's direction; where there is only one, the stream.
    fn finish(&self);
}

impl Far for Raw {
    fn write(&self, data: &[u8]) -> usize {
        Self::write(self, data)
    }

    fn read(&self) -> Vec<u8> {
        Self::read(self)
    }

    fn is_finished(&self) -> bool {
        Self::is_finished(self)
    }

    fn is_over(&self) -> bool {
        Self::is_finished(self) || self.is_reset()
    }

    fn finish(&self) {
        Self::finish(self);
    }
}

/// The far ends of two pipes: one to our side, one from it.
pub(super) struct FarPipes {
    to: RefCell<Option<FarPipe>>,
    from: FarPipe,
    is_finished: Cell<bool>,
}

impl FarPipes {
    pub(super) fn new(to: FarPipe, from: FarPipe) -> Self {
        Self { to: RefCell::new(Some(to)), from, is_finished: Cell::new(false) }
    }
}

impl Far for FarPipes {
    fn write(&self, data: &[u8]) -> usize {
        self.to.borrow().as_ref().map_or(0, |pipe| pipe.write(data))
    }

    fn read(&self) -> Vec<u8> {
        let (bytes, is_finished) = self.from.read();
        self.is_finished.set(is_finished);
        bytes
    }

    fn is_finished(&self) -> bool {
        self.is_finished.get()
    }

    fn is_over(&self) -> bool {
        self.is_finished.get()
    }

    fn finish(&self) {
        drop(self.to.take());
    }
}

/// A program in a terminal.
pub(super) struct FarTerminal {
    program: RefCell<Option<Program>>,
    is_finished: Cell<bool>,
}

impl FarTerminal {
    pub(super) fn new(program: Program) -> Self {
        Self { program: RefCell::new(Some(program)), is_finished: Cell::new(false) }
    }
}

impl Far for FarTerminal {
    fn write(&self, data: &[u8]) -> usize {
        self.program.borrow().as_ref().map_or(0, |program| program.write(data))
    }

    fn read(&self) -> Vec<u8> {
        let Some((bytes, is_finished)) = self.program.borrow().as_ref().map(Program::read) else {
            return Vec::new();
        };
        self.is_finished.set(is_finished);
        bytes
    }

    fn is_finished(&self) -> bool {
        self.is_finished.get()
    }

    fn is_over(&self) -> bool {
        self.is_finished.get() || self.program.borrow().as_ref().is_none_or(Program::is_alone)
    }

    fn finish(&self) {
        drop(self.program.take());
    }
}
