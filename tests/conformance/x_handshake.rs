//! X: the beginning of TLS.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use marline_reactor::{ConnectError, Transport};
use marline_tls::rustls::{AlertDescription, CertificateError, Error, ProtocolVersion};
use marline_tls::{StartTls, TlsError, TlsVersion};

use crate::secured;
use crate::support::secure::{Begun, Far, Setup, Side, Way, forgets, story, strangers, tls_error};
use crate::support::{Event, Log, Trace, World};

/// An alert, as it begins on the wire (RFC 8446, section 5.1).
const ALERT: u8 = 21;
const SHORT: Duration = Duration::from_millis(60);

fn lost(reason: &str) -> Event {
    Event::Lost(reason.into())
}

/// The callbacks of a connection whose handshake failed.
fn failed(way: Way, reason: &str) -> Vec<Event> {
    if way.by_endpoint { vec![lost(reason)] } else { vec![Event::Made, lost(reason)] }
}

/// Whether the connection is gone for the peer.
fn is_gone(begun: &Begun) -> bool {
    begun.party.is_over()
}

/// Lets both sides go on until our side ended, and the peer knows.
fn run_to_the_end(world: &World, begun: &Begun, log: &Log) {
    world.until(|| {
        begun.party.pump();
        log.is_lost()
    });
    world.until(|| is_gone(begun));
    world.calm(&begun.party);
}

