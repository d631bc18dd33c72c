//! The program that the tests start.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Instant;

use marline_tests::PATIENCE;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{PipeFlags, pipe_with};

/// A process, which is killed when a test fails.
pub struct Process(Child);

impl Process {
    /// Starts the program, whose standard error is inherited.
    pub fn start(backend: &str, way: &str, input: impl Into<Stdio>, output: impl Into<Stdio>) -> Self {
        Self::with_errors(backend, way, input, output, Stdio::inherit())
    }

    pub fn with_errors(
        backend: &str,
        way: &str,
        input: impl Into<Stdio>,
        output: impl Into<Stdio>,
        errors: impl Into<Stdio>,
    ) -> Self {
        // The command is dropped here, and with it the copies of what the child got.
        let child = Command::new(env!("CARGO_BIN_EXE_stdio_child"))
            .arg(way)
            .env("MARLINE_BACKEND", backend)
            .env("RUST_BACKTRACE", "0")
            .stdin(input)
            .stdout(output)
            .stderr(errors)
            .spawn();
        Self(child.expect("a process"))
    }

    /// Waits until it has ended.
    pub fn wait(mut self) -> ExitStatus {
        let limit = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.0.try_wait().expect("a status") {
                return status;
            }
            assert!(Instant::now() < limit, "the program does not end");
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }

    pub fn kill(mut self) {
        self.0.kill().expect("a process");
        self.0.wait().expect("a status");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already, if all is well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A pipe: what reads, and what writes.
pub fn pipe() -> (OwnedFd, OwnedFd) {
    pipe_with(PipeFlags::CLOEXEC).expect("a pipe")
}

/// Reads until the bytes end as `end` does.
pub fn read_until(from: &(impl AsFd + ?Sized), end: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    while !all.ends_with(end) {
        let before = all.len();
        all.extend(read_some(from));
        assert!(all.len() > before, "it ended with {:?}", String::from_utf8_lossy(&all));
    }
    all
}

/// Reads until the end.
pub fn read_all(from: &(impl AsFd + ?Sized)) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let some = read_some(from);
        if some.is_empty() {
            return all;
        }
        all.extend(some);
    }
}

/// Waits until nobody can read what is written.
pub fn await_no_reader(output: &impl AsFd) {
    await_either(output, PollFlags::empty(), "it is read");
}

/// Waits for one of these, or for an end or an error, for a limited time.
fn await_either(of: &(impl AsFd + ?Sized), wanted: PollFlags, or: &str) {
    let limit = Timespec { tv_sec: PATIENCE.as_secs().try_into().expect("a few seconds"), tv_nsec: 0 };
    let mut asked = [PollFd::new(&of, wanted)];
    assert_eq!(poll(&mut asked, Some(&limit)).expect("a look"), 1, "{or}");
}

/// Waits for bytes, for a limited time. Nothing is the end.
fn read_some(from: &(impl AsFd + ?Sized)) -> Vec<u8> {
    await_either(from, PollFlags::IN, "nothing comes");
    let mut bytes = [0; 65536];
    let mut file = File::from(from.as_fd().try_clone_to_owned().expect("a descriptor"));
    match file.read(&mut bytes) {
        Ok(count) => bytes[..count].to_vec(),
        // Nobody has the other side of a terminal any more.
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => Vec::new(),
        Err(error) => panic!("{error}"),
    }
}

pub fn write(to: &(impl AsFd + ?Sized), bytes: &[u8]) {
    let mut file = File::from(to.as_fd().try_clone_to_owned().expect("a descriptor"));
    file.write_all(bytes).expect("room");
}
