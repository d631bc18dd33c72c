//! A loop on one of the backends, and the outside of it.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use marline_reactor::testing::{Chunking, Clock, MemoryReactor, Network};
use marline_reactor::{Addresses, Choices, Handle, Protocol, Reactor, Server, Transport};

use super::raw::{Raw, RawListener};

/// How long a test waits, in real time, for something that has to happen.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the loop of a test on real sockets has to be quiet to count as settled.
const QUIET: Duration = Duration::from_millis(30);
const SEEDS: u64 = 16;

/// A loop, and the means to act on it from outside.
pub struct World {
    outside: Outside,
    payload: usize,
}

enum Outside {
    Readiness(Reactor),
    Memory(Box<MemoryReactor>),
}

/// Says on standard output that a test does not apply, and why.
pub fn skip(reason: &str) {
    println!("skipped: {reason}");
}

impl World {
    // The worlds. Each runs the test in one.

    pub fn on_readiness(test: impl Fn(&World)) {
        test(&Self::readiness(4 * 1024));
    }

    pub fn on_readiness_with_megabytes(test: impl Fn(&World)) {
        test(&Self::readiness(3 * 1024 * 1024));
    }

    pub fn on_memory(test: impl Fn(&World)) {
        test(&Self::memory(MemoryReactor::new(), 4 * 1024));
    }

    pub fn on_memory_with_megabytes(test: impl Fn(&World)) {
        test(&Self::memory(MemoryReactor::new(), 3 * 1024 * 1024));
    }

    pub fn on_memory_with_single_bytes(test: impl Fn(&World)) {
        let memory = MemoryReactor::new();
        memory.network().set_chunking(Chunking::Fixed(1));
        test(&Self::memory(memory, 2 * 1024));
    }

    pub fn on_seeded_memory(test: impl Fn(&World)) {
        for seed in 0..SEEDS {
            println!("seed {seed}");
            let choices = Choices::seeded(seed);
            let memory = MemoryReactor::on(&Network::new(choices), &Clock::new());
            memory.network().set_chunking(Chunking::Chosen);
            test(&Self::memory(memory, 16 * 1024));
        }
    }

    /// For tests that end the loop themselves.
    pub fn owned_on_readiness(test: impl Fn(World)) {
        test(Self::readiness(4 * 1024));
    }

    pub fn owned_on_memory(test: impl Fn(World)) {
        test(Self::memory(MemoryReactor::new(), 4 * 1024));
    }

    fn readiness(payload: usize) -> Self {
        let backend = marline_reactor::backend::readiness::Readiness::new().expect("a readiness backend");
        let reactor = Reactor::with_backend(backend).expect("a loop");
        Self { outside: Outside::Readiness(reactor), payload }
    }

    fn memory(memory: MemoryReactor, payload: usize) -> Self {
        Self { outside: Outside::Memory(Box::new(memory)), payload }
    }

    // What the world is.

    /// The memory loop, on memory.
    pub fn as_memory(&self) -> Option<&MemoryReactor> {
        match &self.outside {
            Outside::Readiness(_) => None,
            Outside::Memory(memory) => Some(memory),
        }
    }

    pub fn is_memory(&self) -> bool {
        self.as_memory().is_some()
    }

    pub fn reactor(&self) -> &Reactor {
        match &self.outside {
            Outside::Readiness(reactor) => reactor,
            Outside::Memory(memory) => memory.reactor(),
        }
    }

    pub fn handle(&self) -> Handle {
        self.reactor().handle()
    }

    /// Bytes to send: a pattern that repeats nowhere soon, as many as suit this world.
    pub fn payload(&self) -> Vec<u8> {
        pattern(self.payload)
    }

    /// Open listeners and connections of the loop: descriptors on real sockets.
    pub fn open_sockets(&self) -> usize {
        match &self.outside {
            // Every slot of the loop's is one descriptor here; the process's own count is looked at in `tests/descriptors`.
            Outside::Readiness(reactor) => reactor.handle().stats().connections,
            Outside::Memory(memory) => memory.network().sockets(),
        }
    }

    // Listening and connecting.

    /// Listens on a free port of the loopback.
    pub fn listen<P: Protocol>(&self, mut factory: impl FnMut(&Addresses) -> P + 'static) -> Server {
        self.handle()
            .listen("tcp://127.0.0.1:0", move |addresses: &Addresses| factory(addresses))
            .expect("a listener")
    }

    /// A far end that connects to a listener of the loop.
    pub fn connect_raw(&self, server: &Server) -> Raw {
        self.connect_raw_to(address_of(server))
    }

    pub fn connect_raw_to(&self, address: SocketAddr) -> Raw {
        match &self.outside {
            Outside::Readiness(_) => Raw::connect_socket(address),
            Outside::Memory(memory) => Raw::from_peer(memory.network().connect(address).expect("a peer")),
        }
    }

    /// A far end that listens.
    pub fn listen_raw(&self) -> RawListener {
        match &self.outside {
            Outside::Readiness(_) => RawListener::socket(),
            Outside::Memory(memory) => {
                let any = SocketAddr::from(([127, 0, 0, 1], 0));
                RawListener::from_peer(memory.network().listen(any).expect("a scripted listener"))
            }
        }
    }

