//! Which timer is next: a plain structure that takes the time as an argument.
//!
//! The life of a timer:
//!
//! ```text
//!  insert --> armed --pop_due--> due --begin--> running --end(again)--> armed
//!               ^                 |                |
//!               +------reset------+                +------end(None)---> gone
//! ```
//!
//! `remove` ends it in each of these states. A removed timer leaves the heap at once, so timers that are set far
//! ahead and cancelled soon, as most timeouts are, do not pile up. No user code runs in here: each value is handed
//! back, and dropped by whoever called.

mod heap;
#[cfg(test)]
mod tests;

use std::num::NonZeroU64;

use heap::{Entry, Heap};

use crate::instant::Instant;
use crate::key::Key;
use crate::slab::Slab;

/// The timers of one loop, and the order in which they become due: by deadline, and in the order in which they were
/// set where deadlines are equal. A reset counts as setting anew.
#[derive(Debug)]
pub(crate) struct TimerQueue<T> {
    heap: Heap,
    timers: Slab<Timer<T>>,
    /// How often a timer was set so far.
    settings: u64,
    /// Timers that were removed while they ran, and whose slots wait for `end`.
    removed_running: usize,
}

/// Names a timer. The name of one that is gone finds nothing, whoever uses its slot now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TimerId(Key);

/// A ticket for one run of a timer that became due. It is void once the timer was reset, removed or begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) id: TimerId,
    /// The moment that it became due for.
    pub(crate) deadline: Instant,
    /// How often the timer became due until then.
    arming: u32,
}

/// What [`TimerQueue::remove`] found.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Removed<T> {
    /// It was armed or due, and had this value.
    Waiting(T),
    /// Its callback runs, for the last time.
    Running,
    /// It was gone.
    Nothing,
}

#[derive(Debug)]
struct Timer<T> {
    /// Absent while the timer runs.
    value: Option<T>,
    state: State,
    arming: u32,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// In the heap.
    Armed,
    /// Out of the heap, waiting for its turn to run.
    Due(Instant),
    /// Its callback runs.
    Running {
        /// The deadline it runs for, or the one it was reset to meanwhile.
        deadline: Instant,
        /// Its place among equal deadlines, if it was reset meanwhile.
        reset: Option<NonZeroU64>,
    },
    /// Its callback runs, and nothing shall come after.
    Removed,
}

impl<T> TimerQueue<T> {
    pub(crate) const fn new() -> Self {
        Self { heap: Heap::new(), timers: Slab::new(), settings: 0, removed_running: 0 }
    }

    /// How many timers are armed, due or running.
    pub(crate) fn len(&self) -> usize {
        self.timers.len() - self.removed_running
    }

    #[inline]
    pub(crate) fn insert(&mut self, deadline: Instant, value: T) -> TimerId {
        let key = self.timers.insert(Timer { value: Some(value), state: State::Armed, arming: 0 });
        let sequence = self.next_sequence();
        self.heap.push(Entry::new(deadline, sequence, key));
        TimerId(key)
    }

    /// Cancels a timer, and hands its value back so that the caller drops it. A running one gives nothing back,
    /// and will not be armed again.
    pub(crate) fn remove(&mut self, id: TimerId) -> Removed<T> {
        let Some(timer) = self.timers.get_mut(id.0) else { return Removed::Nothing };
        match timer.state {
            State::Armed => self.heap.remove(id.0),
            State::Due(_) => {}
            State::Running { .. } => {
                timer.state = State::Removed;
                self.removed_running += 1;
                return Removed::Running;
            }
            State::Removed => return Removed::Nothing,
        }
        let value = timer.value.take();
        self.timers.vacate(id.0);
        value.map_or(Removed::Nothing, Removed::Waiting)
    }

    /// Whether the timer is armed, due or running.
    pub(crate) fn is_live(&self, id: TimerId) -> bool {
        self.timers.get(id.0).is_some_and(|timer| !matches!(timer.state, State::Removed))
    }

    /// The value of a timer that does not run.
    pub(crate) fn get_mut(&mut self, id: TimerId) -> Option<&mut T> {
        self.timers.get_mut(id.0)?.value.as_mut()
    }

    /// The moment that a live timer was last set to.
    pub(crate) fn deadline(&self, id: TimerId) -> Option<Instant> {
        match self.timers.get(id.0)?.state {
            State::Armed => Some(self.heap.get(id.0).deadline),
            State::Due(deadline) | State::Running { deadline, .. } => Some(deadline),
            State::Removed => None,
        }
    }

