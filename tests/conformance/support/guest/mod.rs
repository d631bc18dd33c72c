//! Foreign loops as hosts of ours.
//!
//! Each watches the descriptor that our loop exports, and nothing else: no deadlines, no flags. When it is readable a turn
//! is made that does not wait.
//!
//! * `glib`: GLib's main loop; `tokio`: a current-thread runtime of Tokio's. Both are behind features of their names.

#[cfg(feature = "glib")]
mod glib;
#[cfg(feature = "tokio")]
mod tokio;

use std::cell::{Cell, RefCell};
use std::os::fd::BorrowedFd;
use std::rc::Rc;
use std::time::Duration;

use marline_reactor::{Reactor, RunError, Turned};

use super::driver::is_end;

/// A foreign loop.
pub trait Host {
    /// Runs until a turn of ours was made on account of its descriptor, at most for `limit`.
    fn wait(&self, turns: &Rc<Turns>, limit: Duration);

    /// Makes a turn from a callback of the host's, whether or not there is something to do.
    fn turn(&self, turns: &Rc<Turns>);

    /// Runs as a program would, until our loop has come to its end or was stopped.
    fn run(&self, turns: &Rc<Turns>) -> Result<(), RunError>;
}

/// The host that `MARLINE_GUEST` names.
pub fn chosen() -> Option<Box<dyn Host>> {
    match std::env::var("MARLINE_GUEST").unwrap_or_default().as_str() {
        "" => None,
        #[cfg(feature = "glib")]
        "glib" => Some(Box::new(glib::GLib::new())),
        #[cfg(feature = "tokio")]
        "tokio" => Some(Box::new(tokio::Tokio::new())),
        name => panic!("no host {name:?} here; build the tests with the feature of that name"),
    }
}

/// A loop as its host has it: turns that do not wait, counted.
pub struct Turns {
    reactor: Reactor,
    count: Cell<u64>,
    /// Whether the turns are those of a run, and how that ended.
    runs: Cell<bool>,
    end: RefCell<Option<Result<(), RunError>>>,
}

impl Turns {
    pub fn of(reactor: Reactor) -> Rc<Self> {
        Rc::new(Self { reactor, count: Cell::new(0), runs: Cell::new(false), end: RefCell::new(None) })
    }

    pub fn reactor(&self) -> &Reactor {
        &self.reactor
    }

    pub fn count(&self) -> u64 {
        self.count.get()
    }

    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.reactor.pollable_fd().expect("descriptors to spare").expect("a backend with a descriptor")
    }

    /// Makes a turn: whether `run` would go on. After the end it makes none, as a host may have two reasons at once.
    pub fn make(&self) -> bool {
        if self.end.borrow().is_some() {
            return false;
        }
        let turned = self.reactor.turn(Some(Duration::ZERO));
        if turned.is_ok() {
            self.count.set(self.count.get() + 1);
        }
        let ends = is_end(&turned);
        if ends && self.runs.get() {
            self.end.replace(Some(turned.map(|_: Turned| ())));
        }
        !ends
    }

    /// Lets `host` make turns until one of them is the end of a run.
    pub fn run(&self, host: impl FnOnce()) -> Result<(), RunError> {
        self.runs.set(true);
        host();
        self.runs.set(false);
        self.end.take().expect("an end")
    }
}
