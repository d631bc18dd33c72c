//! Sources that are none of the loop's own: descriptors, mio's sources, and virtual ones.
//!
//! * `interest`: what a program wants to hear, and what it hears; `source`: what can be watched; `error`: what can go wrong.
//! * `job`: a source and its callback, whatever their types are.
//! * `table`: what the loop keeps of its watches, and how the backend is told of them.
//! * `turn`: how an event reaches its callback, and what follows. This file: the handle of one.

mod error;
mod interest;
mod job;
mod source;
mod table;
mod turn;

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::os::fd::RawFd;
use std::rc::Rc;

pub use error::{InterestError, WatchError, WatchErrorKind};
pub use interest::{Interest, Ready};
pub use source::{Mio, Pollable, Source};
pub(crate) use table::{WatchTable, Watching, change_mio, probe_mio};

use crate::key::Key;
use crate::reactor::Shell;

/// A source that a loop watches: a small handle, `Clone` and not `Send`. Dropping it changes nothing; the loop owns the
/// source, and the callback.
///
/// A watched source keeps the loop alive, unless it is [`unreference`](Self::unreference)d. It is dropped, with its
/// callback, when it is removed, when its callback panics, when the system refuses to tell more of it (then that is
/// reported), during a shutdown, and with the loop.
///
/// Once it is removed the reactor does not touch its descriptor any more, and the number may be used again at once. A bare
/// [`RawFd`] has to be removed *before* it is closed.
pub struct Watch<S> {
    shell: Rc<Shell>,
    key: Key,
    source: PhantomData<fn() -> S>,
}

/// What [`Handle::remove_all_watches`](crate::Handle::remove_all_watches) removed.
#[non_exhaustive]
pub struct Removed {
    /// The descriptor, if it was watched by one.
    pub descriptor: Option<RawFd>,
    /// What the program wanted to hear of it.
    pub interest: Interest,
    /// The source itself. `None` for the one whose callback is running: it is dropped when that returns.
    pub source: Option<Box<dyn Any>>,
}

impl<S: Source> Watch<S> {
    fn new(shell: &Rc<Shell>, key: Key) -> Self {
        Self { shell: Rc::clone(shell), key, source: PhantomData }
    }

    /// What the program wants to hear, also while it is [paused](Self::pause). `None` if it is not watched any more.
    #[must_use]
    pub fn interest(&self) -> Option<Interest> {
        self.shell.watching(self.key, |watching| watching.interest())
    }

    /// Whether it is watched still.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.interest().is_some()
    }

    /// Changes what the program wants to hear. [`Interest::EMPTY`] means nothing at all, not even that it hung up.
    ///
    /// What the source is ready for then is told, also if the interest is the one it had: so whoever asked for edges can
    /// ask again. It is one system call. Within the source's own callback, or [`with`](Self::with), it is made when that
    /// returns; a refusal is [reported](crate::Handle::on_failure) then.
    ///
    /// # Errors
    ///
    /// If it is not watched any more, or the system refuses. After a refusal the watch goes on with the interest it had;
    /// if that is refused too, within the callback, it ends.
    pub fn set_interest(&self, interest: Interest) -> Result<(), InterestError> {
        self.shell.change_watch(self.key, |watching| watching.set_interest(interest))
    }

    /// Lets nothing be told until [`resume`](Self::resume).
    ///
    /// # Errors
    ///
    /// As [`set_interest`](Self::set_interest).
    pub fn pause(&self) -> Result<(), InterestError> {
        self.shell.change_watch(self.key, |watching| watching.set_paused(true))
    }

    /// Goes on with the interest it had. What is ready by now is told.
    ///
    /// # Errors
    ///
    /// As [`set_interest`](Self::set_interest).
    pub fn resume(&self) -> Result<(), InterestError> {
        self.shell.change_watch(self.key, |watching| watching.set_paused(false))
    }

    /// Lends the source to `call`, outside of its callback. `None` if it is not watched any more, or lent already.
    ///
    /// What is watched stays the same: to put another source in its place (`*stream = reconnected`) ends the watch, and is
    /// [reported](crate::Handle::on_failure). [`remove`](Self::remove) it first, and watch the new one.
    pub fn with<R>(&self, call: impl FnOnce(&mut S) -> R) -> Option<R> {
        self.shell.lend_watched(self.key, |source| source.downcast_mut().map(call)).flatten()
    }

    /// Watches it no more, and gives it back. The callback is dropped at once.
    ///
    /// Within its own callback it is lent out: `None`, and the loop drops it when that returns. What is left of this
    /// turn is not told any more in any case. `None` also if it is not watched any more.
    #[allow(clippy::must_use_candidate)]
    pub fn remove(&self) -> Option<S> {
        let removed = self.shell.remove_watch(self.key)?;
        removed.source?.downcast().ok().map(|source| *source)
    }

    /// Lets [`run`](crate::Reactor::run) return although this is watched.
    pub fn unreference(&self) {
        self.shell.unreference_watch(self.key);
    }
}

impl<S> Clone for Watch<S> {
    fn clone(&self) -> Self {
        Self { shell: Rc::clone(&self.shell), key: self.key, source: PhantomData }
    }
}

impl<S> fmt::Debug for Watch<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watch({:?})", self.key)
    }
}

impl fmt::Debug for Removed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Removed");
        debug.field("descriptor", &self.descriptor).field("interest", &self.interest).finish_non_exhaustive()
    }
}
