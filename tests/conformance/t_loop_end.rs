//! T: how a loop that is dropped lets go of everything.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use marline_reactor::{
    Addresses, ConnectError, Handle, KeepAlive, ListenError, Phase, Remote, Server, Signal, Transport,
};

use crate::support::{Log, Notes, Raw, Trace, World};

const HOUR: Duration = Duration::from_secs(3600);

/// What a program may have kept of its loop.
#[derive(Clone)]
struct Kept {
    handle: Handle,
    remote: Remote,
    signal: Signal,
    server: Server,
    transport: Transport,
    _alive: Rc<KeepAlive>,
}

/// Uses everything that was kept, and notes its name, when it is dropped.
struct Probe {
    name: &'static str,
    notes: Notes,
    kept: Rc<RefCell<Option<Kept>>>,
    /// How many probes' leftovers are alive.
    held: Rc<()>,
}

impl Probe {
    /// A method, so that a closure that calls it holds the whole probe.
    fn name(&self) -> &str {
        self.name
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        let kept = self.kept.borrow().clone();
        if let Some(kept) = kept {
            use_handle(&kept, &self.held);
            use_transport(&kept.transport);
        }
        // Last, so that a use that panicked is missed in the notes.
        self.notes.add(self.name);
    }
}

/// Everything answers that the loop has ended, and nothing that it is given is kept.
fn use_handle(kept: &Kept, held: &Rc<()>) {
    let Kept { handle, remote, signal, server, .. } = kept;
    let count = Rc::strong_count(held);
    let given = || {
        let held = Rc::clone(held);
        move || drop(Rc::clone(&held))
    };
    assert!(handle.is_over());
    let call = handle.call_soon(given());
    assert!(!call.is_waiting() && !call.cancel());
    for timer in [handle.call_later(HOUR, given()), handle.call_every(HOUR, given())] {
        assert_eq!((timer.deadline(), timer.cancel(), timer.reset(HOUR)), (None, false, false));
        timer.unreference();
    }
    let factory = given();
    let listening = handle.listen("tcp://127.0.0.1:0", move |_: &Addresses| {
        factory();
        Trace::new(&Log::new())
    });
    assert!(matches!(listening, Err(ListenError::Over)));
    let (factory, done) = (given(), given());
    let protocol = move |_: &Addresses| {
        factory();
        Trace::new(&Log::new())
    };
    let connecting =
        handle.connect("tcp://127.0.0.1:1", protocol, move |_: Result<Transport, ConnectError>| done());
    assert!(!connecting.is_pending() && !connecting.cancel());
    assert_eq!(Rc::strong_count(held), count, "something that was given is kept");

    signal.raise();
    assert!(remote.post(|| unreachable!("the loop is gone")).is_err());
    assert!(remote.local().is_none() && Handle::find(remote.loop_id()).is_none());
    assert!(handle.local(|_| 7_u8).is_none());
    handle.stop();
    handle.shutdown();
    drop(handle.keep_alive());
    server.pause();
    server.resume();
    assert!(handle.stats().timers <= 2 && handle.now() <= handle.now());
}

fn use_transport(transport: &Transport) {
    assert!(!transport.write(b"too late").is_accepted());
    assert!(!transport.write_owned(b"too late".to_vec()).is_accepted());
    assert!(transport.is_closing() && !transport.is_reading());
    transport.pause_reading();
    transport.resume_reading();
    transport.notify_drained();
    transport.flush();
    transport.write_eof();
    transport.close();
    transport.abort();
    transport.fail("too late");
    assert!(transport.set_protocol(|_: &Transport, _: &[u8]| {}, b"").is_err());
}

/// Posts can hold only what is `Send`: this one notes its end in a list of its own, with the thread.
struct Posted(Arc<Mutex<Vec<thread::ThreadId>>>);

impl Drop for Posted {
    fn drop(&mut self) {
        self.0.lock().unwrap().push(thread::current().id());
    }
}

