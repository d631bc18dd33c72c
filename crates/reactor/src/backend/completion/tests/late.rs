use std::thread;

use super::*;
use crate::backend::completion::connection::{RECEIVING, STOPPING};

/// More than fits into any socket's buffers.
const MUCH: usize = 60 * 1024 * 1024;

/// Q02: whatever ends a send, its bytes come back as they were, and not before the kernel is done with them.
#[test]
fn q02_a_close_gives_the_bytes_of_a_send_back_when_the_kernel_is_done() {
    for mut rig in Rig::each() {
        for how in [Close::Orderly, Close::Reset] {
            for parts in [1, 3] {
                let ((key, peer), counted) = (rig.connection(), Counted::default());
                rig.begin_send(key, counted.outgoing(parts, MUCH / parts));
                rig.resend_until_full();
                assert!(matches!(rig.backend.close(key, how), Started::Pending));
                assert_eq!(counted.drops(), 0);
                let sent = rig.sent(key);
                assert_eq!(sent.result.unwrap_err().kind(), ErrorKind::ConnectionAborted);
                assert_eq!((sent.outgoing.front()[0], counted.drops()), (0, 0));
                rig.closed(key);
                drop(sent.outgoing);
                assert_eq!(counted.drops(), parts);
                assert!(is_ended(&peer));
            }
        }
    }
}

/// Q02: what was received stays as it is while it is held, however often the rest of the pool is used again.
#[test]
fn q02_received_bytes_stay_valid_after_the_close_and_the_end_of_the_ring() {
    for mut rig in Rig::each() {
        let (key, mut peer) = rig.connection();
        peer.write_all(&pattern(5, 3000)).unwrap();
        rig.input(key);
        let Received::Chunk(held) = rig.backend.receive(key, None) else { panic!() };
        rig.backend.close(key, Close::Orderly);
        rig.closed(key);
        let (other, mut flooder) = rig.connection();
        let flood = thread::spawn(move || flooder.write_all(&vec![0xee; MUCH]).map(|()| flooder));
        assert!(rig.receive_all(other, MUCH).iter().all(|byte| *byte == 0xee));
        let flooder = flood.join().unwrap().unwrap();
        assert_eq!(held.bytes(), pattern(5, held.bytes().len()));
        drop((rig, flooder));
        assert_eq!(held.bytes(), pattern(5, held.bytes().len()));
    }
}

/// Q03: the slot and the descriptor are used again, while the old peer goes on writing.
#[test]
fn q03_who_reuses_a_slot_and_a_descriptor_hears_nothing_of_their_last_user() {
    for mut rig in Rig::each() {
        let (listener, address) = rig.listen();
        let slot = rig.key();
        let mut generation = slot.generation();
        let index = u32::try_from(slot.index()).unwrap();
        let mut last: Option<TcpStream> = None;
        for round in 0..100 {
            generation += 1;
            let key = Key::new(index, generation);
            let mut peer = TcpStream::connect(address).unwrap();
            rig.accept_as(listener, key);
            // The last peer may be refused by now.
            drop(last.take().map(|mut last| last.write_all(b"late")));
            let words = format!("of round {round}");
            peer.write_all(words.as_bytes()).unwrap();
            assert_eq!(rig.receive_all(key, words.len()), words.as_bytes());
            // Some of them with a receive that has completed unseen, and some with a send that waits.
            if round % 3 == 0 {
                peer.write_all(b"unseen").unwrap();
            }
            if round % 4 == 0 {
                assert!(matches!(rig.backend.send(key, outgoing(&pattern(0, 1 << 23))), Started::Pending));
                rig.backend.wait(until(Instant::ZERO)).unwrap();
            }
            assert!(matches!(rig.backend.close(key, Close::Orderly), Started::Pending));
            rig.until(|completion| match completion {
                Completion::Closed(closed) => (closed == key).then_some(()),
                Completion::Sent(of, _) | Completion::Input(of) => {
                    assert!(of == key || of == listener);
                    None
                }
                other => panic!("{other:?}"),
            });
            last = Some(peer);
        }
        assert!(matches!(rig.backend.receive(slot, None), Received::Failed(_)));
    }
}

/// Q04, Q06: a receive without limit is cancelled while its peer goes on sending.
#[test]
fn q04_what_a_receive_brings_after_its_cancellation_is_kept() {
    const ALL: usize = 40 * 1024 * 1024;
    let frugal = Options::default().bulk(usize::MAX).without(Feature::Credit);
    let options = [frugal.clone(), frugal.clone().without(Feature::IncrementalBuffers), frugal.entries(8)];
    for options in options {
        let Some(mut rig) = Rig::with(&options) else { return };
        let (key, peer) = rig.connection();
        let data = pattern(0, ALL);
        let (mut written, mut seen, mut cancelled) = (0, Vec::new(), 0);
        while seen.len() < ALL {
            // Nobody pulls until a cancellation was asked for, the receive ended by itself, or everything is there.
            rig.backend.wait(until(Instant::ZERO)).unwrap();
            let deadline = rig.backend.now() + PATIENCE;
            while rig.at(key).is(RECEIVING) && !rig.at(key).is(STOPPING) && written < ALL {
                assert!(rig.backend.now() < deadline, "a flood nobody pulls is stopped");
                let little = (written + (64 << 10)).min(ALL);
                written += write_some(&peer, &data[written..little]);
                rig.backend.wait(until(Instant::ZERO)).unwrap();
            }
            cancelled += usize::from(rig.at(key).is(STOPPING));
            // It is submitted by the next wait only, and more arrives before that.
            written += write_some(&peer, &data[written..]);
            rig.settle();
            let held = rig.at(key).input_len();
            // What a wait brings finds room in the pool.
            assert!(held < 17 << 20, "{held} bytes are held");
            assert!(written == ALL || !rig.at(key).is(RECEIVING.or(STOPPING)));
            let rest = rig.receive_all(key, written - seen.len());
            seen.extend(rest);
        }
        assert!(cancelled > 2, "{cancelled} cancellations");
        assert!(seen == data, "the bytes differ");
    }
}

