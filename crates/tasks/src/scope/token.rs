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

    /// As [`CancelScope::run`](super::CancelScope::run).
    ///
    /// # Errors
    ///
    /// [`Cancelled`], if the scope is cancelled before the future is ready. The future was dropped by then.
    pub fn run<F: IntoFuture>(&self, future: F) -> Run<F::IntoFuture> {
        Run::new(Arc::clone(&self.node), future.into_future())
    }

    /// The token of a scope inside of this one: as [`CancelScope::child`](super::CancelScope::child). Cancelling it leaves this
    /// scope as it is.
    ///
    /// ```
    /// let session = marline_tasks::CancelScope::new().token();
    /// let (request, other) = (session.child(), session.child());
    /// request.cancel();
    /// assert!(request.is_cancelled() && !session.is_cancelled() && !other.is_cancelled());
    /// session.cancel();
    /// let waiting = other.run(std::future::pending::<()>());
    /// assert!(futures::executor::block_on(waiting).is_err());
    /// ```
    #[must_use]
    pub fn child(&self) -> Self {
        Self { node: Node::new(Some(Arc::clone(&self.node))) }
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
