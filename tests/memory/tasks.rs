//! The same for async code: a task for each connection, which waits in `copy`.

use std::net::SocketAddr;

use marline_reactor::Reactor;
use marline_reactor::backend::readiness::Readiness;
use marline_tasks::{Listener, copy, spawn, spawn_on, task_stats};
use marline_tests::counting::Counts;
use marline_tests::process;

use super::{CONNECTIONS, Peers, until};

/// Bytes of heap for each connection, its stream and its task included.
const BUDGET: i64 = 1024;

#[track_caller]
fn assert_budget(what: &str, since: Counts) {
    #[allow(clippy::cast_possible_wrap)]
    let each = Counts::here().since(since).bytes / CONNECTIONS as i64;
    println!("{what}: {each} bytes of heap for each of {CONNECTIONS} tasks, at most {BUDGET}");
    assert!((1..=BUDGET).contains(&each), "{what}: {each} bytes");
}

#[test]
fn an_idle_task_costs_at_most_its_budget() {
    let limit = process::raise_descriptor_limit();
    if limit < CONNECTIONS as u64 + 100 {
        println!("skipped: {limit} descriptors are not enough");
        return;
    }
    let backend = Readiness::new().expect("a readiness backend");
    let reactor = Reactor::with_backend(backend).expect("a loop");
    let handle = reactor.handle();
    let listener = handle.enter(|| Listener::bind("tcp://127.0.0.1:0")).expect("a listener");
    let address: SocketAddr =
        listener.local_address().expect("an address").as_inet().expect("an internet address");
    let mut peers = Peers::start(address);
    let before = Counts::here();
    drop(spawn_on(&handle, async move {
        loop {
            let stream = listener.accept().await.expect("a connection");
            spawn(async move { copy(&stream, &stream).await });
        }
    }));

    peers.order("connect");
    until(&reactor, || handle.enter(task_stats).live == CONNECTIONS + 1);
    peers.confirm("done: connect");
    assert_budget("accepted and idle", before);

    peers.order("talk");
    until(&reactor, || handle.stats().sends >= CONNECTIONS as u64);
    peers.confirm("done: talk");
    assert_budget("idle again after a message", before);

    drop(peers);
    until(&reactor, || handle.enter(task_stats).live == 1);
    assert_budget("closed again", before);
    drop(reactor);
    assert!(Counts::here().since(before).bytes < 0, "the loop itself was there before, and is gone");
}
