//! Tasks without spans: nothing is stored and nothing is done.

use std::panic::Location;
use std::task::Context;

/// The span of a task, if there were one.
pub(in crate::task) struct Traced;

impl Traced {
    pub(in crate::task) fn new(_: u64, _: Option<&str>, _: &'static Location<'static>) -> Self {
        Self
    }

    /// Polls the task.
    #[inline]
    pub(in crate::task) fn poll<R>(
        &self,
        context: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> R,
    ) -> R {
        poll(context)
    }
}
