//! The first of many futures of one type.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::crowd::Crowd;
use super::wakes::Order;

/// Waits for the first of many futures, and returns its index and its output.
///
/// The losers are dropped before the winner's output is returned. The futures are polled from a random one
/// onwards at first, and later as they were woken, so that none is favoured; [`Race::fixed`] asks for the
/// order of the indices instead. A poll reaches only the futures that were woken, and no task is spawned.
///
/// **A race of no futures never ends**: there is nothing that could be first.
///
/// # Cancellation
///
/// Dropping it drops all the futures. To race futures that are needed afterwards, race `&mut` references to
/// them.
///
/// ```
/// use marline_tasks::race;
/// # futures::executor::block_on(async {
/// let racers = [3, 0, 5].map(|steps| async move {
///     if steps > 0 { std::future::pending::<()>().await }
///     steps
/// });
/// assert_eq!(race(racers).await, (1, 0));
/// # });
/// ```
pub fn race<I>(futures: I) -> Race<I::Item>
where
    I: IntoIterator<Item: Future>,
{
    Race { crowd: Some(Crowd::new(futures, Order::Fair)) }
}

/// The future that [`race`] returns. Polled again after it has resolved, it is pending for ever.
///
/// ```
/// use marline_tasks::combinators::{Race, race};
/// use std::future::Ready;
/// let alone: Race<Ready<u8>> = race([std::future::ready(7)]);
/// assert_eq!(futures::executor::block_on(alone), (0, 7));
/// ```
#[must_use = "futures do nothing unless awaited"]
pub struct Race<F: Future> {
    /// `None` once resolved.
    crowd: Option<Crowd<F>>,
}

impl<F: Future> Race<F> {
    /// Polls the futures in the order of their indices: of several that are ready at once, the lowest index
    /// wins.
    ///
    /// ```
    /// use marline_tasks::race;
    /// let ready = race(["a", "b", "c"].map(std::future::ready)).fixed();
    /// assert_eq!(futures::executor::block_on(ready), (0, "a"));
    /// ```
    pub fn fixed(mut self) -> Self {
        self.crowd.iter_mut().for_each(Crowd::fix_order);
        self
    }
}

impl<F: Future> Future for Race<F> {
    type Output = (usize, F::Output);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(crowd) = &mut self.crowd else {
            return Poll::Pending;
        };
        crowd.begin(cx);
        let winner = crowd.next_finished().and_then(|index| Some((index, crowd.take_if(index, |_| true)?)));
        if winner.is_some() {
            self.crowd = None;
        }
        winner.map_or(Poll::Pending, Poll::Ready)
    }
}

impl<F: Future> fmt::Debug for Race<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Race").finish_non_exhaustive()
    }
}
