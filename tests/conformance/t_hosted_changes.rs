//! T30: what is done to a hosted loop between two turns, and whether its host hears of it.

use std::cell::{Cell, RefCell};
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use futures::channel::oneshot;
use marline_reactor::{
    Addresses, Handle, Interest, JobError, Server, Signal, Timer, Transport, Turned, Watch,
};
use marline_tasks::{JoinHandle, spawn_on};
use marline_tests::{PATIENCE, backends};

use crate::support::{Far, Hosted, Near, Notes, address_of, is_readable};

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn echo(transport: &Transport, data: &[u8]) {
    transport.write(data);
}

fn ignore(_: &Transport, _: &[u8]) {}

/// A loop at rest, with something of everything.
struct Standing {
    hosted: Hosted,
    handle: Handle,
    server: Server,
    /// A connection to the server, which echoes.
    transport: Transport,
    watch: Watch<Near>,
    far: RefCell<Far>,
    timer: Timer,
    signal: RefCell<Option<Signal>>,
    /// A task that waits for the sender.
    task: JoinHandle<()>,
    sender: RefCell<Option<oneshot::Sender<()>>>,
}

impl Standing {
    fn new(hosted: Hosted) -> Self {
        let handle = hosted.handle();
        let server = handle.listen("tcp://127.0.0.1:0", |_: &Addresses| echo).expect("a listener");
        let (near, far) = hosted.source();
        let call = |near: &mut Near, _| _ = near.drain();
        let watch = handle.watch(near, Interest::READABLE, call).expect("something to watch");
        let (sender, receiver) = oneshot::channel();
        let task = spawn_on(&handle, async { _ = receiver.await });
        let transport = connected(&hosted, &server);
        Self {
            server,
            transport,
            watch,
            far: RefCell::new(far),
            timer: handle.call_later(Duration::from_secs(100), || {}),
            signal: RefCell::new(Some(handle.signal(|| {}))),
            task,
            sender: RefCell::new(Some(sender)),
            handle,
            hosted,
        }
    }

    fn connect(&self) {
        self.handle.connect(address_of(&self.server), |_: &Addresses| ignore, drop);
    }

    fn rest(&self) {
        let begun = std::time::Instant::now();
        while self.hosted.wait(ms(5)) {
            assert!(begun.elapsed() < PATIENCE, "it is never at rest");
            self.hosted.turn().expect("a turn");
        }
    }
}

fn connected(hosted: &Hosted, server: &Server) -> Transport {
    let made = Rc::new(RefCell::new(None));
    let seen = Rc::clone(&made);
    let done = move |outcome: Result<Transport, _>| _ = seen.replace(outcome.ok());
    hosted.handle().connect(address_of(server), |_: &Addresses| ignore, done);
    while made.borrow().is_none() {
        assert!(hosted.wait(PATIENCE));
        hosted.turn().expect("a turn");
    }
    made.take().expect("a connection")
}

