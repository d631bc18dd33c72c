//! Sends of a few bytes, which are copied.

use std::thread;

use super::super::connection::{FULL, QUIET};
use super::*;

/// What becomes of a copy: all of it is sent with the next wait, or it is told what there is left and how much of that was sent.
#[derive(Debug)]
enum Told {
    All,
    Rest(Sent),
}

impl Rig {
    /// Waits once: whose copies were not all sent.
    fn unsent(&mut self) -> Vec<Key> {
        let mut unsent = Vec::new();
        self.backend.wait(until(Instant::ZERO)).unwrap();
        self.backend.take_unsent(&mut unsent);
        unsent
    }

    /// Waits for what becomes of a copy, which has begun.
    fn copied(&mut self, wanted: Key) -> Told {
        self.backend.expedite(wanted);
        assert!(self.backend.has_events(), "somebody waits for it");
        if self.unsent().contains(&wanted) { Told::Rest(self.sent(wanted)) } else { Told::All }
    }
}

fn read(peer: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    peer.read_exact(&mut bytes).unwrap();
    bytes
}

#[test]
fn many_copies_of_one_turn_arrive_as_they_were() {
    for mut rig in Rig::each() {
        let mut pairs = rig.connections(40);
        for round in 0..20 {
            for (number, (key, _)) in pairs.iter().enumerate() {
                assert!(rig.backend.send_copy(*key, &pattern(number + round, 1 + 31 * number)));
            }
            // Where the queue is short, the kernel is entered more than once.
            while !rig.backend.copies.is_empty() {
                rig.unsent();
            }
            for (number, (_, peer)) in pairs.iter_mut().enumerate() {
                assert_eq!(read(peer, 1 + 31 * number), pattern(number + round, 1 + 31 * number));
            }
        }
    }
}

/// The kernel waits for room then, and the bytes are no copy any more.
#[test]
fn a_copy_for_a_full_socket_waits_for_room_and_comes_next() {
    for mut rig in Rig::each() {
        let (key, mut peer) = rig.connection();
        rig.settle();
        let before = rig.fill_unseen(key);
        assert!(rig.backend.send_copy(key, b"after all of it"));
        assert_eq!(rig.unsent(), [key]);
        assert!(rig.at(key).outgoing.is_some() && rig.at(key).is(FULL));
        // Others use the memory meanwhile.
        let (other, mut others) = rig.connection();
        assert!(rig.backend.send_copy(other, b"somebody else's"));
        assert!(matches!(rig.copied(other), Told::All));
        assert_eq!(read(&mut others, 15), b"somebody else's");
        let reader = thread::spawn(move || {
            read(&mut peer, before);
            read(&mut peer, 15)
        });
        let sent = rig.sent(key);
        assert_eq!((sent.result.unwrap(), sent.outgoing.front()), (15, &b"after all of it"[..]));
        assert_eq!(reader.join().unwrap(), b"after all of it");
    }
}

#[test]
fn where_there_was_no_room_none_is_copied() {
    for mut rig in Rig::each() {
        let (key, _peer) = rig.connection();
        rig.at(key).state.insert(FULL);
        assert!(!rig.backend.send_copy(key, b"few"));
        rig.at(key).state.remove(FULL);
        assert!(!rig.backend.send_copy(key, &[0; 100_000]), "these are many");
        assert!(!rig.backend.send_copy(Key::new(1000, 1), b"few"), "there is nobody");
    }
}

/// Q02: its bytes come back as they were.
#[test]
fn q02_a_close_gives_a_copy_back_that_waits_for_room() {
    for mut rig in Rig::each() {
        let (key, peer) = rig.connection();
        rig.settle();
        rig.fill_unseen(key);
        assert!(rig.backend.send_copy(key, b"never sent"));
        assert_eq!(rig.unsent(), [key]);
        assert!(matches!(rig.backend.close(key, Close::Reset), Started::Pending));
        let sent = rig.sent(key);
        assert_eq!(sent.result.unwrap_err().kind(), ErrorKind::ConnectionAborted);
        assert_eq!(sent.outgoing.front(), b"never sent");
        rig.closed(key);
        drop(peer);
    }
}

#[test]
fn a_copy_to_a_peer_that_reset_fails_with_its_bytes() {
    for mut rig in Rig::each() {
        let (key, peer) = rig.connection();
        rig.settle();
        reset(peer);
        assert!(rig.backend.send_copy(key, b"to nobody"));
        let Told::Rest(sent) = rig.copied(key) else { panic!("nobody is there") };
        assert_eq!(sent.result.unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(sent.outgoing.front(), b"to nobody");
    }
}

/// Q08: nor is it used again before the kernel has taken it.
#[test]
fn q08_the_memory_is_not_used_again_while_a_copy_was_not_taken() {
    for entries in [8, 1024] {
        let Some(mut rig) = Rig::with(&Options::default().entries(entries)) else { return };
        let (mut first, mut second) = (rig.connection(), rig.connection());
        rig.settle();
        rig.backend.ring.hold_back(4 * entries as usize);
        assert!(rig.backend.send_copy(first.0, b"the first of two"));
        assert_eq!(rig.unsent(), [first.0], "it is not known to be sent");
        assert!(!rig.backend.ring.took_all() && rig.at(first.0).is(QUIET));
        assert!(rig.backend.send_copy(second.0, b"and another"));
        let (mut sent, mut unsent) = (Vec::new(), Vec::new());
        while sent.is_empty() {
            unsent.extend(rig.unsent());
            rig.backend.take_sent(&mut sent);
        }
        assert_eq!((sent[0].key, sent[0].outgoing.front()), (first.0, &b"the first of two"[..]));
        assert!(rig.backend.copies.is_empty() && !unsent.contains(&first.0));
        assert_eq!(read(&mut first.1, 16), b"the first of two");
        assert_eq!(read(&mut second.1, 11), b"and another");
    }
}

/// R6
#[test]
fn a_ring_that_ends_submits_copies_first() {
    for mut rig in Rig::each() {
        let pairs = rig.connections(5);
        rig.settle();
        rig.fill_unseen(pairs[0].0);
        pairs.iter().for_each(|(key, _)| assert!(rig.backend.send_copy(*key, b"the last")));
        drop(rig);
        for (_, mut peer) in pairs.into_iter().skip(1) {
            assert_eq!(read(&mut peer, 8), b"the last");
        }
    }
}
