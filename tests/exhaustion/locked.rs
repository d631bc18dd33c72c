//! With little memory that may be locked, which rings need: a small one is made, or readiness serves.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use marline_reactor::Reactor;
use marline_reactor::backend::auto;
use marline_reactor::backend::completion::Uring;
use marline_tests::{PATIENCE, process};
use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

use super::{address_of, alone, echo, until};

/// How many connections are served at once: more than the smallest ring has entries.
const CONNECTIONS: usize = 150;

/// Echoes to many, and sleeps when that is done.
pub(super) fn serves(reactor: &Reactor) {
    let (server, made) = echo(reactor);
    let connect = || TcpStream::connect(address_of(&server)).expect("a connection");
    let mut peers: Vec<_> = (0..CONNECTIONS).map(|_| connect()).collect();
    for round in 0..3_u8 {
        for (number, peer) in peers.iter_mut().enumerate() {
            peer.set_nonblocking(true).expect("a non-blocking socket");
            peer.write_all(&[round ^ number as u8; 500]).expect("room");
        }
        for (number, peer) in peers.iter_mut().enumerate() {
            let mut seen = Vec::new();
            let seen_all = |count: &mut Vec<u8>, peer: &mut TcpStream| {
                let mut some = [0; 500];
                if let Ok(read) = peer.read(&mut some) {
                    count.extend(&some[..read]);
                }
                count.len() == 500
            };
            let begun = Instant::now();
            while !seen_all(&mut seen, peer) {
                assert!(begun.elapsed() < PATIENCE, "an echo is missing");
                reactor.turn(Some(Duration::from_millis(20))).expect("a turn");
            }
            assert_eq!(seen, [round ^ number as u8; 500]);
        }
    }
    assert_eq!(made.get(), CONNECTIONS);
    assert_sleeps(reactor);
    drop(peers);
    until(reactor, || server.connections() == 0);
}

/// A loop that sleeps lets a tenth of a second pass in a few turns. One that spins makes thousands.
fn assert_sleeps(reactor: &Reactor) {
    let (begun, before) = (Instant::now(), reactor.handle().stats());
    while begun.elapsed() < Duration::from_millis(100) {
        reactor.turn(Some(Duration::from_millis(100))).expect("a turn");
    }
    let after = reactor.handle().stats();
    let (turns, waits) = (after.turns - before.turns, after.system_calls.waits - before.system_calls.waits);
    assert!(turns <= 20 && waits <= 40, "{turns} turns and {waits} waits in a tenth of a second");
}

/// May no longer lock as much as it likes.
fn drop_capability() {
    let mut sets = capabilities(None).expect("the capabilities");
    sets.effective.remove(CapabilitySet::IPC_LOCK);
    set_capabilities(None, sets).expect("fewer capabilities");
}

#[test]
fn q09_with_little_locked_memory_a_loop_is_made_all_the_same_and_loses_nothing() {
    if process::part().is_none() {
        let _alone = alone();
        let name = "locked::q09_with_little_locked_memory_a_loop_is_made_all_the_same_and_loses_nothing";
        // It is a process of its own, because a limit is felt by everybody in it.
        let mut copy = process::copy(name, "limited");
        assert!(copy.env_remove("MARLINE_BACKEND").status().expect("a copy").success());
        return;
    }
    drop_capability();
    for kibibytes in [512, 128, 64, 32, 16, 4, 0] {
        let limit = Some(kibibytes * 1024);
        setrlimit(Resource::Memlock, Rlimit { current: limit, maximum: Some(512 * 1024) }).expect("a limit");
        match Uring::new() {
            // Not every kernel counts the memory of rings.
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::OutOfMemory, "{error}"),
        }
        let backend = auto().expect("a backend");
        println!("{kibibytes} KiB: {}", backend.name());
        serves(&marline_reactor::Builder::new().boxed_backend(backend).build().expect("a loop"));
    }
}
