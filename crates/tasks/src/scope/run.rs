//! A future inside of a scope.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use marline_reactor::Instant;
use pin_project_lite::pin_project;

use super::tree::{Cause, Node};
use crate::time::{Sleep, sleep_until};

/// The scope was cancelled before the future was ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", if *.by_deadline { "cancelled, because the deadline has passed" } else { "cancelled" })]
pub struct Cancelled {
    by_deadline: bool,
}

impl Cancelled {
    fn new(cause: Cause) -> Self {
        Self { by_deadline: cause == Cause::Deadline }
    }

    /// Whether a deadline has passed; otherwise somebody cancelled it.
    #[must_use]
    pub fn is_deadline(&self) -> bool {
        self.by_deadline
    }
}

impl From<Cancelled> for std::io::Error {
    /// Of the kind `TimedOut` after a deadline, and otherwise `Other`: what is `Interrupted` gets tried again.
    fn from(cancelled: Cancelled) -> Self {
        let kind =
            if cancelled.by_deadline { std::io::ErrorKind::TimedOut } else { std::io::ErrorKind::Other };
        Self::new(kind, cancelled)
    }
}

pin_project! {
    /// The future of [`CancelScope::run`](super::CancelScope::run). Polled again after its end, it is pending for ever.
    ///
    /// # Cancellation
    ///
    /// Dropping it drops the future inside.
    #[must_use = "futures do nothing unless awaited"]
    pub struct Run<F> {
        #[pin]
        future: Option<F>,
        place: Place,
    }
}

/// Its place in the scope, which it leaves when it is dropped.
struct Place {
    node: Arc<Node>,
    watcher: Option<u64>,
    sleep: Option<Sleep>,
}

impl<F> Run<F> {
    pub(super) fn new(node: Arc<Node>, future: F) -> Self {
        Self { future: Some(future), place: Place { node, watcher: None, sleep: None } }
    }
}

impl<F: Future> Future for Run<F> {
    type Output = Result<F::Output, Cancelled>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(future) = this.future.as_mut().as_pin_mut() else { return Poll::Pending };
        let result = match future.poll(context) {
            Poll::Ready(output) => Ok(output),
            Poll::Pending => match this.place.poll_cancelled(context) {
                Poll::Ready(cause) => Err(Cancelled::new(cause)),
                Poll::Pending => return Poll::Pending,
            },
        };
        this.place.leave();
        this.future.set(None);
        Poll::Ready(result)
    }
}

impl Place {
    fn poll_cancelled(&mut self, context: &mut Context<'_>) -> Poll<Cause> {
        // First this, so that what happens from now on is not missed.
        self.node.watch(&mut self.watcher, context);
        let (cause, deadline) = self.node.cause_and_deadline();
        if let Some(cause) = cause {
            return Poll::Ready(cause);
        }
        if deadline == Instant::FAR {
            self.sleep = None;
            return Poll::Pending;
        }
        let sleep = self.sleep.get_or_insert_with(|| sleep_until(deadline));
        if sleep.deadline() != deadline {
            sleep.reset(deadline);
        }
        if Pin::new(sleep).poll(context).is_pending() {
            return Poll::Pending;
        }
        self.node.expire(deadline);
        Poll::Ready(self.node.cause().unwrap_or(Cause::Deadline))
    }

    fn leave(&mut self) {
        self.sleep = None;
        self.node.forget(self.watcher.take());
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave();
    }
}

impl<F> std::fmt::Debug for Run<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run").finish_non_exhaustive()
    }
}
