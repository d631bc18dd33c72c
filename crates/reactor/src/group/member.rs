//! One loop of a group, as the supervisor knows it.

use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::Sender;

use super::place::Place;
use super::supervisor::Epoch;
use super::worker::Worker;

pub(super) struct Member {
    pub(super) seat: usize,
    pub(super) epoch: Epoch,
    pub(super) thread: JoinHandle<()>,
    /// Lets it begin. Dropped, it forbids that.
    pub(super) permit: Option<Sender<()>>,
    /// `None` until it is made.
    pub(super) place: Option<Arc<Place>>,
    /// It has begun.
    pub(super) ready: bool,
    /// The seats whose sockets it is to listen with.
    pub(super) serves: Vec<usize>,
    /// Those that it was told of.
    pub(super) told: Vec<usize>,
    /// It was told to end.
    pub(super) leaves: bool,
    /// How many of each signal it told, as if it had been there from the beginning.
    pub(super) signals: Vec<u64>,
}

impl Member {
    /// Has a loop that has begun do something.
    pub(super) fn post(&self, call: impl FnOnce(&Worker) + Send + 'static) {
        let run = move || {
            if let Some(worker) = Worker::current() {
                call(&worker);
            }
        };
        if let Some(place) = self.place.as_ref().filter(|_| self.ready) {
            // One that is gone has sent its report.
            drop(place.remote.post_unlimited(run));
        }
    }

    /// It takes no new work any more.
    pub(super) fn shut(&self) {
        self.place.iter().for_each(|place| place.shut());
    }

    /// It is to listen with these sockets, too.
    pub(super) fn add(&mut self, seats: &[usize]) {
        let new = seats.iter().filter(|seat| !self.serves.contains(seat));
        let new: Vec<_> = new.copied().collect();
        self.serves.extend(new);
    }

    /// The seats whose sockets it has not been told of. From now on it has.
    pub(super) fn untold(&mut self) -> Vec<usize> {
        let (serves, told) = (&self.serves, &self.told);
        let untold: Vec<_> = serves.iter().copied().filter(|seat| !told.contains(seat)).collect();
        self.told.extend(&untold);
        untold
    }
}

/// What is left to be seen to of one that has ended.
pub(super) struct Gone {
    pub(super) seat: usize,
    pub(super) serves: Vec<usize>,
    /// It was told to end.
    pub(super) leaves: bool,
}
