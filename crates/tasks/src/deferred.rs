//! A value that comes later: one side resolves it, the other awaits it.

use std::fmt;
use std::mem;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use marline_reactor::Handle;
use parking_lot::Mutex;

use crate::task::detach_at;
use crate::wake::{attempt, discard, wake};

/// Makes a value that is yet to come: the [`Resolver`] gives it, the [`Deferred`] is the future of it.
///
/// This is the joint between the two styles: a callback keeps the resolver, an async function awaits the
/// deferred. It needs no loop, and both halves may be on different threads where `T` is `Send`.
///
/// ```
/// use marline_tasks::deferred;
/// let (resolver, answer) = deferred();
/// std::thread::spawn(move || resolver.resolve(42));
/// assert_eq!(futures::executor::block_on(answer), Ok(42));
/// ```
pub fn deferred<T>() -> (Resolver<T>, Deferred<T>) {
    let shared = Arc::new(Shared { state: Mutex::new(State::Waiting(None)) });
    let resolver = Resolver { shared: Arc::clone(&shared) };
    (resolver, Deferred { shared })
}

/// The side of a [`Deferred`] that gives the value, once.
///
/// Dropping it unused resolves the deferred to [`Abandoned`].
///
/// ```
/// use marline_tasks::{Resolver, deferred};
/// fn answer(resolver: Resolver<&str>) {
///     if resolver.is_observed() {
///         let _ = resolver.resolve("an answer");
///     }
/// }
/// let (resolver, mut deferred) = deferred();
/// answer(resolver);
/// assert_eq!(deferred.try_take(), Some(Ok("an answer")));
/// ```
#[must_use = "dropping the resolver abandons its `Deferred`"]
pub struct Resolver<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Resolver<T> {
    /// Gives the value, and wakes whoever awaits it. Nothing of theirs runs inside the call, unless their
    /// executor does so when it is woken.
    ///
    /// # Errors
    ///
    /// The value comes back if the [`Deferred`] was dropped. One that is dropped later drops the value with
    /// it.
    ///
    /// ```
    /// let (resolver, deferred) = marline_tasks::deferred();
    /// drop(deferred);
    /// assert_eq!(resolver.resolve("too late"), Err("too late"));
    /// ```
    pub fn resolve(self, value: T) -> Result<(), T> {
        match self.shared.settle(Ok(value)) {
            Some(Ok(value)) => Err(value),
            _ => Ok(()),
        }
    }

    /// Whether the [`Deferred`] is still there, so that work on the value is not for nothing.
    ///
    /// The answer can be outdated at once where the other side is on another thread;
    /// [`resolve`](Self::resolve) knows for certain.
    ///
    /// ```
    /// let (resolver, deferred) = marline_tasks::deferred::<u8>();
    /// assert!(resolver.is_observed());
    /// drop(deferred);
    /// assert!(!resolver.is_observed());
    /// ```
    pub fn is_observed(&self) -> bool {
        matches!(*self.shared.state.lock(), State::Waiting(_))
    }
}

impl<T> Drop for Resolver<T> {
    fn drop(&mut self) {
        // After a `resolve` this finds the deferred settled, and changes nothing.
        self.shared.settle(Err(Abandoned));
    }
}

impl<T> fmt::Debug for Resolver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

/// A value that comes later, as a future.
///
/// # Errors
///
/// It resolves to [`Abandoned`] when the [`Resolver`] was dropped without a value.
///
/// # Cancellation
///
/// Dropping it gives the value up: the resolver gets it back. Polled through a reference it can be left and
/// awaited again, and loses nothing. Once the result was taken, by a poll or by [`try_take`](Self::try_take), nobody gives
/// another: it resolves to [`Abandoned`].
///
/// ```
/// use marline_tasks::{Abandoned, deferred};
/// # futures::executor::block_on(async {
/// let (resolver, answer) = deferred();
/// resolver.resolve(7).unwrap();
/// assert_eq!(answer.await, Ok(7));
///
/// let (resolver, answer) = deferred::<u8>();
/// drop(resolver);
/// assert_eq!(answer.await, Err(Abandoned));
/// # });
/// ```
#[must_use = "futures do nothing unless awaited"]
pub struct Deferred<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Deferred<T> {
    /// Takes the result if it has come; `None` if it has not, or was taken already.
    ///
    /// ```
    /// let (resolver, mut answer) = marline_tasks::deferred();
    /// assert_eq!(answer.try_take(), None);
    /// resolver.resolve(7).unwrap();
    /// assert_eq!(answer.try_take(), Some(Ok(7)));
    /// assert_eq!(answer.try_take(), None);
    /// ```
    pub fn try_take(&mut self) -> Option<Result<T, Abandoned>> {
        self.shared.state.lock().take_result()
    }

