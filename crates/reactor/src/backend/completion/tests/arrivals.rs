//! What a ring has received, where the core finds it.

use std::rc::Rc;

use super::super::connection::OPEN;
use super::*;
use crate::backend::arrivals::{Arrivals, Shown};
use crate::protocol::Internal;

impl Rig {
    /// Those that let input arrive so.
    fn each_that_lends() -> impl Iterator<Item = (Self, Rc<Arrivals>)> {
        let lent = |mut rig: Self| {
            let arrivals = rig.backend.arrivals(Internal).expect("a ring has them");
            (rig.backend.few > 0).then_some((rig, arrivals))
        };
        Self::each().filter_map(lent)
    }

    /// A connection whose reader takes all at once, as is known by now.
    fn open_connection(&mut self) -> (Key, TcpStream) {
        let (key, mut peer) = self.connection();
        peer.write_all(b"open").unwrap();
        self.input(key);
        self.take(key, b"open");
        assert!(self.at(key).is(OPEN));
        (key, peer)
    }

    /// Receives exactly this.
    fn take(&mut self, key: Key, expected: &[u8]) {
        let mut memory = [0; 64];
        let received = self.backend.receive(key, Some(&mut memory));
        let Received::Filled(count) = received else { panic!("{received:?}") };
        assert_eq!(&memory[..count], expected);
    }

    fn take_nothing(&mut self, key: Key) {
        let received = self.backend.receive(key, Some(&mut [0; 64]));
        assert!(matches!(received, Received::Dry), "{received:?}");
    }

    /// Waits until there is input, without a look at whose it is.
    fn arrive(&mut self, arrivals: &Arrivals) {
        let deadline = self.backend.now() + PATIENCE;
        while arrivals.is_empty() {
            assert!(self.backend.now() < deadline, "it never came");
            self.backend.wait(until(deadline)).unwrap();
        }
    }

    /// Lets this arrive, and goes on showing it.
    fn hold<'a>(&mut self, arrivals: &'a Arrivals, peer: &mut TcpStream, bytes: &[u8]) -> Shown<'a> {
        peer.write_all(bytes).unwrap();
        self.arrive(arrivals);
        let taken = arrivals.take_next().map(|(_, bytes)| bytes).expect("it arrived");
        assert!(arrivals.decide());
        arrivals.show(taken)
    }

    /// Lets this arrive: how much of it is shown. The last bytes of a receive come in the other way.
    fn show(&mut self, arrivals: &Arrivals, (key, peer): &mut (Key, TcpStream), bytes: &[u8]) -> usize {
        peer.write_all(bytes).unwrap();
        let (mut all, mut shown) = (Vec::new(), 0);
        while all.len() < bytes.len() {
            self.arrive(arrivals);
            let (whose, bytes) = arrivals.take_next().expect("it arrived");
            assert!(whose == *key && arrivals.decide());
            all.extend_from_slice(&arrivals.show(bytes));
            shown += bytes.len();
            let mut memory = [0; 4096];
            while let Received::Filled(count) = self.backend.receive(whose, Some(&mut memory)) {
                all.extend_from_slice(&memory[..count]);
            }
        }
        assert!(all == bytes, "the bytes differ");
        shown
    }
}

#[test]
fn what_is_taken_at_once_arrives_where_it_is_found() {
    for (mut rig, arrivals) in Rig::each_that_lends() {
        let mut pair = rig.open_connection();
        let (mut all, mut shown) = (0, 0);
        for round in 0..200 {
            all += 1 + 40 * round;
            shown += rig.show(&arrivals, &mut pair, &pattern(round, 1 + 40 * round));
        }
        assert!(shown > all / 2, "{shown} of {all} bytes");
        rig.take_nothing(pair.0);
    }
}

