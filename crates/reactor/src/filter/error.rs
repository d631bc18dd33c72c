//! What can go wrong with filters.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use crate::lost::Reason;

/// Why a filter ends its connection. Any error becomes one by `?`.
#[derive(Clone, Debug)]
pub struct FilterError {
    reason: Reason,
}

impl FilterError {
    /// The connection is lost with [`Reason::Failed`] and this error.
    pub fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { reason: Reason::Failed(Arc::from(error.into())) }
    }

    /// A deadline of the filter's has passed: [`Reason::Timeout`]. The connection ends at once.
    #[must_use]
    pub const fn timeout() -> Self {
        Self { reason: Reason::Timeout }
    }

    /// The peer's direction ended before the filter's own end of it: [`Reason::Truncated`].
    #[must_use]
    pub const fn truncated() -> Self {
        Self { reason: Reason::Truncated }
    }

    /// What the protocol will be told.
    #[must_use]
    pub const fn reason(&self) -> &Reason {
        &self.reason
    }

    pub(crate) fn into_reason(self) -> Reason {
        self.reason
    }
}

/// So that `?` turns any error into one, it is no [`Error`] itself.
impl<E: Error + Send + Sync + 'static> From<E> for FilterError {
    fn from(error: E) -> Self {
        Self::new(error)
    }
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the filter failed: {}", self.reason)
    }
}

/// What becomes of bytes that were received before a filter was put in place, and that nobody used.
///
/// They are never given to the protocol: bytes that came before a handshake may be anybody's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadAhead {
    /// If there are any, the connection fails with [`ReadAheadRefused`]. This is for protocols in which the peer has to wait for
    /// an answer before it goes on.
    #[default]
    Refuse,
    /// They are the first that the filter gets.
    Feed,
}

/// Bytes were received before a filter was put in place whose peer should have waited.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the peer sent {bytes} bytes before it was asked to go on")]
pub struct ReadAheadRefused {
    /// How many.
    pub bytes: usize,
}

/// A filter could not be put in place: the connection is lost, or closes.
#[derive(Error)]
#[error("no filter can be pushed: the connection is lost or closes")]
pub struct PushFilterError<F> {
    filter: F,
}

impl<F> PushFilterError<F> {
    pub(crate) const fn new(filter: F) -> Self {
        Self { filter }
    }

    /// The filter, which was not used.
    pub fn into_filter(self) -> F {
        self.filter
    }
}

impl<F> fmt::Debug for PushFilterError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PushFilterError").finish_non_exhaustive()
    }
}
