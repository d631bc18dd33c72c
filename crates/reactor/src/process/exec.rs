//! What is done in a child between fork and exec.
//!
//! * **E1** It runs in a copy of a process of many threads, of which only one is left: a lock may be held by one that is
//!   not, the allocator's included. So [`Plan::carry_out`] makes system calls only, takes no lock, allocates and frees nothing,
//!   and cannot panic; everything that it needs was made before the fork, and is dropped in the parent alone.
//! * **E2** The descriptors that it names are owned by the plan, which lives in the command, and so is open in the child.
//!   What it changes are descriptors of the child's own table, and those whose numbers the program asked for.
//! * **E3** Memory that a call is told of is a variable of its caller's, of the type that the call is declared with.
//! * **E4** A number that is borrowed as a descriptor is used for one call, which tells if there is none.
#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::ptr;

/// The signals have the numbers below this.
const SIGNALS: i32 = 65;

/// What is to be done.
#[derive(Debug)]
pub(super) struct Plan {
    /// Descriptors, and what numbers they are to have: ascending, and none below 3. Each of them is no smaller than its number, so
    /// none of those that are still to come is overwritten.
    pub(super) descriptors: Vec<(OwnedFd, RawFd)>,
    pub(super) session: bool,
    pub(super) terminal: Option<OwnedFd>,
    pub(super) keep_ignored: bool,
}

/// Lets the child of this command carry the plan out.
pub(super) fn before_exec(command: &mut Command, plan: Plan) {
    // SAFETY: E1, E2.
    unsafe { command.pre_exec(move || plan.carry_out()) };
}

/// A copy of this process's own descriptor of that number, no smaller than it.
pub(super) fn own_descriptor(number: RawFd) -> io::Result<OwnedFd> {
    if number < 0 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: E4.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    Ok(rustix::io::fcntl_dupfd_cloexec(borrowed, number)?)
}

impl Plan {
    fn carry_out(&self) -> io::Result<()> {
        if self.session {
            // SAFETY: E1.
            check(unsafe { libc::setsid() })?;
        }
        if let Some(terminal) = &self.terminal {
            // SAFETY: E1, E2; the argument is a number.
            check(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSCTTY as _, 0) })?;
        }
        self.reset_signals()?;
        hide_others();
        for (descriptor, number) in &self.descriptors {
            give(descriptor.as_raw_fd(), *number)?;
        }
        Ok(())
    }

    /// Handlers are reset by the exec. What is ignored and what is blocked is not.
    fn reset_signals(&self) -> io::Result<()> {
        let mut none = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: E1, E3; the set is written before it is read.
        unsafe {
            libc::sigemptyset(none.as_mut_ptr());
            check(libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut()))?;
        }
        if !self.keep_ignored {
            (1..SIGNALS).for_each(stop_ignoring);
        }
        Ok(())
    }
}

/// Signals that the C library keeps to itself, and numbers that are none, refuse.
fn stop_ignoring(signal: i32) {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: E1, E3; an action of zeroes is the default one, and only that or what was written is read.
    unsafe {
        if libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) == 0
            && (*action.as_ptr()).sa_sigaction == libc::SIG_IGN
        {
            let default = MaybeUninit::<libc::sigaction>::zeroed();
            libc::sigaction(signal, default.as_ptr(), ptr::null_mut());
        }
    }
}

/// Lets a descriptor have a number, and stay open.
fn give(descriptor: RawFd, number: RawFd) -> io::Result<()> {
    // SAFETY: E1, E2.
    check(unsafe {
        if descriptor == number {
            libc::fcntl(number, libc::F_SETFD, 0)
        } else {
            libc::dup2(descriptor, number)
        }
    })
}

/// Closes at exec whatever is open without having been asked for. Kernels before 5.11 cannot, and others of this program
/// who forgot close-on-exec are to blame then.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn hide_others() {
    let (first, last, flags) = (3_u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
    // SAFETY: E1; the arguments are numbers.
    unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
}

/// There is no call for this here.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn hide_others() {}

fn check(result: i32) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
