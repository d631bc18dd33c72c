//! How a process ended.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use crate::os_signal::SignalKind;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exit {
    /// It exited, with this code.
    Code(i32),
    /// A signal ended it.
    Signal {
        /// Which.
        signal: SignalKind,
        /// Whether it left an image of its memory.
        core_dumped: bool,
    },
    /// Nobody can say: another part of this program collected its status, or this process ignores SIGCHLD.
    Unknown,
}

impl Exit {
    /// Whether it exited with the code 0.
    #[must_use]
    pub fn success(self) -> bool {
        self == Self::Code(0)
    }

    /// The code with which it exited.
    #[must_use]
    pub fn code(self) -> Option<i32> {
        match self {
            Self::Code(code) => Some(code),
            _ => None,
        }
    }

    /// The signal that ended it.
    #[must_use]
    pub fn signal(self) -> Option<SignalKind> {
        match self {
            Self::Signal { signal, .. } => Some(signal),
            _ => None,
        }
    }
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Code(code),
            (None, Some(signal)) => {
                Self::Signal { signal: SignalKind::from_raw(signal), core_dumped: status.core_dumped() }
            }
            (None, None) => Self::Unknown,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exited with the code {code}"),
            Self::Signal { signal, core_dumped: false } => write!(f, "was ended by {signal}"),
            Self::Signal { signal, core_dumped: true } => write!(f, "was ended by {signal} (core dumped)"),
            Self::Unknown => f.write_str("ended, nobody knows how"),
        }
    }
}
