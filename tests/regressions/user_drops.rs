//! Things of the program's that use the loop while the loop drops them.
//!
//! A loop that drops something while it borrows its own tables panics on the first such call.

use std::cell::{Cell, RefCell};
use std::io::IoSlice;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use marline_reactor::{Addresses, Failure, Handle, Phase, Protocol, Server, Transport};

use crate::conformance;
use crate::support::{Log, Raw, Trace, World, address_of, collect_up_to, flood};

/// Uses everything there is while it is dropped.
struct Meddler {
    bystander: Transport,
    own: RefCell<Option<Transport>>,
    server: Server,
    drops: Rc<Cell<usize>>,
}

impl Protocol for Meddler {
    fn connection_made(&mut self, transport: &Transport) {
        *self.own.borrow_mut() = Some(transport.clone());
    }

    fn data_received(&mut self, _: &Transport, _: &[u8]) {}
}

impl Drop for Meddler {
    fn drop(&mut self) {
        let handle = self.bystander.handle();
        use_handle(&handle);
        use_transport(&self.bystander);
        if let Some(own) = self.own.take() {
            use_transport(&own);
            drop(own.set_protocol(|_: &Transport, _: &[u8]| {}, b"unread"));
            own.write_eof();
            own.close();
            own.fail("a failure");
        }
        self.server.set_limit(1000);
        self.server.pause();
        self.server.resume();
        self.server.on_lost(|_, _| {});
        self.server.on_error(|_| {});
        assert!(self.server.connections() < 1000);
        if !handle.is_over() {
            self.bystander.write(b"dropped");
        }
        // Last, so that a drop that panicked half-way is not counted.
        self.drops.set(self.drops.get() + 1);
    }
}

fn use_handle(handle: &Handle) {
    assert!(handle.stats().connections < 1000);
    handle.call_soon(|| {});
    handle.call_later(Duration::ZERO, || {}).cancel();
    drop(handle.signal(|| {}));
    drop(handle.remote().post(|| {}));
    drop(handle.keep_alive());
    drop(handle.local(|_| 7_u32));
    handle.connect("tcp://127.0.0.1:1", |_: &Addresses| Trace::new(&Log::new()), |_| {}).cancel();
    assert!(handle.now() >= marline_reactor::Instant::ZERO);
}

fn use_transport(transport: &Transport) {
    transport.write(b"");
    transport.write_vectored(&[IoSlice::new(b"")]);
    transport.flush();
    transport.unread(b"");
    assert!(transport.set_watermarks(1, 2).is_ok());
    transport.notify_drained();
    transport.pause_reading();
    transport.resume_reading();
    transport.set_close_timeout(Duration::from_secs(5));
    let _ = (transport.local_address(), transport.peer_address(), transport.buffered());
    let _ = (transport.is_closing(), transport.is_reading(), transport.watermarks());
}

/// What the tests share: a connection that must go on, a listener, and the count of failures.
struct Scene {
    bystander: Transport,
    raw: Raw,
    server: Server,
    drops: Rc<Cell<usize>>,
    failures: Rc<RefCell<Vec<String>>>,
}

impl Scene {
    fn new(world: &World) -> Self {
        let (bystander, raw) = world.accept_one(Trace::new(&Log::new()));
        let failures = Rc::new(RefCell::new(Vec::new()));
        let told = Rc::clone(&failures);
        world.handle().on_failure(move |failure: &Failure| told.borrow_mut().push(failure.to_string()));
        let server = world.listen(|_| Trace::new(&Log::new()));
        Self { bystander, raw, server, drops: Rc::default(), failures }
    }

    fn meddler(&self) -> Meddler {
        Meddler {
            bystander: self.bystander.clone(),
            own: RefCell::default(),
            server: self.server.clone(),
            drops: Rc::clone(&self.drops),
        }
    }

    /// So many meddlers were dropped, none of them met a borrowed loop, and the bystander goes on.
    #[track_caller]
    fn assert_dropped(&self, world: &World, count: usize) {
        world.until(|| self.drops.get() == count || !self.failures.borrow().is_empty());
        world.settle();
        assert_eq!(*self.failures.borrow(), Vec::<String>::new());
        assert_eq!(self.drops.get(), count);
        let got = collect_up_to(world, &self.raw, count * 7);
        assert_eq!(got, b"dropped".repeat(count));
    }
}

