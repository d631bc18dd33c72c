//! What the loop costs in calls to the operating system, counted by the loop itself. `.ci/syscalls` counts the same from
//! outside.

mod datagrams;
mod files;
mod tasks;
mod tls;

use std::cell::{Cell, RefCell};
use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use marline_reactor::backend::SystemCalls;
use marline_reactor::{Addresses, Protocol, Reactor, Server, Stats, Transport};
use marline_tests::backends;
use marline_tests::{PATIENCE, echo};

/// Counts the messages, and may pause and resume around each.
#[derive(Clone)]
struct Echo {
    echoed: Rc<Cell<usize>>,
    pauses: Pauses,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pauses {
    Never,
    /// Within the callback.
    Inside,
    /// Until a later batch.
    Across,
}

impl Echo {
    fn new(pauses: Pauses) -> Self {
        Self { echoed: Rc::default(), pauses }
    }
}

impl Protocol for Echo {
    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        self.echoed.set(self.echoed.get() + data.len() / echo::MESSAGE);
        transport.write(data);
        match self.pauses {
            Pauses::Never => {}
            Pauses::Inside => {
                transport.pause_reading();
                transport.resume_reading();
            }
            Pauses::Across => {
                transport.pause_reading();
                let other = transport.clone();
                transport.handle().call_soon(move || other.resume_reading());
            }
        }
    }
}

fn server(backend: &str, protocol: &Echo) -> (Reactor, Server, SocketAddr) {
    server_on(backends::unhurried_reactor(backend), protocol)
}

fn server_on(reactor: Reactor, protocol: &(impl Protocol + Clone)) -> (Reactor, Server, SocketAddr) {
    let protocol = protocol.clone();
    let server = reactor.handle().listen("tcp://127.0.0.1:0", move |_: &Addresses| protocol.clone());
    let server = server.expect("a listener");
    let address = server.local_address().and_then(|address| address.as_inet()).expect("an address");
    (reactor, server, address)
}

/// Serves one connection after the other from a client in another thread, from the beginning to the end.
fn serve(backend: &str, connections: usize, rounds: usize, pauses: Pauses) -> Stats {
    let (reactor, server, address) = server(backend, &Echo::new(pauses));
    let (stopper, left) = (server.clone(), Cell::new(connections));
    server.on_lost(move |_, _| {
        left.set(left.get() - 1);
        if left.get() == 0 {
            stopper.stop();
        }
    });
    let client = thread::spawn(move || -> io::Result<()> {
        for _ in 0..connections {
            let mut stream = echo::connect(address)?;
            echo::lockstep(std::slice::from_mut(&mut stream), rounds)?;
            echo::end(&mut stream)?;
        }
        Ok(())
    });
    reactor.run().expect("a run");
    client.join().expect("no panic").expect("round trips");
    reactor.handle().stats()
}

/// All calls, the beginning and the end of everything included.
fn total(calls: SystemCalls) -> u64 {
    let SystemCalls { waits, receives, sends, .. } = calls;
    waits + receives + sends + apart_from_these(calls)
}

fn apart_from_these(calls: SystemCalls) -> u64 {
    let SystemCalls { accepts, registrations, connects, shutdowns, closes, others, .. } = calls;
    accepts + registrations + connects + shutdowns + closes + others
}

/// What a round trip may cost, in hundredths of a call, of one connection and of many that share a wait. Readiness waits,
/// receives and sends; what a ring is asked for goes along with the wait.
struct Limits {
    alone: u64,
    shared: u64,
}

fn limits(backend: &str) -> Limits {
    match backend {
        "readiness" => Limits { alone: 305, shared: 210 },
        _ => Limits { alone: 105, shared: 8 },
    }
}

/// At most so many hundredths of a call for each round trip.
#[track_caller]
fn assert_calls(calls: SystemCalls, trips: usize, hundredths: u64) {
    let allowed = trips as u64 * hundredths / 100;
    println!("{trips} round trips: {} calls of {allowed}: {calls:?}", total(calls));
    assert!(total(calls) <= allowed, "{} calls, and not {allowed}: {calls:?}", total(calls));
}

/// Two for each connection, one for the listener, and the loop's own. Nothing is registered with a ring.
#[track_caller]
fn assert_registrations(backend: &str, calls: SystemCalls, connections: u64) {
    let allowed = if backend == "readiness" { 2 * connections + 2 } else { 0 };
    assert!(calls.registrations <= allowed, "{calls:?}");
}

fn a_round_trip_is_a_wait_a_receive_and_a_send_or_one_call(backend: &str) {
    let stats = serve(backend, 1, 10_000, Pauses::Never);
    assert_calls(stats.system_calls, 10_000, limits(backend).alone);
    assert_registrations(backend, stats.system_calls, 1);
    assert_eq!((stats.connections, stats.timers), (0, 0));
    // The ready queue is not even used, apart from the loss and the like.
    assert!(stats.callbacks < 10, "{stats:?}");
}

fn r10_pausing_and_resuming_costs_no_call(backend: &str) {
    for pauses in [Pauses::Inside, Pauses::Across] {
        let stats = serve(backend, 1, 10_000, pauses);
        assert_calls(stats.system_calls, 10_000, limits(backend).alone);
        assert_registrations(backend, stats.system_calls, 1);
    }
}

