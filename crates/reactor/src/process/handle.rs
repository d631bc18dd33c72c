//! The handle of a process.

use std::cell::Cell;
use std::fmt;
use std::os::fd::RawFd;
use std::rc::{Rc, Weak};

use super::{Exit, KillError};
use crate::key::Key;
use crate::os_signal::SignalKind;
use crate::reactor::{Handle, Shell};
use crate::transport::Transport;

/// A child process, made by [`Handle::spawn_process`]: a small handle, `Clone` and not `Send`.
///
/// Dropping it changes nothing: the loop owns the child, and collects its status. With
/// [`kill_on_drop`](crate::Command::kill_on_drop) the drop of the last one kills it. A child keeps the loop alive until
/// it has ended, unless it is [`unreference`](Self::unreference)d.
#[derive(Clone)]
pub struct Process {
    shell: Rc<Shell>,
    key: Key,
    facts: Rc<Facts>,
    /// Kills, where that was asked for. `None` for the handle that a callback is lent after the last of the program's is gone.
    _killer: Option<Rc<Killer>>,
}

/// What is known of a process, also after its end.
pub(super) struct Facts {
    pub(super) id: u32,
    pub(super) exit: Cell<Option<Exit>>,
}

/// Its drop kills the process.
pub(super) struct Killer {
    pub(super) shell: Weak<Shell>,
    pub(super) key: Key,
    pub(super) kills: bool,
}

impl Process {
    pub(super) fn new(shell: &Rc<Shell>, key: Key, facts: &Rc<Facts>, killer: Option<Rc<Killer>>) -> Self {
        Self { shell: Rc::clone(shell), key, facts: Rc::clone(facts), _killer: killer }
    }

    pub(super) fn key(&self) -> Key {
        self.key
    }

    /// Its number. After the exit it may be that of another process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.facts.id
    }

    /// How it ended, from `exited` on.
    #[must_use]
    pub fn exit(&self) -> Option<Exit> {
        self.facts.exit.get()
    }

    /// The pipe to this descriptor of the child's, with all that a transport has: to write, to pause, to close. `None` if
    /// there is none, and after `ended`.
    ///
    /// Another protocol that is [put there](Transport::set_protocol) has the pipe for itself: the process's protocol
    /// hears of it no more, and `ended` does not wait for it.
    #[must_use]
    pub fn transport(&self, descriptor: RawFd) -> Option<Transport> {
        self.shell.process_pipe(self.key, descriptor)
    }

    /// The child's descriptors to which there are pipes.
    #[must_use]
    pub fn pipes(&self) -> Vec<RawFd> {
        self.shell.process_pipes(self.key)
    }

    /// Sends it a signal.
    ///
    /// # Errors
    ///
    /// If it has ended, be it that `exited` was not told yet; then nobody else is hit who got its number. (One that
    /// ends just now takes it to its grave.) Also if the system refuses, or the loop has ended. `InvalidInput` for a signal
    /// without a name, as those for real time are.
    pub fn signal(&self, signal: SignalKind) -> Result<(), KillError> {
        if self.exit().is_some() {
            return Err(KillError::Exited);
        }
        self.shell.signal_process(self.key, signal)
    }

    /// Kills it (SIGKILL), whatever it does. Children of its own go on.
    ///
    /// # Errors
    ///
    /// As [`signal`](Self::signal).
    pub fn kill(&self) -> Result<(), KillError> {
        self.signal(SignalKind::KILL)
    }

    /// Lets [`run`](crate::Reactor::run) return although it has not ended. Pipes to it keep the loop alive still.
    pub fn unreference(&self) {
        self.shell.unreference_process(self.key);
    }

    /// Its loop.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle::new(Rc::clone(&self.shell))
    }
}

impl Drop for Killer {
    fn drop(&mut self) {
        if let (true, Some(shell)) = (self.kills, self.shell.upgrade()) {
            // An error says that it has ended.
            let _ = shell.signal_process(self.key, SignalKind::KILL);
        }
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").field("id", &self.id()).field("exit", &self.exit()).finish_non_exhaustive()
    }
}
