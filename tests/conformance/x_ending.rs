//! X: the end of TLS.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use marline_reactor::{Lost, Protocol, Transport};
use marline_tls::{StartTls, TlsInfo, TlsVersion};

use crate::secured;
use crate::support::secure::{Begun, Far, Setup, Way, forgets, story};
use crate::support::{Drops, Event, Log, Trace, World};

const SHORT: Duration = Duration::from_millis(60);

fn lost(reason: &str) -> Event {
    Event::Lost(reason.into())
}

fn clean() -> Event {
    lost("Clean")
}

/// Closes, and has the peer read everything: it heard our close_notify, and has not answered.
fn close_without_answer(world: &World, begun: &Begun) {
    begun.transport().close();
    world.until(|| {
        begun.party.pump();
        begun.party.has_heard_goodbye()
    });
}

/// Has the peer read and send until our side heard of its end.
fn until_lost(world: &World, begun: &Begun, log: &Log) {
    world.until(|| {
        begun.party.pump();
        log.is_lost()
    });
}

/// Only those that speak TLS 1.3.
fn newest(world: &World) -> Vec<Way> {
    world.ways().into_iter().filter(|way| way.version == TlsVersion::Tls13).collect()
}

secured! {
    fn x07_close_sends_what_is_buffered_then_close_notify_and_closes_below_last(world: &World) {
        for way in world.ways() {
            let (log, payload) = (Log::new(), world.payload());
            let begun = world.secure(way, &Setup::default(), Trace::new(&log));
            begun.transport().write(&payload);
            close_without_answer(world, &begun);
            assert!(begun.party.heard() == payload, "bytes were lost, repeated or moved");
            world.calm(&begun.party);
            assert!(!begun.party.below().is_finished() && !log.is_lost(), "it waits for the peer's answer");
            begun.party.say_goodbye();
            until_lost(world, &begun, &log);
            world.until(|| begun.party.is_over());
            assert_eq!(story(&log), way.story([clean()]));
            assert_eq!(log.lost().map(|lost| lost.unsent()), Some(0));
        }
    }

    fn x07_a_peer_that_ended_first_is_answered(world: &World) {
        for way in world.ways() {
            let (log, payload) = (Log::new(), world.payload());
            let answer = payload.clone();
            let protocol = Trace::new(&log).on(Event::Eof, move |transport| {
                transport.write(&answer);
            });
            let begun = world.secure(way, &Setup::default(), protocol);
            begun.party.say(b"all there is");
            begun.party.say_goodbye();
            until_lost(world, &begun, &log);
            world.until(|| begun.party.is_over());
            assert!(forgets(world) || begun.party.heard() == payload && begun.party.has_heard_goodbye());
            assert_eq!(story(&log), way.story([Event::Data(12), Event::Eof, clean()]));
        }
    }

    fn x09_an_end_without_close_notify_is_truncated(world: &World) {
        for way in world.ways() {
            let (log, payload) = (Log::new(), world.payload());
            let begun = world.secure(way, &Setup::default(), Trace::new(&log));
            begun.party.say(&payload);
            world.until(|| {
                begun.party.pump();
                log.received() == payload.len()
            });
            begun.party.cut();
            until_lost(world, &begun, &log);
            assert_eq!(story(&log), way.story([Event::Data(payload.len()), lost("Truncated")]));
            assert!(log.bytes() == payload && !log.lost().is_some_and(|lost| lost.is_clean()));
        }
    }

    fn x09_so_is_one_in_the_middle_of_a_record(world: &World) {
        for way in world.ways() {
            let log = Log::new();
            let begun = world.secure(way, &Setup::default(), Trace::new(&log));
            let records = begun.party.records(b"half of it");
            begun.party.send(&records[..records.len() / 2]);
            world.calm(&begun.party);
            begun.party.cut();
            until_lost(world, &begun, &log);
            assert_eq!(story(&log), way.story([lost("Truncated")]));
        }
    }

    fn x09_a_changed_record_is_no_end_but_an_error(world: &World) {
        for way in world.ways() {
            let log = Log::new();
            let begun = world.secure(way, &Setup::default(), Trace::new(&log));
            begun.party.say(b"good");
            let mut records = begun.party.records(b"evil");
            *records.last_mut().expect("a record") ^= 1;
            begun.party.send(&records);
            until_lost(world, &begun, &log);
            assert_eq!((story(&log), log.bytes()), (way.story([Event::Data(4), lost("Failed")]), b"good".to_vec()));
            world.until(|| begun.party.is_over());
            assert!(forgets(world) || begun.party.error().is_some(), "the peer was told");
        }
    }

    fn x10_a_peer_that_never_answers_is_aborted_after_the_timeout(world: &World) {
        let setup = Setup::default().with_shutdown_timeout(SHORT);
        for way in world.ways() {
            let (log, before) = (Log::new(), world.handle().stats().timers);
            let begun = world.secure(way, &setup, Trace::new(&log));
            begun.transport().write(b"goodbye");
            let closed = world.handle().now();
            close_without_answer(world, &begun);
            world.until(|| log.is_lost());
            assert!(world.handle().now() - closed >= SHORT);
            assert_eq!(story(&log), way.story([lost("Timeout")]));
            world.until(|| begun.party.is_over());
            assert_eq!((begun.party.heard(), world.handle().stats().timers), (b"goodbye".to_vec(), before));
        }
    }

    fn x10_to_go_on_sending_is_no_answer(world: &World) {
        let setup = Setup::default().with_shutdown_timeout(SHORT);
        for way in world.ways() {
            let log = Log::new();
            let begun = world.secure(way, &setup, Trace::new(&log));
            close_without_answer(world, &begun);
            world.until(|| {
                begun.party.say(b"x");
                begun.party.pump();
                world.wait(Duration::from_millis(1));
                if let Some(memory) = world.as_memory() {
                    memory.advance(Duration::from_millis(1));
                }
                log.is_lost()
            });
            assert_eq!(story(&log), way.story([lost("Timeout")]));
        }
    }

    fn x11_data_after_our_close_notify_is_no_error(world: &World) {
        for way in world.ways() {
            let (log, payload) = (Log::new(), world.payload());
            let begun = world.secure(way, &Setup::default(), Trace::new(&log));
            close_without_answer(world, &begun);
            begun.party.say(&payload);
            world.until(|| {
                begun.party.pump();
                begun.party.has_sent_all()
            });
            world.calm(&begun.party);
            assert!(!log.is_lost());
            begun.party.say_goodbye();
            until_lost(world, &begun, &log);
            assert_eq!(story(&log), way.story([clean()]));
        }
    }

    fn x11_nor_is_what_is_no_data(world: &World) {
        for way in world.ways() {
            for cuts in [false, true] {
                let log = Log::new();
                let begun = world.secure(way, &Setup::default(), Trace::new(&log));
                close_without_answer(world, &begun);
                if cuts {
                    begun.party.cut();
                } else {
                    let mut records = begun.party.records(b"data");
                    *records.last_mut().expect("a record") ^= 1;
                    begun.party.send(&records);
                }
                until_lost(world, &begun, &log);
                assert_eq!(story(&log), way.story([clean()]));
            }
        }
    }

    fn x11_what_the_peer_sent_before_it_heard_of_the_close_is_no_error(world: &World) {
        for way in world.ways() {
            let (log, payload) = (Log::new(), world.payload());
            let begun = world.secure(way, &Setup::default(), Trace::new(&log));
            begun.transport().pause_reading();
            world.settle();
            begun.party.say(&payload);
            begun.transport().write(b"goodbye");
            close_without_answer(world, &begun);
            begun.party.say_goodbye();
            until_lost(world, &begun, &log);
            assert_eq!(begun.party.heard(), b"goodbye");
            assert_eq!(log.reason().as_deref(), Some("Clean"));
        }
    }

    fn x18_the_transport_below_is_closed_when_the_loss_is_told(world: &World) {
        for way in world.ways() {
            // In good order, at once, and by the peer.
            for how in 0..3 {
                let (log, party) = (Log::new(), Rc::new(RefCell::new(None::<Rc<crate::support::secure::Party>>)));
                let (seen, known) = (Rc::new(Cell::new(None)), Rc::clone(&party));
                let noted = Rc::clone(&seen);
                let protocol = Trace::new(&log).on(lost(""), move |_| {
                    noted.set(known.borrow().as_ref().map(|party| party.is_over()));
                });
                let begun = world.secure(way, &Setup::default(), protocol);
                *party.borrow_mut() = Some(Rc::clone(&begun.party));
                match how {
                    0 => close_without_answer(world, &begun),
                    1 => begun.transport().abort(),
                    _ => {}
                }
                if how != 1 {
                    begun.party.say_goodbye();
                }
                until_lost(world, &begun, &log);
                if world.cuts() && world.is_memory() {
                    // The wires may keep the news back.
                    world.until(|| begun.party.is_over());
                } else {
                    assert_eq!(seen.get(), Some(true), "{how}");
                }
            }
        }
    }

    fn x22_after_the_loss_nothing_is_retained(world: &World) {
        for way in world.ways() {
            for how in 0..4 {
                let before = world.handle().stats();
                let (drops, info) = (Drops::new(), Rc::new(RefCell::new(Weak::new())));
                let keeper = Keeper { log: Log::new(), info: Rc::clone(&info), _witness: drops.witness() };
                let log = keeper.log.clone();
                let begun = world.secure(way, &Setup::default(), keeper);
                assert!(info.borrow().upgrade().is_some(), "it lives as long as the connection");
                begun.transport().write(b"data");
                match how {
                    0 => close_without_answer(world, &begun),
                    1 => begun.transport().abort(),
                    2 => begun.party.cut(),
                    _ => {}
                }
                if how != 1 && how != 2 {
                    begun.party.say_goodbye();
                }
                until_lost(world, &begun, &log);
                world.until(|| begun.party.is_over());
                let transport = begun.transport();
                drop(begun);
                world.settle();
                assert!(info.borrow().upgrade().is_none() && transport.tls().is_none());
                assert_eq!(drops.count(), 1, "the protocol");
                let after = world.handle().stats();
                assert_eq!((after.connections, after.timers), (before.connections, before.timers));
            }
        }
        assert_eq!(world.open_sockets(), 0);
    }

    fn x23_after_write_eof_reading_goes_on_until_the_peers_close_notify(world: &World) {
        for way in newest(world) {
            let (log, payload) = (Log::new(), world.payload());
            let begun = world.secure(way, &Setup::default(), Trace::new(&log));
            begun.transport().write(&payload);
            begun.transport().write_eof();
            assert!(!begun.transport().write(b"late").is_accepted());
            world.until(|| {
                begun.party.pump();
                begun.party.has_heard_goodbye()
            });
            assert!(begun.party.heard() == payload && !begun.party.below().is_finished());
            begun.party.say(&payload);
            world.until(|| {
                begun.party.pump();
                log.received() == payload.len()
            });
            world.calm(&begun.party);
            assert_eq!(story(&log), way.story([Event::Data(payload.len())]));
            begun.party.say_goodbye();
            until_lost(world, &begun, &log);
            world.until(|| begun.party.is_over());
            assert_eq!(story(&log), way.story([Event::Data(payload.len()), Event::Eof, clean()]));
            assert!(log.bytes() == payload, "bytes were lost, repeated or moved");
        }
    }

    fn x23_the_peers_end_leaves_our_direction_open(world: &World) {
        for way in newest(world) {
            let (log, payload) = (Log::new(), world.payload());
            let begun = world.secure(way, &Setup::default(), Trace::new(&log).keep_open());
            begun.party.say_goodbye();
            world.until(|| {
                begun.party.pump();
                log.count(&Event::Eof) == 1
            });
            world.calm(&begun.party);
            assert!(begun.transport().write(&payload).is_accepted());
            world.until(|| {
                begun.party.pump();
                begun.party.has_heard(payload.len())
            });
            assert!(begun.party.heard() == payload && !log.is_lost() && !begun.party.has_heard_goodbye());
            begun.transport().write_eof();
            until_lost(world, &begun, &log);
            world.until(|| begun.party.is_over());
            assert!(forgets(world) || begun.party.has_heard_goodbye());
            assert_eq!(story(&log), way.story([Event::Eof, clean()]));
        }
    }
}

/// Knows what was agreed upon, and does not hold it.
struct Keeper {
    log: Log,
    info: Rc<RefCell<Weak<TlsInfo>>>,
    _witness: crate::support::Witness,
}

impl Keeper {
    fn look(&self, transport: &Transport) {
        if let Some(info) = transport.tls() {
            *self.info.borrow_mut() = Rc::downgrade(&info);
        }
    }
}

impl Protocol for Keeper {
    fn connection_made(&mut self, transport: &Transport) {
        // Within TLS there is an outer one, which is not meant.
        self.look(transport);
    }

    fn filter_established(&mut self, transport: &Transport) {
        self.look(transport);
    }

    fn data_received(&mut self, _: &Transport, _: &[u8]) {}

    fn connection_lost(&mut self, transport: &Transport, lost: &Lost) {
        assert!(transport.tls().is_some());
        let mut trace = Trace::new(&self.log);
        trace.connection_lost(transport, lost);
    }
}
