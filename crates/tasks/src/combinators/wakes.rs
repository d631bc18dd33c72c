//! Which children were woken.
//!
//! Each child of a combinator is polled with a waker of its own, which notes the child's index in a queue
//! that all of them share and then wakes the parent. A poll of the parent is one *round*: it takes what is in
//! the queue and polls these children, so it costs what happened, not how many children there are. A child
//! that is woken during a round goes to the next one, so no child can keep a parent from returning.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use parking_lot::Mutex;

use super::fairness::fairness;
use crate::wake::{attempt, discard, wake};

/// In which order the children of one round are polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// From a random child onwards in the first round, as they were woken in later ones.
    Fair,
    /// By index in every round.
    Fixed,
}

/// The wakers of a fixed number of children.
#[derive(Debug)]
pub(crate) struct WakeSet {
    shared: Arc<Shared>,
    children: Vec<State>,
    /// The children whose turn is still to come in this round. It outlives the round only if a child
    /// panicked.
    round: VecDeque<usize>,
    unfinished: usize,
    started: bool,
    /// A sub-waker that turned out not to be needed, for the next child that is polled for the first time.
    spare: Option<Arc<Child>>,
}

#[derive(Debug)]
enum State {
    Fresh,
    Waiting(Waker),
    Finished,
}

#[derive(Debug)]
struct Shared {
    /// Whether waking the child would tell nothing new: it stands in the queue or the round already, or has
    /// finished.
    marks: Box<[AtomicBool]>,
    woken: Mutex<Woken>,
}

#[derive(Debug, Default)]
struct Woken {
    /// Taken by the first child that is woken after a round began, since one wake of the parent is enough.
    parent: Option<Waker>,
    queue: VecDeque<usize>,
}

impl WakeSet {
    pub(crate) fn new(len: usize) -> Self {
        let shared =
            Shared { marks: (0..len).map(|_| AtomicBool::new(true)).collect(), woken: Mutex::default() };
        Self {
            shared: Arc::new(shared),
            children: (0..len).map(|_| State::Fresh).collect(),
            round: VecDeque::new(),
            unfinished: len,
            started: false,
            spare: None,
        }
    }

    /// How many children have not been ready yet.
    pub(crate) fn unfinished(&self) -> usize {
        self.unfinished
    }

    /// Begins a round; from now on, the first child to be woken wakes `parent`.
    pub(crate) fn begin(&mut self, parent: &Context<'_>, order: Order) {
        self.shared.collect(parent, &mut self.round);
        if !mem::replace(&mut self.started, true) {
            self.begin_with_all(order);
        } else if order == Order::Fixed {
            self.round.make_contiguous().sort_unstable();
        }
    }

    fn begin_with_all(&mut self, order: Order) {
        let len = self.children.len();
        let start = match order {
            Order::Fair => fairness(len),
            Order::Fixed => 0,
        };
        self.round.extend((start..len).chain(0..start));
    }

    /// The next child to be polled in this round.
    pub(crate) fn next(&mut self) -> Option<usize> {
        loop {
            let index = self.round.pop_front()?;
            if !matches!(self.children[index], State::Finished) {
                return Some(index);
            }
        }
    }

    /// Polls the child at `index` through `poll`, and lets it rest for ever once it is ready.
    pub(crate) fn poll<T>(
        &mut self,
        index: usize,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        // Cleared before the poll, so that no wake during it is lost; a swap, so that what was written before
        // the wake that set the mark is seen in the poll.
        self.shared.marks[index].swap(false, Ordering::AcqRel);
        let polled = match &self.children[index] {
            State::Waiting(waker) => poll(&mut Context::from_waker(waker)),
            State::Fresh | State::Finished => self.poll_first(index, poll),
        };
        if polled.is_ready() {
            self.finish(index);
        }
        polled
    }

    fn poll_first<T>(&mut self, index: usize, poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        let child = self.child(index);
        let waker = Waker::from(Arc::clone(&child));
        let polled = poll(&mut Context::from_waker(&waker));
        match polled {
            Poll::Pending => self.children[index] = State::Waiting(waker),
            Poll::Ready(_) => self.spare = Some(child),
        }
        polled
    }

    /// A sub-waker that nobody else has. Children that are ready at once pass one on among them.
    fn child(&mut self, index: usize) -> Arc<Child> {
        let mut child = self.spare.take();
        if let Some(unshared) = child.as_mut().and_then(Arc::get_mut) {
            unshared.index = index;
        } else {
            child = None;
        }
        child.unwrap_or_else(|| {
            let shared = Arc::clone(&self.shared);
            Arc::new(Child { shared, index })
        })
    }

    fn finish(&mut self, index: usize) {
        self.shared.marks[index].store(true, Ordering::Release);
        self.children[index] = State::Finished;
        self.unfinished -= 1;
    }
}

impl Drop for WakeSet {
    /// Lets go of the parent: sub-wakers may live on in foreign hands, and must not keep its task alive.
    fn drop(&mut self) {
        let parent = self.shared.woken.lock().parent.take();
        discard(parent, "several futures");
    }
}

impl Shared {
    /// Moves the woken children to `round` and remembers the parent, as one step: between two, a wake could
    /// take the parent for a child that is collected anyway, and leave nobody to wake for the next.
    fn collect(&self, parent: &Context<'_>, round: &mut VecDeque<usize>) {
        attempt(parent, "several futures", |visitor| {
            let mut woken = self.woken.lock();
            visitor.keep_in(&mut woken.parent)?;
            if round.is_empty() {
                mem::swap(round, &mut woken.queue);
            } else {
                round.append(&mut woken.queue);
            }
            Some(())
        });
    }

    fn wake(&self, index: usize) {
        if self.marks[index].swap(true, Ordering::AcqRel) {
            return;
        }
        let parent = {
            let mut woken = self.woken.lock();
            woken.queue.push_back(index);
            woken.parent.take()
        };
        if let Some(parent) = parent {
            wake(parent, "several futures");
        }
    }
}

#[derive(Debug)]
struct Child {
    shared: Arc<Shared>,
    index: usize,
}

impl Wake for Child {
    fn wake(self: Arc<Self>) {
        self.shared.wake(self.index);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.shared.wake(self.index);
    }
}