/// Something that is done between two turns, and what comes before it.
type Change = (&'static str, fn(&Standing), fn(&Standing));

fn nothing(_: &Standing) {}

/// Calls, timers, tasks and other threads' doors.
const CALLS: [Change; 15] = [
    ("call_soon", nothing, |standing| drop(standing.handle.call_soon(|| {}))),
    ("call_later", nothing, |standing| drop(standing.handle.call_later(Duration::ZERO, || {}))),
    ("call_at", nothing, |standing| drop(standing.handle.call_at(standing.handle.now(), || {}))),
    ("call_every", nothing, |standing| drop(standing.handle.call_every(Duration::from_nanos(1), || {}))),
    ("reset", nothing, |standing| assert!(standing.timer.reset(Duration::ZERO))),
    ("reset_at", nothing, |standing| assert!(standing.timer.reset_at(standing.handle.now()))),
    ("spawn_on", nothing, |standing| drop(spawn_on(&standing.handle, async {}))),
    ("a task that is woken", nothing, |standing| drop(standing.sender.take())),
    ("a task that is aborted", nothing, |standing| standing.task.abort()),
    ("before_sleep", nothing, |standing| drop(standing.handle.before_sleep(|| {}))),
    ("post", nothing, |standing| assert!(standing.handle.remote().post(|| {}).is_ok())),
    ("raise", nothing, |standing| standing.signal.borrow().iter().for_each(Signal::raise)),
    ("a signal that is dropped", nothing, |standing| drop(standing.signal.take())),
    ("stop", nothing, |standing| standing.handle.stop()),
    ("shutdown", nothing, |standing| standing.handle.shutdown()),
];

/// Listeners, attempts and watched sources.
const SOURCES: [Change; 15] = [
    ("listen", nothing, |standing| {
        drop(standing.handle.listen("tcp://127.0.0.1:0", |_: &Addresses| ignore));
    }),
    ("adopt_listener", nothing, |standing| {
        // Memory has no use for it, and tells its host nevertheless.
        let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
        drop(standing.handle.adopt_listener(socket, |_: &Addresses| ignore));
    }),
    ("Server::stop", nothing, |standing| standing.server.stop()),
    ("on_stopped", |standing| standing.server.stop(), |standing| standing.server.on_stopped(|| {})),
    (
        "Server::resume",
        |standing| {
            standing.server.pause();
            standing.connect();
        },
        |standing| standing.server.resume(),
    ),
    (
        "set_limit",
        |standing| {
            standing.server.set_limit(1);
            standing.connect();
        },
        |standing| standing.server.set_limit(2),
    ),
    ("connect", nothing, Standing::connect),
    ("connect to a name", nothing, |standing| {
        drop(standing.handle.connect("tcp://localhost:1", |_: &Addresses| ignore, drop));
    }),
    ("connect to no endpoint", nothing, |standing| {
        drop(standing.handle.connect("nonsense", |_: &Addresses| ignore, drop));
    }),
    ("watch", nothing, |standing| {
        let (near, _) = standing.hosted.source();
        drop(standing.handle.watch(near, Interest::WRITABLE.edge(), |_: &mut Near, _| {}));
    }),
    ("set_interest", nothing, |standing| assert!(standing.watch.set_interest(Interest::WRITABLE).is_ok())),
    (
        "Watch::resume",
        |standing| {
            assert!(standing.watch.pause().is_ok());
            standing.far.borrow_mut().signal();
        },
        |standing| assert!(standing.watch.resume().is_ok()),
    ),
    ("set_interest while lent", nothing, |standing| {
        let again = || standing.watch.set_interest(Interest::READABLE);
        assert!(standing.watch.with(|_| again()).is_some_and(|set| set.is_ok()));
    }),
    ("Watch::remove", nothing, |standing| drop(standing.watch.remove())),
    ("remove_all_watches", nothing, |standing| drop(standing.handle.remove_all_watches())),
];

/// Connections.
const TRANSPORTS: [Change; 12] = [
    ("write", nothing, |standing| _ = standing.transport.write(b"x")),
    ("write_owned", nothing, |standing| _ = standing.transport.write_owned(&b"x"[..])),
    ("write_vectored", nothing, |standing| {
        _ = standing.transport.write_vectored(&[std::io::IoSlice::new(b"x")]);
    }),
    ("notify_drained", nothing, |standing| standing.transport.notify_drained()),
    (
        "resume_reading",
        |standing| {
            standing.transport.pause_reading();
            standing.transport.write(b"x");
        },
        |standing| standing.transport.resume_reading(),
    ),
    ("unread", nothing, |standing| standing.transport.unread(b"x")),
    ("watch_peer", nothing, |standing| standing.transport.watch_peer()),
    ("write_eof", nothing, |standing| standing.transport.write_eof()),
    ("set_protocol", nothing, |standing| assert!(standing.transport.set_protocol(ignore, b"x").is_ok())),
    ("close", nothing, |standing| standing.transport.close()),
    ("abort", nothing, |standing| standing.transport.abort()),
    ("fail", nothing, |standing| standing.transport.fail("a reason")),
];

#[test]
fn t30_what_is_done_outside_of_a_turn_wakes_the_host_once() {
    for (by, before, change) in CALLS.into_iter().chain(SOURCES).chain(TRANSPORTS) {
        for hosted in Hosted::each() {
            let standing = Standing::new(hosted);
            before(&standing);
            standing.rest();
            change(&standing);
            change(&standing);
            standing.hosted.assert_woken(by);
            assert!(standing.hosted.turn().is_ok(), "{by}");
        }
    }
}

#[test]
fn t30_the_end_of_a_job_begun_outside_of_a_turn_wakes_the_host() {
    for hosted in Hosted::each() {
        hosted.rest();
        let told = Notes::new();
        let done = told.clone();
        let job = hosted
            .handle()
            .run_blocking(|| 7, move |result: Result<i32, JobError>| done.add(format!("{:?}", result.ok())));
        assert!(job.is_ok() && hosted.wait(PATIENCE), "the job has ended, and nobody hears of it");
        assert_eq!(hosted.drive(), Turned::Idle);
        assert_eq!(told.all(), ["Some(7)"]);
    }
}

#[test]
fn t30_a_job_cancelled_outside_of_a_turn_wakes_the_host() {
    const THREADS: usize = 32;
    for hosted in Hosted::each() {
        let (handle, told) = (hosted.handle(), Notes::new());
        let barrier = Arc::new(Barrier::new(THREADS + 1));
        for _ in 0..THREADS {
            let barrier = Arc::clone(&barrier);
            assert!(handle.run_blocking(move || _ = barrier.wait(), drop).is_ok());
        }
        let done = told.clone();
        let outcome = move |result: Result<(), JobError>| {
            done.add(format!("{}", matches!(result, Err(JobError::Cancelled))))
        };
        let job = handle.run_blocking(|| {}, outcome).unwrap_or_else(|refused| panic!("{refused}"));
        hosted.rest();
        assert!(job.is_waiting() && !hosted.wait(ms(5)));
        assert!(job.cancel());
        hosted.assert_woken("Job::cancel");
        hosted.rest();
        assert_eq!(told.all(), ["true"]);
        barrier.wait();
        assert_eq!(hosted.drive(), Turned::Idle);
    }
}

#[test]
fn t30_a_hook_added_between_turns_wakes_the_host_and_runs() {
    for hosted in Hosted::each() {
        let _alive = hosted.handle().keep_alive();
        hosted.rest();
        let notes = Notes::new();
        let ran = notes.clone();
        hosted.handle().before_sleep(move || ran.add("ran"));
        assert!(hosted.wait(PATIENCE), "the host sleeps, and the hook has not run");
        hosted.rest();
        assert_eq!(notes.all(), ["ran"]);
    }
}

#[test]
fn t30_only_a_nearer_deadline_wakes_the_host() {
    for hosted in Hosted::each() {
        let handle = hosted.handle();
        let timer = handle.call_later(Duration::from_secs(100), || {});
        hosted.rest();
        handle.call_later(Duration::from_secs(200), || {});
        assert!(timer.reset(Duration::from_secs(150)));
        assert!(!hosted.wait(ms(5)), "later is no news");
        assert!(timer.reset(Duration::ZERO));
        hosted.assert_woken("a timer that was set anew");
        hosted.turn().expect("a turn");
        assert_eq!(timer.deadline(), None, "it has run");
        hosted.rest();
        // Nearer, but not yet: who watches the descriptor need not be woken before.
        let soon = handle.call_later(ms(40), || {});
        match &hosted {
            Hosted::Polled(_) => {
                let early = hosted.wait(ms(1));
                assert!(!early || soon.deadline().is_some_and(|deadline| handle.now() >= deadline));
                assert!(hosted.wait(PATIENCE));
            }
            Hosted::Told(memory, _) => {
                hosted.assert_woken("a nearer timer");
                assert!(memory.reactor().has_ready(), "who is told makes a turn");
                hosted.turn().expect("a turn");
                memory.clock().advance(ms(40));
            }
        }
        hosted.turn().expect("a turn");
        assert_eq!(soon.deadline(), None, "it has run");
    }
}

#[test]
fn t30_other_threads_wake_the_host() {
    for hosted in Hosted::each() {
        let (handle, count) = (hosted.handle(), Rc::new(Cell::new(0)));
        let raised = Rc::clone(&count);
        let signal = handle.signal(move || raised.set(raised.get() + 1));
        let ran = Arc::new(AtomicUsize::new(0));
        for round in 0..200 {
            if round % 2 == 0 {
                hosted.rest();
            }
            let (remote, signal, posted) = (handle.remote(), signal.clone(), Arc::clone(&ran));
            let thread = std::thread::spawn(move || {
                signal.raise();
                remote.post(move || _ = posted.fetch_add(1, Ordering::SeqCst)).is_ok()
            });
            // In odd rounds the host may be in a turn just then.
            hosted.turn().expect("a turn");
            assert!(thread.join().expect("a thread that ends"));
            hosted.rest();
            assert_eq!((count.get(), ran.load(Ordering::SeqCst)), (round + 1, round + 1));
        }
    }
}

#[test]
fn t30_a_sleeping_host_is_woken_by_another_thread() {
    for hosted in Hosted::each() {
        hosted.rest();
        let (handle, ran) = (hosted.handle(), Arc::new(AtomicUsize::new(0)));
        let before = handle.stats().wake_ups;
        let (remote, count) = (handle.remote(), Arc::clone(&ran));
        let thread = std::thread::spawn(move || {
            std::thread::sleep(ms(20));
            for _ in 0..100 {
                let count = Arc::clone(&count);
                assert!(remote.post(move || _ = count.fetch_add(1, Ordering::SeqCst)).is_ok());
            }
        });
        assert!(hosted.wait(PATIENCE));
        thread.join().expect("a thread that ends");
        assert_eq!(handle.stats().wake_ups - before, 1, "once for all of them");
        hosted.turn().expect("a turn");
        assert_eq!(ran.load(Ordering::SeqCst), 100);
    }
}

fn t30_a_notice_may_take_the_place_of_the_descriptor_s(backend: &str) {
    let (reactor, notices) = (backends::reactor(backend), Arc::new(AtomicUsize::new(0)));
    let (handle, count) = (reactor.handle(), Arc::clone(&notices));
    handle.call_soon(|| {});
    reactor.set_host(move || {
        count.fetch_add(1, Ordering::SeqCst);
        panic!("a host's notice that fails harms nobody");
    });
    assert_eq!(notices.load(Ordering::SeqCst), 1, "something was ready already");
    let watched = reactor.pollable_fd().unwrap().unwrap();
    reactor.turn(Some(Duration::ZERO)).expect("a turn");
    let calls = handle.stats().system_calls;
    handle.call_soon(|| {});
    handle.call_soon(|| {});
    assert_eq!(notices.load(Ordering::SeqCst), 2);
    let remote = handle.remote();
    std::thread::spawn(move || remote.post(|| {}).is_ok()).join().expect("a thread that ends");
    assert_eq!(notices.load(Ordering::SeqCst), 2, "once until the next turn");
    assert!(!is_readable(&watched, Duration::ZERO), "the notice is enough");
    assert_eq!(handle.stats().system_calls, calls, "and costs no call");
    reactor.turn(Some(Duration::ZERO)).expect("a turn");
    // A turn that waits is woken by the backend, and a run that ends leaves the loop to its host.
    handle.call_later(ms(1), || {});
    reactor.run().expect("a run");
    let told = notices.load(Ordering::SeqCst);
    handle.call_soon(|| {});
    assert_eq!(notices.load(Ordering::SeqCst), told + 1);
    drop(reactor);
    handle.call_soon(|| {});
    assert_eq!(notices.load(Ordering::SeqCst), told + 1, "nobody is told after the end");
}

marline_tests::on_sockets! {
    t30_a_notice_may_take_the_place_of_the_descriptor_s
}
