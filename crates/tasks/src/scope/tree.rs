//! Scopes, and what they inherit.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::Waker;

use marline_reactor::{Failure, Handle, Instant};
use parking_lot::Mutex;

use crate::task::contain;

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

    pub(super) fn is_cancelled(&self) -> bool {
        let passed = || Handle::current().is_ok_and(|handle| handle.now() >= self.deadline());
        self.cause().is_some() || passed()
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
        self.state.lock().deadline = deadline;
        // They have to wait for another moment now.
        self.wake_all();
    }

    /// Wakes whoever runs in it, or in a scope inside of it, in the order in which they began.
    fn wake_all(&self) {
        let mut wakers = BTreeMap::new();
        self.collect(&mut wakers);
        wakers.into_values().for_each(wake);
    }

    fn collect(&self, wakers: &mut BTreeMap<u64, Waker>) {
        let state = self.state.lock();
        let children: Vec<_> = state.children.values().filter_map(Weak::upgrade).collect();
        let watchers: Vec<_> = state.watchers.keys().copied().collect();
        drop(state);
        for watcher in watchers {
            // It is taken out: whoever is polled again comes back. The lock is free again when it is put into the map.
            let waker = self.state.lock().watchers.remove(&watcher);
            wakers.extend(waker.map(|waker| (watcher, waker)));
        }
        children.iter().for_each(|child| child.collect(wakers));
    }

    /// Has `waker` woken when there is something new, in the place of the one that has this number.
    pub(super) fn watch(&self, number: &mut Option<u64>, waker: &Waker) {
        let number = *number.get_or_insert_with(fresh_number);
        let known = self.state.lock().watchers.get(&number).is_some_and(|known| known.will_wake(waker));
        if !known {
            let fresh = waker.clone();
            let stale = self.state.lock().watchers.insert(number, fresh);
            drop(stale);
        }
    }

    pub(super) fn forget(&self, number: Option<u64>) {
        if let Some(number) = number {
            let waker = self.state.lock().watchers.remove(&number);
            drop(contain(move || drop(waker)));
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(parent) = &self.parent {
            parent.state.lock().children.remove(&self.number);
        }
    }
}

/// A waker that panics must not keep the others from being woken.
fn wake(waker: Waker) {
    let Err(panic) = contain(move || waker.wake()) else { return };
    match Handle::current() {
        Ok(handle) => {
            handle.report(&Failure::unobserved(Box::new(panic), "a waker of who ran in a scope".to_owned()));
        }
        Err(_) => tracing::error!("a waker of who ran in a scope that was cancelled {panic}"),
    }
}
