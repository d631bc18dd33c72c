//! The blocking mode of what was inherited, seen by who shares it.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::fs::{MemfdFlags, OFlags, fcntl_getfl, fcntl_setfl, memfd_create};

use crate::child::{Process, pipe, read_until};
use crate::on_sockets;
use crate::terminals::terminal;

on_sockets! {
    u11_the_blocking_mode_of_what_was_inherited_is_never_changed
    u11_what_did_not_block_does_not_block_afterwards
}

/// What a child gets as its standard input and output, and the far sides, which keep them usable.
struct Inherited {
    name: &'static str,
    input: OwnedFd,
    output: OwnedFd,
    far: Vec<OwnedFd>,
    /// What its output is read from, unless that is a file.
    read: Option<OwnedFd>,
}

fn copy(descriptor: &impl AsFd) -> OwnedFd {
    descriptor.as_fd().try_clone_to_owned().expect("a descriptor")
}

fn each() -> Vec<Inherited> {
    let ((input, write), (read, output)) = (pipe(), pipe());
    let pipes = Inherited { name: "pipes", input, output, far: vec![write], read: Some(read) };
    let (ours, theirs) = UnixStream::pair().expect("sockets");
    let (input, output) = (copy(&theirs), theirs.into());
    let socket = Inherited { name: "a socket", input, output, far: Vec::new(), read: Some(ours.into()) };
    let (master, slave) = terminal();
    let (input, output) = (copy(&slave), slave);
    let terminal = Inherited { name: "a terminal", input, output, far: Vec::new(), read: Some(master) };
    let (input, write) = pipe();
    let output = memfd_create("file", MemfdFlags::CLOEXEC).expect("a file");
    let file = Inherited { name: "a file", input, output, far: vec![write], read: None };
    vec![pipes, socket, terminal, file]
}

impl Inherited {
    fn flags(&self) -> [OFlags; 2] {
        [&self.input, &self.output].map(|descriptor| fcntl_getfl(descriptor).expect("flags"))
    }

    fn start(&self, backend: &str, way: &str) -> Process {
        Process::start(backend, way, copy(&self.input), copy(&self.output))
    }

    /// Waits until the program is at work.
    fn meet(&self) {
        match &self.read {
            Some(read) => drop(read_until(read, b"here")),
            None => {
                while rustix::fs::fstat(&self.output).expect("a file").st_size == 0 {
                    std::thread::yield_now();
                }
            }
        }
    }

    fn look_on(&self, backend: &str) {
        let before = self.flags();
        assert!(self.start(backend, "leave").wait().success());
        assert_eq!(self.flags(), before, "{} after the end", self.name);
        self.meet();
        let process = self.start(backend, "stay");
        self.meet();
        assert_eq!(self.flags(), before, "{} meanwhile", self.name);
        process.kill();
        assert_eq!(self.flags(), before, "{} after it was killed", self.name);
        assert!(self.far.len() < 2);
    }
}

fn u11_the_blocking_mode_of_what_was_inherited_is_never_changed(backend: &str) {
    for inherited in each() {
        assert!(inherited.flags().iter().all(|flags| !flags.contains(OFlags::NONBLOCK)));
        inherited.look_on(backend);
    }
}

fn u11_what_did_not_block_does_not_block_afterwards(backend: &str) {
    for inherited in each() {
        for descriptor in [&inherited.input, &inherited.output] {
            let flags = fcntl_getfl(descriptor).expect("flags");
            fcntl_setfl(descriptor, flags | OFlags::NONBLOCK).expect("flags");
        }
        inherited.look_on(backend);
    }
}
