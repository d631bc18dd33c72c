//! What goes on although its caller is cancelled.

use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use marline_reactor::{Handle, Remote};

use crate::task::detach_at;

/// Sees to it that `future`, once begun, goes on to its end, also if whoever waits for it is cancelled: as
/// `asyncio.shield` does.
///
/// While it is awaited it runs inside of the caller, starts no task, and gives the caller its output. When it is dropped
/// unfinished, the loop goes on with it as a task of its own: outside of the scopes and [task-local values](crate::task_local!)
/// of the caller. A panic, and an `Err` of the types that [`spawn`](crate::spawn) names, is reported then as one that nobody
/// waits for.
///
/// What was never polled is just dropped, for it did not begin. So is the future if there is no loop, if the loop has ended, or
/// if the shield is dropped on another thread. Nothing is shielded from the end of the loop itself.
///
/// ```
/// use marline_tasks::{CancelScope, shield, sleep};
/// use std::{cell::Cell, rc::Rc, time::Duration};
///
/// marline_tasks::run(async {
///     let (scope, saved) = (CancelScope::new(), Rc::new(Cell::new(false)));
///     scope.cancel_after(Duration::from_millis(1));
///     let done = saved.clone();
///     let save = async move {
///         sleep(Duration::from_millis(20)).await;
///         done.set(true);
///     };
///     assert!(scope.run(shield(save)).await.is_err());
///     assert!(!saved.get());
///     sleep(Duration::from_millis(100)).await;
///     assert!(saved.get());
///     Ok::<(), Box<dyn std::error::Error>>(())
/// }).unwrap();
/// ```
#[track_caller]
pub fn shield<F>(future: F) -> Shield<F::IntoFuture>
where
    F: IntoFuture<IntoFuture: 'static, Output: 'static>,
{
    Shield { future: Some(Box::pin(future.into_future())), home: None, place: Location::caller() }
}

/// The future of [`shield`]. Polled again after its end, it is pending for ever.
#[must_use = "futures do nothing unless awaited"]
pub struct Shield<F>
where
    F: Future<Output: 'static> + 'static,
{
    /// `None` when it has ended, also by a panic.
    future: Option<Pin<Box<F>>>,
    /// The loop on which it began.
    home: Option<Remote>,
    place: &'static Location<'static>,
}

impl<F> Future for Shield<F>
where
    F: Future<Output: 'static> + 'static,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Some(mut future) = self.future.take() else { return Poll::Pending };
        if self.home.is_none() {
            self.home = Handle::current().ok().map(|handle| handle.remote());
        }
        let polled = future.as_mut().poll(context);
        if polled.is_pending() {
            self.future = Some(future);
        }
        polled
    }
}

impl<F> Drop for Shield<F>
where
    F: Future<Output: 'static> + 'static,
{
    fn drop(&mut self) {
        let Some(future) = self.future.take() else { return };
        if let Some(handle) = self.home.as_ref().and_then(Remote::local) {
            detach_at(&handle, future, self.place);
        }
    }
}

impl<F> fmt::Debug for Shield<F>
where
    F: Future<Output: 'static> + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shield").finish_non_exhaustive()
    }
}
