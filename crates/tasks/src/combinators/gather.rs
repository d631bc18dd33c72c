//! All values, or the first error.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::crowd::Crowd;
use super::tuple::{FallibleFutures, FutureTuple, Futures};
use super::wakes::{Order, WakeSet};

/// Waits until every future has given a value, or until the first has failed.
///
/// The values come in the order of `futures`. At the first error the other futures are dropped, and with them
/// the values that had come already; then the error is returned, with the index of the future that failed. Of
/// several that fail in the same poll the one with the lowest index is reported. No futures give an empty
/// `Vec` at once.
///
/// A poll reaches only the futures that were woken, so thousands of them cost no more than those that have
/// something to do. No task is spawned.
///
/// # Errors
///
/// [`GatherError`] carries the error and the index of the future that failed first.
///
/// # Cancellation
///
/// Dropping it drops all the futures and the values that have come.
///
/// ```
/// use marline_tasks::gather;
/// # futures::executor::block_on(async {
/// let lengths = gather(["a", "bcd"].map(|word| async move {
///     if word.is_empty() { Err("empty") } else { Ok(word.len()) }
/// }));
/// assert_eq!(lengths.await, Ok(vec![1, 3]));
///
/// let error = gather([Ok(1), Err("broken")].map(std::future::ready)).await.unwrap_err();
/// assert_eq!((error.index, error.error), (1, "broken"));
/// # });
/// ```
pub fn gather<I, F, T, E>(futures: I) -> Gather<F>
where
    I: IntoIterator<Item = F>,
    F: Future<Output = Result<T, E>>,
{
    Gather { crowd: Some(Crowd::new(futures, Order::Fixed)) }
}

/// The future that [`gather()`] returns. Polled again after it has resolved, it is pending for ever.
///
/// ```
/// use marline_tasks::combinators::{Gather, gather};
/// use std::future::Ready;
/// let pair: Gather<Ready<Result<u8, ()>>> = gather([Ok(1), Ok(2)].map(std::future::ready));
/// assert_eq!(futures::executor::block_on(pair), Ok(vec![1, 2]));
/// ```
#[must_use = "futures do nothing unless awaited"]
pub struct Gather<F: Future> {
    /// `None` once resolved.
    crowd: Option<Crowd<F>>,
}

/// The futures stay where they are when this one moves, and outputs are never pinned.
impl<F: Future> Unpin for Gather<F> {}

impl<F, T, E> Future for Gather<F>
where
    F: Future<Output = Result<T, E>>,
{
    type Output = Result<Vec<T>, GatherError<E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let Some(crowd) = &mut this.crowd else {
            return Poll::Pending;
        };
        crowd.begin(cx);
        while let Some(index) = crowd.next_finished() {
            if let Some(Err(error)) = crowd.take_if(index, Result::is_err) {
                let mut left = this.crowd.take();
                // The futures first, and then the values.
                left.iter_mut().for_each(Crowd::cancel);
                return Poll::Ready(Err(GatherError { index, error }));
            }
        }
        if !crowd.all_finished() {
            return Poll::Pending;
        }
        let all = this.crowd.take();
        Poll::Ready(Ok(all.map_or_else(Vec::new, |all| all.into_outputs(Result::ok))))
    }
}

impl<F: Future> fmt::Debug for Gather<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gather").finish_non_exhaustive()
    }
}

/// Which of the futures of [`gather()`] or [`gather!`](crate::gather!) failed first, and how.
///
/// It is an [`Error`](std::error::Error) where the error inside can be shown, boxed errors included (which are no `Error`s
/// themselves, so the inner error is part of the text and not the source).
///
/// ```
/// use marline_tasks::{GatherError, gather};
/// # futures::executor::block_on(async {
/// let failed = gather([Ok(0), "x".parse::<u8>()].map(std::future::ready)).await.unwrap_err();
/// assert_eq!(failed.to_string(), "the gathered future at index 1 failed: invalid digit found in string");
/// assert_eq!(GatherError::into_error(failed).to_string(), "invalid digit found in string");
/// # });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GatherError<E> {
    /// The place of the future among those that were gathered, counted from 0.
    pub index: usize,
    /// What it failed with.
    pub error: E,
}

