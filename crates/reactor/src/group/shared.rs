//! What the loops of a group, and whoever has a handle of it, share. Nothing of it is used for each message, and of the
//! connections only by those that are handed over.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_channel::Sender;
use parking_lot::Mutex;

use super::options::{Balance, OnSignal};
use super::place::Place;
use super::sockets::Sockets;
use super::supervisor::Message;
use super::worker::Worker;
use crate::endpoint::{Endpoint, ListenFactory};
use crate::error::CreateError;
use crate::os_signal::SignalKind;
use crate::reactor::Builder;
use crate::remote::Remote;

/// What makes a loop's own factory of protocols.
pub(super) type MakeFactory = Arc<dyn Fn(&Worker) -> ListenFactory + Send + Sync>;
/// What is called on each loop before it listens.
pub(super) type StartHook = Arc<dyn Fn(&Worker) -> Result<(), Failed> + Send + Sync>;
/// What makes a loop.
pub(super) type MakeLoop = Arc<dyn Fn(usize) -> Result<Builder, CreateError> + Send + Sync>;
type Failed = Box<dyn std::error::Error + Send + Sync>;

/// What is served, and how.
#[derive(Clone)]
pub(super) struct Service {
    pub(super) endpoint: Endpoint,
    pub(super) make: MakeFactory,
}

/// How each loop is made.
pub(super) struct Plan {
    pub(super) name: String,
    pub(super) services: Vec<Service>,
    pub(super) start: Vec<StartHook>,
    pub(super) signals: Vec<(SignalKind, OnSignal)>,
    pub(super) builder: MakeLoop,
    pub(super) balance: Balance,
    /// The processors of the loops, if each has its own.
    pub(super) processors: Vec<usize>,
}

pub(super) struct Shared {
    pub(super) plan: Plan,
    pub(super) sockets: Sockets,
    pub(super) messages: Sender<Message>,
    /// The last loop that was in each place.
    seats: Box<[Mutex<Option<Arc<Place>>>]>,
    /// Every loop that is not gone: also those that leave, whose places others have.
    present: Mutex<Vec<Arc<Place>>>,
    next: AtomicUsize,
    /// Where the connections come from that are handed over.
    acceptor: AtomicUsize,
}

impl Shared {
    pub(super) fn new(plan: Plan, sockets: Sockets, loops: usize, messages: Sender<Message>) -> Self {
        let seats = (0..loops).map(|_| Mutex::default()).collect();
        let (next, acceptor) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let present = Mutex::default();
        Self { plan, sockets, messages, seats, present, next, acceptor }
    }

    pub(super) fn loops(&self) -> usize {
        self.seats.len()
    }

    /// From now on this is the loop there. It takes no work before its place is [opened](Place::open); the one that was there
    /// before takes none any more.
    pub(super) fn sit_down(&self, seat: usize, place: &Arc<Place>) {
        self.present.lock().push(Arc::clone(place));
        let before = self.seats[seat].lock().replace(Arc::clone(place));
        before.into_iter().for_each(|before| before.shut());
    }

    /// The loop is gone.
    pub(super) fn leave(&self, place: &Arc<Place>) {
        place.shut();
        self.present.lock().retain(|present| !Arc::ptr_eq(present, place));
    }

    pub(super) fn place(&self, seat: usize) -> Option<Arc<Place>> {
        self.seats[seat].lock().clone()
    }

    /// The loops, of each place the last.
    pub(super) fn places(&self) -> impl Iterator<Item = Arc<Place>> + '_ {
        (0..self.loops()).filter_map(|seat| self.place(seat))
    }

    /// The loop in that seat, or the next one that takes work. If none does, one that starts, is ending or is gone.
    pub(super) fn remote(&self, seat: usize) -> Option<Remote> {
        let order = (0..self.loops()).map(|step| (seat % self.loops() + step) % self.loops());
        let mut places = order.filter_map(|seat| self.place(seat)).peekable();
        let first = places.peek().map(|place| place.remote.clone());
        places.find(|place| place.takes()).map(|place| place.remote.clone()).or(first)
    }

    pub(super) fn next_remote(&self) -> Option<Remote> {
        self.remote(self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Every loop that is not gone.
    pub(super) fn remotes(&self) -> Vec<Remote> {
        self.present.lock().iter().map(|place| place.remote.clone()).collect()
    }

    /// Which seat has the acceptors.
    pub(super) fn acceptor(&self) -> usize {
        self.acceptor.load(Ordering::SeqCst)
    }

    pub(super) fn set_acceptor(&self, seat: usize) {
        self.acceptor.store(seat, Ordering::SeqCst);
    }

    /// There may be room again for connections that are handed over.
    pub(super) fn accept_again(&self) {
        let resume = || Worker::current().into_iter().for_each(|worker| worker.accept_again());
        if let Some(place) = self.place(self.acceptor()) {
            // Without that loop another one accepts, and has looked for itself.
            let _ = place.remote.post_unlimited(resume);
        }
    }
}
