//! Signals of the operating system. (A [`Signal`](crate::Signal) is the loop's own wake-up, and how the handlers here are
//! called.)
//!
//! * `kind`: which signal; `error`: what can go wrong.
//! * `process_wide`: the handlers that the whole process shares, and the socket by which one tells a loop;
//!   `disposition`: what the process does about a signal; `sigpipe`: the one that must not end it.
//! * This file: what a loop watches, and the handle of one of its handlers.
//!
//! A loop has a source for each signal that it watches, which is an ordinary one to the backend: the end of a socket whose
//! other end the handler writes to, or what the backend has instead of the system's signals.

mod disposition;
mod error;
mod kind;
mod process_wide;
mod sigpipe;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::panic::Location;
use std::rc::{Rc, Weak};

pub use error::SignalError;
pub use kind::SignalKind;
use process_wide::SignalSocket;
pub(crate) use sigpipe::survive_sigpipe;

use crate::backend::{Close, Started, Watchable};
use crate::key::Key;
use crate::reactor::{Handle, Shell, Slot};
use crate::remote::Signal;
use crate::watch::Interest;

/// The signals that a loop watches.
#[derive(Default)]
pub(crate) struct OsSignals {
    watched: RefCell<BTreeMap<SignalKind, Watched>>,
    /// How many handlers were ever added.
    made: Cell<u64>,
}

struct Watched {
    key: Key,
    /// `None` where the signal is the backend's own.
    socket: Option<SignalSocket>,
    /// In the order in which they were added.
    handlers: Vec<Handler>,
}

struct Handler {
    number: u64,
    /// Calls it.
    signal: Signal,
    place: &'static Location<'static>,
}

impl OsSignals {
    /// How many slots of the loop's are taken by it. None of them keeps the loop alive.
    pub(crate) fn slots(&self) -> usize {
        self.watched.borrow().len()
    }

    /// A line for each handler.
    pub(crate) fn rows(&self) -> Vec<String> {
        let watched = self.watched.borrow();
        let rows = watched.iter().flat_map(|(signal, watched)| {
            watched.handlers.iter().map(move |handler| format!("{signal}, handled at {}", handler.place))
        });
        rows.collect()
    }
}

/// A handler of a signal, made by [`Handle::on_signal`](crate::Handle::on_signal): a small handle, `Clone` and not `Send`.
/// Dropping it changes nothing; the loop owns the handler.
#[derive(Clone)]
pub struct SignalHandler {
    shell: Weak<Shell>,
    signal: SignalKind,
    number: u64,
}

impl SignalHandler {
    /// Which signal it handles.
    #[must_use]
    pub fn signal(&self) -> SignalKind {
        self.signal
    }

    /// Whether the loop has it still.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.shell.upgrade().is_some_and(|shell| {
            let watched = shell.os_signals.watched.borrow();
            watched.get(&self.signal).is_some_and(|watched| watched.place_of(self.number).is_some())
        })
    }

    /// Takes it away: it is not called any more, also for a signal that has come already. Its closure is dropped by the
    /// loop.
    pub fn remove(&self) {
        if let Some(shell) = self.shell.upgrade() {
            shell.remove_signal_handler(self.signal, self.number);
        }
    }
}

impl fmt::Debug for SignalHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignalHandler({})", self.signal)
    }
}