impl<E: fmt::Display> fmt::Display for GatherError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the gathered future at index {} failed: {}", self.index, self.error)
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for GatherError<E> {}

impl<E> GatherError<E> {
    /// The error alone, for `map_err` where the index does not matter.
    ///
    /// ```
    /// use marline_tasks::{GatherError, gather};
    /// let gathered = gather([std::future::ready(Err::<(), _>("broken"))]);
    /// let result = futures::executor::block_on(gathered).map_err(GatherError::into_error);
    /// assert_eq!(result, Err("broken"));
    /// ```
    pub fn into_error(self) -> E {
        self.error
    }
}

/// Waits for a tuple of one to twelve fallible futures of different types; [`gather!`](crate::gather!) is the
/// way to write it. Everything that is said of [`gather()`] holds, except that the values are a tuple.
///
/// ```
/// use marline_tasks::combinators::gather_tuple;
/// # futures::executor::block_on(async {
/// let both = gather_tuple((async { Ok::<_, ()>(1) }, async { Ok("two") }));
/// assert_eq!(both.await, Ok((1, "two")));
/// # });
/// ```
pub fn gather_tuple<T>(futures: T) -> GatherTuple<T::Futures>
where
    T: FutureTuple<Futures: FallibleFutures>,
{
    GatherTuple { futures: futures.into_futures(), wakes: Some(WakeSet::new(T::Futures::LEN, Order::Fixed)) }
}

pin_project! {
    /// The future that [`gather!`](crate::gather!) returns. Polled again after it has resolved, it is pending
    /// for ever.
    ///
    /// ```
    /// use marline_tasks::combinators::{Futures1, GatherTuple};
    /// use std::future::{Ready, ready};
    /// let one: GatherTuple<Futures1<Ready<Result<u8, ()>>>> = marline_tasks::gather!(ready(Ok(1)));
    /// assert_eq!(futures::executor::block_on(one), Ok((1,)));
    /// ```
    #[must_use = "futures do nothing unless awaited"]
    pub struct GatherTuple<C> {
        #[pin]
        futures: C,
        // None once resolved.
        wakes: Option<WakeSet>,
    }
}

impl<C: FallibleFutures> Future for GatherTuple<C> {
    type Output = Result<C::Values, GatherError<C::Error>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(wakes) = this.wakes else {
            return Poll::Pending;
        };
        wakes.begin(cx);
        while let Some(turn) = wakes.next() {
            let index = turn.index;
            let _ = wakes.poll(turn, |cx| this.futures.as_mut().poll_at(index, cx));
            if let Some(error) = this.futures.as_mut().take_error(index) {
                *this.wakes = None;
                drop(this.futures.take_all());
                return Poll::Ready(Err(GatherError { index, error }));
            }
        }
        if wakes.unfinished() > 0 {
            return Poll::Pending;
        }
        *this.wakes = None;
        match this.futures.take_all().and_then(C::values) {
            Some(values) => Poll::Ready(Ok(values)),
            None => Poll::Pending,
        }
    }
}

impl<C> fmt::Debug for GatherTuple<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatherTuple").finish_non_exhaustive()
    }
}

/// Waits until each of one to twelve futures has given a value, or until the first has failed.
///
/// The futures are expressions (anything that is [`IntoFuture`]) whose outputs are `Result`s: their values
/// may differ in type, their error is the same. It evaluates to a future, whose output is a `Result` of the
/// values as a tuple. Errors, cancellation and cost are those of [`gather()`](crate::gather()).
///
/// ```
/// use marline_tasks::{GatherError, gather};
///
/// async fn area(width: &str, height: &str) -> Result<u32, GatherError<std::num::ParseIntError>> {
///     let (width, height) = gather!(async { width.parse::<u32>() }, async { height.parse::<u32>() }).await?;
///     Ok(width * height)
/// }
///
/// # futures::executor::block_on(async {
/// assert_eq!(area("3", "4").await, Ok(12));
/// assert_eq!(area("3", "four").await.unwrap_err().index, 1);
/// # });
/// ```
#[macro_export]
macro_rules! gather {
    ($($future:expr),+ $(,)?) => {
        $crate::combinators::gather_tuple(($($future,)+))
    };
}
