//! U: descriptors that are passed over UNIX sockets.

use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use marline_reactor::backend::Opening;
use marline_reactor::{Addresses, Endpoint, Transport, WriteStatus};

use crate::conformance;
use crate::support::passing::{Keeper, Kept, Token, send_with};
use crate::support::{Event, Log, Trace, World, scratch, skip};

const WEIGHT: usize = Transport::DESCRIPTOR_WEIGHT;

fn null() -> OwnedFd {
    std::fs::File::open("/dev/null").expect("a device").into()
}

conformance! {
    fn u02_descriptors_arrive_before_the_bytes_they_travel_with(world: &World) {
        let (log, kept, payload) = (Log::new(), Kept::default(), world.payload());
        let (near, _far) =
            world.unix_pair("u02-order", true, Trace::new(&Log::new()), Keeper::new(&log, &kept));
        // One, two, and three at a time, before the first byte, in the middle, and before single bytes.
        let (mut sent, mut inodes, mut places) = (Vec::new(), Vec::new(), Vec::new());
        for (part, count) in [(&payload[..], 1), (b"x", 2), (&payload[..100], 3), (b"y", 1), (b"z", 1)] {
            for _ in 0..count {
                let (descriptor, token) = Token::new();
                assert!(near.send_descriptor(descriptor).expect("room").is_accepted());
                inodes.push(token.inode);
                places.push(sent.len());
            }
            near.write(part);
            sent.extend_from_slice(part);
        }
        near.close();
        world.until(|| log.is_lost());
        assert_eq!(log.bytes(), sent);
        assert_eq!(kept.inodes(), inodes);
        let seen = kept.places();
        assert!(seen.iter().zip(&places).all(|(seen, sent)| seen <= sent), "{seen:?}, sent at {places:?}");
    }

    fn u02_both_ends_pass_descriptors(world: &World) {
        let (logs, kept) = ([Log::new(), Log::new()], [Kept::default(), Kept::default()]);
        let (near, far) = world.unix_pair(
            "u02-both",
            true,
            Keeper::new(&logs[0], &kept[0]),
            Keeper::new(&logs[1], &kept[1]),
        );
        for transport in [&near, &far] {
            transport.send_descriptor(null()).expect("room");
            transport.write(b"!");
        }
        world.until(|| logs.iter().all(|log| log.received() == 1));
        assert!(kept.iter().all(|kept| kept.places() == [0]));
    }

    fn u02_as_many_descriptors_as_travel_with_one_byte_arrive_with_it(world: &World) {
        let (log, kept) = (Log::new(), Kept::default());
        let (near, _far) = world.unix_pair("u02-many", true, Trace::new(&Log::new()), Keeper::new(&log, &kept));
        let (descriptors, tokens) = Token::several(253);
        for descriptor in descriptors {
            near.send_descriptor(descriptor).expect("room");
        }
        let (one_more, token) = Token::new();
        let refused = near.send_descriptor(one_more).expect_err("254 for one byte");
        assert!(refused.is_full());
        assert!(!token.is_closed(), "it is handed back");
        drop(refused.into_descriptor());
        assert!(token.is_closed());
        near.write(b"!");
        world.until(|| log.received() == 1);
        assert_eq!(kept.inodes(), tokens.iter().map(|token| token.inode).collect::<Vec<_>>());
        assert!(kept.places().iter().all(|place| *place == 0));
    }

    fn u02_a_pause_at_a_descriptor_holds_back_what_follows(world: &World) {
        let (log, kept) = (Log::new(), Kept::default());
        let (near, far) = world.unix_pair("u02-pause", true, Trace::new(&Log::new()), Keeper::new(&log, &kept));
        kept.pauses.set(true);
        for _ in 0..3 {
            near.send_descriptor(null()).expect("room");
        }
        near.write(b"after all of them");
        for count in 1..=3 {
            world.until(|| kept.len() == count);
            world.settle();
            assert_eq!((kept.len(), log.received()), (count, 0));
            far.resume_reading();
        }
        world.until(|| log.received() == 17);
        assert_eq!(log.bytes(), b"after all of them");
    }

    fn u02_descriptors_that_are_given_back_come_again_first(world: &World) {
        let (log, kept) = (Log::new(), Kept::default());
        let (near, far) = world.unix_pair("u02-back", true, Trace::new(&Log::new()), Trace::new(&Log::new()));
        far.pause_reading();
        let ((first, one), (second, two)) = (Token::new(), Token::new());
        far.unread(b"given back");
        far.unread_descriptor(second);
        far.unread_descriptor(first);
        far.set_protocol(Keeper::new(&log, &kept), b"").expect("a connection");
        far.resume_reading();
        world.until(|| log.received() == 10);
        assert_eq!((kept.inodes(), kept.places()), (vec![one.inode, two.inode], vec![0, 0]));
        drop(near);
    }

    fn u02_a_descriptor_without_a_byte_waits_for_one_and_is_closed_with_the_connection(world: &World) {
        let (log, kept) = (Log::new(), Kept::default());
        let (near, _far) = world.unix_pair("u02-alone", true, Trace::new(&Log::new()), Keeper::new(&log, &kept));
        let (descriptor, token) = Token::new();
        near.send_descriptor(descriptor).expect("room");
        near.flush();
        world.settle();
        assert_eq!((near.buffered(), kept.len(), token.is_closed()), (0, 0, false));
        // A large write does not overtake it.
        let payload = vec![7; 40_000];
        near.write(&payload);
        world.until(|| log.received() == payload.len());
        assert_eq!(kept.inodes(), [token.inode]);

        let (descriptor, token) = Token::new();
        near.send_descriptor(descriptor).expect("room");
        near.close();
        assert!(token.is_closed(), "no byte can follow any more");
        let refused = near.send_descriptor(null()).expect_err("a closing connection");
        assert!(refused.is_closed());
        world.until(|| log.is_lost());
        assert_eq!(kept.len(), 1);
    }

    fn u03_descriptors_are_closed_on_connections_that_were_not_opened_for_them(world: &World) {
        let log = Log::new();
        let (path, payload) = (scratch("u03-plain"), [7; 64]);
        let inner = log.clone();
        let server = world.handle().listen(Endpoint::unix(&path), move |_: &Addresses| Trace::new(&inner));
        let server = server.expect("a listener");
        let (descriptors, tokens) = Token::several(253);
        let more = Token::several(5);
        if let Some(memory) = world.as_memory() {
            let peer = memory.network().connect(marline_reactor::UnixAddress::path(&path)).expect("a peer");
            peer.write_with_descriptors(&payload, descriptors);
            peer.write_with_descriptors(&payload, more.0);
            world.until(|| log.received() == 128);
        } else {
            let peer = UnixStream::connect(&path).expect("a peer");
            assert_eq!(send_with(&peer, &payload, &descriptors), 64);
            assert_eq!(send_with(&peer, &payload, &more.0), 64);
            drop((descriptors, more.0));
            world.until(|| log.received() == 128);
        }
        assert!(tokens.iter().chain(&more.1).all(Token::is_closed), "a descriptor leaked");
        server.stop();
    }

    fn u03_descriptors_are_closed_by_protocols_that_do_not_ask_for_them(world: &World) {
        let log = Log::new();
        let (near, _far) = world.unix_pair("u03-default", true, Trace::new(&Log::new()), Trace::new(&log));
        let (descriptors, tokens) = Token::several(100);
        for descriptor in descriptors {
            near.send_descriptor(descriptor).expect("room");
            near.write(b"x");
        }
        world.until(|| log.received() == 100);
        assert!(tokens.iter().all(Token::is_closed));
    }

    fn u03_descriptors_that_were_not_delivered_are_closed_with_the_connection(world: &World) {
        for is_close in [true, false] {
            let (log, kept) = (Log::new(), Kept::default());
            let (near, far) =
                world.unix_pair("u03-end", true, Trace::new(&Log::new()), Keeper::new(&log, &kept));
            kept.pauses.set(true);
            let (descriptors, tokens) = Token::several(4);
            for (place, descriptor) in descriptors.into_iter().enumerate() {
                near.send_descriptor(descriptor).expect("room");
                // The last one stays in the system.
                near.write(if place == 2 { "with three " } else { "" });
            }
            near.write(b"with the last");
            world.until(|| kept.len() == 1);
            if is_close { far.close() } else { far.abort() }
            world.until(|| log.is_lost());
            near.abort();
            world.settle();
            kept.descriptors.borrow_mut().clear();
            // What was in the system is closed when that comes to it.
            world.until(|| tokens.iter().all(Token::is_closed));
            assert_eq!(log.received(), 0);
        }
    }

    fn u03_descriptors_that_were_not_sent_are_closed_with_the_connection(world: &World) {
        let (near, far) = world.unix_pair("u03-unsent", true, Trace::new(&Log::new()), Trace::new(&Log::new()));
        far.pause_reading();
        near.write(vec![0; 1 << 20]);
        let (descriptors, tokens) = Token::several(10);
        for descriptor in descriptors {
            near.send_descriptor(descriptor).expect("room");
            near.write(b"x");
        }
        world.settle();
        near.abort();
        far.abort();
        world.until(|| world.open_sockets() == 0);
        world.settle();
        assert!(tokens.iter().all(Token::is_closed));
    }

    fn u04_queued_descriptors_count_for_flow_control(world: &World) {
        let (log, far_log, kept) = (Log::new(), Log::new(), Kept::default());
        let (near, far) = world.unix_pair("u04-flow", true, Trace::new(&log), Keeper::new(&far_log, &kept));
        far.pause_reading();
        // Until the system takes no more.
        let filling = vec![1; 1 << 20];
        near.set_watermarks(2 << 20, 3 << 20).expect("watermarks");
        near.write(&filling);
        world.settle();
        let before = near.buffered();
        assert!(before > 0, "there is room for a megabyte");
        near.set_watermarks(before, before + 60 * WEIGHT).expect("watermarks");
        let mut last = WriteStatus::Ok;
        for count in 1..=70 {
            near.send_descriptor(null()).expect("room");
            last = near.write(b"x");
            assert_eq!(near.buffered(), before + count * (WEIGHT + 1));
            assert_eq!(near.buffered_descriptors(), count);
            assert_eq!(last == WriteStatus::OverHigh, count >= 60, "{count}");
        }
        assert_eq!(last, WriteStatus::OverHigh);
        world.until(|| log.count(&Event::Pause) == 1);
        assert_eq!(log.count(&Event::Resume), 0);
        far.resume_reading();
        world.until(|| log.count(&Event::Resume) == 1 && far_log.received() == filling.len() + 70);
        world.until(|| near.buffered() == 0);
        assert_eq!((kept.len(), near.buffered_descriptors()), (70, 0));
    }

    fn u04_descriptors_count_for_the_write_limit(world: &World) {
        let log = Log::new();
        let (near, _far) = world.unix_pair("u04-limit", true, Trace::new(&log), Trace::new(&Log::new()));
        near.set_write_limit(4 * WEIGHT);
        let (descriptors, tokens) = Token::several(6);
        let mut refused = 0;
        for descriptor in descriptors {
            refused += usize::from(near.send_descriptor(descriptor).is_err_and(|error| error.is_closed()));
            near.write(b"x");
        }
        assert!(refused >= 1);
        world.until(|| log.is_lost());
        world.settle();
        assert!(tokens.iter().all(Token::is_closed));
        let reason = log.lost().expect("a loss").to_string();
        assert!(reason.contains("4096 bytes waited"), "{reason}");
    }

    fn u04_other_connections_hand_descriptors_back(world: &World) {
        let (transport, _raw) = world.accept_one(Trace::new(&Log::new()));
        let plain = world.unix_pair("u04-plain", false, Trace::new(&Log::new()), Trace::new(&Log::new()));
        for transport in [&transport, &plain.0, &plain.1] {
            let (descriptor, token) = Token::new();
            let refused = transport.send_descriptor(descriptor).expect_err("not opened for descriptors");
            assert!(refused.is_unsupported(), "{refused}");
            assert!(!token.is_closed());
            drop(refused);
            assert!(token.is_closed());
        }
        assert!("tcp://127.0.0.1:80?descriptors=1".parse::<Endpoint>().is_err());
    }

    fn u02_an_adopted_pair_passes_descriptors(world: &World) {
        if world.is_memory() {
            return skip("the memory backend adopts no sockets");
        }
        let (log, kept) = (Log::new(), Kept::default());
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        let opening = Opening::with_descriptors(ours);
        let transport = world.handle().adopt_stream(opening, Keeper::new(&log, &kept)).expect("a stream");
        let (descriptors, tokens) = Token::several(3);
        assert_eq!(send_with(&theirs, b"three", &descriptors), 5);
        world.until(|| log.received() == 5);
        assert_eq!(kept.inodes(), tokens.iter().map(|token| token.inode).collect::<Vec<_>>());
        let flags = rustix::io::fcntl_getfd(&kept.descriptors.borrow()[0].1).expect("flags");
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC), "programs would inherit it");
        // A short receive has not taken everything.
        for _ in 0..20 {
            send_with(&theirs, b"x", &descriptors);
        }
        world.until(|| log.received() == 25);
        assert_eq!(kept.len(), 63);
        transport.close();
        let no_socket = world.handle().adopt_stream(Opening::Passing(null()), Trace::new(&Log::new()));
        assert!(no_socket.is_err());
    }

    fn u03_descriptors_that_nobody_received_do_not_make_an_orderly_end_a_reset(world: &World) {
        if world.is_memory() {
            return skip("the memory backend adopts no sockets");
        }
        let log = Log::new();
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        let opening = Opening::with_descriptors(ours);
        let transport = world.handle().adopt_stream(opening, Trace::new(&log)).expect("a stream");
        transport.pause_reading();
        // Each is a message, at which a receive ends.
        let (descriptors, tokens) = Token::several(3);
        for descriptor in descriptors {
            assert_eq!(send_with(&theirs, b"x", &[descriptor]), 1);
        }
        world.settle();
        transport.time_out();
        world.until(|| log.is_lost());
        assert!(tokens.iter().all(Token::is_closed));
        assert_eq!((&theirs).read(&mut [0; 8]).expect("an end, and no reset"), 0);
    }
}
