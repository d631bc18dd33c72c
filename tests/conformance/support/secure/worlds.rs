//! The worlds in which TLS is tested.

use marline_tests::backends::has_completion;

use super::super::kind::Kind;
use super::super::place::Place;
use super::super::world::World;

impl World {
    /// More than a record, and more than a pipe or a terminal takes at once.
    const AT_A_PLACE: usize = 100 * 1024;

    pub fn on_readiness_at(place: Place, test: impl Fn(&World)) {
        test(&Self::new(Kind::Readiness, Self::AT_A_PLACE).at(place));
    }

    pub fn on_completion_at(place: Place, test: impl Fn(&World)) {
        if has_completion() {
            test(&Self::new(Kind::Completion, Self::AT_A_PLACE).at(place));
        }
    }

    pub fn on_memory_at(place: Place, test: impl Fn(&World)) {
        test(&Self::new(Kind::Memory, Self::AT_A_PLACE).at(place));
    }

    pub fn on_single_bytes_at(place: Place, test: impl Fn(&World)) {
        test(&Self::new(Kind::SingleBytes, 2 * 1024).at(place));
    }
}
