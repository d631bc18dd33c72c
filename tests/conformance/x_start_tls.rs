//! X: TLS on connections that stand, and TLS in TLS.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use marline_reactor::filter::{ReadAhead, ReadAheadRefused};
use marline_reactor::framing::{LineProtocol, Lines};
use marline_reactor::{Addresses, Lost, OnEof, Protocol, Reason, Server, Transport};
use marline_tls::{StartTls, TlsVersion, endpoint};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::support::secure::{Far, Party, Setup, Side, folder_of_certificates, story, tls_error};
use crate::support::{Drops, Event, Log, Place, Trace, Witness, World, address_of, skip};
use crate::{conformance, secured};

const VERSIONS: [TlsVersion; 2] = [TlsVersion::Tls13, TlsVersion::Tls12];

/// A handshake, as it begins on the wire (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 22;

/// Speaks in lines, begins TLS after the first, and writes down all of them.
struct Session {
    side: Side,
    version: TlsVersion,
    read_ahead: ReadAhead,
    asks: bool,
    log: Log,
    lines: Received,
    _witness: Option<Witness>,
}

type Received = Rc<RefCell<Vec<String>>>;

impl Session {
    fn new(side: Side, version: TlsVersion, read_ahead: ReadAhead) -> Self {
        Self { side, version, read_ahead, asks: false, log: Log::new(), lines: Rc::default(), _witness: None }
    }

    /// Begins to talk.
    fn asking(self) -> Self {
        Self { asks: true, ..self }
    }

    fn witnessed(self, drops: &Drops) -> Self {
        Self { _witness: Some(drops.witness()), ..self }
    }
}

/// The peer answers within TLS, and hears what was written behind its beginning. It had asked before.
#[track_caller]
fn talk_within(world: &World, party: &Party, log: &Log) {
    party.say(b"answer");
    world.until(|| {
        party.pump();
        log.received() == 7 && party.has_heard(6)
    });
    assert_eq!((log.bytes(), party.heard()), (b"?answer".to_vec(), b"within".to_vec()));
}

/// What the peer of a side says before TLS begins.
const fn first_of_peer(side: Side) -> &'static str {
    match side {
        Side::Server => "STARTTLS",
        Side::Client => "220 go ahead",
    }
}

/// What a server answers, before TLS begins.
const ANSWER: &[u8] = b"220 go ahead\r\n";

impl LineProtocol for Session {
    fn connection_made(&mut self, transport: &Transport) {
        Trace::new(&self.log).connection_made(transport);
        if self.asks {
            transport.write(b"STARTTLS\r\n");
        }
    }

    fn line_received(&mut self, transport: &Transport, line: &[u8]) {
        self.lines.borrow_mut().push(String::from_utf8_lossy(line).into_owned());
        if self.lines.borrow().len() > 1 {
            return;
        }
        if self.side == Side::Server {
            transport.write(ANSWER);
        }
        let filter = self.side.filter(self.version, &Setup::default());
        transport.start_tls(filter, self.read_ahead).expect("a live connection");
        transport.write(b"hello within\r\n");
    }

    fn filter_established(&mut self, transport: &Transport) {
        Trace::new(&self.log).filter_established(transport);
    }

    fn eof_received(&mut self, transport: &Transport, unfinished: &[u8]) -> OnEof {
        assert!(unfinished.is_empty());
        Trace::new(&self.log).eof_received(transport)
    }

    fn connection_lost(&mut self, transport: &Transport, lost: &Lost) {
        Trace::new(&self.log).connection_lost(transport, lost);
    }
}

/// Sends all of it from a far end, and nothing else.
fn send(world: &World, far: &dyn Far, bytes: &[u8]) {
    let sent = Cell::new(0);
    world.until(|| {
        sent.set(sent.get() + far.write(&bytes[sent.get()..]));
        sent.get() == bytes.len()
    });
}

/// Reads at a far end until there are so many bytes, or more.
fn read(world: &World, far: &dyn Far, count: usize) -> Vec<u8> {
    let bytes = RefCell::new(Vec::new());
    world.until(|| {
        bytes.borrow_mut().extend(far.read());
        bytes.borrow().len() >= count
    });
    bytes.into_inner()
}

