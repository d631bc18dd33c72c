//! The same for async code: a task for each connection, which copies it onto itself.

use std::io;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::thread;

use marline_reactor::{Reactor, Stats};
use marline_tasks::{Listener, copy, run_on, spawn, spawn_on, task_stats};
use marline_tests::backends::unhurried_reactor;
use marline_tests::{PATIENCE, echo};

use super::{assert_calls, assert_registrations, limits};

fn bind(reactor: &Reactor) -> (Listener, SocketAddr) {
    let listener = reactor.handle().enter(|| Listener::bind("tcp://127.0.0.1:0")).expect("a listener");
    let address = listener.local_address().expect("an address").as_inet().expect("an internet address");
    (listener, address)
}

async fn echo_for_ever(listener: Listener) -> io::Result<()> {
    loop {
        let stream = listener.accept().await?;
        spawn(async move { copy(&stream, &stream).await });
    }
}

/// Serves one connection from a client in another thread, from the beginning to the end.
fn serve(backend: &str, rounds: usize) -> Stats {
    let reactor = unhurried_reactor(backend);
    let (listener, address) = bind(&reactor);
    let client = thread::spawn(move || -> io::Result<()> {
        let mut stream = echo::connect(address)?;
        echo::lockstep(std::slice::from_mut(&mut stream), rounds)?;
        echo::end(&mut stream)
    });
    let copied = run_on(&reactor, async move {
        let stream = listener.accept().await?;
        copy(&stream, &stream).await
    });
    assert_eq!(copied.expect("a run").expect("a copy"), (rounds * echo::MESSAGE) as u64);
    client.join().expect("no panic").expect("round trips");
    reactor.handle().stats()
}

fn an_async_round_trip_is_a_wait_a_receive_and_a_send_or_one_call(backend: &str) {
    let stats = serve(backend, 10_000);
    assert_calls(stats.system_calls, 10_000, limits(backend).alone);
    assert_registrations(backend, stats.system_calls, 1);
    // The task is woken once a message.
    assert!(stats.callbacks <= 10_000 + 20, "{stats:?}");
}

fn in_lock_step_many_async_round_trips_share_a_wait(backend: &str) {
    const CONNECTIONS: usize = 64;
    const ROUNDS: usize = 200;
    let reactor = unhurried_reactor(backend);
    let (listener, address) = bind(&reactor);
    drop(spawn_on(&reactor.handle(), echo_for_ever(listener)));
    let mut streams: Vec<TcpStream> =
        (0..CONNECTIONS).map(|_| echo::connect(address).expect("a connection")).collect();
    for round in 0..ROUNDS {
        echo::write_all(&mut streams, round).expect("a write");
        while reactor.handle().stats().sends < (CONNECTIONS * (round + 1)) as u64 {
            reactor.turn(Some(PATIENCE)).expect("a turn");
        }
        echo::read_all(&mut streams, round).expect("a read");
    }
    let calls = reactor.handle().stats().system_calls;
    assert_calls(calls, CONNECTIONS * ROUNDS, limits(backend).shared);
    assert_registrations(backend, calls, CONNECTIONS as u64);
    assert_eq!(reactor.handle().enter(task_stats).spawned, CONNECTIONS as u64 + 1);
}

marline_tests::on_sockets! {
    an_async_round_trip_is_a_wait_a_receive_and_a_send_or_one_call
    in_lock_step_many_async_round_trips_share_a_wait
}
