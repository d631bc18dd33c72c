//! Servers: what becomes of a header, and of what is none.

use std::cell::RefCell;
use std::rc::Rc;

use marline::{Addresses, Reason, Server, Transport};

use crate::proxy::{Header, HeaderError};
use crate::samples::{bad, good, identified};
use crate::support::{Event, Log, Raw, Trace, World, collect_up_to, pour, skip};
use crate::{conformance, endpoint, streams};

/// What a protocol saw of its connection when it was made, and when there was data.
#[derive(Clone, Default)]
struct Seen(Rc<RefCell<Vec<(Addresses, Header, bool)>>>);

impl Seen {
    fn look(&self, transport: &Transport) {
        let (local, peer) = (transport.local_address(), transport.peer_address());
        let addresses = local.zip(peer).map(|(local, peer)| Addresses { local, peer });
        let header = transport.published::<Header>().expect("a header");
        let is_filtered = transport.is_filtered();
        self.0.borrow_mut().push((addresses.expect("both ends"), Header::clone(&header), is_filtered));
    }
}

fn listen(world: &World, options: &str, log: &Log) -> (Server, Seen) {
    let (log, seen) = (log.clone(), Seen::default());
    let place = seen.clone();
    let server = world.handle().listen(format!("{}{options}", endpoint(world)), move |_: &Addresses| {
        let seen = place.clone();
        Trace::new(&log).with(move |transport, event, _| match event {
            Event::Made | Event::Data(_) => seen.look(transport),
            _ => {}
        })
    });
    (server.expect("a listener"), seen)
}

/// The end of a connection that never had a protocol.
fn refused(world: &World, log: &Log, raw: &Raw) -> Reason {
    world.until(|| log.is_lost());
    assert_eq!(log.all().len(), 1, "only the loss: {:?}", log.all());
    world.until(|| raw.read().is_empty() && (raw.is_finished() || raw.is_reset()));
    world.settle();
    assert_eq!(world.handle().stats().timers, 0);
    log.lost().expect("a loss").reason().clone()
}

/// Sends a header and `hello` in pieces of that size, turning the loop in between, and looks at what the protocol saw.
fn told(world: &World, header: &[u8], expected: Option<&Addresses>, size: usize) {
    let log = Log::new();
    let (server, seen) = listen(world, "", &log);
    let raw = world.connect_raw(&server);
    for piece in [header, b"hello"].concat().chunks(size) {
        world.write(&raw, piece);
        world.turn_a_little();
    }
    world.until(|| log.received() == 5);
    assert_eq!(log.bytes(), b"hello");
    assert_eq!(log.events(), [Event::Made]);
    for (addresses, header, _) in &*seen.0.borrow() {
        assert_eq!(header.addresses.as_ref(), expected);
        // The connection's own, if there are none in the header.
        let local = server.local_address().expect("an address");
        let own = expected.is_none().then_some(&local);
        assert_eq!(&addresses.local, own.or(expected.map(|ends| &ends.local)).expect("an address"));
        assert!(expected.is_none_or(|ends| *ends == *addresses), "{addresses:?}");
    }
    let is_filtered = seen.0.borrow().last().is_some_and(|(_, _, is_filtered)| *is_filtered);
    assert!(!is_filtered, "it is out of the way");
    assert_eq!(world.handle().stats().timers, 0, "it waits for nothing");
    raw.finish();
    world.until(|| log.is_lost());
    assert_eq!(log.reason().as_deref(), Some("Clean"));
}

