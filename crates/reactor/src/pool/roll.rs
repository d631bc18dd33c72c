//! How many threads and jobs there are, and which thread may leave.

use crate::remote::sync::Mutex;

/// The counts that the loop and the threads share.
///
/// Both change the queue and the counts under the one lock, so no job is left in the queue by the last thread that leaves.
#[derive(Default)]
pub(super) struct Roll {
    counts: Mutex<Counts>,
}

#[derive(Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) threads: usize,
    pub(super) waiting: usize,
    pub(super) running: usize,
}

/// What becomes of a job that is handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Handed {
    /// It waits for a thread that is there.
    Waits,
    /// It waits for a thread that the caller has to start.
    WantsThread,
    /// There is no room.
    Full,
}

impl Roll {
    /// Hands a job in with `send`, if there are not more than `threads` that run and `queue` that wait.
    pub(super) fn hand_in(&self, threads: usize, queue: usize, send: impl FnOnce()) -> Handed {
        let mut counts = self.counts.lock();
        if counts.waiting + counts.running >= threads.saturating_add(queue) {
            return Handed::Full;
        }
        send();
        counts.waiting += 1;
        if counts.threads < threads.min(counts.waiting + counts.running) {
            counts.threads += 1;
            return Handed::WantsThread;
        }
        Handed::Waits
    }

    /// A thread that was wanted could not be started: whether there are others to do its work.
    pub(super) fn no_thread(&self) -> bool {
        let mut counts = self.counts.lock();
        counts.threads -= 1;
        counts.threads > 0
    }

    /// A thread begins a job, unless `begin` finds that it was revoked.
    pub(super) fn begin(&self, begin: impl FnOnce() -> bool) -> bool {
        let mut counts = self.counts.lock();
        let begun = begin();
        if begun {
            counts.waiting -= 1;
            counts.running += 1;
        }
        begun
    }

    /// A job that had begun is done.
    pub(super) fn done(&self) {
        self.counts.lock().running -= 1;
    }

    /// A job that waited was revoked.
    pub(super) fn revoked(&self) {
        self.counts.lock().waiting -= 1;
    }

    /// A thread has had nothing to do for long: whether it may leave. It stays if work came just now.
    pub(super) fn may_leave(&self, is_empty: impl FnOnce() -> bool) -> bool {
        let mut counts = self.counts.lock();
        let leaves = is_empty();
        if leaves {
            counts.threads -= 1;
        }
        leaves
    }

    pub(super) fn counts(&self) -> Counts {
        *self.counts.lock()
    }
}