conformance! {
    fn protocols_that_are_lost(world: &World) {
        let scene = Scene::new(world);
        for end in [Transport::close as fn(&Transport), Transport::abort, |transport| transport.fail("bad")] {
            let (transport, _raw) = world.accept_one(scene.meddler());
            end(&transport);
            world.until(|| transport.peer_address().is_none());
        }
        scene.assert_dropped(world, 3);
    }

    fn protocols_that_are_replaced_or_passed_over(world: &World) {
        let scene = Scene::new(world);
        let (transport, _raw) = world.accept_one(scene.meddler());
        transport.set_protocol(scene.meddler(), b"").expect("a live connection");
        transport.set_protocol(Trace::new(&Log::new()), b"unread").expect("a live connection");
        scene.assert_dropped(world, 2);
        transport.abort();
        drop(transport.set_protocol(scene.meddler(), b"").expect_err("a closing connection"));
        assert_eq!(scene.drops.get(), 3, "on our own stack");
        world.settle();
        assert_eq!(*scene.failures.borrow(), Vec::<String>::new());
    }

    fn closures_that_are_cancelled(world: &World) {
        let scene = Scene::new(world);
        let handle = world.handle();
        let [soon, later, every, signal] = std::array::from_fn(|_| scene.meddler());
        let call = handle.call_soon(move || drop(soon));
        let once = handle.call_later(Duration::from_secs(9), move || drop(later));
        let repeated = handle.call_every(Duration::from_secs(9), move || assert!(every.own.borrow().is_none()));
        let raised = handle.signal(move || assert!(signal.own.borrow().is_none()));
        assert!(call.cancel() && once.cancel() && repeated.cancel());
        drop(raised);
        scene.assert_dropped(world, 4);
    }

    fn closures_of_attempts(world: &World) {
        let scene = Scene::new(world);
        let handle = world.handle();
        for endpoint in [format!("tcp://{}", address_of(&scene.server)), "no endpoint".into(), "tcp://[::1]:1".into()] {
            let [in_factory, in_done] = std::array::from_fn(|_| scene.meddler());
            let factory = move |_: &Addresses| {
                drop(in_factory);
                Trace::new(&Log::new())
            };
            let done = move |_| drop(in_done);
            handle.connect(endpoint.as_str(), factory, done).cancel();
        }
        scene.assert_dropped(world, 6);
    }

    fn closures_of_listeners(world: &World) {
        let scene = Scene::new(world);
        let [in_factory, lost, replaced, error, stopped] = std::array::from_fn(|_| scene.meddler());
        let server = world
            .handle()
            .listen("tcp://127.0.0.1:0", move |_: &Addresses| {
                assert!(in_factory.own.borrow().is_none());
                Trace::new(&Log::new())
            })
            .expect("a listener");
        server.on_lost(move |_, _| assert!(lost.own.borrow().is_none()));
        server.on_lost(move |_, _| assert!(replaced.own.borrow().is_none()));
        server.on_error(move |_| assert!(error.own.borrow().is_none()));
        server.on_stopped(move || drop(stopped));
        server.stop();
        scene.assert_dropped(world, 5);
    }

    fn closures_for_a_listener_that_is_gone(world: &World) {
        let scene = Scene::new(world);
        let server = world.listen(|_| Trace::new(&Log::new()));
        server.stop();
        world.settle();
        let [lost, error, stopped] = std::array::from_fn(|_| scene.meddler());
        server.on_lost(move |_, _| assert!(lost.own.borrow().is_none()));
        server.on_error(move |_| assert!(error.own.borrow().is_none()));
        server.on_stopped(move || drop(stopped));
        scene.assert_dropped(world, 3);
    }

    fn handlers_of_failures_that_are_replaced(world: &World) {
        let scene = Scene::new(world);
        let [first, second] = std::array::from_fn(|_| scene.meddler());
        let failures = Rc::clone(&scene.failures);
        world.handle().on_failure(move |_| assert!(first.own.borrow().is_none()));
        world.handle().on_failure(move |_| assert!(second.own.borrow().is_none()));
        world.handle().on_failure(move |failure| failures.borrow_mut().push(failure.to_string()));
        scene.assert_dropped(world, 2);
    }

    fn everything_at_a_shutdown(world: &World) {
        let scene = Scene::new(world);
        let (failures, drops) = (Rc::clone(&scene.failures), Rc::clone(&scene.drops));
        let _raws = leave_everywhere(world, &scene);
        world.handle().shutdown();
        world.run();
        assert_eq!(*failures.borrow(), Vec::<String>::new());
        assert!(drops.get() >= 4, "protocol, factory, attempt's closures: {}", drops.get());
    }

    fn bytes_that_the_program_owns(world: &World) {
        let scene = Scene::new(world);
        DROPS.set(0);
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log));
        let lend = |bytes| world.handle().enter(|| transport.write_owned(Bytes::from_owner(Lender(bytes))));
        lend(b"");
        lend(b"sent");
        assert_eq!(collect_up_to(world, &raw, 4), b"sent");
        world.until(|| DROPS.get() == 2 || !scene.failures.borrow().is_empty());
        flood(world, &transport);
        lend(b"discarded");
        transport.abort();
        lend(b"refused");
        world.until(|| log.is_lost());
        world.settle();
        assert_eq!(*scene.failures.borrow(), Vec::<String>::new());
        assert_eq!(DROPS.get(), 4);
    }
}

