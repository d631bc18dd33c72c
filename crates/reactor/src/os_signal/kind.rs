//! Which signal.

use std::fmt;

use signal_hook::consts;
use signal_hook::low_level::signal_name;

/// A signal of the operating system, by its number there.
///
/// ```
/// use marline_reactor::SignalKind;
///
/// assert_eq!(SignalKind::TERMINATE.to_string(), "SIGTERM");
/// assert_eq!(SignalKind::from_raw(SignalKind::TERMINATE.as_raw()), SignalKind::TERMINATE);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignalKind(i32);

impl SignalKind {
    /// SIGHUP: the terminal is gone; many daemons read their configuration again.
    pub const HANGUP: Self = Self(consts::SIGHUP);
    /// SIGINT: Ctrl-C.
    pub const INTERRUPT: Self = Self(consts::SIGINT);
    /// SIGQUIT: Ctrl-\.
    pub const QUIT: Self = Self(consts::SIGQUIT);
    /// SIGABRT.
    pub const ABORT: Self = Self(consts::SIGABRT);
    /// SIGKILL. It ends a process whatever that does, so it can be sent and not watched.
    pub const KILL: Self = Self(consts::SIGKILL);
    /// SIGUSR1.
    pub const USER1: Self = Self(consts::SIGUSR1);
    /// SIGUSR2.
    pub const USER2: Self = Self(consts::SIGUSR2);
    /// SIGPIPE: something was written to a pipe that nobody reads.
    pub const PIPE: Self = Self(consts::SIGPIPE);
    /// SIGALRM.
    pub const ALARM: Self = Self(consts::SIGALRM);
    /// SIGTERM: the polite request to end.
    pub const TERMINATE: Self = Self(consts::SIGTERM);
    /// SIGCHLD: a child process stopped, went on or ended.
    pub const CHILD: Self = Self(consts::SIGCHLD);
    /// SIGCONT: the process goes on after a stop.
    pub const CONTINUE: Self = Self(consts::SIGCONT);
    /// SIGSTOP. It stops a process whatever that does, so it can be sent and not watched.
    pub const STOP: Self = Self(consts::SIGSTOP);
    /// SIGTSTP: Ctrl-Z.
    pub const TERMINAL_STOP: Self = Self(consts::SIGTSTP);
    /// SIGWINCH: the terminal has another size.
    pub const WINDOW_CHANGE: Self = Self(consts::SIGWINCH);

    /// The signal with this number.
    #[must_use]
    pub const fn from_raw(number: i32) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn as_raw(self) -> i32 {
        self.0
    }

    /// Its name, as `"SIGTERM"`, if it has one.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        signal_name(self.0)
    }

    /// Whether no loop can watch it: the system lets nobody (KILL, STOP), or it tells of a mistake of the very
    /// instruction that runs (SEGV, ILL, FPE), after which there is nothing to go on with.
    #[must_use]
    pub fn is_unwatchable(self) -> bool {
        consts::FORBIDDEN.contains(&self.0)
    }
}

impl fmt::Display for SignalKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "signal {}", self.0),
        }
    }
}

impl fmt::Debug for SignalKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignalKind({self})")
    }
}
