//! A whole loop without a kernel.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::backend::Backend;
use crate::backend::memory::{Chunking, Clock, Delivery, Memory, Network, Peer};
use crate::choice::Choices;
use crate::endpoint::Endpoint;
use crate::error::RunError;
use crate::key::Key;
use crate::os_signal::SignalKind;
use crate::reactor::{Builder, Handle, Reactor};

/// After so many turns a pump gives up: something is always ready.
const TURNS: usize = 1_000_000;

/// A loop on the memory backend, driven by a test.
///
/// Time stands still until [`advance`](Self::advance) moves it, except within [`run`](Self::run). It is a plain
/// [`Reactor`] otherwise: the loop is the one that programs run on.
#[derive(Debug)]
pub struct MemoryReactor {
    reactor: Reactor,
    network: Network,
    clock: Clock,
    /// Names its backend's events in the network.
    inbox: Key,
}

impl MemoryReactor {
    /// A tame one: events come in order, bytes whole, and of rivals that are all ready (`select`, `race`) the first wins
    /// each time. [`seeded`](Self::seeded) gives them equal chances.
    #[must_use]
    pub fn new() -> Self {
        Self::with_choices(Choices::tame())
    }

    /// One whose chance follows from `seed`: the order of independent events, how bytes are cut, how much a send takes,
    /// which datagrams are lost, doubled or late.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        let memory = Self::with_choices(Choices::seeded(seed));
        memory.network.set_chunking(Chunking::Chosen);
        memory.network.set_delivery(Delivery::Chosen);
        memory
    }

    /// One whose decisions come from these choices.
    #[must_use]
    pub fn with_choices(choices: Choices) -> Self {
        Self::on(&Network::new(choices), &Clock::new())
    }

    /// One on a network and a clock that others use too: another host, or another loop of the same.
    #[must_use]
    pub fn on(network: &Network, clock: &Clock) -> Self {
        Self::wrapped(network, clock, |memory| memory)
    }

    /// As [`on`](Self::on), with a backend of the test's own around the memory backend: one that makes
    /// operations fail, or looks on.
    #[must_use]
    pub fn wrapped<B: Backend + 'static>(
        network: &Network,
        clock: &Clock,
        wrap: impl FnOnce(Memory) -> B,
    ) -> Self {
        clock.set_automatic(false);
        let memory = Memory::new(network, clock);
        let inbox = memory.inbox();
        let reactor = Builder::new().build_on(Box::new(wrap(memory)));
        Self { reactor, network: network.clone(), clock: clock.clone(), inbox }
    }

    /// The loop.
    #[must_use]
    pub fn reactor(&self) -> &Reactor {
        &self.reactor
    }

    /// Its handle.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.reactor.handle()
    }

    /// The network: chunking, capacities, scripted listeners, hosts.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Connects a scripted peer to a listener of the loop.
    ///
    /// # Errors
    ///
    /// If the address is not one, or nobody listens there.
    pub fn connect(&self, address: impl AsRef<str>) -> io::Result<Peer> {
        let address = address.as_ref();
        let invalid =
            |error: Box<dyn Error + Send + Sync>| io::Error::new(io::ErrorKind::InvalidInput, error);
        if let Ok(endpoint) = address.parse::<Endpoint>() {
            let target = endpoint.target().literal().ok_or_else(|| invalid("not an address".into()))?;
            return self.network.connect(target);
        }
        let parsed = address.parse::<SocketAddr>();
        self.network.connect(parsed.map_err(|error| invalid(error.into()))?)
    }

    /// Lets a signal come to this loop: whether it watches it.
    #[allow(clippy::must_use_candidate)]
    pub fn raise(&self, signal: SignalKind) -> bool {
        self.network.raise_for(self.inbox, signal)
    }

    /// Makes one turn, without waiting. The clock stands still.
    pub fn turn(&self) {
        // The only errors are misuse: a turn within a turn, or after a shutdown, does nothing.
        drop(self.reactor.turn(Some(Duration::ZERO)));
    }

    /// Whether something can happen in this loop without the clock moving. A blocking job that is under way counts.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        !self.handle().is_over() && (self.can_turn() || self.handle().shell().helpers_busy())
    }

    fn can_turn(&self) -> bool {
        self.reactor.has_ready() || self.network.pending_for(self.inbox)
    }

    /// Makes turns until nothing more happens without the clock moving: whether that point was reached (a task that is
    /// always ready never reaches it). Blocking jobs that are under way are waited for. Other loops on the same network are
    /// not turned.
    pub fn pump(&self) -> bool {
        for _ in 0..TURNS {
            if !self.is_busy() {
                return true;
            }
            // With nothing else to do the end of a job is waited for, and for that alone: the clock stands still.
            let limit = if self.can_turn() { Some(Duration::ZERO) } else { None };
            drop(self.reactor.turn(limit));
        }
        false
    }

    /// Moves the clock on by `time`, from deadline to deadline, pumping at each: what is set meanwhile and
    /// due meanwhile runs at its time.
    pub fn advance(&self, time: Duration) {
        let target = self.clock.now() + time;
        self.pump();
        while let Some(next) = self.reactor.next_deadline().filter(|next| *next <= target) {
            if !self.step_to(next) {
                return;
            }
        }
        self.clock.advance(target - self.clock.now());
        self.pump();
    }

    /// Whether the loop settled.
    fn step_to(&self, moment: crate::Instant) -> bool {
        self.clock.advance(moment - self.clock.now());
        self.turn();
        self.pump()
    }

    /// Runs as a program does, until the loop stops or nothing is left: whenever nothing else can happen, the clock
    /// jumps to the next deadline.
    ///
    /// # Errors
    ///
    /// As [`Reactor::run`].
    pub fn run(&self) -> Result<(), RunError> {
        self.clock.set_automatic(true);
        let outcome = self.reactor.run();
        self.clock.set_automatic(false);
        outcome
    }
}

impl Default for MemoryReactor {
    fn default() -> Self {
        Self::new()
    }
}
