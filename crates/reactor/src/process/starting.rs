//! How a process begins.

use std::ffi::OsString;
use std::io;
use std::os::fd::RawFd;
use std::panic::Location;
use std::rc::Rc;

use super::child::{SystemChild, collect_orphans};
use super::pipe::Pipe;
use super::prepare::Prepared;
use super::{Command, Process, ProcessProtocol, SpawnError};
use crate::backend::{Opening, Spawned, Watchable};
use crate::key::Key;
use crate::os_signal::SignalKind;
use crate::reactor::{Shell, Slot};
use crate::ready::{Callback, Entry};
use crate::watch::Interest;

impl Shell {
    #[track_caller]
    pub(super) fn spawn_process(
        self: &Rc<Self>,
        command: Command,
        protocol: Box<dyn ProcessProtocol>,
    ) -> Result<Process, SpawnError> {
        let place = Location::caller();
        if self.refuses_work() {
            self.contained(move || drop(protocol));
            return Err(SpawnError::Over);
        }
        let (program, kills) = (command.name(), command.kill_on_drop);
        let slot = self.add_slot(Slot::Reserved);
        let started = self.start(slot, command);
        let Spawned { child, pipes } = match started {
            Ok(started) => started,
            Err(error) => {
                self.remove_slot(slot);
                self.contained(move || drop(protocol));
                return Err(error);
            }
        };
        let process = self.add_process(&program, child, protocol, kills, place);
        let key = process.key();
        self.soon_at(place, move |shell| shell.tell_made(key));
        let begun = self.watch_child(slot, key).map_err(|cause| system(&program, cause));
        let opened = begun.and_then(|()| self.open_pipes(&program, key, pipes));
        match opened {
            Ok(()) => Ok(process),
            Err(error) => {
                self.undo_process(key);
                Err(error)
            }
        }
    }

    /// Starts a program: the backend's own, or one of the system's.
    fn start(&self, slot: Key, command: Command) -> Result<Spawned, SpawnError> {
        let program = command.name();
        let own = self.backend().spawn(slot, &command);
        if let Some(own) = own {
            return own.map_err(|cause| system(&program, cause));
        }
        collect_orphans();
        let Prepared { program: mut prepared, originals, ours } = Prepared::new(command)?;
        let child = prepared.spawn().and_then(SystemChild::new).map_err(|cause| system(&program, cause))?;
        // The child's ends are closed here, so that we see it close them.
        drop((prepared, originals));
        let pipes = ours.into_iter().map(|(number, own)| (number, Opening::from(own))).collect();
        Ok(Spawned { child: Box::new(child), pipes })
    }

    /// Sees to it that the loop learns of the exit. It may come before this, which is looked after when the protocol was told
    /// of the process.
    fn watch_child(self: &Rc<Self>, slot: Key, process: Key) -> io::Result<()> {
        let (descriptor, is_told) = self.child_source(process);
        if descriptor.is_none() && !is_told {
            self.remove_slot(slot);
            return self.watch_sigchld();
        }
        self.slot(slot, |slot| *slot = Slot::Child(process));
        self.set_child_slot(process, slot);
        let what = descriptor.map(Watchable::Descriptor);
        what.map_or(Ok(()), |what| self.backend().watch(slot, what, Interest::READABLE.edge()))
    }

    /// Where there are no pidfds, the system tells that some child has ended, and each is asked.
    fn watch_sigchld(self: &Rc<Self>) -> io::Result<()> {
        if self.processes.borrow().has_sigchld() {
            return Ok(());
        }
        let weak = self.weak();
        let handler = self.on_signal(SignalKind::CHILD, move || {
            if let Some(shell) = weak.upgrade() {
                shell.ask_children();
            }
        })?;
        self.processes.borrow_mut().set_sigchld(handler);
        Ok(())
    }

    fn open_pipes(
        self: &Rc<Self>,
        program: &OsString,
        process: Key,
        pipes: Vec<(RawFd, Opening)>,
    ) -> Result<(), SpawnError> {
        for (number, opening) in pipes {
            let pipe = Pipe { shell: self.weak(), process, number, is_lost: false };
            self.expect_pipe(process);
            let transport = self.adopt_stream(opening, Box::new(pipe));
            let transport =
                transport.map_err(|cause| SpawnError::Pipe { program: program.clone(), number, cause })?;
            self.keep_pipe(process, number, transport);
        }
        Ok(())
    }

    /// Calls from the loop.
    pub(super) fn soon_at(
        self: &Rc<Self>,
        place: &'static Location<'static>,
        call: impl FnOnce(&Rc<Self>) + 'static,
    ) {
        let weak = self.weak();
        let call = move || {
            if let Some(shell) = weak.upgrade() {
                call(&shell);
            }
        };
        self.push(Entry::Call(Callback::new(call, place)));
    }
}

fn system(program: &OsString, cause: io::Error) -> SpawnError {
    SpawnError::System { program: program.clone(), cause }
}
