//! The kinds of worlds, and the one place where their backends are made.

use std::ops::Range;

use marline_reactor::Choices;
use marline_reactor::backend::Backend;
use marline_reactor::backend::completion::{Feature, Options};
use marline_reactor::backend::readiness::Readiness;
use marline_reactor::testing::{Chunking, Clock, MemoryReactor, Network};
use marline_tests::backends::has_completion;

use super::adversary::{self, Adversary, Temper};
use super::driver::Driver;
use super::faulty::{Faults, Faulty};
use super::names::{Names, Naming};

/// The seeds that a test runs under: the first `count`, unless `MARLINE_SEEDS` names others, as in `16..32`.
pub fn seeds(count: u64) -> Range<u64> {
    let Ok(named) = std::env::var("MARLINE_SEEDS") else { return 0..count };
    let ends = named.split_once("..").map(|(first, end)| (first.parse(), end.parse()));
    let Some((Ok(first), Ok(end))) = ends else { panic!("MARLINE_SEEDS is no range: {named}") };
    first..end
}

/// What a world is made of.
#[derive(Clone, Copy)]
pub enum Kind {
    /// Real sockets, and a multiplexer that tells of readiness.
    Readiness,
    /// Real sockets, and a ring of the kernel's.
    Completion,
    /// As `Readiness`, with a backend around it that does whatever it may, as the numbers that follow from a seed say.
    Adversarial(u64),
    /// As `Seeded`, with such a backend around it.
    AdversarialMemory(u64),
    /// No kernel, and nothing left to chance.
    Memory,
    /// As `Memory`, with everything cut into single bytes.
    SingleBytes,
    /// As `Memory`, with everything decided by the numbers that follow from a seed.
    Seeded(u64),
}

/// A loop, with whoever drives it.
pub enum Outside {
    /// On real sockets, whichever backend waits for them.
    Sockets(Driver),
    Memory(Box<MemoryReactor>),
}

/// What a test puts around a backend, of whatever type that is.
pub trait Wrap {
    type Around<B: Backend + 'static>: Backend + 'static;

    fn wrap<B: Backend + 'static>(self, backend: B) -> Self::Around<B>;
}

/// Nothing around the backend.
pub struct Bare;

impl Wrap for Bare {
    type Around<B: Backend + 'static> = B;

    fn wrap<B: Backend + 'static>(self, backend: B) -> B {
        backend
    }
}

/// The adversary around the backend.
struct Adverse {
    choices: Choices,
    temper: Temper,
}

impl Wrap for Adverse {
    type Around<B: Backend + 'static> = Adversary<B>;

    fn wrap<B: Backend + 'static>(self, backend: B) -> Adversary<B> {
        Adversary::new(backend, &self.choices, &self.temper)
    }
}

impl Wrap for &Faults {
    type Around<B: Backend + 'static> = Faulty<B>;

    fn wrap<B: Backend + 'static>(self, backend: B) -> Faulty<B> {
        Faulty::new(backend, self)
    }
}

impl Wrap for &Names {
    type Around<B: Backend + 'static> = Naming<B>;

    fn wrap<B: Backend + 'static>(self, backend: B) -> Naming<B> {
        Naming::new(backend, self)
    }
}

/// How rings are made. `MARLINE_RING` names what the whole suite is to do without, separated by commas.
fn ring() -> Options {
    let lacking = std::env::var("MARLINE_RING").unwrap_or_default();
    let words = lacking.split(',').filter(|word| !word.is_empty());
    words.fold(Options::default(), |options, word| match word {
        "incremental" => options.without(Feature::IncrementalBuffers),
        "credit" => options.without(Feature::Credit),
        "gathering" => options.without(Feature::Gathering),
        // Every connection is received by calls.
        "pool" => options.bulk(0),
        // Queues as short as can be.
        "entries" => options.entries(8),
        other => panic!("MARLINE_RING: what is {other:?}?"),
    })
}

impl Outside {
    /// Every kind's backend is made here, with `wrap` around it.
    pub fn new(kind: Kind, temper: &Temper, wrap: impl Wrap) -> Self {
        let readiness = || Readiness::new().expect("a readiness backend");
        let adverse = |choices| Adverse { choices, temper: temper.clone() };
        match kind {
            Kind::Readiness => Self::on_sockets(readiness(), wrap),
            Kind::Completion => Self::on_sockets(ring().build().expect("a completion backend"), wrap),
            Kind::Adversarial(seed) => {
                let adverse = adverse(Choices::seeded(seed));
                Self::on_sockets(adverse.wrap(readiness()), wrap)
            }
            Kind::Memory | Kind::SingleBytes | Kind::Seeded(_) => {
                Self::on_memory(&kind.network(), Bare, wrap)
            }
            Kind::AdversarialMemory(_) => {
                let network = kind.network();
                // Nothing but an event ends a sleep here, and a test without one has come to its end.
                temper.keep_nothing_quiet();
                Self::on_memory(&network, adverse(network.choices()), wrap)
            }
        }
    }

    fn on_sockets(backend: impl Backend + 'static, wrap: impl Wrap) -> Self {
        Self::Sockets(Driver::new(wrap.wrap(backend)))
    }

    fn on_memory(network: &Network, inner: impl Wrap, outer: impl Wrap) -> Self {
        let wrap = |memory| outer.wrap(inner.wrap(memory));
        Self::Memory(Box::new(MemoryReactor::wrapped(network, &Clock::new(), wrap)))
    }
}

impl Kind {
    /// One of each backend that can be had here, without chance.
    pub fn tame() -> Vec<Kind> {
        let all = [Self::Readiness, Self::Completion, Self::Memory];
        all.into_iter().filter(|kind| !kind.is_completion() || has_completion()).collect()
    }

    /// Whether the operations are the kernel's: submitted in a wait, and answered after it.
    pub fn is_completion(self) -> bool {
        matches!(self, Self::Completion)
    }

    /// For how many turns an event may be held back that the loop could have heard of.
    pub fn most_turns_late(self) -> usize {
        match self {
            // An announcement; and after it, once, the claim that there is nothing yet.
            Self::Adversarial(_) => 2 * (adversary::LONGEST + 1),
            // The wires below have their chance as well.
            Self::AdversarialMemory(_) => 2 * (adversary::LONGEST + 2),
            Self::Seeded(_) => 1,
            Self::Readiness | Self::Completion | Self::Memory | Self::SingleBytes => 0,
        }
    }

    /// Whether chance decides the order of events, and how bytes are cut.
    pub fn is_seeded(self) -> bool {
        matches!(self, Self::Seeded(_)) || self.is_adversarial()
    }

    /// Whether the backend does whatever it may.
    pub fn is_adversarial(self) -> bool {
        matches!(self, Self::Adversarial(_) | Self::AdversarialMemory(_))
    }

    /// The wires of a world without a kernel.
    fn network(self) -> Network {
        let (choices, chunking) = match self {
            Self::SingleBytes => (Choices::tame(), Chunking::Fixed(1)),
            Self::Seeded(seed) | Self::AdversarialMemory(seed) => (Choices::seeded(seed), Chunking::Chosen),
            _ => (Choices::tame(), Chunking::Joined),
        };
        let network = Network::new(choices);
        network.set_chunking(chunking);
        network
    }
}
