//! T: a foreign loop drives ours. Here the hosts are bare: poll(2), epoll(7), and a plain count of notices.
//!
//! The whole suite runs under real hosts with `MARLINE_GUEST`; see `support/guest`.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use marline_reactor::testing::{Clock, MemoryReactor, Network};
use marline_reactor::{
    Addresses, Choices, Handle, Interest, JobError, KeepAlive, Protocol, Timer, Transport, Turned,
};
use marline_tests::{PATIENCE, backends};
use rustix::event::{Timespec, epoll};

use crate::support::{Far, Hosted, Near, Notes, address_of, source_pair};

/// How long nothing has to happen to count as nothing.
const QUIET: Duration = Duration::from_millis(60);

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Answers what it gets, and closes at the end.
struct Echo(Notes);

impl Protocol for Echo {
    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        self.0.add(format!("served {}", String::from_utf8_lossy(data)));
        transport.write(data);
    }
}

/// Says something, and ends everything when it is answered.
struct Client(Notes);

impl Protocol for Client {
    fn connection_made(&mut self, transport: &Transport) {
        transport.write(b"hello");
    }

    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        self.0.add(format!("answered {}", String::from_utf8_lossy(data)));
        transport.handle().shutdown();
    }
}

/// A program that does a little of everything, in a certain order: each step begins when the one before is done.
fn program(handle: &Handle, notes: &Notes, source: (Near, Far)) {
    let inner = notes.clone();
    let server =
        handle.listen("tcp://127.0.0.1:0", move |_: &Addresses| Echo(inner.clone())).expect("a listener");
    handle.call_soon(notes.noting("soon"));
    handle.call_later(ms(2), notes.noting("2 ms"));
    let (again, last, address) = (handle.clone(), notes.clone(), address_of(&server));
    let connect = move || {
        let client = Client(last);
        again.connect(address, move |_: &Addresses| client, |made| drop(made.expect("a connection")));
    };
    let mut steps = Some(steps(handle, notes, source, connect));
    let repeated = Rc::new(RefCell::new(None::<Timer>));
    let (own, count, every) = (Rc::clone(&repeated), Cell::new(0), notes.clone());
    *repeated.borrow_mut() = Some(handle.call_every(ms(3), move || {
        every.add("every 3 ms");
        count.set(count.get() + 1);
        if count.get() == 3 {
            own.borrow_mut().take().expect("the timer").cancel();
            steps.take().into_iter().for_each(|begin| begin());
        }
    }));
}

/// Threads, jobs and foreign sources, one after the other: a post, a signal, a job, a watch, a hook before the sleep, `then`.
fn steps(
    handle: &Handle,
    notes: &Notes,
    source: (Near, Far),
    then: impl FnOnce() + 'static,
) -> impl FnOnce() + 'static {
    let (near, far) = source;
    let far = Rc::new(RefCell::new(far));
    let hook = hooked(handle, notes, then);
    // The far end lives as long as the watch: its end would be an event.
    let (watched, kept, mut hook) = (notes.clone(), Rc::clone(&far), Some(hook));
    let call = move |near: &mut Near, _| {
        watched.add(format!("a watch of {}", near.drain()));
        let _ = &kept;
        hook.take().into_iter().for_each(|add| add());
    };
    handle.watch(near, Interest::READABLE, call).expect("something to watch");
    let worked = notes.clone();
    let job = hop(handle, move |handle, _| {
        let done = move |result: Result<i32, JobError>| {
            worked.add(format!("a job with {:?}", result.ok()));
            far.borrow_mut().signal();
        };
        handle.run_blocking(|| 42, done).expect("a thread");
    });
    let (signalled, mut job) = (notes.clone(), Some(job));
    let signal = hop(handle, move |handle, alive| {
        let mut alive = Some(alive);
        let raised = handle.signal(move || {
            signalled.add("a signal");
            job.take().into_iter().for_each(|begin| begin());
            alive.take();
        });
        std::thread::spawn(move || raised.raise());
    });
    let (posted, from) = (notes.clone(), handle.clone());
    move || {
        let alive = from.keep_alive();
        from.local(|_| Next::default()).expect("a loop that lives").0.replace(Some(Box::new(move || {
            posted.add("a post");
            signal();
            drop(alive);
        })));
        let remote = from.remote();
        std::thread::spawn(move || {
            let here = remote.clone();
            remote.post(move || {
                let next = here.local().and_then(|handle| handle.local(|_| Next::default()));
                next.and_then(|next| next.0.take()).into_iter().for_each(|begin| begin());
            })
        });
    }
}

