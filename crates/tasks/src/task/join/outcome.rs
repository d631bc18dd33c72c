//! How a task ended.

use marline_reactor::Panic;

/// How a task ended without an output.
#[derive(Debug)]
pub(crate) enum Ended {
    Aborted,
    Panicked(Panic),
}
