//! How a ring is made.

use std::time::Duration;

use super::bulk::{MOST, MUCH, NEVER};
use crate::patience::SHORT;

/// What a kernel may lack, so that it is done without. Masking one shows how a backend does without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Feature {
    /// Buffers that are filled a piece at a time (Linux 6.12). Without them each receive takes a whole buffer.
    IncrementalBuffers,
    /// A receive that ends after so many bytes (Linux 6.17). Without it a receive whose bytes nobody pulls is cancelled.
    Credit,
    /// A wait that gathers events for some microseconds (Linux 6.12). Without it a wait ends with the first event.
    Gathering,
    /// What there is no backend without. Masking it makes the construction fail as an old kernel does.
    Essentials,
}

/// How a [`Uring`](super::Uring) is made.
///
/// ```
/// use marline_reactor::backend::completion::{Feature, Options};
///
/// let frugal = Options::default().entries(64).without(Feature::Gathering);
/// match frugal.build() {
///     Ok(uring) => println!("{uring:?}"),
///     Err(error) => println!("not here: {error}"), // forbidden, too old, out of locked memory
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    pub(super) entries: u32,
    pub(super) gather: Duration,
    pub(super) hold: Duration,
    pub(super) bulk: usize,
    masked: Vec<Feature>,
}

impl Default for Options {
    /// 1 024 entries, and everything that the kernel has.
    fn default() -> Self {
        Self { entries: 1024, gather: Duration::from_micros(50), hold: SHORT, bulk: MUCH, masked: Vec::new() }
    }
}

impl Options {
    /// How many operations are submitted in one call at most: a power of two (it is rounded up), from 8 to 4 096. There is
    /// room for four times as many completions; the kernel keeps what does not fit.
    ///
    /// Rings are locked memory: about 100 bytes an entry.
    #[must_use]
    pub fn entries(mut self, entries: u32) -> Self {
        self.entries = entries.clamp(8, 4096).next_power_of_two();
        self
    }

    /// For how long a wait under load gathers events after the first one: 50 microseconds by default, of which the system
    /// makes some more. A loop does so only while some two hundred connections sent something of late that the ring received (no
    /// [bulk](Self::bulk)), and no longer than until as many bring something as in the best of the last waits. Zero turns it off.
    #[must_use]
    pub fn gather(mut self, time: Duration) -> Self {
        self.gather = time;
        self
    }

    /// For how long the sends of one turn wait to be submitted together: 50 microseconds by default. One call for all of them is
    /// what a ring is for; but where callbacks take long, as handshakes do, the peer of the first would wait for those of all
    /// others. That is looked at from time to time between events and callbacks, so it may be exceeded.
    #[must_use]
    pub fn hold(mut self, time: Duration) -> Self {
        self.hold = time;
        self
    }

    /// From how many bytes at a time on a connection is in *bulk*: 16 KiB by default, and 64 KiB at most. The ring then only
    /// tells that there is something, and it is received by a call, into the memory of whoever reads it. Zero does that with
    /// all connections, and `usize::MAX` with none.
    #[must_use]
    pub fn bulk(mut self, bytes: usize) -> Self {
        self.bulk = if bytes == usize::MAX { NEVER } else { bytes.min(MOST) };
        self
    }

    /// Does as if the kernel lacked `feature`.
    #[must_use]
    pub fn without(mut self, feature: Feature) -> Self {
        self.masked.push(feature);
        self
    }

    /// Makes the backend.
    ///
    /// # Errors
    ///
    /// As [`Uring::new`](super::Uring::new).
    pub fn build(&self) -> std::io::Result<super::Uring> {
        super::Uring::with(self)
    }

    pub(super) fn allows(&self, feature: Feature) -> bool {
        !self.masked.contains(&feature)
    }
}
