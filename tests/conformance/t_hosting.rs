//! T: a foreign loop drives ours. Here the hosts are bare: poll(2), epoll(7), and a plain count of notices.
//!
//! The whole suite runs under real hosts with `MARLINE_GUEST`; see `support/guest`.

use std::cell::{Cell, RefCell};
use std::os::fd::AsFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use marline_reactor::testing::{MemoryReactor, Network};
use marline_reactor::{Addresses, Choices, Handle, Protocol, Reactor, RunError, Timer, Transport, Turned};
use marline_tests::PATIENCE;
use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};

use crate::support::{Notes, address_of};

/// How long nothing has to happen to count as nothing.
const QUIET: Duration = Duration::from_millis(60);

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// A loop, and the host that drives it.
enum Hosted {
    /// It watches the descriptor, and nothing else.
    Polled(Reactor),
    /// It is told by notices, and asks what is ready and when the next deadline is.
    Told(MemoryReactor, Arc<AtomicUsize>),
}

impl Hosted {
    fn polled() -> Self {
        let this = Self::Polled(Reactor::new().expect("a loop"));
        assert!(this.reactor().pollable_fd().expect("descriptors to spare").is_some());
        this
    }

    fn told() -> Self {
        let (memory, notices) = (MemoryReactor::new(), Arc::new(AtomicUsize::new(0)));
        assert!(memory.reactor().pollable_fd().expect("no error").is_none());
        let count = Arc::clone(&notices);
        memory.reactor().set_host(move || _ = count.fetch_add(1, Ordering::SeqCst));
        Self::Told(memory, notices)
    }

    fn each() -> [Self; 2] {
        [Self::polled(), Self::told()]
    }

    fn reactor(&self) -> &Reactor {
        match self {
            Self::Polled(reactor) => reactor,
            Self::Told(memory, _) => memory.reactor(),
        }
    }

    fn handle(&self) -> Handle {
        self.reactor().handle()
    }

    fn turns(&self) -> u64 {
        self.handle().stats().turns
    }

    /// Waits as the host does, for at most `limit`: whether it has a reason to make a turn.
    fn wait(&self, limit: Duration) -> bool {
        match self {
            Self::Polled(reactor) => is_readable(&reactor.pollable_fd().unwrap().unwrap(), limit),
            Self::Told(memory, notices) => {
                let begun = std::time::Instant::now();
                let told = || memory.reactor().has_ready() || notices.load(Ordering::SeqCst) > 0;
                while !told() && begun.elapsed() < limit {
                    std::thread::sleep(ms(1));
                }
                told()
            }
        }
    }

    /// Makes a turn that does not wait. The notices before it are forgotten; in it there are none.
    fn turn(&self) -> Result<Turned, RunError> {
        if let Self::Told(_, notices) = self {
            notices.store(0, Ordering::SeqCst);
        }
        let turned = self.reactor().turn(Some(Duration::ZERO));
        if let Self::Told(_, notices) = self {
            assert_eq!(notices.load(Ordering::SeqCst), 0, "a notice during a turn");
        }
        turned
    }

    /// Makes turns until there is no reason for one.
    fn rest(&self) {
        while self.wait(Duration::ZERO) {
            self.turn().expect("a turn");
        }
    }

    /// Drives the loop as a host does, until it comes to its end.
    fn drive(&self) -> Turned {
        let begun = std::time::Instant::now();
        let mut turned = self.turn().expect("a turn");
        while turned == Turned::GoesOn {
            assert!(begun.elapsed() < PATIENCE, "the loop has no end");
            if let Self::Told(memory, _) = self {
                let next = memory.reactor().next_deadline();
                match next {
                    Some(next) if !memory.reactor().has_ready() => {
                        memory.clock().advance(next - memory.clock().now());
                    }
                    _ => {}
                }
            }
            assert!(self.wait(PATIENCE), "nothing brings the loop to its end");
            turned = self.turn().expect("a turn");
        }
        turned
    }

    /// What woke the host, and that once was enough.
    #[track_caller]
    fn assert_woken(&self, by: &str) {
        assert!(self.wait(Duration::ZERO), "{by} wakes nobody");
        if let Self::Told(_, notices) = self {
            assert_eq!(notices.load(Ordering::SeqCst), 1, "{by}");
        }
    }
}