    /// Moves a timer sooner or later. One that was due is armed again, one that runs remembers it for
    /// [`end`](Self::end). False if the timer is gone.
    pub(crate) fn reset(&mut self, id: TimerId, deadline: Instant) -> bool {
        let sequence = self.next_sequence();
        let Some(timer) = self.timers.get_mut(id.0) else {
            return false;
        };
        match &mut timer.state {
            State::Armed => self.heap.replace(Entry::new(deadline, sequence, id.0)),
            due @ State::Due(_) => {
                *due = State::Armed;
                self.heap.push(Entry::new(deadline, sequence, id.0));
            }
            running @ State::Running { .. } => {
                let reset = NonZeroU64::new(sequence);
                *running = State::Running { deadline, reset };
            }
            State::Removed => return false,
        }
        true
    }

    /// The nearest deadline of an armed timer, if it ever comes.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let deadline = self.heap.first()?.deadline;
        (deadline != Instant::FAR).then_some(deadline)
    }

    /// Every timer that is armed, due or running, by its deadline; without its value while it runs.
    pub(crate) fn listing(&self) -> Vec<(Instant, Option<&T>)> {
        let rows = self.timers.entries().filter_map(|(key, timer)| {
            let (deadline, sequence) = match timer.state {
                State::Armed => self.heap.get(key).order(),
                State::Due(deadline) | State::Running { deadline, .. } => (deadline, 0),
                State::Removed => return None,
            };
            Some((deadline, sequence, timer.value.as_ref()))
        });
        let mut rows: Vec<_> = rows.collect();
        rows.sort_by_key(|(deadline, sequence, _)| (*deadline, *sequence));
        rows.into_iter().map(|(deadline, _, value)| (deadline, value)).collect()
    }

    /// Takes the first timer that is due at `now` out of the order. Its value stays here until it
    /// [begins](Self::begin).
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Due> {
        self.next_deadline().filter(|deadline| *deadline <= now)?;
        let Entry { deadline, key, .. } = self.heap.pop()?;
        let timer = self.timers.get_mut(key)?;
        timer.state = State::Due(deadline);
        timer.arming = timer.arming.wrapping_add(1);
        let arming = timer.arming;
        Some(Due { id: TimerId(key), deadline, arming })
    }

    /// Takes the value out to run it, unless the timer was removed, reset or begun since it became due.
    /// [`end`](Self::end) must follow.
    pub(crate) fn begin(&mut self, due: Due) -> Option<T> {
        let timer = self.timers.get_mut(due.id.0)?;
        let State::Due(deadline) = timer.state else {
            return None;
        };
        if timer.arming != due.arming {
            return None;
        }
        timer.state = State::Running { deadline, reset: None };
        timer.value.take()
    }

    /// Ends a run: arms the timer `again` under the same id, or lets it go. A reset that was made during the run
    /// wins over the deadline given here. The value comes back if the timer was removed meanwhile.
    pub(crate) fn end(&mut self, id: TimerId, again: Option<(Instant, T)>) -> Option<T> {
        let Some(timer) = self.timers.get_mut(id.0) else {
            return again.map(|(_, value)| value);
        };
        let (reset_to, reset) = match timer.state {
            State::Running { deadline, reset } => (deadline, reset),
            State::Removed => {
                self.removed_running -= 1;
                self.timers.vacate(id.0);
                return again.map(|(_, value)| value);
            }
            State::Armed | State::Due(_) => return again.map(|(_, value)| value),
        };
        let Some((deadline, value)) = again else {
            self.timers.vacate(id.0);
            return None;
        };
        (timer.value, timer.state) = (Some(value), State::Armed);
        let (deadline, sequence) = match reset {
            Some(sequence) => (reset_to, sequence.get()),
            None => (deadline, self.next_sequence()),
        };
        self.heap.push(Entry::new(deadline, sequence, id.0));
        None
    }

    /// Ends every timer, and hands their values back in the order of their slots. A timer that runs ends too; its
    /// value comes back from [`end`](Self::end).
    pub(crate) fn clear(&mut self) -> Vec<T> {
        self.heap.clear();
        self.removed_running = 0;
        let keys = self.timers.keys();
        let values = keys.into_iter().filter_map(|key| self.timers.remove(key)?.value);
        values.collect()
    }

    fn next_sequence(&mut self) -> u64 {
        self.settings += 1;
        self.settings
    }
}
