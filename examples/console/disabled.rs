//! Without the feature there is nothing to begin.

pub(crate) fn init() {}
