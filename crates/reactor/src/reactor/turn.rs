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
//! 2. Deliver the events, each to its protocol; then the connections left over from the turn before; then what other
//!    threads posted goes to the ready queue, and flow notices too. Of many events some are delivered at a time, and the phases
//!    4 and 5 come in between, as long as the budget of phase 4 lasts.
//! 3. Timers that are due go to the ready queue, in order.
//! 4. Run the ready queue, batch by batch, within a budget of batches, callbacks and time.
//! 5. Send what was written to connections whose own callback did not run.

use std::rc::Rc;
use std::time::Duration;

use super::{Life, Shell, Slot, context};
use crate::backend::{Completion, Wait};
use crate::connection::Connection;
use crate::error::RunError;
use crate::instant::Instant;
use crate::key::Key;
use crate::os_signal::SignalKind;
use crate::patience::{self, Patience, SHORT};
use crate::ready::Entry;
use crate::watch::Ready;

/// I/O and timers are looked at again after at most so many batches,
const BATCHES: usize = 64;
/// so many callbacks,
const CALLBACKS: usize = 8192;
/// and so much time. The clock is read before the second callback, the fourth, the eighth and so on, then before every 64th,
/// and after the last.
const TIME: Duration = Duration::from_millis(10);

/// Where events woke something in the ready queue, no more than so many come before that: the bytes that tasks wait for are still
/// in the processor's cache then, and need not all be kept at once.
const EVENTS: usize = 32;

/// What a turn's callbacks have used of their budget.
struct Budget {
    begun: Option<Instant>,
    batches: usize,
    callbacks: usize,
    /// After how many callbacks it is looked at next.
    look: usize,
    is_over: bool,
}

/// What input comes for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Listener,
    Datagram,
    Other,
}

impl Budget {
    fn new() -> Self {
        Self { begun: None, batches: 0, callbacks: 0, look: 1, is_over: false }
    }

    fn lasts(&self) -> bool {
        !self.is_over
    }

    /// Whether another callback has to wait for the next turn. One comparison for most of them: this runs before each.
    #[inline]
    fn is_used_up(&mut self, is_late: impl FnOnce() -> bool) -> bool {
        self.callbacks >= self.look && self.look_at(is_late)
    }

    #[inline(never)]
    fn look_at(&mut self, is_late: impl FnOnce() -> bool) -> bool {
        self.look = patience::next_look(self.callbacks).min(CALLBACKS);
        self.callbacks >= CALLBACKS || is_late()
    }
}

impl Shell {
    pub(super) fn turn(self: &Rc<Self>, limit: Option<Duration>) -> Result<(), RunError> {
        let _entered = context::enter(self);
        let _turn = InTurn::begin(self);
        self.wait(limit)?;
        let left_over = self.listed.borrow().len();
        self.deliver_completions();
        self.pull_listed(left_over);
        self.take_arrivals();
        if !self.left_events.get() {
            self.check_flows();
        }
        self.timers.queue_due(self);
        let mut budget = Budget::new();
        self.run_ready(&mut budget);
        while self.left_events.get() && budget.lasts() && !self.stopping.get() && !self.is_ended() {
            self.flush_dirty();
            self.deliver_completions();
            self.take_arrivals();
            if !self.left_events.get() {
                // By now the answer to every send is known that this wait brought.
                self.check_flows();
            }
            self.run_ready(&mut budget);
        }
        if let Some(begun) = budget.begun {
            self.stats().ran(self.now() - begun);
        }
        self.ready.borrow_mut().rest();
        self.go_on_shutting_down();
        self.flush_dirty();
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
        waited.map_err(RunError::backend)
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
        !self.ready.borrow().is_empty()
            || !self.listed.borrow().is_empty()
            || !self.flow_checks.borrow().is_empty()
            || !self.dirty.borrow().is_empty()
            || self.left_events.get()
            || self.stopping.get()
            || self.remote.shared().has_work()
            || self.all_closed()
    }

    // Phase 2.

    /// What is left when others have waited for long stays with the backend until they had their turn.
    fn deliver_completions(self: &Rc<Self>) {
        self.left_events.set(false);
        let mut patience = Patience::default();
        for count in 1.. {
            let input = self.backend().next_input();
            if let Some(key) = input {
                self.deliver_input(key);
            } else {
                let completion = self.backend().next();
                let Some(completion) = completion else { return };
                self.deliver_completion(completion);
            }
            self.stats().event();
            let somebody_waits = !self.ready.borrow().is_empty();
            let longest = if somebody_waits { SHORT } else { TIME };
            if (somebody_waits && count >= EVENTS) || patience.ends(longest, || self.now()) {
                return self.left_events.set(true);
            }
        }
    }

    fn deliver_completion(self: &Rc<Self>, completion: Completion) {
        match completion {
            Completion::Input(key) => self.deliver_input(key),
            Completion::Output(key) => self.datagrams_have_room(key),
            Completion::Sent(key, sent) => self.send_completed(key, sent),
            Completion::Connected(key, result) => self.connected(key, result),
            Completion::Shut(key, result) => self.shut_completed(key, result),
            Completion::AcceptsNoMore(key) => self.accepts_no_more(key),
            Completion::Closed(key) => self.closed(key),
            Completion::PeerClosed { key, reset } => self.peer_closed(key, reset),
            Completion::Ready { key, ready } => self.deliver_ready(key, ready),
        }
    }

