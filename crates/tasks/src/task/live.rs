//! What is kept of a task that is not finished.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use marline_reactor::Instant;

use super::injector::Injector;
use super::report::Origin;
use crate::table::TableKey;

/// What is known of a task, whatever its future is. There is one for every task, idle ones included, so every word in here
/// counts.
pub(super) struct Header {
    pub(super) injector: Arc<Injector>,
    pub(super) key: TableKey,
    /// Where it was started.
    pub(super) place: &'static Location<'static>,
    pub(super) name: Option<Name>,
    /// When it was started; [`Instant::FAR`] if nobody took the time.
    pub(super) born: Instant,
    /// How often it was polled. Only its loop's thread writes it.
    polls: AtomicU64,
    state: AtomicU8,
    /// It is dropped instead of polled.
    aborted: AtomicBool,
}

/// It waits to be woken.
const WAITING: u8 = 0;
/// It is being polled, and was not woken since that began.
const POLLED: u8 = 1;
/// It was woken, or needs no waking any more.
const WOKEN: u8 = 2;

impl Header {
    /// Of a task that is being made, and is put into the ready queue at once.
    pub(super) fn new(
        injector: Arc<Injector>,
        key: TableKey,
        place: &'static Location<'static>,
        name: Option<Name>,
        born: Instant,
    ) -> Self {
        let (state, aborted) = (AtomicU8::new(WOKEN), AtomicBool::new(false));
        Self { injector, key, place, name, born, polls: AtomicU64::new(0), state, aborted }
    }

    /// It is woken: whether it has to be put into the ready queue for that. One that is being polled gets there when its poll
    /// ends: it is not ready before.
    #[inline]
    pub(super) fn wake(&self) -> bool {
        self.state.swap(WOKEN, Ordering::AcqRel) == WAITING
    }

    /// Its turn has come. A swap, and no plain store: it reads what the last wake wrote, so what came before that wake is seen
    /// in the poll.
    #[inline]
    pub(super) fn begin_turn(&self) {
        self.state.swap(POLLED, Ordering::AcqRel);
    }

    /// Its poll ended: whether it was woken meanwhile, and has to be put into the ready queue.
    #[inline]
    pub(super) fn end_turn(&self) -> bool {
        self.state.compare_exchange(POLLED, WAITING, Ordering::AcqRel, Ordering::Acquire).is_err()
    }

    /// Nobody has to wake it any more.
    pub(super) fn end(&self) {
        self.state.store(WOKEN, Ordering::Release);
    }

    pub(super) fn is_queued(&self) -> bool {
        self.state.load(Ordering::Relaxed) == WOKEN
    }

    pub(super) fn abort(&self) {
        self.aborted.store(true, Ordering::Relaxed);
    }

    /// Set on the thread of the loop, where it is read.
    #[inline]
    pub(super) fn is_aborted(&self) -> bool {
        self.aborted.load(Ordering::Relaxed)
    }

    #[inline]
    pub(super) fn count_poll(&self) {
        self.polls.store(self.polls() + 1, Ordering::Relaxed);
    }

    pub(super) fn polls(&self) -> u64 {
        self.polls.load(Ordering::Relaxed)
    }

    /// Which task it is, for reports.
    pub(super) fn origin(&self) -> Origin {
        Origin { remote: self.injector.remote().clone(), place: self.place, name: self.name.clone() }
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
