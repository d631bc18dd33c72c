//! What a loop keeps of its processes.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::fd::RawFd;
use std::panic::Location;
use std::rc::{Rc, Weak};

use super::child::{Child, collect_orphans};
use super::handle::{Facts, Killer};
use super::{Exit, KillError, Process, ProcessProtocol};
use crate::backend::{Close, Started};
use crate::key::Key;
use crate::os_signal::{SignalHandler, SignalKind};
use crate::reactor::{Shell, Slot};
use crate::slab::Slab;
use crate::transport::Transport;

/// The processes of a loop.
pub(crate) struct ProcessTable {
    table: Slab<Entry>,
    /// How many keep the loop alive.
    keeping: usize,
    /// How many slots of the loop's stand for the exit of one.
    slots: usize,
    /// Asks those that no descriptor stands for.
    sigchld: Option<SignalHandler>,
}

struct Entry {
    child: Box<dyn Child>,
    /// What tells of the exit, where that has a slot of its own.
    slot: Option<Key>,
    /// `None` while it is called.
    protocol: Option<Box<dyn ProcessProtocol>>,
    facts: Rc<Facts>,
    killer: Weak<Killer>,
    kills: bool,
    /// Whether the protocol knows of it: nothing else is told before.
    is_made: bool,
    /// Collected, and not told yet.
    collected: Option<Exit>,
    pipes: BTreeMap<RawFd, Transport>,
    /// How many pipes are still to end.
    open: usize,
    keeps_alive: bool,
    name: String,
    place: &'static Location<'static>,
}

impl Default for ProcessTable {
    fn default() -> Self {
        Self { table: Slab::new(), keeping: 0, slots: 0, sigchld: None }
    }
}

impl ProcessTable {
    /// How many of the loop's slots are taken by it.
    pub(crate) fn slots(&self) -> usize {
        self.slots
    }

    pub(crate) fn keep_alive(&self) -> bool {
        self.keeping > 0
    }

    /// A line for each.
    pub(crate) fn rows(&self) -> Vec<String> {
        self.table.values().map(Entry::row).collect()
    }

    pub(super) fn has_sigchld(&self) -> bool {
        self.sigchld.as_ref().is_some_and(SignalHandler::is_active)
    }

    pub(super) fn set_sigchld(&mut self, handler: SignalHandler) {
        self.sigchld = Some(handler);
    }

    fn let_go(&mut self, key: Key) {
        if let Some(entry) = self.table.get_mut(key) {
            self.keeping -= usize::from(std::mem::take(&mut entry.keeps_alive));
        }
    }
}

impl Entry {
    fn row(&self) -> String {
        let state = match self.facts.exit.get() {
            Some(exit) => exit.to_string(),
            None => "runs".to_owned(),
        };
        format!(
            "{} {}: {state}, {} pipes open, started at {}",
            self.facts.id, self.name, self.open, self.place
        )
    }

    /// Whether it has ended, told or not.
    fn has_exited(&mut self) -> bool {
        if self.facts.exit.get().is_none() && self.collected.is_none() {
            self.collected = self.child.try_exit();
        }
        self.facts.exit.get().or(self.collected).is_some()
    }
}

impl Shell {
    /// Works on a process. `change` must run no code of the user's.
    fn process<R>(&self, key: Key, change: impl FnOnce(&mut Entry) -> R) -> Option<R> {
        self.processes.borrow_mut().table.get_mut(key).map(change)
    }

    pub(super) fn add_process(
        self: &Rc<Self>,
        program: &OsStr,
        child: Box<dyn Child>,
        protocol: Box<dyn ProcessProtocol>,
        kills: bool,
        place: &'static Location<'static>,
    ) -> Process {
        let facts = Rc::new(Facts { id: child.id(), exit: Cell::new(None) });
        let mut processes = self.processes.borrow_mut();
        processes.keeping += 1;
        let key = processes.table.insert(Entry {
            child,
            slot: None,
            protocol: Some(protocol),
            facts: Rc::clone(&facts),
            killer: Weak::new(),
            kills,
            is_made: false,
            collected: None,
            pipes: BTreeMap::new(),
            open: 0,
            keeps_alive: true,
            name: program.to_string_lossy().into_owned(),
            place,
        });
        let killer = Rc::new(Killer { shell: self.weak(), key, kills });
        if let Some(entry) = processes.table.get_mut(key) {
            entry.killer = Rc::downgrade(&killer);
        }
        Process::new(self, key, &facts, Some(killer))
    }

