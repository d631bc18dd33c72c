//! The only door from other threads.
//!
//! `flag`: the sleep and wake handshake; `coalesce`: many raises, one run; `signal`: the coalescing wake-up;
//! `models`: loom models of all of it; `sync`: the atomics and the mutex they use. This file: [`Remote`], which posts closures.

mod coalesce;
mod flag;
#[cfg(all(test, loom))]
mod models;
mod signal;
pub(crate) mod sync;

use std::collections::VecDeque;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

pub use signal::Signal;
pub(crate) use signal::SignalShared;

use crate::backend::Wakeup;
use crate::error::PostError;
use crate::key::Key;
use crate::reactor::{Handle, LoopId};
use crate::ready::SendCallback;
use flag::SleepFlag;
use sync::{Mutex, MutexGuard};

/// The door to a loop for other threads: `Send`, `Sync` and `Clone`.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use marline_reactor::Reactor;
///
/// let reactor = Reactor::new()?;
/// let handle = reactor.handle();
/// let (remote, alive) = (handle.remote(), handle.keep_alive());
/// let thread = std::thread::spawn(move || {
///     let posted = remote.clone().post(move || remote.local().unwrap().stop());
///     assert!(posted.is_ok());
/// });
/// reactor.run()?; // until the closure, which runs on this thread, stops it
/// drop(alive);
/// thread.join().unwrap();
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Remote {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    id: LoopId,
    flag: SleepFlag,
    queue: Mutex<Queue>,
    limit: usize,
    /// Whether the loop is in debug mode.
    debugging: AtomicBool,
    /// Bells that were rung: wake-ups that cost a system call.
    rung: AtomicU64,
    /// The backend's bell; `None` after the end, so that handles that are left hold no descriptor. Held for a moment only, so no
    /// model has to see it.
    waker: parking_lot::Mutex<Option<Arc<dyn Wakeup>>>,
}

#[derive(Default)]
struct Queue {
    posts: VecDeque<SendCallback>,
    signals: Vec<Key>,
    /// Signals that nobody holds any more.
    forgotten: Vec<Key>,
    closed: bool,
}

impl Queue {
    fn is_empty(&self) -> bool {
        self.posts.is_empty() && self.signals.is_empty() && self.forgotten.is_empty()
    }
}

/// What other threads left for the loop.
#[derive(Default)]
pub(crate) struct Arrived {
    pub(crate) posts: VecDeque<SendCallback>,
    pub(crate) signals: Vec<Key>,
    pub(crate) forgotten: Vec<Key>,
}

/// Lists that grew longer than this in a flood give their memory back.
const KEPT: usize = 4096;

impl Arrived {
    /// Gives back what a flood took: the emptied lists keep memory for the usual case alone.
    pub(crate) fn shrink(&mut self) {
        if self.posts.capacity() > KEPT {
            self.posts = VecDeque::new();
        }
        for list in [&mut self.signals, &mut self.forgotten] {
            if list.capacity() > KEPT {
                *list = Vec::new();
            }
        }
    }
}

impl Remote {
    pub(crate) fn new(id: LoopId, limit: usize, waker: Arc<dyn Wakeup>) -> Self {
        let shared = Shared {
            id,
            flag: SleepFlag::new(),
            queue: Mutex::default(),
            limit,
            debugging: AtomicBool::new(false),
            rung: AtomicU64::new(0),
            waker: parking_lot::Mutex::new(Some(waker)),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Runs `call` on the loop's thread, after everything that this thread posted before. The loop wakes if it sleeps;
    /// if it does not run yet, the call waits for it.
    ///
    /// # Errors
    ///
    /// Hands `call` back if the loop is gone, or if the program set a limit on the number of calls that
    /// wait ([`Builder::post_limit`](crate::Builder::post_limit)) and it is reached.
    #[track_caller]
    pub fn post<F: FnOnce() + Send + 'static>(&self, call: F) -> Result<(), PostError<F>> {
        self.shared.post(call, self.shared.limit, Location::caller())
    }

    /// As [`post`](Self::post), for what may not be lost though the program's calls have reached their limit.
    #[track_caller]
    pub(crate) fn post_unlimited<F: FnOnce() + Send + 'static>(&self, call: F) -> Result<(), PostError<F>> {
        self.shared.post(call, usize::MAX, Location::caller())
    }

