//! How long the peer may take.

use std::time::Duration;

const DEFAULT: Duration = Duration::from_secs(30);

/// How long the peer may take for a handshake, and to answer our leave-taking. `None` sets no limit
/// here; closing has that of the connection still.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Timeouts {
    pub(crate) handshake: Option<Duration>,
    pub(crate) shutdown: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { handshake: Some(DEFAULT), shutdown: Some(DEFAULT) }
    }
}
