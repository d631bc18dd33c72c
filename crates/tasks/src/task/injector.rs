//! How a woken task gets to the loop.

use std::sync::{Arc, OnceLock};

use async_task::Runnable;
use marline_reactor::{Handle, Remote, Signal};
use parking_lot::Mutex;

use super::queued::Queued;

/// On the loop's thread a wake is a `call_soon`, which allocates nothing; from another thread the task is
/// put into a list and a signal raised.
pub(crate) struct Injector {
    remote: Remote,
    woken: Mutex<Vec<Runnable<Queued>>>,
    signal: OnceLock<Signal>,
}

impl Injector {
    pub(crate) fn new(handle: &Handle) -> Arc<Self> {
        let injector =
            Arc::new(Self { remote: handle.remote(), woken: Mutex::default(), signal: OnceLock::new() });
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

    /// A task was woken, on any thread.
    pub(crate) fn schedule(&self, runnable: Runnable<Queued>) {
        runnable.metadata().set(true);
        if let Some(handle) = self.remote.local() {
            return queue(&handle, runnable);
        }
        self.woken.lock().push(runnable);
        if let Some(signal) = self.signal.get() {
            signal.raise();
        }
    }

    fn queue_woken(&self) {
        let Some(handle) = self.remote.local() else { return };
        for runnable in self.take() {
            queue(&handle, runnable);
        }
    }

    /// The tasks that were woken from elsewhere, or after the end of the loop.
    pub(crate) fn take(&self) -> Vec<Runnable<Queued>> {
        std::mem::take(&mut *self.woken.lock())
    }
}

/// Puts a task into the ready queue, on its loop's thread.
fn queue(handle: &Handle, runnable: Runnable<Queued>) {
    handle.call_soon(move || {
        runnable.metadata().set(false);
        runnable.run();
    });
}
