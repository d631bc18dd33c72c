//! Raw mode: each key as it is pressed.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

/// A terminal in raw mode: programs get each key as it is pressed, and nothing is echoed, edited or translated, nor are there
/// signals from keys. The settings that it had come back when this is dropped, also by a panic.
///
/// A guard that a protocol holds is dropped after its connection was lost, and one in `main` when that returns. It has a
/// descriptor of its own, so it does not matter what became of the others meanwhile. What does not unwind (`abort`,
/// `std::process::exit`, a deadly signal) leaves the terminal raw.
///
/// ```no_run
/// use marline_reactor::terminal::RawMode;
/// use marline_reactor::{Reactor, Transport};
///
/// let _raw = RawMode::enter(std::io::stdin())?;
/// let reactor = Reactor::new()?;
/// reactor.handle().stdio(|transport: &Transport, keys: &[u8]| {
///     transport.write(format!("{keys:?}\r\n"));
///     if keys.contains(&b'q') {
///         transport.close();
///     }
/// })?;
/// reactor.run()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "the settings come back when this is dropped"]
pub struct RawMode {
    terminal: OwnedFd,
    /// `None` once they are back.
    before: Option<Termios>,
}

impl RawMode {
    /// Puts a terminal into raw mode: this program's by `std::io::stdin()`, or the far side of one that was made.
    ///
    /// # Errors
    ///
    /// The system's: if it is no terminal, above all. Then nothing is changed.
    pub fn enter(terminal: impl AsFd) -> io::Result<Self> {
        let terminal = terminal.as_fd().try_clone_to_owned()?;
        let before = tcgetattr(&terminal)?;
        let mut raw = before.clone();
        raw.make_raw();
        set(&terminal, &raw)?;
        Ok(Self { terminal, before: Some(before) })
    }

    /// Brings the settings back, and tells whether that worked.
    ///
    /// # Errors
    ///
    /// The system's: if the terminal hung up, above all.
    pub fn leave(mut self) -> io::Result<()> {
        self.restore()
    }

    fn restore(&mut self) -> io::Result<()> {
        self.before.take().map_or(Ok(()), |before| set(&self.terminal, &before))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // Where it cannot be set any more there is nobody to see it.
        let _ = self.restore();
    }
}

/// At once: to wait until everything was shown could take for ever, as output may be stopped (Ctrl-S).
fn set(terminal: &OwnedFd, settings: &Termios) -> io::Result<()> {
    Ok(tcsetattr(terminal, OptionalActions::Now, settings)?)
}
