//! The resolver's threads.

use std::time::{Duration, Instant};

use marline_tests::{PATIENCE, process};

use super::{address_of, connect, echo, reactor, until};

/// Runs a test in a process of its own, where no thread of another test's begins late or ends late.
fn alone_in_its_process(name: &str, backend: &str, test: fn(&str)) {
    if process::part().is_some() {
        return test(backend);
    }
    let name = format!("resolver::{name}::{backend}");
    assert!(process::copy(&name, "alone").status().expect("a copy").success());
}

/// How many threads the process has, from the moment in which each is begun: a thread names itself later than that. Those that
/// the kernel keeps for a ring are not counted.
fn threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("the list");
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| !name.starts_with("iou-")).count()
}

fn wait_for_no_more_than(count: usize) {
    let begun = Instant::now();
    while threads() > count {
        assert!(begun.elapsed() < PATIENCE, "the threads outlive their loop");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn ip_literals(backend: &str) {
    let before = threads();
    let reactor = reactor(backend);
    let (server, made) = echo(&reactor);
    let port = address_of(&server).port();
    for host in ["127.0.0.1", "[::1]"] {
        let (_, outcome) = connect(&reactor, &format!("tcp://{host}:{port}"));
        assert_eq!(threads(), before);
        until(&reactor, || outcome.borrow().is_some());
        assert_eq!(threads(), before);
    }
    // That a connect succeeded may be known before the other end has been accepted.
    until(&reactor, || made.get() == 1);

    // A name begins one, and many at once begin no more than a few.
    let endpoint = format!("tcp://localhost:{port}");
    let (_, outcome) = connect(&reactor, &endpoint);
    assert_eq!(threads(), before + 1);
    until(&reactor, || outcome.borrow().is_some() && made.get() == 2);
    assert_eq!(threads(), before + 1);
    let many: Vec<_> = (0..50).map(|_| connect(&reactor, &endpoint)).collect();
    until(&reactor, || many.iter().all(|(_, outcome)| outcome.borrow().is_some()));
    assert!((before + 1..=before + 4).contains(&threads()), "{} threads, and {before} before", threads());

    // They end with the loop.
    drop(reactor);
    wait_for_no_more_than(before);
}

fn c11_ip_literals_never_begin_a_thread_of_the_resolver(backend: &str) {
    alone_in_its_process("c11_ip_literals_never_begin_a_thread_of_the_resolver", backend, ip_literals);
}

fn dropped_during_a_look_up(backend: &str) {
    let before = threads();
    for _ in 0..50 {
        let reactor = reactor(backend);
        let (_connecting, outcome) = connect(&reactor, "tcp://localhost:1");
        drop(reactor);
        assert!(outcome.borrow().is_none(), "nobody is called back after the end");
    }
    wait_for_no_more_than(before);
}

fn the_resolver_ends_with_a_loop_that_is_dropped_during_a_look_up(backend: &str) {
    let name = "the_resolver_ends_with_a_loop_that_is_dropped_during_a_look_up";
    alone_in_its_process(name, backend, dropped_during_a_look_up);
}

crate::alone_on_sockets! {
    c11_ip_literals_never_begin_a_thread_of_the_resolver
    the_resolver_ends_with_a_loop_that_is_dropped_during_a_look_up
}
