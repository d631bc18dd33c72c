//! S: connections that outlive their loop's use.

use std::cell::RefCell;
use std::net::TcpStream;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use marline_reactor::testing::MemoryReactor;
use marline_reactor::{Addresses, Lost, Protocol, Reactor, Transport};
use marline_tasks::{Listener, spawn_on};
use marline_tests::{PATIENCE, backends};
use tracing::field::{Field, Visit};
use tracing::span;

use crate::conformance;
use crate::support::{Raw, World, address_of};

/// Keeps the messages of events, as a program's subscriber would.
#[derive(Clone, Default)]
pub struct Reports(Arc<Mutex<Vec<String>>>);

impl Reports {
    pub fn all(&self) -> Vec<String> {
        self.0.lock().expect("the reports").clone()
    }
}

struct Message<'a>(&'a mut Vec<String>);

impl Visit for Message<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0.push(format!("{value:?}"));
        }
    }
}

impl tracing::Subscriber for Reports {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut Message(&mut self.0.lock().expect("the reports")));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// Tells when it is dropped, and whether it was told of a loss.
struct Leftover(Rc<RefCell<Vec<&'static str>>>);

impl Protocol for Leftover {
    fn data_received(&mut self, _: &Transport, _: &[u8]) {}

    fn connection_lost(&mut self, _: &Transport, _: &Lost) {
        self.0.borrow_mut().push("lost");
    }
}

impl Drop for Leftover {
    fn drop(&mut self) {
        self.0.borrow_mut().push("dropped");
    }
}

/// Leaves one open connection and one that is closing to the end of the loop.
fn end_with_connections<L>(
    owner: L,
    reactor: impl Fn(&L) -> &Reactor,
    connect: impl Fn(&L, std::net::SocketAddr) -> Raw,
) {
    let told = Rc::new(RefCell::new(Vec::new()));
    let kept = Rc::clone(&told);
    let handle = reactor(&owner).handle();
    let server = handle
        .listen("tcp://127.0.0.1:0", move |_: &Addresses| Leftover(Rc::clone(&kept)))
        .expect("a listener");
    let raws = [connect(&owner, address_of(&server)), connect(&owner, address_of(&server))];
    while server.connections() < 2 {
        reactor(&owner).turn(Some(std::time::Duration::from_millis(20))).expect("a turn");
    }
    let reports = Reports::default();
    tracing::subscriber::with_default(reports.clone(), || drop(owner));
    assert_eq!(*told.borrow(), ["dropped", "dropped"], "nobody is called back");
    let reports = reports.0.lock().expect("the reports");
    let open: Vec<_> =
        reports.iter().filter(|report| report.contains("still open when its loop ended")).collect();
    assert_eq!(open.len(), 2, "{reports:?}");
    for raw in raws {
        let begun = std::time::Instant::now();
        while !raw.is_finished() {
            assert!(!raw.is_reset() && begun.elapsed() < PATIENCE, "the peer sees an end");
        }
    }
    assert_eq!(handle.stats().connections, 0);
}

fn s34_open_connections_are_closed_and_reported(backend: &str) {
    end_with_connections(
        backends::reactor(backend),
        |reactor| reactor,
        |_, address| Raw::from_socket(TcpStream::connect(address).expect("a connection")),
    );
}

marline_tests::on_sockets! {
    s34_open_connections_are_closed_and_reported
}

#[test]
fn s34_open_connections_are_closed_and_reported_on_memory() {
    for seed in 0..16 {
        end_with_connections(MemoryReactor::seeded(seed), MemoryReactor::reactor, |memory, address| {
            Raw::from_peer(memory.network().connect(address).expect("a peer"))
        });
    }
}

conformance! {
    fn s34_a_stream_dropped_without_a_close_is_closed_and_reported(world: &World) {
        let listener = world.handle().enter(|| Listener::bind("tcp://127.0.0.1:0")).expect("a listener");
        let address = listener.local_address().ok().and_then(|address| address.as_inet()).expect("an address");
        let raw = world.connect_raw_to(address);
        let task = spawn_on(&world.handle(), async move { listener.accept().await.map(drop) });
        let reports = Reports::default();
        tracing::subscriber::with_default(reports.clone(), || world.until(|| task.is_finished()));
        world.until(|| raw.is_finished());
        assert!(!raw.is_reset());
        let reports = reports.0.lock().expect("the reports");
        let dropped = reports.iter().filter(|report| report.contains("dropped without a close"));
        assert_eq!(dropped.count(), 1, "{reports:?}");
    }
}