/// Q05
#[test]
fn q05_an_accept_that_completes_after_the_close_closes_its_connection() {
    for mut rig in Rig::each() {
        for _ in 0..20 {
            let (listener, address) = rig.listen();
            rig.settle();
            let early = TcpStream::connect(address).unwrap();
            assert!(matches!(rig.backend.close(listener, Close::Orderly), Started::Pending));
            // The accept goes on until the next wait submits the cancellation.
            let late: Vec<_> = (0..3).map(|_| TcpStream::connect(address).unwrap()).collect();
            rig.until(|completion| match completion {
                Completion::Closed(closed) => (closed == listener).then_some(()),
                other => panic!("{other:?}"),
            });
            let all = late.iter().chain([&early]);
            all.clone().for_each(|peer| peer.set_read_timeout(Some(PATIENCE)).unwrap());
            assert!(all.clone().all(is_ended));
            assert!(TcpStream::connect(address).is_err());
        }
    }
}

/// Q05: also those that were accepted ahead, more of them than a listener keeps.
#[test]
fn q05_connections_that_were_accepted_ahead_end_with_their_listener() {
    for mut rig in Rig::each() {
        let (listener, address) = rig.listen();
        let peers: Vec<_> = (0..150).map(|_| TcpStream::connect(address).unwrap()).collect();
        rig.settle();
        rig.backend.close(listener, Close::Orderly);
        rig.closed(listener);
        assert!(peers.iter().all(is_ended));
    }
}

/// Q06
#[test]
fn q06_an_accept_and_a_receive_that_end_early_go_on() {
    for mut rig in Rig::each() {
        // More than a listener accepts ahead, and than the short queue of completions has room for.
        let (listener, address) = rig.listen();
        let mut peers: Vec<_> = (0..150).map(|_| TcpStream::connect(address).unwrap()).collect();
        rig.settle();
        assert!(!rig.backend.table.listener(listener).unwrap().accepting);
        let keys: Vec<_> = (0..150).map(|_| rig.accept(listener)).collect();
        for (number, peer) in peers.iter_mut().enumerate() {
            peer.write_all(&pattern(number, 2000)).unwrap();
        }
        for (number, key) in keys.iter().enumerate() {
            assert_eq!(rig.receive_all(*key, 2000), pattern(number, 2000));
        }
        // More than the credit of one receive, many times.
        let (key, peer) = (keys[7], peers.swap_remove(7));
        let data = pattern(7, 10 * 1024 * 1024);
        let sent = data.clone();
        let writer = thread::spawn(move || (&peer).write_all(&sent).map(|()| peer));
        assert!(rig.receive_all(key, data.len()) == data, "the bytes differ");
        drop(writer.join().unwrap().unwrap());
        rig.input(key);
        assert!(matches!(rig.backend.receive(key, None), Received::Eof));
        drop(TcpStream::connect(address).unwrap());
        rig.accept(listener);
    }
}

/// Q06, L08: whoever takes all connections that were accepted ahead at once gets the following ones, too.
#[test]
fn q06_a_listener_that_is_drained_while_its_accept_is_cancelled_goes_on() {
    for mut rig in Rig::each() {
        let (listener, address) = rig.listen();
        let connect = |count| (0..count).map(|_| TcpStream::connect(address).unwrap()).collect::<Vec<_>>();
        let first = connect(100);
        rig.input(listener);
        let found = rig.backend.table.listener(listener).unwrap();
        assert!(found.stopping || !found.accepting || found.ready.len() < 64);
        let mut taken = 0;
        while let (key, true) = (rig.key(), taken < 100) {
            match rig.backend.accept(listener, key) {
                Accepted::Connection(_) => taken += 1,
                Accepted::Dry => rig.input(listener),
                Accepted::Failed(error) => panic!("{error}"),
            }
        }
        let key = rig.key();
        assert!(matches!(rig.backend.accept(listener, key), Accepted::Dry));
        let later = connect(3);
        for _ in 0..3 {
            rig.accept(listener);
        }
        drop((first, later));
    }
}

/// Q06: the poll by which other threads wake the loop is multishot, too.
#[test]
fn q06_a_loop_can_be_woken_as_often_as_one_likes() {
    for mut rig in Rig::each() {
        let waker = rig.backend.waker();
        for _ in 0..200 {
            let waker = Arc::clone(&waker);
            let other = thread::spawn(move || waker.wake());
            let far = rig.backend.now() + PATIENCE;
            rig.backend.wait(until(far)).unwrap();
            assert!(rig.backend.now() < far, "nobody woke it");
            other.join().unwrap();
        }
    }
}