    /// The loop's handle, on the loop's own thread; `None` on every other one, and after its end.
    #[must_use]
    pub fn local(&self) -> Option<Handle> {
        Handle::find(self.shared.id)
    }

    /// Which loop this leads to.
    #[must_use]
    pub fn loop_id(&self) -> LoopId {
        self.shared.id
    }

    /// How often a wake-up had to ring the bell of a sleeping loop, which costs a system call.
    #[must_use]
    pub fn wake_ups(&self) -> u64 {
        self.shared.rung.load(Ordering::Relaxed)
    }

    /// Whether the loop is in [debug mode](crate::DebugMode).
    #[must_use]
    pub fn is_debugging(&self) -> bool {
        self.shared.debugging.load(Ordering::Relaxed)
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Shared {
    fn post<F: FnOnce() + Send + 'static>(
        &self,
        call: F,
        limit: usize,
        place: &'static Location<'static>,
    ) -> Result<(), PostError<F>> {
        let queue = self.queue.lock();
        if queue.closed {
            return Err(PostError::gone(call));
        }
        if queue.posts.len() >= limit {
            return Err(PostError::full(call));
        }
        self.add(queue, |queue| queue.posts.push_back(SendCallback::new(call, place)));
        Ok(())
    }

    /// Adds something, and wakes the loop if it sleeps. Whoever finds something there need not tell: who put it there has told
    /// before it let go of the lock, and the loop takes all there is. In a flood that saves most of what a call costs.
    #[inline]
    fn add(&self, mut queue: MutexGuard<'_, Queue>, add: impl FnOnce(&mut Queue)) {
        let tells = queue.is_empty();
        add(&mut queue);
        let rings = tells && self.flag.announce();
        drop(queue);
        if rings {
            self.ring();
        }
    }

    #[cold]
    fn ring(&self) {
        self.rung.fetch_add(1, Ordering::Relaxed);
        let waker = self.waker.lock().clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn raise(&self, signal: Key) {
        let queue = self.queue.lock();
        if !queue.closed {
            self.add(queue, |queue| queue.signals.push(signal));
        }
    }

    fn forget(&self, signal: Key) {
        let queue = self.queue.lock();
        if !queue.closed {
            self.add(queue, |queue| queue.forgotten.push(signal));
        }
    }

    /// Wakes the loop by this from now on.
    pub(crate) fn set_waker(&self, waker: Arc<dyn Wakeup>) {
        let old = self.waker.lock().replace(waker);
        drop(old);
    }

    // The loop's side.

    pub(crate) fn set_debugging(&self, on: bool) {
        self.debugging.store(on, Ordering::Relaxed);
    }

    /// How many posts wait.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.lock().posts.len()
    }

    pub(crate) fn may_sleep(&self) -> bool {
        self.flag.may_sleep()
    }

    pub(crate) fn awake(&self) {
        self.flag.awake();
    }

    pub(crate) fn has_work(&self) -> bool {
        self.flag.has_work()
    }

    /// Swaps what arrived with the empty `into`, so that both keep their memory (see [`Arrived::shrink`]).
    pub(crate) fn take(&self, into: &mut Arrived) -> bool {
        if !self.flag.take_work() {
            return false;
        }
        let mut queue = self.queue.lock();
        std::mem::swap(&mut queue.posts, &mut into.posts);
        std::mem::swap(&mut queue.signals, &mut into.signals);
        std::mem::swap(&mut queue.forgotten, &mut into.forgotten);
        true
    }

    /// Refuses everything from now on, and hands back what waits and what rang. The caller drops both: the waker may hold a
    /// closure of the program's, whose drop may come back to this door.
    pub(crate) fn close(&self) -> (Arrived, Option<Arc<dyn Wakeup>>) {
        let mut queue = self.queue.lock();
        queue.closed = true;
        let arrived = Arrived { posts: std::mem::take(&mut queue.posts), ..Arrived::default() };
        drop(queue);
        (arrived, self.waker.lock().take())
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Remote({:?})", self.shared.id)
    }
}