secured! {
    fn x01_what_is_written_before_the_handshake_arrives_after_it(world: &World) {
        for way in world.ways() {
            let (log, payload) = (Log::new(), world.payload());
            let first = payload.clone();
            let begun = if way.by_endpoint {
                let protocol = Trace::new(&log).on(Event::Made, move |transport| {
                    transport.write(&first);
                });
                world.begin(way, &Setup::default(), protocol)
            } else {
                let begun = world.begin(way, &Setup::default(), Trace::new(&log));
                begun.transport().write(&first);
                world.settle();
                assert!(begun.transport().buffered() >= payload.len() && !begun.transport().is_established());
                begun
            };
            world.until(|| {
                begun.party.pump();
                begun.party.has_heard(payload.len())
            });
            assert!(begun.party.heard() == payload, "bytes were lost, repeated or moved");
            world.until(|| begun.transport().buffered() == 0);
            assert_eq!(story(&log), way.opening());
        }
    }

    fn x02_the_handshake_is_told_once_before_data_and_tells_who_the_peer_is(world: &World) {
        for way in world.ways() {
            let (log, seen) = (Log::new(), Rc::new(RefCell::new(Vec::new())));
            let noted = Rc::clone(&seen);
            let protocol = Trace::new(&log).on(way.done(), move |transport| {
                noted.borrow_mut().push(transport.tls().map(|info| (info.protocol_version(), info.peer_certificates().len())));
            });
            let begun = world.begin(way, &Setup::default(), protocol);
            // It goes out with the last of the peer's handshake.
            begun.party.say(b"early");
            world.until(|| {
                begun.party.pump();
                log.received() == 5
            });
            world.calm(&begun.party);
            let version = match way.version {
                TlsVersion::Tls12 => ProtocolVersion::TLSv1_2,
                _ => ProtocolVersion::TLSv1_3,
            };
            assert_eq!(*seen.borrow(), [Some((Some(version), 1))]);
            assert_eq!(story(&log), way.story([Event::Data(5)]));
            if way.by_endpoint && way.ours == Side::Client {
                assert!(matches!(begun.outcome(), Some(Ok(_))));
            }
        }
    }

    fn x02_single_bytes_of_a_handshake_make_no_difference(world: &World) {
        for way in world.ways() {
            let log = Log::new();
            let begun = world.begin(way, &Setup::default(), Trace::new(&log));
            begun.party.set_pace(1);
            begun.party.say(b"data");
            world.until(|| {
                begun.party.pump();
                log.received() == 4
            });
            assert_eq!(story(&log), way.story([Event::Data(4)]));
        }
    }

    fn x03_an_abort_in_it_keeps_back_what_waits(world: &World) {
        for way in world.ways() {
            let log = Log::new();
            let protocol = Trace::new(&log).on(way.done(), |transport| {
                transport.write(b"a secret");
                transport.abort();
            });
            let begun = world.begin(way, &Setup::default(), protocol);
            if !way.by_endpoint {
                begun.transport().write(b"another");
            }
            run_to_the_end(world, &begun, &log);
            assert!(begun.party.heard().is_empty() && !begun.party.has_heard_goodbye());
            assert_eq!(story(&log), way.story([lost("Aborted")]));
        }
    }

    fn x03_so_does_a_close_in_it_not(world: &World) {
        for way in world.ways() {
            let log = Log::new();
            let protocol = Trace::new(&log).on(way.done(), |transport| {
                transport.write(b"for everybody");
                transport.close();
            });
            let begun = world.begin(way, &Setup::default(), protocol);
            world.until(|| {
                begun.party.pump();
                begun.party.has_heard_goodbye()
            });
            assert_eq!(begun.party.heard(), b"for everybody");
            begun.party.say_goodbye();
            run_to_the_end(world, &begun, &log);
            assert_eq!(story(&log), way.story([lost("Clean")]));
        }
    }

    fn x04_a_failed_handshake_is_one_loss_with_the_error(world: &World) {
        let strangers = strangers();
        for way in world.ways() {
            let log = Log::new();
            let begun = world.begin_between(way, &Setup::default(), &strangers, Trace::new(&log));
            begun.party.say(b"nobody may see this");
            run_to_the_end(world, &begun, &log);
            assert_eq!((story(&log), log.received()), (failed(way, "Failed"), 0));
            let error = tls_error(log.lost().as_ref());
            // Who looks at certificates first is the client.
            match way.ours {
                Side::Client => {
                    let unknown = Error::InvalidCertificate(CertificateError::UnknownIssuer);
                    assert_eq!(error, TlsError::Handshake(unknown));
                    let told = begun.party.error();
                    let alert = Some(Error::AlertReceived(AlertDescription::UnknownCA));
                    assert!(forgets(world) || told == alert, "the peer is told why: {told:?}");
                }
                Side::Server => {
                    assert_eq!(error, TlsError::Handshake(Error::AlertReceived(AlertDescription::UnknownCA)));
                }
            }
            match begun.outcome() {
                Some(Err(ConnectError::Lost(lost))) => assert_eq!(tls_error(Some(&lost)), error),
                other => assert!(other.is_none() && !(way.by_endpoint && way.ours == Side::Client)),
            }
        }
    }

    fn x04_so_is_something_that_is_no_handshake(world: &World) {
        for way in world.ways() {
            let log = Log::new();
            let begun = world.begin(way, &Setup::default(), Trace::new(&log));
            let (far, told) = (begun.party.below(), RefCell::new(Vec::new()));
            let sent = Cell::new(0);
            let words = b"HTTP/1.1 400 Bad Request\r\n\r\n";
            world.until(|| {
                sent.set(sent.get() + far.write(&words[sent.get()..]));
                told.borrow_mut().extend(far.read());
                log.is_lost()
            });
            world.until(|| {
                told.borrow_mut().extend(far.read());
                far.is_finished() || far.is_over()
            });
            assert_eq!((story(&log), log.received()), (failed(way, "Failed"), 0));
            let error = tls_error(log.lost().as_ref());
            assert!(error.is_handshake() && error.to_string().contains("is not TLS"), "{error}");
            let told = told.into_inner();
            if forgets(world) {
                continue;
            }
            let alert = &told[told.len() - 7..];
            assert_eq!((alert[0], &alert[3..5]), (ALERT, &[0, 2][..]), "the last that is sent: {told:?}");
        }
    }

    fn x04_a_peer_that_ends_within_the_handshake_is_an_error(world: &World) {
        for way in world.ways() {
            let log = Log::new();
            let begun = world.begin(way, &Setup::default(), Trace::new(&log));
            // What is below the handshake is whole.
            for _ in 0..8 {
                drop(begun.party.below().read());
                world.settle();
            }
            begun.party.below().finish();
            world.until(|| log.is_lost());
            assert_eq!(story(&log), failed(way, "Failed"));
            assert_eq!(tls_error(log.lost().as_ref()), TlsError::EndedInHandshake);
        }
    }

    fn x05_a_handshake_that_takes_too_long_times_out_and_leaves_no_timer(world: &World) {
        let setup = Setup::default().with_handshake_timeout(SHORT);
        for way in world.ways() {
            let (log, before) = (Log::new(), world.handle().stats().timers);
            let begun = world.begin(way, &setup, Trace::new(&log));
            // To go on without getting anywhere does not help.
            begun.party.set_pace(1);
            for _ in 0..3 {
                begun.party.pump();
                world.settle();
            }
            world.until(|| log.is_lost());
            assert_eq!(story(&log), failed(way, "Timeout"));
            assert!(log.lost().is_some_and(|lost| lost.is_timeout()));
            world.until(|| begun.party.is_over());
            assert_eq!(world.handle().stats().timers, before);
        }
    }

    fn x05_a_handshake_in_time_leaves_no_timer_either(world: &World) {
        for way in world.ways() {
            let (log, before) = (Log::new(), world.handle().stats().timers);
            let begun = world.secure(way, &Setup::default(), Trace::new(&log));
            world.calm(&begun.party);
            assert_eq!(world.handle().stats().timers, before);
            assert!(!log.is_lost());
        }
    }

    fn x08_a_close_within_the_handshake_ends_promptly(world: &World) {
        for way in world.ways().into_iter().filter(|way| !way.by_endpoint) {
            for begins in [false, true] {
                let log = Log::new();
                let begun = world.begin(way, &Setup::default(), Trace::new(&log));
                if begins {
                    begun.party.set_pace(100);
                    begun.party.pump();
                }
                world.settle();
                begun.transport().close();
                // Neither with the time of the handshake, nor with that of the leave-taking.
                world.settle();
                world.until(|| log.is_lost());
                assert_eq!(story(&log), [Event::Made, lost("Clean")]);
                world.until(|| begun.party.is_over());
            }
        }
    }

    fn x08_what_was_written_before_it_is_not_sent_then(world: &World) {
        for way in world.ways().into_iter().filter(|way| !way.by_endpoint) {
            let log = Log::new();
            let begun = world.begin(way, &Setup::default(), Trace::new(&log));
            begun.transport().write(b"a secret");
            begun.transport().close();
            run_to_the_end(world, &begun, &log);
            assert_eq!(story(&log), [Event::Made, lost("Aborted")]);
            assert_eq!(log.lost().map(|lost| lost.unsent()), Some(8));
            assert!(begun.party.heard().is_empty());
        }
    }

    fn x08_connecting_can_be_given_up_within_the_handshake(world: &World) {
        let is_client = |way: &Way| way.by_endpoint && way.ours == Side::Client;
        for way in world.ways().into_iter().filter(is_client) {
            let begun = world.begin(way, &Setup::default(), Trace::new(&Log::new()));
            world.settle();
            assert!(begun.connecting().is_some_and(|connecting| connecting.cancel()));
            let outcome = RefCell::new(None);
            world.until(|| {
                let told = begun.outcome();
                if told.is_some() {
                    *outcome.borrow_mut() = told;
                }
                outcome.borrow().is_some()
            });
            assert!(matches!(outcome.into_inner(), Some(Err(ConnectError::Cancelled { .. }))));
            world.until(|| begun.party.is_over());
            assert_eq!(begun.seen().map(|transport: Transport| transport.is_closing()), None);
        }
    }
}
