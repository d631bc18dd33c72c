use std::io::{ErrorKind, Read};

use bytes::Bytes;

use rustix::io::Errno;

use super::*;
use crate::backend::socket::is_shortage;

/// W01, W02, W09
#[test]
fn a_large_send_goes_out_in_parts() {
    let mut rig = Rig::new();
    let (key, mut peer) = rig.connection();
    let bytes: Vec<u8> = (0..1024 * 1024 * 16).map(|at| (at / 7 % 251) as u8).collect();
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        peer.read_to_end(&mut all).map(|_| all)
    });
    let (mut spent, mut waited) = (Vec::new(), 0);
    let mut rest = outgoing(&bytes[..100]);
    rest.push_owned(Bytes::from(bytes[100..].to_vec()));
    while !rest.is_empty() {
        let sent = match rig.backend.send(key, rest) {
            Started::Done(sent) => sent,
            Started::Pending => {
                waited += 1;
                rig.until(|completion| match completion {
                    Completion::Sent(sender, sent) if sender == key => Some(sent),
                    _ => None,
                })
            }
        };
        rest = sent.outgoing;
        rest.advance(sent.result.unwrap(), &mut spent);
    }
    assert!(waited > 0, "so much does not fit into a socket's buffer");
    assert!(matches!(rig.backend.shutdown(key), Started::Done(Ok(()))));
    assert!(reader.join().unwrap().unwrap() == bytes);
}

/// W07
#[test]
fn more_segments_than_fit_one_call_leave_in_order() {
    let mut rig = Rig::new();
    let (key, mut peer) = rig.connection();
    let mut rest = Box::new(Outgoing::default());
    for number in 0..200 {
        rest.push_owned(Bytes::copy_from_slice(&[number]));
    }
    let mut spent = Vec::new();
    while !rest.is_empty() {
        let Started::Done(sent) = rig.backend.send(key, rest) else { panic!() };
        rest = sent.outgoing;
        rest.advance(sent.result.unwrap(), &mut spent);
    }
    let mut all = [0; 200];
    peer.read_exact(&mut all).unwrap();
    assert!(all.into_iter().eq(0..200));
    assert_eq!(rig.backend.system_calls().sends, 4);
}

#[test]
fn a_full_socket_is_not_tried_again_before_its_event() {
    let mut rig = Rig::new();
    let (key, _peer) = rig.connection();
    rig.fill(key);
    let before = rig.backend.system_calls().sends;
    assert!(rig.rest().is_empty());
    assert_eq!(rig.backend.system_calls().sends, before);
}

#[test]
fn data_comes_before_the_answer_to_a_send() {
    let mut rig = Rig::new();
    let (key, peer) = rig.connection();
    rig.fill(key);
    reset(peer);
    let mut seen = Vec::new();
    rig.until(|completion| {
        seen.push(format!("{completion:?}"));
        matches!(completion, Completion::Sent(..)).then_some(())
    });
    assert!(seen[0].starts_with("Input") && seen[1].starts_with("Sent"), "{seen:?}");
}

/// W11
#[test]
fn sending_to_a_dead_peer_is_an_error_however_often() {
    let mut rig = Rig::new();
    let (key, peer) = rig.connection();
    reset(peer);
    rig.input(key);
    for _ in 0..3 {
        let Started::Done(sent) = rig.backend.send(key, outgoing(b"lost")) else { panic!() };
        assert_eq!(sent.result.unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(sent.outgoing.front(), b"lost");
    }
    assert!(is_reset(&rig.receive(key)), "and it is no orderly end");
}

#[test]
fn sending_after_our_own_end_is_a_broken_pipe() {
    let mut rig = Rig::new();
    let (key, _peer) = rig.connection();
    assert!(matches!(rig.backend.shutdown(key), Started::Done(Ok(()))));
    let late = rig.send(key, b"late");
    assert_eq!(late.unwrap_err().kind(), ErrorKind::BrokenPipe);
}

#[test]
fn w03_a_shortage_of_the_systems_is_no_end_of_the_connection() {
    let error = |errno: Errno| std::io::Error::from(errno);
    assert!(is_shortage(&error(Errno::NOBUFS)) && is_shortage(&error(Errno::NOMEM)));
    assert!(!is_shortage(&error(Errno::CONNRESET)) && !is_shortage(&std::io::ErrorKind::OutOfMemory.into()));
}