/// The far end of a session whose peer said its first line, with `more` behind it.
fn begun(world: &World, session: Session, more: impl FnOnce(&Party) -> Vec<u8>) -> (Transport, Party) {
    let (side, version) = (session.side, session.version);
    let (transport, far) = world.plain(Lines(session));
    let party = Party::opposite(side, version, &Setup::default(), far);
    let mut first = first_of_peer(side).as_bytes().to_vec();
    first.extend_from_slice(b"\r\n");
    first.extend(more(&party));
    send(world, &**party.below(), &first);
    (transport, party)
}

/// Has the peer read its answer, if our side is the server.
fn read_answer(world: &World, side: Side, party: &Party) {
    if side == Side::Server {
        assert_eq!(read(world, &**party.below(), ANSWER.len()), ANSWER);
    }
}

/// Both ends ours.
fn join(world: &World, near: impl Protocol, far: impl Protocol) {
    if world.place() == Place::Pipes {
        let [(far_in, near_out), (near_in, far_out)] =
            [(); 2].map(|()| pipe_with(PipeFlags::CLOEXEC).expect("a pipe"));
        world.handle().adopt_stream((near_in, near_out), near).expect("pipes");
        world.handle().adopt_stream((far_in, far_out), far).expect("pipes");
        return;
    }
    let mut far = Some(far);
    let server = world.handle().listen(world.free_endpoint(), move |_: &Addresses| far.take());
    let endpoint = world.endpoint_of(&server.expect("a listener"));
    world.handle().connect(endpoint, move |_: &Addresses| near, |_| {});
}

