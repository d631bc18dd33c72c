//! The descriptors of a child that is to be, and our ends of them.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Stdio;

use rustix::io::FdFlags;
use rustix::pipe::{PipeFlags, pipe_with};

use super::command::{ChildFd, Command};
use super::error::SpawnError;
use super::exec::{Plan, before_exec, own_descriptor};

/// A command whose descriptors are there. To drop it is to close the child's ends of them.
pub(super) struct Prepared {
    pub(super) program: std::process::Command,
    /// What the numbers were made of. They are open until the child runs: the standard library opens descriptors of its own
    /// before it forks, and one of those must not get a number that the child gives to something else, as it is by such a one
    /// that the parent is told why a program could not be executed.
    pub(super) originals: Vec<OwnedFd>,
    /// Our ends, with the child's numbers.
    pub(super) ours: Vec<(RawFd, OwnedFd)>,
}

/// The descriptors that every program has.
const STANDARD: usize = 3;

impl Prepared {
    pub(super) fn new(mut command: Command) -> Result<Self, SpawnError> {
        let program = command.name();
        let refused = |number, cause| SpawnError::Descriptor { program: program.clone(), number, cause };
        for number in 0..STANDARD as RawFd {
            if let (Some(terminal), false) = (&command.terminal, command.descriptors.contains_key(&number)) {
                let terminal = terminal.try_clone().map_err(|cause| refused(number, cause))?;
                command.descriptors.insert(number, terminal.into());
            }
        }
        let (mut ours, mut standard, mut others) = (Vec::new(), Vec::new(), Vec::new());
        let mut originals = Vec::new();
        // Ascending, as the plan wants them.
        for (number, what) in command.descriptors {
            let made = make(number, what, &mut ours).map_err(|cause| refused(number, cause))?;
            match usize::try_from(number) {
                Ok(place) if place < STANDARD => standard.push((place, made)),
                _ => {
                    let copy = copy(&made, number).map_err(|cause| refused(number, cause))?;
                    others.push((copy, number));
                    originals.push(made);
                }
            }
        }
        let mut program = command.program;
        let mut set: [_; STANDARD] = [(); STANDARD].map(|()| Stdio::inherit());
        for (place, descriptor) in standard {
            set[place] = descriptor.into();
        }
        let [stdin, stdout, stderr] = set;
        program.stdin(stdin).stdout(stdout).stderr(stderr);
        let (session, terminal) = (command.session, command.terminal);
        // Who leads a session leads a group in it, and who leads a group already may begin no session (setsid(2)).
        if let Some(group) = command.group.filter(|group| !(session && *group == 0)) {
            program.process_group(group);
        }
        let plan = Plan { descriptors: others, session, terminal, keep_ignored: command.keep_ignored };
        before_exec(&mut program, plan);
        Ok(Self { program, originals, ours })
    }
}

/// The child's end of a descriptor; ours, if there is one, is added to `ours`.
fn make(number: RawFd, what: ChildFd, ours: &mut Vec<(RawFd, OwnedFd)>) -> io::Result<OwnedFd> {
    if number < 0 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let (theirs, own) = match what {
        ChildFd::Inherit => return own_descriptor(number),
        ChildFd::Null => return null().map(OwnedFd::from),
        ChildFd::Descriptor(descriptor) => return Ok(descriptor),
        ChildFd::Input => pipe()?,
        ChildFd::Output => pipe().map(|(reader, writer)| (writer, reader))?,
        ChildFd::Duplex => UnixStream::pair().map(|(near, far)| (far.into(), near.into()))?,
    };
    ours.push((number, own));
    Ok(theirs)
}

/// A copy that the child gives this number: no smaller than it. The child has the original no more.
fn copy(original: &OwnedFd, number: RawFd) -> io::Result<OwnedFd> {
    rustix::io::fcntl_setfd(original, FdFlags::CLOEXEC)?;
    Ok(rustix::io::fcntl_dupfd_cloexec(original, number)?)
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(pipe_with(PipeFlags::CLOEXEC)?)
}

fn null() -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open("/dev/null")
}
