//! Edges between two waits, and of memory and time.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::Instant as Clock;

use super::*;
use crate::backend::completion::Feature;

/// A loop that leaves its run makes no further wait for now; the peer sees the end all the same.
#[test]
fn a_close_reaches_the_peer_without_a_further_wait() {
    let Some(mut rig) = Rig::with(&Options::default()) else { return };
    let (key, mut peer) = rig.connection();
    rig.settle();
    assert!(matches!(rig.backend.close(key, Close::Orderly), Started::Pending));
    rig.backend.arm(None);
    assert_eq!(peer.read(&mut [0; 8]).expect("an end"), 0);
    rig.closed(key);
}

/// Where the kernel left some of the queue, and looking at answers enters it again, a send to a full socket is no success.
#[test]
fn q08_a_quiet_send_is_not_concluded_by_a_call_whose_answers_were_not_read() {
    let Some(mut rig) = Rig::with(&Options::default().entries(8)) else { return };
    let pairs = rig.connections(2);
    rig.settle();
    let (first, second) = (pairs[0].0, pairs[1].0);
    for key in [first, second] {
        assert!(rig.fill_unseen(key) > 0);
    }
    assert!(matches!(rig.backend.send(first, outgoing(b"aaaa")), Started::Pending));
    rig.backend.ring.hold_back(14);
    assert!(matches!(rig.backend.send(second, outgoing(b"bbbb")), Started::Pending));
    for _ in 0..4 {
        rig.backend.wait(until(Instant::ZERO)).expect("a wait");
        while let Some(completion) = rig.backend.next() {
            assert!(!matches!(completion, Completion::Sent(..)), "{completion:?}");
        }
    }
}

/// A peer that sends single bytes, which nobody pulls, costs about as much memory as it sends.
#[test]
fn single_bytes_do_not_become_as_many_pieces() {
    for options in [Options::default(), Options::default().without(Feature::IncrementalBuffers)] {
        let Some(mut rig) = Rig::with(&options) else { return };
        let mut pairs = rig.connections(2);
        rig.settle();
        const ROUNDS: usize = 2000;
        for _ in 0..ROUNDS {
            // Two of them, so that their bytes lie between each other's.
            for (_, peer) in &mut pairs {
                peer.write_all(&[1]).expect("a write");
                rig.backend.wait(until(Instant::ZERO)).expect("a wait");
                while rig.backend.next().is_some() {}
            }
        }
        let deadline = Clock::now() + Duration::from_secs(60);
        while pairs.iter().any(|(key, _)| rig.at(*key).input_len() < ROUNDS) && Clock::now() < deadline {
            rig.backend.wait(until(Instant::ZERO)).expect("a wait");
            while rig.backend.next().is_some() {}
        }
        for (key, _) in &pairs {
            assert_eq!(rig.at(*key).input_len(), ROUNDS);
            let mut seen = 0;
            let mut chunks = 0;
            while let Received::Chunk(chunk) = rig.backend.receive(*key, None) {
                seen += chunk.bytes().len();
                chunks += 1;
            }
            assert_eq!(seen, ROUNDS);
            assert!(chunks <= 257, "{chunks} pieces");
        }
    }
}

#[test]
fn r15_a_watch_that_begins_after_the_end_was_pulled_is_answered() {
    let Some(mut rig) = Rig::with(&Options::default()) else { return };
    let (key, peer) = rig.connection();
    peer.shutdown(Shutdown::Write).expect("an end");
    rig.input(key);
    assert!(matches!(rig.backend.receive(key, None), Received::Eof));
    rig.settle();
    rig.backend.watch_peer(key);
    assert!(rig.backend.has_events());
    rig.backend.wait(until(Instant::ZERO)).expect("a wait");
    let told = std::iter::from_fn(|| rig.backend.next()).any(|completion| {
        matches!(completion, Completion::PeerClosed { key: closed, reset: false } if closed == key)
    });
    assert!(told);
}

/// R6: the end of a ring waits for what it cancelled.
#[test]
fn q02_a_dropped_ring_is_patient() {
    let Some(mut rig) = Rig::with(&Options::default()) else { return };
    rig.settle();
    // An operation that never ends, as there is none such.
    rig.backend.under_way += 1;
    let begun = Clock::now();
    rig.backend.end_operations();
    assert!(begun.elapsed() >= Duration::from_secs(1));
    rig.backend.under_way -= 1;
}
