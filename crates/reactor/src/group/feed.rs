//! Connections that one loop accepts and another serves, where not each can listen itself.
//!
//! The loop that accepts watches the socket, and posts each connection to the loop that is to have it. It counts it there
//! before it is posted, so that a burst is spread as evenly as what comes one by one.

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use socket2::SockRef;

use super::options::Spread;
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
/// How often a connection is sent on from a loop that ends.
const HOPS: u8 = 8;
/// How long to wait after the system had no descriptor, or no memory, for a connection.
const BACK_OFF: Duration = Duration::from_millis(100);

/// How the connections of one socket are spread.
pub(super) struct Feed {
    /// Which socket.
    pub(super) number: usize,
    spread: Spread,
    /// How many connections each loop may have, and has.
    pub(super) limit: usize,
    loads: Box<[Load]>,
    next: AtomicUsize,
    /// Accepting waits until there is room somewhere.
    full: AtomicBool,
    descriptors: bool,
    set_nodelay: bool,
}

/// Alone in its cache lines, as each is another thread's to write.
#[repr(align(128))]
#[derive(Default)]
struct Load(AtomicUsize);

impl Feed {
    pub(super) fn new(
        number: usize,
        seats: usize,
        endpoint: &Endpoint,
        listening: &Listening,
        spread: Spread,
    ) -> Self {
        Self {
            number,
            spread,
            limit: endpoint.limit_value().unwrap_or(usize::MAX),
            loads: (0..seats).map(|_| Load::default()).collect(),
            next: AtomicUsize::new(0),
            full: AtomicBool::new(false),
            descriptors: listening.descriptors,
            set_nodelay: listening.set_nodelay,
        }
    }

    /// Whether a loop that takes connections may have one more.
    fn has_room(&self, takes: impl Fn(usize) -> bool) -> bool {
        (0..self.loads.len()).any(|seat| takes(seat) && self.load(seat) < self.limit)
    }

    /// A seat with room, among those that take connections. One more is counted there.
    fn choose(&self, takes: impl Fn(usize) -> bool) -> Option<usize> {
        let first = self.next.load(Ordering::Relaxed);
        let seats = (0..self.loads.len()).map(|step| (first + step) % self.loads.len());
        let mut seats = seats.filter(|seat| takes(*seat) && self.load(*seat) < self.limit);
        let chosen = match self.spread {
            Spread::RoundRobin => seats.next(),
            Spread::System | Spread::LeastConnections => seats.min_by_key(|seat| self.load(*seat)),
        }?;
        self.next.store(chosen + 1, Ordering::Relaxed);
        self.count(chosen);
        Some(chosen)
    }

    fn load(&self, seat: usize) -> usize {
        self.loads[seat].0.load(Ordering::SeqCst)
    }

    fn count(&self, seat: usize) {
        self.loads[seat].0.fetch_add(1, Ordering::SeqCst);
    }

    /// One of the seat's connections is gone. If accepting waits for that, it goes on.
    pub(super) fn leave(&self, seat: usize, group: &Shared) {
        self.loads[seat].0.fetch_sub(1, Ordering::SeqCst);
        if self.full.load(Ordering::SeqCst) && self.full.swap(false, Ordering::SeqCst) {
            group.accept_again(self.number);
        }
    }
}

/// The acceptor of one socket, on the loop that has it.
pub(super) struct Acceptor {
    feed: Arc<Feed>,
    watch: Watch<OwnedFd>,
}

impl Acceptor {
    /// Begins to accept.
    pub(super) fn begin(worker: &Worker, socket: OwnedFd, feed: &Arc<Feed>) -> io::Result<Rc<Self>> {
        let (weak, for_watch) = (worker.downgrade(), Arc::clone(feed));
        let watched = worker.handle().watch(socket, Interest::READABLE, move |socket, _| {
            let Some(worker) = weak.upgrade() else { return };
            if let Some(pause) = accept(&worker, socket, &for_watch, ACCEPTS) {
                worker.pause_accepting(for_watch.number, pause);
            }
        });
        let watch = watched.map_err(io::Error::other)?;
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
                if self.feed.has_room(|seat| worker.group().takes(seat)) {
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
    let (group, here) = (worker.group(), worker.index());
    let drains = worker.is_draining();
    let takes = |seat: usize| if drains { seat == here } else { group.takes(seat) };
    for _ in 0..most {
        if !feed.has_room(takes) {
            return Some(Pause::Full);
        }
        match SockRef::from(socket).accept() {
            Ok((connection, _)) => {
                let seat = feed.choose(takes).unwrap_or_else(|| {
                    // What another loop sent on took the last place: one more than the limit is better than one lost.
                    feed.count(here);
                    here
                });
                hand_over(worker, feed, seat, connection.into());
            }
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

/// Gives a connection to the loop in `seat`, where it is counted already.
fn hand_over(worker: &Worker, feed: &Arc<Feed>, seat: usize, connection: OwnedFd) {
    if feed.set_nodelay {
        let _ = set_nodelay(&connection, &mut SystemCalls::default());
    }
    let (feed, group) = (Arc::clone(feed), Arc::clone(worker.group()));
    let arrival = Arrival { feed, group, seat, hops: HOPS, connection: Some(connection) };
    if seat != worker.index() {
        return arrival.send();
    }
    let busy = worker.busy();
    // From the ready queue, as every other.
    worker.handle().call_soon(move || {
        arrival.arrive();
        drop(busy);
    });
}

/// A connection on its way, which counts for its seat. If the loop there ends before it is served, it goes to another.
struct Arrival {
    feed: Arc<Feed>,
    group: Arc<Shared>,
    seat: usize,
    hops: u8,
    connection: Option<OwnedFd>,
}

impl Arrival {
    fn send(self) {
        let group = Arc::clone(&self.group);
        // What is refused is dropped, and so goes on.
        drop(group.post_to(self.seat, move || self.arrive()));
    }

    fn arrive(mut self) {
        let Some(worker) = Worker::current().filter(|worker| !worker.is_ending()) else { return };
        let Some(connection) = self.connection.take() else { return };
        let opening =
            if self.feed.descriptors { Opening::Passing(connection) } else { Opening::One(connection) };
        if !worker.feed(self.feed.number, opening) {
            self.feed.leave(self.seat, &self.group);
        }
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        self.feed.leave(self.seat, &self.group);
        let seat = self.feed.choose(|seat| self.hops > 0 && self.group.takes(seat));
        if let Some(seat) = seat {
            let (feed, group) = (Arc::clone(&self.feed), Arc::clone(&self.group));
            Self { feed, group, seat, hops: self.hops - 1, connection: Some(connection) }.send();
        }
    }
}