    #[inline]
    fn deliver_input(self: &Rc<Self>, key: Key) {
        if self.input_straight(key) {
            return;
        }
        match self.source_kind(key) {
            Some(Kind::Listener) => self.acceptable(key),
            Some(Kind::Datagram) => self.datagrams_arrived(key),
            Some(Kind::Other) => self.input(key),
            None => {}
        }
    }

    fn source_kind(&self, key: Key) -> Option<Kind> {
        self.slot(key, |slot| match slot {
            Slot::Listener(_) => Kind::Listener,
            Slot::Datagram(_) => Kind::Datagram,
            _ => Kind::Other,
        })
    }

    fn deliver_ready(self: &Rc<Self>, key: Key, ready: Ready) {
        enum Of {
            Signal(SignalKind),
            Child(Key),
            Other,
        }
        let of = self.slot(key, |slot| match slot {
            Slot::OsSignal(signal) => Of::Signal(*signal),
            Slot::Child(process) => Of::Child(*process),
            _ => Of::Other,
        });
        match of {
            Some(Of::Signal(signal)) => self.signal_came(signal),
            Some(Of::Child(process)) => self.child_told(process),
            _ => self.tell_watch(key, ready),
        }
    }

    fn closed(self: &Rc<Self>, key: Key) {
        enum Was {
            Connection,
            Listener,
            Datagram,
            Other,
        }
        let was = self.slot(key, |slot| match slot {
            Slot::Connection(_) => Was::Connection,
            Slot::Listener(_) => Was::Listener,
            Slot::Datagram(_) => Was::Datagram,
            Slot::Attempt(_) | Slot::Watch(_) | Slot::OsSignal(_) | Slot::Child(_) | Slot::Reserved => {
                Was::Other
            }
        });
        match was {
            Some(Was::Connection) => self.notify(key, crate::connection::Notice::Lost),
            Some(Was::Listener) => self.listener_closed(key),
            Some(Was::Datagram) => self.datagrams_closed(key),
            Some(Was::Other) => drop(self.remove_slot(key)),
            None => {}
        }
    }

    /// What was left over from the turn before. What was listed since waits for the next turn: it had its share of this one.
    fn pull_listed(self: &Rc<Self>, left_over: usize) {
        for _ in 0..left_over {
            let key = self.listed.borrow_mut().pop_front();
            let Some(key) = key else { return };
            self.alter(key, |connection| connection.flags.clear(crate::connection::Flags::LISTED));
            match self.source_kind(key) {
                Some(Kind::Listener) => self.accept_more(key),
                Some(Kind::Datagram) => self.pull_datagrams_again(key),
                Some(Kind::Other) => self.pull(key),
                None => {}
            }
        }
    }

    fn take_arrivals(&self) {
        let mut arrived = self.arrived.take();
        if self.remote.shared().take(&mut arrived) {
            let mut ready = self.ready.borrow_mut();
            for post in arrived.posts.drain(..) {
                ready.push(Entry::Call(post.into_callback()));
            }
            for signal in arrived.signals.drain(..) {
                ready.push(Entry::Signal(signal));
            }
            // Behind the raises that came before the last clone was dropped.
            for signal in arrived.forgotten.drain(..) {
                ready.push(Entry::Forget(signal));
            }
            arrived.shrink();
        }
        *self.arrived.borrow_mut() = arrived;
    }

    fn check_flows(&self) {
        let mut checks = self.flow_checks.take();
        // Some have to be looked at again.
        checks.retain(|key| self.check_flow(*key));
        // The memory is kept.
        let mut place = self.flow_checks.borrow_mut();
        checks.append(&mut place);
        *place = checks;
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
            if !self.stopping.get() && budget.is_used_up(|| self.now() - begun > TIME) {
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
    fn run_entry(self: &Rc<Self>, mut entry: Entry) {
        self.stats().callback();
        // Where it is: nearly all are of this kind, and to move it would cost as much as to call it.
        match &mut entry {
            Entry::Call(callback) => self.run_callback(callback),
            _ => self.run_other(entry),
        }
    }

    fn run_other(self: &Rc<Self>, entry: Entry) {
        match entry {
            Entry::Call(mut callback) => self.run_callback(&mut callback),
            Entry::Timer(due) => self.run_timer(due),
            Entry::Notice(key, notice) => self.deliver(key, notice),
            Entry::Signal(key) => self.run_signal(key),
            Entry::Forget(key) => self.forget_signal(key),
            Entry::Discard(value) => drop(self.contained(move || drop(value))),
            Entry::Spent(bytes) => drop(self.contained(move || drop(bytes))),
            Entry::Cancelled => {}
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
            if self.ask(key, Connection::leaves_flush_list) {
                self.flush(key);
            } else if self.source_kind(key) == Some(Kind::Datagram) {
                self.flush_listed_datagrams(key);
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
