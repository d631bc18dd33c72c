//! Who makes the turns of a loop on real sockets: the test, or a foreign loop that has ours as its guest.

use std::rc::Rc;
use std::time::Duration;

use marline_reactor::backend::Backend;
use marline_reactor::{Instant, Reactor, RunError, Turned};
use marline_tests::PATIENCE;

use super::faulty::{Faults, Faulty};
use super::guest::{self, Host, Turns};

/// After so long a turn leaves the rest to the next one.
const BUDGET: Duration = Duration::from_millis(10);

/// A loop, and who drives it.
pub struct Driver {
    turns: Rc<Turns>,
    host: Option<Box<dyn Host>>,
    /// What the loop's backend is asked for, if a host drives it.
    watch: Faults,
}

impl Driver {
    /// A loop that is driven by the host that `MARLINE_GUEST` names, or else by the test.
    pub fn new(backend: impl Backend + 'static) -> Self {
        let (host, watch) = (guest::chosen(), Faults::new());
        let reactor = match host {
            Some(_) => Reactor::with_backend(Faulty::new(backend, &watch)),
            None => Reactor::with_backend(backend),
        };
        let turns = Turns::of(reactor.expect("a loop"));
        if host.is_some() {
            // As hosts do: what the descriptor costs is no part of what a test counts.
            _ = turns.descriptor();
        }
        Self { turns, host, watch }
    }

    pub fn reactor(&self) -> &Reactor {
        self.turns.reactor()
    }

    pub fn is_guest(&self) -> bool {
        self.host.is_some()
    }

    /// Lets the loop, or its host, wait for at most `limit` until there is something to do, and do it.
    pub fn wait(&self, limit: Duration) {
        match &self.host {
            // A limit that is over lets nothing happen; a turn of ours looks all the same.
            Some(host) if limit.is_zero() => host.turn(&self.turns),
            Some(host) => host.wait(&self.turns, limit),
            None => drop(self.reactor().turn(Some(limit))),
        }
    }

    /// Makes one turn, without waiting: whether its time was enough, or nothing was left over.
    pub fn turn(&self) -> bool {
        let begun = std::time::Instant::now();
        match &self.host {
            Some(host) => host.turn(&self.turns),
            None => drop(self.reactor().turn(Some(Duration::ZERO)).expect("a turn")),
        }
        begun.elapsed() < BUDGET || !self.reactor().has_ready()
    }

    /// Makes one turn, which waits for an event.
    pub fn turn_with_event(&self) {
        match &self.host {
            Some(host) => host.wait(&self.turns, PATIENCE),
            None => drop(self.reactor().turn(Some(PATIENCE)).expect("a turn")),
        }
    }

    /// Runs the loop until it stops by itself.
    pub fn run(&self) -> Result<(), RunError> {
        match &self.host {
            Some(host) => host.run(&self.turns),
            None => self.reactor().run(),
        }
    }
}

impl Drop for Driver {
    /// Under a host all turns were the host's, and none of them slept.
    fn drop(&mut self) {
        if self.host.is_some() && !std::thread::panicking() {
            assert_eq!(self.reactor().handle().stats().turns, self.turns.count(), "turns that no host made");
            let waits = self.watch.waits();
            assert!(waits.iter().all(|until| *until == Some(Instant::ZERO)), "a turn slept: {waits:?}");
        }
    }
}

/// Whether `run` would return.
pub fn is_end(turned: &Result<Turned, RunError>) -> bool {
    !matches!(turned, Ok(Turned::GoesOn))
}