    // How it begins.

    /// The descriptor that tells of its exit, and whether the backend tells of it.
    pub(super) fn child_source(&self, key: Key) -> (Option<RawFd>, bool) {
        self.process(key, |entry| (entry.child.descriptor(), entry.child.is_told())).unwrap_or_default()
    }

    pub(super) fn set_child_slot(&self, key: Key, slot: Key) {
        self.process(key, |entry| entry.slot = Some(slot));
        self.processes.borrow_mut().slots += 1;
    }

    pub(super) fn expect_pipe(&self, key: Key) {
        self.process(key, |entry| entry.open += 1);
    }

    pub(super) fn keep_pipe(&self, key: Key, number: RawFd, transport: Transport) {
        self.process(key, |entry| entry.pipes.insert(number, transport));
    }

    /// Takes a beginning back: the child is killed, and nobody hears of it.
    pub(super) fn undo_process(&self, key: Key) {
        self.end_child_slot(key);
        self.processes.borrow_mut().let_go(key);
        let entry = self.processes.borrow_mut().table.remove(key);
        let Some(mut entry) = entry else { return };
        entry.child.end();
        entry.pipes.values().for_each(Transport::abort);
        self.contained(move || drop(entry.protocol));
    }

    // What the program asks.

    pub(super) fn process_pipe(&self, key: Key, number: RawFd) -> Option<Transport> {
        self.process(key, |entry| entry.pipes.get(&number).cloned()).flatten()
    }

    pub(super) fn process_pipes(&self, key: Key) -> Vec<RawFd> {
        self.process(key, |entry| entry.pipes.keys().copied().collect()).unwrap_or_default()
    }

    pub(super) fn signal_process(self: &Rc<Self>, key: Key, signal: SignalKind) -> Result<(), KillError> {
        let sent = self.process(key, |entry| {
            if entry.has_exited() {
                return Err(KillError::Exited);
            }
            entry.child.signal(signal).map_err(|cause| KillError::System { signal, cause })
        });
        // A loop forgets a child whose exit it has not told of only when it ends.
        let sent = sent.unwrap_or(Err(KillError::Over));
        if matches!(sent, Err(KillError::Exited)) {
            // It may have been found out just now.
            self.soon_at(Location::caller(), move |shell| shell.child_told(key));
        }
        sent
    }

    pub(super) fn unreference_process(&self, key: Key) {
        self.processes.borrow_mut().let_go(key);
        self.may_be_idle();
    }

    // What happens.

    /// Calls the protocol of a process.
    pub(super) fn tell_process<R>(
        self: &Rc<Self>,
        key: Key,
        call: impl FnOnce(&mut dyn ProcessProtocol, &Process) -> R,
    ) -> Option<R> {
        let lent = self.process(key, |entry| {
            let protocol = entry.protocol.take()?;
            Some((protocol, Process::new(self, key, &entry.facts, entry.killer.upgrade())))
        });
        let (protocol, process) = lent.flatten()?;
        let mut lent = Lent { shell: self, key, protocol: Some(protocol) };
        lent.protocol.as_mut().map(|protocol| call(&mut **protocol, &process))
    }

    /// The first callback. The exit may have come before it.
    pub(super) fn tell_made(self: &Rc<Self>, key: Key) {
        let place = self.process(key, |entry| {
            entry.is_made = true;
            entry.place
        });
        let Some(place) = place else { return };
        self.contained_at(place, || self.tell_process(key, |protocol, process| protocol.made(process)));
        self.child_told(key);
    }

