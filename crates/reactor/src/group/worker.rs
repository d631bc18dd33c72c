//! What a loop knows of being one of a group: its listeners, and how it ends.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use super::error::LoopEnd;
use super::feed::{Acceptor, Feed, Pause};
use super::handle::GroupHandle;
use super::report::{LoopReport, LoopStats};
use super::shared::Shared;
use super::sockets::Share;
use crate::address::Addresses;
use crate::backend::Opening;
use crate::endpoint::{Endpoint, ListenFactory};
use crate::error::ListenError;
use crate::reactor::{Failure, Handle, Shell};
use crate::server::Server;

/// One loop of a group, on its own thread: `Clone`, and not `Send`.
///
/// [Hooks](super::Group::on_start) and what makes [factories](super::Group::listen_with) are given it; everything else that runs
/// on the loop asks for the [current](Self::current) one.
#[derive(Clone)]
pub struct Worker {
    state: Rc<State>,
}

pub(super) struct WeakWorker(Weak<State>);

struct State {
    handle: Handle,
    shared: Arc<Shared>,
    index: usize,
    /// The service that is being listened for, and the seat whose socket it is.
    listening: Cell<Option<(usize, usize)>>,
    /// Whether connections are accepted: not before every loop of the group has started.
    going: Cell<bool>,
    served: RefCell<Vec<Served>>,
    acceptors: RefCell<Vec<Rc<Acceptor>>>,
    accepted: Cell<u64>,
    busy: Cell<usize>,
    draining: Cell<bool>,
    /// What is called at a drain, by numbers that are given out once.
    drain_hooks: RefCell<BTreeMap<u64, Box<dyn FnOnce()>>>,
    next_hook: Cell<u64>,
    /// How it ends, and how much is left then.
    end: RefCell<Option<(LoopEnd, usize, usize)>>,
}

struct Served {
    server: Server,
    /// Where its connections come from, if they are handed over.
    feed: Option<Arc<Feed>>,
}

