//! What a connection's handle offers about its filters.

use std::any::Any;
use std::rc::Rc;

use super::{Filter, PushFilterError, ReadAhead};
#[cfg(doc)]
use crate::Protocol;
use crate::transport::Transport;

impl Transport {
    /// Puts a [filter](super) between the connection and its protocol, on top of those that it has. The protocol stays
    /// the same.
    ///
    /// What was written before goes the old way, and what is written from now on through the filter. The filter starts when the
    /// callback that is running on this connection returns, otherwise from the loop; from then on it gets what arrives. Bytes
    /// that arrived earlier and that nobody used (those that a protocol gives back, the rest of a delivery that it
    /// [put back](Self::unread), what a parser holds) are the filter's as well, or end the connection, as
    /// `read_ahead` says. When the filter is established, the protocol's
    /// [`filter_established`](Protocol::filter_established) is called; until then it gets nothing, and what it writes waits.
    ///
    /// Descriptors do not pass through filters: those that come are closed.
    ///
    /// # Errors
    ///
    /// Hands the filter back if the connection is lost, closes, or has ended its direction.
    pub fn push_filter<F: Filter>(&self, filter: F, read_ahead: ReadAhead) -> Result<(), PushFilterError<F>> {
        if !self.shell().ask(self.key(), |connection| connection.accepts_writes()) {
            return Err(PushFilterError::new(filter));
        }
        self.shell().push_filter(self.key(), Box::new(filter), read_ahead);
        Ok(())
    }

    /// The newest value of this type that one of its filters [made known](super::Flow::publish), until
    /// `connection_lost` returned.
    #[must_use]
    pub fn published<T: Any>(&self) -> Option<Rc<T>> {
        self.shell().published(self.key())
    }

    /// Whether bytes flow: whether each [filter](super) that it has is established, and its protocol was told. Without
    /// filters they do.
    #[must_use]
    pub fn is_established(&self) -> bool {
        self.shell().inspect(self.key(), |connection| connection.is_established()).unwrap_or(false)
    }

    /// Whether bytes go through a filter.
    #[must_use]
    pub fn is_filtered(&self) -> bool {
        self.shell().inspect(self.key(), |connection| connection.is_filtered()).unwrap_or(false)
    }
}
