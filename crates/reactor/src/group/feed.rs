//! Connections that one loop accepts and another serves, where not each can listen itself.
//!
//! The loop that accepts watches the socket, and posts each connection to the loop that is to have it. It counts it there
//! before it is posted, so that a burst is spread as evenly as what comes one by one, and so that a loop that drains knows of
//! those that are on their way to it.

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use socket2::SockRef;

use super::options::Balance;
use super::place::Place;
use super::shared::Shared;
use super::worker::Worker;
use crate::backend::socket::{Listening, set_nodelay};
use crate::backend::{Opening, SystemCalls};
use crate::endpoint::Endpoint;
use crate::watch::{Interest, Watch};

/// How many connections are accepted in a turn.
const ACCEPTS: usize = 64;
/// How many of those who wait are accepted at the end.
const LAST: usize = 4096;
/// How long to wait after the system had no descriptor, or no memory, for a connection.
const BACK_OFF: Duration = Duration::from_millis(100);

/// How the connections of one socket are spread.
pub(super) struct Feed {
    /// Which socket.
    pub(super) number: usize,
    balance: Balance,
    /// How many connections each loop may have.
    limit: AtomicUsize,
    next: AtomicUsize,
    /// Accepting waits until there is room somewhere.
    full: AtomicBool,
    descriptors: bool,
    set_nodelay: bool,
}

impl Feed {
    pub(super) fn new(number: usize, endpoint: &Endpoint, listening: &Listening, balance: Balance) -> Self {
        Self {
            number,
            balance,
            limit: AtomicUsize::new(endpoint.limit_value().unwrap_or(usize::MAX)),
            next: AtomicUsize::new(0),
            full: AtomicBool::new(false),
            descriptors: listening.descriptors,
            set_nodelay: listening.set_nodelay,
        }
    }

    pub(super) fn limit(&self) -> usize {
        self.limit.load(Ordering::SeqCst)
    }

    /// Sets how many connections each loop may have.
    pub(super) fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::SeqCst);
    }

    /// Whether a loop that takes connections may have one more.
    fn has_room(&self, group: &Shared) -> bool {
        group.places().any(|place| place.open_load(self.number).is_some_and(|load| load < self.limit()))
    }

    /// A loop that takes connections, and has fewer than `limit`. One more is counted there.
    fn choose(&self, group: &Shared, limit: usize) -> Option<Arc<Place>> {
        loop {
            let first = self.next.load(Ordering::Relaxed);
            let seats = (0..group.loops()).map(|step| (first + step) % group.loops());
            let mut candidates = seats.filter_map(|seat| {
                let place = group.place(seat)?;
                let load = place.open_load(self.number).filter(|load| *load < limit)?;
                Some((seat, load, place))
            });
            let (seat, _, place) = match self.balance {
                Balance::RoundRobin => candidates.next(),
                Balance::System | Balance::LeastConnections => candidates.min_by_key(|(_, load, _)| *load),
            }?;
            // It may have begun to drain since.
            if place.offer(self.number, limit) {
                self.next.store(seat + 1, Ordering::Relaxed);
                return Some(place);
            }
        }
    }

    /// One of the loop's connections is gone. If accepting waits for that, it goes on.
    pub(super) fn leave(&self, place: &Place, group: &Shared) {
        place.subtract(self.number);
        if self.full.load(Ordering::SeqCst) && self.full.swap(false, Ordering::SeqCst) {
            group.accept_again();
        }
    }
}

/// The acceptor of one socket, on the loop that has it.
pub(super) struct Acceptor {
    feed: Arc<Feed>,
    watch: Watch<OwnedFd>,
}

impl Acceptor {
    /// Watches the socket, and accepts nobody before it is told to [go on](Self::resume).
    pub(super) fn new(worker: &Worker, socket: OwnedFd, feed: &Arc<Feed>) -> io::Result<Rc<Self>> {
        let (weak, for_watch) = (worker.downgrade(), Arc::clone(feed));
        let watched = worker.handle().watch(socket, Interest::READABLE, move |socket, _| {
            let Some(worker) = weak.upgrade() else { return };
            if let Some(pause) = accept(&worker, socket, &for_watch, ACCEPTS) {
                worker.pause_accepting(for_watch.number, pause);
            }
        });
        let watch = watched.map_err(io::Error::other)?;
        watch.pause().map_err(io::Error::other)?;
        Ok(Rc::new(Self { feed: Arc::clone(feed), watch }))
    }

