//! The resolver's threads.

use std::time::{Duration, Instant};

use marline_tests::PATIENCE;

use super::{address_of, connect, echo, reactor, until};

/// How many threads of the resolver's there are. The kernel keeps 15 characters of a name.
fn resolvers() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("the list");
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.trim_end() == "marline-resolve").count()
}

fn wait_for_none() {
    let begun = Instant::now();
    while resolvers() > 0 {
        assert!(begun.elapsed() < PATIENCE, "the threads outlive their loop");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn c11_ip_literals_never_begin_a_thread_of_the_resolver(backend: &str) {
    wait_for_none();
    let reactor = reactor(backend);
    let (server, made) = echo(&reactor);
    let port = address_of(&server).port();
    for host in ["127.0.0.1", "[::1]"] {
        let (_, outcome) = connect(&reactor, &format!("tcp://{host}:{port}"));
        assert_eq!(resolvers(), 0);
        until(&reactor, || outcome.borrow().is_some());
        assert_eq!(resolvers(), 0);
    }
    assert_eq!(made.get(), 1);

    // A name begins one, and many at once begin no more than a few.
    let endpoint = format!("tcp://localhost:{port}");
    let (_, outcome) = connect(&reactor, &endpoint);
    until(&reactor, || outcome.borrow().is_some());
    assert_eq!((resolvers(), made.get()), (1, 2));
    let many: Vec<_> = (0..50).map(|_| connect(&reactor, &endpoint)).collect();
    until(&reactor, || many.iter().all(|(_, outcome)| outcome.borrow().is_some()));
    assert!((1..=4).contains(&resolvers()), "{} threads", resolvers());

    // They end with the loop.
    drop(reactor);
    wait_for_none();
}

fn the_resolver_ends_with_a_loop_that_is_dropped_during_a_look_up(backend: &str) {
    for _ in 0..50 {
        let reactor = reactor(backend);
        let (_connecting, outcome) = connect(&reactor, "tcp://localhost:1");
        drop(reactor);
        assert!(outcome.borrow().is_none(), "nobody is called back after the end");
    }
    wait_for_none();
}

crate::alone_on_sockets! {
    c11_ip_literals_never_begin_a_thread_of_the_resolver
    the_resolver_ends_with_a_loop_that_is_dropped_during_a_look_up
}
