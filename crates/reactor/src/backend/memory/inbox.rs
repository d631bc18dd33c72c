//! The events of one backend: which come in this turn, in which order, and which in the next.

use std::collections::VecDeque;

use crate::backend::Completion;
use crate::choice::{ChoiceKind, Choices};
use crate::key::Key;

/// What a backend has to tell its loop.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    /// What the turn under way still hands out.
    turn: VecDeque<Completion>,
    /// What came since it began. It waits for the next turn, so that every turn ends.
    arrived: VecDeque<Completion>,
    /// The rest of this turn was postponed.
    over: bool,
    /// The rest of the turn before was postponed; this one is not, so that nothing waits for ever.
    held: bool,
    /// This turn has not been asked yet whether an event without a cause ends it.
    spurious: bool,
}

impl Inbox {
    pub(super) fn push(&mut self, completion: Completion) {
        self.arrived.push_back(completion);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.turn.is_empty() && self.arrived.is_empty()
    }

    /// Begins a turn with everything that is here.
    pub(super) fn begin(&mut self) {
        self.held = self.over;
        self.over = false;
        self.turn.append(&mut self.arrived);
        self.spurious = !self.turn.is_empty();
    }

    /// The next event of this turn.
    pub(super) fn next(&mut self, choices: &Choices) -> Option<Completion> {
        if self.over || self.turn.is_empty() {
            return None;
        }
        let chosen = choices.choose(ChoiceKind::Event, self.turn.len());
        let completion = self.turn.remove(self.allowed(chosen));
        if !self.held && !self.turn.is_empty() {
            self.over = choices.choose(ChoiceKind::Postpone, 2) == 1;
        }
        completion
    }

    /// The event at `chosen`, or one that the contract wants before it: a connection's `Connected` comes before
    /// everything else of it, its `Closed` after.
    fn allowed(&self, chosen: usize) -> usize {
        let event = &self.turn[chosen];
        let last = matches!(event, Completion::Closed(_));
        let mut before = self.turn.iter().take(chosen);
        let sooner = before.position(|other| {
            key_of(other) == key_of(event) && (last || matches!(other, Completion::Connected(..)))
        });
        sooner.unwrap_or(chosen)
    }

    /// Whether to draw for an event without a cause now: once in each turn that had events with one.
    pub(super) fn take_spurious(&mut self) -> bool {
        std::mem::take(&mut self.spurious)
    }

    /// Takes out the notices about `key`; answers to its operations stay. Tells whether there are such answers.
    pub(super) fn forget(&mut self, key: Key) -> bool {
        let mut answers = false;
        let mut stays = |completion: &Completion| {
            let notice = matches!(
                completion,
                Completion::Input(_)
                    | Completion::Output(_)
                    | Completion::PeerClosed { .. }
                    | Completion::Ready { .. }
            );
            let about = key_of(completion) == key;
            answers |= about && !notice;
            !(about && notice)
        };
        self.turn.retain(&mut stays);
        self.arrived.retain(&mut stays);
        answers
    }
}

fn key_of(completion: &Completion) -> Key {
    match completion {
        Completion::Input(key)
        | Completion::Output(key)
        | Completion::Sent(key, _)
        | Completion::Connected(key, _)
        | Completion::Shut(key, _)
        | Completion::AcceptsNoMore(key)
        | Completion::Closed(key)
        | Completion::PeerClosed { key, .. }
        | Completion::Ready { key, .. } => *key,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(index: u32) -> Key {
        Key::new(index, 1)
    }

    fn turn(inbox: &mut Inbox, choices: &Choices) -> Vec<usize> {
        inbox.begin();
        let events = std::iter::from_fn(|| inbox.next(choices));
        events.map(|event| key_of(&event).index()).collect()
    }

    fn inbox() -> Inbox {
        let mut inbox = Inbox::default();
        (0..3).for_each(|index| inbox.push(Completion::Input(key(index))));
        inbox
    }

    #[test]
    fn the_tame_order_is_the_order_of_arrival() {
        assert_eq!(turn(&mut inbox(), &Choices::tame()), [0, 1, 2]);
    }

    #[test]
    fn a_choice_picks_among_the_pending_events() {
        assert_eq!(turn(&mut inbox(), &Choices::script([2, 0, 1])), [2, 1, 0]);
    }

    #[test]
    fn a_postponed_event_comes_in_the_next_turn_and_is_not_postponed_twice() {
        let mut inbox = inbox();
        let choices = Choices::script([0, 1, 1, 1]);
        assert_eq!(turn(&mut inbox, &choices), [0]);
        assert!(!inbox.is_empty());
        assert_eq!(turn(&mut inbox, &choices), [2, 1]);
        assert!(inbox.is_empty());
    }

    #[test]
    fn what_arrives_during_a_turn_is_for_the_next() {
        let mut inbox = inbox();
        inbox.begin();
        inbox.push(Completion::Input(key(7)));
        let tame = Choices::tame();
        assert_eq!(std::iter::from_fn(|| inbox.next(&tame)).count(), 3);
        assert_eq!(turn(&mut inbox, &tame), [7]);
    }

    #[test]
    fn connected_comes_first_and_closed_last_whatever_is_chosen() {
        for seed in 0..100 {
            let mut inbox = Inbox::default();
            inbox.push(Completion::Connected(key(1), Ok(())));
            inbox.push(Completion::Input(key(1)));
            inbox.push(Completion::Input(key(2)));
            inbox.push(Completion::Closed(key(1)));
            let mut events = Vec::new();
            let choices = Choices::seeded(seed);
            while !inbox.is_empty() {
                inbox.begin();
                events.extend(std::iter::from_fn(|| inbox.next(&choices)));
            }
            events.retain(|event| key_of(event) == key(1));
            assert!(matches!(events[0], Completion::Connected(..)));
            assert!(matches!(events[2], Completion::Closed(_)));
        }
    }
}