    pub(super) fn is_of(&self, number: usize) -> bool {
        self.feed.number == number
    }

    pub(super) fn pause(self: &Rc<Self>, worker: &Worker, pause: Pause) {
        let _ = self.watch.pause();
        match pause {
            Pause::Full => {
                self.feed.full.store(true, Ordering::SeqCst);
                // One may have ended before that was seen.
                if self.feed.has_room(worker.group()) {
                    self.resume();
                }
            }
            Pause::NoRoom => {
                let this = Rc::clone(self);
                worker.handle().call_later(BACK_OFF, move || this.resume());
            }
        }
    }

    pub(super) fn resume(&self) {
        self.feed.full.store(false, Ordering::SeqCst);
        let _ = self.watch.resume();
    }

    /// Accepts no more, and leaves those who wait to whoever accepts in its place.
    pub(super) fn leave(&self) {
        drop(self.watch.remove());
    }

    /// Accepts those who wait, and then no more.
    pub(super) fn finish(&self, worker: &Worker) {
        if let Some(socket) = self.watch.remove() {
            let _ = accept(worker, &socket, &self.feed, LAST);
        }
    }
}

/// Why accepting pauses.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pause {
    /// No loop may have more connections.
    Full,
    /// The system has no descriptor, or no memory, for one.
    NoRoom,
}

fn accept(worker: &Worker, socket: &OwnedFd, feed: &Arc<Feed>, most: usize) -> Option<Pause> {
    for _ in 0..most {
        if !has_room(worker, feed) {
            return Some(Pause::Full);
        }
        match SockRef::from(socket).accept() {
            Ok((connection, _)) => hand_over(worker, feed, connection.into()),
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock => return None,
                io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => {}
                _ => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    return Some(Pause::NoRoom);
                }
            },
        }
    }
    None
}

/// Whether another connection has somewhere to go: when the acceptor drains, this loop alone.
fn has_room(worker: &Worker, feed: &Feed) -> bool {
    if worker.is_draining() {
        return worker.place().load(feed.number) < feed.limit();
    }
    feed.has_room(worker.group())
}

/// Gives a connection to the loop that is to have it.
fn hand_over(worker: &Worker, feed: &Arc<Feed>, connection: OwnedFd) {
    if feed.set_nodelay {
        let _ = set_nodelay(&connection, &mut SystemCalls::default());
    }
    let (here, group) = (worker.place(), Arc::clone(worker.group()));
    let chosen = if worker.is_draining() { None } else { feed.choose(&group, feed.limit()) };
    let place = chosen.unwrap_or_else(|| {
        // Also if what another loop sent on took the last place: one more than the limit is better than one lost.
        here.add(feed.number);
        Arc::clone(here)
    });
    let is_here = Arc::ptr_eq(&place, here);
    let arrival = Arrival { feed: Arc::clone(feed), group, place, connection: Some(connection) };
    if is_here {
        // From the ready queue, as every other.
        worker.handle().call_soon(move || arrival.arrive());
    } else {
        arrival.send();
    }
}

/// A connection on its way, which counts for its loop. If that ends before it is served, it goes to another.
struct Arrival {
    feed: Arc<Feed>,
    group: Arc<Shared>,
    place: Arc<Place>,
    connection: Option<OwnedFd>,
}

impl Arrival {
    fn send(self) {
        let place = Arc::clone(&self.place);
        let refused = place.remote.post_unlimited(move || self.arrive());
        if refused.is_err() {
            // The loop is gone, though the supervisor may not have heard of it. So it is not chosen again.
            place.shut();
        }
        // What is refused is dropped, and so goes on.
        drop(refused);
    }

    fn arrive(mut self) {
        let Some(worker) = Worker::current().filter(|worker| !worker.is_ending()) else {
            return self.place.shut();
        };
        let Some(connection) = self.connection.take() else { return };
        let opening =
            if self.feed.descriptors { Opening::Passing(connection) } else { Opening::One(connection) };
        if !worker.feed(self.feed.number, opening) {
            worker.left(&self.feed);
        }
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        self.feed.leave(&self.place, &self.group);
        // Above the limit rather than lost.
        let with_room = self.feed.choose(&self.group, self.feed.limit());
        if let Some(place) = with_room.or_else(|| self.feed.choose(&self.group, usize::MAX)) {
            let (feed, group) = (Arc::clone(&self.feed), Arc::clone(&self.group));
            Self { feed, group, place, connection: Some(connection) }.send();
        }
    }
}
