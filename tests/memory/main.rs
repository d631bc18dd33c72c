//! What a connection costs in memory while it is idle.
//!
//! The peers live in a process of their own, because one process may not be allowed as many descriptors as two: a
//! copy of this program, which connects as often as it is told, and keeps what it has until it is closed.

mod flood;
mod tasks;
mod tls;
#[cfg(feature = "tokio-rustls")]
mod tls_elsewhere;

use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use marline_reactor::{Addresses, Lost, Protocol, Reactor, Transport};
use marline_tests::backends;
use marline_tests::counting::{Counting, Counts};
use marline_tests::{PATIENCE, echo, process};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const CONNECTIONS: usize = 10_000;
/// Bytes of heap for each connection, its protocol included.
const BUDGET: i64 = 512;
/// A process may not be allowed the descriptors of two tests at a time.
static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());

/// A process full of peers, which does what it is told a line at a time.
struct Peers {
    child: Child,
    orders: Option<ChildStdin>,
    reports: BufReader<ChildStdout>,
}

impl Peers {
    fn start(address: SocketAddr) -> Self {
        Self::of("peers", address)
    }

    /// Those that this test of the copy makes.
    fn of(test: &str, address: SocketAddr) -> Self {
        let mut copy = process::copy(test, &address.to_string());
        let mut child = copy.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a child");
        let orders = child.stdin.take();
        let reports = BufReader::new(child.stdout.take().expect("an output"));
        Self { child, orders, reports }
    }

    fn order(&mut self, text: &str) {
        let orders = self.orders.as_mut().expect("an input");
        writeln!(orders, "{text}").expect("a child that listens");
    }

    /// As [`confirm`](Self::confirm), while the loop goes on: answers may still be on their way.
    fn confirm_beside(&mut self, reactor: &Reactor, text: &str) {
        std::thread::scope(|scope| {
            let confirmed = scope.spawn(|| self.confirm(text));
            until(reactor, || confirmed.is_finished());
        });
    }

    /// Waits until an order is carried out. The harness may begin the line.
    fn confirm(&mut self, text: &str) {
        let mut line = String::new();
        while !line.trim_end().ends_with(text) {
            line.clear();
            assert!(self.reports.read_line(&mut line).expect("a report") > 0, "the peers ended early");
        }
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        self.orders = None;
        assert!(self.child.wait().is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

/// The other process. Nothing, unless a test starts it.
#[test]
fn peers() {
    let Some(address) = process::part() else { return };
    let _limit = process::raise_descriptor_limit();
    let mut peers = Vec::new();
    for order in io::stdin().lines() {
        let order = order.expect("an order");
        match order.as_str() {
            "connect" => peers = (0..CONNECTIONS).map(|_| connect(&address)).collect(),
            "talk" => echo::lockstep(&mut peers, 1).expect("round trips"),
            _ => panic!("what is {order:?}?"),
        }
        println!("done: {order}");
    }
}

fn connect(address: &str) -> TcpStream {
    echo::connect(address).expect("a connection")
}

/// An echo that counts.
#[derive(Clone, Default)]
struct Counter {
    made: Rc<Cell<usize>>,
    echoed: Rc<Cell<usize>>,
    lost: Rc<Cell<usize>>,
}

fn increment(count: &Cell<usize>) {
    count.set(count.get() + 1);
}

impl Protocol for Counter {
    fn connection_made(&mut self, _: &Transport) {
        increment(&self.made);
    }

    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        self.echoed.set(self.echoed.get() + data.len());
        transport.write(data);
    }

    fn connection_lost(&mut self, _: &Transport, _: &Lost) {
        increment(&self.lost);
    }
}

#[track_caller]
fn until(reactor: &Reactor, done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        reactor.turn(Some(Duration::from_millis(100))).expect("a turn");
        assert!(begun.elapsed() < PATIENCE, "it did not happen");
    }
}

/// Prints what was measured, and checks it.
#[track_caller]
fn assert_budget(what: &str, since: Counts) {
    #[allow(clippy::cast_possible_wrap)]
    let each = Counts::here().since(since).bytes / CONNECTIONS as i64;
    println!("{what}: {each} bytes of heap for each of {CONNECTIONS} connections, at most {BUDGET}");
    assert!((1..=BUDGET).contains(&each), "{what}: {each} bytes");
}

fn an_idle_connection_costs_at_most_its_budget(backend: &str) {
    let _alone = ALONE.lock();
    let limit = process::raise_descriptor_limit();
    if limit < CONNECTIONS as u64 + 100 {
        println!("skipped: {limit} descriptors are not enough");
        return;
    }
    let reactor = backends::reactor(backend);
    let counter = Counter::default();
    let protocol = counter.clone();
    let server = reactor.handle().listen("tcp://127.0.0.1:0", move |_: &Addresses| protocol.clone());
    let server = server.expect("a listener");
    let address = server.local_address().and_then(|address| address.as_inet()).expect("an address");
    let mut peers = Peers::start(address);
    let before = Counts::here();

    peers.order("connect");
    until(&reactor, || counter.made.get() == CONNECTIONS);
    peers.confirm("done: connect");
    assert_budget("accepted and idle", before);

    peers.order("talk");
    until(&reactor, || counter.echoed.get() == CONNECTIONS * echo::MESSAGE);
    peers.confirm("done: talk");
    assert_budget("idle again after a message", before);

    // Nothing of the connections' stays, apart from the slots, which wait for the next ones.
    drop(peers);
    until(&reactor, || counter.lost.get() == CONNECTIONS);
    assert_budget("closed again", before);
    drop((server, reactor));
    assert_eq!(Rc::strong_count(&counter.made), 1);
    assert!(Counts::here().since(before).bytes < 0, "the loop itself was there before, and is gone");
}

marline_tests::on_sockets! {
    an_idle_connection_costs_at_most_its_budget
}
