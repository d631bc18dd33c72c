//! A process that may start no more threads.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::mpsc;

use marline_reactor::{Addresses, ConnectError, Reactor, Transport};
use marline_tests::{PATIENCE, process};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::reactor;

/// Allows the process hardly more memory than it has: too little for the stack of a thread.
fn forbid_threads() {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("the size of this process");
    let pages: u64 = pages.split(' ').next().and_then(|pages| pages.parse().ok()).expect("a number");
    limit(Some(pages * rustix::param::page_size() as u64 + 1024 * 1024));
}

fn limit(current: Option<u64>) {
    let maximum = getrlimit(Resource::As).maximum;
    setrlimit(Resource::As, Rlimit { current, maximum }).expect("a lower limit is allowed");
}

/// Hands in a job that counts, and gives back whether it was taken.
fn give(reactor: &Reactor, told: &Rc<Cell<usize>>) -> bool {
    let seen = Rc::clone(told);
    let work = || 7;
    let done = move |outcome: Result<usize, _>| seen.set(seen.get() + outcome.expect("a result"));
    match reactor.handle().run_blocking(work, done) {
        Ok(_) => true,
        Err(error) => {
            assert!(error.thread_error().is_some() && !error.is_full() && !error.is_over(), "{error}");
            let (work, done) = error.into_inner();
            done(Ok(work()));
            false
        }
    }
}

fn n06_without_a_thread_a_job_is_handed_back_and_with_one_it_waits_for_it(backend: &str) {
    if process::part().is_none() {
        let name = "threads::n06_without_a_thread_a_job_is_handed_back_and_with_one_it_waits_for_it";
        let name = format!("{name}::{backend}");
        // It is a process of its own, because a limit on memory is felt by everybody in it.
        assert!(process::copy(&name, "alone").status().expect("a copy").success());
        return;
    }
    let (reactor, told) = (reactor(backend), Rc::new(Cell::new(0)));
    forbid_threads();
    assert!(!give(&reactor, &told));
    let stats = reactor.handle().stats();
    assert_eq!((told.get(), stats.pool_threads, stats.pool_queue), (7, 0, 0));
    reactor.run().expect("a run that has nothing to do");

    // A name cannot be looked up either, and that is an error value.
    let outcome = Rc::new(RefCell::new(None));
    let seen = Rc::clone(&outcome);
    reactor.handle().connect(
        "tcp://localhost:1",
        |_: &Addresses| |_: &Transport, _: &[u8]| (),
        move |result| *seen.borrow_mut() = Some(result),
    );
    reactor.run().expect("a run");
    assert!(matches!(*outcome.borrow(), Some(Err(ConnectError::Lookup { .. }))));

    // With one thread at work, further jobs wait for that one.
    limit(None);
    let (open, opened) = mpsc::channel::<()>();
    let (begin, begun) = mpsc::channel();
    let gate = move || begin.send(()).is_ok() && opened.recv_timeout(PATIENCE).is_ok();
    assert!(reactor.handle().run_blocking(gate, |_| ()).is_ok());
    // A thread that begins wants memory of its own.
    begun.recv().expect("the job begins");
    forbid_threads();
    assert!((0..3).all(|_| give(&reactor, &told)));
    let stats = reactor.handle().stats();
    assert!(stats.pool_threads == 1 && stats.pool_queue >= 3, "{stats:?}");
    open.send(()).expect("the job waits");
    reactor.run().expect("a run");
    assert_eq!(told.get(), 7 + 3 * 7);
    limit(None);
}

crate::alone_on_sockets! {
    n06_without_a_thread_a_job_is_handed_back_and_with_one_it_waits_for_it
}
