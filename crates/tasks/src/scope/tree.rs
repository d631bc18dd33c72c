//! Scopes, and what they inherit.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Waker};

use marline_reactor::{Handle, Instant};
use parking_lot::Mutex;

use crate::wake::{attempt, discard, wake};

/// One scope. Its parent is locked never while its own lock is held, nor the other way round, and no waker is cloned, woken or
/// dropped under a lock.
pub(super) struct Node {
    parent: Option<Arc<Node>>,
    number: u64,
    state: Mutex<State>,
}

struct State {
    cause: Option<Cause>,
    /// Its own; [`Instant::FAR`] if it has none.
    deadline: Instant,
    /// The clock of its deadline is one that every thread can read.
    monotonic: bool,
    children: BTreeMap<u64, Weak<Node>>,
    /// Who runs in it.
    watchers: BTreeMap<u64, Waker>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    ByHand,
    Deadline,
}

/// For children and watchers: in this order they are woken.
fn fresh_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Node {
    pub(super) fn new(parent: Option<Arc<Self>>) -> Arc<Self> {
        let state = State {
            cause: None,
            deadline: Instant::FAR,
            monotonic: false,
            children: BTreeMap::new(),
            watchers: BTreeMap::new(),
        };
        let node = Arc::new(Self { parent, number: fresh_number(), state: Mutex::new(state) });
        if let Some(parent) = &node.parent {
            parent.state.lock().children.insert(node.number, Arc::downgrade(&node));
        }
        node
    }

    /// It and the scopes around it, from the inside out.
    fn ancestry(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |node| node.parent.as_deref())
    }

    pub(super) fn cause(&self) -> Option<Cause> {
        self.ancestry().find_map(|node| node.state.lock().cause)
    }

    pub(super) fn deadline(&self) -> Instant {
        self.ancestry().map(|node| node.state.lock().deadline).min().unwrap_or(Instant::FAR)
    }

    /// Both in one walk.
    pub(super) fn cause_and_deadline(&self) -> (Option<Cause>, Instant) {
        let (mut cause, mut deadline) = (None, Instant::FAR);
        for node in self.ancestry() {
            let state = node.state.lock();
            cause = cause.or(state.cause);
            deadline = deadline.min(state.deadline);
        }
        (cause, deadline)
    }

    /// A deadline that is found to have passed stays so, whatever becomes of the deadline later.
    pub(super) fn is_cancelled(&self) -> bool {
        self.ancestry().filter(|node| node.is_due()).for_each(|node| node.end(Cause::Deadline));
        self.cause().is_some()
    }

    /// Whether its own deadline has passed, as far as this thread can tell, and nobody has noticed.
    fn is_due(&self) -> bool {
        let state = self.state.lock();
        if state.cause.is_some() || state.deadline == Instant::FAR {
            return false;
        }
        let (deadline, monotonic) = (state.deadline, state.monotonic);
        drop(state);
        if monotonic {
            return Instant::monotonic() >= deadline;
        }
        Handle::current().is_ok_and(|handle| handle.now() >= deadline)
    }

    pub(super) fn cancel(&self) {
        self.end(Cause::ByHand);
    }

    /// This moment has come: whatever had its deadline until then is cancelled.
    pub(super) fn expire(&self, moment: Instant) {
        for node in self.ancestry() {
            let due = node.state.lock().deadline <= moment;
            if due {
                node.end(Cause::Deadline);
            }
        }
    }

    fn end(&self, cause: Cause) {
        let mut state = self.state.lock();
        if state.cause.is_some() {
            return;
        }
        state.cause = Some(cause);
        drop(state);
        self.wake_all();
    }

    pub(super) fn set_deadline(&self, deadline: Instant) {
        // One that has passed is not taken back.
        if self.is_cancelled() {
            return;
        }
        let before = self.deadline();
        let monotonic = Handle::current().is_ok_and(|handle| is_monotonic(&handle));
        let mut state = self.state.lock();
        (state.deadline, state.monotonic) = (deadline, monotonic);
        drop(state);
        let after = self.deadline();
        // Whoever waits for too early a moment looks again when that has come. No timer must be left where none is needed.
        if after < before || (after == Instant::FAR && before != after) {
            self.wake_all();
        }
    }

    /// Wakes whoever runs in it, or in a scope inside of it, in the order in which they began.
    fn wake_all(&self) {
        let mut wakers = BTreeMap::new();
        // A list and no recursion: scopes may be nested deeper than the stack is.
        let mut inside = self.collect(&mut wakers);
        while let Some(node) = inside.pop() {
            inside.extend(node.collect(&mut wakers));
        }
        wakers.into_values().for_each(|waker| wake(waker, "a scope"));
    }

    /// Takes the wakers of whoever runs in it: the scopes right inside of it.
    fn collect(&self, wakers: &mut BTreeMap<u64, Waker>) -> Vec<Arc<Self>> {
        let state = self.state.lock();
        let children: Vec<_> = state.children.values().filter_map(Weak::upgrade).collect();
        let watchers: Vec<_> = state.watchers.keys().copied().collect();
        drop(state);
        for watcher in watchers {
            // It is taken out: whoever is polled again comes back. The lock is free again when it is put into the map.
            let waker = self.state.lock().watchers.remove(&watcher);
            wakers.extend(waker.map(|waker| (watcher, waker)));
        }
        children
    }

    /// Has who polls woken when there is something new, in the place that has this number.
    pub(super) fn watch(&self, number: &mut Option<u64>, context: &Context<'_>) {
        let number = *number.get_or_insert_with(fresh_number);
        attempt(context, "a scope", |visitor| {
            let mut state = self.state.lock();
            if !state.watchers.get(&number).is_some_and(|known| visitor.is_woken_by(known)) {
                let waker = visitor.waker()?;
                visitor.replace(state.watchers.insert(number, waker));
            }
            Some(())
        });
    }

    pub(super) fn forget(&self, number: Option<u64>) {
        if let Some(number) = number {
            let waker = self.state.lock().watchers.remove(&number);
            discard(waker, "a scope");
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // The scopes around it may go with it; a loop, because they may be more than the stack can take.
        let (mut number, mut parent) = (self.number, self.parent.take());
        while let Some(node) = parent {
            node.state.lock().children.remove(&number);
            parent = Arc::into_inner(node).and_then(|mut node| {
                number = node.number;
                node.parent.take()
            });
        }
    }
}

/// Whether the loop's clock is the one of all threads, and not a virtual one: then it reads what lies in between.
fn is_monotonic(handle: &Handle) -> bool {
    let before = Instant::monotonic();
    let now = handle.now();
    (before..=Instant::monotonic()).contains(&now)
}
