//! Filters: connections that have one from their beginning.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use marline_reactor::filter::{self, FilterError};
use marline_reactor::{
    Addresses, ConnectDone, ConnectError, ConnectFactory, Connecting, Endpoint, IntoEndpoint, Protocol,
    Transport,
};

use crate::conformance;
use crate::support::toys::{ANSWER, ASK, Toy, turned};
use crate::support::{Event, Log, Raw, RawListener, Trace, World, is_over};

const KEY: u8 = 0x15;

type Outcomes = Rc<RefCell<Vec<Result<Transport, ConnectError>>>>;

fn factory(protocol: Trace) -> ConnectFactory {
    Box::new(move |_: &Addresses| Some(Box::new(protocol) as Box<dyn Protocol>))
}

fn done(outcomes: &Outcomes) -> ConnectDone {
    let told = Rc::clone(outcomes);
    Box::new(move |outcome| told.borrow_mut().push(outcome))
}

fn connect(world: &World, to: impl IntoEndpoint, toy: Toy, protocol: Trace) -> (Connecting, Outcomes) {
    let outcomes = Outcomes::default();
    let connecting = filter::connect(&world.handle(), to, |_| toy, factory(protocol), done(&outcomes));
    (connecting, outcomes)
}

fn accepted(world: &World, listener: &RawListener) -> Raw {
    let raw = RefCell::new(None);
    world.until(|| {
        let mut place = raw.borrow_mut();
        *place = place.take().or_else(|| listener.accept());
        place.is_some()
    });
    raw.into_inner().expect("a connection")
}

fn is_cancelled(outcomes: &Outcomes) -> bool {
    matches!(&outcomes.borrow()[..], [Err(ConnectError::Cancelled { .. })])
}

