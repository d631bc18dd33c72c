//! All outputs, whatever they are.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::crowd::Crowd;
use super::tuple::{FutureTuple, Futures};
use super::wakes::{Order, WakeSet};

/// Waits until every future has ended, and returns every output, in the order of `futures`.
///
/// Errors are outputs like any other and end nothing. No futures give an empty `Vec` at once. A poll reaches
/// only the futures that were woken, each future is dropped as soon as it has ended, and no task is spawned.
///
/// # Cancellation
///
/// Dropping it drops all the futures and the outputs that have come.
///
/// ```
/// use marline_tasks::settle;
/// # futures::executor::block_on(async {
/// let outcomes = settle(["1", "one"].map(|text| async move { text.parse::<u8>().ok() }));
/// assert_eq!(outcomes.await, [Some(1), None]);
/// # });
/// ```
pub fn settle<I>(futures: I) -> Settle<I::Item>
where
    I: IntoIterator<Item: Future>,
{
    Settle { crowd: Some(Crowd::new(futures, Order::Fixed)) }
}

/// The future that [`settle()`] returns. Polled again after it has resolved, it is pending for ever.
///
/// ```
/// use marline_tasks::combinators::{Settle, settle};
/// use std::future::Ready;
/// let pair: Settle<Ready<u8>> = settle([1, 2].map(std::future::ready));
/// assert_eq!(futures::executor::block_on(pair), [1, 2]);
/// ```
#[must_use = "futures do nothing unless awaited"]
pub struct Settle<F: Future> {
    /// `None` once resolved.
    crowd: Option<Crowd<F>>,
}

/// The futures stay where they are when this one moves, and outputs are never pinned.
impl<F: Future> Unpin for Settle<F> {}

impl<F: Future> Future for Settle<F> {
    type Output = Vec<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let Some(crowd) = &mut this.crowd else {
            return Poll::Pending;
        };
        crowd.begin(cx);
        while crowd.next_finished().is_some() {}
        if !crowd.all_finished() {
            return Poll::Pending;
        }
        let all = this.crowd.take();
        Poll::Ready(all.map_or_else(Vec::new, |all| all.into_outputs(Some)))
    }
}

impl<F: Future> fmt::Debug for Settle<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settle").finish_non_exhaustive()
    }
}

/// Waits for a tuple of one to twelve futures of different types; [`settle!`](crate::settle!) is the way to
/// write it. Everything that is said of [`settle()`] holds, except that the outputs are a tuple.
///
/// ```
/// use marline_tasks::combinators::settle_tuple;
/// # futures::executor::block_on(async {
/// assert_eq!(settle_tuple((async { 1 }, async { "two" })).await, (1, "two"));
/// # });
/// ```
pub fn settle_tuple<T: FutureTuple>(futures: T) -> SettleTuple<T::Futures> {
    SettleTuple { futures: futures.into_futures(), wakes: Some(WakeSet::new(T::Futures::LEN, Order::Fixed)) }
}

pin_project! {
    /// The future that [`settle!`](crate::settle!) returns. Polled again after it has resolved, it is pending
    /// for ever.
    ///
    /// ```
    /// use marline_tasks::combinators::{Futures1, SettleTuple};
    /// use std::future::{Ready, ready};
    /// let one: SettleTuple<Futures1<Ready<u8>>> = marline_tasks::settle!(ready(1));
    /// assert_eq!(futures::executor::block_on(one), (1,));
    /// ```
    #[must_use = "futures do nothing unless awaited"]
    pub struct SettleTuple<C> {
        #[pin]
        futures: C,
        // None once resolved.
        wakes: Option<WakeSet>,
    }
}

impl<C: Futures> Future for SettleTuple<C> {
    type Output = C::Outputs;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(wakes) = this.wakes else {
            return Poll::Pending;
        };
        wakes.begin(cx);
        while let Some(turn) = wakes.next() {
            let index = turn.index;
            let _ = wakes.poll(turn, |cx| this.futures.as_mut().poll_at(index, cx));
        }
        if wakes.unfinished() > 0 {
            return Poll::Pending;
        }
        *this.wakes = None;
        match this.futures.take_all() {
            Some(outputs) => Poll::Ready(outputs),
            None => Poll::Pending,
        }
    }
}

impl<C> fmt::Debug for SettleTuple<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SettleTuple").finish_non_exhaustive()
    }
}

/// Waits until each of one to twelve futures has ended, and gives every output as a tuple.
///
/// The futures are expressions (anything that is [`IntoFuture`]) of any output types. It evaluates to a
/// future. Cancellation and cost are those of [`settle()`](crate::settle()).
///
/// ```
/// use marline_tasks::settle;
/// # futures::executor::block_on(async {
/// let (number, text) = settle!(async { "x".parse::<u8>() }, async { "y" }).await;
/// assert!(number.is_err());
/// assert_eq!(text, "y");
/// # });
/// ```
#[macro_export]
macro_rules! settle {
    ($($future:expr),+ $(,)?) => {
        $crate::combinators::settle_tuple(($($future,)+))
    };
}
