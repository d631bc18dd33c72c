//! The first of a few futures of different types.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::fairness::fairness;
use super::one_of::Alternatives;
use super::tuple::FutureTuple;

/// Waits for the first of a tuple of two to eight futures; [`select!`](crate::select!) gives each of them
/// code to go on with.
///
/// The losers are dropped before the winner's output is returned. The futures are polled from a random one
/// onwards, so that none is favoured; [`Select::fixed`] asks for the order in which they were written
/// instead.
///
/// Every poll reaches all the futures, and they get the caller's own waker: for so few, that costs less than
/// to find out who was woken, and it allocates nothing.
///
/// # Cancellation
///
/// Dropping it drops all the futures. To select among futures that are needed afterwards, pass `&mut`
/// references.
///
/// ```
/// use marline_tasks::{combinators::OneOf2, select};
/// # futures::executor::block_on(async {
/// let first = select((std::future::pending::<u8>(), async { "ready" })).await;
/// assert_eq!(first, OneOf2::Second("ready"));
/// assert_eq!(first.index(), 1);
/// # });
/// ```
pub fn select<T>(futures: T) -> Select<T::Futures>
where
    T: FutureTuple<Futures: Alternatives>,
{
    Select { futures: futures.into_futures(), state: State::Fresh }
}

pin_project! {
    /// The future that [`select`](select()) returns. Polled again after it has resolved, it is pending for
    /// ever.
    ///
    /// ```
    /// use marline_tasks::combinators::{Futures2, OneOf2, Select, select};
    /// use std::future::{Pending, Ready, pending, ready};
    /// let one: Select<Futures2<Ready<u8>, Pending<()>>> = select((ready(1), pending()));
    /// assert_eq!(futures::executor::block_on(one), OneOf2::First(1));
    /// ```
    #[must_use = "futures do nothing unless awaited"]
    pub struct Select<C> {
        #[pin]
        futures: C,
        state: State,
    }
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Not polled yet, to be polled from a random future onwards.
    Fresh,
    /// To be polled from this future onwards.
    From(usize),
    Resolved,
}

impl<C> Select<C> {
    /// Polls the futures in the order in which they were written: of several that are ready at once, the
    /// first wins.
    ///
    /// ```
    /// use marline_tasks::{combinators::OneOf2, select};
    /// let ready = select((async { 1 }, async { 2 })).fixed();
    /// assert_eq!(futures::executor::block_on(ready), OneOf2::First(1));
    /// ```
    pub fn fixed(self) -> Self {
        Self { state: State::From(0), ..self }
    }
}

impl<C: Alternatives> Future for Select<C> {
    type Output = C::One;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let start = match *this.state {
            State::Fresh => fairness(C::LEN),
            State::From(start) => start,
            State::Resolved => return Poll::Pending,
        };
        *this.state = State::From(start);
        for index in (start..C::LEN).chain(0..start) {
            if this.futures.as_mut().poll_at(index, cx).is_pending() {
                continue;
            }
            if let Some(one) = this.futures.as_mut().take_one(index) {
                *this.state = State::Resolved;
                drop(this.futures.take_all());
                return Poll::Ready(one);
            }
        }
        Poll::Pending
    }
}

impl<C> fmt::Debug for Select<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Select").finish_non_exhaustive()
    }
}

/// Waits for the first of two to eight futures, and goes on with the code beside it.
///
/// ```text
/// select! {
///     pattern = future => body,
///     ...
/// }
/// ```
///
/// Each future is an expression (anything that is [`IntoFuture`]); all are evaluated before the first is
/// polled. The pattern takes the output and has to match it always. The bodies have one type, which is the
/// type of the whole; a body that is a block needs no comma behind it.
///
/// All the futures are gone before a body runs, so a body may use what they had borrowed. Bodies are ordinary
/// code of the function around: `?`, `return`, `break`, `continue` and `.await` do there what they do
/// outside.
///
/// The futures are polled from a random one onwards, so that none is favoured. After a leading `fixed;` they
/// are polled in the order in which they are written.
///
/// # Cancellation
///
/// The losers are dropped. To go on with one of them afterwards, pin it outside and pass a `&mut` reference.
/// Dropping the future around drops all of them.
///
/// ```
/// use marline_tasks::select;
///
/// async fn sum(mut next: impl AsyncFnMut() -> Option<u32>, stop: impl Future<Output = ()>) -> u32 {
///     let mut stop = std::pin::pin!(stop);
///     let mut sum = 0;
///     loop {
///         select! {
///             fixed;
///             () = &mut stop => return 0,
///             number = next() => match number {
///                 Some(number) => sum += number,
///                 None => break sum,
///             },
///         }
///     }
/// }
///
/// let mut numbers = vec![1, 2, 3];
/// let sum = sum(async || numbers.pop(), std::future::pending());
/// assert_eq!(futures::executor::block_on(sum), 6);
/// ```
#[macro_export]
macro_rules! select {
    // Arms are moved one by one from the end to the front of the list, each with the next variant of the
    // result and with the enum that has just so many.
    (@arms $how:tt $rest:tt $done:tt $arm:pat = $future:expr => $body:block, $($arms:tt)*) => {
        $crate::select!(@next $how $rest $done ($arm, $future, $body) $($arms)*)
    };
    (@arms $how:tt $rest:tt $done:tt $arm:pat = $future:expr => $body:block $($arms:tt)*) => {
        $crate::select!(@next $how $rest $done ($arm, $future, $body) $($arms)*)
    };
    (@arms $how:tt $rest:tt $done:tt $arm:pat = $future:expr => $body:expr, $($arms:tt)*) => {
        $crate::select!(@next $how $rest $done ($arm, $future, $body) $($arms)*)
    };
    (@arms $how:tt $rest:tt $done:tt $arm:pat = $future:expr => $body:expr) => {
        $crate::select!(@next $how $rest $done ($arm, $future, $body))
    };
    (@next
        $how:tt [$of:ident $variant:ident, $($rest:tt)*] [$before:ident $($done:tt)*] ($($new:tt)*)
        $($arms:tt)*
    ) => {
        $crate::select!(@arms $how [$($rest)*] [$of $($done)* ($variant, $($new)*)] $($arms)*)
    };
    (@next $how:tt [] $done:tt $new:tt $($arms:tt)*) => {
        ::core::compile_error!("select! takes at most eight arms")
    };
    (@arms $how:tt $rest:tt [One $($done:tt)*]) => {
        ::core::compile_error!("select! takes at least two arms")
    };
    (@arms [$($how:tt)*] $rest:tt [$of:ident $(($variant:ident, $arm:pat, $future:expr, $body:expr))+]) => {{
        // A statement of its own, so that the futures and all that they borrowed are gone before the body
        // runs.
        let first = $crate::combinators::select(($($future,)+))$($how)*.await;
        match first {
            $($crate::combinators::$of::$variant($arm) => $body,)+
        }
    }};
    (@start $how:tt $($arms:tt)*) => {
        $crate::select!(
            @arms $how
            [One First, OneOf2 Second, OneOf3 Third, OneOf4 Fourth,
             OneOf5 Fifth, OneOf6 Sixth, OneOf7 Seventh, OneOf8 Eighth,]
            [One]
            $($arms)*
        )
    };
    (fixed; $($arms:tt)+) => { $crate::select!(@start [.fixed()] $($arms)+) };
    ($($arms:tt)+) => { $crate::select!(@start [] $($arms)+) };
}