conformance! {
    fn connection_made_comes_after_the_handshake_and_the_outcome_after_that(world: &World) {
        let (log, listener) = (Log::new(), world.listen_raw());
        let outcomes = Outcomes::default();
        let seen = Rc::clone(&outcomes);
        let protocol = Trace::new(&log).on(Event::Made, move |transport| {
            assert!(seen.borrow().is_empty());
            transport.write(b"hello");
        });
        let connecting = filter::connect(
            &world.handle(),
            listener.endpoint(),
            |_| Toy::new(KEY).rounds(2),
            factory(protocol),
            done(&outcomes),
        );
        let raw = accepted(world, &listener);
        assert_eq!(world.read(&raw, 1), [ASK]);
        world.settle();
        assert!(connecting.is_pending() && log.all().is_empty());
        world.write(&raw, &[ANSWER]);
        assert_eq!(world.read(&raw, 1), [ASK]);
        world.write(&raw, &[vec![ANSWER], turned(KEY, b"data")].concat());
        world.until(|| log.received() == 4 && !outcomes.borrow().is_empty());
        assert_eq!(world.read(&raw, 5), turned(KEY, b"hello"));
        assert_eq!((log.events(), log.bytes()), (vec![Event::Made], b"data".to_vec()));
        assert!(matches!(&outcomes.borrow()[..], [Ok(_)]));
        assert!(!connecting.is_pending() && !connecting.cancel());
        raw.close();
        world.until(|| log.is_lost());
    }

    fn a_failed_handshake_has_one_callback_and_one_outcome(world: &World) {
        let (log, listener) = (Log::new(), world.listen_raw());
        let toy = Toy::new(KEY).rounds(2);
        let (connecting, outcomes) = connect(world, listener.endpoint(), toy, Trace::new(&log));
        let raw = accepted(world, &listener);
        assert_eq!(world.read(&raw, 1), [ASK]);
        world.write(&raw, b"#");
        assert_eq!(world.read(&raw, 3), b"bad");
        raw.close();
        world.until(|| !outcomes.borrow().is_empty());
        assert_eq!(log.events(), [Event::Lost("Failed".to_owned())]);
        assert!(matches!(&outcomes.borrow()[..], [Err(ConnectError::Lost(_))]), "{outcomes:?}");
        assert!(!connecting.is_pending());
    }

    fn cancelled_at_each_stage(world: &World) {
        let timers = world.handle().stats().timers;
        for stage in 0..4 {
            let (log, listener) = (Log::new(), world.listen_raw());
            let toy = Toy::new(KEY).rounds(2).with(|_, flow| {
                flow.set_deadline(Some(Duration::from_secs(500)));
                Ok(())
            });
            let (connecting, outcomes) = connect(world, listener.endpoint(), toy, Trace::new(&log));
            let raw = if stage > 0 { Some(accepted(world, &listener)) } else { None };
            for _ in 2..=stage {
                let raw = raw.as_ref().expect("a connection");
                assert_eq!(world.read(raw, 1), [ASK]);
                if stage == 3 {
                    world.write(raw, &[ANSWER]);
                }
            }
            assert!(connecting.is_pending() && connecting.cancel());
            assert!(!connecting.is_pending() && !connecting.cancel());
            world.until(|| !outcomes.borrow().is_empty());
            world.settle();
            assert!(is_cancelled(&outcomes), "{stage}: {outcomes:?}");
            assert!(log.all().len() <= 1 && log.count(&Event::Made) == 0, "{:?}", log.all());
            raw.into_iter().for_each(|raw| world.until(|| is_over(&raw)));
            let stats = world.handle().stats();
            assert_eq!((stats.connections, stats.attempts, stats.timers), (0, 0, timers));
        }
    }

    fn c02_the_timeout_is_for_the_handshake_too(world: &World) {
        let (timers, limit) = (world.handle().stats().timers, Duration::from_millis(20));
        let (log, listener) = (Log::new(), world.listen_raw());
        let endpoint = listener.endpoint().into_endpoint().expect("an endpoint").timeout(limit);
        let (connecting, outcomes) = connect(world, endpoint, Toy::new(KEY).rounds(2), Trace::new(&log));
        let raw = accepted(world, &listener);
        world.until(|| !outcomes.borrow().is_empty());
        let told = outcomes.borrow();
        assert!(matches!(&told[..], [Err(ConnectError::TimedOut { after, .. })] if *after == limit), "{told:?}");
        assert!(!connecting.is_pending());
        world.until(|| is_over(&raw) && world.handle().stats().connections == 0);
        assert_eq!((log.count(&Event::Made), world.handle().stats().timers), (0, timers));
    }

    fn an_abort_in_connection_made_leads_to_one_loss_and_one_outcome(world: &World) {
        let (log, listener) = (Log::new(), world.listen_raw());
        let protocol = Trace::new(&log).on(Event::Made, Transport::abort);
        let (_connecting, outcomes) = connect(world, listener.endpoint(), Toy::new(KEY), protocol);
        let _raw = accepted(world, &listener);
        world.until(|| !outcomes.borrow().is_empty() && log.is_lost());
        assert_eq!(log.events(), [Event::Made, Event::Lost("Aborted".to_owned())]);
        assert!(matches!(&outcomes.borrow()[..], [Err(ConnectError::Lost(_))]));
    }

    fn a_factory_that_refuses_makes_no_filter(world: &World) {
        let (listener, outcomes) = (world.listen_raw(), Outcomes::default());
        let none: ConnectFactory = Box::new(|_: &Addresses| None);
        let never = |_: &Addresses| -> Toy { panic!("a filter for nobody") };
        filter::connect(&world.handle(), listener.endpoint(), never, none, done(&outcomes));
        world.until(|| !outcomes.borrow().is_empty());
        world.settle();
        assert!(matches!(&outcomes.borrow()[..], [Err(_)]));
        assert_eq!(world.handle().stats().connections, 0);
    }

    fn a_loop_that_ends_during_the_handshake_tells_the_outcome_once(world: &World) {
        let world = world.fresh();
        let (log, listener) = (Log::new(), world.listen_raw());
        let toy = Toy::new(KEY).rounds(2);
        let (_connecting, outcomes) = connect(&world, listener.endpoint(), toy, Trace::new(&log));
        let _raw = accepted(&world, &listener);
        world.settle();
        world.handle().shutdown();
        world.run();
        assert_eq!(log.events(), [Event::Lost("Shutdown".to_owned())]);
        assert!(matches!(&outcomes.borrow()[..], [Err(_)]), "{outcomes:?}");
    }

    fn a_deadline_of_the_filter_is_the_outcome(world: &World) {
        let (log, listener) = (Log::new(), world.listen_raw());
        let toy = Toy::new(KEY).rounds(2).with(|name, flow| {
            flow.set_deadline(Some(Duration::from_millis(30)));
            if name == "deadline" { Err(FilterError::timeout()) } else { Ok(()) }
        });
        let (_connecting, outcomes) = connect(world, listener.endpoint(), toy, Trace::new(&log));
        let _raw = accepted(world, &listener);
        world.until(|| !outcomes.borrow().is_empty());
        let outcomes = outcomes.borrow();
        let [Err(ConnectError::Lost(lost))] = &outcomes[..] else { panic!("{outcomes:?}") };
        assert!(lost.is_timeout());
    }

    fn listeners_hold_connections_back_until_the_handshake_is_done(world: &World) {
        let log = Log::new();
        let seen = log.clone();
        let made = Box::new(move |_: &Addresses| Some(Box::new(Trace::new(&seen)) as Box<dyn Protocol>));
        let endpoint = Endpoint::from(std::net::SocketAddr::from(([127, 0, 0, 1], 0)));
        let server = filter::listen(&world.handle(), endpoint, |_| Toy::new(KEY).rounds(1), made);
        let server = server.expect("a listener");
        let (good, bad) = (world.connect_raw(&server), world.connect_raw(&server));
        assert_eq!(world.read(&good, 1), [ASK]);
        assert_eq!(world.read(&bad, 1), [ASK]);
        world.write(&bad, b"#");
        world.until(|| is_over(&bad));
        bad.close();
        world.until(|| log.losses() == 1);
        assert_eq!(log.events(), [Event::Lost("Failed".to_owned())]);
        world.write(&good, &[vec![ANSWER], turned(KEY, b"in")].concat());
        world.until(|| log.received() == 2);
        good.finish();
        world.until(|| log.losses() == 2);
        server.stop();
    }
}
