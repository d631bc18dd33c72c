//! How a woken task gets to the loop.

use std::sync::{Arc, OnceLock};

use async_task::Runnable;
use marline_reactor::{Handle, Remote, Signal};
use parking_lot::Mutex;

use crate::local::Local;
use crate::table::TableKey;

/// On the loop's thread a wake is a `call_soon`, which allocates nothing; from another thread the task is
/// put into a list and a signal raised.
pub(crate) struct Injector {
    remote: Remote,
    woken: Mutex<Vec<(TableKey, Runnable)>>,
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
    pub(crate) fn schedule(&self, key: TableKey, runnable: Runnable) {
        if let Some(handle) = self.remote.local() {
            return queue(&handle, key, runnable);
        }
        self.woken.lock().push((key, runnable));
        if let Some(signal) = self.signal.get() {
            signal.raise();
        }
    }

    fn queue_woken(&self) {
        let Some(handle) = self.remote.local() else { return };
        for (key, runnable) in self.take() {
            queue(&handle, key, runnable);
        }
    }

    /// The tasks that were woken from elsewhere, or after the end of the loop.
    pub(crate) fn take(&self) -> Vec<(TableKey, Runnable)> {
        std::mem::take(&mut *self.woken.lock())
    }

    /// Their keys.
    pub(super) fn waiting(&self) -> Vec<TableKey> {
        self.woken.lock().iter().map(|(key, _)| *key).collect()
    }
}

/// Puts a task into the ready queue, on its loop's thread.
fn queue(handle: &Handle, key: TableKey, runnable: Runnable) {
    if let Some(local) = Local::of(handle) {
        local.executor.queued(key);
    }
    handle.call_soon(move || _ = runnable.run());
}
