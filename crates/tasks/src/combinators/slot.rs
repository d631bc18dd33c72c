//! One future and then its output, in the same place.

use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

pin_project! {
    #[project = Place]
    #[project_replace = Replaced]
    pub(crate) enum Slot<F: Future> {
        Running { #[pin] future: F },
        Done { output: F::Output },
        Empty,
    }
}

impl<F: Future> Slot<F> {
    pub(crate) fn new(future: F) -> Self {
        Self::Running { future }
    }

    /// Polls the future, and keeps its output when it is ready. An ended future is not polled again.
    pub(crate) fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Place::Running { future } = self.as_mut().project() else {
            return Poll::Pending;
        };
        future.poll(cx).map(|output| self.set(Self::Done { output }))
    }

    /// Takes the output if there is one that passes `test`, and otherwise leaves everything as it is.
    pub(crate) fn take_if(
        mut self: Pin<&mut Self>,
        test: impl FnOnce(&F::Output) -> bool,
    ) -> Option<F::Output> {
        match self.as_mut().project() {
            Place::Done { output } if test(output) => self.take(),
            _ => None,
        }
    }

    /// Empties the slot: the answer is the output, if the future has ended.
    pub(crate) fn take(self: Pin<&mut Self>) -> Option<F::Output> {
        match self.project_replace(Self::Empty) {
            Replaced::Done { output } => Some(output),
            Replaced::Running { .. } | Replaced::Empty => None,
        }
    }

    /// Drops the future, if it has not ended.
    pub(crate) fn cancel(mut self: Pin<&mut Self>) {
        if let Place::Running { .. } = self.as_mut().project() {
            self.set(Self::Empty);
        }
    }
}
