//! What a loop of a group serves: its listeners, and what is handed over to it.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::feed::{Acceptor, Feed, Pause};
use super::sockets::{Needed, Share};
use super::worker::Worker;
use crate::address::Addresses;
use crate::backend::Opening;
use crate::endpoint::{Endpoint, ListenFactory};
use crate::error::ListenError;
use crate::reactor::{Failure, Handle, Shell};
use crate::server::Server;

/// How long to wait before a loop tries again to take over what it could not: for want of descriptors, above all.
const AGAIN: Duration = Duration::from_millis(500);

/// What a loop listens on for the group.
pub(super) struct Served {
    pub(super) server: Server,
    /// Where its connections come from, if they are handed over.
    pub(super) feed: Option<Arc<Feed>>,
}

/// What a loop takes over from another, beside what it has.
pub(super) struct Heritage {
    /// The seats whose sockets it listens with.
    pub(super) seats: Vec<usize>,
    /// Whether it accepts for all, where not each loop can do so itself.
    pub(super) accepts: bool,
    pub(super) needed: Needed,
}

impl Worker {
    /// Listens for every service, with the sockets of those seats, and accepts nobody yet. With `accepts`, it is to accept for
    /// all where not each loop can do so itself.
    pub(super) fn listen(&self, seats: &[usize], accepts: bool) -> Result<(), ListenError> {
        let Some((first, more)) = seats.split_first() else { return Ok(()) };
        for service in 0..self.group().plan.services.len() {
            self.listen_on(service, *first)?;
            // What is handed over has no more than one.
            let more = if self.group().sockets.is_each(service) { more } else { &[] };
            more.iter().try_for_each(|seat| self.listen_on(service, *seat))?;
        }
        if accepts {
            self.watch_fed().map_err(|source| ListenError::Adopt { source })?;
        }
        Ok(())
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
        let known = self.state.served.borrow().len();
        self.state.listening.set(Some((service, seat)));
        let listening = self.handle().listen(&service_plan.endpoint, counting);
        self.state.listening.set(None);
        // The limit may be that of an endpoint around the one that is listened on.
        for Served { server, feed } in &self.state.served.borrow()[known..] {
            feed.iter().for_each(|feed| feed.set_limit(server.limit()));
        }
        listening.map(drop)
    }

    fn count_accepted(&self) {
        self.state.accepted.set(self.state.accepted.get() + 1);
    }

    /// Makes the acceptors for what is handed over. They accept nobody yet.
    fn watch_fed(&self) -> io::Result<()> {
        let sockets = self.group().sockets.fed()?;
        let acceptors = sockets.into_iter().map(|(socket, feed)| Acceptor::new(self, socket, &feed));
        let acceptors = acceptors.collect::<io::Result<Vec<_>>>()?;
        self.state.acceptors.borrow_mut().extend(acceptors);
        Ok(())
    }

    fn acceptors(&self) -> Vec<Rc<Acceptor>> {
        self.state.acceptors.borrow().clone()
    }

    /// Every loop has started. Nothing here can fail.
    pub(super) fn go(&self, accepts: bool) {
        self.state.going.set(true);
        self.state.served.borrow().iter().for_each(|served| served.server.resume());
        if accepts {
            self.accept_again();
        } else {
            // Another one accepts since.
            self.state.acceptors.take().iter().for_each(|acceptor| acceptor.leave());
        }
    }

    /// Takes over what a loop that leaves had. What cannot be taken over now is tried again, until it drains: those who wait
    /// there are served then.
    pub(super) fn inherit(&self, heritage: Heritage) {
        let Heritage { seats, accepts, needed } = heritage;
        for service in 0..self.group().plan.services.len() {
            let seats = if self.group().sockets.is_each(service) { &seats[..] } else { &[] };
            for seat in seats.iter().copied() {
                self.try_until_it_drains(move |worker| {
                    worker
                        .listen_on(service, seat)
                        .map_err(|error| (error.into(), "listening in the place of a loop"))
                });
            }
        }
        if accepts {
            self.try_until_it_drains(|worker| worker.accept());
        }
        drop(needed);
    }

    fn accept(&self) -> Result<(), Failed> {
        if self.state.acceptors.borrow().is_empty() {
            self.watch_fed().map_err(|error| (error.into(), "accepting in the place of a loop"))?;
        }
        self.accept_again();
        Ok(())
    }

    fn try_until_it_drains(&self, what: impl Fn(&Self) -> Result<(), Failed> + 'static) {
        let Err((error, name)) = what(self) else { return };
        self.handle().report(&Failure::unobserved(error, name.to_owned()));
        let weak = self.downgrade();
        self.handle().call_later(AGAIN, move || {
            if let Some(worker) = weak.upgrade().filter(|worker| !worker.is_draining()) {
                worker.try_until_it_drains(what);
            }
        });
    }

    pub(super) fn pause_accepting(&self, number: usize, pause: Pause) {
        let acceptor = self.acceptors().into_iter().find(|acceptor| acceptor.is_of(number));
        acceptor.into_iter().for_each(|acceptor| acceptor.pause(self, pause));
    }

    /// There may be room for more.
    pub(super) fn accept_again(&self) {
        self.acceptors().iter().for_each(|acceptor| acceptor.resume());
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
        feed.leave(self.place(), self.group());
        self.check();
    }
}

/// What failed, and in which attempt.
type Failed = (Box<dyn std::error::Error + Send + Sync>, &'static str);

/// A worker that listens, for the group, on what the group has bound.
pub(crate) struct SharedListening {
    worker: Worker,
    service: usize,
    seat: usize,
}

/// Whether what this loop listens on now is the group's.
pub(crate) fn shared_listening(shell: &Rc<Shell>) -> Option<SharedListening> {
    let worker = Worker::of(&Handle::new(Rc::clone(shell)))?;
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
        let seat = (self.seat, group.loops());
        let (server, feed) = match group.sockets.share(self.service, endpoint, seat, group.plan.balance)? {
            Share::Own(socket) => {
                let server = Server::adopt(shell, socket, factory)?;
                endpoint.limit_value().into_iter().for_each(|limit| server.set_limit(limit));
                (server, None)
            }
            Share::Fed(address, feed) => (Server::fed(shell, factory, address, feed.limit()), Some(feed)),
        };
        if !self.worker.state.going.get() {
            server.pause();
        }
        let (weak, lost_feed) = (self.worker.downgrade(), feed.clone());
        server.on_lost(move |_, _| {
            let Some(worker) = weak.upgrade() else { return };
            match &lost_feed {
                Some(feed) => worker.left(feed),
                None => worker.check(),
            }
        });
        let weak = self.worker.downgrade();
        server.on_stopped(move || weak.upgrade().into_iter().for_each(|worker| worker.check()));
        self.worker.state.served.borrow_mut().push(Served { server: server.clone(), feed });
        Ok(server)
    }
}
