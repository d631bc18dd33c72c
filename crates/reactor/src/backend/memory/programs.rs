//! Programs without a kernel: a test plays the child.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, ErrorKind};
use std::os::fd::RawFd;
use std::rc::{Rc, Weak};

use super::network::Network;
use super::peer::Peer;
use super::state::Id;
use super::virtual_stream::{StreamKind, VirtualStream};
use crate::backend::{Completion, Opening, Spawned};
use crate::key::Key;
use crate::os_signal::SignalKind;
use crate::process::{Child, ChildFd, Command, Exit};
use crate::watch::Ready;

type Started = RefCell<VecDeque<VirtualChild>>;

/// The programs of a network, by name. They belong to the test.
#[derive(Default)]
pub(super) struct Programs {
    known: BTreeMap<OsString, Weak<Started>>,
    /// How many children were ever started.
    made: u32,
}

impl fmt::Debug for Programs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.known.keys()).finish()
    }
}

/// A program that loops on a memory network can start, by the name that it was [added](Network::add_program) with. What it
/// does, the test does with each [`VirtualChild`]. Without this handle there is no such program.
///
/// ```
/// use marline_reactor::testing::MemoryReactor;
/// use marline_reactor::{Command, Exit, Process};
/// use std::{cell::Cell, rc::Rc};
///
/// let (memory, seen) = (MemoryReactor::new(), Rc::new(Cell::new(None)));
/// let cat = memory.network().add_program("cat");
/// let exit = Rc::clone(&seen);
/// memory.handle().spawn_process(Command::new("cat").piped(), move |_: &Process, how: Exit| exit.set(Some(how)))?;
///
/// let child = cat.started().expect("it was started");
/// child.exit(Exit::Code(3));
/// memory.pump();
/// assert_eq!(seen.get(), Some(Exit::Code(3)));
/// # Ok::<(), marline_reactor::SpawnError>(())
/// ```
#[derive(Debug)]
pub struct VirtualProgram {
    started: Rc<Started>,
}

impl VirtualProgram {
    /// The next child that was started and not taken yet, in order.
    #[must_use]
    pub fn started(&self) -> Option<VirtualChild> {
        self.started.borrow_mut().pop_front()
    }
}

/// A child process without a kernel, from its own side. Clones are the same child.
#[derive(Clone)]
pub struct VirtualChild {
    running: Rc<RefCell<Running>>,
}

struct Running {
    id: u32,
    args: Vec<OsString>,
    pipes: BTreeMap<RawFd, Peer>,
    signals: Vec<SignalKind>,
    exit: Option<Exit>,
    /// Who is told of the exit.
    parent: (Network, Id, Key),
}

impl VirtualChild {
    /// Its number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.running.borrow().id
    }

    /// Its arguments.
    #[must_use]
    pub fn args(&self) -> Vec<OsString> {
        self.running.borrow().args.clone()
    }

    /// Its end of the pipe that is this descriptor of its, once. It outlives the child if it is kept, as one that a
    /// grandchild holds.
    #[must_use]
    pub fn take_pipe(&self, descriptor: RawFd) -> Option<Peer> {
        self.running.borrow_mut().pipes.remove(&descriptor)
    }

    /// The signals that it got since this was asked last. SIGKILL has ended it; whether another does is for the test to say.
    #[must_use]
    pub fn signals(&self) -> Vec<SignalKind> {
        std::mem::take(&mut self.running.borrow_mut().signals)
    }

    /// Whether it has exited, or was killed.
    #[must_use]
    pub fn has_exited(&self) -> bool {
        self.running.borrow().exit.is_some()
    }

    /// It exits: the pipes that were not taken are closed, and its parent is told. Once.
    pub fn exit(&self, exit: Exit) {
        end(&self.running, exit);
    }
}

impl fmt::Debug for VirtualChild {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VirtualChild({})", self.id())
    }
}

fn end(running: &RefCell<Running>, exit: Exit) {
    let mut child = running.borrow_mut();
    if child.exit.is_some() {
        return;
    }
    child.exit = Some(exit);
    let pipes = std::mem::take(&mut child.pipes);
    let (network, inbox, key) = child.parent.clone();
    drop(child);
    drop(pipes);
    let mut state = network.state();
    if state.children.contains(&(inbox, key)) {
        if let Some(inbox) = state.inboxes.get_mut(inbox) {
            inbox.push(Completion::Ready { key, ready: Ready::READABLE });
        }
    }
}

/// The child as its loop has it.
struct Parented {
    id: u32,
    running: Rc<RefCell<Running>>,
}

impl Child for Parented {
    fn id(&self) -> u32 {
        self.id
    }

    fn is_told(&self) -> bool {
        true
    }

    fn try_exit(&mut self) -> Option<Exit> {
        self.running.borrow().exit
    }

    fn signal(&mut self, signal: SignalKind) -> io::Result<()> {
        self.running.borrow_mut().signals.push(signal);
        if signal == SignalKind::KILL {
            end(&self.running, Exit::Signal { signal, core_dumped: false });
        }
        Ok(())
    }

    fn end(&mut self) {
        end(&self.running, Exit::Signal { signal: SignalKind::KILL, core_dumped: false });
    }
}

impl Network {
    /// Adds a program that loops on this network can start. One that has the same name is replaced.
    #[must_use]
    pub fn add_program(&self, name: impl AsRef<OsStr>) -> VirtualProgram {
        let started = Rc::<Started>::default();
        self.state().programs.known.insert(name.as_ref().to_owned(), Rc::downgrade(&started));
        VirtualProgram { started }
    }

    /// Starts a program for a key of a backend's.
    pub(super) fn spawn(&self, inbox: Id, key: Key, command: &Command) -> io::Result<Spawned> {
        let known = self.state().programs.known.get(command.get_program()).and_then(Weak::upgrade);
        let started = known.ok_or(ErrorKind::NotFound)?;
        let (mut ours, mut theirs) = (Vec::new(), BTreeMap::new());
        for (number, what) in command.get_descriptors() {
            if let Some((stream, peer)) = self.pipe(what)? {
                ours.push((number, Opening::from(stream)));
                theirs.insert(number, peer);
            }
        }
        let mut state = self.state();
        state.programs.made += 1;
        let id = state.programs.made;
        state.children.insert((inbox, key));
        drop(state);
        let running = Rc::new(RefCell::new(Running {
            id,
            args: command.get_args().map(OsStr::to_owned).collect(),
            pipes: theirs,
            signals: Vec::new(),
            exit: None,
            parent: (self.clone(), inbox, key),
        }));
        started.borrow_mut().push_back(VirtualChild { running: Rc::clone(&running) });
        Ok(Spawned { child: Box::new(Parented { id, running }), pipes: ours })
    }

    /// What one of its descriptors is, if it is a pipe.
    fn pipe(&self, what: &ChildFd) -> io::Result<Option<(VirtualStream, Peer)>> {
        let kind = match what {
            ChildFd::Inherit | ChildFd::Null => return Ok(None),
            ChildFd::Input => StreamKind::WritePipe,
            ChildFd::Output => StreamKind::ReadPipe,
            ChildFd::Duplex => StreamKind::Duplex,
            // There are no descriptors here.
            ChildFd::Descriptor(_) => return Err(ErrorKind::Unsupported.into()),
        };
        Ok(Some(self.stream(kind)))
    }
}