/// In whatever way it was taken, if all of it was.
#[test]
fn what_follows_a_large_piece_that_was_taken_arrives_again() {
    for (mut rig, arrivals) in Rig::each_that_lends() {
        let (key, mut peer) = rig.open_connection();
        for as_chunk in [true, false, true] {
            let large = pattern(3, 9000);
            peer.write_all(&large).unwrap();
            let (mut all, mut memory) = (Vec::new(), [0; 20_000]);
            while all.len() < large.len() {
                rig.input(key);
                let into = if as_chunk { None } else { Some(&mut memory[..]) };
                match rig.backend.receive(key, into) {
                    Received::Chunk(chunk) => {
                        all.extend_from_slice(chunk.bytes());
                        rig.backend.release(chunk);
                    }
                    Received::Filled(count) => all.extend_from_slice(&memory[..count]),
                    other => assert!(matches!(other, Received::Dry), "{other:?}"),
                }
            }
            assert!(all == large, "the bytes differ");
            rig.take_nothing(key);
            assert!(rig.at(key).is(OPEN));
        }
        assert_eq!(rig.show(&arrivals, &mut (key, peer), b"and shown"), 9);
    }
}

/// Whoever asks for it gets it, whether it was come to or not.
#[test]
fn what_is_declined_or_not_come_to_is_received_in_order() {
    for (mut rig, arrivals) in Rig::each_that_lends() {
        let (mut one, mut other) = (rig.open_connection(), rig.open_connection());
        one.1.write_all(b"declined").unwrap();
        rig.arrive(&arrivals);
        assert_eq!(arrivals.take_next().map(|(key, _)| key), Some(one.0));
        arrivals.decline();
        assert!(rig.backend.may_receive(one.0));
        rig.take(one.0, b"declined");
        rig.take_nothing(one.0);
        // It was taken at once, and so goes on.
        assert_eq!(rig.show(&arrivals, &mut one, b"and shown"), 9);
        other.1.write_all(b"not come to").unwrap();
        rig.arrive(&arrivals);
        rig.take(other.0, b"not come to");
        let (whose, bytes) = arrivals.take_next().expect("it is told all the same");
        assert!(whose == other.0 && bytes.is_empty());
        rig.take_nothing(other.0);
        assert_eq!(rig.show(&arrivals, &mut other, b"and shown, too"), 14);
    }
}

/// What comes before the end is in order before it.
#[test]
fn several_pieces_and_the_end_of_one_connection_keep_their_order() {
    for (mut rig, arrivals) in Rig::each_that_lends() {
        let (key, mut peer) = rig.open_connection();
        let mut all = Vec::new();
        for round in 0..3 {
            peer.write_all(&pattern(round, 300)).unwrap();
            rig.arrive(&arrivals);
            // Without another wait, as a busy ring brings several pieces in one.
            assert!(rig.backend.ring.submit(&mut rig.backend.calls).is_ok());
        }
        drop(peer);
        let deadline = rig.backend.now() + PATIENCE;
        loop {
            assert!(rig.backend.now() < deadline, "it never came");
            if let Some((_, bytes)) = arrivals.take_next() {
                if bytes.is_empty() || all.len() == 300 {
                    arrivals.decline();
                } else if arrivals.decide() {
                    all.extend_from_slice(&arrivals.show(bytes));
                }
            }
            match rig.pull(key, &mut all) {
                Received::Eof => break,
                Received::Dry => rig.backend.wait(until(Instant::ZERO)).unwrap(),
                other => panic!("{other:?}"),
            }
        }
        assert!(
            all == (0..3).flat_map(|round| pattern(round, 300)).collect::<Vec<_>>(),
            "{} bytes",
            all.len()
        );
    }
}

#[test]
fn the_next_wait_keeps_what_nobody_took_and_lets_the_pool_go() {
    for (mut rig, arrivals) in Rig::each_that_lends() {
        let mut pairs: Vec<_> = (0..3).map(|_| rig.open_connection()).collect();
        for (_, peer) in &mut pairs {
            peer.write_all(b"later").unwrap();
        }
        let deadline = rig.backend.now() + PATIENCE;
        while !pairs.iter().all(|(key, _)| rig.at(*key).input_len() == 5 && !rig.at(*key).is(OPEN)) {
            assert!(rig.backend.now() < deadline, "it never came");
            rig.backend.wait(until(Instant::ZERO)).unwrap();
        }
        assert!(!arrivals.have_bytes());
        for (key, _) in &pairs {
            let (whose, bytes) = arrivals.take_next().expect("it is told");
            assert!(bytes.is_empty() && pairs.iter().any(|(key, _)| *key == whose));
            rig.take(*key, b"later");
        }
        rig.backend.wait(until(Instant::ZERO)).unwrap();
        assert!(rig.backend.buffers.holds_nothing());
    }
}

