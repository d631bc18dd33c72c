//! SIGPIPE, which must not end a program because somebody else stopped reading.
//!
//! Sockets are written to with MSG_NOSIGNAL. A pipe has no such flag (RWF_NOSIGNAL is Linux 6.18's), and to block the signal
//! around each write takes three more system calls. Nor have sendfile(2) and splice(2), by which files are sent. Rust's runtime ignores SIGPIPE before `main`; but a library in another
//! language's program, and a program that undid it, do not have that. So before the first pipe is written to, or the first file sent, a handler that
//! does nothing is installed where the signal would be deadly. It is a handler, and not "ignore", because the programs
//! that this one starts inherit what is ignored, and do not inherit handlers.

use std::io;
use std::sync::atomic::AtomicBool;

use parking_lot::Mutex;
use signal_hook::flag;

use super::SignalKind;
use super::disposition::{Disposition, disposition};
use super::process_wide;

/// Whether it was looked after. A host may undo it, which is its own choice.
static DONE: Mutex<bool> = Mutex::new(false);
/// What the handler does: nothing that anybody looks at.
static CAME: AtomicBool = AtomicBool::new(false);

/// Sees to it that writing to a pipe without a reader, or sending a file to nobody, is an error, and not the end of the process.
pub(crate) fn survive_sigpipe() -> io::Result<()> {
    let mut done = DONE.lock();
    if !*done {
        match disposition(SignalKind::PIPE)? {
            Disposition::Default => _ = flag::register(SignalKind::PIPE.as_raw(), &CAME)?,
            // It may be ours, for who watches the signal, or did.
            Disposition::Handled => process_wide::forget_default(SignalKind::PIPE),
            Disposition::Ignored => {}
        }
        *done = true;
    }
    Ok(())
}
