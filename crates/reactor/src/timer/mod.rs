//! Timers.
//!
//! `queue`: the ordered queue, a pure structure. This file: the loop's timers, and the handle of one.

pub(crate) mod queue;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::Location;
use std::rc::{Rc, Weak};
use std::time::Duration;

use crate::contain::contain;
use crate::debug::moment;
use crate::instant::Instant;
use crate::reactor::Shell;
use crate::ready::{Callback, Entry, Other};
use queue::{Due, Removed, TimerId, TimerQueue};

/// The timers of a loop.
pub(crate) struct Timers {
    queue: RefCell<TimerQueue<Work>>,
    /// How many live timers keep the loop alive.
    keeping: Cell<usize>,
    /// The timer that runs, if it was unreferenced meanwhile.
    unreferenced: Cell<Option<TimerId>>,
}

struct Work {
    job: Job,
    keeps_alive: bool,
}

enum Job {
    Once(Callback),
    Every { period: Duration, place: &'static Location<'static>, call: Box<dyn FnMut()> },
}

impl Timers {
    pub(crate) fn new() -> Self {
        Self { queue: RefCell::new(TimerQueue::new()), keeping: Cell::new(0), unreferenced: Cell::new(None) }
    }

    fn insert(&self, deadline: Instant, job: Job) -> TimerId {
        self.keeping.set(self.keeping.get() + 1);
        self.queue.borrow_mut().insert(deadline, Work { job, keeps_alive: true })
    }

    /// A timer of the loop's own, which does not keep it alive.
    pub(crate) fn insert_own(&self, deadline: Instant, callback: Callback) -> TimerId {
        self.queue.borrow_mut().insert(deadline, Work { job: Job::Once(callback), keeps_alive: false })
    }

    /// Takes a timer out. The caller drops what comes back, outside of any borrow.
    pub(crate) fn remove(&self, id: TimerId) -> Removed<impl Sized + use<>> {
        let removed = self.queue.borrow_mut().remove(id);
        if let Removed::Waiting(work) = &removed {
            self.forget(work);
        }
        removed
    }

    fn forget(&self, work: &Work) {
        if work.keeps_alive {
            self.keeping.set(self.keeping.get() - 1);
        }
    }

    pub(crate) fn reset(&self, id: TimerId, deadline: Instant) -> bool {
        self.queue.borrow_mut().reset(id, deadline)
    }

    /// Exchanges what a timer calls, if it is to call something once and has not begun to.
    fn exchange(&self, id: TimerId, callback: &mut Callback) -> bool {
        match self.queue.borrow_mut().get_mut(id) {
            Some(Work { job: Job::Once(before), .. }) => {
                std::mem::swap(before, callback);
                true
            }
            _ => false,
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.queue.borrow().next_deadline()
    }

    pub(crate) fn are_due(&self, now: Instant) -> bool {
        self.next_deadline().is_some_and(|deadline| deadline <= now)
    }

    pub(crate) fn keep_alive(&self) -> bool {
        // Timers that never come count as none: they keep nobody waiting.
        self.keeping.get() > 0 && self.next_deadline().is_some()
    }

    pub(crate) fn len(&self) -> usize {
        self.queue.borrow().len()
    }

    /// Phase 3: what is due goes to the ready queue, in order.
    pub(crate) fn queue_due(&self, shell: &Shell) {
        if self.next_deadline().is_none() {
            return;
        }
        let now = shell.now();
        loop {
            let due = self.queue.borrow_mut().pop_due(now);
            let Some(due) = due else { return };
            shell.stats().timer_due(now - due.deadline);
            shell.push(Entry::Other(Other::Timer(due)));
        }
    }

    /// A line for each, by deadline.
    pub(crate) fn rows(&self, now: Instant) -> Vec<String> {
        let queue = self.queue.borrow();
        queue.listing().into_iter().map(|(deadline, work)| row(deadline, work, now)).collect()
    }

    /// Empties it. The caller drops what comes back.
    pub(crate) fn clear(&self) -> Vec<impl Sized + use<>> {
        self.keeping.set(0);
        self.queue.borrow_mut().clear()
    }
}

impl Shell {
    /// Runs a timer that came due, unless it was cancelled or reset since.
    pub(crate) fn run_timer(&self, due: Due) {
        let timers = &self.timers;
        let work = timers.queue.borrow_mut().begin(due);
        let Some(work) = work else { return };
        match work.job {
            Job::Once(mut callback) => {
                timers.queue.borrow_mut().end(due.id, None);
                self.run_callback(&mut callback);
                if work.keeps_alive {
                    timers.keeping.set(timers.keeping.get() - 1);
                }
            }
            Job::Every { period, place, mut call } => {
                let ran = || contain(&mut call).map_err(|panic| self.report_panic(panic, place));
                _ = self.timed(ran, || format!("the repeating timer set at {place}"));
                let next = next_period(due.deadline, period, self.now());
                let mut again =
                    Work { job: Job::Every { period, place, call }, keeps_alive: work.keeps_alive };
                if timers.unreferenced.take() == Some(due.id) {
                    timers.forget(&again);
                    again.keeps_alive = false;
                }
                let ended = timers.queue.borrow_mut().end(due.id, Some((next, again)));
                if let Some(ended) = ended {
                    timers.forget(&ended);
                    self.contained(move || drop(ended));
                }
            }
        }
    }
}

fn row(deadline: Instant, work: Option<&Work>, now: Instant) -> String {
    let Some(work) = work else { return "its callback runs".to_owned() };
    let when = moment(deadline, now);
    let what = match &work.job {
        Job::Once(callback) => format!("{when}, set at {}", callback.place()),
        Job::Every { period, place, .. } => format!("{when} and every {period:?}, set at {place}"),
    };
    if work.keeps_alive { what } else { format!("{what}, does not keep the loop running") }
}

/// The first moment after `now` that is a whole number of periods after `deadline`.
fn next_period(deadline: Instant, period: Duration, now: Instant) -> Instant {
    let period = u64::try_from(period.as_nanos()).unwrap_or(u64::MAX).max(1);
    let missed = now.as_nanos().saturating_sub(deadline.as_nanos()) / period;
    Instant::from_nanos(deadline.as_nanos().saturating_add(period.saturating_mul(missed + 1)))
}

/// A call that was scheduled for a time. Dropping the handle changes nothing.
///
/// The resolution is the backend's: the readiness backend waits whole milliseconds, rounded up, so a timer
/// is up to a millisecond late and never early; the memory backend is exact. A loop that is
/// busy sees within a few milliseconds that a timer is due; `docs/design.md` tells how late it may run.
#[derive(Clone)]
pub struct Timer {
    shell: Weak<Shell>,
    id: TimerId,
}

/// The name of a [`Timer`], which is plain data: `Copy`, and `Send`. [`Handle::timer`](crate::Handle::timer) finds the timer
/// again, on the loop's thread; the name of one that has run or was cancelled finds nothing that could be cancelled or reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimerKey(TimerId);

impl Timer {
    pub(crate) fn find(shell: &Rc<Shell>, TimerKey(id): TimerKey) -> Self {
        Self { shell: shell.weak(), id }
    }

