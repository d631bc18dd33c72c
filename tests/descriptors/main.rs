//! The descriptors of a process on the backends with real sockets: all of them come back.
//!
//! The count belongs to the process, so this is one test, which runs its checks one after the other.

#![allow(missing_docs, unreachable_pub)]

mod cancelled;
mod many;
#[allow(dead_code, unused_imports, unused_macros)]
#[path = "../conformance/support/mod.rs"]
mod support;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use marline_reactor::{Addresses, Transport};

use support::{Event, Log, Raw, Trace, World, address_of, flood, skip};

/// How many descriptors this process has open.
fn open() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("a list of descriptors").count()
}

#[test]
fn s12_descriptors_return_to_their_baseline() {
    if let Some(order) = many::order() {
        return many::be_the_peers(&order);
    }
    if std::fs::read_dir("/proc/self/fd").is_err() {
        return skip("this system does not list a process's descriptors");
    }
    let baseline = open();
    let backends: [(OnOne, OnOwned); 2] = [
        (|test| World::on_readiness(test), |test| World::owned_on_readiness(test)),
        (|test| World::on_completion(test), |test| World::owned_on_completion(test)),
    ];
    for (on, owned_on) in backends {
        on(&closed_when_connection_lost_runs);
        assert_eq!(open(), baseline, "after losses");
        on(&attempts_leave_nothing);
        assert_eq!(open(), baseline, "after attempts");
        on(&a_listener_leaves_nothing);
        assert_eq!(open(), baseline, "after a listener");
        owned_on(&the_end_of_the_loop_closes_everything);
        assert_eq!(open(), baseline, "after the end of a loop");
        on(&cancelled::whatever_ends_it);
        assert_eq!(open(), baseline, "after everything was cancelled");
        owned_on(&cancelled::the_end_of_the_loop);
        assert_eq!(open(), baseline, "after a loop ended with everything under way");
        on(&many::nine_thousand_connections);
        assert_eq!(open(), baseline, "after nine thousand connections");
    }
}

/// Runs a test in a world, on one of the backends.
type OnOne = fn(&dyn Fn(&World));
type OnOwned = fn(&dyn Fn(World));

/// Ends a connection, from one side or the other.
type End = fn(&Transport, &Raw);

/// How a connection ends.
const ENDS: [(&str, End); 7] = [
    ("Clean", |transport, _| transport.close()),
    ("Aborted", |transport, _| transport.abort()),
    ("Failed", |transport, _| transport.fail("a failure")),
    ("Clean", |_, raw| raw.finish()),
    ("Reset", |_, raw| raw.reset()),
    ("Aborted", |transport, _| {
        transport.close();
        transport.abort();
    }),
    ("Shutdown", |transport, _| transport.handle().shutdown()),
];

fn closed_when_connection_lost_runs(world: &World) {
    for (reason, end) in ENDS {
        let (log, inside) = (Log::new(), Rc::new(Cell::new(0)));
        let seen = Rc::clone(&inside);
        let (transport, raw) =
            world.accept_one(Trace::new(&log).on(Event::Lost(String::new()), move |_| seen.set(open())));
        world.settle();
        let before = open();
        end(&transport, &raw);
        // A reset takes the peer's own descriptor with it.
        let gone = 1 + usize::from(reason == "Reset");
        world.until(|| log.is_lost());
        assert_eq!((log.reason().as_deref(), inside.get()), (Some(reason), before - gone));
    }
}

fn attempts_leave_nothing(world: &World) {
    let before = open();
    let listener = world.listen_raw();
    let outcomes = Rc::new(RefCell::new(Vec::new()));
    // Refused, cancelled, given up by its factory, lost at once: no descriptor stays.
    let refused = format!("tcp://{}", world.listen_raw().address());
    for (endpoint, cancel) in [(refused, false), (listener.endpoint(), true)] {
        let told = Rc::clone(&outcomes);
        let attempt = world.handle().connect(
            endpoint,
            |_: &Addresses| Trace::new(&Log::new()),
            move |outcome| told.borrow_mut().push(outcome.is_ok()),
        );
        assert!(!cancel || attempt.cancel());
    }
    for refuse in [true, false] {
        let told = Rc::clone(&outcomes);
        world.handle().connect(
            listener.endpoint(),
            move |_: &Addresses| (!refuse).then(|| Trace::new(&Log::new()).on(Event::Made, Transport::abort)),
            move |outcome| told.borrow_mut().push(outcome.is_ok()),
        );
    }
    world.until(|| outcomes.borrow().len() == 4);
    world.settle();
    assert_eq!(*outcomes.borrow(), [false; 4]);
    drop(listener);
    assert_eq!(open(), before);
}

fn a_listener_leaves_nothing(world: &World) {
    let before = open();
    let server = world.listen(|_| Trace::new(&Log::new()));
    assert_eq!(open(), before + 1);
    let refuses =
        world.handle().listen("tcp://127.0.0.1:0", |_: &Addresses| None::<Trace>).expect("a listener");
    let raw = world.connect_raw(&refuses);
    world.until(|| raw.is_finished() || raw.is_reset());
    drop(raw);
    assert!(
        world.handle().listen(format!("tcp://{}", address_of(&server)), |_| Trace::new(&Log::new())).is_err()
    );
    server.stop();
    refuses.stop();
    world.settle();
    assert_eq!(open(), before);
}

fn the_end_of_the_loop_closes_everything(world: World) {
    let (transport, first) = world.accept_one(Trace::new(&Log::new()));
    flood(&world, &transport);
    let (closing, second) = world.accept_one(Trace::new(&Log::new()));
    closing.set_close_timeout(Duration::from_secs(60));
    flood(&world, &closing);
    closing.close();
    world.settle();
    let _server = world.listen(|_| Trace::new(&Log::new()));
    let listener = world.listen_raw();
    world.handle().connect(listener.endpoint(), |_: &Addresses| Trace::new(&Log::new()), |_| {});
    drop(world);
    drop((first, second, listener));
}
