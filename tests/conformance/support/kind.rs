//! The kinds of worlds, and the one place where their backends are made.

use marline_reactor::Choices;
use marline_reactor::backend::Backend;
use marline_reactor::backend::completion::Uring;
use marline_reactor::backend::readiness::Readiness;
use marline_reactor::testing::{Chunking, Clock, MemoryReactor, Network};
use marline_tests::backends::has_completion;

use super::driver::Driver;
use super::faulty::{Faults, Faulty};
use super::names::{Names, Naming};

/// What a world is made of.
#[derive(Clone, Copy)]
pub enum Kind {
    /// Real sockets, and a multiplexer that tells of readiness.
    Readiness,
    /// Real sockets, and a ring of the kernel's.
    Completion,
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

impl Outside {
    /// Every kind's backend is made here, with `wrap` around it.
    pub fn new(kind: Kind, wrap: impl Wrap) -> Self {
        match kind {
            Kind::Readiness => Self::on_sockets(Readiness::new().expect("a readiness backend"), wrap),
            Kind::Completion => Self::on_sockets(Uring::new().expect("a completion backend"), wrap),
            Kind::Memory | Kind::SingleBytes | Kind::Seeded(_) => Self::on_memory(&kind.network(), wrap),
        }
    }

    fn on_sockets(backend: impl Backend + 'static, wrap: impl Wrap) -> Self {
        Self::Sockets(Driver::new(wrap.wrap(backend)))
    }

    fn on_memory(network: &Network, wrap: impl Wrap) -> Self {
        Self::Memory(Box::new(MemoryReactor::wrapped(network, &Clock::new(), |memory| wrap.wrap(memory))))
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

    /// The wires of a world without a kernel.
    fn network(self) -> Network {
        let (choices, chunking) = match self {
            Self::SingleBytes => (Choices::tame(), Chunking::Fixed(1)),
            Self::Seeded(seed) => (Choices::seeded(seed), Chunking::Chosen),
            _ => (Choices::tame(), Chunking::Joined),
        };
        let network = Network::new(choices);
        network.set_chunking(chunking);
        network
    }
}
