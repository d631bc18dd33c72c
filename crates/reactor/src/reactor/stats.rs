//! What a loop counts, so that costs can be asserted instead of hoped for.

use std::cell::Cell;

use super::Shell;
use crate::backend::SystemCalls;

/// Counts since the loop was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Passes of the loop.
    pub turns: u64,
    /// Batches of the ready queue.
    pub batches: u64,
    /// Entries of the ready queue that ran: callbacks, tasks, timers, notices.
    pub callbacks: u64,
    /// Events that the backend delivered.
    pub events: u64,
    /// Receives that were asked of the backend.
    pub receives: u64,
    /// Sends that were asked of the backend.
    pub sends: u64,
    /// How often the ready queue grew.
    pub queue_growths: u64,
    /// Entries that wait in the ready queue.
    pub ready: usize,
    /// Timers that are set.
    pub timers: usize,
    /// Connections that stand.
    pub connections: usize,
    /// Threads of the pool for [blocking jobs](crate::Handle::run_blocking).
    pub pool_threads: usize,
    /// Blocking jobs that wait for a thread.
    pub pool_queue: usize,
    /// Wake-ups from other threads that cost a system call.
    pub wake_ups: u64,
    /// Calls to the operating system, by kind.
    pub system_calls: SystemCalls,
}

#[derive(Default)]
pub(crate) struct Counters {
    turns: Cell<u64>,
    batches: Cell<u64>,
    callbacks: Cell<u64>,
    events: Cell<u64>,
    receives: Cell<u64>,
    sends: Cell<u64>,
}

fn count(cell: &Cell<u64>) {
    cell.set(cell.get() + 1);
}

impl Counters {
    pub(crate) fn turn(&self) {
        count(&self.turns);
    }

    pub(crate) fn batch(&self) {
        count(&self.batches);
    }

    pub(crate) fn callback(&self) {
        count(&self.callbacks);
    }

    pub(crate) fn event(&self) {
        count(&self.events);
    }

    pub(crate) fn received(&self) {
        count(&self.receives);
    }

    pub(crate) fn sent(&self) {
        count(&self.sends);
    }
}

impl Shell {
    pub(super) fn collect_stats(&self) -> Stats {
        let counters = self.stats();
        let ready = self.ready.borrow();
        let (pool_threads, pool_queue) = self.pool.borrow().counts();
        Stats {
            turns: counters.turns.get(),
            batches: counters.batches.get(),
            callbacks: counters.callbacks.get(),
            events: counters.events.get(),
            receives: counters.receives.get(),
            sends: counters.sends.get(),
            queue_growths: ready.growths(),
            ready: ready.len(),
            timers: self.timers.len(),
            connections: self.connection_count(),
            pool_threads,
            pool_queue,
            wake_ups: self.remote.wake_ups(),
            system_calls: self.backend_ref().system_calls(),
        }
    }
}
