//! Any number of futures of one type, of which the woken ones are polled.

use std::pin::Pin;
use std::task::{Context, Poll};

use super::wakes::{Order, WakeSet};

/// Each future has a heap cell of its own: there it stays pinned while the crowd moves, and its memory is
/// free again as soon as it has finished.
#[derive(Debug)]
pub(crate) struct Crowd<F> {
    futures: Vec<Option<Pin<Box<F>>>>,
    wakes: WakeSet,
}

impl<F: Future> Crowd<F> {
    pub(crate) fn new(futures: impl IntoIterator<Item = F>) -> Self {
        let futures: Vec<_> = futures.into_iter().map(|future| Some(Box::pin(future))).collect();
        let wakes = WakeSet::new(futures.len());
        Self { futures, wakes }
    }

    pub(crate) fn len(&self) -> usize {
        self.futures.len()
    }

    pub(crate) fn all_finished(&self) -> bool {
        self.wakes.unfinished() == 0
    }

    /// Begins a round, which [`next_finished`](Self::next_finished) goes through.
    pub(crate) fn begin(&mut self, parent: &Context<'_>, order: Order) {
        self.wakes.begin(parent, order);
    }

    /// Goes on polling until a future is ready; `None` ends the round.
    pub(crate) fn next_finished(&mut self) -> Option<(usize, F::Output)> {
        while let Some(index) = self.wakes.next() {
            if let Some(output) = self.poll_one(index) {
                return Some((index, output));
            }
        }
        None
    }

    fn poll_one(&mut self, index: usize) -> Option<F::Output> {
        let future = self.futures[index].as_mut()?;
        match self.wakes.poll(index, |cx| future.as_mut().poll(cx)) {
            Poll::Ready(output) => {
                self.futures[index] = None;
                Some(output)
            }
            Poll::Pending => None,
        }
    }
}