    /// Something happened with a child: it may have exited.
    pub(crate) fn child_told(self: &Rc<Self>, key: Key) {
        let exited = self.process(key, |entry| {
            if !entry.is_made || entry.facts.exit.get().is_some() || !entry.has_exited() {
                return None;
            }
            let exit = entry.collected.take()?;
            entry.facts.exit.set(Some(exit));
            Some((exit, entry.place))
        });
        let Some((exit, place)) = exited.flatten() else { return };
        self.end_child_slot(key);
        self.contained_at(place, || {
            self.tell_process(key, |protocol, process| protocol.exited(process, exit))
        });
        self.may_have_ended(key);
    }

    /// SIGCHLD came, for whichever.
    pub(super) fn ask_children(self: &Rc<Self>) {
        let keys = self.processes.borrow().table.keys();
        keys.into_iter().for_each(|key| self.child_told(key));
    }

    /// A pipe has ended, or belongs to another protocol.
    pub(super) fn pipe_gone(self: &Rc<Self>, key: Key, number: RawFd, is_lost: bool) {
        let told = self.process(key, |entry| {
            entry.open -= 1;
            if is_lost { entry.pipes.remove(&number) } else { None }
        });
        if told.is_some() {
            self.soon_at(Location::caller(), move |shell| shell.may_have_ended(key));
        }
    }

    fn may_have_ended(self: &Rc<Self>, key: Key) {
        let ended = self.process(key, |entry| entry.open == 0 && entry.protocol.is_some());
        let exit = self.process(key, |entry| entry.facts.exit.get()).flatten();
        let (Some(true), Some(exit)) = (ended, exit) else { return };
        let mut processes = self.processes.borrow_mut();
        processes.let_go(key);
        let entry = processes.table.remove(key);
        drop(processes);
        let Some(Entry { mut protocol, facts, killer, place, .. }) = entry else { return };
        let process = Process::new(self, key, &facts, killer.upgrade());
        self.contained_at(place, || protocol.iter_mut().for_each(|protocol| protocol.ended(&process, exit)));
        self.contained_at(place, move || drop(protocol));
        self.may_be_idle();
    }

    /// Nothing tells of this child any more.
    fn end_child_slot(&self, key: Key) {
        let slot = self.process(key, |entry| entry.slot.take()).flatten();
        let Some(slot) = slot else { return };
        self.processes.borrow_mut().slots -= 1;
        self.slot(slot, |slot| *slot = Slot::Reserved);
        let started = self.backend().close(slot, Close::Orderly);
        if let Started::Done(()) = started {
            self.remove_slot(slot);
        }
    }

    // The end.

    /// At a shutdown: nobody waits for children any more. Their pipes are lost as other connections are.
    pub(crate) fn leave_children(&self) {
        let keys = self.processes.borrow().table.keys();
        for key in keys {
            self.end_child_slot(key);
            self.processes.borrow_mut().let_go(key);
            self.process(key, Entry::leave);
        }
    }

    /// At the end of the loop.
    pub(crate) fn clear_processes(&self) {
        self.leave_children();
        let table = std::mem::take(&mut *self.processes.borrow_mut());
        for entry in table.table.into_values() {
            let Entry { protocol, child, .. } = entry;
            self.contained(move || drop(protocol));
            drop(child);
        }
        collect_orphans();
    }
}

impl Entry {
    fn leave(&mut self) {
        if self.kills && !self.has_exited() {
            self.child.end();
        }
    }
}

/// A protocol that is called, and comes back, also if it panics.
struct Lent<'a> {
    shell: &'a Rc<Shell>,
    key: Key,
    protocol: Option<Box<dyn ProcessProtocol>>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let protocol = self.protocol.take();
        let mut left = protocol;
        self.shell.process(self.key, |entry| entry.protocol = left.take());
        if let Some(protocol) = left {
            self.shell.contained(move || drop(protocol));
        }
    }
}
