//! Sends of few bytes, which depart.

use std::thread;

use super::super::connection::{FULL, QUIET};
use super::*;
use crate::backend::Departing;

/// What becomes of what departs: all of it is sent with the next wait, or it is told what there is left and how much of that was sent.
#[derive(Debug)]
enum Told {
    All,
    Rest(Sent),
}

impl Rig {
    /// Lets few bytes depart: whether they do.
    fn departs(&mut self, key: Key, bytes: &[u8]) -> bool {
        let socket = self.backend.departs(key);
        socket.is_some_and(|socket| self.backend.departures.put(key, socket, bytes))
    }

    /// Waits once: of whom not all was sent.
    fn unsent(&mut self) -> Vec<Key> {
        let mut unsent = Vec::new();
        self.backend.wait(until(Instant::ZERO)).unwrap();
        self.backend.take_unsent(&mut unsent);
        unsent
    }

    /// Waits for what becomes of it.
    fn departed(&mut self, wanted: Key) -> Told {
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
fn what_departs_in_one_turn_arrives_as_it_was() {
    for mut rig in Rig::each() {
        let mut pairs = rig.connections(40);
        for round in 0..20 {
            for (number, (key, _)) in pairs.iter().enumerate() {
                assert!(rig.departs(*key, &pattern(number + round, 1 + 31 * number)));
            }
            // Where the queue is short, the kernel is entered more than once.
            while !rig.backend.departures.is_empty() {
                rig.unsent();
            }
            for (number, (_, peer)) in pairs.iter_mut().enumerate() {
                assert_eq!(read(peer, 1 + 31 * number), pattern(number + round, 1 + 31 * number));
            }
        }
    }
}

/// The kernel waits for room then, and the bytes have a queue.
#[test]
fn what_departs_to_a_full_socket_waits_for_room_and_comes_next() {
    for mut rig in Rig::each() {
        let (key, mut peer) = rig.connection();
        rig.settle();
        let before = rig.fill_unseen(key);
        assert!(rig.departs(key, b"after all of it"));
        assert_eq!(rig.unsent(), [key]);
        assert!(rig.at(key).outgoing.is_some() && rig.at(key).is(FULL));
        // Others use the memory meanwhile.
        let (other, mut others) = rig.connection();
        assert!(rig.departs(other, b"somebody else's"));
        assert!(matches!(rig.departed(other), Told::All));
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
fn what_is_many_or_nobodys_does_not_depart() {
    for mut rig in Rig::each() {
        let (key, _peer) = rig.connection();
        assert!(!rig.departs(key, &[0; 100_000]), "these are many");
        assert!(!rig.departs(Key::new(1000, 1), b"few"), "there is nobody");
    }
}

/// It is not tried first: it waits for room at once.
#[test]
fn what_departs_to_a_socket_that_is_known_to_be_full_is_lent() {
    for mut rig in Rig::each() {
        let (mut full, mut other) = (rig.connection(), rig.connection());
        rig.settle();
        rig.backend.note_full(full.0);
        assert!(rig.departs(full.0, b"waits") && rig.departs(other.0, b"does not"));
        assert_eq!(rig.unsent(), [full.0]);
        assert!(!rig.at(full.0).is(QUIET));
        let sent = rig.sent(full.0);
        assert_eq!((sent.result.unwrap(), sent.outgoing.front()), (5, &b"waits"[..]));
        assert_eq!((read(&mut full.1, 5), read(&mut other.1, 8)), (b"waits".to_vec(), b"does not".to_vec()));
        // There was room for all of it. Who is not full leaves the list, and so does nobody.
        rig.backend.full.extend([full.0, other.0, Key::new(1000, 1)]);
        assert!(rig.departs(full.0, b"and sent") && rig.unsent().is_empty());
        assert_eq!((read(&mut full.1, 8), rig.backend.full.len()), (b"and sent".to_vec(), 0));
    }
}

/// More than the queue has room for, of whom some are closed behind it.
#[test]
fn what_departs_beyond_the_queue_is_sent_before_a_close() {
    let Some(mut rig) = Rig::with(&Options::default().entries(8)) else { return };
    let pairs = rig.connections(40);
    rig.settle();
    for (number, (key, _)) in pairs.iter().enumerate() {
        assert!(rig.departs(*key, &pattern(number, 100 + number)));
    }
    for (key, _) in pairs.iter().step_by(3) {
        assert!(matches!(rig.backend.close(*key, Close::Orderly), Started::Pending));
    }
    while !rig.backend.departures.is_empty() {
        rig.unsent();
    }
    for (number, (key, mut peer)) in pairs.into_iter().enumerate() {
        assert_eq!(read(&mut peer, 100 + number), pattern(number, 100 + number));
        if number % 3 == 0 {
            rig.closed(key);
            assert!(is_ended(&peer));
        }
    }
}

/// What has waited for long is sent by a call of its own, and is known to be sent only with the next wait.
#[test]
fn what_departs_is_submitted_when_the_core_says_so() {
    for mut rig in Rig::each() {
        let (key, mut peer) = rig.connection();
        rig.settle();
        assert!(rig.departs(key, b"at once"));
        let before = rig.backend.system_calls().waits;
        rig.backend.depart();
        assert_eq!(rig.backend.system_calls().waits, before + 1);
        assert_eq!(read(&mut peer, 7), b"at once");
        assert!(!rig.backend.departures.is_empty() && !rig.backend.departures.are_waiting());
        assert!(matches!(rig.departed(key), Told::All) && rig.backend.departures.is_empty());
    }
}

/// A close comes behind it.
#[test]
fn what_departed_is_sent_before_its_connection_is_closed() {
    for mut rig in Rig::each() {
        let (key, mut peer) = rig.connection();
        rig.settle();
        assert!(rig.departs(key, b"last words"));
        assert!(matches!(rig.backend.close(key, Close::Orderly), Started::Pending));
        rig.closed(key);
        let mut all = Vec::new();
        peer.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"last words");
    }
}

/// Q02: its bytes come back as they were.
#[test]
fn q02_a_close_gives_back_what_departed_and_waits_for_room() {
    for mut rig in Rig::each() {
        let (key, peer) = rig.connection();
        rig.settle();
        rig.fill_unseen(key);
        assert!(rig.departs(key, b"never sent"));
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
fn what_departs_to_a_peer_that_reset_fails_with_its_bytes() {
    for mut rig in Rig::each() {
        let (key, peer) = rig.connection();
        rig.settle();
        reset(peer);
        assert!(rig.departs(key, b"to nobody"));
        let Told::Rest(sent) = rig.departed(key) else { panic!("nobody is there") };
        assert_eq!(sent.result.unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(sent.outgoing.front(), b"to nobody");
    }
}

/// Q08: nor is it used again before the kernel has taken it.
#[test]
fn q08_the_memory_is_not_used_again_while_what_departed_was_not_taken() {
    for entries in [8, 1024] {
        let Some(mut rig) = Rig::with(&Options::default().entries(entries)) else { return };
        let (mut first, mut second) = (rig.connection(), rig.connection());
        rig.settle();
        rig.backend.ring.hold_back(4 * entries as usize);
        assert!(rig.departs(first.0, b"the first of two"));
        assert_eq!(rig.unsent(), [first.0], "it is not known to be sent");
        assert!(!rig.backend.ring.took_all() && rig.at(first.0).is(QUIET));
        assert!(rig.departs(second.0, b"and another"));
        let (mut sent, mut unsent) = (Vec::new(), Vec::new());
        while sent.is_empty() {
            unsent.extend(rig.unsent());
            rig.backend.take_sent(&mut sent);
        }
        assert_eq!((sent[0].key, sent[0].outgoing.front()), (first.0, &b"the first of two"[..]));
        assert!(rig.backend.departures.is_empty() && !unsent.contains(&first.0));
        assert_eq!(read(&mut first.1, 16), b"the first of two");
        assert_eq!(read(&mut second.1, 11), b"and another");
    }
}

/// R6
#[test]
fn a_ring_that_ends_submits_what_departs_first() {
    for mut rig in Rig::each() {
        let pairs = rig.connections(5);
        rig.settle();
        rig.fill_unseen(pairs[0].0);
        pairs.iter().for_each(|(key, _)| assert!(rig.departs(*key, b"the last")));
        drop(rig);
        for (_, mut peer) in pairs.into_iter().skip(1) {
            assert_eq!(read(&mut peer, 8), b"the last");
        }
    }
}