thread_local! {
    static DROPS: Cell<usize> = const { Cell::new(0) };
}

/// Memory lent to the loop. It looks at the loop's tables when it comes back.
struct Lender(&'static [u8]);

impl AsRef<[u8]> for Lender {
    fn as_ref(&self) -> &[u8] {
        self.0
    }
}

impl Drop for Lender {
    fn drop(&mut self) {
        if let Ok(handle) = Handle::current() {
            use_handle(&handle);
        }
        DROPS.set(DROPS.get() + 1);
    }
}

/// Puts a meddler into every place of a loop that holds things of the program's.
fn leave_everywhere(world: &World, scene: &Scene) -> Vec<Raw> {
    let handle = world.handle();
    let [protocol, waiting, successor, in_factory, connect, done, hook] =
        std::array::from_fn(|_| scene.meddler());
    let (_, first) = world.accept_one(protocol);
    let (transport, second) = world.accept_one(waiting);
    transport.set_protocol(successor, b"unread").expect("a live connection");
    let factory = move |_: &Addresses| {
        assert!(in_factory.own.borrow().is_none());
        Trace::new(&Log::new())
    };
    handle.listen("tcp://127.0.0.1:0", factory).expect("a listener");
    let factory = move |_: &Addresses| {
        drop(connect);
        Trace::new(&Log::new())
    };
    handle.connect(format!("tcp://{}", address_of(&scene.server)), factory, move |_| drop(done));
    handle.on_shutdown(Phase::After, move |_| drop(hook));
    vec![first, second]
}

/// Leaves things everywhere, and drops the loop without a shutdown.
fn end_with_everything(make: impl Fn(&dyn Fn(World))) {
    make(&|world| {
        let scene = Scene::new(&world);
        let (failures, drops) = (Rc::clone(&scene.failures), Rc::clone(&scene.drops));
        let raws = leave_everywhere(&world, &scene);
        let handle = world.handle();
        let [soon, later, every, signal, posted] = std::array::from_fn(|_| scene.meddler());
        handle.call_soon(move || drop(soon));
        handle.call_later(Duration::from_secs(9), move || drop(later));
        handle.call_every(Duration::from_secs(9), move || assert!(every.own.borrow().is_none()));
        let raised = handle.signal(move || assert!(signal.own.borrow().is_none()));
        let local = handle.local(move |_| posted).expect("a value");
        drop(local);
        drop(world);
        drop((raised, raws));
        assert_eq!(*failures.borrow(), Vec::<String>::new());
        assert_eq!(drops.get(), 12);
    });
}

#[test]
fn everything_at_the_end_of_a_loop_on_readiness() {
    end_with_everything(|test| World::owned_on_readiness(test));
}

#[test]
fn everything_at_the_end_of_a_loop_on_completion() {
    end_with_everything(|test| World::owned_on_completion(test));
}

#[test]
fn everything_at_the_end_of_a_loop_on_memory() {
    end_with_everything(|test| World::owned_on_memory(test));
}
