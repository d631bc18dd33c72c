//! One pass of the loop.
//!
//! ```text
//!  1 wait ──> 2 events ──> 3 due timers ──> 4 ready queue, batch by batch ──> 5 flush ──┐
//!    ^                                                                                  │
//!    └──────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! 1. Wait in the backend until an event, the nearest deadline, or a wake-up; not at all if something is ready. If nothing
//!    is, the hooks before sleep run first, and may change that.
//! 2. (`events.rs`) Deliver the events, each to its protocol; then the connections left over from the turn before; then what other
//!    threads posted goes to the ready queue, and flow notices too. Of many events some are delivered at a time, and the phases
//!    4 and 5 come in between, as long as the budget of phase 4 lasts.
//! 3. Timers that are due go to the ready queue, in order.
//! 4. Run the ready queue, batch by batch, within a budget of batches, callbacks and time.
//! 5. Send what was written to connections whose own callback did not run.

use std::mem::ManuallyDrop;
use std::rc::Rc;
use std::time::Duration;

use super::events::Kind;
use super::{Life, Shell, context};
use crate::backend::Wait;
use crate::connection::{Connection, Flush};
use crate::error::RunError;
use crate::instant::Instant;
use crate::patience::Looks;
use crate::ready::{Entry, Other};

/// I/O and timers are looked at again after at most so many batches,
const BATCHES: usize = 64;
/// so many callbacks,
const CALLBACKS: u32 = 8192;
/// and so much time. The clock is read before the second callback, the fourth, the twelfth, the 44th, then before every 64th
/// (before each, where they are slow), and after the last. Events are delivered, and those who were left over served, for no
/// longer either.
pub(super) const TIME: Duration = Duration::from_millis(10);
/// None of this goes on for longer than so much while a timer is due: that is how exact timers are.
pub(super) const TIMELY: Duration = Duration::from_millis(1);

/// What a turn's callbacks have used of their budget.
struct Budget {
    begun: Option<Instant>,
    batches: usize,
    callbacks: u32,
    looks: Looks,
    is_over: bool,
}

impl Budget {
    fn new() -> Self {
        Self { begun: None, batches: 0, callbacks: 0, looks: Looks::from(1), is_over: false }
    }

    fn lasts(&self) -> bool {
        !self.is_over
    }

    /// Whether another callback has to wait for the next turn. One comparison for most of them: this runs before each.
    #[inline]
    fn is_used_up(&mut self, shell: &Shell, begun: Instant) -> bool {
        self.looks.is_time(self.callbacks) && self.look(shell, begun)
    }

    #[inline(never)]
    fn look(&mut self, shell: &Shell, begun: Instant) -> bool {
        let now = shell.now();
        self.looks.looked(self.callbacks, now);
        self.looks.come_before(CALLBACKS);
        self.callbacks >= CALLBACKS || now - begun > shell.looked(now)
    }
}

impl Shell {
    pub(super) fn turn(self: &Rc<Self>, limit: Option<Duration>) -> Result<(), RunError> {
        let _entered = context::enter(self);
        let _turn = InTurn::begin(self);
        self.wait(limit)?;
        self.end_departures();
        let left_over = self.listed.borrow().len();
        let mut goes_on = self.deliver_completions();
        if left_over > 0 {
            self.pull_listed(left_over);
        }
        self.take_arrivals();
        self.check_flows_in_time();
        self.timers.queue_due(self);
        let mut budget = Budget::new();
        self.run_ready(&mut budget);
        while goes_on && budget.lasts() && !self.stopping.get() && !self.is_ended() {
            self.flush_dirty();
            goes_on = self.deliver_completions();
            self.take_arrivals();
            self.check_flows_in_time();
            self.run_ready(&mut budget);
        }
        if let Some(begun) = budget.begun {
            self.stats().ran(self.now() - begun);
        }
        self.ready.borrow_mut().rest();
        self.go_on_shutting_down();
        self.flush_dirty();
        self.flows_wait.set(self.left_events.get());
        if limit == Some(Duration::ZERO) {
            // Whoever makes turns that do not wait sleeps elsewhere, now.
            self.prepare_to_sleep();
        }
        self.stats().turn();
        Ok(())
    }

    // Phase 1.

    fn wait(&self, limit: Option<Duration>) -> Result<(), RunError> {
        let is_ready = self.has_work() || (limit != Some(Duration::ZERO) && self.prepare_to_sleep());
        let mut until = if is_ready { Some(Instant::ZERO) } else { self.wait_limit(limit) };
        let remote = self.remote.shared();
        let sleeps = until != Some(Instant::ZERO);
        if sleeps && !remote.may_sleep() {
            until = Some(Instant::ZERO);
        }
        let helpers_busy = self.helpers_busy();
        let waited = self.backend().wait(Wait { until, helpers_busy });
        if sleeps {
            remote.awake();
        }
        waited.map_err(RunError::backend)?;
        self.waits.set(self.waits.get().wrapping_add(1));
        Ok(())
    }

