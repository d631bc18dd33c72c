//! Child processes.
//!
//! * `command`: what to start, and how; `prepare`: its descriptors, and our ends of them; `exec`: what is done in the child
//!   before the program is.
//! * `child`: a child of the system's, by way of `pidfd` (or `no_pidfd`); `exit`: how one ended; `error`: what can go wrong.
//! * `protocol`: what a program gives the loop; `pipe`: the protocol of a pipe, which tells it; `handle`: the handle.
//! * `table`: what the loop keeps of a process; `starting`: how one begins. This file: the door.

mod child;
mod command;
mod error;
mod exec;
mod exit;
mod handle;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod no_pidfd;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod pidfd;
mod pipe;
mod prepare;
mod protocol;
mod starting;
mod table;

pub use child::{Child, Spawned};
pub use command::{ChildFd, Command};
pub use error::{KillError, SpawnError};
pub use exit::Exit;
pub use handle::Process;
pub use protocol::ProcessProtocol;
pub(crate) use table::ProcessTable;

use crate::reactor::Handle;

impl Handle {
    /// Starts a child process, and tells `protocol` what happens with it.
    ///
    /// The call returns when the program runs, or could not be executed. Everything else is told from the loop, also where the
    /// loop does not run yet: a child that exits before that is collected once it does. A closure
    /// `FnMut(&Process, Exit)` is a protocol that hears of the end alone.
    ///
    /// A loop that ends tells no more. Its children go on, unless they are [killed](Command::kill_on_drop); those that
    /// have ended are collected when another process is started, or another loop ends, in this program.
    ///
    /// # Errors
    ///
    /// If the program cannot be executed, one of the descriptors cannot be had, or the system refuses. Then no child and no
    /// descriptor is left, and the protocol is dropped.
    #[track_caller]
    pub fn spawn_process(
        &self,
        command: Command,
        protocol: impl ProcessProtocol,
    ) -> Result<Process, SpawnError> {
        self.shell().spawn_process(command, Box::new(protocol))
    }
}
