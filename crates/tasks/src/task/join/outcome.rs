//! How a task ended.

use marline_reactor::Panic;

use crate::task::report::{self, Origin};

/// How a task ended without an output.
#[derive(Debug)]
pub(crate) enum Ended {
    Aborted,
    Panicked(Panic),
}

/// How a task ended, for whoever takes it. Dropped untaken, by whomever and wherever, it reports the failure that nobody waits
/// for: so there is no moment between the end of a task and the drop of its handle at which a failure could get lost.
pub(in crate::task) struct Outcome<T: 'static> {
    /// `None` once taken.
    result: Option<Result<T, Ended>>,
    origin: Origin,
}

impl<T> Outcome<T> {
    pub(in crate::task) fn new(result: Result<T, Ended>, origin: Origin) -> Self {
        Self { result: Some(result), origin }
    }

    pub(super) fn take(&mut self) -> Option<Result<T, Ended>> {
        self.result.take()
    }
}

impl<T: 'static> Drop for Outcome<T> {
    fn drop(&mut self) {
        if let Some(result) = self.result.take() {
            report::unobserved(result, &self.origin);
        }
    }
}