    /// Its name.
    #[must_use]
    pub fn key(&self) -> TimerKey {
        TimerKey(self.id)
    }

    #[inline]
    pub(crate) fn once(shell: &Rc<Shell>, deadline: Instant, callback: Callback) -> Self {
        Self::insert(shell, deadline, Job::Once(callback))
    }

    #[track_caller]
    pub(crate) fn every(shell: &Rc<Shell>, period: Duration, call: Box<dyn FnMut()>) -> Self {
        Self::insert(shell, shell.now() + period, Job::Every { period, place: Location::caller(), call })
    }

    fn insert(shell: &Rc<Shell>, deadline: Instant, job: Job) -> Self {
        let id = shell.timers.insert(deadline, job);
        shell.deadline_changed();
        if shell.is_ended() {
            shell.cancel_timer(id);
        }
        Self { shell: shell.weak(), id }
    }

    /// Cancels it: whether it was still to run. What the closure holds is dropped at once; that of a repeating
    /// timer that runs just now, when it returns.
    pub fn cancel(&self) -> bool {
        let Some(shell) = self.shell.upgrade() else {
            return false;
        };
        shell.end_timer(self.id)
    }

    /// Sets it anew, to `delay` from now, sooner or later than before. `false` if it has run or was cancelled. A
    /// repeating timer keeps its period and begins to count anew.
    pub fn reset(&self, delay: Duration) -> bool {
        self.shell.upgrade().is_some_and(|shell| shell.reset_timer(self.id, shell.now() + delay))
    }

    /// As [`reset`](Self::reset), to a moment.
    pub fn reset_at(&self, deadline: Instant) -> bool {
        self.shell.upgrade().is_some_and(|shell| shell.reset_timer(self.id, deadline))
    }

    /// Lets it run `call` in place of what it was to run, which is dropped: at the same time and, among equal deadlines, in the
    /// same place, also if it is due already. `false`, and `call` is dropped, if it has run or was cancelled, or repeats.
    ///
    /// ```
    /// use marline_reactor::testing::MemoryReactor;
    /// use std::time::Duration;
    ///
    /// let memory = MemoryReactor::new();
    /// let timer = memory.handle().call_later(Duration::from_secs(1), || unreachable!("it was exchanged"));
    /// assert!(timer.exchange(|| println!("a second has passed")));
    /// memory.advance(Duration::from_secs(1));
    /// assert!(!timer.exchange(|| ()), "it has run");
    /// ```
    #[track_caller]
    pub fn exchange(&self, call: impl FnOnce() + 'static) -> bool {
        let Some(shell) = self.shell.upgrade() else { return false };
        let mut callback = Callback::new(call, Location::caller());
        let is_exchanged = shell.timers.exchange(self.id, &mut callback);
        shell.contained(move || drop(callback));
        is_exchanged
    }

    /// When it is to run next; `None` if it will not.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.shell.upgrade().and_then(|shell| shell.timers.queue.borrow().deadline(self.id))
    }

    /// Lets [`run`](crate::Reactor::run) return although this timer has not run.
    pub fn unreference(&self) {
        let Some(shell) = self.shell.upgrade() else { return };
        let mut queue = shell.timers.queue.borrow_mut();
        if let Some(work) = queue.get_mut(self.id) {
            shell.timers.forget(work);
            work.keeps_alive = false;
        } else if queue.is_live(self.id) {
            // It runs, and is told when it is set again.
            shell.timers.unreferenced.set(Some(self.id));
        }
        drop(queue);
        shell.may_be_idle();
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer").field("deadline", &self.deadline()).finish()
    }
}