impl Worker {
    pub(super) fn new(handle: &Handle, shared: &Arc<Shared>, index: usize) -> Option<Self> {
        let state = handle.local(|handle| State {
            handle: handle.clone(),
            shared: Arc::clone(shared),
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
        state.map(|state| Self { state })
    }

    /// The loop that runs this callback or task, if it is one of a group.
    #[must_use]
    pub fn current() -> Option<Self> {
        Handle::current().ok()?.known_local().map(|state| Self { state })
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

    /// Listens for every service, with the sockets of those seats.
    pub(super) fn listen(&self, seats: &[usize]) -> Result<(), ListenError> {
        let Some((first, more)) = seats.split_first() else { return Ok(()) };
        for service in 0..self.group().plan.services.len() {
            self.listen_on(service, *first)?;
            // What is handed over has no more than one.
            let more = if self.group().sockets.is_each(service) { more } else { &[] };
            more.iter().try_for_each(|seat| self.listen_on(service, *seat))?;
        }
        Ok(())
    }

    /// Listens with the sockets of a loop that leaves, too.
    pub(super) fn inherit(&self, seats: &[usize]) {
        for service in 0..self.group().plan.services.len() {
            let seats = if self.group().sockets.is_each(service) { seats } else { &[] };
            for seat in seats {
                if let Err(error) = self.listen_on(service, *seat) {
                    let what = format!("taking over the listener of loop {seat}");
                    self.state.handle.report(&Failure::unobserved(Box::new(error), what));
                }
            }
        }
    }

    fn listen_on(&self, service: usize, seat: usize) -> Result<(), ListenError> {
        let group = Arc::clone(self.group());
        let service_plan = &group.plan.services[service];
        let mut factory = (service_plan.make)(self);
        let weak = self.downgrade();
        let counting = move |addresses: &Addresses| {
            let protocol = factory(addresses);
            if protocol.is_some() {
                weak.upgrade().into_iter().for_each(|worker| worker.count_accepted());
            }
            protocol
        };
        self.state.listening.set(Some((service, seat)));
        let listening = self.state.handle.listen(&service_plan.endpoint, counting);
        self.state.listening.set(None);
        listening.map(drop)
    }

    fn count_accepted(&self) {
        self.state.accepted.set(self.state.accepted.get() + 1);
    }

    /// Every loop has started.
    pub(super) fn go(&self, accepts: bool) {
        self.state.going.set(true);
        self.state.served.borrow().iter().for_each(|served| served.server.resume());
        if accepts {
            self.accept();
        }
    }

    /// Accepts connections for all loops, where not each can do so itself.
    pub(super) fn accept(&self) {
        let begun = self.group().sockets.fed().and_then(|sockets| {
            let begin = |(socket, feed)| Acceptor::begin(self, socket, &feed);
            sockets.into_iter().map(begin).collect::<Result<Vec<_>, _>>()
        });
        match begun {
            Ok(acceptors) => self.state.acceptors.borrow_mut().extend(acceptors),
            Err(error) => {
                let what = "accepting for a group".to_owned();
                self.state.handle.report(&Failure::unobserved(Box::new(error), what));
            }
        }
    }

    fn acceptor(&self, number: usize) -> Option<Rc<Acceptor>> {
        self.state.acceptors.borrow().iter().find(|acceptor| acceptor.is_of(number)).cloned()
    }

    pub(super) fn pause_accepting(&self, number: usize, pause: Pause) {
        self.acceptor(number).into_iter().for_each(|acceptor| acceptor.pause(self, pause));
    }

    pub(super) fn accept_again(&self, number: usize) {
        self.acceptor(number).into_iter().for_each(|acceptor| acceptor.resume());
    }

    /// Serves a connection that was accepted elsewhere. Whether it does.
    pub(super) fn feed(&self, number: usize, opening: Opening) -> bool {
        let served = self.state.served.borrow();
        let of_feed = |served: &&Served| served.feed.as_ref().is_some_and(|feed| feed.number == number);
        let server = served.iter().find(of_feed).map(|served| served.server.clone());
        drop(served);
        server.is_some_and(|server| server.feed(opening))
    }

    /// A connection that was handed over is gone.
    pub(super) fn left(&self, feed: &Feed) {
        feed.leave(self.index(), self.group());
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

    fn check_soon(&self) {
        let weak = self.downgrade();
        self.state.handle.call_soon(move || weak.upgrade().into_iter().for_each(|worker| worker.check()));
    }

    /// Ends it, if it drains and nothing is left.
    fn check(&self) {
        let is_done = |served: &Served| {
            let closed = served.feed.is_some() || served.server.local_address().is_none();
            closed && served.server.connections() == 0
        };
        if self.is_draining() && self.state.busy.get() == 0 && self.state.served.borrow().iter().all(is_done)
        {
            self.end(LoopEnd::Drained);
        }
    }

    /// Shuts the loop down, and notes what is left. What ends it first is how it ended.
    pub(super) fn end(&self, end: LoopEnd) {
        if self.state.end.borrow().is_none() {
            let left = (end, self.connections(), self.state.busy.get());
            *self.state.end.borrow_mut() = Some(left);
            self.state.handle.shutdown();
        }
    }

    pub(super) fn report(&self) -> Option<LoopReport> {
        let (end, aborted, unfinished) = self.state.end.borrow_mut().take()?;
        let (accepted, stats) = (self.state.accepted.get(), self.state.handle.stats());
        Some(LoopReport { index: self.index(), end, accepted, aborted, unfinished, stats })
    }
}

impl WeakWorker {
    pub(super) fn upgrade(&self) -> Option<Worker> {
        self.0.upgrade().map(|state| Worker { state })
    }
}

/// A worker that listens, for the group, on what the group has bound.
pub(crate) struct SharedListening {
    worker: Worker,
    service: usize,
    seat: usize,
}

/// Whether what this loop listens on now is the group's.
pub(crate) fn shared_listening(shell: &Rc<Shell>) -> Option<SharedListening> {
    let worker = Handle::new(Rc::clone(shell)).known_local().map(|state| Worker { state })?;
    let (service, seat) = worker.state.listening.get()?;
    Some(SharedListening { worker, service, seat })
}

impl SharedListening {
    /// Listens with the socket that the group has for this loop.
    pub(crate) fn listen(
        &self,
        shell: &Rc<Shell>,
        endpoint: &Endpoint,
        factory: ListenFactory,
    ) -> Result<Server, ListenError> {
        let group = self.worker.group();
        let place = (self.seat, group.loops());
        let (server, feed) = match group.sockets.share(self.service, endpoint, place, group.plan.spread)? {
            Share::Own(socket) => {
                let server = Server::adopt(shell, socket, factory)?;
                endpoint.limit_value().into_iter().for_each(|limit| server.set_limit(limit));
                (server, None)
            }
            Share::Fed(address, feed) => (Server::fed(shell, factory, address, feed.limit), Some(feed)),
        };
        if !self.worker.state.going.get() {
            server.pause();
        }
        let (weak, lost_feed) = (self.worker.downgrade(), feed.clone());
        server.on_lost(move |_, _| {
            let Some(worker) = weak.upgrade() else { return };
            lost_feed.iter().for_each(|feed| worker.left(feed));
            worker.check();
        });
        let weak = self.worker.downgrade();
        server.on_stopped(move || weak.upgrade().into_iter().for_each(|worker| worker.check()));
        self.worker.state.served.borrow_mut().push(Served { server: server.clone(), feed });
        Ok(server)
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