fn a_connection_costs_two_registrations_at_most(backend: &str) {
    let (few, many) = (serve(backend, 10, 1, Pauses::Never), serve(backend, 110, 1, Pauses::Never));
    assert_registrations(backend, many.system_calls, 110);
    // Accepting, and the end, of each: what that costs is not hidden in a constant.
    let calls = |stats: &Stats| apart_from_these(stats.system_calls);
    let each = (calls(&many) - calls(&few)) / 100;
    println!("{each} calls to begin and end a connection: {:?}", many.system_calls);
    assert!(each <= 6, "{:?}", many.system_calls);
}

/// Here the clients are on the loop's own thread, so that all of a round's messages are there before the loop looks: how
/// often it wakes up is then no matter of luck.
fn in_lock_step_many_round_trips_share_a_wait(backend: &str) {
    let calls = in_lock_step(backends::unhurried_reactor(backend));
    assert_calls(calls, CONNECTIONS * ROUNDS, limits(backend).shared);
    assert_registrations(backend, calls, CONNECTIONS as u64);
}

/// With a time of zero, the answers to some clients do not wait for those to all others.
#[cfg(target_os = "linux")]
#[test]
fn sends_are_not_held_back_for_longer_than_allowed() {
    if backends::has_completion() {
        let [held, hurried] =
            [PATIENCE, Duration::ZERO].map(|time| in_lock_step(backends::holding_reactor(time)).waits);
        assert!(hurried > held + (ROUNDS * CONNECTIONS / 8) as u64, "{hurried}, and held back {held}");
    }
}

/// The last of a turn's callbacks waits for what the first has written.
#[cfg(target_os = "linux")]
#[test]
fn what_a_callback_wrote_does_not_wait_for_the_callbacks_of_others() {
    if !backends::has_completion() {
        return;
    }
    let protocol = Waits::default();
    let (reactor, _server, address) = server_on(backends::holding_reactor(Duration::ZERO), &protocol);
    let mut streams: Vec<TcpStream> =
        (0..Waits::TURN).map(|_| echo::connect(address).expect("a connection")).collect();
    protocol.clients.replace(streams.iter().map(|stream| stream.try_clone().expect("another")).collect());
    for round in 1..=20 {
        echo::write_all(&mut streams, round).expect("a write");
        while protocol.seen.get() < Waits::TURN * round {
            reactor.turn(Some(PATIENCE)).expect("a turn");
        }
        for (index, mut stream) in streams.iter().enumerate() {
            if index != protocol.first.get() {
                stream.read_exact(&mut [0; echo::MESSAGE]).expect("a read");
            }
        }
    }
}

/// Echoes, and reads in the last callback of each round what was written in the first.
#[derive(Clone, Default)]
struct Waits {
    clients: Rc<RefCell<Vec<TcpStream>>>,
    seen: Rc<Cell<usize>>,
    first: Rc<Cell<usize>>,
    peer: Option<SocketAddr>,
}

impl Waits {
    /// So many events are in a turn: enough for the clock to be read more than twice.
    const TURN: usize = 16;
}

impl Protocol for Waits {
    fn connection_made(&mut self, transport: &Transport) {
        self.peer = transport.peer_address().and_then(|peer| peer.as_inet());
    }

    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        transport.write(data);
        let clients = self.clients.borrow();
        if self.seen.get() % Self::TURN == 0 {
            let first = clients.iter().position(|client| client.local_addr().ok() == self.peer);
            self.first.set(first.expect("a client"));
        }
        self.seen.set(self.seen.get() + 1);
        if self.seen.get() % Self::TURN == 0 {
            let mut first = &clients[self.first.get()];
            first.set_read_timeout(Some(PATIENCE)).expect("a timeout");
            first.read_exact(&mut [0; echo::MESSAGE]).expect("it was sent");
        }
    }
}

const CONNECTIONS: usize = 64;
const ROUNDS: usize = 200;

/// The calls of so many round trips.
fn in_lock_step(reactor: Reactor) -> SystemCalls {
    let protocol = Echo::new(Pauses::Never);
    let (reactor, _server, address) = server_on(reactor, &protocol);
    let mut streams: Vec<TcpStream> =
        (0..CONNECTIONS).map(|_| echo::connect(address).expect("a connection")).collect();
    for round in 0..ROUNDS {
        echo::write_all(&mut streams, round).expect("a write");
        while protocol.echoed.get() < CONNECTIONS * (round + 1) {
            reactor.turn(Some(PATIENCE)).expect("a turn");
        }
        echo::read_all(&mut streams, round).expect("a read");
    }
    reactor.handle().stats().system_calls
}

fn an_idle_loop_makes_no_calls_and_does_not_turn(backend: &str) {
    let (reactor, server, address) = server(backend, &Echo::new(Pauses::Never));
    let _stream = echo::connect(address).expect("a connection");
    while server.connections() == 0 {
        reactor.turn(Some(PATIENCE)).expect("a turn");
    }
    for _ in 0..3 {
        reactor.turn(Some(Duration::from_millis(20))).expect("a turn");
    }
    let before = reactor.handle().stats();
    let stopper = reactor.handle();
    reactor.handle().call_later(Duration::from_millis(200), move || stopper.stop());
    reactor.run().expect("a run");
    let after = reactor.handle().stats();
    // The deadline is waited for once; coming back early, to round up, or because the system interrupts, is allowed.
    assert!(after.turns - before.turns <= 10, "{} turns", after.turns - before.turns);
    assert!(total(after.system_calls) - total(before.system_calls) <= 10);
}

marline_tests::on_sockets! {
    a_round_trip_is_a_wait_a_receive_and_a_send_or_one_call
    r10_pausing_and_resuming_costs_no_call
    a_connection_costs_two_registrations_at_most
    in_lock_step_many_round_trips_share_a_wait
    an_idle_loop_makes_no_calls_and_does_not_turn
}
