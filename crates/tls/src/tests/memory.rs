//! On memory, with a clock that stands still.

use std::time::Duration;

use marline_reactor::Endpoint;
use marline_reactor::testing::Peer;
use rustls::{AlertDescription, Error};

use super::*;
use crate::fixtures::{Authority, Pair, Side, client_and_server, trusting};

const PLACE: &str = "unix:///run/tls.sock";

/// A client that the test plays, by hand.
struct Hand {
    side: Side,
    peer: Peer,
}

impl Hand {
    /// Whose handshake with the server is complete.
    fn established(memory: &MemoryReactor, client: &ClientTls, server: &ServerTls) -> Self {
        let peer = memory.connect(PLACE).expect("a listener");
        let mut hand = Self { side: Pair::new(client, "a.example", server).client, peer };
        while hand.side.session.is_handshaking() {
            hand.exchange(memory).expect("a handshake");
        }
        hand.exchange(memory).expect("tickets");
        hand
    }

    fn exchange(&mut self, memory: &MemoryReactor) -> Result<(), TlsError> {
        let wire = std::mem::take(&mut self.side.wire);
        assert_eq!(self.peer.write(&wire), wire.len());
        memory.pump();
        let bytes = self.peer.read();
        self.side.receive(&bytes, 4096).map(|count| assert_eq!(count, bytes.len()))
    }
}