    /// Calls `call` with the result when it has come: from the loop that runs here, never on the stack of this call or
    /// of the one that resolves.
    ///
    /// # Errors
    ///
    /// Gives the deferred back if no loop runs here, or if it has ended. If the loop ends first, `call` is dropped.
    ///
    /// ```
    /// use marline_reactor::{Handle, Reactor};
    ///
    /// let reactor = Reactor::new()?;
    /// let (resolver, answer) = marline_tasks::deferred();
    /// let handle = reactor.handle();
    /// let stopper = handle.clone();
    /// handle.enter(|| answer.call_back(move |answer| {
    ///     assert_eq!(answer, Ok(42));
    ///     stopper.stop();
    /// })).unwrap();
    /// resolver.resolve(42).unwrap();
    /// reactor.run()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn call_back(self, call: impl FnOnce(Result<T, Abandoned>) + 'static) -> Result<(), Self>
    where
        T: 'static,
    {
        let Some(handle) = Handle::current().ok().filter(|handle| !handle.is_over()) else {
            return Err(self);
        };
        detach_at(&handle, async move { call(self.await) }, Location::caller());
        Ok(())
    }
}

impl<T> Future for Deferred<T> {
    type Output = Result<T, Abandoned>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.shared.watch(cx) {
            Some(result) => Poll::Ready(result),
            None => Poll::Pending,
        }
    }
}

impl<T> Drop for Deferred<T> {
    fn drop(&mut self) {
        // The lock is free again when what comes back is dropped: a value, or the waker of who waited.
        if let State::Waiting(waker) = self.shared.end() {
            discard(waker, "a deferred");
        }
    }
}

impl<T> fmt::Debug for Deferred<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deferred").finish_non_exhaustive()
    }
}

/// The [`Resolver`] was dropped without giving a value, or the [`Deferred`] has given its value before.
///
/// ```
/// let abandoned: Box<dyn std::error::Error> = marline_tasks::Abandoned.into();
/// assert_eq!(abandoned.to_string(), "no value comes: the resolver was dropped, or the value was taken before");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no value comes: the resolver was dropped, or the value was taken before")]
pub struct Abandoned;

/// What both sides hold. Values and wakers are foreign code to clone, wake and drop, so all of that happens
/// outside the lock.
struct Shared<T> {
    state: Mutex<State<T>>,
}

enum State<T> {
    /// No result yet; the waker is that of the last poll.
    Waiting(Option<Waker>),
    Resolved(Result<T, Abandoned>),
    /// The result was taken, or nobody is there to take it.
    Over,
}

impl<T> Shared<T> {
    /// Stores the result, or hands it back if nobody waits for one.
    fn settle(&self, result: Result<T, Abandoned>) -> Option<Result<T, Abandoned>> {
        let waker = {
            let mut state = self.state.lock();
            let State::Waiting(waker) = &mut *state else {
                return Some(result);
            };
            let waker = waker.take();
            *state = State::Resolved(result);
            waker
        };
        if let Some(waker) = waker {
            wake(waker, "a deferred");
        }
        None
    }

    /// Nobody is there to take a result any more. The caller drops what comes back.
    fn end(&self) -> State<T> {
        mem::replace(&mut *self.state.lock(), State::Over)
    }

    /// Takes the result if it has come, and otherwise arranges for who polls to be woken when it does.
    fn watch(&self, context: &Context<'_>) -> Option<Result<T, Abandoned>> {
        attempt(context, "a deferred", |visitor| match &mut *self.state.lock() {
            State::Waiting(known) => visitor.keep_in(known).map(|()| None),
            settled => Some(Some(settled.take_result().unwrap_or(Err(Abandoned)))),
        })
    }
}

impl<T> State<T> {
    fn take_result(&mut self) -> Option<Result<T, Abandoned>> {
        match mem::replace(self, Self::Over) {
            Self::Resolved(result) => Some(result),
            unsettled => {
                *self = unsettled;
                None
            }
        }
    }
}
