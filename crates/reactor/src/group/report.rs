//! What is told of a group: while it runs, and when it has ended.

use std::sync::Arc;

use parking_lot::Mutex;

use super::error::{LoopEnd, StartError};
use super::shared::Shared;
use super::worker::Worker;
use crate::reactor::Stats;

/// What became of a group.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// Every loop that ended, in that order: also those that others took the place of.
    pub loops: Vec<LoopReport>,
}

impl Report {
    /// How many connections were served.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.loops.iter().map(|report| report.accepted).sum()
    }

    /// How many connections were aborted.
    #[must_use]
    pub fn aborted(&self) -> usize {
        self.loops.iter().map(|report| report.aborted).sum()
    }

    /// How much other [work](Worker::busy) was left undone.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        self.loops.iter().map(|report| report.unfinished).sum()
    }
}

/// What became of one loop.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LoopReport {
    /// Its place in the group.
    pub index: usize,
    /// How it ended.
    pub end: LoopEnd,
    /// How many connections its listeners served.
    pub accepted: u64,
    /// How many of them stood at its end, and were aborted.
    pub aborted: usize,
    /// How much other [work](Worker::busy) had not ended: futures that serve connections, above all.
    pub unfinished: usize,
    /// What it counted.
    pub stats: Stats,
}

/// What came of a [restart](super::GroupHandle::restart), or of a [drain](super::GroupHandle::drain_in_turn), of one loop after
/// the other.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Rolled {
    /// The loops that ended, one after the other.
    pub loops: Vec<LoopReport>,
    /// Why it ended before the last.
    pub error: Option<RollError>,
}

/// Why a [restart](super::GroupHandle::restart) ended before the last loop.
#[derive(Debug)]
#[non_exhaustive]
pub enum RollError {
    /// A new loop could not start. The one that it would have replaced goes on.
    Start(StartError),
    /// The group was stopped, drained, or told to go one after the other already.
    Interrupted,
    /// The group is over.
    Over,
}

impl std::fmt::Display for RollError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Start(error) => error.fmt(f),
            Self::Interrupted => f.write_str("the group does something else already"),
            Self::Over => f.write_str("the group is over"),
        }
    }
}

impl std::error::Error for RollError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Start(error) => Some(error),
            Self::Interrupted | Self::Over => None,
        }
    }
}

/// What the loops of a group count, each at the moment when it was asked.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct GroupStats {
    /// The loops that answered, in the order of their places. While a loop is replaced there are two with its place.
    pub loops: Vec<LoopStats>,
}

impl GroupStats {
    /// How many connections stand, of those that the group's listeners accepted.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.loops.iter().map(|stats| stats.connections).sum()
    }

    /// How many were accepted so far, by the loops that there are.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.loops.iter().map(|stats| stats.accepted).sum()
    }
}

/// What one loop of a group counts.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LoopStats {
    /// Its place in the group.
    pub index: usize,
    /// How many connections of the group's listeners it has.
    pub connections: usize,
    /// How many it had so far.
    pub accepted: u64,
    /// How much other [work](Worker::busy) a drain would wait for.
    pub busy: usize,
    /// Whether it drains.
    pub draining: bool,
    /// What it counts as every loop.
    pub stats: Stats,
}

/// Who is told.
pub(super) type Told = Box<dyn FnOnce(GroupStats) + Send>;

/// Collects what the loops answer. When the last has answered or is gone, it tells.
struct Collector {
    answers: Mutex<Vec<LoopStats>>,
    done: Mutex<Option<Told>>,
}

impl Drop for Collector {
    fn drop(&mut self) {
        let mut loops = std::mem::take(&mut *self.answers.lock());
        loops.sort_by_key(|stats| stats.index);
        if let Some(done) = self.done.lock().take() {
            // The last closure may be dropped by a loop that ends.
            if let Err(panic) = crate::contain::contain(|| done(GroupStats { loops })) {
                tracing::error!("what is told the statistics of a group {panic}");
            }
        }
    }
}

/// Asks every loop.
pub(super) fn collect(shared: &Shared, done: Told) {
    let collector = Arc::new(Collector { answers: Mutex::default(), done: Mutex::new(Some(done)) });
    for remote in shared.remotes() {
        let collector = Arc::clone(&collector);
        let ask = move || {
            let answer = Worker::current().map(|worker| worker.stats());
            collector.answers.lock().extend(answer);
        };
        // A loop that is gone has nothing to say.
        drop(remote.post_unlimited(ask));
    }
}
