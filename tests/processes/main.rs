//! Child processes as the operating system sees them: none is left, no descriptor is left, and what a child inherits.
//!
//! All of that belongs to the whole process, so these tests follow one another, or run in processes of their own.

#![allow(missing_docs, unreachable_pub)]

#[cfg(target_os = "linux")]
mod alone;
mod fresh;
mod many;
mod sessions;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use marline_reactor::{ChildFd, Command, Reactor};

/// The time of a turn that waits in vain: the test looks again after it.
pub const LOOK: Duration = Duration::from_millis(20);

static TURN: Mutex<()> = Mutex::new(());

/// Keeps the process to one test. Whoever looks for a ring has found it by then.
pub fn own_process() -> MutexGuard<'static, ()> {
    let _ = marline_tests::backends::has_completion();
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A command line for the shell.
pub fn shell(line: &str) -> Command {
    Command::new("/bin/sh").arg("-c").arg(line).stdin(ChildFd::Null)
}

/// Turns the loop until it happened.
pub fn until(reactor: &Reactor, done: impl Fn() -> bool) {
    let begun = std::time::Instant::now();
    while !done() {
        reactor.turn(Some(LOOK)).expect("a turn");
        assert!(begun.elapsed() < marline_tests::PATIENCE, "what the test waits for did not happen");
    }
}

/// The descriptors of this process.
pub fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("a list of descriptors").count()
}
