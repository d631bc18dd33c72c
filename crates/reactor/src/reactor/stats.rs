//! What a loop counts, so that costs can be asserted instead of hoped for.

use std::cell::Cell;
use std::time::Duration;

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
    /// Entries of the ready queue that ran: callbacks, tasks, timers, notices. Those that [took input](crate::Handle::call_next) at once
    /// are counted, and are part of no batch.
    pub callbacks: u64,
    /// Events that the backend delivered.
    pub events: u64,
    /// Receives that were asked of the backend, or made in its place.
    pub receives: u64,
    /// Sends that were asked of the backend, or made in its place.
    pub sends: u64,
    /// Reads of [files to send](crate::Transport::send_file) that the backend does not send without them.
    pub file_reads: u64,
    /// How often the ready queue grew.
    pub queue_growths: u64,
    /// Entries that wait in the ready queue.
    pub ready: usize,
    /// The most entries that ever waited in the ready queue at a time.
    pub ready_peak: usize,
    /// Calls from other threads that wait to be taken into the ready queue.
    pub posts: usize,
    /// Timers that are set.
    pub timers: usize,
    /// Connections that stand.
    pub connections: usize,
    /// Listeners that stand.
    pub listeners: usize,
    /// Datagram sockets that are open.
    pub datagram_sockets: usize,
    /// Sources that are [watched](crate::Handle::watch), paused ones included.
    pub watches: usize,
    /// Attempts to connect that are under way.
    pub attempts: usize,
    /// How long the ready queue ran (phase 4) in the last turn that had something to run: what became ready meanwhile, in
    /// this loop or outside, had to wait for up to this long.
    pub last_lag: Duration,
    /// The longest of these.
    pub longest_lag: Duration,
    /// Timers that came due.
    pub timers_due: u64,
    /// How long after its deadline the loop saw that the timer which came due last was due. What stood in the ready queue by
    /// then ran before it.
    pub last_lateness: Duration,
    /// The longest of these.
    pub longest_lateness: Duration,
    /// All of these together: divided by [`timers_due`](Self::timers_due), the usual lateness.
    pub total_lateness: Duration,
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
    /// Those that the core made by itself, on sockets that are lent to it,
    own_receives: Cell<u64>,
    own_sends: Cell<u64>,
    /// and those of the sends by which nothing was sent.
    vain_sends: Cell<u64>,
    file_reads: Cell<u64>,
    last_lag: Cell<Duration>,
    longest_lag: Cell<Duration>,
    timers_due: Cell<u64>,
    last_lateness: Cell<Duration>,
    longest_lateness: Cell<Duration>,
    total_lateness: Cell<Duration>,
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

    /// Another with each event, each callback and each turn, and never zero.
    pub(crate) fn step(&self) -> u64 {
        1 + self.events.get() + self.callbacks.get() + self.turns.get()
    }

    pub(crate) fn received(&self) {
        count(&self.receives);
    }

    /// The ready queue ran for so long.
    pub(crate) fn ran(&self, lag: Duration) {
        self.last_lag.set(lag);
        self.longest_lag.set(self.longest_lag.get().max(lag));
    }

    /// A timer came due, and that was seen so late.
    pub(crate) fn timer_due(&self, lateness: Duration) {
        count(&self.timers_due);
        self.last_lateness.set(lateness);
        self.longest_lateness.set(self.longest_lateness.get().max(lateness));
        self.total_lateness.set(self.total_lateness.get().saturating_add(lateness));
    }

    pub(crate) fn sent(&self) {
        count(&self.sends);
    }

    #[inline]
    pub(crate) fn own_receive(&self) {
        count(&self.own_receives);
    }

    #[inline]
    pub(crate) fn own_send(&self) {
        count(&self.own_sends);
    }

    pub(crate) fn vain_send(&self) {
        count(&self.vain_sends);
    }

    pub(crate) fn file_read(&self) {
        count(&self.file_reads);
    }
}

impl Shell {
    pub(crate) fn collect_stats(&self) -> Stats {
        let counters = self.stats();
        let ready = self.ready.borrow();
        let slots = self.slot_counts();
        let (pool_threads, pool_queue) = self.pool.borrow().counts();
        let (own_receives, own_sends) = (counters.own_receives.get(), counters.own_sends.get());
        let mut system_calls = self.backend_ref().system_calls();
        system_calls.receives += own_receives;
        system_calls.sends += own_sends;
        Stats {
            turns: counters.turns.get(),
            batches: counters.batches.get(),
            callbacks: counters.callbacks.get(),
            events: counters.events.get(),
            receives: counters.receives.get() + own_receives,
            sends: counters.sends.get() + own_sends - counters.vain_sends.get(),
            file_reads: counters.file_reads.get(),
            queue_growths: ready.growths(),
            ready: ready.len(),
            timers: self.timers.len(),
            ready_peak: ready.peak(),
            posts: self.remote.shared().waiting(),
            connections: slots.connections,
            listeners: slots.listeners,
            datagram_sockets: slots.datagram_sockets,
            watches: slots.watches,
            attempts: self.connects.borrow().len(),
            last_lag: counters.last_lag.get(),
            longest_lag: counters.longest_lag.get(),
            timers_due: counters.timers_due.get(),
            last_lateness: counters.last_lateness.get(),
            longest_lateness: counters.longest_lateness.get(),
            total_lateness: counters.total_lateness.get(),
            pool_threads,
            pool_queue,
            wake_ups: self.remote.wake_ups(),
            system_calls,
        }
    }
}
