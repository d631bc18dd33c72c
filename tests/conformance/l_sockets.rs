//! L: listeners that were made elsewhere, and ports that are shared.

use std::cell::Cell;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use marline_reactor::testing::{MemoryReactor, Network};
use marline_reactor::{Addresses, Endpoint, ListenError, Reactor};
use marline_tests::{PATIENCE, backends};

use crate::conformance;
use crate::support::{Event, Log, Raw, RawListener, Trace, World, address_of, skip};

fn free_listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("a listener")
}

conformance! {
    fn l10_an_adopted_listener_is_closed_and_not_shut_down(world: &World) {
        let (log, listener) = (Log::new(), free_listener());
        let (mine, copy) = (log.clone(), listener.try_clone().expect("another descriptor"));
        let adopted = world.handle().adopt_listener(listener, move |_: &Addresses| Trace::new(&mine));
        if world.is_memory() {
            assert!(matches!(adopted, Err(ListenError::Adopt { .. })), "{adopted:?}");
            return skip("the memory backend has no use for sockets");
        }
        let server = adopted.expect("a listener");
        let address = copy.local_addr().expect("an address");
        assert_eq!(address_of(&server), address);
        let raw = world.connect_raw(&server);
        raw.write(b"one");
        world.until(|| log.received() == 3);

        let stopped = Rc::new(Cell::new(false));
        let seen = Rc::clone(&stopped);
        let closes = world.handle().stats().system_calls.closes;
        server.on_stopped(move || seen.set(true));
        server.stop();
        world.until(|| stopped.get());
        assert_eq!(world.handle().stats().system_calls.closes, closes + world.calls(1));

        // The other holder goes on with the same socket, and this loop hears no more of it.
        let events = world.handle().stats().events;
        let client = TcpStream::connect(address).expect("the socket still listens");
        let other = RawListener::Socket(copy);
        let accepted = Cell::new(None);
        world.until(|| {
            accepted.set(other.accept());
            let raw = accepted.take();
            let there = raw.is_some();
            accepted.set(raw);
            there
        });
        world.settle();
        assert_eq!(world.handle().stats().events, events);
        assert_eq!(log.count(&Event::Made), 1);
        drop(client);
    }

    fn l11_adopting_a_bad_descriptor_or_family_is_an_error_value(world: &World) {
        let listener = free_listener();
        let connected = TcpStream::connect(listener.local_addr().expect("an address")).expect("a connection");
        let unbound = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        let datagrams = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let records = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::SEQPACKET, None).expect("a socket");
        // The system chooses a name.
        let any = socket2::SockAddr::unix("").expect("no name");
        records.bind(&any).and_then(|()| records.listen(1)).expect("a listener");
        let file = std::fs::File::open("/dev/null").expect("a file");
        let wrong: [(&str, OwnedFd); 5] = [
            ("a connection", connected.into()),
            ("a socket that does not listen", unbound.expect("a socket").into()),
            ("a datagram socket", datagrams.into()),
            ("a listener of records", records.into()),
            ("a file", file.into()),
        ];
        for (what, descriptor) in wrong {
            let closes = world.handle().stats().system_calls.closes;
            let outcome = world
                .handle()
                .adopt_listener(TcpListener::from(descriptor), |_: &Addresses| Trace::new(&Log::new()));
            assert!(matches!(outcome, Err(ListenError::Adopt { .. })), "{what}: {outcome:?}");
            let closed = world.handle().stats().system_calls.closes - closes;
            assert_eq!(closed, u64::from(!world.is_memory()), "{what} is closed");
        }

        // The loop is as it was.
        let log = Log::new();
        let (_, raw) = world.accept_one(Trace::new(&log));
        raw.write(b"x");
        world.until(|| log.received() == 1);
    }
}

/// Two loops on this thread that share a port, and how a far end connects to it.
struct Pair<'a> {
    loops: [&'a Reactor; 2],
    connect: &'a dyn Fn(SocketAddr) -> Raw,
}

impl Pair<'_> {
    fn until(&self, done: impl Fn() -> bool) {
        let begun = std::time::Instant::now();
        while !done() {
            assert!(begun.elapsed() < PATIENCE, "what the test waits for did not happen");
            for reactor in self.loops {
                reactor.turn(Some(Duration::ZERO)).expect("a turn");
            }
        }
    }

    /// Both loops listen on one port; every peer is served by exactly one of them. How many each got.
    fn share(&self) -> [usize; 2] {
        const PEERS: usize = 64;
        let logs = [Log::new(), Log::new()];
        let shared = Endpoint::tcp("127.0.0.1:0").map(|endpoint| endpoint.reuse_port(true));
        let [first, second] = [0, 1].map(|at| (self.loops[at].handle(), logs[at].clone()));
        let here = first.0.listen(shared, move |_: &Addresses| Trace::new(&first.1)).expect("a listener");
        let address = address_of(&here);

        let alone = second.0.listen(address, |_: &Addresses| Trace::new(&Log::new()));
        assert!(matches!(alone, Err(ListenError::InUse { .. })), "both have to say so: {alone:?}");
        let there = second
            .0
            .listen(Endpoint::from(address).reuse_port(true), move |_: &Addresses| Trace::new(&second.1));
        assert_eq!(address_of(there.as_ref().expect("a listener")), address);

        let raws: Vec<_> = (0..PEERS).map(|_| (self.connect)(address)).collect();
        raws.iter().for_each(|raw| assert_eq!(raw.write(b"x"), 1));
        self.until(|| logs.iter().map(Log::received).sum::<usize>() == PEERS);
        let made = [0, 1].map(|at| logs[at].count(&Event::Made));
        assert_eq!(made[0] + made[1], PEERS, "each peer is accepted once");

        // When one of them stops, the other gets all that come.
        let stopped = Rc::new(Cell::new(false));
        let told = Rc::clone(&stopped);
        here.on_stopped(move || told.set(true));
        here.stop();
        self.until(|| stopped.get());
        let _late = [(self.connect)(address), (self.connect)(address)];
        self.until(|| logs[1].count(&Event::Made) == made[1] + 2);
        assert_eq!(logs[0].count(&Event::Made), made[0]);
        assert_eq!(logs[0].losses() + logs[1].losses(), 0);
        made
    }
}

fn l12_two_loops_may_share_a_port(backend: &str) {
    let (first, second) = (backends::reactor(backend), backends::reactor(backend));
    let made = Pair { loops: [&first, &second], connect: &Raw::connect_socket }.share();
    // The kernel spreads connections by a hash of their addresses.
    assert!(made.iter().all(|count| *count > 0), "{made:?}");
}

marline_tests::on_sockets! {
    l12_two_loops_may_share_a_port
}

#[test]
fn l12_two_loops_may_share_a_port_on_memory() {
    let mut uneven = 0;
    for seed in 0..16 {
        let network = Network::new(marline_reactor::Choices::seeded(seed));
        let clock = marline_reactor::testing::Clock::new();
        let (first, second) = (MemoryReactor::on(&network, &clock), MemoryReactor::on(&network, &clock));
        let connect = |address: SocketAddr| Raw::from_peer(network.connect(address).expect("a peer"));
        let made = Pair { loops: [first.reactor(), second.reactor()], connect: &connect }.share();
        uneven += usize::from(made[0] != made[1]);
        assert!(made.iter().all(|count| *count > 0), "{made:?}");
    }
    assert!(uneven > 0, "chance decides, and not the turn");
}
