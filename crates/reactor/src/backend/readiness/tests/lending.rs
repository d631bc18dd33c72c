//! Sockets that the core receives and sends on by itself.

use std::cell::Cell;
use std::io::{Read, Write};

use rustix::io::Errno;

use super::*;
use crate::backend::{LentSocket, SocketLender};

impl Rig {
    fn lent(&mut self, key: Key) -> LentSocket {
        self.backend.lend_socket(key).expect("a socket of the Internet's")
    }

    /// The keys of what is announced next, once there is any.
    fn announced(&mut self) -> Vec<Key> {
        let keys = [const { Cell::new(Key::NOBODY) }; 4];
        let deadline = self.backend.now() + PATIENCE;
        loop {
            let count = self.backend.next_announced(&keys);
            if count > 0 {
                return keys[..count].iter().map(Cell::get).collect();
            }
            assert!(self.backend.next().is_none(), "nothing else is to come");
            assert!(self.backend.now() < deadline, "it never came");
            self.backend.wait(until(deadline)).unwrap();
        }
    }

    /// A connection of which the room to send was told.
    fn settled(&mut self) -> (Key, TcpStream) {
        let (key, peer) = self.connection();
        assert!(self.rest().is_empty());
        (key, peer)
    }

    /// A connection with these bytes, which were announced.
    fn greeted(&mut self, bytes: &[u8]) -> (Key, TcpStream) {
        let (key, mut peer) = self.settled();
        peer.write_all(bytes).unwrap();
        assert_eq!(self.announced(), [key]);
        (key, peer)
    }
}

fn io(result: Result<usize, Errno>) -> std::io::Result<usize> {
    result.map_err(Into::into)
}

#[test]
fn a_message_costs_one_receive_and_one_send_of_the_cores() {
    let mut rig = Rig::new();
    let (key, mut peer) = rig.settled();
    let (socket, before) = (rig.lent(key), rig.backend.system_calls());
    for _ in 0..3 {
        peer.write_all(b"ping").unwrap();
        assert_eq!(rig.announced(), [key]);
        let mut memory = [0; 16];
        assert_eq!((socket.receive(&mut memory), &memory[..4]), (Ok(4), &b"ping"[..]));
        assert_eq!(socket.send(b"pong"), Ok(4));
        let mut back = [0; 4];
        peer.read_exact(&mut back).unwrap();
        assert_eq!(&back, b"pong");
    }
    let after = rig.backend.system_calls();
    assert_eq!((after.receives, after.sends, after.others), (before.receives, before.sends, before.others));
}

/// What is announced is told in order, and what says more than that there is input comes by itself.
#[test]
fn only_plain_input_is_announced_so_and_in_order() {
    let mut rig = Rig::new();
    let (first, mut one) = rig.settled();
    let (second, mut two) = rig.settled();
    let (third, mut three) = rig.settled();
    one.write_all(b"1").unwrap();
    two.write_all(b"2").unwrap();
    two.shutdown(std::net::Shutdown::Write).unwrap();
    three.write_all(b"3").unwrap();
    rig.backend.wait(until(Instant::ZERO)).unwrap();
    let keys = [const { Cell::new(Key::NOBODY) }; 4];
    let mut told = Vec::new();
    loop {
        let count = rig.backend.next_announced(&keys);
        told.extend(keys[..count].iter().map(|key| (key.get(), true)));
        match rig.backend.next() {
            Some(Completion::Input(key)) => told.push((key, false)),
            None => break,
            other => panic!("{other:?}"),
        }
    }
    told.sort_unstable();
    assert_eq!(told, [(first, true), (second, false), (third, true)]);
}

#[test]
fn input_that_the_core_leaves_is_noted_and_received_later() {
    let mut rig = Rig::new();
    let (key, _peer) = rig.greeted(b"later");
    assert!(!rig.backend.may_receive(key), "it does not know that the core has come to it");
    assert!(rig.backend.note_input(key) && rig.backend.may_receive(key));
    assert_eq!(rig.receive(key).unwrap(), b"later");
}

#[test]
fn where_all_the_room_was_filled_there_may_be_more() {
    let mut rig = Rig::new();
    let (key, _peer) = rig.greeted(b"hello");
    let result = rig.lent(key).receive(&mut [0; 2]);
    assert!(matches!(rig.backend.was_received(key, io(result)), (Received::Filled(2), true)));
    assert!(rig.backend.may_receive(key));
    assert_eq!(rig.receive(key).unwrap(), b"llo");
}

#[test]
fn an_alarm_without_bytes_is_dry() {
    let mut rig = Rig::new();
    let (key, _peer) = rig.greeted(b"x");
    let socket = rig.lent(key);
    assert_eq!(socket.receive(&mut [0; 2]), Ok(1));
    let result = socket.receive(&mut [0; 2]);
    assert!(matches!(rig.backend.was_received(key, io(result)), (Received::Dry, false)));
    assert!(!rig.backend.may_receive(key));
}