    /// A connection: our end's transport with `protocol` on it, made by a listener, and the far end.
    pub fn accept_one<P: Protocol>(&self, protocol: P) -> (Transport, Raw) {
        let made = Rc::new(Cell::new(None));
        let (seen, mut protocol) = (Rc::clone(&made), Some(protocol));
        let server = self.handle().listen("tcp://127.0.0.1:0", move |_: &Addresses| {
            let seen = Rc::clone(&seen);
            protocol.take().map(|inner| Announce { inner, seen })
        });
        let server = server.expect("a listener");
        let raw = self.connect_raw(&server);
        self.until(|| {
            let transport = made.take();
            let there = transport.is_some();
            made.set(transport);
            there
        });
        server.stop();
        (made.take().expect("a connection"), raw)
    }

    // Time.

    /// Turns the loop until `done` says so. Panics if that takes too long.
    #[track_caller]
    pub fn until(&self, done: impl Fn() -> bool) {
        assert!(self.turn_until(&done), "what the test waits for did not happen");
    }

    /// Turns the loop until `done`, for at most a generous time: whether it happened.
    #[must_use]
    pub fn turn_until(&self, done: &dyn Fn() -> bool) -> bool {
        let begun = Instant::now();
        while !done() {
            match &self.outside {
                // A loop that always finds something to do must not hold a test for ever.
                _ if begun.elapsed() > PATIENCE => return false,
                Outside::Readiness(reactor) => drop(reactor.turn(Some(Duration::from_millis(20)))),
                Outside::Memory(memory) if memory.is_busy() => memory.turn(),
                // Nothing can happen any more without time passing.
                Outside::Memory(memory) => match memory.reactor().next_deadline() {
                    Some(next) => memory.advance(next - memory.clock().now()),
                    None => return false,
                },
            }
        }
        true
    }

    /// Turns the loop until nothing more happens by itself, without the clock moving (on real sockets: for a while).
    pub fn settle(&self) {
        match &self.outside {
            Outside::Readiness(reactor) => {
                let mut quiet_since = Instant::now();
                while quiet_since.elapsed() < QUIET {
                    let before = activity(&reactor.handle());
                    drop(reactor.turn(Some(Duration::from_millis(5))));
                    if activity(&reactor.handle()) != before {
                        quiet_since = Instant::now();
                    }
                }
            }
            Outside::Memory(memory) => assert!(memory.pump(), "the loop never settles"),
        }
    }

    /// Turns the loop a few times, whatever happens in them.
    pub fn turn_a_little(&self) {
        for _ in 0..4 {
            match &self.outside {
                Outside::Readiness(reactor) => drop(reactor.turn(Some(Duration::from_millis(1)))),
                Outside::Memory(memory) => memory.turn(),
            }
        }
    }

    /// Turns the loop while its clock moves on by `time` (really, on real sockets).
    pub fn advance(&self, time: Duration) {
        match &self.outside {
            Outside::Readiness(reactor) => {
                let end = Instant::now() + time;
                loop {
                    let left = end.saturating_duration_since(Instant::now());
                    drop(reactor.turn(Some(left)));
                    if left.is_zero() {
                        return self.settle();
                    }
                }
            }
            Outside::Memory(memory) => memory.advance(time),
        }
    }

    /// Runs the loop as a program does, until it stops by itself. On memory time jumps when nothing else happens.
    pub fn run(&self) {
        match &self.outside {
            Outside::Readiness(reactor) => reactor.run().expect("a run"),
            Outside::Memory(memory) => memory.run().expect("a run"),
        }
    }
}

/// Tells the transport of the one connection to the test, then is what it wraps.
struct Announce<P> {
    inner: P,
    seen: Rc<Cell<Option<Transport>>>,
}

impl<P: Protocol> Protocol for Announce<P> {
    fn connection_made(&mut self, transport: &Transport) {
        self.seen.set(Some(transport.clone()));
        self.inner.connection_made(transport);
    }

    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        self.inner.data_received(transport, data);
    }

    fn receive_buffer(&mut self) -> Option<&mut [u8]> {
        self.inner.receive_buffer()
    }

    fn buffer_filled(&mut self, transport: &Transport, count: usize) {
        self.inner.buffer_filled(transport, count);
    }

    fn eof_received(&mut self, transport: &Transport) -> marline_reactor::OnEof {
        self.inner.eof_received(transport)
    }

    fn pause_writing(&mut self, transport: &Transport) {
        self.inner.pause_writing(transport);
    }

    fn resume_writing(&mut self, transport: &Transport) {
        self.inner.resume_writing(transport);
    }

    fn drained(&mut self, transport: &Transport) {
        self.inner.drained(transport);
    }

    fn peer_closed(&mut self, transport: &Transport) {
        self.inner.peer_closed(transport);
    }

    fn connection_lost(&mut self, transport: &Transport, lost: &marline_reactor::Lost) {
        self.inner.connection_lost(transport, lost);
    }

    fn replaced(&mut self) -> Vec<u8> {
        self.inner.replaced()
    }
}

/// Where a listener of the loop listens.
pub fn address_of(server: &Server) -> SocketAddr {
    server.local_address().and_then(|address| address.as_inet()).expect("an address")
}

fn activity(handle: &Handle) -> (u64, u64) {
    let stats = handle.stats();
    (stats.events, stats.callbacks)
}

/// Bytes whose order can be checked: the period is a prime.
pub fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index % 251) as u8).collect()
}
