//! The worlds that tests run in.

use marline_tests::backends::has_completion;

use super::kind::{Kind, seeds};
use super::place::Place;
use super::world::World;

const SEEDS: u64 = 16;
const ADVERSE_SEEDS: u64 = 4;

/// Each runs the test in one.
impl World {
    pub fn on_readiness(test: impl Fn(&World)) {
        test(&Self::new(Kind::Readiness, 4 * 1024));
    }

    pub fn on_readiness_with_megabytes(test: impl Fn(&World)) {
        test(&Self::new(Kind::Readiness, 3 * 1024 * 1024));
    }

    pub fn on_completion(test: impl Fn(&World)) {
        if has_completion() {
            test(&Self::new(Kind::Completion, 4 * 1024));
        }
    }

    pub fn on_completion_with_megabytes(test: impl Fn(&World)) {
        if has_completion() {
            test(&Self::new(Kind::Completion, 3 * 1024 * 1024));
        }
    }

    pub fn on_readiness_over_unix(test: impl Fn(&World)) {
        Self::over_unix(Kind::Readiness, test);
    }

    pub fn on_completion_over_unix(test: impl Fn(&World)) {
        if has_completion() {
            Self::over_unix(Kind::Completion, test);
        }
    }

    /// More than the system takes at once, as often as there are ways to be a UNIX socket.
    fn over_unix(kind: Kind, test: impl Fn(&World)) {
        for place in [Place::Unix, Place::Carrying] {
            println!("{place:?}");
            test(&Self::new(kind, 300 * 1024).at(place));
        }
    }

    // With filters on our ends that change nothing.

    pub fn on_readiness_through_filters(test: impl Fn(&World)) {
        test(&Self::new(Kind::Readiness, 300 * 1024).at(Place::Filtered));
    }

    pub fn on_completion_through_filters(test: impl Fn(&World)) {
        if has_completion() {
            test(&Self::new(Kind::Completion, 300 * 1024).at(Place::Filtered));
        }
    }

    pub fn on_memory_through_filters(test: impl Fn(&World)) {
        test(&Self::new(Kind::Memory, 300 * 1024).at(Place::Filtered));
    }

    pub fn on_adversary_through_filters(test: impl Fn(&World)) {
        for seed in seeds(ADVERSE_SEEDS) {
            println!("seed {seed}");
            test(&Self::new(Kind::AdversarialMemory(seed), 16 * 1024).at(Place::Filtered));
        }
    }

    // With TLS on both ends, for tests that know nothing of it.

    pub fn on_readiness_over_tls(test: impl Fn(&World)) {
        test(&Self::new(Kind::Readiness, 300 * 1024).at(Place::Tls));
    }

    pub fn on_completion_over_tls(test: impl Fn(&World)) {
        if has_completion() {
            test(&Self::new(Kind::Completion, 300 * 1024).at(Place::Tls));
        }
    }

    pub fn on_memory_over_tls(test: impl Fn(&World)) {
        test(&Self::new(Kind::Memory, 100 * 1024).at(Place::Tls));
    }

    pub fn on_memory(test: impl Fn(&World)) {
        test(&Self::new(Kind::Memory, 4 * 1024));
    }

    pub fn on_memory_with_megabytes(test: impl Fn(&World)) {
        test(&Self::new(Kind::Memory, 3 * 1024 * 1024));
    }

    pub fn on_memory_with_single_bytes(test: impl Fn(&World)) {
        test(&Self::new(Kind::SingleBytes, 2 * 1024));
    }

    pub fn on_seeded_memory(test: impl Fn(&World)) {
        for seed in seeds(SEEDS) {
            println!("seed {seed}");
            test(&Self::new(Kind::Seeded(seed), 16 * 1024));
        }
    }

    pub fn on_adversary(test: impl Fn(&World)) {
        for seed in seeds(ADVERSE_SEEDS) {
            println!("seed {seed}");
            test(&Self::new(Kind::Adversarial(seed), 16 * 1024));
        }
    }

    pub fn on_adversary_over_memory(test: impl Fn(&World)) {
        for seed in seeds(ADVERSE_SEEDS) {
            println!("seed {seed}");
            test(&Self::new(Kind::AdversarialMemory(seed), 16 * 1024));
        }
    }

    /// For tests that end the loop themselves.
    pub fn owned_on_readiness(test: impl Fn(World)) {
        test(Self::new(Kind::Readiness, 4 * 1024));
    }

    pub fn owned_on_completion(test: impl Fn(World)) {
        if has_completion() {
            test(Self::new(Kind::Completion, 4 * 1024));
        }
    }

    pub fn owned_on_memory(test: impl Fn(World)) {
        test(Self::new(Kind::Memory, 4 * 1024));
    }

    /// One of each, tame, for tests that end their loop.
    pub fn each() -> Vec<World> {
        Kind::tame().iter().map(|kind| Self::new(*kind, 4 * 1024)).collect()
    }
}
