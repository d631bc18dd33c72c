//! Every decision that chance takes, drawn from one stream of numbers.
//!
//! What is nondeterministic in a run (which of the pending events comes next, how many bytes arrive, where a
//! fair `select` begins) is asked from [`Choices`] as "a number below `n`", where 0 is the tame answer. A
//! script, a seed and a replay are then the same thing: other sources of the same numbers. Nothing that
//! the loop promises about order is ever asked.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::rc::Rc;

/// What a number is drawn for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChoiceKind {
    /// Which of the pending events comes next; 0 is the oldest.
    Event,
    /// Whether, or for how long, an event or an operation waits for later turns; 0 is not.
    Postpone,
    /// How many of the bytes that are there a receive gets; 0 is all.
    ReceiveSize,
    /// How many of the bytes that fit a send takes; 0 is all.
    SendSize,
    /// Whether an event is announced for which nothing is there; 0 is no.
    Spurious,
    /// Which of the blocking jobs that have ended is delivered next; 0 is the one that ended first.
    Job,
    /// What becomes of a datagram on its way; 0 is that it arrives, once and in its place.
    Datagram,
    /// Which contender a fair choice (`select`, listeners on one port) tries first; 0 is the first.
    Fairness,
}

/// One choice that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// What it was taken for.
    pub kind: ChoiceKind,
    /// How many answers there were.
    pub among: usize,
    /// The answer, below `among`.
    pub taken: usize,
}

/// The stream of numbers that answers every choice of one run. Clones share the stream.
///
/// ```
/// use marline_reactor::{ChoiceKind, Choices};
///
/// let tame = Choices::tame();
/// assert_eq!(tame.choose(ChoiceKind::Event, 7), 0);
///
/// let first = Choices::seeded(42).recorded();
/// let numbers: Vec<_> = (0..9).map(|_| first.choose(ChoiceKind::Event, 7)).collect();
/// let replay = Choices::script(first.log().iter().map(|choice| choice.taken));
/// assert_eq!(numbers, (0..9).map(|_| replay.choose(ChoiceKind::Event, 7)).collect::<Vec<_>>());
/// ```
#[derive(Clone, Debug)]
pub struct Choices {
    shared: Rc<RefCell<Stream>>,
}

#[derive(Debug)]
struct Stream {
    source: Source,
    log: Option<Vec<Choice>>,
}

#[derive(Debug)]
enum Source {
    Tame,
    Seeded(u64),
    Script(VecDeque<usize>),
}

/// As in programs: [`Choices::random`].
impl Default for Choices {
    fn default() -> Self {
        Self::random()
    }
}

impl Choices {
    /// Answers 0 to everything.
    #[must_use]
    pub fn tame() -> Self {
        Self::from(Source::Tame)
    }

    /// Answers with the pseudo-random numbers that follow from `seed`.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self::from(Source::Seeded(seed))
    }

    /// Answers with other pseudo-random numbers in every process.
    #[must_use]
    pub fn random() -> Self {
        Self::seeded(RandomState::new().build_hasher().finish())
    }

    /// Answers with these numbers, in order (taken modulo the number of answers), and with 0 after the last.
    #[must_use]
    pub fn script(numbers: impl IntoIterator<Item = usize>) -> Self {
        Self::from(Source::Script(numbers.into_iter().collect()))
    }

    /// The same stream, which from now on keeps a log of what it answered.
    #[must_use]
    pub fn recorded(self) -> Self {
        self.shared.borrow_mut().log.get_or_insert_default();
        self
    }

    /// What was chosen so far; empty if the stream is not [`recorded`](Self::recorded).
    #[must_use]
    pub fn log(&self) -> Vec<Choice> {
        self.shared.borrow().log.clone().unwrap_or_default()
    }

    /// Takes the next choice: a number below `among`. There is nothing to choose among none or one: that
    /// answers 0 and draws nothing.
    #[must_use]
    pub fn choose(&self, kind: ChoiceKind, among: usize) -> usize {
        if among <= 1 {
            return 0;
        }
        let mut stream = self.shared.borrow_mut();
        let taken = stream.source.next() % among;
        if let Some(log) = &mut stream.log {
            log.push(Choice { kind, among, taken });
        }
        taken
    }
}

impl From<Source> for Choices {
    fn from(source: Source) -> Self {
        Self { shared: Rc::new(RefCell::new(Stream { source, log: None })) }
    }
}

impl Source {
    fn next(&mut self) -> usize {
        match self {
            Self::Tame => 0,
            Self::Seeded(state) => split_mix(state),
            Self::Script(numbers) => numbers.pop_front().unwrap_or(0),
        }
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014): one addition and a mix, good enough for every seed, zero included.
#[allow(clippy::cast_possible_truncation)]
fn split_mix(state: &mut u64) -> usize {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (z ^ (z >> 31)) as usize
}
