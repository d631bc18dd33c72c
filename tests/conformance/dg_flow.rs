//! DG: flow control of datagrams, in both directions, and who else is served meanwhile.

use std::cell::Cell;
use std::rc::Rc;

use marline_reactor::{Address, DatagramTransport, SendError, WriteStatus};

use crate::conformance;
use crate::support::{ANY, Said, Talk, World};

fn address(transport: &DatagramTransport) -> Address {
    transport.local_address().expect("an address")
}

conformance! {
    fn the_queue_is_bounded_and_pauses_alternate_with_resumes(world: &World) {
        world.with_faults(|world, faults| {
            let far = world.far_port();
            let (talk, talked) = Talk::new();
            let transport = world.handle().bind_datagram(ANY, talk).expect("a socket");
            assert!(transport.set_watermarks(2, 1).is_err());
            transport.set_watermarks(100, 300).expect("they are in order");
            transport.set_queue_limit(1000);
            let send = || transport.send_to([1; 36], &far.address());
            for _ in 0..3 {
                faults.hold_sends();
                // Each counts 100.
                let statuses: Vec<_> = (0..11).map(|_| send()).collect();
                assert_eq!(statuses[2], Ok(WriteStatus::Ok));
                assert_eq!(statuses[3], Ok(WriteStatus::OverHigh));
                assert_eq!(statuses[10], Err(SendError::Full { limit: 1000 }));
                assert_eq!(transport.buffered(), 1000);
                let pauses = talked.count(&Said::Paused);
                world.until(|| talked.count(&Said::Paused) == pauses + 1);
                faults.release_sends();
                world.until(|| talked.count(&Said::Resumed) == pauses + 1);
                world.receive_at(&far, 10);
                world.until(|| transport.buffered() == 0);
            }
            assert_eq!(talked.flow(), vec![[Said::Paused, Said::Resumed]; 3].concat());
        });
    }

    fn a_pause_is_effective_at_once_and_loses_nothing(world: &World) {
        let (talk, talked) = Talk::acting(|transport, data, _| {
            if data == b"pause" {
                transport.pause_reading();
            }
        });
        let transport = world.handle().bind_datagram(ANY, talk).expect("a socket");
        let far = world.far_port();
        let sent: [&[u8]; 6] = [b"one", b"pause", b"", b"two", b"pause", b"three"];
        sent.iter().for_each(|bytes| far.send(bytes, &address(&transport)));
        for count in [2, 5, 6] {
            world.until(|| talked.received().len() >= count);
            world.settle();
            assert_eq!(talked.received(), sent[..count]);
            assert_eq!(transport.is_reading(), count == 6);
            transport.resume_reading();
        }
    }

    fn after_a_close_in_a_callback_nothing_more_is_delivered(world: &World) {
        let (talk, talked) = Talk::acting(|transport, data, sender| {
            if data == b"close" {
                transport.send_to(b"bye", sender).expect("it is accepted");
                transport.close();
            }
        });
        let transport = world.handle().bind_datagram(ANY, talk).expect("a socket");
        let far = world.far_port();
        for bytes in [&b"one"[..], b"close", b"two", b"three"] {
            far.send(bytes, &address(&transport));
        }
        world.until(|| talked.is_lost());
        assert_eq!(talked.received(), [b"one".to_vec(), b"close".to_vec()]);
        assert_eq!(world.receive_at(&far, 1), [b"bye".to_vec()]);
    }

    fn a_socket_that_is_flooded_starves_nobody(world: &World) {
        let (flooded, counted) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let (flood, count) = (Rc::clone(&flooded), Rc::clone(&counted));
        // It sends to itself whatever it receives, so it always has something to receive.
        let (talk, _) = Talk::acting(move |transport, data, _| {
            flood.set(flood.get() + 1);
            let own = transport.local_address().expect("an address");
            drop(transport.send_to(data, &own));
        });
        let transport = world.handle().bind_datagram(ANY, talk).expect("a socket");
        (0..100).for_each(|_| drop(transport.send_to(b"again", &address(&transport))));
        let quiet = world.handle().bind_datagram(ANY, move |_: &DatagramTransport, _: &[u8], _: &Address| {
            count.set(count.get() + 1);
        });
        let quiet = quiet.expect("a socket");
        world.until(|| flooded.get() > 1000);
        let far = world.far_port();
        far.send(b"hear me", &address(&quiet));
        let before = flooded.get();
        world.until(|| counted.get() == 1);
        // A turn delivers a few hundred datagrams of one socket, and an event may come some turns late.
        let turns = world.most_turns_late() + 4;
        let most = 256 * turns;
        assert!(flooded.get() - before <= most, "{} others came first", flooded.get() - before);
    }

    fn a_shutdown_tells_every_socket(world: &World) {
        let (talk, talked) = Talk::new();
        let transport = world.handle().bind_datagram(ANY, talk).expect("a socket");
        world.handle().shutdown();
        world.run();
        assert_eq!(talked.all(), [Said::Made, Said::Lost("Shutdown".into())]);
        assert_eq!(transport.send_to(b"x", &ANY.into()), Err(SendError::Closed));
        assert!(world.handle().bind_datagram(ANY, Talk::new().0).is_err());
    }

    fn a_loop_goes_on_while_a_socket_is_open(world: &World) {
        let (talk, talked) = Talk::acting(|transport, _, _| transport.close());
        let transport = world.handle().bind_datagram(ANY, talk).expect("a socket");
        world.far_port().send(b"close", &address(&transport));
        world.run();
        assert!(talked.is_lost());
    }
}
