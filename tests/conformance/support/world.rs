//! A loop on one of the backends, and the outside of it.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use marline_reactor::testing::{Chunking, MemoryReactor};
use marline_reactor::{Address, Addresses, Endpoint, Handle, Protocol, Reactor, Server, Transport};
use marline_tests::PATIENCE;

use super::adversary::Temper;
use super::announce::Announce;
use super::faulty::Faults;
use super::hands::Hands;
use super::kind::{Bare, Kind, Outside, Wrap};
use super::names::Names;
use super::place::Place;
use super::raw::{Raw, RawListener};
use super::secure::{SecureEnds, Side};

/// How often the loop of a test on real sockets has to wait for so long in vain to count as settled. Waits are counted,
/// since time passes for a process that is not let run, too.
const QUIET: (usize, Duration) = (6, Duration::from_millis(5));

/// A loop, and the means to act on it from outside.
pub struct World {
    kind: Kind,
    place: Place,
    payload: usize,
    outside: Outside,
    faults: Faults,
    temper: Temper,
    ends: SecureEnds,
}

/// Says on standard output that a test does not apply, and why.
pub fn skip(reason: &str) {
    println!("skipped: {reason}");
}

impl World {
    pub(super) fn new(kind: Kind, payload: usize) -> Self {
        Self::wrapped(kind, payload, Bare, Faults::new())
    }

    fn wrapped(kind: Kind, payload: usize, wrap: impl Wrap, faults: Faults) -> Self {
        let temper = Temper::default();
        let outside = Outside::new(kind, &temper, wrap);
        Self { kind, place: Place::Loopback, payload, outside, faults, temper, ends: SecureEnds::default() }
    }

    pub(super) fn at(mut self, place: Place) -> Self {
        self.place = place;
        self
    }

    /// Another world of the same kind, whose operations fail as the test says.
    pub fn with_faults(&self, test: impl FnOnce(&World, &Faults)) {
        let faults = Faults::new();
        let world = Self::wrapped(self.kind, self.payload, &faults, faults.clone()).at(self.place);
        test(&world, &world.faults);
    }

    /// Another world of the same kind, whose names the test chooses.
    pub fn with_names(&self, test: impl FnOnce(&World, &Names)) {
        let names = Names::default();
        let world = Self::wrapped(self.kind, self.payload, &names, Faults::new()).at(self.place);
        test(&world, &names);
    }

    /// Another world of the same kind, for a test to take apart.
    pub fn fresh(&self) -> World {
        Self::new(self.kind, self.payload).at(self.place)
    }

    // What the world is.

    /// How many calls of their own so many operations take: none in a ring.
    pub fn calls(&self, operations: u64) -> u64 {
        if self.is_completion() { 0 } else { operations }
    }

    /// The memory loop, on memory.
    pub fn as_memory(&self) -> Option<&MemoryReactor> {
        match &self.outside {
            Outside::Sockets(_) => None,
            Outside::Memory(memory) => Some(memory),
        }
    }

    pub fn is_memory(&self) -> bool {
        self.as_memory().is_some()
    }

    /// What its connections go over.
    pub fn place(&self) -> Place {
        self.place
    }

    /// Whether connections go over UNIX sockets.
    pub fn is_unix(&self) -> bool {
        self.place.is_unix()
    }

    /// Whether there is TLS on its connections.
    pub fn is_secure(&self) -> bool {
        self.place == Place::Tls
    }

    /// Whether chance decides the order of events, and how bytes are cut.
    pub fn is_seeded(&self) -> bool {
        self.kind.is_seeded()
    }

    /// Whether bytes that were sent at once may arrive in pieces, however few.
    pub fn cuts(&self) -> bool {
        self.is_seeded() || matches!(self.kind, Kind::SingleBytes)
    }

    /// Whether the backend does whatever it may.
    pub fn is_adversarial(&self) -> bool {
        self.kind.is_adversarial()
    }

    /// For how many turns an event may be held back that the loop could have heard of.
    pub fn most_turns_late(&self) -> usize {
        self.kind.most_turns_late()
    }

    /// Whether the operations are the kernel's: submitted in a wait, and answered after it.
    pub fn is_completion(&self) -> bool {
        self.kind.is_completion()
    }

