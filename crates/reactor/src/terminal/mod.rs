//! Terminals: those that programs run in, and the one that this program runs in.
//!
//! A program that offers a terminal to others (an SSH server, a recorder, a test of a shell) has its *master* side,
//! where a person would sit: what is written to it is typed, and what is read from it is shown. The other side is given to the
//! program inside, most often a child process, as its standard input and output and its controlling terminal.
//! [`Handle::open_pty`] makes such a pair, and the master becomes a connection by
//! [`adopt_stream`](crate::Handle::adopt_stream):
//!
//! ```
//! use marline_reactor::terminal::{Pty, WindowSize};
//! use marline_reactor::{Command, Exit, Process, Reactor, Transport};
//!
//! let reactor = Reactor::new()?;
//! let Pty { master, slave, .. } = reactor.handle().open_pty(WindowSize::new(24, 80))?;
//! let shows = |_: &Transport, shown: &[u8]| assert_eq!(shown, b"24 80\r\n");
//! reactor.handle().adopt_stream(master, shows)?;
//! let size = Command::new("stty").arg("size").terminal(slave.into_fd()?);
//! reactor.handle().spawn_process(size, |_: &Process, exit: Exit| assert!(exit.success()))?;
//! // The connection ends when the last program in the terminal has ended.
//! reactor.run()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What a terminal does to a connection
//!
//! * It ends (`eof_received`) when nobody has the other side open any more. As long as this program keeps a copy of it, as a
//!   [`Slave`] or in a [`Command`](std::process::Command) that was not dropped, it does not end.
//! * Closing it hangs up: programs inside get SIGHUP, and read the end.
//! * [`write_eof`](Transport::write_eof) types the character for the end of a file (Ctrl-D), if the programs inside read by lines:
//!   twice, if a line is half typed, as once would only hand that over. To a program that reads
//!   each key (raw mode) there is nothing that says so, and nothing is typed.
//! * The window's size is the connection's: [`Transport::window_size`] and [`Transport::set_window_size`], from callbacks and tasks
//!   alike; the foreground programs inside are told of a change by SIGWINCH.
//!
//! For the terminal that this program runs in there is [`Handle::stdio`](crate::Handle::stdio), and [`RawMode`] to get each key as
//! it is pressed.

mod pair;
mod raw;
mod size;
#[cfg(not(target_os = "linux"))]
#[path = "system_by_name.rs"]
mod system;
#[cfg(target_os = "linux")]
mod system;

pub use pair::{Pty, Slave};
pub use raw::RawMode;
pub use size::WindowSize;

use std::io;
use std::os::fd::AsFd;

use crate::error::OpenError;
use crate::reactor::Handle;
use crate::transport::Transport;

impl Handle {
    /// Makes a terminal of this size. The [module](self) shows it at work.
    ///
    /// All descriptors are closed in child processes, but for those that are given to them. On the memory backend a test has the
    /// other side: [`Network::terminal`](crate::testing::Network::terminal).
    ///
    /// # Errors
    ///
    /// If the loop has ended, or the system has no terminals or descriptors left.
    pub fn open_pty(&self, size: WindowSize) -> Result<Pty, OpenError> {
        let shell = self.shell();
        if shell.refuses_work() {
            return Err(OpenError::Over);
        }
        let own = shell.backend().terminals().and_then(|terminals| terminals.open_pty(size));
        own.unwrap_or_else(|| pair::open(size)).map_err(|source| OpenError::System { source })
    }
}

impl Transport {
    /// The size of the terminal's window: of one whose master side this is, and of the one that this program runs in, if this is
    /// [standard input and output](crate::Handle::stdio).
    ///
    /// # Errors
    ///
    /// `NotConnected` after the loss, `Unsupported` if it is no terminal, and the system's.
    ///
    /// ```
    /// use marline_reactor::terminal::{Pty, WindowSize};
    /// use marline_reactor::{Reactor, Transport};
    ///
    /// let reactor = Reactor::new()?;
    /// let Pty { master, slave, .. } = reactor.handle().open_pty(WindowSize::new(24, 80))?;
    /// let terminal = reactor.handle().adopt_stream(master, |_: &Transport, _: &[u8]| {})?;
    /// terminal.set_window_size(WindowSize::new(50, 132))?;
    /// assert_eq!(terminal.window_size()?, WindowSize::new(50, 132));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn window_size(&self) -> io::Result<WindowSize> {
        let shell = self.alive()?;
        let mut backend = shell.backend();
        backend.terminals().ok_or(io::ErrorKind::Unsupported)?.window_size(self.key())
    }

    /// Sets the size of the terminal's window. If that changes it, the system tells the foreground programs in it (SIGWINCH).
    ///
    /// # Errors
    ///
    /// As [`window_size`](Self::window_size).
    pub fn set_window_size(&self, size: WindowSize) -> io::Result<()> {
        let shell = self.alive()?;
        let mut backend = shell.backend();
        backend.terminals().ok_or(io::ErrorKind::Unsupported)?.set_window_size(self.key(), size)
    }
}

/// The size of the window of a terminal that is no connection: of this program's, most often.
///
/// # Errors
///
/// The system's: if it is no terminal, above all.
///
/// ```
/// use marline_reactor::terminal::window_size;
///
/// // Programs that are not told the size of their window assume 80 columns.
/// let columns = window_size(std::io::stdout()).map_or(80, |size| size.columns);
/// assert!(columns < u16::MAX);
/// ```
pub fn window_size(terminal: impl AsFd) -> io::Result<WindowSize> {
    Ok(rustix::termios::tcgetwinsize(terminal)?.into())
}

/// Sets the size of the window of a terminal that is no connection.
///
/// # Errors
///
/// As [`window_size`].
pub fn set_window_size(terminal: impl AsFd, size: WindowSize) -> io::Result<()> {
    Ok(rustix::termios::tcsetwinsize(terminal, size.into())?)
}
