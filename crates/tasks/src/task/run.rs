//! A whole program as one task.

use std::panic::resume_unwind;
use std::task::{Context, Waker};

use marline_reactor::{CreateError, Reactor, RunError};

use super::spawn_on;

/// Makes a loop, runs `main` on it, and ends the loop with it: other tasks are dropped, connections closed.
///
/// What streams were given to write is handed to the system at the end of the turn in which it was written; whatever the
/// system did not take by the end is lost, so a program that ends right after large writes
/// [closes](crate::Stream::close) its streams first.
///
/// # Errors
///
/// Those of `main`, and the loop's: a loop cannot run inside another one's callback or task.
///
/// ```
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     marline_tasks::run(async {
///         marline_tasks::sleep(std::time::Duration::from_millis(1)).await;
///         Ok(())
///     })
/// }
/// ```
pub fn run<T, E>(main: impl Future<Output = Result<T, E>> + 'static) -> Result<T, E>
where
    T: 'static,
    E: From<RunError> + From<CreateError> + 'static,
{
    let reactor = Reactor::new()?;
    run_on(&reactor, main)?
}

/// Runs `future` on a loop until it is done. The loop then stops and can go on later: other tasks and
/// connections stay alive. A panic of `future` goes on in the caller.
///
/// # Errors
///
/// If a loop runs on this thread already, or the loop is stopped or shut down before the future is done; stopped, the
/// future goes on with the loop's next run.
///
/// ```
/// let reactor = marline_reactor::Reactor::new()?;
/// assert_eq!(marline_tasks::run_on(&reactor, async { 6 * 7 })?, 42);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn run_on<F>(reactor: &Reactor, future: F) -> Result<F::Output, RunError>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let handle = reactor.handle();
    let (alive, stopper) = (handle.keep_alive(), handle.clone());
    let mut task = spawn_on(&handle, async move {
        let _stop = StopOnDrop(stopper);
        future.await
    });
    let ran = reactor.run();
    drop(alive);
    if let Err(error) = ran {
        task.abort();
        return Err(error);
    }
    let polled = std::pin::Pin::new(&mut task).poll(&mut Context::from_waker(Waker::noop()));
    match polled {
        std::task::Poll::Ready(Ok(output)) => Ok(output),
        std::task::Poll::Ready(Err(error)) => match error.into_panic() {
            Some(payload) => resume_unwind(payload),
            None => Err(RunError::stopped()),
        },
        std::task::Poll::Pending => Err(RunError::stopped()),
    }
}

/// Stops the loop when the future is done, or dropped, or has panicked.
struct StopOnDrop(marline_reactor::Handle);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}
