use std::io::{Read, Write};

use super::*;

#[test]
fn bytes_come_back_as_they_were_sent() {
    let mut rig = Rig::new();
    let (key, mut peer) = rig.connection();
    peer.write_all(b"hello").unwrap();
    let bytes = rig.receive(key).unwrap();
    assert_eq!(rig.send(key, &bytes).unwrap(), 5);
    let mut back = [0; 5];
    peer.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"hello");
}

#[test]
fn a_short_receive_saves_the_call_that_would_find_nothing() {
    let mut rig = Rig::new();
    let (key, mut peer) = rig.connection();
    assert!(matches!(rig.backend.receive(key, None), Received::Dry));
    assert_eq!(rig.backend.system_calls().receives, 0);
    for message in 1..=10 {
        peer.write_all(b"ping").unwrap();
        assert_eq!(rig.receive(key).unwrap(), b"ping");
        assert!(matches!(rig.backend.receive(key, None), Received::Dry));
        assert_eq!(rig.backend.system_calls().receives, message);
    }
}

/// R10
#[test]
fn a_connection_is_registered_once() {
    let mut rig = Rig::new();
    let (key, mut peer) = rig.connection();
    let before = rig.backend.system_calls().registrations;
    for _ in 0..10 {
        peer.write_all(b"ping").unwrap();
        let bytes = rig.receive(key).unwrap();
        assert!(matches!(rig.backend.send(key, outgoing(&bytes)), Started::Done(_)));
    }
    assert!(matches!(rig.backend.close(key, Close::Orderly), Started::Done(())));
    assert_eq!(rig.backend.system_calls().registrations, before);
    assert_eq!(before, 3, "the waker, the listener, and the connection");
}

#[test]
fn a_message_costs_three_calls() {
    let mut rig = Rig::new();
    let (key, mut peer) = rig.connection();
    peer.write_all(b"warm").unwrap();
    rig.receive(key).unwrap();
    let before = rig.backend.system_calls();
    peer.write_all(b"ping").unwrap();
    let bytes = rig.receive(key).unwrap();
    assert!(matches!(rig.backend.send(key, outgoing(&bytes)), Started::Done(_)));
    let expected = SystemCalls {
        waits: before.waits + 1,
        receives: before.receives + 1,
        sends: before.sends + 1,
        ..before
    };
    assert_eq!(rig.backend.system_calls(), expected);
}

#[test]
fn bytes_go_straight_into_the_callers_memory() {
    let mut rig = Rig::new();
    let (key, mut peer) = rig.connection();
    peer.write_all(b"abcdefgh").unwrap();
    rig.input(key);
    let mut memory = [0; 3];
    let mut all: Vec<u8> = Vec::new();
    while let Received::Filled(count) = rig.backend.receive(key, Some(&mut memory)) {
        all.extend(&memory[..count]);
    }
    assert_eq!(all, b"abcdefgh");
    assert_eq!(rig.backend.system_calls().receives, 3, "3, 3, and the short 2");
}

#[test]
fn full_memory_asks_for_another_receive() {
    let mut rig = Rig::new();
    let (key, mut peer) = rig.connection();
    peer.write_all(b"abcd").unwrap();
    rig.input(key);
    assert!(matches!(rig.backend.receive(key, Some(&mut [0; 4])), Received::Filled(4)));
    assert!(matches!(rig.backend.receive(key, Some(&mut [0; 4])), Received::Dry));
    assert_eq!(rig.backend.system_calls().receives, 2);
}

#[test]
fn chunks_may_be_out_at_the_same_time() {
    let mut rig = Rig::new();
    let (first, mut first_peer) = rig.connection();
    let (second, mut second_peer) = rig.connection();
    first_peer.write_all(b"one").unwrap();
    second_peer.write_all(b"two").unwrap();
    rig.input(first);
    let Received::Chunk(one) = rig.backend.receive(first, None) else { panic!() };
    let two = rig.receive(second).unwrap();
    assert_eq!((one.bytes(), two.as_slice()), (&b"one"[..], &b"two"[..]));
    rig.backend.release(one);
    assert!(rig.backend.scratch.is_here());
}

/// The urgent byte ends a receive before it, so the bytes after it would be left behind if that looked like the end.
#[cfg(target_os = "linux")]
#[test]
fn bytes_after_urgent_data_are_not_left_behind() {
    let mut rig = Rig::new();
    let (key, mut peer) = rig.connection();
    rig.rest();
    peer.write_all(b"before").unwrap();
    SockRef::from(&peer).send_out_of_band(b"!").unwrap();
    peer.write_all(b"after").unwrap();
    assert_eq!(rig.receive_all(key, 11), b"beforeafter");
}

#[test]
fn a_wait_without_news_has_no_events() {
    let mut rig = Rig::new();
    let (key, mut peer) = rig.connection();
    peer.write_all(b"ping").unwrap();
    rig.input(key);
    assert!(rig.rest().is_empty(), "an edge is told once, received or not");
    assert_eq!(rig.receive(key).unwrap(), b"ping");
}