    /// Whether the loop of a ring has a host: each turn submits before its host waits, and looks at what woke the host.
    pub fn is_guest_on_ring(&self) -> bool {
        self.is_completion() && self.is_guest()
    }

    /// Whether a foreign loop makes the turns.
    pub fn is_guest(&self) -> bool {
        matches!(&self.outside, Outside::Sockets(driver) if driver.is_guest())
    }

    /// From now on sends take everything there is room for and answer at once, also under a seed.
    pub fn send_whole(&self) {
        self.temper.send_whole();
        if let Some(memory) = self.as_memory() {
            memory.network().set_chunking(Chunking::Joined);
        }
    }

    pub fn reactor(&self) -> &Reactor {
        match &self.outside {
            Outside::Sockets(driver) => driver.reactor(),
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
            Outside::Sockets(driver) => driver.reactor().handle().stats().connections,
            Outside::Memory(memory) => memory.network().sockets(),
        }
    }

    // Listening and connecting.

    /// Somewhere to listen: a free port of the loopback, or whatever this world's connections go over.
    pub fn free_endpoint(&self) -> Endpoint {
        self.place.free()
    }

    /// What to connect to a listener of the loop by.
    pub fn endpoint_of(&self, server: &Server) -> Endpoint {
        self.endpoint_to(&server.local_address().expect("an address"))
    }

    pub fn endpoint_to(&self, address: &Address) -> Endpoint {
        self.place.to(address)
    }

    /// Listens where nobody else does.
    pub fn listen<P: Protocol>(&self, mut factory: impl FnMut(&Addresses) -> P + 'static) -> Server {
        self.handle()
            .listen(self.free_endpoint(), move |addresses: &Addresses| factory(addresses))
            .expect("a listener")
    }

    /// A far end that connects to a listener of the loop.
    pub fn connect_raw(&self, server: &Server) -> Raw {
        self.connect_raw_to(server.local_address().expect("an address"))
    }

    pub fn connect_raw_to(&self, address: impl Into<Address>) -> Raw {
        let address = address.into();
        let raw = match &self.outside {
            Outside::Sockets(_) => Raw::connect(&address),
            Outside::Memory(memory) => Raw::from_peer(memory.network().connect(address).expect("a peer")),
        };
        if self.place == Place::Tls { self.ends.secure(Side::Server, raw) } else { raw }
    }

    /// A far end that listens.
    pub fn listen_raw(&self) -> RawListener {
        let listener = match &self.outside {
            Outside::Sockets(_) if self.place.is_unix() => RawListener::unix(self.place),
            Outside::Sockets(_) => RawListener::socket(),
            Outside::Memory(memory) => {
                let any = SocketAddr::from(([127, 0, 0, 1], 0));
                RawListener::from_peer(memory.network().listen(any).expect("a scripted listener"))
            }
        };
        match self.place {
            Place::Tls => RawListener::Secure(Box::new(listener), self.ends.clone()),
            _ => listener,
        }
    }

