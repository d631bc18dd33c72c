//! Callbacks and drops that panic. Each is contained by itself; two at once must not become an abort.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use marline_reactor::{Addresses, ConnectError, Failure, Handle, Phase, Protocol, Transport};

use crate::conformance;
use crate::support::{Log, Raw, Trace, World, address_of, collect_up_to, flood};

/// A thing whose drop panics.
struct Bomb(Rc<Cell<usize>>);

impl Drop for Bomb {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
        panic!("a bomb");
    }
}

impl Protocol for Bomb {
    fn data_received(&mut self, _: &Transport, _: &[u8]) {}
}

impl Bomb {
    fn hold(&self) {
        assert!(self.0.get() < usize::MAX);
    }
}

/// Memory lent to the loop whose return panics.
struct Lender(&'static [u8]);

impl AsRef<[u8]> for Lender {
    fn as_ref(&self) -> &[u8] {
        self.0
    }
}

impl Drop for Lender {
    fn drop(&mut self) {
        panic!("a bomb");
    }
}

/// A loop whose failures are counted, and a connection that has to go on.
struct Scene {
    raw: Raw,
    failures: Rc<RefCell<Vec<String>>>,
    drops: Rc<Cell<usize>>,
}

impl Scene {
    fn new(world: &World) -> Self {
        let (_, raw) = world.accept_one(|transport: &Transport, data: &[u8]| transport.write(data));
        let failures = Rc::new(RefCell::new(Vec::new()));
        let told = Rc::clone(&failures);
        world.handle().on_failure(move |failure: &Failure| told.borrow_mut().push(failure.to_string()));
        Self { raw, failures, drops: Rc::default() }
    }

    fn bomb(&self) -> Bomb {
        Bomb(Rc::clone(&self.drops))
    }

    /// So many failures were reported, each a panic, and the loop goes on.
    #[track_caller]
    fn assert_reported(&self, world: &World, count: usize) {
        world.until(|| self.failures.borrow().len() >= count);
        world.settle();
        let failures = self.failures.borrow();
        assert_eq!(failures.len(), count, "{failures:?}");
        assert!(failures.iter().all(|failure| failure.contains("a bomb")), "{failures:?}");
        self.raw.write(b"still there?");
        assert_eq!(collect_up_to(world, &self.raw, 12), b"still there?");
    }
}

conformance! {
    fn callbacks_of_the_loop(world: &World) {
        let scene = Scene::new(world);
        let handle = world.handle();
        handle.call_soon(|| panic!("a bomb"));
        handle.call_later(Duration::ZERO, || panic!("a bomb"));
        let every = handle.call_every(Duration::from_millis(1), || panic!("a bomb"));
        let signal = handle.signal(|| panic!("a bomb"));
        signal.raise();
        assert!(handle.remote().post(|| panic!("a bomb")).is_ok());
        world.until(|| scene.failures.borrow().len() >= 6);
        // A repeating call goes on after a panic; so does a signal.
        assert!(every.cancel());
        world.settle();
        let before = scene.failures.borrow().len();
        signal.raise();
        scene.assert_reported(world, before + 1);
    }

    fn callbacks_of_listeners(world: &World) {
        let scene = Scene::new(world);
        let server = world.listen(|_| -> Trace { panic!("a bomb") });
        server.on_stopped(|| panic!("a bomb"));
        for _ in 0..3 {
            let raw = world.connect_raw(&server);
            // The connection is refused, and the listener goes on.
            world.until(|| {
                let _ = raw.read();
                raw.is_finished() || raw.is_reset()
            });
        }
        assert_eq!(server.connections(), 0);
        server.stop();
        scene.assert_reported(world, 4);
        let (log, server) = (Log::new(), world.listen(|_| |transport: &Transport, _: &[u8]| transport.abort()));
        server.on_lost(|_, _| panic!("a bomb"));
        for _ in 0..2 {
            let raw = world.connect_raw(&server);
            raw.write(b"x");
            world.until(|| raw.is_reset());
        }
        assert!(!log.is_lost());
        scene.assert_reported(world, 6);
        assert_eq!(server.connections(), 0);
    }

    fn callbacks_of_attempts(world: &World) {
        let scene = Scene::new(world);
        let server = world.listen(|_| Trace::new(&Log::new()));
        let endpoint = format!("tcp://{}", address_of(&server));
        let outcome = Rc::new(Cell::new(false));
        let told = Rc::clone(&outcome);
        world.handle().connect(
            endpoint.as_str(),
            |_: &Addresses| -> Trace { panic!("a bomb") },
            move |outcome| told.set(matches!(outcome, Err(ConnectError::Panicked { .. }))),
        );
        world.until(|| outcome.get());
        world.handle().connect(endpoint.as_str(), |_: &Addresses| Trace::new(&Log::new()), |_| panic!("a bomb"));
        world.handle().connect("no endpoint", |_: &Addresses| Trace::new(&Log::new()), |_| panic!("a bomb"));
        scene.assert_reported(world, 2);
    }

    fn hooks_of_a_shutdown(world: &World) {
        let scene = Scene::new(world);
        for phase in [Phase::Before, Phase::During, Phase::After] {
            world.handle().on_shutdown(phase, |_| panic!("a bomb"));
        }
        world.handle().shutdown();
        world.run();
        assert_eq!(scene.failures.borrow().len(), 3);
    }

    fn the_handler_of_failures_itself(world: &World) {
        let told = Rc::new(Cell::new(0));
        let count = Rc::clone(&told);
        world.handle().on_failure(move |_| {
            count.set(count.get() + 1);
            panic!("in the handler");
        });
        for _ in 0..2 {
            world.handle().call_soon(|| panic!("a bomb"));
        }
        world.until(|| told.get() == 2);
    }

    fn drops_of_protocols(world: &World) {
        let scene = Scene::new(world);
        // One is lost, one replaced, one passed over.
        let (lost, _first) = world.accept_one(scene.bomb());
        lost.abort();
        let (replaced, _second) = world.accept_one(scene.bomb());
        replaced.set_protocol(scene.bomb(), b"").expect("a live connection");
        replaced.set_protocol(Trace::new(&Log::new()), b"").expect("a live connection");
        scene.assert_reported(world, 3);
        assert_eq!(scene.drops.get(), 3);
        assert!(replaced.write(b"alive").is_accepted());
        assert_eq!(world.handle().stats().connections, 2);
    }

    fn drops_of_what_is_cancelled(world: &World) {
        let scene = Scene::new(world);
        let handle = world.handle();
        let [soon, once, every, signal] = std::array::from_fn(|_| scene.bomb());
        assert!(handle.call_soon(move || drop(soon)).cancel());
        assert!(handle.call_later(Duration::from_secs(9), move || drop(once)).cancel());
        assert!(handle.call_every(Duration::from_secs(9), move || every.hold()).cancel());
        drop(handle.signal(move || signal.hold()));
        scene.assert_reported(world, 4);
    }

    fn several_drops_of_one_listener(world: &World) {
        let scene = Scene::new(world);
        let [factory, lost, error, stopped] = std::array::from_fn(|_| scene.bomb());
        let make = move |_: &Addresses| {
            factory.hold();
            Trace::new(&Log::new())
        };
        let server = world.handle().listen("tcp://127.0.0.1:0", make).expect("a listener");
        server.on_lost(move |_, _| lost.hold());
        server.on_error(move |_| error.hold());
        server.on_stopped(move || drop(stopped));
        server.stop();
        scene.assert_reported(world, 4);
        assert_eq!(scene.drops.get(), 4);
    }

    fn several_drops_of_bytes_that_were_lent(world: &World) {
        let scene = Scene::new(world);
        let (transport, raw) = world.accept_one(Trace::new(&Log::new()));
        for part in [b"ab", b"cd", b"ef"] {
            transport.write_owned(Bytes::from_owner(Lender(part)));
        }
        assert_eq!(collect_up_to(world, &raw, 6), b"abcdef");
        scene.assert_reported(world, 3);
        flood(world, &transport);
        transport.write_owned(Bytes::from_owner(Lender(b"ab")));
        transport.write_owned(Bytes::from_owner(Lender(b"cd")));
        transport.abort();
        scene.assert_reported(world, 5);
    }
}

/// Leaves bombs everywhere, two of a kind, and drops the loop: each goes off by itself.
fn end_with_bombs(world: World) {
    let scene = Scene::new(&world);
    let (failures, drops) = (Rc::clone(&scene.failures), Rc::clone(&scene.drops));
    let handle = world.handle();
    let mut kept = Vec::new();
    let mut ends = Vec::new();
    for _ in 0..2 {
        let (transport, raw) = world.accept_one(scene.bomb());
        flood(&world, &transport);
        transport.write_owned(Bytes::from_owner(Lender(b"lent")));
        transport.write_owned(Bytes::from_owner(Lender(b"lent")));
        transport.set_protocol(scene.bomb(), b"unread").expect("a live connection");
        ends.push(raw);
        kept.extend(leave_bombs(&handle, &scene));
    }
    drop(world);
    drop(kept);
    let failures = failures.borrow();
    assert!(failures.iter().all(|failure| failure.contains("a bomb")), "{failures:?}");
    // For each round: protocol, successor, factory, two closures of an attempt, hook, call, timers, signal, two values.
    assert_eq!(drops.get(), 2 * 11);
    assert!(failures.len() >= 2 * 11, "each is reported: {failures:?}");
}

fn leave_bombs(handle: &Handle, scene: &Scene) -> Vec<marline_reactor::Signal> {
    struct First(Bomb);
    struct Second(Bomb);
    let [factory, connect, done, hook, soon, later, every, signal] = std::array::from_fn(|_| scene.bomb());
    let make = move |_: &Addresses| {
        factory.hold();
        Trace::new(&Log::new())
    };
    handle.listen("tcp://127.0.0.1:0", make).expect("a listener");
    let make = move |_: &Addresses| {
        drop(connect);
        Trace::new(&Log::new())
    };
    handle.connect("tcp://127.0.0.1:1", make, move |_| drop(done));
    handle.on_shutdown(Phase::After, move |_| drop(hook));
    handle.call_soon(move || drop(soon));
    handle.call_later(Duration::from_secs(9), move || drop(later));
    handle.call_every(Duration::from_secs(9), move || every.hold());
    if let Some(first) = handle.local(|_| First(scene.bomb())) {
        first.0.hold();
    }
    if let Some(second) = handle.local(|_| Second(scene.bomb())) {
        second.0.hold();
    }
    vec![handle.signal(move || signal.hold())]
}

#[test]
fn everything_at_the_end_of_a_loop_on_readiness() {
    World::owned_on_readiness(end_with_bombs);
}

#[test]
fn everything_at_the_end_of_a_loop_on_completion() {
    World::owned_on_completion(end_with_bombs);
}

#[test]
fn everything_at_the_end_of_a_loop_on_memory() {
    World::owned_on_memory(end_with_bombs);
}
