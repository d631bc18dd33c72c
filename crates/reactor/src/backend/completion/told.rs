//! What the core is told, in order.

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;

use crate::backend::arrivals::Arrivals;
use crate::backend::{Completion, Sent, SentWhole};
use crate::key::Key;

/// Nearly all of it is input, which has a list of its own, and whatever else there is says how much of that comes before it.
#[derive(Debug)]
pub(super) struct Answers {
    /// What comes before everything else of a wait: the sends that were over when it began to wait. Whoever answers what
    /// was received then finds the memory of the answer before free.
    early: Vec<SentWhole>,
    pub(super) arrivals: Rc<Arrivals>,
    others: VecDeque<(usize, Completion)>,
    /// What comes after everything else of a wait: a send that failed may have been answered before the bytes that
    /// arrived first.
    late: Vec<Completion>,
}

impl Answers {
    pub(super) fn new(arrivals: Rc<Arrivals>) -> Self {
        Self { early: Vec::new(), arrivals, others: VecDeque::new(), late: Vec::new() }
    }

    /// Begins to collect: what the core has taken is forgotten.
    pub(super) fn begin(&mut self) {
        let taken = self.arrivals.taken();
        self.others.iter_mut().for_each(|(before, _)| *before -= taken);
        self.arrivals.forget_taken();
        self.bound();
    }

    pub(super) fn push(&mut self, completion: Completion) {
        match completion {
            Completion::Input(key) => self.push_input(key),
            other => {
                self.others.push_back((self.arrivals.len(), other));
                self.bound();
            }
        }
    }

    #[inline]
    pub(super) fn push_input(&mut self, key: Key) {
        self.arrivals.push(key);
    }

    /// All of it was sent.
    #[inline]
    pub(super) fn push_sent(&mut self, sent: SentWhole) {
        self.early.push(sent);
        self.bound();
    }

    pub(super) fn push_late(&mut self, completion: Completion) {
        self.late.push(completion);
    }

    /// A wait is over.
    pub(super) fn settle(&mut self) {
        let mut late = std::mem::take(&mut self.late);
        late.drain(..).for_each(|completion| self.push(completion));
        self.late = late;
    }

    pub(super) fn take_sent(&mut self, into: &mut Vec<SentWhole>) {
        if into.is_empty() {
            std::mem::swap(into, &mut self.early);
        } else {
            into.append(&mut self.early);
        }
        self.bound();
    }

    pub(super) fn pop(&mut self) -> Option<Completion> {
        // The core has taken them, as a rule.
        if let Some(SentWhole { key, outgoing }) = self.early.pop() {
            self.bound();
            let result = Ok(outgoing.len());
            return Some(Completion::Sent(key, Sent { outgoing, result }));
        }
        if let Some((key, _)) = self.arrivals.take_next() {
            self.arrivals.decline();
            return Some(Completion::Input(key));
        }
        let (_, other) = self.others.pop_front()?;
        self.bound();
        Some(other)
    }

    /// Takes what comes next, as long as it is input: how many.
    pub(super) fn pop_inputs(&mut self, keys: &[Cell<Key>]) -> usize {
        let inputs = std::iter::from_fn(|| self.arrivals.take_next().inspect(|_| self.arrivals.decline()));
        keys.iter().zip(inputs).map(|(place, (key, _))| place.set(key)).count()
    }

    /// Notes how much input comes before something else does.
    fn bound(&self) {
        let before = self.others.front().map_or(usize::MAX, |(before, _)| *before);
        self.arrivals.come_before_other(if self.early.is_empty() { before } else { 0 });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.early.is_empty() && self.arrivals.is_empty() && self.others.is_empty() && self.late.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u32) -> Key {
        Key::new(number, 1)
    }

    /// The index of whoever is told something, negative if that is input.
    fn next(answers: &mut Answers) -> Option<i32> {
        let index = |key: Key| i32::try_from(key.index()).expect("a small number");
        answers.pop().map(|completion| match completion {
            Completion::Input(key) => -index(key),
            Completion::Closed(key) | Completion::Sent(key, _) => index(key),
            other => panic!("{other:?}"),
        })
    }

    /// The indices of the inputs that come next, of four at most.
    fn inputs(answers: &mut Answers) -> Vec<usize> {
        let keys = [const { Cell::new(Key::NOBODY) }; 4];
        let count = answers.pop_inputs(&keys);
        keys[..count].iter().map(|key| key.get().index()).collect()
    }

    #[test]
    fn all_is_told_in_the_order_in_which_it_came() {
        let mut answers = Answers::new(Rc::new(Arrivals::new(Rc::new(()))));
        assert!(answers.is_empty() && inputs(&mut answers).is_empty());
        answers.push_late(Completion::Closed(key(9)));
        answers.push_late(Completion::Input(key(10)));
        answers.push(Completion::Input(key(1)));
        answers.push(Completion::Input(key(11)));
        answers.push(Completion::Closed(key(2)));
        answers.push(Completion::Closed(key(3)));
        (4..9).for_each(|number| answers.push_input(key(number)));
        answers.settle();
        answers.push_sent(SentWhole { key: key(6), outgoing: Box::default() });
        assert!(inputs(&mut answers).is_empty(), "a send comes first");
        assert_eq!(next(&mut answers), Some(6));
        assert_eq!(inputs(&mut answers), [1, 11]);
        assert!(inputs(&mut answers).is_empty(), "a close comes next");
        assert_eq!([(); 2].map(|()| next(&mut answers)), [Some(2), Some(3)]);
        assert_eq!((inputs(&mut answers), next(&mut answers)), (vec![4, 5, 6, 7], Some(-8)));
        assert_eq!(next(&mut answers), Some(9));
        assert_eq!((inputs(&mut answers), next(&mut answers)), (vec![10], None));
        assert!(answers.is_empty());
    }
}