struct First(#[allow(dead_code)] Probe);
struct Second(#[allow(dead_code)] Probe);

struct Scene {
    notes: Notes,
    kept: Rc<RefCell<Option<Kept>>>,
    held: Rc<()>,
    posted: Arc<Mutex<Vec<thread::ThreadId>>>,
    /// The far ends stay until the scene is over.
    far: RefCell<Vec<Raw>>,
}

impl Scene {
    fn new() -> Self {
        Self {
            notes: Notes::new(),
            kept: Rc::default(),
            held: Rc::new(()),
            posted: Arc::default(),
            far: RefCell::default(),
        }
    }

    fn probe(&self, name: &'static str) -> Probe {
        Probe { name, notes: self.notes.clone(), kept: Rc::clone(&self.kept), held: Rc::clone(&self.held) }
    }

    /// Something of each kind, in an order that is not the order of its end, and a handle of each kind that is kept.
    fn furnish(&self, world: &World) {
        let handle = world.handle();
        let probe = self.probe("failure handler");
        handle.on_failure(move |failure| unreachable!("{failure} for {}", probe.name()));
        let (first, second) = (self.probe("first local"), self.probe("second local"));
        handle.local(|_| First(first)).expect("a live loop");
        handle.local(|_| Second(second)).expect("a live loop");
        let probe = self.probe("listener");
        let server = world.listen(move |_| {
            assert!(!probe.name().is_empty());
            Trace::new(&Log::new())
        });
        let (transport, raw) = world.accept_one(self.holder("connection"));
        let (_, other) = world.accept_one(self.holder("another connection"));
        let nobody = world.listen_raw();
        let (factory, done) = (self.probe("attempt"), self.probe("its outcome"));
        handle.connect(
            nobody.endpoint().as_str(),
            move |_: &Addresses| {
                drop(factory);
                Trace::new(&Log::new())
            },
            move |_| drop(done),
        );
        let probe = self.probe("hook");
        handle.on_shutdown(Phase::Before, move |_| drop(probe));
        let probe = self.probe("signal");
        let signal = handle.signal(move || assert!(!probe.name().is_empty()));
        for name in ["timer", "another timer"] {
            let probe = self.probe(name);
            handle.call_later(HOUR, move || drop(probe));
        }
        for name in ["call", "another call"] {
            let probe = self.probe(name);
            handle.call_soon(move || drop(probe));
        }
        let posted = Posted(Arc::clone(&self.posted));
        assert!(handle.remote().post(move || drop(posted)).is_ok());
        let (remote, alive) = (handle.remote(), Rc::new(handle.keep_alive()));
        *self.kept.borrow_mut() = Some(Kept { handle, remote, signal, server, transport, _alive: alive });
        self.far.borrow_mut().extend([raw, other]);
    }

    /// A protocol that holds a probe.
    fn holder(&self, name: &'static str) -> Trace {
        let probe = self.probe(name);
        Trace::new(&Log::new()).with(move |_, _, _| assert!(!probe.name().is_empty()))
    }
}

/// The order is the documented one, and inside of each drop every handle is inert.
#[test]
fn a_dropped_loop_is_emptied_in_order_and_its_handles_are_inert() {
    for world in World::each() {
        let scene = Scene::new();
        scene.furnish(&world);
        drop(world);
        let expected = [
            "call",
            "another call",
            "timer",
            "another timer",
            "signal",
            "attempt",
            "its outcome",
            "hook",
            "listener",
            "connection",
            "another connection",
            "second local",
            "first local",
            "failure handler",
        ];
        assert_eq!(scene.notes.all(), expected);
        assert_eq!(*scene.posted.lock().unwrap(), [thread::current().id()]);
        // The handles outlive it, and are as inert now.
        let kept = scene.kept.take().expect("what was kept");
        use_handle(&kept, &scene.held);
        use_transport(&kept.transport);
        kept.server.stop();
        kept.server.on_stopped(|| unreachable!("the loop is gone"));
        assert_eq!(Rc::strong_count(&scene.held), 1);
    }
}

/// A closure that holds its own loop's handle is a circle, which the end of the loop breaks.
#[test]
fn no_circle_of_handles_outlives_its_loop() {
    for world in World::each() {
        let (handle, held) = (world.handle(), Rc::new(()));
        let circle = || {
            let (handle, held) = (handle.clone(), Rc::clone(&held));
            move || drop((handle.clone(), Rc::clone(&held)))
        };
        handle.call_later(HOUR, circle());
        handle.call_every(HOUR, circle());
        let signal = handle.signal(circle());
        let (hook, failure) = (circle(), circle());
        handle.on_shutdown(Phase::After, move |_| hook());
        handle.on_failure(move |_| failure());
        let (factory, protocol, local) = (circle(), circle(), circle());
        let server = world.listen(move |_| {
            factory();
            Trace::new(&Log::new())
        });
        let (transport, _raw) = world.accept_one(Trace::new(&Log::new()).with(move |_, _, _| protocol()));
        handle.local(|_| Cell::new(Some(local))).expect("a live loop");
        handle.call_soon(circle());
        assert_eq!(Rc::strong_count(&held), 10);
        drop(world);
        assert_eq!(Rc::strong_count(&held), 1);
        drop((signal, server, transport));
    }
}
