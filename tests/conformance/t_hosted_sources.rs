//! T: foreign sources of a loop that has a host. The kernel puts off what an eventfd's write would tell another eventfd,
//! so these are the sources that are easily told late.

use std::cell::Cell;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::time::Duration;

use marline_reactor::{Handle, Interest, Watch};
use marline_tests::{PATIENCE, backends};
use rustix::event::{EventfdFlags, eventfd};

use crate::support::{Hosted, is_readable};

/// How long nothing has to happen to count as nothing.
const QUIET: Duration = Duration::from_millis(60);

/// What threads, GPUs and libzmq tell by.
#[derive(Clone)]
struct Counter(Rc<OwnedFd>);

impl Counter {
    fn new() -> Self {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        Self(Rc::new(eventfd(0, flags).expect("an eventfd")))
    }

    fn raise(&self) {
        rustix::io::write(&self.0, &1_u64.to_ne_bytes()).expect("room for one more");
    }

    fn take(&self) -> u64 {
        let mut count = [0; 8];
        match rustix::io::read(&self.0, &mut count) {
            Ok(_) => u64::from_ne_bytes(count),
            Err(_) => 0,
        }
    }
}

impl AsRawFd for Counter {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Watches a counter: that, the counter, what was taken from it, and how often it was told.
struct Told {
    _watch: Watch<Counter>,
    counter: Counter,
    taken: Rc<Cell<u64>>,
    times: Rc<Cell<u64>>,
}

impl Told {
    fn new(handle: &Handle) -> Self {
        let (counter, taken, times) = (Counter::new(), Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let (sum, told) = (Rc::clone(&taken), Rc::clone(&times));
        let call = move |counter: &mut Counter, _| {
            sum.set(sum.get() + counter.take());
            told.set(told.get() + 1);
        };
        let watch = handle.watch(counter.clone(), Interest::READABLE, call).expect("something to watch");
        Self { _watch: watch, counter, taken, times }
    }

    /// The host is woken by the write itself, and one turn tells it.
    #[track_caller]
    fn assert_told_at_once(&self, hosted: &Hosted) {
        let (taken, times) = (self.taken.get(), self.times.get());
        self.counter.raise();
        assert!(hosted.wait(Duration::ZERO), "the host is told within the write");
        hosted.turn().expect("a turn");
        assert_eq!((self.taken.get(), self.times.get()), (taken + 1, times + 1));
    }
}

fn t29_a_watched_eventfd_wakes_the_host_at_once_and_once(backend: &str) {
    let hosted = Hosted::polled(backend);
    let told = Told::new(&hosted.handle());
    hosted.rest();
    assert!(!hosted.wait(QUIET), "nothing was written yet");
    for _ in 0..50 {
        told.assert_told_at_once(&hosted);
        hosted.rest();
    }
    let turns = hosted.turns();
    assert!(!hosted.wait(QUIET), "nothing comes late");
    assert_eq!(hosted.turns(), turns);
}

fn t29_so_does_one_that_was_watched_before_there_was_a_host(backend: &str) {
    let hosted = Hosted::Polled(backends::reactor(backend));
    let told = Told::new(&hosted.handle());
    told.counter.raise();
    while told.times.get() == 0 {
        hosted.reactor().turn(Some(PATIENCE)).expect("a turn");
    }
    let watched = hosted.reactor().pollable_fd().expect("descriptors to spare").expect("a descriptor");
    while is_readable(&watched, Duration::ZERO) {
        hosted.turn().expect("a turn");
    }
    for _ in 0..50 {
        told.assert_told_at_once(&hosted);
    }
}

fn t29_a_wait_of_the_loops_own_hears_of_sources_between_those_of_its_host(backend: &str) {
    let hosted = Hosted::polled(backend);
    let told = Told::new(&hosted.handle());
    hosted.rest();
    for _ in 0..10 {
        let before = told.taken.get();
        let raised = told.counter.0.try_clone().expect("another descriptor");
        let thread = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(2));
            rustix::io::write(&raised, &1_u64.to_ne_bytes()).expect("room for one more");
        });
        let begun = std::time::Instant::now();
        while told.taken.get() == before {
            assert!(begun.elapsed() < PATIENCE, "the wait did not end");
            hosted.reactor().turn(Some(PATIENCE)).expect("a turn");
        }
        thread.join().expect("a thread that ends");
        hosted.rest();
        told.assert_told_at_once(&hosted);
        hosted.rest();
    }
}

marline_tests::on_sockets! {
    t29_a_watched_eventfd_wakes_the_host_at_once_and_once
    t29_so_does_one_that_was_watched_before_there_was_a_host
    t29_a_wait_of_the_loops_own_hears_of_sources_between_those_of_its_host
}