/// What a post from another thread, which can hold nothing of the loop's, goes on with.
#[derive(Default)]
struct Next(RefCell<Option<Box<dyn FnOnce()>>>);

/// A step that is given the loop, and a guard that keeps it going.
fn hop<F: FnOnce(&Handle, KeepAlive) + 'static>(handle: &Handle, step: F) -> impl FnOnce() + use<F> {
    let handle = handle.clone();
    move || step(&handle, handle.keep_alive())
}

/// A step that adds a hook, which runs once, before the next sleep.
fn hooked(handle: &Handle, notes: &Notes, then: impl FnOnce() + 'static) -> impl FnOnce() + 'static {
    let (handle, notes, mut then) = (handle.clone(), notes.clone(), Some(then));
    move || {
        handle.before_sleep(move || {
            if let Some(then) = then.take() {
                notes.add("before sleep");
                then();
            }
        });
    }
}

const PROGRAM: [&str; 12] = [
    "soon",
    "2 ms",
    "every 3 ms",
    "every 3 ms",
    "every 3 ms",
    "a post",
    "a signal",
    "a job with Some(42)",
    "a watch of 1",
    "before sleep",
    "served hello",
    "answered hello",
];

#[test]
fn t29_a_host_executes_what_a_run_would() {
    for hosted in Hosted::each() {
        let notes = Notes::new();
        program(&hosted.handle(), &notes, hosted.source());
        assert_eq!(hosted.drive(), Turned::Over);
        assert_eq!(notes.all(), PROGRAM);
        assert!(hosted.turn().is_err_and(|error| error.is_over()));
    }
    for backend in backends::here() {
        let (reactor, notes) = (backends::reactor(backend), Notes::new());
        program(&reactor.handle(), &notes, source_pair(false));
        reactor.run().expect("a run");
        assert_eq!(notes.all(), PROGRAM);
    }
    let (memory, notes) = (MemoryReactor::new(), Notes::new());
    program(&memory.handle(), &notes, source_pair(true));
    memory.run().expect("a run");
    assert_eq!(notes.all(), PROGRAM);
}

#[test]
fn t29_under_every_seed_too() {
    for seed in 0..16 {
        let network = Network::new(Choices::seeded(seed));
        let memory = MemoryReactor::on(&network, &Clock::new());
        let hosted = Hosted::Told(memory, Arc::default());
        let notes = Notes::new();
        program(&hosted.handle(), &notes, hosted.source());
        assert_eq!(hosted.drive(), Turned::Over);
        assert_eq!(notes.all(), PROGRAM, "seed {seed}");
    }
}

#[test]
fn t29_a_turn_tells_what_a_run_would_do() {
    for hosted in Hosted::each() {
        let handle = hosted.handle();
        assert_eq!(hosted.turn().expect("a turn"), Turned::Idle);
        let guard = handle.keep_alive();
        assert_eq!(hosted.turn().expect("a turn"), Turned::GoesOn);
        handle.stop();
        assert_eq!(hosted.turn().expect("a turn"), Turned::Stopped);
        let stops = handle.clone();
        handle.call_soon(move || stops.stop());
        assert_eq!(hosted.turn().expect("a turn"), Turned::Stopped);
        assert_eq!(hosted.turn().expect("a turn"), Turned::GoesOn, "a stop is obeyed once");
        drop(guard);
        assert_eq!(hosted.turn().expect("a turn"), Turned::Idle);
        handle.stop();
        handle.shutdown();
        assert_eq!(hosted.turn().expect("a turn"), Turned::Stopped);
        assert_eq!(hosted.drive(), Turned::Over);
    }
}

#[test]
fn t29_a_host_makes_no_turn_while_nothing_happens() {
    for hosted in Hosted::each() {
        let handle = hosted.handle();
        let notes = Notes::new();
        let inner = notes.clone();
        let server =
            handle.listen("tcp://127.0.0.1:0", move |_: &Addresses| Echo(inner.clone())).expect("a listener");
        handle.call_later(Duration::from_secs(3600), || {});
        hosted.rest();
        let (turns, calls) = (hosted.turns(), handle.stats().system_calls);
        assert!(!hosted.wait(QUIET), "there is nothing to do");
        // What makes a deadline later, or nothing ready, is no reason either.
        handle.call_later(Duration::from_secs(7200), || {}).cancel();
        drop(handle.keep_alive());
        assert!(!hosted.wait(QUIET), "nothing became ready");
        assert_eq!(hosted.turns(), turns);
        assert_eq!(handle.stats().system_calls.waits, calls.waits);
        server.stop();
    }
}

fn t29_deadlines_below_a_millisecond_need_the_descriptor_only(backend: &str) {
    const SLEEPS: u64 = 20;
    // A descriptor that knew of milliseconds only would be late by 700 microseconds each time. Other programs may be in
    // the way, but not always.
    const LATE: Duration = Duration::from_micros(600);
    let hosted = Hosted::polled(backend);
    let handle = hosted.handle();
    hosted.rest();
    let (turns, patience) = (hosted.turns(), std::time::Instant::now());
    let (mut sleeps, mut best) = (0, Duration::MAX);
    while sleeps < SLEEPS || best >= LATE {
        assert!(patience.elapsed() < PATIENCE, "{best:?} at best");
        let deadline = handle.now() + Duration::from_micros(300);
        let late = Rc::new(Cell::new(None));
        let (told, again) = (Rc::clone(&late), handle.clone());
        handle.call_at(deadline, move || told.set(Some(again.now() - deadline)));
        assert!(hosted.wait(PATIENCE));
        hosted.turn().expect("a turn");
        best = best.min(late.get().expect("a timer that is not early"));
        sleeps += 1;
    }
    assert_eq!(hosted.turns() - turns, sleeps, "one turn each");
}

fn t29_a_host_that_looks_for_changes_only_misses_none(backend: &str) {
    let hosted = Hosted::polled(backend);
    let set = epoll::create(epoll::CreateFlags::CLOEXEC).expect("a set");
    let watched = hosted.reactor().pollable_fd().unwrap().unwrap();
    let (data, flags) = (epoll::EventData::new_u64(1), epoll::EventFlags::IN | epoll::EventFlags::ET);
    epoll::add(&set, watched, data, flags).expect("a registration");
    let notes = Notes::new();
    program(&hosted.handle(), &notes, hosted.source());
    let patience = Timespec::try_from(PATIENCE).expect("a short time");
    let mut turned = Turned::GoesOn;
    while turned == Turned::GoesOn {
        let mut events = Vec::with_capacity(4);
        let waited = rustix::io::retry_on_intr(|| {
            epoll::wait(&set, rustix::buffer::spare_capacity(&mut events), Some(&patience))
        });
        assert_eq!(waited.expect("a wait"), 1, "a change was missed");
        turned = hosted.turn().expect("a turn");
    }
    assert_eq!((turned, notes.all()), (Turned::Over, PROGRAM.map(str::to_owned).to_vec()));
}

#[test]
fn t29_what_a_turn_leaves_over_wakes_the_host_again() {
    for hosted in Hosted::each() {
        let (handle, count) = (hosted.handle(), Rc::new(Cell::new(0)));
        for _ in 0..20_000 {
            let count = Rc::clone(&count);
            handle.call_soon(move || count.set(count.get() + 1));
        }
        let mut turns = 0;
        while hosted.wait(Duration::ZERO) {
            hosted.turn().expect("a turn");
            turns += 1;
        }
        assert_eq!(count.get(), 20_000);
        assert!(turns > 1, "it was too much for one turn");
    }
}

marline_tests::on_sockets! {
    t29_deadlines_below_a_millisecond_need_the_descriptor_only
    t29_a_host_that_looks_for_changes_only_misses_none
}
