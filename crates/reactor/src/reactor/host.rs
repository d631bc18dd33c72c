//! The loop as a guest of a foreign one. The protocol for hosts is a page of the book, `docs/hosting.md`.
//!
//! Between two turns of a hosted loop, and only then, it *rests*:
//!
//! 1. A turn has ended. What has to run before a sleep runs, the flag is raised that other threads look at, and the
//!    backend's descriptor is armed for the nearest deadline, or for now if something is ready.
//! 2. A change that the host could not know of (something became ready, an operation began, the nearest deadline moved
//!    closer, the last thing is gone that kept the loop going) is told, once: to the notice that the host gave, or else by
//!    way of the descriptor.
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
    /// Whether the last turn answered that the loop is idle. If it is and this is not so, he waits for nothing.
    knows_idle: Cell<bool>,
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
        // What was answered until now, he may not have heard.
        self.host.knows_idle.set(false);
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
                // A thread that put work down and found this raised has kept silent, and relies on the turn that begins
                // now. So it is a swap and no store: it reads what that thread wrote last, and with that sees its work.
                // Whoever raises it from now on calls, although that may not be necessary.
                notice.told.swap(false, Ordering::AcqRel);
            }
        }
        Roused(self)
    }

    /// The host may sleep from now on. Without one, nobody knows when the next turn is made, and what this one asked for has
    /// to begin all the same.
    fn rest(&self) {
        if self.life.get() != Life::Alive {
            return;
        }
        if !self.host.is_there.get() {
            self.backend.borrow_mut().arm(None);
            return;
        }
        // The hooks before sleep have run, at the end of the turn.
        if let Some(notice) = &*self.host.notice.borrow() {
            notice.resting.store(true, Ordering::Release);
        }
        let is_busy = self.is_busy() || self.has_news_of_idleness() || !self.remote.shared().may_sleep();
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

    /// Something ended that may have kept the loop going. Likewise, if it was the last: the next turn answers that the loop
    /// is idle, and its host would wait for that turn for ever.
    pub(crate) fn may_be_idle(&self) {
        if self.host.listens.get() && self.has_news_of_idleness() {
            self.tell_host(Instant::ZERO);
        }
    }

    fn has_news_of_idleness(&self) -> bool {
        !self.host.knows_idle.get() && self.is_idle()
    }

    /// A turn, or a run, answers its caller: the host, once there is one.
    pub(super) fn answer_host(&self, turned: Turned) {
        self.host.knows_idle.set(self.host.is_there.get() && turned == Turned::Idle);
    }

    /// Whether the host has a reason to make a turn, whether or not that finds anything: something was told, and no turn was
    /// made since.
    pub(super) fn owes_turn(&self) -> bool {
        if !self.host.is_there.get() || self.in_turn.get() || self.is_over() {
            return false;
        }
        let told = |notice: &Arc<Notice>| notice.told.load(Ordering::Acquire);
        !self.host.listens.get() || self.host.notice.borrow().as_ref().is_some_and(told)
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
