//! Cancelling a part of a task, by hand or at a deadline.
//!
//! * `tree`: scopes and what they inherit; `run`: a future inside of one; `token`: cancelling from elsewhere.
//! * `shield`: what goes on although its caller is cancelled.
//!
//! # How futures are cancelled
//!
//! A future is cancelled by dropping it, at the `await` where it waits. It is never interrupted between two awaits, nothing of it
//! runs afterwards but the destructors of what it holds, and these run before whoever waited sees the result. So what has to
//! happen at the end belongs in a destructor; what has to be awaited to the end is put behind a [`shield`], or into a task.
//! Which operations lose nothing when they are dropped (reads, accepts, ticks) is said with each of them.
//!
//! | to cancel                       | use                                                             |
//! |---------------------------------|-----------------------------------------------------------------|
//! | a whole task                    | [`JoinHandle::abort`](crate::JoinHandle::abort)                 |
//! | a whole task, from elsewhere    | [`AbortHandle`](crate::AbortHandle)                             |
//! | several tasks, one with another | [`TaskGroup`](crate::TaskGroup)                                 |
//! | a future, after some time       | [`timeout`](crate::timeout)                                     |
//! | a future, because another won   | [`select!`](crate::select!), [`race`](crate::race())            |
//! | any of these, from anywhere     | [`CancelScope`]                                                 |

mod run;
mod shield;
mod token;
mod tree;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use marline_reactor::{Handle, Instant};

pub use run::{Cancelled, Run};
pub use shield::{Shield, shield};
pub use token::CancelToken;
use tree::Node;

/// A scope that can be cancelled, as in trio and anyio: everything that [runs](Self::run) in it ends early when it is cancelled
/// or its deadline comes.
///
/// A [child](Self::child) is cancelled with its parent, and may be cancelled sooner: its effective deadline is the earliest of
/// its own and those of its ancestors. Any number of futures can run in one scope, in several tasks, also on several loops.
///
/// A scope stays cancelled. What is run in it then is still polled once, up to its first wait, and a future that is ready in
/// that poll wins; so it is when the scope is cancelled or the deadline comes: the future is polled once more, and only if it
/// still has to wait it is dropped.
///
/// Without deadlines it works under any executor. A deadline is one of the clock of the loop on which the future runs.
///
/// ```
/// use marline_tasks::{CancelScope, sleep};
/// use std::time::Duration;
///
/// marline_tasks::run(async {
///     let session = CancelScope::new();
///     session.cancel_after(Duration::from_secs(60));
///     let request = session.child();
///     request.cancel_after(Duration::from_millis(1));
///
///     let answer = request.run(sleep(Duration::from_secs(3600))).await;
///     assert!(answer.unwrap_err().is_deadline());
///     assert!(request.is_cancelled() && !session.is_cancelled());
///
///     let token = session.token();
///     std::thread::spawn(move || token.cancel());
///     assert!(session.run(std::future::pending::<()>()).await.is_err());
///     assert_eq!(session.run(async { "ready at once" }).await, Ok("ready at once"));
///     Ok::<(), Box<dyn std::error::Error>>(())
/// }).unwrap();
/// ```
///
/// Scopes nest like calls. If both the outer and the inner one are cancelled, the inner `run` answers first, and the code around
/// it may still do what needs no waiting:
///
/// ```
/// use marline_tasks::{CancelScope, yield_now};
///
/// marline_tasks::run(async {
///     let outer = CancelScope::new();
///     let inner = outer.child();
///     outer.cancel();
///     let answer = outer.run(async move {
///         let cancelled = inner.run(yield_now()).await.is_err();
///         format!("cancelled: {cancelled}")
///     });
///     assert_eq!(answer.await.unwrap(), "cancelled: true");
///     Ok::<(), Box<dyn std::error::Error>>(())
/// }).unwrap();
/// ```
pub struct CancelScope {
    node: Arc<Node>,
}

impl CancelScope {
    /// A scope of its own.
    #[must_use]
    pub fn new() -> Self {
        Self { node: Node::new(None) }
    }

    /// A scope inside of this one.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { node: Node::new(Some(Arc::clone(&self.node))) }
    }

    /// Runs a future in the scope. It begins when first polled.
    ///
    /// # Errors
    ///
    /// [`Cancelled`], if the scope is cancelled before the future is ready. The future was dropped by then.
    pub fn run<F: IntoFuture>(&self, future: F) -> Run<F::IntoFuture> {
        Run::new(Arc::clone(&self.node), future.into_future())
    }

    /// What cancels it from other places and other threads.
    #[must_use]
    pub fn token(&self) -> CancelToken {
        CancelToken::new(&self.node)
    }

    /// Cancels it, and the scopes inside of it. What runs in them ends from its own loop, not during this call.
    pub fn cancel(&self) {
        self.node.cancel();
    }

    /// Cancels it at `deadline`, on the clock of the loop. This replaces the deadline that it had before; [`Instant::FAR`] means
    /// that it has none of its own. A deadline that has passed cancels it, and one that had passed before has cancelled it:
    /// nothing changes then.
    ///
    /// Moving a deadline to a later moment wakes nobody.
    pub fn cancel_at(&self, deadline: Instant) {
        self.node.set_deadline(deadline);
    }

    /// As [`cancel_at`](Self::cancel_at), so long after now. A delay too long to express means no deadline. Without a loop there
    /// is no clock, and nothing changes.
    pub fn cancel_after(&self, delay: Duration) {
        if let Ok(handle) = Handle::current() {
            self.cancel_at(handle.now() + delay);
        }
    }

    /// When it is cancelled at the latest: the earliest of its own deadline and those of the scopes around it. `None` if no
    /// deadline is set.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        Some(self.node.deadline()).filter(|deadline| *deadline != Instant::FAR)
    }

    /// Whether it, or a scope around it, was cancelled; a deadline that has passed counts, and stays so.
    ///
    /// Every thread answers alike where the deadline was set on the thread of a loop whose clock is
    /// [`Instant::monotonic`], as those of real loops are. A virtual clock can only be read on its loop's thread: on others, such
    /// a deadline counts when something that runs in the scope, or somebody who asks on a loop's thread, has found it passed.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.node.is_cancelled()
    }
}

impl Default for CancelScope {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for CancelScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (cancelled, deadline) = (self.is_cancelled(), self.deadline());
        f.debug_struct("CancelScope").field("cancelled", &cancelled).field("deadline", &deadline).finish()
    }
}
