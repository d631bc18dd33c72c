//! Cancelling from elsewhere.

use std::fmt;
use std::future::pending;
use std::sync::Arc;

use super::run::{Cancelled, Run};
use super::tree::Node;

/// Cancels a [`CancelScope`](super::CancelScope), from any thread. Clones cancel the same scope.
///
/// ```
/// let scope = marline_tasks::CancelScope::new();
/// let token = scope.token();
/// let thread = std::thread::spawn(move || futures::executor::block_on(token.cancelled()));
/// scope.cancel();
/// assert!(!thread.join().unwrap().is_deadline());
/// ```
#[derive(Clone)]
pub struct CancelToken {
    node: Arc<Node>,
}

impl CancelToken {
    pub(super) fn new(node: &Arc<Node>) -> Self {
        Self { node: Arc::clone(node) }
    }

    /// As [`CancelScope::cancel`](super::CancelScope::cancel).
    pub fn cancel(&self) {
        self.node.cancel();
    }

    /// As [`CancelScope::is_cancelled`](super::CancelScope::is_cancelled).
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.node.is_cancelled()
    }

    /// Waits until the scope is cancelled: why it was. A future that is dropped has changed nothing.
    pub fn cancelled(&self) -> impl Future<Output = Cancelled> + Send + Sync + use<> {
        let run = Run::new(Arc::clone(&self.node), pending::<Cancelled>());
        async move { run.await.unwrap_or_else(|cancelled| cancelled) }
    }
}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelToken").field("cancelled", &self.is_cancelled()).finish()
    }
}
