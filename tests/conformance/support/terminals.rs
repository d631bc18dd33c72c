//! Terminals of a loop, and the programs in them.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};

use marline_reactor::Protocol;
use marline_reactor::Transport;
use marline_reactor::terminal::{Pty, RawMode, WindowSize, window_size};
use marline_reactor::testing::VirtualTerminal;

use super::World;

/// The program in a terminal. All methods return at once. Dropping it ends it.
pub enum Program {
    Real(File, Option<RawMode>),
    Virtual(VirtualTerminal),
}

impl World {
    /// A terminal whose master is a connection of the loop's, and a program in it that reads lines.
    pub fn terminal(&self, protocol: impl Protocol) -> (Transport, Program) {
        let (pty, program) = self.pty();
        (self.handle().adopt_stream(pty.master, protocol).expect("a terminal"), program)
    }

    /// A terminal that is no connection yet. Nothing of its slave is left in it.
    pub fn pty(&self) -> (MasterSide, Program) {
        let Pty { master, slave, .. } = self.handle().open_pty(WindowSize::new(24, 80)).expect("a terminal");
        let program = match self.as_memory() {
            Some(memory) => Program::Virtual(memory.network().terminal().expect("it was made")),
            None => {
                let slave = slave.into_fd().expect("a descriptor");
                rustix::io::ioctl_fionbio(&slave, true).expect("a terminal that does not block");
                Program::Real(slave.into(), None)
            }
        };
        (MasterSide { master }, program)
    }
}

/// What becomes a connection.
pub struct MasterSide {
    pub master: marline_reactor::backend::Opening,
}

impl Program {
    /// Reads every key as it is, and shows what it writes as it is.
    pub fn raw(mut self) -> Self {
        if let Self::Real(slave, raw) = &mut self {
            *raw = Some(RawMode::enter(&*slave).expect("raw mode"));
        }
        self
    }

    /// Writes what fits: how much that was.
    pub fn write(&self, data: &[u8]) -> usize {
        match self {
            Self::Virtual(terminal) => terminal.peer().write(data),
            Self::Real(file, _) => (&mut &*file).write(data).unwrap_or(0),
        }
    }

    /// Takes what was typed, and tells whether that is all.
    pub fn read(&self) -> (Vec<u8>, bool) {
        let file = match self {
            Self::Virtual(terminal) => {
                let bytes = terminal.peer().read();
                return (bytes, terminal.peer().is_finished());
            }
            Self::Real(file, _) => file,
        };
        // Not to the end, as an end that was typed is told once, and a hang-up for ever.
        let (mut all, mut bytes) = (Vec::new(), [0; 4096]);
        loop {
            match (&mut &*file).read(&mut bytes) {
                Ok(0) => return (all, true),
                Ok(count) => all.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return (all, false),
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Whether the master of a terminal without a kernel is closed, in whichever way.
    pub fn is_alone(&self) -> bool {
        match self {
            Self::Virtual(terminal) => terminal.peer().is_closed(),
            Self::Real(..) => false,
        }
    }

    pub fn window_size(&self) -> WindowSize {
        match self {
            Self::Virtual(terminal) => terminal.window_size(),
            Self::Real(file, _) => window_size(file).expect("a terminal"),
        }
    }
}
