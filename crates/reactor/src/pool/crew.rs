//! The threads of a pool, and their queue.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::Limits;
use super::roll::{Handed, Roll};
use super::ticket::Work;
use crate::contain::contain;
use crate::key::Key;
use crate::remote::Signal;

/// A job in the queue.
pub(super) struct Task {
    pub(super) key: Key,
    pub(super) work: Arc<dyn Work>,
}

/// Why a job is not taken.
#[derive(Debug)]
pub(crate) enum Refusal {
    Full,
    Over,
    Thread(io::Error),
}

/// What the loop, the threads and the handles of jobs share.
pub(super) struct Shared {
    roll: Roll<Task>,
    finished: Sender<Key>,
    signal: Signal,
}

impl Shared {
    pub(super) fn new(finished: Sender<Key>, signal: Signal) -> Arc<Self> {
        Arc::new(Self { roll: Roll::default(), finished, signal })
    }

    /// A job that waited was revoked.
    pub(super) fn revoked(&self) {
        self.roll.revoked();
    }

    /// The loop is to look at a job: it is done, or was revoked.
    pub(super) fn announce(&self, key: Key) {
        // Without a receiver the loop is over.
        if self.finished.send(key).is_ok() {
            self.signal.raise();
        }
    }
}

/// Threads that are started when there is work for them, and end when there has been none for a while.
pub(super) struct Crew {
    name: &'static str,
    limits: Limits,
    shared: Arc<Shared>,
    /// Every thread holds a sender of this, and nobody sends: when all threads have ended, the receiver knows. `None` after the
    /// end.
    presence: Option<Sender<Infallible>>,
    ended: Receiver<Infallible>,
}

/// The threads of a crew that ends.
pub(super) struct Leaving(Receiver<Infallible>);

impl Leaving {
    /// Waits until they have all ended, at most so long.
    pub(super) fn wait(&self, limit: Duration) {
        // `Infallible` is never received: this is a disconnection, or the time is up.
        let _ = self.0.recv_timeout(limit);
    }
}

impl Crew {
    pub(super) fn new(name: &'static str, limits: Limits, shared: Arc<Shared>) -> Self {
        let limits = Limits { threads: limits.threads.max(1), ..limits };
        let (presence, ended) = bounded(0);
        Self { name, limits, shared, presence: Some(presence), ended }
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The number of threads, and of jobs that wait.
    pub(super) fn counts(&self) -> (usize, usize) {
        let counts = self.shared.roll.counts();
        (counts.threads, counts.waiting)
    }

    /// Hands in a job. If that fails it is still its ticket's; if a thread was to blame, it may have begun.
    pub(super) fn submit(&mut self, task: Task) -> Result<(), Refusal> {
        if self.presence.is_none() {
            return Err(Refusal::Over);
        }
        let Limits { threads, queue, .. } = self.limits;
        match self.shared.roll.hand_in(threads, queue, task, |task| task.work.is_revoked()) {
            Handed::Waits => Ok(()),
            Handed::Full => Err(Refusal::Full),
            Handed::WantsThread => match self.start_thread() {
                Err(error) if !self.shared.roll.no_thread() => Err(Refusal::Thread(error)),
                // With a thread at work the job waits for that one.
                _ => Ok(()),
            },
        }
    }

    fn start_thread(&self) -> io::Result<()> {
        let (shared, idle) = (Arc::clone(&self.shared), self.limits.idle);
        let presence = self.presence.clone();
        let work = move || {
            let _present = presence;
            while let Some(task) = shared.roll.next(idle) {
                perform(task, &shared);
            }
        };
        thread::Builder::new().name(self.name.to_owned()).spawn(work).map(drop)
    }

    /// Lets the threads end as soon as they have done what they are at. `None` the second time: they are waited for once.
    pub(super) fn end(&mut self) -> Option<Leaving> {
        self.shared.roll.close();
        self.presence.take().map(|_| Leaving(self.ended.clone()))
    }
}

fn perform(task: Task, shared: &Shared) {
    let Task { key, work } = task;
    if !shared.roll.begin(|| work.begin()) {
        // Revoked: the loop knows.
        return;
    }
    work.run();
    shared.roll.done();
    // Before the loop is told, so that the result is the loop's alone. If the loop is over, the result is dropped here.
    drop(contain(move || drop(work)));
    shared.announce(key);
}
