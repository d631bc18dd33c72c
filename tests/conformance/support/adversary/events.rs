//! Completions on their way to the loop.

use marline_reactor::backend::Completion;
use marline_reactor::{ChoiceKind, Choices, Key};

struct Event {
    completion: Completion,
    /// How many more waits it is held back over.
    turns: usize,
    /// It is kept, without a limit, until the loop wakes up or asks for it.
    quiet: bool,
}

/// What was not told yet, in the order in which it happened.
#[derive(Default)]
pub struct Events {
    waiting: Vec<Event>,
}

impl Events {
    /// Adds one that is held back for `turns`, and for as long as what has to come first.
    pub fn push(&mut self, completion: Completion, turns: usize) {
        if let Completion::Input(key) = completion {
            if self.has_input(key) {
                // An edge that was not told yet covers this one.
                return;
            }
        }
        let before = self.waiting.iter().filter(|event| precedes(&event.completion, &completion));
        let turns = before.map(|event| event.turns).max().unwrap_or(0).max(turns);
        self.waiting.push(Event { completion, turns, quiet: false });
    }

    pub fn keep_quiet(&mut self, completion: Completion) {
        self.waiting.push(Event { completion, turns: 0, quiet: true });
    }

    /// The loop waits for the answer to a send of `key`.
    pub fn expedite(&mut self, key: Key) {
        self.waiting.iter_mut().filter(|event| is_about(event, key)).for_each(|event| event.quiet = false);
    }

    /// A wait is over.
    pub fn pass_turn(&mut self) {
        for event in &mut self.waiting {
            event.turns = event.turns.saturating_sub(1);
            event.quiet = false;
        }
    }

    /// Whether there is something that no wait may sleep over.
    pub fn are_urgent(&self) -> bool {
        self.waiting.iter().any(|event| !event.quiet)
    }

    pub fn has_input(&self, key: Key) -> bool {
        self.waiting.iter().any(|event| matches!(event.completion, Completion::Input(other) if other == key))
    }

    /// Whether an operation of `key` was not answered yet.
    pub fn has_answer(&self, key: Key) -> bool {
        let is_answer = |event: &Event| {
            !matches!(
                event.completion,
                Completion::Input(_)
                    | Completion::Output(_)
                    | Completion::PeerClosed { .. }
                    | Completion::Ready { .. }
            )
        };
        self.waiting.iter().any(|event| is_about(event, key) && is_answer(event))
    }

    /// Nothing of `key` is told any more.
    pub fn forget(&mut self, key: Key) {
        self.waiting.retain(|event| !is_about(event, key));
    }

    /// One of those that are due, as chance has it; 0 is the oldest.
    pub fn take(&mut self, choices: &Choices) -> Option<Completion> {
        let due = |event: &Event| event.turns == 0 && !event.quiet;
        let count = self.waiting.iter().filter(|event| due(event)).count();
        if count == 0 {
            return None;
        }
        let chosen = choices.choose(ChoiceKind::Event, count);
        let mut places = self.waiting.iter().enumerate().filter(|(_, event)| due(event));
        let mut place = places.nth(chosen)?.0;
        // What has to come first is due as well.
        while let Some(first) = self.first_before(place) {
            place = first;
        }
        Some(self.waiting.remove(place).completion)
    }

    fn first_before(&self, place: usize) -> Option<usize> {
        let completion = &self.waiting[place].completion;
        self.waiting[..place].iter().position(|event| precedes(&event.completion, completion))
    }
}

fn is_about(event: &Event, key: Key) -> bool {
    key_of(&event.completion) == Some(key)
}

fn key_of(completion: &Completion) -> Option<Key> {
    match completion {
        Completion::Input(key)
        | Completion::Output(key)
        | Completion::Sent(key, _)
        | Completion::Connected(key, _)
        | Completion::Shut(key, _)
        | Completion::Closed(key)
        | Completion::PeerClosed { key, .. }
        | Completion::Ready { key, .. } => Some(*key),
        _ => None,
    }
}

/// Whether the contract lets `later` be told only after `earlier`.
fn precedes(earlier: &Completion, later: &Completion) -> bool {
    let one_key = key_of(earlier) == key_of(later);
    let in_order = matches!(earlier, Completion::Connected(..))
        || matches!(later, Completion::Closed(_))
        || matches!((earlier, later), (Completion::Ready { .. }, Completion::Ready { .. }));
    one_key && in_order
}
