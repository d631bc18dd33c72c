//! At most so long.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use marline_reactor::Instant;
use pin_project_lite::pin_project;

use super::sleep::{Sleep, sleep, sleep_until};

/// Waits for `future`, at most for `limit`.
///
/// # Errors
///
/// [`Elapsed`] when the time is up; the future was dropped by then. A future that is ready when the time is up wins.
///
/// ```
/// use marline_tasks::timeout;
/// use std::time::Duration;
///
/// # marline_tasks::run(async {
/// let never = std::future::pending::<()>();
/// assert!(timeout(Duration::from_millis(1), never).await.is_err());
/// assert_eq!(timeout(Duration::ZERO, async { 7 }).await, Ok(7));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[track_caller]
pub fn timeout<F: IntoFuture>(limit: Duration, future: F) -> Timeout<F::IntoFuture> {
    Timeout { future: Some(future.into_future()), sleep: sleep(limit) }
}

/// As [`timeout`], until a moment of the loop's clock.
pub fn timeout_at<F: IntoFuture>(deadline: Instant, future: F) -> Timeout<F::IntoFuture> {
    Timeout { future: Some(future.into_future()), sleep: sleep_until(deadline) }
}

pin_project! {
    /// The future of [`timeout`]. Polled again after its end, it is pending for ever.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless awaited"]
    pub struct Timeout<F> {
        #[pin]
        future: Option<F>,
        #[pin]
        sleep: Sleep,
    }
}

/// The time was up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the time was up")]
pub struct Elapsed(());

impl From<Elapsed> for std::io::Error {
    fn from(elapsed: Elapsed) -> Self {
        Self::new(std::io::ErrorKind::TimedOut, elapsed)
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(future) = this.future.as_mut().as_pin_mut() else { return Poll::Pending };
        if let Poll::Ready(output) = future.poll(context) {
            this.future.set(None);
            return Poll::Ready(Ok(output));
        }
        if this.sleep.poll(context).is_pending() {
            return Poll::Pending;
        }
        this.future.set(None);
        Poll::Ready(Err(Elapsed(())))
    }
}
