//! What a loop knows of being one of a group, and how it ends.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use super::error::LoopEnd;
use super::feed::Acceptor;
use super::handle::GroupHandle;
use super::place::Place;
use super::report::{LoopReport, LoopStats};
use super::serving::Served;
use super::shared::Shared;
use crate::reactor::{Handle, Phase};

/// One loop of a group, on its own thread: `Clone`, and not `Send`.
///
/// [Hooks](super::Group::on_start) and what makes [factories](super::Group::listen_with) are given it; everything else that runs
/// on the loop asks for the [current](Self::current) one.
#[derive(Clone)]
pub struct Worker {
    pub(super) state: Rc<State>,
}

pub(super) struct WeakWorker(Weak<State>);

pub(super) struct State {
    handle: Handle,
    shared: Arc<Shared>,
    place: Arc<Place>,
    index: usize,
    /// The service that is being listened for, and the seat whose socket it is.
    pub(super) listening: Cell<Option<(usize, usize)>>,
    /// Whether connections are accepted: not before every loop of the group has started.
    pub(super) going: Cell<bool>,
    pub(super) served: RefCell<Vec<Served>>,
    pub(super) acceptors: RefCell<Vec<Rc<Acceptor>>>,
    pub(super) accepted: Cell<u64>,
    busy: Cell<usize>,
    draining: Cell<bool>,
    /// What is called at a drain, by numbers that are given out once.
    drain_hooks: RefCell<BTreeMap<u64, Box<dyn FnOnce()>>>,
    next_hook: Cell<u64>,
    /// How it ends, and how much is left then.
    end: RefCell<Option<(LoopEnd, usize, usize)>>,
}

impl Worker {
    pub(super) fn new(
        handle: &Handle,
        shared: &Arc<Shared>,
        index: usize,
        place: &Arc<Place>,
    ) -> Option<Self> {
        let state = handle.local(|handle| State {
            handle: handle.clone(),
            shared: Arc::clone(shared),
            place: Arc::clone(place),
            index,
            listening: Cell::new(None),
            going: Cell::new(false),
            served: RefCell::default(),
            acceptors: RefCell::default(),
            accepted: Cell::new(0),
            busy: Cell::new(0),
            draining: Cell::new(false),
            drain_hooks: RefCell::default(),
            next_hook: Cell::new(0),
            end: RefCell::default(),
        });
        let this = Self { state: state? };
        let weak = this.downgrade();
        // If it is the program that ends the loop, what stands then is counted before it is told.
        let count = move || weak.upgrade().into_iter().for_each(|worker| worker.note_end(LoopEnd::ByProgram));
        handle.on_shutdown(Phase::Before, move |_| count());
        Some(this)
    }

    /// The loop that runs this callback or task, if it is one of a group.
    #[must_use]
    pub fn current() -> Option<Self> {
        Self::of(&Handle::current().ok()?)
    }

    /// The same of any loop.
    pub(super) fn of(handle: &Handle) -> Option<Self> {
        handle.known_local().map(|state| Self { state })
    }

    /// Its place in the group, from 0 on.
    #[must_use]
    pub fn index(&self) -> usize {
        self.state.index
    }

    /// The loop itself.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.state.handle
    }

    /// What steers the group.
    #[must_use]
    pub fn group_handle(&self) -> GroupHandle {
        GroupHandle { shared: Arc::clone(&self.state.shared) }
    }

    /// How many connections of the group's listeners it has.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.state.served.borrow().iter().map(|served| served.server.connections()).sum()
    }

    /// Work that a drain waits for, as it waits for connections, until this is dropped.
    ///
    /// ```
    /// use marline_reactor::Worker;
    ///
    /// fn begin_report(worker: &Worker) {
    ///     let busy = worker.busy();
    ///     worker.handle().call_later(std::time::Duration::from_secs(1), move || {
    ///         println!("the report is written");
    ///         drop(busy);
    ///     });
    /// }
    /// ```
    #[must_use]
    pub fn busy(&self) -> Busy {
        self.state.busy.set(self.state.busy.get() + 1);
        Busy { worker: self.downgrade() }
    }

    /// Whether it drains: its listeners close, and it ends when its connections have.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.state.draining.get()
    }

    /// Calls `call` when it begins to drain (soon, if it has), unless the answer is dropped before. It is for connections that do
    /// not end by themselves: they can say goodbye, and close.
    ///
    /// ```
    /// use marline_reactor::{DrainHook, Protocol, Transport, Worker};
    ///
    /// /// Lives as long as its peer likes, or its loop.
    /// #[derive(Default)]
    /// struct Session {
    ///     goodbye: Option<DrainHook>,
    /// }
    ///
    /// impl Protocol for Session {
    ///     fn connection_made(&mut self, transport: &Transport) {
    ///         let transport = transport.clone();
    ///         let goodbye = move || {
    ///             transport.write("bye\n");
    ///             transport.close();
    ///         };
    ///         self.goodbye = Worker::current().map(|worker| worker.on_drain(goodbye));
    ///     }
    ///
    ///     fn data_received(&mut self, transport: &Transport, data: &[u8]) {
    ///         transport.write(data);
    ///     }
    /// }
    /// ```
    pub fn on_drain(&self, call: impl FnOnce() + 'static) -> DrainHook {
        let number = self.state.next_hook.get();
        self.state.next_hook.set(number + 1);
        self.state.drain_hooks.borrow_mut().insert(number, Box::new(call));
        if self.is_draining() {
            self.call_drain_hooks();
        }
        DrainHook { worker: Some(self.downgrade()), number }
    }

    fn call_drain_hooks(&self) {
        let weak = self.downgrade();
        self.state.handle.call_soon(move || {
            let Some(worker) = weak.upgrade() else { return };
            let hooks = worker.state.drain_hooks.take();
            hooks.into_values().for_each(|hook| drop(worker.state.handle.call_soon(hook)));
        });
    }
}

