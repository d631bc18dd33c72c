//! How a woken task gets to the loop.

use std::sync::{Arc, OnceLock};

use marline_reactor::{Handle, Remote, Signal};
use parking_lot::Mutex;

use super::bound::Bound;
use super::cell::Run;

/// On the loop's thread a wake is a `call_soon`, which allocates nothing; from another thread the task is
/// put into a list and a signal raised.
pub(crate) struct Injector {
    /// The loop, until its end.
    home: Bound<Handle>,
    remote: Remote,
    woken: Mutex<Vec<Arc<dyn Run>>>,
    signal: OnceLock<Signal>,
}

impl Injector {
    pub(crate) fn new(handle: &Handle) -> Arc<Self> {
        let (home, remote) = (Bound::new(handle.clone()), handle.remote());
        let injector = Arc::new(Self { home, remote, woken: Mutex::default(), signal: OnceLock::new() });
        let shared = Arc::downgrade(&injector);
        let signal = handle.signal(move || {
            if let Some(injector) = shared.upgrade() {
                injector.queue_woken();
            }
        });
        // It is empty, so this cannot fail.
        drop(injector.signal.set(signal));
        injector
    }

    pub(crate) fn remote(&self) -> &Remote {
        &self.remote
    }

    fn queue_woken(&self) {
        let woken = std::mem::take(&mut *self.woken.lock());
        if let Some(handle) = self.home.with(Handle::clone) {
            woken.into_iter().for_each(|task| queue(&handle, task));
        }
    }

    /// The loop has ended, and so have its tasks: nothing is queued any more.
    pub(super) fn end(&self) {
        self.home.clear();
        let woken = std::mem::take(&mut *self.woken.lock());
        drop(woken);
    }
}

/// A task was woken, on any thread.
#[inline]
pub(super) fn schedule(task: Arc<dyn Run>) {
    let home = task.header().injector.home.with(Handle::clone);
    match home {
        Some(handle) => queue(&handle, task),
        None => send(task),
    }
}

/// A task was woken on another thread, or when its loop is over.
#[cold]
fn send(task: Arc<dyn Run>) {
    let injector = Arc::clone(&task.header().injector);
    injector.woken.lock().push(task);
    if let Some(signal) = injector.signal.get() {
        signal.raise();
    }
}

/// Puts a task into the ready queue, on its loop's thread.
#[inline]
pub(super) fn queue(handle: &Handle, task: Arc<dyn Run>) {
    let turn = Turn(Some(task));
    handle.call_soon(move || turn.take());
}

/// The turn of a task, which is run. A loop that is over drops it instead, and the task with it.
struct Turn(Option<Arc<dyn Run>>);

impl Turn {
    #[inline]
    fn take(mut self) {
        if let Some(task) = self.0.take() {
            task.run();
        }
    }
}

impl Drop for Turn {
    #[inline]
    fn drop(&mut self) {
        if let Some(task) = self.0.take() {
            task.cancel();
        }
    }
}