    fn wait_limit(&self, limit: Option<Duration>) -> Option<Instant> {
        let deadline = self.timers.next_deadline().filter(|deadline| *deadline != Instant::FAR);
        let limit = match limit {
            Some(Duration::ZERO) => return Some(Instant::ZERO),
            Some(limit) => Some(self.now() + limit),
            None => None,
        };
        deadline.into_iter().chain(limit).min()
    }

    /// Whether something can be done without waiting.
    pub(crate) fn has_work(&self) -> bool {
        self.has_ready()
            || !self.listed.borrow().is_empty()
            || !self.flow_checks.borrow().is_empty()
            || !self.dirty.borrow().is_empty()
            || self.left_events.get()
            || !self.announced.is_empty()
            || self.stopping.get()
            || self.remote.shared().has_work()
            || self.all_closed()
    }

    // Phase 4.

    fn run_ready(self: &Rc<Self>, budget: &mut Budget) {
        while self.begin_batch() {
            if !self.run_batch(budget) || self.stopping.get() || self.life.get() == Life::ShutDown {
                return;
            }
            budget.batches += 1;
            if budget.batches == BATCHES {
                budget.is_over = true;
                return;
            }
        }
    }

    /// Whether the budget lasted to the end of the batch.
    fn run_batch(self: &Rc<Self>, budget: &mut Budget) -> bool {
        let begun = *budget.begun.get_or_insert_with(|| self.now());
        for _ in 0..self.left_of_batch() {
            // A stop lets the batch finish; otherwise what the budget cuts off comes first in the next turn.
            if !self.stopping.get() && budget.is_used_up(self, begun) {
                budget.is_over = true;
                return false;
            }
            let Some(entry) = self.next_of_batch() else { break };
            self.run_entry(entry);
            budget.callbacks += 1;
        }
        true
    }

    fn left_of_batch(&self) -> u64 {
        self.batch_end.get().saturating_sub(self.ready.borrow().first())
    }

    /// Begins the next batch, or goes on with one that was cut off: whether there is anything to run.
    fn begin_batch(&self) -> bool {
        let ready = self.ready.borrow();
        if ready.first() >= self.batch_end.get() && !ready.is_empty() {
            self.batch_end.set(ready.end());
            self.stats().batch();
        }
        !ready.is_empty()
    }

    fn next_of_batch(&self) -> Option<Entry> {
        self.ready.borrow_mut().pop()
    }

    #[inline]
    fn run_entry(self: &Rc<Self>, entry: Entry) {
        self.stats().callback();
        match entry {
            // A callback that was called holds nothing, and need not be dropped.
            Entry::Call(callback) => self.run_callback(&mut ManuallyDrop::new(callback)),
            Entry::Other(other) => self.run_other(other),
        }
    }

    fn run_other(self: &Rc<Self>, other: Other) {
        match other {
            Other::Timer(due) => self.run_timer(due),
            Other::Notice(key, notice) => self.deliver(key, notice),
            Other::Signal(key) => self.run_signal(key),
            Other::Forget(key) => self.forget_signal(key),
            Other::Discard(value) => drop(self.contained(move || drop(value))),
            Other::Spent(bytes) => drop(self.contained(move || drop(bytes))),
            Other::Cancelled => {}
        }
    }

    #[inline]
    pub(crate) fn run_callback(&self, callback: &mut crate::ready::Callback) {
        let place = callback.place();
        let ran = || crate::contain::contain(|| callback.call());
        if let Err(panic) = self.timed(ran, || format!("the callback scheduled at {place}")) {
            self.report_panic(panic, place);
        }
    }

    // Phase 5.

    pub(super) fn flush_dirty(self: &Rc<Self>) {
        let mut dirty = self.dirty.take();
        for key in dirty.drain(..) {
            match self.alter(key, Connection::leave_flush_list) {
                Some(Flush::Straight(outgoing)) => self.send_straight(key, outgoing),
                Some(Flush::Closely) => self.flush_closely(key),
                Some(Flush::Nothing) => {}
                None if self.source_kind(key) == Some(Kind::Datagram) => self.flush_listed_datagrams(key),
                None => {}
            }
        }
        // What was written meanwhile, by what a finished loop drops at once, comes too late; the memory is kept.
        let mut place = self.dirty.borrow_mut();
        dirty.append(&mut place);
        *place = dirty;
    }
}

/// While it lives, the loop is in its turn.
struct InTurn<'a>(&'a Shell);

impl<'a> InTurn<'a> {
    fn begin(shell: &'a Shell) -> Self {
        shell.in_turn.set(true);
        Self(shell)
    }
}

impl Drop for InTurn<'_> {
    fn drop(&mut self) {
        self.0.in_turn.set(false);
    }
}