    /// A connection: our end's transport with `protocol` on it, made by a listener, and the far end.
    pub fn accept_one<P: Protocol>(&self, protocol: P) -> (Transport, Raw) {
        let made = Rc::new(Cell::new(None));
        let (seen, mut protocol) = (Rc::clone(&made), Some(protocol));
        let server = self.handle().listen(self.free_endpoint(), move |_: &Addresses| {
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
        let transport = made.take().expect("a connection");
        self.ends.last_is_of(&transport);
        (transport, raw)
    }

    // Time.

    /// Lets time pass without a turn, as a callback that takes long does.
    pub fn pass(&self, time: Duration) {
        self.clock().pass(time);
    }

    /// What makes time pass inside of callbacks.
    pub fn clock(&self) -> Hands {
        Hands { clock: self.as_memory().map(|memory| memory.clock().clone()) }
    }

    /// Turns the loop until `done` says so. Panics if that takes too long.
    #[track_caller]
    pub fn until(&self, done: impl Fn() -> bool) {
        assert!(self.turn_until(&done), "what the test waits for did not happen");
    }

    /// Turns the loop until `done`, for at most a generous time: whether it happened.
    #[must_use]
    pub fn turn_until(&self, done: &dyn Fn() -> bool) -> bool {
        let begun = Instant::now();
        let is_done = || {
            self.ends.pump();
            done()
        };
        while !is_done() {
            match &self.outside {
                // A loop that always finds something to do must not hold a test for ever.
                _ if begun.elapsed() > PATIENCE => return false,
                Outside::Sockets(driver) => driver.wait(Duration::from_millis(20)),
                Outside::Memory(memory) if memory.is_busy() || self.faults.pending() => memory.turn(),
                // Nothing can happen any more without time passing.
                Outside::Memory(memory) => match memory.reactor().next_deadline() {
                    Some(next) => memory.advance(next - memory.clock().now()),
                    // A far end may have moved while it was asked, and be there when it is asked again.
                    None => return done(),
                },
            }
        }
        true
    }

    /// Turns the loop until nothing more happens by itself, without the clock moving (on real sockets: for a while).
    pub fn settle(&self) {
        self.settle_once();
        while self.ends.pump() {
            self.settle_once();
        }
    }

    fn settle_once(&self) {
        match &self.outside {
            Outside::Sockets(driver) => {
                let handle = driver.reactor().handle();
                let mut in_vain = 0;
                while in_vain < QUIET.0 {
                    let before = activity(&handle);
                    driver.wait(QUIET.1);
                    in_vain = if activity(&handle) == before { in_vain + 1 } else { 0 };
                }
            }
            Outside::Memory(memory) => {
                assert!(memory.pump(), "the loop never settles");
                while self.faults.pending() {
                    memory.turn();
                    assert!(memory.pump(), "the loop never settles");
                }
            }
        }
    }

    /// Reads `count` bytes at a far end, turning the loop meanwhile.
    #[track_caller]
    pub fn read(&self, raw: &Raw, count: usize) -> Vec<u8> {
        let seen = RefCell::new(Vec::new());
        self.until(|| {
            let left = count - seen.borrow().len();
            seen.borrow_mut().extend(raw.read_up_to(left));
            seen.borrow().len() == count
        });
        seen.into_inner()
    }

    /// Writes all of `data` at a far end, turning the loop whenever there is no room.
    #[track_caller]
    pub fn write(&self, raw: &Raw, data: &[u8]) {
        let sent = Cell::new(0);
        self.until(|| {
            sent.set(sent.get() + raw.write(&data[sent.get()..]));
            sent.get() == data.len()
        });
    }

    /// Makes one turn, which waits for an event of a real socket's.
    pub fn turn_with_event(&self) {
        match &self.outside {
            Outside::Sockets(driver) => driver.turn_with_event(),
            Outside::Memory(_) => self.turn(),
        }
    }

    /// Makes one turn, without waiting. One that was cut short, because the machine did other things, is made up for.
    pub fn turn(&self) {
        while !self.single_turn() {}
    }

    /// Makes one turn, without waiting: whether it had all the time that a turn may take.
    pub fn single_turn(&self) -> bool {
        match &self.outside {
            Outside::Sockets(driver) => driver.turn(),
            Outside::Memory(memory) => {
                memory.reactor().turn(Some(Duration::ZERO)).map(|_| true).expect("a turn")
            }
        }
    }

    /// Lets the loop wait for at most `limit` (on memory: no time), and do what there is to do.
    pub fn wait(&self, limit: Duration) {
        match &self.outside {
            Outside::Sockets(driver) => driver.wait(limit),
            Outside::Memory(memory) => drop(memory.reactor().turn(Some(limit))),
        }
    }

    /// Turns the loop a few times, whatever happens in them.
    pub fn turn_a_little(&self) {
        for _ in 0..4 {
            match &self.outside {
                Outside::Sockets(driver) => driver.wait(Duration::from_millis(1)),
                Outside::Memory(memory) => memory.turn(),
            }
        }
    }

    /// Turns the loop while its clock moves on by `time` (really, on real sockets).
    pub fn advance(&self, time: Duration) {
        match &self.outside {
            Outside::Sockets(driver) => {
                let end = Instant::now() + time;
                loop {
                    let left = end.saturating_duration_since(Instant::now());
                    driver.wait(left);
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
            Outside::Sockets(driver) => driver.run().expect("a run"),
            Outside::Memory(memory) => memory.run().expect("a run"),
        }
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
