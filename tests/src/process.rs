//! Limits and signals of this process, and copies of it that play another part.
#![allow(unsafe_code)]

use std::process::Command;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The variable that tells a copy its part.
const PART: &str = "MARLINE_TEST_PART";

/// A copy of the running test program, which runs the one test `name` with the given part to play. Its output is
/// its own, not the harness's.
///
/// # Panics
///
/// If the system does not tell which program runs.
#[must_use]
pub fn copy(name: &str, part: &str) -> Command {
    let myself = std::env::current_exe().expect("the path of this program");
    let mut copy = Command::new(myself);
    copy.args(["--exact", name, "--nocapture", "--test-threads=1"]).env(PART, part);
    copy
}

/// The part that this process is to play, in a copy.
#[must_use]
pub fn part() -> Option<String> {
    std::env::var(PART).ok()
}

/// Allows this process as many descriptors as the system lets it have, and tells how many.
///
/// # Panics
///
/// If the system refuses what it has said is allowed.
#[must_use]
pub fn raise_descriptor_limit() -> u64 {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("the hard limit is allowed");
    maximum.unwrap_or(u64::MAX)
}

/// Lets SIGPIPE end the process, as it does in other languages: Rust's runtime ignores it before `main`.
pub fn make_sigpipe_deadly() {
    // SAFETY: this is the declaration of signal(2), with a handler that may be a number.
    unsafe extern "C" {
        fn signal(number: i32, handler: usize) -> usize;
    }
    const SIGPIPE: i32 = 13;
    const SIG_DFL: usize = 0;
    // SAFETY: no handler of ours runs, and no memory is touched.
    unsafe { signal(SIGPIPE, SIG_DFL) };
}