secured! {
    fn x14_start_tls_keeps_the_protocol_and_never_tells_it_of_a_loss(world: &World) {
        for (side, version) in Side::BOTH.into_iter().flat_map(|side| VERSIONS.map(|version| (side, version))) {
            let drops = Drops::new();
            let session = Session::new(side, version, ReadAhead::Refuse).witnessed(&drops);
            let (log, lines) = (session.log.clone(), Rc::clone(&session.lines));
            let (transport, party) = begun(world, session, |_| Vec::new());
            read_answer(world, side, &party);
            party.say(b"within\r\n");
            world.until(|| {
                party.pump();
                lines.borrow().len() == 2 && party.has_heard(14)
            });
            assert_eq!(*lines.borrow(), [first_of_peer(side), "within"]);
            assert_eq!((story(&log), party.heard()), (vec![Event::Made, Event::Established], b"hello within\r\n".to_vec()));
            assert_eq!(drops.count(), 0, "the protocol stays");
            transport.close();
            party.answer();
            world.until(|| {
                party.pump();
                log.is_lost()
            });
            assert_eq!((log.losses(), log.reason().as_deref()), (1, Some("Clean")));
            world.settle();
            assert_eq!(drops.count(), 1);
        }
    }

    fn x14_start_tls_on_both_sides(world: &World) {
        if world.place() == Place::Terminal {
            return skip("a terminal has one master");
        }
        for version in VERSIONS {
            let client = Session::new(Side::Client, version, ReadAhead::Refuse);
            // The client's handshake may come on the heels of its line.
            let server = Session::new(Side::Server, version, ReadAhead::Feed);
            let (logs, lines) = (
                [client.log.clone(), server.log.clone()],
                [Rc::clone(&client.lines), Rc::clone(&server.lines)],
            );
            join(world, Lines(client.asking()), Lines(server));
            world.until(|| lines.iter().all(|lines| lines.borrow().len() == 2));
            world.settle();
            for (log, lines) in logs.iter().zip(&lines) {
                assert_eq!(lines.borrow()[1], "hello within");
                assert_eq!(story(log), [Event::Made, Event::Established]);
            }
        }
    }

    fn x15_plaintext_that_came_too_early_is_refused(world: &World) {
        for side in Side::BOTH {
            let session = Session::new(side, TlsVersion::Tls13, ReadAhead::Refuse);
            let (log, lines) = (session.log.clone(), Rc::clone(&session.lines));
            let (_, party) = begun(world, session, |_| b"RCPT TO: somebody\r\n".to_vec());
            world.until(|| {
                drop(party.below().read());
                log.is_lost()
            });
            world.settle();
            assert_eq!(*lines.borrow(), [first_of_peer(side)], "never plaintext");
            assert_eq!(story(&log), [Event::Made, Event::Lost("Failed".into())]);
            let lost = log.lost().expect("a loss");
            match lost.reason() {
                Reason::Failed(error) if error.is::<ReadAheadRefused>() => {
                    let refused = error.downcast_ref::<ReadAheadRefused>().expect("it is");
                    assert!(refused.bytes == 19 || world.cuts());
                }
                // What came a piece later was no longer ahead.
                _ => assert!(world.cuts() && tls_error(Some(&lost)).to_string().contains("is not TLS")),
            }
        }
    }

    fn x15_or_is_fed_to_tls_which_takes_it_for_no_handshake(world: &World) {
        for side in Side::BOTH {
            let session = Session::new(side, TlsVersion::Tls13, ReadAhead::Feed);
            let (log, lines) = (session.log.clone(), Rc::clone(&session.lines));
            let (_, party) = begun(world, session, |_| b"RCPT TO: somebody\r\n".to_vec());
            world.until(|| {
                drop(party.below().read());
                log.is_lost()
            });
            world.settle();
            assert_eq!(*lines.borrow(), [first_of_peer(side)], "never plaintext");
            assert_eq!(story(&log), [Event::Made, Event::Lost("Failed".into())]);
            assert!(tls_error(log.lost().as_ref()).to_string().contains("is not TLS"));
        }
    }

    fn x15_a_handshake_that_came_with_the_line_is_fed_and_nothing_of_it_is_lost(world: &World) {
        for version in VERSIONS {
            let session = Session::new(Side::Server, version, ReadAhead::Feed);
            let (log, lines) = (session.log.clone(), Rc::clone(&session.lines));
            let (_, party) = begun(world, session, Party::take_outgoing);
            let first = read(world, &**party.below(), ANSWER.len());
            assert_eq!(first[..ANSWER.len()], *ANSWER);
            party.feed(&first[ANSWER.len()..]);
            party.say(b"within\r\n");
            world.until(|| {
                party.pump();
                lines.borrow().len() == 2
            });
            assert_eq!(*lines.borrow(), ["STARTTLS", "within"]);
            assert_eq!(story(&log), [Event::Made, Event::Established]);
        }
    }

    fn x15_a_handshake_that_came_with_the_line_is_refused_where_the_client_should_have_waited(world: &World) {
        if world.cuts() {
            return skip("here it may come later than the line");
        }
        let session = Session::new(Side::Server, TlsVersion::Tls13, ReadAhead::Refuse);
        let log = session.log.clone();
        let (_, party) = begun(world, session, Party::take_outgoing);
        world.until(|| {
            drop(party.below().read());
            log.is_lost()
        });
        let lost = log.lost().expect("a loss");
        assert!(matches!(lost.reason(), Reason::Failed(error) if error.is::<ReadAheadRefused>()), "{lost:?}");
        assert_eq!(story(&log), [Event::Made, Event::Lost("Failed".into())]);
    }

    fn x16_what_was_written_before_start_tls_leaves_before_the_handshake(world: &World) {
        for (side, version) in Side::BOTH.into_iter().flat_map(|side| VERSIONS.map(|version| (side, version))) {
            let (log, payload) = (Log::new(), world.payload());
            let (first, mut begins) = (payload.clone(), true);
            let protocol = Trace::new(&log).on(Event::Data(0), move |transport| {
                if std::mem::take(&mut begins) {
                    transport.write(&first);
                    let filter = side.filter(version, &Setup::default());
                    transport.start_tls(filter, ReadAhead::Refuse).expect("a live connection");
                    transport.write(b"within");
                }
            });
            let (_, far) = world.plain(protocol);
            let party = Party::opposite(side, version, &Setup::default(), Rc::clone(&far));
            send(world, &*far, b"?");
            // A client goes on at once, a server when the client did.
            let wire = read(world, &*far, payload.len() + if side == Side::Client { 1 } else { 0 });
            assert!(wire[..payload.len()] == payload, "bytes were lost, repeated or moved");
            let rest = &wire[payload.len()..];
            assert_eq!(rest.first().copied(), (side == Side::Client).then_some(HANDSHAKE));
            party.feed(rest);
            talk_within(world, &party, &log);
        }
    }

    /// What the callback wrote is on its way when TLS begins, later in the same turn.
    fn x16_what_is_being_sent_when_tls_starts_leaves_before_the_handshake(world: &World) {
        for (side, version) in Side::BOTH.into_iter().flat_map(|side| VERSIONS.map(|version| (side, version))) {
            let (log, handle) = (Log::new(), world.handle());
            let mut begins = true;
            let protocol = Trace::new(&log).on(Event::Data(0), move |transport| {
                if std::mem::take(&mut begins) {
                    transport.write(b"ready");
                    let transport = transport.clone();
                    handle.call_soon(move || {
                        let filter = side.filter(version, &Setup::default());
                        transport.start_tls(filter, ReadAhead::Refuse).expect("a live connection");
                        transport.write(b"within");
                    });
                }
            });
            let (transport, far) = world.plain(protocol);
            let party = Party::opposite(side, version, &Setup::default(), Rc::clone(&far));
            send(world, &*far, b"?");
            let wire = read(world, &*far, 5 + if side == Side::Client { 1 } else { 0 });
            assert_eq!(wire[..5], *b"ready");
            party.feed(&wire[5..]);
            talk_within(world, &party, &log);
            world.until(|| transport.buffered() == 0);
        }
    }

    fn x17_tls_runs_within_tls(world: &World) {
        for way in world.ways() {
            let (log, payload) = (Log::new(), world.payload());
            let begun = world.secure(way, &Setup::default(), Trace::new(&log));
            begun.party.answer();
            let (transport, outer) = (begun.transport(), begun.party.below());
            let known = transport.tls().expect("what was agreed upon");
            let filter = way.ours.filter(way.version, &Setup::default());
            transport.start_tls(filter, ReadAhead::Refuse).expect("a live connection");
            let far: Rc<dyn Far> = Rc::clone(&begun.party) as Rc<dyn Far>;
            let inner = Party::opposite(way.ours, way.version, &Setup::default(), far);
            transport.write(&payload);
            inner.say(&payload);
            world.until(|| {
                inner.pump();
                log.received() == payload.len() && inner.has_heard(payload.len())
            });
            assert!(log.bytes() == payload && inner.heard() == payload, "bytes were lost, repeated or moved");
            assert!(transport.tls().is_some_and(|info| !Rc::ptr_eq(&info, &known)), "the inner one is told");
            transport.close();
            world.until(|| {
                inner.pump();
                inner.has_heard_goodbye()
            });
            world.calm(&inner);
            assert!(!begun.party.has_heard_goodbye() && !outer.is_finished(), "the inner one ends first");
            inner.say_goodbye();
            world.until(|| {
                inner.pump();
                log.is_lost()
            });
            world.until(|| begun.party.is_over());
            assert!(begun.party.has_heard_goodbye() || world.place() == Place::Terminal);
            let events = [Event::Established, Event::Data(payload.len()), Event::Lost("Clean".into())];
            assert_eq!(story(&log), way.story(events));
        }
    }
}

