//! What the core is told, in order.

use std::collections::VecDeque;

use crate::backend::{Completion, Sent, SentWhole};
use crate::key::Key;

/// Nearly all of it is input, which is a key and nothing else. So that has a queue of its own, and whatever else there is says how
/// much input comes before it.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// What comes before everything else of a wait: the sends that were over when it began to wait. Whoever answers what
    /// was received then finds the memory of the answer before free.
    early: Vec<SentWhole>,
    inputs: VecDeque<Key>,
    others: VecDeque<(u64, Completion)>,
    /// What comes after everything else of a wait: a send that failed may have been answered before the bytes that
    /// arrived first.
    late: Vec<Completion>,
    /// How much input came, and how much of it the core was told.
    came: u64,
    told: u64,
}

impl Answers {
    pub(super) fn push(&mut self, completion: Completion) {
        match completion {
            Completion::Input(key) => self.push_input(key),
            other => self.others.push_back((self.came, other)),
        }
    }

    #[inline]
    pub(super) fn push_input(&mut self, key: Key) {
        self.came += 1;
        self.inputs.push_back(key);
    }

    /// All of it was sent.
    #[inline]
    pub(super) fn push_sent(&mut self, sent: SentWhole) {
        self.early.push(sent);
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
    }

    pub(super) fn pop(&mut self) -> Option<Completion> {
        // The core has taken them, as a rule, and always where it sends copies.
        while let Some(SentWhole { key, len, outgoing }) = self.early.pop() {
            if let Some(outgoing) = outgoing {
                return Some(Completion::Sent(key, Sent { outgoing, result: Ok(len) }));
            }
        }
        if self.comes_other() {
            return self.others.pop_front().map(|(_, completion)| completion);
        }
        self.pop_input().map(Completion::Input)
    }

    /// Takes what comes next, if it is input.
    #[inline]
    pub(super) fn pop_input(&mut self) -> Option<Key> {
        if self.comes_other() || !self.early.is_empty() {
            return None;
        }
        let key = self.inputs.pop_front()?;
        self.told += 1;
        Some(key)
    }

    /// Whether something comes next that is no input.
    #[inline]
    fn comes_other(&self) -> bool {
        self.others.front().is_some_and(|(behind, _)| *behind == self.told)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.early.is_empty() && self.inputs.is_empty() && self.others.is_empty() && self.late.is_empty()
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

    #[test]
    fn all_is_told_in_the_order_in_which_it_came() {
        let mut answers = Answers::default();
        assert!(answers.is_empty() && answers.pop_input().is_none());
        answers.push_late(Completion::Closed(key(9)));
        answers.push_late(Completion::Input(key(10)));
        answers.push(Completion::Input(key(1)));
        answers.push(Completion::Closed(key(2)));
        answers.push(Completion::Closed(key(3)));
        answers.push_input(key(4));
        answers.push_input(key(5));
        answers.settle();
        answers.push_sent(SentWhole { key: key(6), len: 0, outgoing: Some(Box::default()) });
        answers.push_sent(SentWhole { key: key(7), len: 1, outgoing: None });
        assert_eq!(answers.pop_input(), None, "a send comes first");
        assert_eq!(next(&mut answers), Some(6));
        assert_eq!(answers.pop_input(), Some(key(1)));
        assert_eq!(answers.pop_input(), None, "a close comes next");
        assert_eq!([(); 2].map(|()| next(&mut answers)), [Some(2), Some(3)]);
        assert_eq!((answers.pop_input(), next(&mut answers)), (Some(key(4)), Some(-5)));
        assert_eq!([(); 3].map(|()| next(&mut answers)), [Some(9), Some(-10), None]);
        assert!(answers.is_empty());
    }
}
