//! A future that is never ready, and tells what was done with it.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Knows whether a call of the test's is on the stack. Clones share it.
#[derive(Clone, Default)]
pub struct Within {
    depth: Rc<Cell<usize>>,
    violations: Rc<Cell<usize>>,
}

impl Within {
    /// Makes a call during which no task, callback or destructor of a task may run.
    pub fn call<R>(&self, call: impl FnOnce() -> R) -> R {
        self.depth.set(self.depth.get() + 1);
        let answer = call();
        self.depth.set(self.depth.get() - 1);
        answer
    }

    /// To be called from tasks, callbacks and destructors. A panic would be contained there, so it only counts.
    pub fn check(&self) {
        if self.depth.get() > 0 {
            self.violations.set(self.violations.get() + 1);
        }
    }

    /// How often something ran on the stack of a call.
    pub fn violations(&self) -> usize {
        self.violations.get()
    }
}

/// Makes such futures, and counts what happens to them. Clones share the counts.
#[derive(Clone, Default)]
pub struct Probe {
    pub within: Within,
    polls: Rc<Cell<usize>>,
    drops: Rc<Cell<usize>>,
    waker: Rc<RefCell<Option<Waker>>>,
}

impl Probe {
    pub fn new() -> Self {
        Self::default()
    }

    /// One that knows of the same calls.
    pub fn within(within: &Within) -> Self {
        Self { within: within.clone(), ..Self::default() }
    }

    pub fn future(&self) -> Probing {
        Probing { probe: self.clone() }
    }

    /// Wakes whoever polled a future of this last.
    pub fn wake(&self) {
        self.waker().wake();
    }

    pub fn waker(&self) -> Waker {
        self.waker.borrow().clone().expect("a poll")
    }

    pub fn polls(&self) -> usize {
        self.polls.get()
    }

    pub fn drops(&self) -> usize {
        self.drops.get()
    }
}

/// Never ready.
pub struct Probing {
    probe: Probe,
}

impl Future for Probing {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let probe = &self.probe;
        probe.within.check();
        probe.polls.set(probe.polls.get() + 1);
        *probe.waker.borrow_mut() = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Probing {
    fn drop(&mut self) {
        self.probe.within.check();
        self.probe.drops.set(self.probe.drops.get() + 1);
    }
}
