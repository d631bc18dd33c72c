//! What the loops of a group, and whoever has a handle of it, share. Nothing of it is used for each message, and of the
//! connections only by those that are handed over.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_channel::Sender;
use parking_lot::Mutex;

use super::options::{OnSignal, Spread};
use super::sockets::Sockets;
use super::supervisor::Message;
use super::worker::Worker;
use crate::endpoint::{Endpoint, ListenFactory};
use crate::error::{CreateError, PostError};
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
    pub(super) spread: Spread,
    /// The processors of the loops, if each has its own.
    pub(super) processors: Vec<usize>,
}

pub(super) struct Shared {
    pub(super) plan: Plan,
    pub(super) sockets: Sockets,
    pub(super) messages: Sender<Message>,
    seats: Box<[Mutex<Seat>]>,
    next: AtomicUsize,
    /// Where the connections come from that are handed over.
    acceptor: AtomicUsize,
}

/// The place of one loop, or of one after the other.
#[derive(Default)]
struct Seat {
    /// The last that was there.
    remote: Option<Remote>,
    /// Whether it takes new work.
    takes: bool,
}

impl Shared {
    pub(super) fn new(plan: Plan, sockets: Sockets, loops: usize, messages: Sender<Message>) -> Self {
        let seats = (0..loops).map(|_| Mutex::default()).collect();
        let (next, acceptor) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { plan, sockets, messages, seats, next, acceptor }
    }

    pub(super) fn loops(&self) -> usize {
        self.seats.len()
    }

    /// From now on this is the loop there.
    pub(super) fn sit_down(&self, seat: usize, remote: Remote) {
        *self.seats[seat].lock() = Seat { remote: Some(remote), takes: true };
    }

    /// The loop there takes no more work, if it is this one still.
    pub(super) fn get_up(&self, seat: usize, remote: &Remote) {
        let mut seat = self.seats[seat].lock();
        if seat.remote.as_ref().is_some_and(|there| there.loop_id() == remote.loop_id()) {
            seat.takes = false;
        }
    }

    pub(super) fn takes(&self, seat: usize) -> bool {
        self.seats[seat].lock().takes
    }

    /// The loop in that seat, or the next one that takes work. If none does, one that is ending or gone.
    pub(super) fn remote(&self, seat: usize) -> Option<Remote> {
        let order = (0..self.loops()).map(|step| (seat % self.loops() + step) % self.loops());
        let mut taking = order.clone().filter_map(|seat| {
            let seat = self.seats[seat].lock();
            seat.remote.clone().filter(|_| seat.takes)
        });
        taking.next().or_else(|| order.filter_map(|seat| self.seats[seat].lock().remote.clone()).next())
    }

    pub(super) fn next_remote(&self) -> Option<Remote> {
        self.remote(self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Every loop that is, or was the last, in a seat.
    pub(super) fn remotes(&self) -> Vec<Remote> {
        self.seats.iter().filter_map(|seat| seat.lock().remote.clone()).collect()
    }

    pub(super) fn post_to<F: FnOnce() + Send + 'static>(
        &self,
        seat: usize,
        call: F,
    ) -> Result<(), PostError<F>> {
        let remote = self.seats[seat].lock().remote.clone();
        match remote {
            Some(remote) => remote.post(call),
            None => Err(PostError::gone(call)),
        }
    }

    /// Which seat has the acceptors.
    pub(super) fn acceptor(&self) -> usize {
        self.acceptor.load(Ordering::SeqCst)
    }

    pub(super) fn set_acceptor(&self, seat: usize) {
        self.acceptor.store(seat, Ordering::SeqCst);
    }

    /// There is room again for connections of that socket.
    pub(super) fn accept_again(&self, number: usize) {
        let resume = move || Worker::current().into_iter().for_each(|worker| worker.accept_again(number));
        // Without that loop another one accepts, and has looked for itself.
        let _ = self.post_to(self.acceptor(), resume);
    }
}