conformance! {
    fn x17_an_endpoint_can_ask_for_tls_within_tls(world: &World) {
        endpoint::register();
        let folder = folder_of_certificates();
        let (cert, key, ca) = (folder.path("cert.pem"), folder.path("key.pem"), folder.path("ca.pem"));
        for scheme in ["tls", "tls+tls"] {
            let (here, there, payload) = (Log::new(), Log::new(), world.payload());
            let echo = Trace::new(&there).with(|transport, event, data| {
                if matches!(event, Event::Data(_)) {
                    transport.write(data);
                }
            });
            let mut echo = Some(echo);
            let listening = format!("{scheme}://127.0.0.1:0?cert={cert}&key={key}");
            let server = world.handle().listen(listening.as_str(), move |_: &Addresses| echo.take());
            let server: Server = server.expect("a listener");
            let (sent, length, seen) = (payload.clone(), payload.len(), here.clone());
            let asking = Trace::new(&here).with(move |transport, event, _| match event {
                Event::Made => drop(transport.write(&sent)),
                Event::Data(_) if seen.received() == length => transport.close(),
                _ => {}
            });
            let target = format!("{scheme}://{}?ca={ca}&server_name=a.example", address_of(&server));
            world.handle().connect(target.as_str(), move |_: &Addresses| asking, drop);
            world.until(|| here.is_lost() && there.is_lost());
            server.stop();
            assert!(here.bytes() == payload, "bytes were lost, repeated or moved");
            let clean = Event::Lost("Clean".into());
            assert_eq!(story(&here), [Event::Made, Event::Data(payload.len()), clean.clone()]);
            assert_eq!(story(&there), [Event::Made, Event::Data(payload.len()), Event::Eof, clean]);
        }
    }
}