#[test]
fn bytes_pass_both_ways_and_both_sides_end_clean() {
    on_memory(|memory| {
        let (client, server) = client_and_server();
        let (here, there) = (Rc::new(Trace::default()), Rc::new(Trace::default()));
        let echo = Log::new(&there).on_data(|transport, data| {
            transport.write(data);
        });
        let _server = serve(&memory.handle(), PLACE, &server, echo);
        let mut left = 50_000_usize;
        let asking = Log::new(&here)
            .on_made(|transport| {
                transport.write(vec![7; 50_000]);
            })
            .on_data(move |transport, data| {
                left -= data.len();
                if left == 0 {
                    transport.close();
                }
            });
        let outcome = connect(&memory.handle(), PLACE, &client, asking);
        assert!(memory.pump());
        assert!(matches!(*outcome.borrow(), Some(Ok(_))));
        assert_eq!(here.events(), ["made", "data", "lost"]);
        assert_eq!(there.events(), ["made", "data", "eof", "lost"]);
        assert!(*here.data.borrow() == [7; 50_000]);
        for trace in [here, there] {
            assert!(matches!(trace.reason(), Reason::Clean), "{:?}", trace.reason());
            let info = trace.info.borrow_mut().take().expect("what was agreed upon");
            assert_eq!(info.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
        }
    });
}

#[test]
fn a_handshake_that_fails_is_told_by_one_loss_on_each_side() {
    on_memory(|memory| {
        let authority = Authority::new();
        let client = trusting(&authority).build().unwrap();
        let server = ServerTls::new(authority.identity(&["b.example"])).unwrap();
        let (here, there) = (Rc::new(Trace::default()), Rc::new(Trace::default()));
        let _server = serve(&memory.handle(), PLACE, &server, Log::new(&there));
        let outcome = connect(&memory.handle(), PLACE, &client, Log::new(&here));
        assert!(memory.pump());
        assert_eq!((here.events(), there.events()), (vec!["lost"], vec!["lost"]));
        assert!(here.error().to_string().contains("not for \"a.example\", but for b.example"));
        let alert = Error::AlertReceived(AlertDescription::BadCertificate);
        assert_eq!(there.error(), TlsError::Handshake(alert));
        assert!(matches!(&*outcome.borrow(), Some(Err(ConnectError::Lost(_)))));
    });
}

#[test]
fn a_stream_that_is_cut_off_is_truncated() {
    on_memory(|memory| {
        let (client, server) = client_and_server();
        let trace = Rc::new(Trace::default());
        let _server = serve(&memory.handle(), PLACE, &server, Log::new(&trace));
        let mut hand = Hand::established(memory, &client, &server);
        hand.side.write(b"the first half");
        hand.exchange(memory).unwrap();
        hand.peer.finish();
        memory.pump();
        assert_eq!(*trace.data.borrow(), b"the first half");
        assert_eq!(trace.events(), ["made", "data", "lost"]);
        assert!(matches!(trace.reason(), Reason::Truncated), "{:?}", trace.reason());
    });
}

#[test]
fn a_peer_that_ends_within_the_handshake_is_an_error_that_says_so() {
    on_memory(|memory| {
        let (_, server) = client_and_server();
        let trace = Rc::new(Trace::default());
        let _server = serve(&memory.handle(), PLACE, &server, Log::new(&trace));
        let peer = memory.connect(PLACE).unwrap();
        memory.pump();
        peer.finish();
        memory.pump();
        assert_eq!((trace.events(), trace.error()), (vec!["lost"], TlsError::EndedInHandshake));
    });
}

#[test]
fn a_changed_record_is_an_error_behind_the_bytes_before_it_and_the_peer_is_told() {
    on_memory(|memory| {
        let (client, server) = client_and_server();
        let trace = Rc::new(Trace::default());
        let _server = serve(&memory.handle(), PLACE, &server, Log::new(&trace));
        let mut hand = Hand::established(memory, &client, &server);
        hand.side.write(b"good");
        hand.side.write(b"evil");
        *hand.side.wire.last_mut().unwrap() ^= 1;
        let told = loop {
            if let Err(told) = hand.exchange(memory) {
                break told;
            }
            memory.advance(Duration::ZERO);
        };
        assert_eq!(told, TlsError::Connection(Error::AlertReceived(AlertDescription::BadRecordMac)));
        memory.advance(Duration::ZERO);
        assert_eq!((trace.events(), &trace.data.borrow()[..]), (vec!["made", "data", "lost"], &b"good"[..]));
        assert_eq!(trace.error(), TlsError::Connection(Error::DecryptError));
    });
}

#[test]
fn a_handshake_has_its_time_and_leaves_no_timer() {
    on_memory(|memory| {
        let (client, server) = client_and_server();
        let trace = Rc::new(Trace::default());
        let listener = serve(&memory.handle(), PLACE, &server, Log::new(&trace));
        let _silent = memory.connect(PLACE).unwrap();
        memory.advance(Duration::from_secs(29));
        assert!(trace.events().is_empty());
        memory.advance(Duration::from_secs(1));
        assert_eq!(trace.events(), ["lost"]);
        assert!(matches!(trace.reason(), Reason::Timeout), "{:?}", trace.reason());
        assert_eq!(memory.reactor().next_deadline(), None);
        drop(listener);
        let trace = Rc::new(Trace::default());
        let _server = serve(&memory.handle(), "unix:///run/other.sock", &server, Log::new(&trace));
        connect(&memory.handle(), "unix:///run/other.sock", &client, Log::new(&Rc::default()));
        memory.pump();
        assert_eq!((trace.events(), memory.reactor().next_deadline()), (vec!["made"], None));
    });
}

#[test]
fn who_closes_is_done_when_the_peer_answers_whatever_it_sends_before() {
    on_memory(|memory| {
        let (client, server) = client_and_server();
        let trace = Rc::new(Trace::default());
        let _server = serve(&memory.handle(), PLACE, &server, Log::new(&trace));
        let mut hand = Hand::established(memory, &client, &server);
        trace.transport().write(b"goodbye");
        trace.transport().close();
        memory.pump();
        hand.side.write(&[1; 20_000]);
        hand.exchange(memory).unwrap();
        assert_eq!(hand.side.plaintext, b"goodbye");
        assert!(hand.side.session.is_at_end());
        assert_eq!(trace.events(), ["made"]);
        hand.side.close();
        hand.exchange(memory).unwrap();
        assert_eq!(trace.events(), ["made", "lost"]);
        assert!(matches!(trace.reason(), Reason::Clean), "{:?}", trace.reason());
    });
}

#[test]
fn who_closes_is_content_with_the_end_of_the_connection() {
    on_memory(|memory| {
        let (client, server) = client_and_server();
        let trace = Rc::new(Trace::default());
        let _server = serve(&memory.handle(), PLACE, &server, Log::new(&trace));
        let hand = Hand::established(memory, &client, &server);
        trace.transport().close();
        memory.pump();
        hand.peer.finish();
        memory.pump();
        assert!(matches!(trace.reason(), Reason::Clean), "{:?}", trace.reason());
    });
}

#[test]
fn a_peer_that_never_answers_a_close_is_cut_off() {
    on_memory(|memory| {
        let (client, server) = client_and_server();
        let server = server.with_shutdown_timeout(Duration::from_secs(5));
        let trace = Rc::new(Trace::default());
        let _server = serve(&memory.handle(), PLACE, &server, Log::new(&trace));
        let _hand = Hand::established(memory, &client, &server);
        trace.transport().close();
        memory.advance(Duration::from_secs(4));
        assert_eq!(trace.events(), ["made"]);
        memory.advance(Duration::from_secs(1));
        assert!(matches!(trace.reason(), Reason::Timeout), "{:?}", trace.reason());
    });
}

#[test]
fn whichever_of_both_timeouts_is_shorter_ends_a_close_without_answer() {
    let (client, server) = client_and_server();
    let seconds = Duration::from_secs;
    for (shutdown, close) in
        [(Some(seconds(60)), seconds(90)), (Some(seconds(90)), seconds(60)), (None, seconds(60))]
    {
        let memory = MemoryReactor::new();
        let trace = Rc::new(Trace::default());
        let _server =
            serve(&memory.handle(), PLACE, &server.clone().with_shutdown_timeout(shutdown), Log::new(&trace));
        let _hand = Hand::established(&memory, &client, &server);
        trace.transport().set_close_timeout(close);
        trace.transport().close();
        memory.advance(seconds(59));
        assert_eq!(trace.events(), ["made"]);
        memory.advance(seconds(1));
        assert!(matches!(trace.reason(), Reason::Timeout), "{:?}", trace.reason());
    }
}

#[test]
fn the_timeout_and_the_limit_of_an_endpoint_with_tls_hold() {
    let (memory, (client, server)) = (MemoryReactor::new(), client_and_server());
    let ignore = |_: &Addresses| |_: &Transport, _: &[u8]| ();
    let endpoint = server.endpoint(Endpoint::unix("/run/tls.sock")).limit(1);
    let listener = memory.handle().listen(endpoint, ignore).unwrap();
    let _queued = [memory.connect(PLACE).unwrap(), memory.connect(PLACE).unwrap()];
    memory.pump();
    assert_eq!(listener.connections(), 1);
    listener.stop();

    let _silent = memory.network().listen(marline_reactor::UnixAddress::path("/run/silent.sock")).unwrap();
    let endpoint = client.endpoint(Endpoint::unix("/run/silent.sock"), "a.example").unwrap();
    let (outcome, deadline) = (Outcome::default(), memory.reactor().next_deadline());
    let told = Rc::clone(&outcome);
    let endpoint = endpoint.timeout(Duration::from_secs(2));
    memory.handle().connect(endpoint, ignore, move |result| *told.borrow_mut() = Some(result));
    memory.advance(Duration::from_secs(1));
    assert!(outcome.borrow().is_none());
    memory.advance(Duration::from_secs(1));
    let after = Duration::from_secs(2);
    assert!(
        matches!(&*outcome.borrow(), Some(Err(ConnectError::TimedOut { after: told, .. })) if *told == after)
    );
    assert_eq!(memory.reactor().next_deadline(), deadline);
}

#[test]
fn a_close_within_the_handshake_ends_at_once() {
    on_memory(|memory| {
        let (client, _) = client_and_server();
        let listener = memory.network().listen(marline_reactor::UnixAddress::path("/run/tls.sock")).unwrap();
        let outcome = Outcome::default();
        let (told, made) = (Rc::clone(&outcome), client.filter("a.example").unwrap());
        let connecting = filter::connect(
            &memory.handle(),
            PLACE,
            |_| made,
            Box::new(|_| Some(Box::new(Log::new(&Rc::default())))),
            Box::new(move |result| *told.borrow_mut() = Some(result)),
        );
        memory.pump();
        let peer = listener.accept().expect("a connection");
        assert!(!peer.read().is_empty(), "a ClientHello");
        assert!(connecting.cancel());
        memory.pump();
        assert!(matches!(&*outcome.borrow(), Some(Err(ConnectError::Cancelled { .. }))));
        assert!(peer.is_closed());
    });
}

#[test]
fn one_direction_ends_and_the_other_goes_on() {
    on_memory(|memory| {
        let (client, server) = client_and_server();
        let (here, there) = (Rc::new(Trace::default()), Rc::new(Trace::default()));
        let _server = serve(&memory.handle(), PLACE, &server, Log::new(&there).keep_open());
        let asking = Log::new(&here).on_made(|transport| {
            transport.write(b"question");
            transport.write_eof();
        });
        connect(&memory.handle(), PLACE, &client, asking);
        memory.pump();
        assert_eq!((there.events(), here.events()), (vec!["made", "data", "eof"], vec!["made"]));
        there.transport().write(b"answer");
        memory.pump();
        assert_eq!(*here.data.borrow(), b"answer");
        there.transport().close();
        memory.pump();
        assert_eq!(here.events(), ["made", "data", "eof", "lost"]);
        for trace in [here, there] {
            assert!(matches!(trace.reason(), Reason::Clean), "{:?}", trace.reason());
        }
    });
}

#[test]
fn a_pause_holds_records_back_that_came_already() {
    on_memory(|memory| {
        let (client, server) = client_and_server();
        let trace = Rc::new(Trace::default());
        let (count, counted) = counter();
        let pausing = Log::new(&trace).on_data(move |transport, _| {
            counted();
            transport.pause_reading();
        });
        let _server = serve(&memory.handle(), PLACE, &server, pausing);
        let mut hand = Hand::established(memory, &client, &server);
        hand.side.write(&[5; 60_000]);
        hand.exchange(memory).unwrap();
        assert_eq!(count.get(), 1);
        memory.pump();
        assert_eq!(count.get(), 1);
        while trace.data.borrow().len() < 60_000 {
            let before = count.get();
            trace.transport().resume_reading();
            memory.pump();
            assert_eq!(count.get(), before + 1);
        }
        assert!(*trace.data.borrow() == [5; 60_000]);
    });
}

#[test]
fn nobody_but_the_peer_can_read_what_is_sent() {
    let memory = MemoryReactor::new();
    let (client, server) = client_and_server();
    let trace = Rc::new(Trace::default());
    let _server = serve(&memory.handle(), PLACE, &server, Log::new(&trace));
    let mut hand = Hand::established(&memory, &client, &server);
    trace.transport().write(b"a secret of ours");
    memory.pump();
    let wire = hand.peer.read();
    assert!(!wire.is_empty() && !wire.windows(8).any(|window| window == b"a secret"));
    hand.side.receive(&wire, 64).unwrap();
    assert_eq!(hand.side.plaintext, b"a secret of ours");
}

/// A reader as fast as that would let nobody else have a turn.
#[test]
fn a_file_has_no_more_than_its_share_of_a_turn() {
    const SIZE: usize = 8 << 20;

    let memory = MemoryReactor::new();
    memory.network().set_capacity(usize::MAX);
    let (client, server) = client_and_server();
    let (here, there) = (Rc::new(Trace::default()), Rc::new(Trace::default()));
    let _server = serve(&memory.handle(), PLACE, &server, Log::new(&there));
    connect(&memory.handle(), PLACE, &client, Log::new(&here));
    memory.pump();
    let path = std::env::temp_dir().join(format!("marline-tls-share-{}", std::process::id()));
    std::fs::write(&path, vec![1; SIZE]).unwrap();
    there.transport().send_file(std::fs::File::open(&path).unwrap(), ..).unwrap();
    std::fs::remove_file(&path).unwrap();
    memory.reactor().turn(Some(Duration::ZERO)).unwrap();
    assert!(there.transport().buffered() >= SIZE - (1 << 20), "{}", there.transport().buffered());
    there.transport().close();
    memory.pump();
    assert_eq!(here.data.borrow().len(), SIZE);
    assert_eq!(there.events(), ["made", "lost"]);
}

/// A session can be resumed once, and this server offers one with each connection.
#[test]
fn an_endpoint_that_is_made_for_each_connection_takes_one_session_each() {
    let memory = MemoryReactor::new();
    let (client, server) = client_and_server();
    let mut config = (**server.config()).clone();
    config.send_tls13_tickets = 1;
    let server = ServerTls::from_config(config);
    let ignore = |_: &Addresses| |_: &Transport, _: &[u8]| ();
    memory.handle().listen(server.endpoint(Endpoint::unix("/run/tls.sock")), ignore).unwrap();
    let missing = client.endpoint(Endpoint::unix("/run/missing.sock"), "a.example").unwrap();
    for is_resumed in [false, true, true] {
        let _unused = client.endpoint(Endpoint::unix("/run/tls.sock"), "a.example").unwrap();
        let endpoint = client.endpoint(Endpoint::unix("/run/tls.sock"), "a.example").unwrap();
        memory.handle().connect(missing.clone(), ignore, |outcome| assert!(outcome.is_err()));
        memory.pump();
        let trace = Rc::new(Trace::default());
        let mut log = Some(Log::new(&trace));
        memory.handle().connect(
            endpoint,
            move |_: &Addresses| log.take(),
            |outcome| assert!(outcome.is_ok()),
        );
        memory.pump();
        let info = trace.transport().tls().expect("a handshake that is done");
        assert_eq!(info.is_resumed(), is_resumed);
        trace.transport().close();
        memory.pump();
    }
}

#[test]
fn a_dump_names_the_protocol_that_waits_for_a_handshake() {
    let memory = MemoryReactor::new();
    let (_, server) = client_and_server();
    let _server = serve(&memory.handle(), PLACE, &server, Log::new(&Rc::default()));
    let _silent = memory.connect(PLACE).unwrap();
    memory.pump();
    let dump = memory.handle().dump();
    assert!(dump.contains("::Log"), "{dump}");
}