// The group's side.

impl Worker {
    pub(super) fn downgrade(&self) -> WeakWorker {
        WeakWorker(Rc::downgrade(&self.state))
    }

    pub(super) fn group(&self) -> &Arc<Shared> {
        &self.state.shared
    }

    pub(super) fn place(&self) -> &Arc<Place> {
        &self.state.place
    }

    pub(super) fn stats(&self) -> LoopStats {
        LoopStats {
            index: self.index(),
            connections: self.connections(),
            accepted: self.state.accepted.get(),
            busy: self.state.busy.get(),
            draining: self.is_draining(),
            stats: self.state.handle.stats(),
        }
    }

    // The end.

    /// Whether it shuts down.
    pub(super) fn is_ending(&self) -> bool {
        self.state.end.borrow().is_some() || self.state.handle.is_ending()
    }

    /// Ends when its connections have, and after `limit` anyway. With `pass`, others listen on: those who wait are theirs.
    pub(super) fn drain(&self, limit: Duration, pass: bool) {
        let weak = self.downgrade();
        let time_out = move || weak.upgrade().into_iter().for_each(|worker| worker.end(LoopEnd::Drained));
        self.state.handle.call_later(limit, time_out);
        let first = !self.state.draining.replace(true);
        for acceptor in self.state.acceptors.take() {
            if pass { acceptor.leave() } else { acceptor.finish(self) }
        }
        let servers: Vec<_> = {
            let served = self.state.served.borrow();
            // What comes on its way from another loop is served until the end.
            served.iter().filter(|served| served.feed.is_none()).map(|served| served.server.clone()).collect()
        };
        servers.iter().for_each(|server| if pass { server.leave() } else { server.drain() });
        if first {
            self.call_drain_hooks();
        }
        self.check_soon();
    }

    pub(super) fn check_soon(&self) {
        let weak = self.downgrade();
        self.state.handle.call_soon(move || weak.upgrade().into_iter().for_each(|worker| worker.check()));
    }

    /// Ends it, if it drains and nothing is left.
    pub(super) fn check(&self) {
        let is_done = |served: &Served| match &served.feed {
            // Those that are on their way count, too.
            Some(feed) => self.place().load(feed.number) == 0,
            None => served.server.local_address().is_none() && served.server.connections() == 0,
        };
        if self.is_draining() && self.state.busy.get() == 0 && self.state.served.borrow().iter().all(is_done)
        {
            self.end(LoopEnd::Drained);
        }
    }

    /// Shuts the loop down, and notes what is left. What ends it first is how it ended.
    pub(super) fn end(&self, end: LoopEnd) {
        self.note_end(end);
        self.state.handle.shutdown();
    }

    fn note_end(&self, end: LoopEnd) {
        let mut noted = self.state.end.borrow_mut();
        if noted.is_none() {
            *noted = Some((end, self.connections(), self.state.busy.get()));
        }
    }

    /// What became of it; `broken` is how, if that is worse than what was noted before.
    pub(super) fn report(&self, broken: Option<LoopEnd>) -> LoopReport {
        let noted = self.state.end.borrow_mut().take();
        let (end, left, unfinished) =
            noted.unwrap_or_else(|| (LoopEnd::ByProgram, self.connections(), self.state.busy.get()));
        // The end that broke off had perhaps told some.
        let (end, aborted) = match broken {
            Some(broken) => (broken, left.max(self.connections())),
            None => (end, left),
        };
        let (accepted, stats) = (self.state.accepted.get(), self.state.handle.stats());
        LoopReport { index: self.index(), end, accepted, aborted, unfinished, stats }
    }
}

impl WeakWorker {
    pub(super) fn upgrade(&self) -> Option<Worker> {
        self.0.upgrade().map(|state| Worker { state })
    }
}

/// While it lives, a [drain](super::GroupHandle::drain) waits: see [`Worker::busy`].
pub struct Busy {
    worker: WeakWorker,
}

impl Drop for Busy {
    fn drop(&mut self) {
        if let Some(worker) = self.worker.upgrade() {
            worker.state.busy.set(worker.state.busy.get() - 1);
            if worker.is_draining() {
                worker.check_soon();
            }
        }
    }
}

/// A call that a drain makes: see [`Worker::on_drain`]. Dropped, it takes the call away.
#[must_use = "dropped, it takes the call away"]
pub struct DrainHook {
    worker: Option<WeakWorker>,
    number: u64,
}

impl DrainHook {
    /// Leaves the call to the loop, for as long as that lives.
    pub fn detach(mut self) {
        self.worker = None;
    }
}

impl Drop for DrainHook {
    fn drop(&mut self) {
        let worker = self.worker.as_ref().and_then(WeakWorker::upgrade);
        // Dropped after the borrow: it is the program's.
        let hook = worker.and_then(|worker| worker.state.drain_hooks.borrow_mut().remove(&self.number));
        drop(hook);
    }
}

impl fmt::Debug for DrainHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DrainHook")
    }
}

impl fmt::Debug for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Busy")
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Worker({} on {:?})", self.index(), self.state.handle.loop_id())
    }
}