fn is_readable(descriptor: &impl AsFd, limit: Duration) -> bool {
    let limit = Timespec::try_from(limit).expect("a short time");
    let mut polled = [PollFd::new(descriptor, PollFlags::IN)];
    poll(&mut polled, Some(&limit)).expect("a poll") == 1
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

/// A program that does a little of everything, in a certain order.
fn program(handle: &Handle, notes: &Notes) {
    let inner = notes.clone();
    let server =
        handle.listen("tcp://127.0.0.1:0", move |_: &Addresses| Echo(inner.clone())).expect("a listener");
    handle.call_soon(notes.noting("soon"));
    handle.call_later(ms(2), notes.noting("2 ms"));
    let (again, last, address) = (handle.clone(), notes.clone(), address_of(&server));
    let repeated = Rc::new(RefCell::new(None::<Timer>));
    let (own, count, every) = (Rc::clone(&repeated), Cell::new(0), notes.clone());
    *repeated.borrow_mut() = Some(handle.call_every(ms(3), move || {
        every.add("every 3 ms");
        count.set(count.get() + 1);
        if count.get() == 3 {
            own.borrow_mut().take().expect("the timer").cancel();
            let client = Client(last.clone());
            again.connect(address, move |_: &Addresses| client, |made| drop(made.expect("a connection")));
        }
    }));
}

const PROGRAM: [&str; 7] =
    ["soon", "2 ms", "every 3 ms", "every 3 ms", "every 3 ms", "served hello", "answered hello"];

#[test]
fn t29_a_host_executes_what_a_run_would() {
    for hosted in Hosted::each() {
        let notes = Notes::new();
        program(&hosted.handle(), &notes);
        assert_eq!(hosted.drive(), Turned::Over);
        assert_eq!(notes.all(), PROGRAM);
        assert!(hosted.turn().is_err_and(|error| error.is_over()));
    }
    let (reactor, notes) = (Reactor::new().expect("a loop"), Notes::new());
    program(&reactor.handle(), &notes);
    reactor.run().expect("a run");
    assert_eq!(notes.all(), PROGRAM);
}

#[test]
fn t29_under_every_seed_too() {
    for seed in 0..16 {
        let network = Network::new(Choices::seeded(seed));
        let memory = MemoryReactor::on(&network, &marline_reactor::testing::Clock::new());
        let hosted = Hosted::Told(memory, Arc::default());
        let notes = Notes::new();
        program(&hosted.handle(), &notes);
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

#[test]
fn t29_deadlines_below_a_millisecond_need_the_descriptor_only() {
    const SLEEPS: u64 = 20;
    // A descriptor that knew of milliseconds only would be late by 700 microseconds each time. Other programs may be in
    // the way, but not always.
    const LATE: Duration = Duration::from_micros(600);
    let hosted = Hosted::polled();
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

#[test]
fn t29_a_host_that_looks_for_changes_only_misses_none() {
    let hosted = Hosted::polled();
    let set = epoll::create(epoll::CreateFlags::CLOEXEC).expect("a set");
    let watched = hosted.reactor().pollable_fd().unwrap().unwrap();
    let (data, flags) = (epoll::EventData::new_u64(1), epoll::EventFlags::IN | epoll::EventFlags::ET);
    epoll::add(&set, watched, data, flags).expect("a registration");
    let notes = Notes::new();
    program(&hosted.handle(), &notes);
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

/// Something that is done between two turns.
type Change = (&'static str, fn(&Handle, &Transport));

const CHANGES: [Change; 9] = [
    ("call_soon", |handle, _| drop(handle.call_soon(|| {}))),
    ("a task", |handle, _| drop(marline_tasks::spawn_on(handle, async {}))),
    ("a nearer timer", |handle, _| drop(handle.call_later(Duration::ZERO, || {}))),
    ("a write", |_, transport| _ = transport.write(b"x")),
    ("an attempt to connect", |handle, _| {
        drop(handle.connect("tcp://127.0.0.1:1", |_: &Addresses| |_: &Transport, _: &[u8]| {}, drop));
    }),
    ("a listener", |handle, _| {
        drop(handle.listen("tcp://127.0.0.1:0", |_: &Addresses| |_: &Transport, _: &[u8]| {}));
    }),
    ("an abort", |_, transport| transport.abort()),
    ("a stop", |handle, _| handle.stop()),
    ("a shutdown", |handle, _| handle.shutdown()),
];

#[test]
fn t30_what_is_done_outside_of_a_turn_wakes_the_host_once() {
    for hosted in Hosted::each() {
        let (handle, made) = (hosted.handle(), Rc::new(RefCell::new(None)));
        let (notes, seen) = (Notes::new(), Rc::clone(&made));
        let server =
            handle.listen("tcp://127.0.0.1:0", move |_: &Addresses| Echo(notes.clone())).expect("a listener");
        let client = move |transport| seen.replace(Some(transport));
        handle.connect(
            address_of(&server),
            |_: &Addresses| |_: &Transport, _: &[u8]| {},
            move |outcome| _ = client(outcome.expect("a connection")),
        );
        while made.borrow().is_none() {
            assert!(hosted.wait(PATIENCE));
            hosted.turn().expect("a turn");
        }
        let transport = made.take().expect("a connection");
        let patience = std::time::Instant::now();
        for (by, change) in CHANGES {
            while hosted.wait(ms(5)) {
                assert!(patience.elapsed() < PATIENCE, "it is never at rest");
                hosted.turn().expect("a turn");
            }
            change(&handle, &transport);
            change(&handle, &transport);
            hosted.assert_woken(by);
            hosted.turn().expect("a turn");
        }
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

#[test]
fn t30_a_notice_may_take_the_place_of_the_descriptor_s() {
    let (reactor, notices) = (Reactor::new().expect("a loop"), Arc::new(AtomicUsize::new(0)));
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
