//! Waiting for children.

use std::future::poll_fn;

use super::error::GroupError;
use super::state::{End, Until};
use super::{Collecting, TaskGroup};

impl<T, E> TaskGroup<T, E> {
    /// Waits until every child has ended: their values in the order of spawning. Children that the group
    /// [cancelled](Self::cancel_all), and those that [`next`](Self::next) gave, are missing.
    ///
    /// # Errors
    ///
    /// The first failure. The siblings are cancelled when it happens, also if nobody waits yet, and their futures are dropped
    /// when this returns; so are the values that had come.
    ///
    /// # Cancellation
    ///
    /// Dropping the future cancels the children.
    pub async fn join(self) -> Result<Vec<T>, GroupError<E>> {
        let (failure, ended) =
            poll_fn(|context| self.shared.poll(context, Until::All, |state| state.all())).await;
        if let Some(Err(error)) = failure.map(End::into_result) {
            return Err(error);
        }
        ended.into_iter().map(End::into_result).collect()
    }
}

impl<T, E> TaskGroup<T, E, Collecting> {
    /// Waits until every child has ended: all outcomes, in the order of spawning. Those that [`next`](Self::next) gave are
    /// missing.
    ///
    /// # Cancellation
    ///
    /// Dropping the future cancels the children.
    pub async fn join(self) -> Vec<Result<T, GroupError<E>>> {
        let (_, ended) = poll_fn(|context| self.shared.poll(context, Until::All, |state| state.all())).await;
        ended.into_iter().map(End::into_result).collect()
    }
}

impl<T, E, P> TaskGroup<T, E, P> {
    /// Waits for the next child that ends: its outcome, in the order in which they end. `None` if there is no child.
    ///
    /// In a group made by [`new`](TaskGroup::new), the first failure comes last: after the values of the children that had
    /// ended before it, and when the futures of all others are dropped.
    ///
    /// # Cancellation
    ///
    /// Dropping the future changes nothing: what it did not give comes next time.
    pub async fn next(&mut self) -> Option<Result<T, GroupError<E>>> {
        let end = poll_fn(|context| self.shared.poll(context, Until::Next, |state| state.next())).await?;
        Some(end.into_result())
    }
}