/// The end and a failure are told by the system once, and by the backend as if it had met them itself.
#[test]
fn the_end_and_a_reset_that_the_core_meets_are_told() {
    let mut rig = Rig::new();
    let (ended, peer) = rig.greeted(b"x");
    let (broken, other) = rig.greeted(b"x");
    drop(peer);
    reset(other);
    let (socket, deadline) = (rig.lent(ended), rig.backend.now() + PATIENCE);
    while !matches!(socket.receive(&mut [0; 2]), Ok(0)) {
        assert!(rig.backend.now() < deadline, "it never came");
    }
    assert!(matches!(rig.backend.was_received(ended, Ok(0)), (Received::Eof, false)));
    let socket = rig.lent(broken);
    let result = loop {
        assert!(rig.backend.now() < deadline, "it never came");
        match socket.receive(&mut [0; 2]) {
            Ok(1) | Err(Errno::AGAIN) => {}
            result => break result,
        }
    };
    let (received, _) = rig.backend.was_received(broken, io(result));
    assert!(is_reset(&Err(received)));
    // The event that told of it brings nothing new.
    rig.backend.wait(until(Instant::ZERO)).unwrap();
    assert!(is_reset(&Err(rig.backend.receive(broken, None))) || !rig.backend.may_receive(broken));
}

#[test]
fn after_a_send_in_part_the_next_waits_for_room() {
    let mut rig = Rig::new();
    let (key, mut peer) = rig.settled();
    let (socket, bytes) = (rig.lent(key), vec![7; 64 * 1024 * 1024]);
    let result = socket.send(&bytes);
    assert!(matches!(result, Ok(count) if count < bytes.len()), "{result:?}");
    let mut sent = rig.backend.was_sent(key, io(result));
    let before = rig.backend.system_calls().sends;
    assert!(matches!(rig.backend.send(key, outgoing(b"end")), Started::Pending));
    assert_eq!(rig.backend.system_calls().sends, before, "it knows that there is no room");
    // Nothing of it is lost, and an event brings the send to its end.
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        peer.read_to_end(&mut all).map(|_| all)
    });
    sent += rig.until(|completion| match completion {
        Completion::Sent(sender, sent) if sender == key => Some(sent.result.unwrap()),
        _ => None,
    });
    assert!(matches!(rig.backend.shutdown(key), Started::Done(Ok(()))));
    assert_eq!(reader.join().unwrap().unwrap().len(), sent);
}

#[test]
fn a_send_that_fails_is_met_again() {
    let mut rig = Rig::new();
    let (key, peer) = rig.settled();
    let (socket, deadline) = (rig.lent(key), rig.backend.now() + PATIENCE);
    reset(peer);
    let result = loop {
        assert!(rig.backend.now() < deadline, "it never came");
        match socket.send(b"x") {
            Ok(_) => {}
            failed => break failed,
        }
    };
    assert_eq!(rig.backend.was_sent(key, io(result)), 0);
    let Started::Done(sent) = rig.backend.send(key, outgoing(b"x")) else { panic!("it waits") };
    assert_eq!(sent.result.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
}

/// A send waits for the room that the same event tells of.
#[test]
fn while_a_send_waits_announced_input_is_told_with_it() {
    let mut rig = Rig::new();
    let (key, mut peer) = rig.settled();
    rig.fill(key);
    peer.write_all(b"x").unwrap();
    let mut drained = vec![0; 16 * 1024 * 1024];
    let (mut input, mut sent) = (false, false);
    let deadline = rig.backend.now() + PATIENCE;
    while !(input && sent) {
        assert!(rig.backend.now() < deadline, "input {input}, sent {sent}");
        assert!(peer.read(&mut drained).unwrap() > 0);
        rig.backend.wait(until(Instant::ZERO)).unwrap();
        let keys = [const { Cell::new(Key::NOBODY) }; 4];
        let count = rig.backend.next_announced(&keys);
        for announced in &keys[..count] {
            assert_eq!(announced.get(), key);
            input |= rig.backend.note_input(key);
        }
        while let Some(completion) = rig.backend.next() {
            match completion {
                Completion::Input(_) => input = true,
                Completion::Sent(..) => sent = true,
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(rig.receive(key).unwrap(), b"x");
}

#[test]
fn a_key_that_is_gone_by_then_is_nothing() {
    let mut rig = Rig::new();
    let (key, _peer) = rig.greeted(b"x");
    assert!(matches!(rig.backend.close(key, Close::Orderly), Started::Done(())));
    assert!(!rig.backend.note_input(key));
    assert!(rig.backend.next().is_none() && rig.backend.lend_socket(key).is_none());
}

/// A receive from one may end behind a message, whatever waits behind that.
#[test]
fn sockets_of_unix_are_not_lent() {
    let mut rig = Rig::new();
    let (socket, _peer) = std::os::unix::net::UnixStream::pair().unwrap();
    let key = rig.key();
    rig.backend.open(key, socket.into()).unwrap();
    assert!(rig.backend.lend_socket(key).is_none());
}
