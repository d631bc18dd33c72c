//! Any number of futures of one type, of which the woken ones are polled.
//!
//! # Rules
//!
//! * **U1** The slots stay in their box, and no way out of it leads to a slot that is not pinned, so that the futures in them
//!   do not move before they are dropped.
#![allow(unsafe_code)]

use std::pin::Pin;
use std::task::Context;

use super::slot::Slot;
use super::wakes::{Order, WakeSet};

/// All futures are in one allocation, which stays in its place while the crowd moves. Each is dropped as soon as it has
/// finished, and its output takes its place.
pub(crate) struct Crowd<F: Future> {
    slots: Pin<Box<[Slot<F>]>>,
    wakes: WakeSet,
}

impl<F: Future> Crowd<F> {
    pub(crate) fn new(futures: impl IntoIterator<Item = F>, order: Order) -> Self {
        let slots: Box<[_]> = futures.into_iter().map(Slot::new).collect();
        let wakes = WakeSet::new(slots.len(), order);
        Self { slots: Box::into_pin(slots), wakes }
    }

    pub(crate) fn all_finished(&self) -> bool {
        self.wakes.unfinished() == 0
    }

    /// Begins a round, which [`next_finished`](Self::next_finished) goes through.
    pub(crate) fn begin(&mut self, parent: &Context<'_>) {
        self.wakes.begin(parent);
    }

    /// From now on they are polled by index.
    pub(crate) fn fix_order(&mut self) {
        self.wakes.fix_order();
    }

    /// Goes on polling until a future is ready, whose output is kept; `None` ends the round.
    pub(crate) fn next_finished(&mut self) -> Option<usize> {
        while let Some(turn) = self.wakes.next() {
            let index = turn.index;
            let slot = at(&mut self.slots, index);
            if self.wakes.poll(turn, |context| slot.poll(context)).is_ready() {
                return Some(index);
            }
        }
        None
    }

    /// Takes the output of the future at `index`, if it has one that passes `test`.
    pub(crate) fn take_if(
        &mut self,
        index: usize,
        test: impl FnOnce(&F::Output) -> bool,
    ) -> Option<F::Output> {
        at(&mut self.slots, index).take_if(test)
    }

    /// Takes what `pick` makes of each output, in the order of the futures, of which all have finished.
    pub(crate) fn into_outputs<T>(mut self, pick: impl Fn(F::Output) -> Option<T>) -> Vec<T> {
        let mut outputs = Vec::with_capacity(self.slots.len());
        outputs.extend(
            (0..self.slots.len()).filter_map(|index| at(&mut self.slots, index).take().and_then(&pick)),
        );
        outputs
    }

    /// Drops the futures that have not finished.
    pub(crate) fn cancel(&mut self) {
        for index in 0..self.slots.len() {
            at(&mut self.slots, index).cancel();
        }
    }
}

#[inline]
fn at<F: Future>(slots: &mut Pin<Box<[Slot<F>]>>, index: usize) -> Pin<&mut Slot<F>> {
    // SAFETY: U1.
    unsafe { slots.as_mut().map_unchecked_mut(|slots| &mut slots[index]) }
}
