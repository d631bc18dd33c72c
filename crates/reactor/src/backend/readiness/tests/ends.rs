use std::io::{Read, Write};
use std::net::Shutdown;

use super::*;

fn peer_closed(rig: &mut Rig, wanted: Key) -> bool {
    rig.until(|completion| match completion {
        Completion::PeerClosed { key, reset } if key == wanted => Some(reset),
        _ => None,
    })
}

/// H01, H12
#[test]
fn the_end_comes_after_all_data_and_once() {
    let mut rig = Rig::new();
    let (key, mut peer) = rig.connection();
    peer.write_all(b"last words").unwrap();
    drop(peer);
    assert_eq!(rig.receive_all(key, 10), b"last words");
    assert!(is_eof(&rig.receive(key)));
    assert!(matches!(rig.backend.receive(key, None), Received::Dry));
    assert!(rig.rest().is_empty());
}

/// S33
#[test]
fn a_reset_is_no_end() {
    let mut rig = Rig::new();
    let (key, peer) = rig.connection();
    reset(peer);
    assert!(is_reset(&rig.receive(key)));
}

#[test]
fn data_before_a_reset_is_delivered() {
    let mut rig = Rig::new();
    let (key, mut peer) = rig.connection();
    peer.write_all(b"last words").unwrap();
    rig.input(key);
    reset(peer);
    assert_eq!(rig.receive(key).unwrap(), b"last words");
    assert!(is_reset(&rig.receive(key)));
}

/// S33: once the FIN was received, the kernel answers every receive as if nothing else had come.
#[test]
fn a_reset_after_the_end_is_told() {
    let mut rig = Rig::new();
    let (key, peer) = rig.connection();
    peer.shutdown(Shutdown::Write).unwrap();
    assert!(is_eof(&rig.receive(key)));
    reset(peer);
    assert!(is_reset(&rig.receive(key)));
}

#[test]
fn a_reset_right_after_the_end_is_a_reset() {
    let mut rig = Rig::new();
    let (key, peer) = rig.connection();
    peer.shutdown(Shutdown::Write).unwrap();
    reset(peer);
    let first = rig.receive(key);
    assert!(is_reset(&first) || (is_eof(&first) && is_reset(&rig.receive(key))));
}

/// H03, H04, H13
#[test]
fn each_direction_ends_by_itself() {
    let mut rig = Rig::new();
    let (key, mut peer) = rig.connection();
    assert!(matches!(rig.backend.shutdown(key), Started::Done(Ok(()))));
    assert_eq!(peer.read(&mut [0; 8]).unwrap(), 0);
    peer.write_all(b"still here").unwrap();
    assert_eq!(rig.receive_all(key, 10), b"still here");

    let (key, mut peer) = rig.connection();
    peer.shutdown(Shutdown::Write).unwrap();
    assert!(is_eof(&rig.receive(key)));
    rig.send(key, b"answer").unwrap();
    let mut answer = [0; 6];
    peer.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"answer");
    assert!(rig.rest().is_empty());
}

/// H07: the hang-up that follows when both directions have ended is not a second end.
#[test]
fn the_end_of_both_directions_is_told_once() {
    let mut rig = Rig::new();
    let (key, mut peer) = rig.connection();
    peer.shutdown(Shutdown::Write).unwrap();
    assert!(is_eof(&rig.receive(key)));
    assert!(matches!(rig.backend.shutdown(key), Started::Done(Ok(()))));
    assert_eq!(peer.read(&mut [0; 8]).unwrap(), 0);
    assert!(rig.rest().is_empty());
    assert!(matches!(rig.backend.receive(key, None), Received::Dry));
}

/// R15
#[test]
fn a_watched_peers_end_is_told_before_its_data_is_received() {
    let mut rig = Rig::new();
    let (key, mut peer) = rig.connection();
    rig.backend.watch_peer(key);
    assert!(rig.rest().is_empty());
    peer.write_all(b"unread").unwrap();
    drop(peer);
    assert!(!peer_closed(&mut rig, key));
    assert_eq!(rig.receive_all(key, 6), b"unread");
    assert!(is_eof(&rig.receive(key)));
    assert!(rig.rest().is_empty(), "and told once");
}

/// R15
#[test]
fn a_watched_peers_reset_is_told_and_stays_a_reset() {
    let mut rig = Rig::new();
    let (key, peer) = rig.connection();
    rig.backend.watch_peer(key);
    reset(peer);
    assert!(peer_closed(&mut rig, key));
    assert!(is_reset(&rig.receive(key)));
}

#[test]
fn an_end_before_the_watch_is_told_in_the_next_turn() {
    let mut rig = Rig::new();
    let (key, peer) = rig.connection();
    drop(peer);
    rig.input(key);
    rig.backend.watch_peer(key);
    rig.backend.watch_peer(key);
    rig.backend.wait(FOREVER).unwrap();
    assert!(!peer_closed(&mut rig, key));
    assert!(rig.rest().is_empty());
}

#[test]
fn a_watch_is_silent_after_the_close() {
    let mut rig = Rig::new();
    let (key, peer) = rig.connection();
    drop(peer);
    rig.input(key);
    rig.backend.watch_peer(key);
    assert!(matches!(rig.backend.close(key, Close::Orderly), Started::Done(())));
    assert!(rig.rest().is_empty());
}
