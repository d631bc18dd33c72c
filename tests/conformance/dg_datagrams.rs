//! DG: datagrams, their boundaries, and what goes wrong with one of them.

use std::cell::Cell;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::rc::Rc;

use marline_reactor::{
    Address, DatagramError, DatagramOptions, Failure, SendError, UnixAddress, WriteStatus,
};
use rustix::io::Errno;

use crate::conformance;
use crate::support::{ANY, Said, Talk, Talked, World};

fn numbered(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|number| number.to_string().into_bytes()).collect()
}

fn address(transport: &marline_reactor::DatagramTransport) -> Address {
    transport.local_address().expect("an address")
}

/// Whether the notes are: made, then these.
fn is_made_then(talked: &Talked, rest: &[Said]) -> bool {
    let all = talked.all();
    all.split_first().is_some_and(|(first, others)| *first == Said::Made && others == rest)
}

conformance! {
    fn dg01_each_datagram_is_one_callback_with_its_boundaries(world: &World) {
        let (talk, talked) = Talk::new();
        let transport = world.handle().bind_datagram(ANY, talk).expect("a socket");
        assert_eq!(talked.all(), [], "no callback runs on the stack of a call");
        let far = world.far_port();
        let large = vec![7; 60_000];
        let sent: [&[u8]; 5] = [b"one", b"", b"three", &large, b""];
        sent.iter().for_each(|bytes| far.send(bytes, &address(&transport)));
        world.until(|| talked.received().len() == sent.len());
        let expected: Vec<Said> = sent.iter().map(|bytes| Said::Received(bytes.to_vec())).collect();
        assert!(is_made_then(&talked, &expected));
    }

    fn dg01_answers_reach_their_senders(world: &World) {
        let (talk, _) = Talk::acting(|transport, data, sender| {
            assert_eq!(transport.send_to(data.to_ascii_uppercase(), sender), Ok(WriteStatus::Ok));
        });
        let transport = world.handle().bind_datagram(ANY, talk).expect("a socket");
        let (one, other) = (world.far_port(), world.far_port());
        one.send(b"one", &address(&transport));
        other.send(b"other", &address(&transport));
        other.send(b"", &address(&transport));
        assert_eq!(world.receive_at(&one, 1), [b"ONE".to_vec()]);
        assert_eq!(world.receive_at(&other, 2), [b"OTHER".to_vec(), Vec::new()]);
        assert_eq!(transport.buffered(), 0);
    }

    fn dg01_many_are_delivered_in_order_over_several_turns(world: &World) {
        let (talk, talked) = Talk::new();
        let transport = world.handle().bind_datagram(ANY, talk).expect("a socket");
        let far = world.far_port();
        let sent = numbered(500);
        // The system keeps a few hundred at a time.
        for part in sent.chunks(150) {
            let before = talked.received().len();
            part.iter().for_each(|bytes| far.send(bytes, &address(&transport)));
            world.until(|| talked.received().len() == before + part.len());
        }
        assert_eq!(talked.received(), sent);
    }

    fn dg02_an_error_is_reported_and_the_socket_stays_usable(world: &World) {
        let far = world.far_port();
        let target = far.address();
        drop(far);
        let (talk, talked) = Talk::new();
        let transport = world.handle().connect_datagram(target.clone(), talk).expect("a socket");
        assert_eq!(transport.peer_address(), Some(target.clone()));
        transport.send(b"nobody hears this").expect("it is accepted");
        world.until(|| talked.has(&Said::Error(ErrorKind::ConnectionRefused)));
        let far = world.far_port_at(&target);
        transport.send_to(b"heard", &target).expect("it is accepted");
        assert_eq!(world.receive_at(&far, 1), [b"heard".to_vec()]);
        far.send(b"answer", &address(&transport));
        world.until(|| talked.has(&Said::Received(b"answer".to_vec())));
        assert!(!talked.is_lost());
    }

    /// DG02: whichever way the error came.
    fn dg02_what_the_system_refuses_is_reported_once(world: &World) {
        world.with_faults(|world, faults| {
            let far = world.far_port();
            let (talk, talked) = Talk::new();
            let transport = world.handle().bind_datagram(ANY, talk).expect("a socket");
            faults.fail_sends([Errno::PERM]);
            for bytes in numbered(3) {
                transport.send_to(bytes, &far.address()).expect("it is accepted");
            }
            // The first was refused.
            assert_eq!(world.receive_at(&far, 2), numbered(3)[1..]);
            world.until(|| talked.has(&Said::Error(ErrorKind::PermissionDenied)));
            faults.fail_receives([Errno::CONNREFUSED]);
            far.send(b"behind the error", &address(&transport));
            world.until(|| talked.has(&Said::Received(b"behind the error".to_vec())));
            let errors = talked.all().into_iter().filter(|said| matches!(said, Said::Error(_)));
            let expected = [ErrorKind::PermissionDenied, ErrorKind::ConnectionRefused].map(Said::Error);
            assert_eq!(errors.collect::<Vec<_>>(), expected);
        });
    }

    fn dg02_a_system_short_of_memory_loses_nothing(world: &World) {
        world.with_faults(|world, faults| {
            let far = world.far_port();
            let (talk, talked) = Talk::new();
            let transport = world.handle().bind_datagram(ANY, talk).expect("a socket");
            faults.fail_sends([ErrorKind::WouldBlock, ErrorKind::WouldBlock]);
            transport.send_to(b"late", &far.address()).expect("it is accepted");
            assert_eq!(world.receive_at(&far, 1), [b"late".to_vec()]);
            assert!(faults.is_over() && is_made_then(&talked, &[]));
        });
    }

    fn dg03_a_failure_is_reported_and_the_port_stays_open(world: &World) {
        let failures = Rc::new(Cell::new((0, 0)));
        let seen = Rc::clone(&failures);
        world.handle().on_failure(move |failure| {
            let (panics, others) = seen.get();
            seen.set(match failure {
                Failure::Panicked { panic, .. } if panic.message() == "on purpose" => (panics + 1, others),
                Failure::Unobserved { .. } => (panics, others + 1),
                _ => panic!("what is {failure}?"),
            });
        });
        let (talk, talked) = Talk::acting(|transport, data, _| match data {
            b"panic" => panic!("on purpose"),
            b"fail" => transport.fail("on purpose"),
            _ => {}
        });
        let transport = world.handle().bind_datagram(ANY, talk).expect("a socket");
        let far = world.far_port();
        let sent: [&[u8]; 5] = [b"panic", b"fail", b"fine", b"panic", b"fine"];
        sent.iter().for_each(|bytes| far.send(bytes, &address(&transport)));
        world.until(|| talked.received().len() == sent.len() && failures.get() == (2, 1));
        assert!(!transport.is_closing());
    }

    fn dg04_an_oversize_datagram_is_a_typed_error(world: &World) {
        let far = world.far_port();
        let (talk, talked) = Talk::new();
        let transport = world.handle().bind_datagram(ANY, talk).expect("a socket");
        transport.set_queue_limit(usize::MAX);
        let limit = transport.largest();
        assert_eq!(limit, 65_507, "what IPv4 has room for");
        let size = limit + 1;
        assert_eq!(
            transport.send_to(vec![0; size], &far.address()),
            Err(SendError::TooLarge { size, limit })
        );
        assert_eq!(transport.buffered(), 0);
        transport.send_to(vec![1; limit], &far.address()).expect("the largest is accepted");
        assert_eq!(world.receive_at(&far, 1)[0].len(), limit);
        world.settle();
        assert!(!talked.all().iter().any(|said| matches!(said, Said::Error(_))));
    }

    fn dg05_close_flushes_and_the_loss_follows_once(world: &World) {
        let far = world.far_port();
        let (talk, talked) = Talk::new();
        let transport = world.handle().bind_datagram(ANY, talk).expect("a socket");
        let sent = numbered(40);
        for bytes in &sent {
            transport.send_to(bytes, &far.address()).expect("it is accepted");
        }
        transport.close();
        transport.close();
        assert_eq!(transport.send_to(b"too late", &far.address()), Err(SendError::Closed));
        assert!(transport.is_closing());
        assert_eq!(world.receive_at(&far, sent.len()), sent);
        world.until(|| talked.is_lost());
        world.settle();
        transport.abort();
        world.settle();
        assert!(is_made_then(&talked, &[Said::Lost("Clean".into())]));
        assert_eq!((transport.local_address(), world.handle().stats().datagram_sockets), (None, 0));
    }

    fn dg05_close_waits_for_room(world: &World) {
        world.with_faults(|world, faults| {
            let far = world.far_port();
            let (talk, talked) = Talk::new();
            let transport = world.handle().bind_datagram(ANY, talk).expect("a socket");
            faults.hold_sends();
            transport.send_to(b"late", &far.address()).expect("it is accepted");
            transport.close();
            far.send(b"too late", &address(&transport));
            world.settle();
            assert!(is_made_then(&talked, &[]) && far.receive().is_none());
            faults.release_sends();
            assert_eq!(world.receive_at(&far, 1), [b"late".to_vec()]);
            world.until(|| talked.is_lost());
            assert!(is_made_then(&talked, &[Said::Lost("Clean".into())]));
        });
    }

    fn dg05_abort_drops_what_waits(world: &World) {
        world.with_faults(|world, faults| {
            let (talk, talked) = Talk::new();
            let transport = world.handle().bind_datagram(ANY, talk).expect("a socket");
            faults.hold_sends();
            transport.send_to(b"never", &world.far_port().address()).expect("it is accepted");
            transport.close();
            world.turn_a_little();
            transport.abort();
            world.until(|| talked.is_lost());
            assert!(is_made_then(&talked, &[Said::Lost("Aborted".into())]));
        });
    }

    fn dg05_a_close_without_progress_times_out(world: &World) {
        world.with_faults(|world, faults| {
            let (talk, talked) = Talk::new();
            let transport = world.handle().bind_datagram(ANY, talk).expect("a socket");
            faults.hold_sends();
            transport.set_close_timeout(std::time::Duration::from_millis(20));
            transport.send_to(b"never", &world.far_port().address()).expect("it is accepted");
            transport.close();
            world.until(|| talked.is_lost());
            assert!(is_made_then(&talked, &[Said::Lost("Timeout".into())]));
        });
    }

    fn dg07_host_names_and_other_families_are_errors_at_the_call(world: &World) {
        let (talk, talked) = Talk::new();
        let transport = world.handle().bind_datagram(ANY, talk).expect("a socket");
        let local = address(&transport);
        let ipv6: SocketAddr = "[::1]:7".parse().expect("an address");
        let unix = UnixAddress::path("/nowhere");
        for target in [Address::from(ipv6), unix.into(), Address::named("localhost:7")] {
            let error = SendError::WrongFamily { target: target.clone(), local: local.clone() };
            assert_eq!(transport.send_to(b"x", &target), Err(error));
        }
        assert_eq!(transport.send(b"x"), Err(SendError::NoTarget));
        let mut options = DatagramOptions::bind(ANY);
        options.peer = Some(ipv6.into());
        let opened = world.handle().open_datagram(&options, Talk::new().0);
        assert!(matches!(opened, Err(DatagramError::WrongFamily { .. })));
        let opened = world.handle().open_datagram(&DatagramOptions::default(), Talk::new().0);
        assert!(matches!(opened, Err(DatagramError::NoAddress)));
        world.settle();
        assert!(is_made_then(&talked, &[]));
    }

    fn dg08_a_connected_transport_rejects_another_target(world: &World) {
        let (far, stranger) = (world.far_port(), world.far_port());
        let (talk, talked) = Talk::new();
        let transport = world.handle().connect_datagram(far.address(), talk).expect("a socket");
        let (target, peer) = (stranger.address(), far.address());
        let error = SendError::OtherTarget { target: target.clone(), peer: peer.clone() };
        assert_eq!(transport.send_to(b"x", &target), Err(error));
        transport.send_to(b"to the peer", &peer).expect("it is accepted");
        assert_eq!(world.receive_at(&far, 1), [b"to the peer".to_vec()]);
        stranger.send(b"unheard", &address(&transport));
        far.send(b"heard", &address(&transport));
        world.until(|| talked.received().len() == 1);
        world.settle();
        assert_eq!(talked.received(), [b"heard".to_vec()]);
    }

    fn dg09_an_error_while_paused_does_not_lose_the_resume(world: &World) {
        world.with_faults(|world, faults| {
            let far = world.far_port();
            let (talk, talked) = Talk::new();
            let transport = world.handle().bind_datagram(ANY, talk).expect("a socket");
            transport.set_watermarks(0, 0).expect("they are in order");
            faults.hold_sends();
            transport.send_to(b"refused", &far.address()).expect("it is accepted");
            world.until(|| talked.has(&Said::Paused));
            faults.fail_sends([Errno::HOSTUNREACH]);
            faults.release_sends();
            world.until(|| talked.has(&Said::Resumed));
            assert_eq!(talked.flow(), [Said::Paused, Said::Resumed]);
            assert!(talked.has(&Said::Error(ErrorKind::HostUnreachable)));
            assert_eq!(transport.buffered(), 0);
            transport.send_to(b"sent", &far.address()).expect("it is accepted");
            assert_eq!(world.receive_at(&far, 1), [b"sent".to_vec()]);
        });
    }
}
