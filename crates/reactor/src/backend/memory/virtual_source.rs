//! Something to watch that has no kernel.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use super::network::Network;
use super::state::Id;
use crate::backend::Completion;
use crate::key::Key;
use crate::watch::{Interest, Ready};

/// A source for loops on the memory backend: a test says what it is ready for. Clones share it; one loop at a time watches it.
///
/// ```
/// use marline_reactor::testing::{MemoryReactor, VirtualSource};
/// use marline_reactor::{Interest, Ready};
/// use std::{cell::Cell, rc::Rc};
///
/// let memory = MemoryReactor::new();
/// let (source, calls) = (VirtualSource::new(), Rc::new(Cell::new(0)));
/// let counter = Rc::clone(&calls);
/// memory.handle().watch(source.clone(), Interest::READABLE, move |source: &mut VirtualSource, ready| {
///     counter.set(counter.get() + 1);
///     source.lower(ready);
/// })?;
/// memory.pump();
/// assert_eq!(calls.get(), 0);
/// source.raise(Ready::READABLE);
/// memory.pump();
/// assert_eq!(calls.get(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct VirtualSource {
    state: Rc<RefCell<State>>,
}

#[derive(Default)]
struct State {
    ready: Ready,
    watcher: Option<Watcher>,
}

/// Who watches.
struct Watcher {
    network: Network,
    inbox: Id,
    key: Key,
    interest: Interest,
    /// An event is in the inbox.
    announced: bool,
}

impl VirtualSource {
    /// One that is ready for nothing, and watched by nobody.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// It becomes ready, as when something new arrives: an edge, also for what it was ready for before.
    pub fn raise(&self, ready: Ready) {
        let mut state = self.state.borrow_mut();
        state.ready |= ready;
        state.announce(ready);
    }

    /// It is ready no more.
    pub fn lower(&self, ready: Ready) {
        let mut state = self.state.borrow_mut();
        state.ready = state.ready.without(ready);
    }

    /// What it is ready for.
    #[must_use]
    pub fn ready(&self) -> Ready {
        self.state.borrow().ready
    }

    /// Whether a loop watches it, paused or not.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.state.borrow().watcher.is_some()
    }

    /// Whether it could be given to this watcher: it has none.
    pub(super) fn watch(&self, network: &Network, inbox: Id, key: Key, interest: Interest) -> bool {
        let mut state = self.state.borrow_mut();
        if state.watcher.is_some() {
            return false;
        }
        state.watcher = Some(Watcher { network: network.clone(), inbox, key, interest, announced: false });
        let ready = state.ready;
        state.announce(ready);
        true
    }

    /// The watcher's interest from now on; the present state counts as a change.
    pub(super) fn rewatch(&self, interest: Interest) {
        let mut state = self.state.borrow_mut();
        if let Some(watcher) = &mut state.watcher {
            watcher.interest = interest;
        }
        let ready = state.ready;
        state.announce(ready);
    }

    pub(super) fn unwatch(&self) {
        self.state.borrow_mut().watcher = None;
    }

    /// What the watcher is told now; nothing if what was announced is over.
    pub(super) fn look(&self) -> Ready {
        let mut state = self.state.borrow_mut();
        let ready = state.ready;
        state.watcher.as_mut().map_or(Ready::EMPTY, |watcher| {
            watcher.announced = false;
            ready.concerning(watcher.interest)
        })
    }
}

impl State {
    fn announce(&mut self, ready: Ready) {
        let Some(watcher) = &mut self.watcher else { return };
        if watcher.announced || ready.concerning(watcher.interest).is_empty() {
            return;
        }
        let mut network = watcher.network.state();
        if let Some(inbox) = network.inboxes.get_mut(watcher.inbox) {
            watcher.announced = true;
            inbox.push(Completion::Ready { key: watcher.key, ready });
        }
    }
}

impl fmt::Debug for VirtualSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VirtualSource({:?})", self.ready())
    }
}