conformance! {
    fn a_header_joined_with_the_first_data_tells_the_real_addresses(world: &World) {
        for (header, expected) in good() {
            told(world, &header, expected.as_ref(), usize::MAX);
        }
    }

    fn a_header_tells_the_real_addresses_byte_by_byte(world: &World) {
        // The longest would take long, and its front is like that of the others.
        for (header, expected) in good().into_iter().filter(|(header, _)| header.len() < 300) {
            told(world, &header, expected.as_ref(), 1);
        }
    }

    fn extensions_of_a_header_are_told(world: &World) {
        let log = Log::new();
        let (server, seen) = listen(world, "", &log);
        let raw = world.connect_raw(&server);
        world.write(&raw, &identified());
        // Without any data: the connection is made when the header is there.
        world.until(|| log.count(&Event::Made) == 1);
        assert_eq!(seen.0.borrow()[0].1.extras, [(5, b"id".to_vec())]);
    }

    fn what_is_no_header_ends_the_connection_with_an_error_that_says_so(world: &World) {
        for (bytes, word) in bad() {
            let log = Log::new();
            let (server, _seen) = listen(world, "", &log);
            let raw = world.connect_raw(&server);
            world.write(&raw, &bytes);
            let Reason::Failed(error) = refused(world, &log, &raw) else { panic!("{:?}", log.lost()) };
            let error = error.downcast_ref::<HeaderError>().expect("a typed error");
            assert!(format!("{error:?}").contains(word), "{error:?} instead of {word}");
        }
    }

    fn what_is_no_header_is_refused_as_early_as_that_is_certain(world: &World) {
        for text in ["G", "PROXX", "\r\n\r\nx"] {
            let log = Log::new();
            let (server, _seen) = listen(world, "", &log);
            let raw = world.connect_raw(&server);
            raw.write(text.as_bytes());
            assert!(matches!(refused(world, &log, &raw), Reason::Failed(_)));
        }
    }

    fn the_end_before_that_of_the_header_is_a_truncated_one(world: &World) {
        for sent in [0, 1, 20] {
            let log = Log::new();
            let (server, _seen) = listen(world, "", &log);
            let raw = world.connect_raw(&server);
            world.write(&raw, &identified()[..sent]);
            raw.finish();
            assert!(matches!(refused(world, &log, &raw), Reason::Truncated), "{sent}: {:?}", log.lost());
        }
    }

    fn a_header_that_does_not_come_in_time_is_not_waited_for(world: &World) {
        for sent in [0, 20] {
            let log = Log::new();
            let (server, _seen) = listen(world, "?wait=0.05", &log);
            let raw = world.connect_raw(&server);
            world.write(&raw, &identified()[..sent]);
            assert!(matches!(refused(world, &log, &raw), Reason::Timeout), "{sent}: {:?}", log.lost());
        }
    }

    fn a_server_that_stops_its_connections_before_the_header_is_done_at_once(world: &World) {
        let log = Log::new();
        let (server, _seen) = listen(world, "?limit=1", &log);
        let (raw, waiting) = (world.connect_raw(&server), world.connect_raw(&server));
        world.settle();
        assert_eq!((log.all().len(), server.connections()), (0, 1), "it counts for the limit");
        raw.close();
        world.until(|| log.is_lost());
        // Then it is the next one's turn.
        world.write(&waiting, &identified());
        world.until(|| log.count(&Event::Made) == 1);
    }
}

streams! {
    fn what_follows_a_header_is_the_protocols_as_it_is(world: &World) {
        if world.is_secure() {
            return skip("the far end begins with a handshake, and this header comes before one");
        }
        let (payload, log) = (world.payload(), Log::new());
        let echo = log.clone();
        let server = world.handle().listen(endpoint(world), move |_: &Addresses| {
            Trace::new(&echo).with(|transport, event, data| {
                if matches!(event, Event::Data(_)) {
                    transport.write(data);
                }
            })
        });
        let raw = world.connect_raw(&server.expect("a listener"));
        pour(world, &raw, &[identified(), payload.clone()].concat());
        assert!(collect_up_to(world, &raw, payload.len()) == payload, "in both directions");
        raw.finish();
        world.until(|| log.is_lost());
        assert!(log.bytes() == payload);
        let ends = [Event::Eof, Event::Lost("Clean".into())];
        assert!(log.events().ends_with(&ends) && log.count(&Event::Made) == 1, "{:?}", log.events());
    }
}
