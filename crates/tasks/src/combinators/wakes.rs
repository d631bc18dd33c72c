//! Which children were woken.
//!
//! Each child of a combinator is polled with a waker of its own, which notes the child among those that were woken and then
//! wakes the parent. A poll of the parent is one *round*: it takes those that were woken and polls them, so it costs what
//! happened, not how many children there are. A child that is woken during a round goes to the next one, so no child can
//! keep a parent from returning.

use std::iter;
use std::mem;
use std::ops::Range;
use std::task::{Context, Poll, Waker};

use super::block::{Block, Line};
use super::fairness::fairness;
use crate::wake::discard;

/// What a parent waits for.
pub(super) const WHAT: &str = "several futures";

/// In which order the children of one round are polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// From a random child onwards in the first round, as they were woken in later ones.
    Fair,
    /// By index in every round.
    Fixed,
}

/// A child whose turn it is, once.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) index: usize,
    /// It is the first one.
    is_first: bool,
}

/// The wakers of a fixed number of children.
#[derive(Debug)]
pub(crate) struct WakeSet {
    block: Block,
    /// The children that were never polled: of the first, of the second range.
    fresh: [Range<usize>; 2],
    /// The others whose turn is still to come in this round. They outlive the round only if a child panicked.
    round: Line,
    unfinished: usize,
    len: usize,
    order: Order,
    started: bool,
}

impl WakeSet {
    /// Of so many.
    pub(crate) fn new(len: usize, order: Order) -> Self {
        Self {
            block: Block::new(len, order == Order::Fixed),
            fresh: [0..0, 0..0],
            round: Line::EMPTY,
            unfinished: len,
            len,
            order,
            started: false,
        }
    }

    /// From now on they are polled by index.
    pub(crate) fn fix_order(&mut self) {
        self.order = Order::Fixed;
    }

    /// How many children have not been ready yet.
    #[inline]
    pub(crate) fn unfinished(&self) -> usize {
        self.unfinished
    }

    /// Begins a round; from now on, the first child to be woken wakes `parent`.
    pub(crate) fn begin(&mut self, parent: &Context<'_>) {
        // Before the woken are collected: who is woken after that finds the parent, and a parent that is woken for one who is
        // collected anyway is only polled once too often.
        self.expect(parent.waker());
        if !mem::replace(&mut self.started, true) {
            return self.begin_with_all();
        }
        let left_over = !self.round.is_empty() || !self.fresh.iter().all(Range::is_empty);
        let woken = self.block.collect();
        if left_over || (self.order == Order::Fixed && !woken.ascends) {
            return self.line_up(woken);
        }
        self.round = woken;
    }

    /// Sees to it that `parent` is woken.
    #[inline]
    fn expect(&mut self, parent: &Waker) {
        if self.block.knows_parent(parent) {
            return;
        }
        // To clone a waker, and to drop the one before, is to call code of others.
        let fresh = parent.clone();
        let replaced = self.block.replace_parent(Some(fresh));
        discard(replaced, WHAT);
    }

    fn begin_with_all(&mut self) {
        let start = match self.order {
            Order::Fair => fairness(self.len),
            Order::Fixed => 0,
        };
        self.fresh = [start..self.len, 0..start];
    }

    /// Puts those whom the round before did not reach, because another one panicked, before those that were woken, and all of
    /// them in order.
    #[cold]
    fn line_up(&mut self, mut woken: Line) {
        let mut all: Vec<usize> = mem::replace(&mut self.fresh, [0..0, 0..0]).into_iter().flatten().collect();
        for line in [&mut self.round, &mut woken] {
            all.extend(iter::from_fn(|| self.block.take_first(line)));
        }
        if self.order == Order::Fixed {
            all.sort_unstable();
        }
        self.round = Line::EMPTY;
        all.iter().rev().for_each(|&index| self.block.put_first(&mut self.round, index));
    }

    /// The next child to be polled in this round.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<Turn> {
        if let Some(index) = self.fresh[0].next().or_else(|| self.fresh[1].next()) {
            return Some(Turn { index, is_first: true });
        }
        loop {
            let index = self.block.take_first(&mut self.round)?;
            if !self.block.slot(index).has_finished() {
                return Some(Turn { index, is_first: false });
            }
        }
    }

    /// Polls the child whose turn it is through `poll`, and lets it rest for ever once it is ready. That uses the turn up.
    #[inline]
    #[allow(clippy::needless_pass_by_value)]
    pub(crate) fn poll<T>(&mut self, turn: Turn, poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        let Turn { index, is_first } = turn;
        let polled = self.block.lend(index, is_first, poll);
        if polled.is_ready() {
            self.block.slot(index).finish();
            self.unfinished -= 1;
        }
        polled
    }
}

impl Drop for WakeSet {
    /// Lets go of the parent: the children's wakers may live on in foreign hands, and must not keep its task alive.
    fn drop(&mut self) {
        let parent = self.block.replace_parent(None);
        discard(parent, WHAT);
    }
}
