//! Child processes, awaited.
//!
//! * This file: a child, as a program holds it. `wait`: waiting for its exit. `output`: a whole run of a program.

mod output;
mod wait;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::os::fd::RawFd;
use std::panic::Location;
use std::rc::{Rc, Weak};
use std::task::Waker;

use marline_reactor::{Command, Exit, Handle, Process, ProcessProtocol, Remote, SignalKind, SpawnError};

pub use output::{Output, output, output_up_to};
pub use wait::Wait;

use crate::error::WrongThread;
use crate::local::Local;
use crate::net::{Stream, on_loop};
use crate::table::{Table, TableKey};
use crate::wake::{discard, wake};

const WHAT: &str = "a child process";

/// The children of a loop.
#[derive(Default)]
pub(crate) struct Children {
    table: RefCell<Table<State>>,
}

#[derive(Default)]
struct State {
    /// `None` while it is being started.
    process: Option<Process>,
    exit: Option<Exit>,
    tickets: u64,
    waiters: Vec<Waiter>,
}

struct Waiter {
    ticket: u64,
    /// `None` if it was woken and has not come yet.
    waker: Option<Waker>,
}

impl Children {
    /// Works on a child. `change` must run no code of anybody else's.
    fn with<R>(&self, key: TableKey, change: impl FnOnce(&mut State) -> R) -> Option<R> {
        self.table.borrow_mut().get_mut(key).map(change)
    }

    fn exited(&self, key: TableKey, exit: Exit) {
        let wakers: Option<Vec<_>> = self.with(key, |state| {
            state.exit = Some(exit);
            state.waiters.iter_mut().filter_map(|waiter| waiter.waker.take()).collect()
        });
        wakers.into_iter().flatten().for_each(|waker| wake(waker, WHAT));
    }

    fn remove(&self, key: TableKey) {
        let state = self.table.borrow_mut().remove(key);
        let Some(State { process, waiters, .. }) = state else { return };
        drop(process);
        waiters.into_iter().for_each(|waiter| discard(waiter.waker, WHAT));
    }

    /// The loop has ended: everybody is woken, and finds an error.
    pub(crate) fn end(&self) {
        let waiters = self.table.take().into_values().flat_map(|state| state.waiters);
        waiters.filter_map(|waiter| waiter.waker).for_each(|waker| wake(waker, WHAT));
    }
}

/// Tells the loop's tasks.
struct Told {
    local: Weak<Local>,
    key: TableKey,
}

impl ProcessProtocol for Told {
    fn exited(&mut self, _: &Process, exit: Exit) {
        if let Some(local) = self.local.upgrade() {
            local.children.exited(self.key, exit);
        }
    }
}

/// A child process.
///
/// It is plain data, `Send` and `Sync`, and belongs to its loop as a [`Stream`] does. Dropping it lets the child go on, and
/// the loop collects its status; with [`kill_on_drop`](Command::kill_on_drop) it kills it.
///
/// ```
/// use marline_reactor::{Command, Exit};
/// use marline_tasks::Child;
///
/// # marline_tasks::run(async {
/// let mut child = Child::spawn(Command::new("cat").piped())?;
/// let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
/// input.write_all(b"hello").await?;
/// input.close().await?;
/// let mut bytes = [0; 5];
/// assert_eq!(output.read(&mut bytes).await?, 5);
/// assert_eq!(child.wait().await?, Exit::Code(0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub struct Child {
    /// What it reads, if that is a pipe to us.
    pub stdin: Option<Stream>,
    /// What it writes, if that is a pipe to us.
    pub stdout: Option<Stream>,
    /// Where it reports errors, if that is a pipe to us.
    pub stderr: Option<Stream>,
    others: BTreeMap<RawFd, Stream>,
    remote: Remote,
    key: TableKey,
    id: u32,
}

impl Child {
    /// Starts a child process, on the loop that runs here. Its pipes are streams.
    ///
    /// # Errors
    ///
    /// As [`Handle::spawn_process`]; also without a loop.
    #[track_caller]
    pub fn spawn(command: Command) -> Result<Self, SpawnError> {
        let handle = Handle::current().map_err(|_| SpawnError::NotInLoop)?;
        let local = Local::of(&handle).ok_or(SpawnError::Over)?;
        let key = local.children.table.borrow_mut().insert(State::default());
        let started = handle.spawn_process(command, Told { local: Rc::downgrade(&local), key });
        let process = match started {
            Ok(process) => process,
            Err(error) => {
                local.children.remove(key);
                return Err(error);
            }
        };
        let pipes = process.pipes().into_iter().filter_map(|number| {
            // Nobody has closed it yet, so it is there.
            Some((number, Stream::from_transport(&process.transport(number)?).ok()?))
        });
        let mut others: BTreeMap<_, _> = pipes.collect();
        let (stdin, stdout, stderr) = (others.remove(&0), others.remove(&1), others.remove(&2));
        let id = process.id();
        local.children.with(key, |state| state.process = Some(process));
        Ok(Self { stdin, stdout, stderr, others, remote: handle.remote(), key, id })
    }

    /// The pipe to a descriptor of the child's: once.
    pub fn take_pipe(&mut self, descriptor: RawFd) -> Option<Stream> {
        match descriptor {
            0 => self.stdin.take(),
            1 => self.stdout.take(),
            2 => self.stderr.take(),
            _ => self.others.remove(&descriptor),
        }
    }

    /// Its number. After the exit it may be that of another process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// How it ended, if it did.
    ///
    /// # Errors
    ///
    /// On the wrong thread, and after the end of the loop.
    #[track_caller]
    pub fn try_wait(&self) -> io::Result<Option<Exit>> {
        self.state(|state| state.exit)
    }

    /// Waits until it has exited, whatever its pipes do: any number of times, and in any number of tasks.
    ///
    /// # Errors
    ///
    /// On the wrong thread, and after the end of the loop.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses nothing.
    #[track_caller]
    pub fn wait(&self) -> Wait<'_> {
        Wait::new(self, Location::caller())
    }

    /// Sends it a signal.
    ///
    /// # Errors
    ///
    /// As [`Process::signal`], as an [`io::Error`]: of the kind `NotFound` if it has ended. Also on the wrong thread, and after
    /// the end of the loop.
    #[track_caller]
    pub fn signal(&self, signal: SignalKind) -> io::Result<()> {
        let process = self.state(|state| state.process.clone())?;
        Ok(process.ok_or(io::ErrorKind::NotFound)?.signal(signal)?)
    }

    /// Kills it (SIGKILL), whatever it does.
    ///
    /// # Errors
    ///
    /// As [`signal`](Self::signal).
    #[track_caller]
    pub fn kill(&self) -> io::Result<()> {
        self.signal(SignalKind::KILL)
    }

    fn local(&self, place: &'static Location<'static>) -> io::Result<Rc<Local>> {
        Local::find(&self.remote).ok_or_else(|| WrongThread::of(WHAT, &self.remote, Some(place)).into())
    }

    #[track_caller]
    fn state<R>(&self, look: impl FnOnce(&mut State) -> R) -> io::Result<R> {
        let local = self.local(Location::caller())?;
        local.children.with(self.key, look).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        on_loop(&self.remote, self.key, |local, key| local.children.remove(key));
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Child({})", self.id)
    }
}
