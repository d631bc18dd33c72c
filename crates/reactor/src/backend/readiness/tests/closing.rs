use std::io::{ErrorKind, Read, Write};

use super::*;

/// S29
#[test]
fn a_close_answers_the_send_that_waits_and_then_itself() {
    let mut rig = Rig::new();
    let (key, _peer) = rig.connection();
    rig.fill(key);
    assert!(matches!(rig.backend.close(key, Close::Reset), Started::Pending));
    // It does not sleep, although nothing will ever come from the kernel.
    rig.backend.wait(FOREVER).unwrap();
    let Some(Completion::Sent(sender, sent)) = rig.backend.next() else { panic!() };
    assert_eq!((sender, sent.result.unwrap_err().kind()), (key, ErrorKind::ConnectionAborted));
    assert_eq!(sent.outgoing.front().first(), Some(&7));
    assert!(matches!(rig.backend.next(), Some(Completion::Closed(closed)) if closed == key));
    assert!(rig.rest().is_empty());
}

/// S26
#[test]
fn a_reset_is_seen_as_one() {
    let mut rig = Rig::new();
    let (key, mut peer) = rig.connection();
    assert!(matches!(rig.backend.close(key, Close::Reset), Started::Done(())));
    assert_eq!(peer.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionReset);
}

/// S27, S10
#[test]
fn an_orderly_close_is_no_reset_even_with_unread_bytes() {
    let mut rig = Rig::new();
    let (key, mut peer) = rig.connection();
    peer.write_all(b"nobody reads this").unwrap();
    rig.input(key);
    rig.send(key, b"bye").unwrap();
    assert!(matches!(rig.backend.close(key, Close::Orderly), Started::Done(())));
    let mut all = Vec::new();
    peer.read_to_end(&mut all).unwrap();
    assert_eq!(all, b"bye");
}

#[test]
fn nothing_is_heard_of_a_closed_key() {
    let mut rig = Rig::new();
    let (first, mut first_peer) = rig.connection();
    let (second, mut second_peer) = rig.connection();
    first_peer.write_all(b"one").unwrap();
    second_peer.write_all(b"two").unwrap();
    let (mut seen, deadline) = (Vec::new(), rig.backend.now() + PATIENCE);
    while seen.is_empty() {
        rig.backend.wait(until(deadline)).unwrap();
        while let Some(completion) = rig.backend.next() {
            let Completion::Input(key) = completion else { panic!() };
            let other = if key == first { second } else { first };
            rig.backend.close(other, Close::Orderly);
            seen.push(key);
        }
    }
    assert_eq!(seen.len(), 1);
    assert!(rig.rest().is_empty());
}

#[test]
fn the_slots_next_user_gets_none_of_the_last_ones_events() {
    let mut rig = Rig::new();
    let (listener, address) = rig.listen();
    let mut peer = TcpStream::connect(address).unwrap();
    let (old, _) = rig.accept(listener);
    peer.write_all(b"late").unwrap();
    while !rig.backend.poller.has_events() {
        rig.backend.wait(FOREVER).unwrap();
    }
    rig.backend.close(old, Close::Orderly);
    let _other = TcpStream::connect(address).unwrap();
    let new = Key::new(u32::try_from(old.index()).unwrap(), 8);
    let mut accepted = rig.backend.accept(listener, new);
    if matches!(accepted, Accepted::Dry) {
        rig.input(listener);
        accepted = rig.backend.accept(listener, new);
    }
    assert!(matches!(accepted, Accepted::Connection(_)));
    let all = rig.rest();
    let silent = |completion: &Completion| matches!(completion, Completion::Input(key) if *key == listener);
    assert!(all.iter().all(silent), "{all:?}");
    assert!(matches!(rig.backend.receive(old, None), Received::Failed(_)));
}

/// S12
#[test]
fn closing_gives_the_descriptor_back() {
    let mut rig = Rig::new();
    let (key, mut peer) = rig.connection();
    let before = rig.backend.system_calls().closes;
    assert!(matches!(rig.backend.close(key, Close::Orderly), Started::Done(())));
    assert_eq!(rig.backend.system_calls().closes, before + 1);
    assert_eq!(peer.read(&mut [0; 8]).unwrap(), 0, "the FIN left because nobody else holds the socket");
}