/// Q08: also where the pool has few buffers, and each receive takes one.
#[test]
fn q08_what_is_shown_stays_as_it_is_whatever_else_is_received() {
    for (mut rig, arrivals) in Rig::each_that_lends() {
        let (mut shown, mut other) = (rig.open_connection(), rig.open_connection());
        let first = pattern(3, 2000);
        let held = rig.hold(&arrivals, &mut shown.1, &first);
        for round in 0..1500 {
            // As long as something is shown nothing is free again, and who has no buffer waits for one.
            if rig.backend.buffers.provided() < 2 {
                break;
            }
            rig.show(&arrivals, &mut other, &pattern(round, 1000));
        }
        assert!(*held == first, "it was written to");
        drop(held);
        rig.backend.wait(until(Instant::ZERO)).unwrap();
        assert!(rig.backend.buffers.holds_nothing());
    }
}

#[test]
fn what_arrived_for_a_connection_that_is_closed_is_nobodys() {
    for (mut rig, arrivals) in Rig::each_that_lends() {
        let (key, mut peer) = rig.open_connection();
        peer.write_all(b"too late").unwrap();
        rig.arrive(&arrivals);
        assert!(matches!(rig.backend.close(key, Close::Reset), Started::Pending));
        rig.closed(key);
        assert!(rig.backend.buffers.holds_nothing() && arrivals.is_empty());
        let mut next = rig.open_connection();
        assert_eq!(rig.show(&arrivals, &mut next, b"somebody else's"), 15);
    }
}

/// V1
#[test]
fn what_is_shown_outlives_the_ring() {
    for (mut rig, arrivals) in Rig::each_that_lends() {
        let (_, mut peer) = rig.open_connection();
        let held = rig.hold(&arrivals, &mut peer, b"here to stay");
        drop(rig);
        assert_eq!(&*held, b"here to stay");
    }
}

/// More of it is kept with the connection, as it is much, before anybody has come to what is little.
#[test]
fn little_that_arrived_comes_before_much_that_is_kept() {
    for (mut rig, arrivals) in Rig::each_that_lends() {
        let (stranger, mut strangers) = rig.connection();
        let (key, mut peer) = rig.open_connection();
        let all = pattern(5, 60_000);
        strangers.write_all(b"unknown").unwrap();
        for piece in [&all[..300], &all[300..30_300], &all[30_300..]] {
            peer.write_all(piece).unwrap();
            // Without a wait, so that all of it is collected at once.
            rig.backend.ring.submit(&mut rig.backend.calls).unwrap();
        }
        let mut seen = Vec::new();
        while seen.len() < all.len() {
            rig.arrive(&arrivals);
            while let Some((whose, _)) = arrivals.take_next() {
                // A look at somebody else in between.
                arrivals.decline();
                if whose == stranger {
                    rig.take(stranger, b"unknown");
                } else {
                    assert_eq!(whose, key);
                    assert!(matches!(rig.pull(key, &mut seen), Received::Dry));
                }
            }
        }
        assert!(seen == all, "the bytes differ");
    }
}

/// As a task does that reads two connections: it is told of the one, and reads the other before.
#[test]
fn what_is_undecided_while_others_are_asked_is_received_after_all() {
    for (mut rig, arrivals) in Rig::each_that_lends() {
        let (mut one, mut other) = (rig.open_connection(), rig.open_connection());
        for round in 0..100 {
            let (first, second) = (pattern(round, 700), pattern(round + 1, 700));
            other.1.write_all(&second).unwrap();
            rig.arrive(&arrivals);
            one.1.write_all(&first).unwrap();
            let mut seen = (Vec::new(), Vec::new());
            while seen.0.len() + seen.1.len() < 1400 {
                rig.arrive(&arrivals);
                let (whose, bytes) = arrivals.take_next().expect("it arrived");
                let shown = arrivals.show(bytes);
                let (asked, all) = if whose == one.0 { (other.0, &mut seen.1) } else { (one.0, &mut seen.0) };
                assert!(matches!(rig.pull(asked, all), Received::Dry));
                arrivals.decline();
                drop(shown);
                let (told, all) = if whose == one.0 { (one.0, &mut seen.0) } else { (other.0, &mut seen.1) };
                assert!(matches!(rig.pull(told, all), Received::Dry));
            }
            assert!(seen == (first, second), "the bytes differ in round {round}");
        }
    }
}
