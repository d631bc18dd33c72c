//! The same for async code: a task for each connection, which waits in `copy`.

use std::net::SocketAddr;

use marline_tasks::{Listener, copy, spawn, spawn_on, task_stats};
use marline_tests::backends;
use marline_tests::counting::Counts;
use marline_tests::process;

use super::{CONNECTIONS, Peers, until};

/// Bytes of heap for each connection, its stream and its task included.
const BUDGET: i64 = 768;
const ROUNDS: usize = 5;

/// Whether a round kept nothing on top of the one before it: what is kept is for the next ones. A list grows if more happens at
/// once than ever before, as it may, but not each time.
fn is_steady(kept: &[i64]) -> bool {
    kept.windows(2).any(|rounds| rounds[1] <= rounds[0] + 4 * CONNECTIONS as i64)
}

#[track_caller]
fn assert_budget(what: &str, since: Counts) {
    #[allow(clippy::cast_possible_wrap)]
    let each = Counts::here().since(since).bytes / CONNECTIONS as i64;
    println!("{what}: {each} bytes of heap for each of {CONNECTIONS} tasks, at most {BUDGET}");
    assert!((1..=BUDGET).contains(&each), "{what}: {each} bytes");
}

fn an_idle_task_costs_at_most_its_budget(backend: &str) {
    let _alone = crate::ALONE.lock();
    let limit = process::raise_descriptor_limit();
    if limit < CONNECTIONS as u64 + 100 {
        println!("skipped: {limit} descriptors are not enough");
        return;
    }
    let reactor = backends::reactor(backend);
    let handle = reactor.handle();
    let listener = handle.enter(|| Listener::bind("tcp://127.0.0.1:0")).expect("a listener");
    let address: SocketAddr =
        listener.local_address().expect("an address").as_inet().expect("an internet address");
    let before = Counts::here();
    drop(spawn_on(&handle, async move {
        loop {
            let stream = listener.accept().await.expect("a connection");
            spawn(async move { copy(&stream, &stream).await });
        }
    }));
    let mut kept = Vec::new();
    while kept.len() < ROUNDS && !is_steady(&kept) {
        let (mut peers, sent) = (Peers::start(address), handle.stats().sends);
        peers.order("connect");
        until(&reactor, || handle.enter(task_stats).live == CONNECTIONS + 1);
        peers.confirm("done: connect");
        assert_budget("accepted and idle", before);

        peers.order("talk");
        until(&reactor, || handle.stats().sends >= sent + CONNECTIONS as u64);
        peers.confirm("done: talk");
        // What a ring has sent it hears of in its next wait.
        reactor.turn(Some(std::time::Duration::ZERO)).expect("a turn");
        assert_budget("idle again after a message", before);

        drop(peers);
        until(&reactor, || handle.enter(task_stats).live == 1 && handle.stats().connections == 0);
        assert_budget("closed again", before);
        kept.push(Counts::here().since(before).bytes);
    }
    assert!(is_steady(&kept), "{kept:?}");
    drop((reactor, handle));
    // The thread keeps a few of the buffers that bytes were copied through.
    assert!(Counts::here().since(before).bytes < 200_000, "{:?}", Counts::here().since(before));
}

marline_tests::on_sockets! {
    an_idle_task_costs_at_most_its_budget
}
