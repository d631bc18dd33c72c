//! The loop.
//!
//! * `shell`: what every handle points to; `context`: which loop is the current one; `config`: how one is made.
//! * `handle`: what a program asks of a loop.
//! * `turn`: one pass, in numbered phases, and `events` the second of these; `run`: many passes.
//! * `host`: what a foreign loop that drives this one is told.
//! * `shutdown`: the hooks, and telling everybody; `end`: the order in which a dropped loop is emptied.
//! * `local`: storage of the loop's own; `stats`: what it counts; `failure`: who is told of failures that belong to no
//!   connection.

mod config;
mod context;
mod end;
mod events;
mod failure;
mod handle;
mod host;
mod local;
mod run;
mod shell;
mod shutdown;
mod stats;
mod turn;

use std::cell::OnceCell;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

pub use config::{Builder, OnPanic};
pub use context::LoopId;
pub use failure::Failure;
pub use handle::{Call, Handle, KeepAlive};
pub use host::Turned;
pub(crate) use shell::{Life, Shell};
pub use shutdown::{Hold, Phase};
pub use stats::Stats;

use crate::backend::Backend;
use crate::connection::Connection;
use crate::datagram::Port;
use crate::error::{CreateError, RunError};
use crate::instant::Instant;
use crate::key::Key;
use crate::os_signal::SignalKind;
use crate::server::Listening;
use crate::watch::Watching;

/// What a slot of the loop holds.
pub(crate) enum Slot {
    Connection(Connection),
    Listener(Box<Listening>),
    Watch(Box<Watching>),
    Datagram(Box<Port>),
    /// A watched signal of the operating system.
    OsSignal(SignalKind),
    /// The exit of a child process, with the key of that process.
    Child(Key),
    /// A connection attempt, with the key of what it is an attempt of.
    Attempt(Key),
    /// A connection that is being accepted, or was refused and is being closed; a watch that begins or ends.
    Reserved,
}

/// An event loop. It belongs to the thread that made it.
///
/// Programs mostly use its [`Handle`]; this is the part that runs it and whose drop ends it: then everything
/// it holds (protocols, closures, timers, loop-local values) is dropped on this thread, and handles that are left are inert.
///
/// ```
/// use marline_reactor::Reactor;
/// use std::time::Duration;
///
/// let reactor = Reactor::new()?;
/// reactor.handle().call_later(Duration::from_millis(1), || println!("a millisecond later"));
/// reactor.run()?; // returns when nothing is left to do
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Reactor {
    shell: Rc<Shell>,
    /// The backend's descriptor, once a host has asked for it.
    descriptor: OnceCell<Option<OwnedFd>>,
}

impl Reactor {
    /// A loop on the backend that the variable `MARLINE_BACKEND` names, or on the best one here.
    ///
    /// # Errors
    ///
    /// If the system refuses what the backend needs (descriptors, above all).
    pub fn new() -> Result<Self, CreateError> {
        Builder::new().build()
    }

    /// A loop on this backend.
    ///
    /// # Errors
    ///
    /// None today; the backend exists already.
    pub fn with_backend(backend: impl Backend + 'static) -> Result<Self, CreateError> {
        Builder::new().backend(backend).build()
    }

    fn new_on(shell: Rc<Shell>) -> Self {
        Self { shell, descriptor: OnceCell::new() }
    }

    /// The handle through which everything else is done.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle::new(Rc::clone(&self.shell))
    }

    /// The panic that stopped the loop, if that was its policy: once.
    pub(crate) fn take_stopping_panic(&self) -> Option<crate::contain::Panic> {
        self.shell.take_stopping_panic()
    }

    /// Runs until [`Handle::stop`], the end of [`Handle::shutdown`], or until nothing is left that could ever call back.
    ///
    /// # Errors
    ///
    /// If a loop runs on this thread already (this or another), if this one was shut down, or if the backend broke.
    pub fn run(&self) -> Result<(), RunError> {
        self.shell.run()
    }

    /// Makes one pass: waits at most `limit` (`None`: as long as it takes; zero: not at all), then runs what is ready. Tells
    /// what [`run`](Self::run) would make of it.
    ///
    /// The turn in which a [shutdown](Handle::shutdown) comes to blocking jobs that still run waits for them whatever the limit
    /// is, at most for the pool's grace. With a [`pool_grace`](Builder::pool_grace) of zero it waits for none.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run); but another loop's callback may run this one's turns.
    pub fn turn(&self, limit: Option<Duration>) -> Result<Turned, RunError> {
        self.shell.turn_once(limit)
    }

    /// Whether a turn would find something to do without waiting: ready callbacks, connections with more to read than fits
    /// one turn, due timers, calls from other threads. What the operating system has not reported yet does not count. Also
    /// whether a [host](Self::set_host) was told of something since the last turn, be it that the next one answers
    /// [`Turned::Idle`].
    #[must_use]
    pub fn has_ready(&self) -> bool {
        let is_due = |deadline| deadline <= self.shell.now();
        self.shell.is_busy() || self.shell.owes_turn() || self.next_deadline().is_some_and(is_due)
    }

    /// The deadline of the timer that is due next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.shell.timers.next_deadline()
    }

    // For hosts: foreign loops that drive this one.

    /// A descriptor that is readable whenever a turn has something to do: an event, a deadline that has passed, a call
    /// from another thread, something that was scheduled between two turns; and once when the loop is idle and no turn of
    /// its host has answered so. A foreign loop that watches it, and makes a turn with a limit of zero whenever it is
    /// readable, drives this loop completely. `None` if the backend has no descriptors; then a host uses
    /// [`set_host`](Self::set_host).
    ///
    /// It is to be waited for only, with poll(2), epoll(7) or the like, edge-triggered or not; a turn makes it unreadable
    /// again. Asking anew costs nothing.
    ///
    /// # Errors
    ///
    /// If the system has no descriptors left: the first call makes a few.
    pub fn pollable_fd(&self) -> Result<Option<BorrowedFd<'_>>, CreateError> {
        if self.descriptor.get().is_none() {
            let name = self.shell.backend_ref().name();
            // Nothing begins by this, so nobody is told.
            let made = self.shell.backend.borrow_mut().pollable_fd();
            let made = made.map_err(|error| CreateError::system(name, error))?;
            if made.is_some() {
                self.shell.begin_hosting();
            }
            // It was empty a moment ago, and a backend cannot ask for it.
            let _ = self.descriptor.set(made);
        }
        Ok(self.descriptor.get().and_then(Option::as_ref).map(AsFd::as_fd))
    }

    /// Tells a host, by `notice`, that it has to make a turn soon although it could not know: between two turns something
    /// became ready, an operation began, the loop was stopped or became idle (the last guard, timer or watch is gone that
    /// kept it going), or the [nearest deadline](Self::next_deadline) moved closer; also if something is ready, or the
    /// loop is idle, when this is called. It is called once until the next turn begins, never for what happens in a turn,
    /// and on whichever thread the cause is. It must only wake the host. A notice replaces the one before it.
    ///
    /// A host that watches the [descriptor](Self::pollable_fd) needs no notice, but saves the system call by which these
    /// changes make the descriptor readable.
    pub fn set_host(&self, notice: impl Fn() + Send + Sync + 'static) {
        self.shell.set_host(Box::new(notice));
    }
}

impl Drop for Reactor {
    fn drop(&mut self) {
        self.shell.end();
    }
}

impl fmt::Debug for Reactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reactor({:?} on {})", self.shell.id, self.shell.backend_ref().name())
    }
}
