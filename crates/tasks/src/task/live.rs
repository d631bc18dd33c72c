//! What is kept of a task, whatever its future is.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::ops::Deref;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use marline_reactor::{Instant, LoopId};

use super::cell::Body;
use super::executor::Executor;
use super::injector::Injector;
use super::list::TaskId;
use super::owners::{Owners, Thread};
use super::report::Origin;

/// There is one for every task, idle ones included, so every word in here counts. What is in a `Cell` is for the thread of the
/// task's loop alone.
pub(super) struct Header {
    pub(super) body: &'static Body,
    pub(super) owners: Owners,
    /// The thread of its loop.
    thread: Thread,
    /// `None` when it has ended.
    pub(super) executor: Cell<Option<Rc<Executor>>>,
    /// What other threads send to its loop.
    pub(super) injector: &'static Injector,
    pub(super) loop_id: LoopId,
    /// Its number on that loop.
    pub(super) number: u64,
    /// Where it was started.
    pub(super) place: &'static Location<'static>,
    pub(super) name: Option<Name>,
    /// When it was started; [`Instant::FAR`] if nobody took the time.
    pub(super) born: Instant,
    /// Counted up to the most that it can hold.
    polls: Cell<u32>,
    /// Where it is in the list of its executor, which is no longer than that.
    pub(super) listed_at: Cell<u32>,
    /// Who awaits it, and polled the handle on this thread.
    pub(super) awaiter: Cell<Option<Waker>>,
    state: Cell<State>,
    /// Its future is being polled or dropped.
    pub(super) is_lent: Cell<bool>,
    /// It is dropped instead of polled.
    pub(super) is_aborted: Cell<bool>,
    /// It is dropped at once, or as soon as its future is not lent any more.
    pub(super) is_cancelled: Cell<bool>,
    /// Its handle is gone.
    pub(super) is_detached: Cell<bool>,
    /// Its handle may take the outcome.
    pub(super) has_ended: AtomicBool,
    /// It was awaited on another thread.
    pub(super) is_awaited_elsewhere: AtomicBool,
    /// It is on its way to be woken by another thread.
    woken_elsewhere: AtomicBool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It waits to be woken.
    Waiting,
    /// It was woken, or just started.
    Woken,
    /// It is being polled, and was not woken since that began.
    Polled,
    /// It needs no waking any more.
    Ended,
}

/// What a task is born with.
pub(super) struct Birth {
    pub(super) executor: Rc<Executor>,
    pub(super) injector: &'static Injector,
    pub(super) loop_id: LoopId,
    pub(super) number: u64,
    pub(super) place: &'static Location<'static>,
    pub(super) name: Option<Name>,
    pub(super) born: Instant,
}

impl Header {
    /// Of a task of this thread, which is put into the ready queue at once, and has so many owners.
    #[inline]
    pub(super) fn new(birth: Birth, body: &'static Body, owners: usize) -> Self {
        let Birth { executor, injector, loop_id, number, place, name, born } = birth;
        Self {
            body,
            owners: Owners::new(owners),
            thread: Thread::current(),
            executor: Cell::new(Some(executor)),
            injector,
            loop_id,
            number,
            place,
            name,
            born,
            polls: Cell::new(0),
            listed_at: Cell::new(u32::MAX),
            awaiter: Cell::new(None),
            state: Cell::new(State::Woken),
            is_lent: Cell::new(false),
            is_aborted: Cell::new(false),
            is_cancelled: Cell::new(false),
            is_detached: Cell::new(false),
            has_ended: AtomicBool::new(false),
            is_awaited_elsewhere: AtomicBool::new(false),
            woken_elsewhere: AtomicBool::new(false),
        }
    }

    /// Whether this is the thread of its loop. Only there more than the plain and the atomic fields may be touched.
    #[inline]
    pub(super) fn is_home(&self) -> bool {
        self.thread.is_current()
    }

    // At home.

    #[inline]
    pub(super) fn state(&self) -> State {
        self.state.get()
    }

    /// It is woken: whether it has to be put into the ready queue for that. One that is being polled gets there when its poll
    /// ends: it is not ready before.
    #[inline]
    pub(super) fn wake(&self) -> bool {
        let state = self.state.get();
        if state != State::Ended {
            self.state.set(State::Woken);
        }
        state == State::Waiting
    }

    /// Its turn has come.
    #[inline]
    pub(super) fn begin_turn(&self) {
        self.state.set(State::Polled);
        // Who is on the way to wake it comes too late.
        if self.woken_elsewhere.load(Ordering::Relaxed) {
            self.arrives();
        }
    }

    /// Its poll ended: whether it was woken meanwhile, and has to be put into the ready queue.
    #[inline]
    pub(super) fn end_turn(&self) -> bool {
        if self.state.get() == State::Woken {
            return true;
        }
        self.state.set(State::Waiting);
        false
    }

    /// Nobody has to wake it any more.
    #[inline]
    pub(super) fn set_ended(&self) {
        self.state.set(State::Ended);
    }

    pub(super) fn is_queued(&self) -> bool {
        self.state.get() == State::Woken || self.woken_elsewhere.load(Ordering::Relaxed)
    }

    /// Its future is lent to `work`, which does not panic.
    #[inline]
    pub(super) fn lend<R>(&self, work: impl FnOnce() -> R) -> R {
        self.is_lent.set(true);
        let result = work();
        self.is_lent.set(false);
        result
    }

    #[inline]
    pub(super) fn count_poll(&self) {
        self.polls.set(self.polls.get().saturating_add(1));
    }

    pub(super) fn polls(&self) -> u64 {
        self.polls.get().into()
    }

    // From any thread.

    /// Another thread wakes it: whether it has to be sent for that. A swap, so that whoever reads what it wrote sees what came
    /// before this wake.
    #[inline]
    pub(super) fn leaves(&self) -> bool {
        !self.has_ended.load(Ordering::Relaxed) && !self.woken_elsewhere.swap(true, Ordering::AcqRel)
    }

    /// What was sent for that is here: whether it was not polled meanwhile.
    pub(super) fn arrives(&self) -> bool {
        self.woken_elsewhere.swap(false, Ordering::AcqRel)
    }

    pub(super) fn id(&self) -> TaskId {
        TaskId::new(self.loop_id, self.number)
    }

    /// Which task it is, for reports.
    pub(super) fn origin(&self) -> Origin {
        Origin { loop_id: self.loop_id, place: self.place, name: self.name.clone() }
    }
}

/// The name of a task. A thin pointer, because most tasks have none; clones share it.
#[derive(Clone)]
pub(super) struct Name(Arc<Cow<'static, str>>);

impl Name {
    pub(super) fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(name.into()))
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
