//! The coalescing wake-up.

use std::fmt;
use std::sync::Arc;

use super::coalesce::Coalesce;
use super::{Remote, Shared};
use crate::key::Key;

/// A wake-up made once with [`Handle::signal`](crate::Handle::signal), and raised from any thread: its callback then
/// runs on the loop's thread.
///
/// Several raises before the callback begins run it once; a raise after that runs it again, so the
/// callback sees everything that happened before a raise. Raising never fails and never allocates more than a
/// slot in a list; after the end of the loop it does nothing. Clones raise the same callback, which is dropped by the
/// loop when the last clone is dropped. A signal does not keep the loop alive.
#[derive(Clone)]
pub struct Signal {
    shared: Arc<SignalShared>,
}

pub(crate) struct SignalShared {
    coalesce: Coalesce,
    key: Key,
    remote: Arc<Shared>,
}

impl Signal {
    pub(crate) fn new(remote: &Remote, key: Key) -> Self {
        let remote = Arc::clone(remote.shared());
        Self { shared: Arc::new(SignalShared { coalesce: Coalesce::new(), key, remote }) }
    }

    /// Makes the callback run soon on the loop's thread.
    pub fn raise(&self) {
        if self.shared.coalesce.raise() {
            self.shared.remote.raise(self.shared.key);
        }
    }

    pub(crate) fn downgrade(&self) -> std::sync::Weak<SignalShared> {
        Arc::downgrade(&self.shared)
    }
}

impl SignalShared {
    /// The callback is about to run.
    pub(crate) fn lower(&self) {
        self.coalesce.lower();
    }
}

impl Drop for SignalShared {
    fn drop(&mut self) {
        self.remote.forget(self.key);
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signal({:?} of {:?})", self.shared.key, self.shared.remote.id)
    }
}
