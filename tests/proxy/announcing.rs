//! Clients and proxies: what goes out before everything else.

use std::cell::RefCell;
use std::rc::Rc;

use marline::filter::ReadAhead;
use marline::{Address, Addresses, ConnectError, Endpoint, Transport, UnixAddress};

use crate::proxy::{Announce, Header, Version};
use crate::samples::{binary, unix};
use crate::support::{Attempt, Event, Log, Raw, RawListener, Trace, World, collect_up_to};
use crate::{conformance, endpoint, register, streams};

/// Connects as `options` say, with a protocol that says hello, and answers with both ends.
fn connect(world: &World, log: &Log, options: &str) -> (Transport, Raw, RawListener) {
    register();
    let listener = world.listen_raw();
    let endpoint = listener.endpoint().replacen("tcp", "proxy", 1) + options;
    let hello = Trace::new(log).on(Event::Made, |transport| {
        transport.write("hello");
    });
    let transport = Attempt::start(&world.handle(), endpoint, hello).outcome(world).expect("a connection");
    let raw = RefCell::new(None);
    world.until(|| {
        let accepted = raw.borrow_mut().take().or_else(|| listener.accept());
        raw.replace(accepted);
        raw.borrow().is_some()
    });
    (transport, raw.into_inner().expect("a connection"), listener)
}

/// The ends of a connection that a proxy accepted.
fn accepted(peer: impl Into<Address>, local: impl Into<Address>) -> Option<Addresses> {
    Some(Addresses { local: local.into(), peer: peer.into() })
}

fn port(address: Option<Address>) -> u16 {
    address.and_then(|address| address.as_inet()).expect("an address").port()
}

conformance! {
    fn a_header_in_words_goes_before_everything_else(world: &World) {
        let log = Log::new();
        let (transport, raw, listener) = connect(world, &log, "?source=192.0.2.7:4711");
        let expected =
            format!("PROXY TCP4 192.0.2.7 127.0.0.1 4711 {}\r\nhello", listener.address().port());
        assert_eq!(String::from_utf8_lossy(&world.read(&raw, expected.len())), expected);
        assert!(!transport.is_filtered(), "it is out of the way");
        world.write(&raw, b"answer");
        world.until(|| log.received() == 6);
        raw.finish();
        world.until(|| log.is_lost());
        assert_eq!(log.events(), [Event::Made, Event::Eof, Event::Lost("Clean".into())]);
    }

    fn a_client_speaks_for_itself_if_for_nobody_else(world: &World) {
        let (transport, raw, listener) = connect(world, &Log::new(), "");
        let (near, far) = (port(transport.local_address()), listener.address().port());
        let expected = format!("PROXY TCP4 127.0.0.1 127.0.0.1 {near} {far}\r\nhello");
        assert_eq!(String::from_utf8_lossy(&world.read(&raw, expected.len())), expected);
    }

    fn a_header_in_bytes_goes_before_everything_else(world: &World) {
        let (transport, raw, listener) = connect(world, &Log::new(), "?version=2&source=192.0.2.7:4711");
        let port = listener.address().port().to_be_bytes();
        let rest = [&[192, 0, 2, 7, 127, 0, 0, 1, 0x12, 0x67], &port[..]].concat();
        let expected = [binary(0x21, 0x11, &rest), b"hello".to_vec()].concat();
        assert_eq!(world.read(&raw, expected.len()), expected);
        assert!(!transport.is_filtered());
    }

    fn a_proxy_announces_whom_it_accepted_on_a_live_connection(world: &World) {
        let names = (UnixAddress::path("/run/client"), UnixAddress::abstract_name("server"));
        let mixed = accepted(names.0.clone(), std::net::SocketAddr::from(([127, 0, 0, 1], 1)));
        let too_long = accepted(UnixAddress::path("x".repeat(109)), names.1.clone());
        let nobody = binary(0x21, 0, b"");
        for (version, addresses, expected) in [
            (Version::Two, None, binary(0x20, 0, b"")),
            (Version::One, None, b"PROXY UNKNOWN\r\n".to_vec()),
            (Version::One, accepted(names.0.clone(), names.1.clone()), b"PROXY UNKNOWN\r\n".to_vec()),
            (Version::Two, accepted(names.0, names.1), binary(0x21, 0x31, &unix(b"/run/client", b"\0server"))),
            (Version::Two, mixed, nobody.clone()),
            (Version::Two, too_long, nobody),
        ] {
            let log = Log::new();
            let (transport, raw) = world.accept_one(Trace::new(&log));
            assert!(transport.write("before").is_accepted());
            let pushed = transport.push_filter(Announce { version, addresses }, ReadAhead::Feed);
            pushed.expect("a live connection");
            assert!(transport.write("behind").is_accepted());
            let all = [b"before".to_vec(), expected, b"behind".to_vec()].concat();
            assert_eq!(world.read(&raw, all.len()), all);
            world.settle();
            assert!(!transport.is_filtered());
            world.write(&raw, b"answer");
            world.until(|| log.received() == 6);
        }
    }

    fn what_was_not_sent_before_a_header_still_goes_first(world: &World) {
        let (transport, raw) = world.accept_one(Trace::new(&Log::new()));
        let flood = crate::support::flood(world, &transport);
        transport.push_filter(Announce { version: Version::One, addresses: None }, ReadAhead::Refuse).expect("a live connection");
        transport.write("behind");
        // A filter that has not begun is not waited for by who closes.
        world.settle();
        transport.close();
        let bytes = collect_up_to(world, &raw, flood + 15 + 6);
        assert!(bytes[..flood].iter().all(|byte| *byte == b'f'));
        assert_eq!(&bytes[flood..], b"PROXY UNKNOWN\r\nbehind");
        world.until(|| raw.read().is_empty() && raw.is_finished());
    }

    fn mistakes_in_an_endpoint_are_found_when_it_is_read(world: &World) {
        register();
        for (text, word) in [
            ("proxy://127.0.0.1:1?version=3", "version=1 or version=2"),
            ("proxy://127.0.0.1:1?source=nobody", "source=ADDRESS:PORT"),
            ("proxy://127.0.0.1:1?wait=-1", "wait=SECONDS"),
            ("proxy://127.0.0.1", "127.0.0.1"),
            ("proxy+unix://", "unix"),
            ("proxy://127.0.0.1:1?speed=1", "speed"),
        ] {
            let error = text.parse::<Endpoint>().expect_err(text);
            assert!(error.to_string().contains(word), "{error}");
            let outcome = Attempt::start(&world.handle(), text, Trace::new(&Log::new())).outcome(world);
            assert!(matches!(outcome, Err(ConnectError::Endpoint(_))), "{outcome:?}");
        }
    }
}