impl Handle {
    /// Calls `call` on this loop after each `signal` that the process gets, as any callback: from the loop, and not in the
    /// signal handler, so that it may do whatever it likes.
    ///
    /// * Any number of handlers, in any number of loops, may have the same signal; each is called.
    /// * Signals coalesce, as the system's do: several before the handler begins call it once. One that comes while it
    ///   runs calls it again.
    /// * A handler does not keep the loop alive; a [guard](Self::keep_alive) does.
    /// * While a handler is there the signal does nothing else; a handler that was installed before by other means is
    ///   called too. When the last handler in the process is [removed](SignalHandler::remove), or its loop has ended,
    ///   the signal does again what it did before the first: SIGTERM ends the process. (A real-time signal, which has no
    ///   name, is ignored then, and so is SIGPIPE once a pipe was opened.)
    ///
    /// ```
    /// use marline_reactor::{Reactor, SignalKind};
    ///
    /// let reactor = Reactor::new()?;
    /// let handle = reactor.handle();
    /// reactor.handle().on_signal(SignalKind::TERMINATE, move || handle.shutdown())?;
    /// reactor.run()?; // nothing else is there to do, so it returns
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If nobody [can watch](SignalKind::is_unwatchable) it, if the system refuses (two descriptors are needed for each
    /// signal), or if the loop has ended.
    #[track_caller]
    pub fn on_signal(
        &self,
        signal: SignalKind,
        call: impl FnMut() + 'static,
    ) -> Result<SignalHandler, SignalError> {
        self.shell().on_signal(signal, call)
    }
}

impl Watched {
    fn place_of(&self, number: u64) -> Option<usize> {
        self.handlers.iter().position(|handler| handler.number == number)
    }
}

impl Shell {
    #[track_caller]
    pub(crate) fn on_signal(
        self: &Rc<Self>,
        signal: SignalKind,
        mut call: impl FnMut() + 'static,
    ) -> Result<SignalHandler, SignalError> {
        let place = Location::caller();
        if let Err(error) = self.begin_signal(signal) {
            self.contained(move || drop(call));
            return Err(error);
        }
        let number = self.os_signals.made.get() + 1;
        self.os_signals.made.set(number);
        let handler = SignalHandler { shell: self.weak(), signal, number };
        let active = handler.clone();
        // One that was raised before its handler was removed is still to come.
        let call = move || {
            if active.is_active() {
                call();
            }
        };
        let handlers = Handler { number, signal: self.add_signal(Box::new(call)), place };
        if let Some(watched) = self.os_signals.watched.borrow_mut().get_mut(&signal) {
            watched.handlers.push(handlers);
        }
        Ok(handler)
    }

    /// Sees to it that the loop watches a signal.
    fn begin_signal(&self, signal: SignalKind) -> Result<(), SignalError> {
        if signal.is_unwatchable() {
            return Err(SignalError::Unwatchable { signal });
        }
        if self.refuses_work() {
            return Err(SignalError::Over);
        }
        if self.os_signals.watched.borrow().contains_key(&signal) {
            return Ok(());
        }
        let key = self.add_slot(Slot::OsSignal(signal));
        match self.watch_signal(key, signal) {
            Ok(socket) => {
                let watched = Watched { key, socket, handlers: Vec::new() };
                self.os_signals.watched.borrow_mut().insert(signal, watched);
                Ok(())
            }
            Err(cause) => {
                self.remove_slot(key);
                Err(SignalError::System { signal, cause })
            }
        }
    }

    fn watch_signal(&self, key: Key, signal: SignalKind) -> io::Result<Option<SignalSocket>> {
        let own = self.backend().watch_signal(key, signal);
        if let Some(begun) = own {
            return begun.map(|()| None);
        }
        let socket = SignalSocket::new(signal)?;
        let what = Watchable::Descriptor(socket.descriptor());
        self.backend().watch(key, what, Interest::READABLE.edge())?;
        Ok(Some(socket))
    }

    /// Phase 2: a signal came. Its handlers run in this turn.
    pub(crate) fn signal_came(&self, signal: SignalKind) {
        let watched = self.os_signals.watched.borrow();
        let Some(watched) = watched.get(&signal) else { return };
        if watched.socket.as_ref().is_none_or(SignalSocket::take) {
            watched.handlers.iter().for_each(|handler| handler.signal.raise());
        }
    }

    fn remove_signal_handler(&self, signal: SignalKind, number: u64) {
        let mut all = self.os_signals.watched.borrow_mut();
        let Some(watched) = all.get_mut(&signal) else { return };
        let Some(place) = watched.place_of(number) else { return };
        // The last clone of its wake-up: the loop drops the closure, later.
        watched.handlers.remove(place);
        if watched.handlers.is_empty() {
            let last = all.remove(&signal);
            drop(all);
            if let Some(watched) = last {
                self.end_signal(&watched);
            }
        }
    }

    /// The loop watches a signal no more. Its socket is closed after this.
    fn end_signal(&self, watched: &Watched) {
        self.slot(watched.key, |slot| *slot = Slot::Reserved);
        let started = self.backend().close(watched.key, Close::Orderly);
        if let Started::Done(()) = started {
            self.remove_slot(watched.key);
        }
    }

    /// At a shutdown, and at the end of the loop.
    pub(crate) fn end_signals(&self) {
        let watched = self.os_signals.watched.take();
        watched.into_values().for_each(|watched| self.end_signal(&watched));
    }
}
