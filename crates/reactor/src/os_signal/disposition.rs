//! What the process does about a signal.
//!
//! * **G1** `sigaction` is asked without a new action, so it changes nothing, and what it writes to is an action of
//!   this stack frame's. It may be called at any time, from any thread.
#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::ptr;

use super::SignalKind;

/// What happens when a signal comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disposition {
    /// What the system does by itself.
    Default,
    Ignored,
    /// Somebody's handler runs.
    Handled,
}

/// What happens now when `signal` comes.
pub(crate) fn disposition(signal: SignalKind) -> io::Result<Disposition> {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: G1.
    let asked = unsafe { libc::sigaction(signal.as_raw(), ptr::null(), action.as_mut_ptr()) };
    if asked != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: G1; it was written, and was a valid action before, all of whose fields are numbers and pointers.
    let action = unsafe { action.assume_init() };
    Ok(match action.sa_sigaction {
        libc::SIG_DFL => Disposition::Default,
        libc::SIG_IGN => Disposition::Ignored,
        _ => Disposition::Handled,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runtime_ignores_sigpipe_and_nothing_else() {
        assert_eq!(disposition(SignalKind::PIPE).unwrap(), Disposition::Ignored);
        assert_eq!(disposition(SignalKind::TERMINATE).unwrap(), Disposition::Default);
        assert_eq!(disposition(SignalKind::from_raw(-1)).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