streams! {
    fn both_roles_understand_each_other(world: &World) {
        let (payload, near, far) = (world.payload(), Log::new(), Log::new());
        let heads = Rc::new(RefCell::new(Vec::new()));
        let (log, place) = (far.clone(), Rc::clone(&heads));
        let server = world.handle().listen(endpoint(world), move |_: &Addresses| {
            let place = Rc::clone(&place);
            Trace::new(&log).with(move |transport, event, data| match event {
                Event::Made => {
                    let header = transport.published::<Header>().expect("a header");
                    place.borrow_mut().push((header.version, transport.peer_address()));
                }
                Event::Data(_) => {
                    transport.write(data);
                }
                _ => {}
            })
        });
        let address = server.expect("a listener").local_address().expect("an address").to_string();
        let to = if world.is_unix() { format!("proxy+{address}") } else { address.replacen("tcp", "proxy", 1) };
        for version in [1, 2] {
            let (mut client, to) = (Trace::new(&near), format!("{to}?version={version}"));
            let sent = payload.clone();
            client = client.on(Event::Made, move |transport| {
                transport.write(&sent);
            });
            let transport = Attempt::start(&world.handle(), to, client).outcome(world).expect("a connection");
            world.until(|| near.received() == payload.len() * version);
            let known = heads.borrow().last().cloned().expect("a header");
            let own = transport.local_address();
            let peer = if known.0 == Version::One && world.is_unix() { known.1.clone() } else { own };
            assert_eq!(known, (if version == 1 { Version::One } else { Version::Two }, peer));
            transport.close();
        }
        assert!(near.bytes() == [payload.clone(), payload].concat());
        world.until(|| far.losses() == 2);
    }
}
