//! The loop as a guest of a foreign one. The protocol for hosts is a page of the book, `docs/hosting.md`.
//!
//! Between two turns of a hosted loop, and only then, it *rests*:
//!
//! 1. A turn has ended. What has to run before a sleep runs, the flag is raised that other threads look at, and the
//!    backend's descriptor is armed for the nearest deadline, or for now if something is ready.
//! 2. A change that the host could not know of (something became ready, an operation began, the nearest deadline moved
//!    closer) is told, once: to the notice that the host gave, or else by way of the descriptor.
//! 3. A turn begins. From here on nothing has to be told: the end of the turn will look.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Life, Shell};
use crate::backend::Wakeup;
use crate::contain::contain;
use crate::instant::Instant;

/// How a loop stands after a [turn](crate::Reactor::turn): what [`run`](crate::Reactor::run) would make of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turned {
    /// There may be more to do, now or later: `run` would make another turn.
    GoesOn,
    /// [`Handle::stop`](crate::Handle::stop) was called before this turn or in it. Everything stays alive.
    Stopped,
    /// Nothing is left that could ever call back, unless a program adds something.
    Idle,
    /// The loop was shut down. There will be no more turns.
    Over,
}

/// Who drives a hosted loop, and what he knows.
#[derive(Default)]
pub(super) struct Host {
    is_there: Cell<bool>,
    /// Whether he may sleep on what he knows, so that changes have to be told. Never during a turn.
    listens: Cell<bool>,
    /// Until when he sleeps.
    deadline: Cell<Option<Instant>>,
    /// `None` if the backend's descriptor is all he watches.
    notice: RefCell<Option<Arc<Notice>>>,
}

/// Wakes a loop from other threads in the way that suits it: the backend if that may sleep, the host otherwise.
struct Notice {
    call: Box<dyn Fn() + Send + Sync>,
    backend: Arc<dyn Wakeup>,
    resting: AtomicBool,
    /// Whether the host was told since the last turn.
    told: AtomicBool,
}

impl Notice {
    fn tell(&self) {
        if self.told.swap(true, Ordering::AcqRel) {
            return;
        }
        if let Err(panic) = contain(|| (self.call)()) {
            tracing::error!("the notice to a loop's host {panic}");
        }
    }
}

impl Wakeup for Notice {
    fn wake(&self) {
        // A turn that began meanwhile finds the work that this is about before it sleeps.
        if self.resting.load(Ordering::Acquire) { self.tell() } else { self.backend.wake() }
    }
}

/// While it lives the loop does not rest.
pub(super) struct Roused<'a>(&'a Shell);

impl Drop for Roused<'_> {
    fn drop(&mut self) {
        self.0.rest();
    }
}

impl Shell {
    /// From now on a host drives the loop, who is told of changes by `call`.
    pub(super) fn set_host(&self, call: Box<dyn Fn() + Send + Sync>) {
        if self.is_over() {
            self.contained(move || drop(call));
            return;
        }
        let backend = self.backend_ref().waker();
        let (resting, told) = (AtomicBool::new(false), AtomicBool::new(false));
        let notice = Arc::new(Notice { call, backend, resting, told });
        self.remote.shared().set_waker(Arc::<Notice>::clone(&notice));
        let old = self.host.notice.replace(Some(notice));
        self.contained(move || drop(old));
        self.begin_hosting();
        if !self.in_turn.get() && !self.host.listens.get() {
            self.tell_host(Instant::ZERO);
        }
    }

    /// From now on the loop may be driven by a host.
    pub(super) fn begin_hosting(&self) {
        self.host.is_there.set(true);
        if !self.in_turn.get() {
            self.rest();
        }
    }

    /// Nobody is told anything any more.
    pub(super) fn end_hosting(&self) {
        self.host.is_there.set(false);
        self.host.listens.set(false);
        let notice = self.host.notice.take();
        self.contained(move || drop(notice));
    }

    /// Turns are about to be made, until what this returns is dropped.
    pub(super) fn rouse(&self) -> Roused<'_> {
        if self.host.is_there.get() {
            self.host.listens.set(false);
            self.remote.shared().awake();
            if let Some(notice) = &*self.host.notice.borrow() {
                notice.resting.store(false, Ordering::Release);
                notice.told.swap(false, Ordering::AcqRel);
            }
        }
        Roused(self)
    }

    /// The host may sleep from now on.
    fn rest(&self) {
        if !self.host.is_there.get() || self.life.get() != Life::Alive {
            return;
        }
        // The hooks before sleep have run, at the end of the turn.
        if let Some(notice) = &*self.host.notice.borrow() {
            notice.resting.store(true, Ordering::Release);
        }
        let is_busy = self.is_busy() || !self.remote.shared().may_sleep();
        let until = if is_busy { Some(Instant::ZERO) } else { self.timers.next_deadline() };
        self.host.deadline.set(until);
        self.host.listens.set(!is_busy);
        self.backend.borrow_mut().arm(until);
    }

    /// Whether a turn would find something to do at once, whatever time it is.
    pub(super) fn is_busy(&self) -> bool {
        self.has_work() || self.backend_ref().has_events()
    }

    /// Something can be done now. Between the turns of a hosted loop its host is told, otherwise this does nothing.
    pub(crate) fn changed(&self) {
        if self.host.listens.get() {
            self.tell_host(Instant::ZERO);
        }
    }

    /// A timer was set. Likewise, if it is due before everything that the host knows of.
    pub(crate) fn deadline_changed(&self) {
        if !self.host.listens.get() {
            return;
        }
        let (next, known) = (self.timers.next_deadline(), self.host.deadline.get());
        if let Some(next) = next.filter(|next| known.is_none_or(|known| *next < known)) {
            self.tell_host(next);
        }
    }

    #[cold]
    fn tell_host(&self, moment: Instant) {
        let notice = self.host.notice.borrow().clone();
        match notice {
            Some(notice) => {
                self.host.listens.set(false);
                notice.tell();
            }
            None => {
                self.host.listens.set(moment != Instant::ZERO);
                self.host.deadline.set(Some(moment));
                self.backend.borrow_mut().arm(Some(moment));
            }
        }
    }
}
