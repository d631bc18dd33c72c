//! What to start, and how.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;

/// What one of a child's descriptors is.
#[derive(Debug)]
#[non_exhaustive]
pub enum ChildFd {
    /// What the same number is in this process.
    Inherit,
    /// `/dev/null`.
    Null,
    /// A pipe that the child reads, and we write.
    Input,
    /// A pipe that the child writes, and we read.
    Output,
    /// One of a pair of sockets, whose other end we read and write.
    Duplex,
    /// A descriptor of ours. It is closed here, and may be open elsewhere in this process.
    Descriptor(OwnedFd),
}

impl From<OwnedFd> for ChildFd {
    fn from(descriptor: OwnedFd) -> Self {
        Self::Descriptor(descriptor)
    }
}

impl From<File> for ChildFd {
    fn from(file: File) -> Self {
        Self::Descriptor(file.into())
    }
}

impl From<UnixStream> for ChildFd {
    fn from(stream: UnixStream) -> Self {
        Self::Descriptor(stream.into())
    }
}

/// A program to start, and what it is to find: arguments, environment, descriptors.
///
/// A child has the descriptors 0, 1 and 2 of this process, unless they are set, and no other than those that are set here:
/// whatever else is open in this process, be it without close-on-exec, is closed in the child (on Linux, from 5.11 on).
/// Its signals are those of a fresh process: none is blocked, and none is ignored, unless
/// [`keep_ignored_signals`](Self::keep_ignored_signals) says so.
#[derive(Debug)]
pub struct Command {
    pub(super) program: std::process::Command,
    pub(super) descriptors: BTreeMap<RawFd, ChildFd>,
    /// `None` is ours.
    pub(super) group: Option<i32>,
    pub(super) session: bool,
    pub(super) terminal: Option<OwnedFd>,
    pub(super) keep_ignored: bool,
    pub(super) kill_on_drop: bool,
}

impl Command {
    /// Starts this program: a path, or a name that is looked for in `PATH`.
    #[must_use]
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: std::process::Command::new(program),
            descriptors: BTreeMap::new(),
            group: None,
            session: false,
            terminal: None,
            keep_ignored: false,
            kill_on_drop: false,
        }
    }

    fn change(mut self, change: impl FnOnce(&mut std::process::Command)) -> Self {
        change(&mut self.program);
        self
    }

    // What it is told.

    /// Adds an argument.
    #[must_use]
    pub fn arg(self, arg: impl AsRef<OsStr>) -> Self {
        self.change(|program| _ = program.arg(arg))
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(self, args: impl IntoIterator<Item = A>) -> Self {
        self.change(|program| _ = program.args(args))
    }

    /// Sets a variable of its environment, which is otherwise that of this process.
    #[must_use]
    pub fn env(self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.change(|program| _ = program.env(name, value))
    }

    /// Removes a variable from its environment.
    #[must_use]
    pub fn env_remove(self, name: impl AsRef<OsStr>) -> Self {
        self.change(|program| _ = program.env_remove(name))
    }

    /// Begins with an empty environment.
    #[must_use]
    pub fn env_clear(self) -> Self {
        self.change(|program| _ = program.env_clear())
    }

    /// Where it runs. Whether a relative path of the program is looked for there or here is the system's matter.
    #[must_use]
    pub fn current_dir(self, folder: impl AsRef<Path>) -> Self {
        self.change(|program| _ = program.current_dir(folder))
    }

    // Who it is.

    /// The user as whom it runs.
    #[must_use]
    pub fn uid(self, user: u32) -> Self {
        self.change(|program| _ = program.uid(user))
    }

    /// The group as which it runs.
    #[must_use]
    pub fn gid(self, group: u32) -> Self {
        self.change(|program| _ = program.gid(group))
    }

    /// The process group that it joins; 0 is a new one of its own, which the terminal's Ctrl-C does not reach.
    #[must_use]
    pub fn process_group(mut self, group: i32) -> Self {
        self.group = Some(group);
        self
    }

    /// Begins a new session, without a terminal. The child leads it, and a process group in it.
    #[must_use]
    pub fn session(mut self) -> Self {
        self.session = true;
        self
    }

    /// Begins a new session whose controlling terminal is this: the far side of a PTY. Those of the descriptors 0, 1 and 2 that
    /// are not set are the terminal, too.
    #[must_use]
    pub fn terminal(mut self, terminal: impl Into<OwnedFd>) -> Self {
        self.session = true;
        self.terminal = Some(terminal.into());
        self
    }

    // What it has open.

    /// What the child's descriptor of this number is.
    #[must_use]
    pub fn descriptor(mut self, number: RawFd, what: impl Into<ChildFd>) -> Self {
        self.descriptors.insert(number, what.into());
        self
    }

    /// What the child's descriptor of this number is, unless that was said before.
    #[must_use]
    pub fn descriptor_or(mut self, number: RawFd, what: impl Into<ChildFd>) -> Self {
        self.descriptors.entry(number).or_insert_with(|| what.into());
        self
    }

    /// What its standard input is: descriptor 0.
    #[must_use]
    pub fn stdin(self, what: impl Into<ChildFd>) -> Self {
        self.descriptor(0, what)
    }

    /// What its standard output is: descriptor 1.
    #[must_use]
    pub fn stdout(self, what: impl Into<ChildFd>) -> Self {
        self.descriptor(1, what)
    }

    /// What its standard error is: descriptor 2.
    #[must_use]
    pub fn stderr(self, what: impl Into<ChildFd>) -> Self {
        self.descriptor(2, what)
    }

    /// Pipes to and from all three of them.
    #[must_use]
    pub fn piped(self) -> Self {
        self.stdin(ChildFd::Input).stdout(ChildFd::Output).stderr(ChildFd::Output)
    }

    // What becomes of it.

    /// Lets the child ignore the signals that this process ignores, as a program under `nohup` may want. SIGPIPE, which
    /// Rust's runtime ignores, is reset in any case.
    #[must_use]
    pub fn keep_ignored_signals(mut self) -> Self {
        self.keep_ignored = true;
        self
    }

    /// Kills the child (SIGKILL) when the last [`Process`](crate::Process) handle of it is dropped, or its loop ends. Otherwise
    /// it goes on then, and the loop still collects its status, so that it never becomes a zombie.
    #[must_use]
    pub fn kill_on_drop(mut self) -> Self {
        self.kill_on_drop = true;
        self
    }

    // What was said.

    /// The program.
    #[must_use]
    pub fn get_program(&self) -> &OsStr {
        self.program.get_program()
    }

    /// Its arguments.
    pub fn get_args(&self) -> impl Iterator<Item = &OsStr> {
        self.program.get_args()
    }

    /// Its descriptors, those that it has in any case left out.
    pub fn get_descriptors(&self) -> impl Iterator<Item = (RawFd, &ChildFd)> {
        self.descriptors.iter().map(|(number, what)| (*number, what))
    }

    /// Its variables that differ from ours; `None` for one that is removed.
    pub fn get_envs(&self) -> impl Iterator<Item = (&OsStr, Option<&OsStr>)> {
        self.program.get_envs()
    }

    /// The program's name, for people.
    pub(super) fn name(&self) -> OsString {
        self.program.get_program().to_owned()
    }
}
