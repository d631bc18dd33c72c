//! Many raises, one run.

use super::sync::{AtomicBool, Ordering};

/// Whether something was raised and not yet looked at.
#[derive(Debug)]
pub(crate) struct Coalesce {
    raised: AtomicBool,
}

impl Coalesce {
    pub(crate) fn new() -> Self {
        Self { raised: AtomicBool::new(false) }
    }

    /// Raises it: whether the caller has to announce it, because it was not raised before.
    #[must_use]
    pub(crate) fn raise(&self) -> bool {
        !self.raised.swap(true, Ordering::AcqRel)
    }

    /// Lowers it, just before what was raised is looked at: a raise that comes from now on is a new one.
    pub(crate) fn lower(&self) {
        // A swap, and no plain store: it reads what the last raise wrote, so what came before that raise is seen.
        self.raised.swap(false, Ordering::AcqRel);
    }
}
