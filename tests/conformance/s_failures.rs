//! S: failures of callbacks. Each ends its own connection, is told once, and disturbs nobody else.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use marline_reactor::{Addresses, ConnectError, Failure, Reason, Transport};

use crate::conformance;
use crate::support::{Event, Log, Raw, Trace, World, collect_up_to, flood};

/// How a callback fails.
#[derive(Clone, Copy, Debug)]
enum How {
    Error,
    Panic,
    AbortThenError,
    AbortThenPanic,
    CloseThenPanic,
    ErrorThenPanic,
}

const EVERY: [How; 6] = [
    How::Error,
    How::Panic,
    How::AbortThenError,
    How::AbortThenPanic,
    How::CloseThenPanic,
    How::ErrorThenPanic,
];

impl How {
    fn strike(self, transport: &Transport) {
        match self {
            Self::Error => transport.fail("the first failure"),
            Self::Panic => panic!("the first failure"),
            Self::AbortThenError => {
                transport.abort();
                transport.fail("the first failure");
            }
            Self::AbortThenPanic => {
                transport.abort();
                panic!("the first failure");
            }
            Self::CloseThenPanic => {
                transport.close();
                panic!("the first failure");
            }
            Self::ErrorThenPanic => {
                transport.fail("the first failure");
                panic!("the second failure");
            }
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Self::Error | Self::AbortThenError | Self::ErrorThenPanic => "Failed",
            Self::Panic | Self::AbortThenPanic | Self::CloseThenPanic => "Panicked",
        }
    }
}

/// A connection that has to go on whatever happens to others.
struct Neighbour {
    log: Log,
    raw: Raw,
}

impl Neighbour {
    fn new(world: &World) -> Self {
        let log = Log::new();
        let echo = Trace::new(&log).with(|transport, _, data| {
            transport.write(data);
        });
        let (_, raw) = world.accept_one(echo);
        Self { log, raw }
    }

    #[track_caller]
    fn assert_alive(&self, world: &World) {
        self.raw.write(b"still there?");
        assert_eq!(collect_up_to(world, &self.raw, 12), b"still there?");
        assert_eq!(self.log.events(), [Event::Made]);
    }
}

/// How many failures the loop reports that belong to no connection.
fn reports(world: &World) -> Rc<Cell<usize>> {
    let count = Rc::new(Cell::new(0));
    let told = Rc::clone(&count);
    world.handle().on_failure(move |_: &Failure| told.set(told.get() + 1));
    count
}

/// Lets a callback fail in every way, and looks at what becomes of its connection and of the others.
fn fails_alone(world: &World, at: &Event, provoke: impl Fn(&World, &Transport, &Raw)) {
    let neighbour = Neighbour::new(world);
    let reports = reports(world);
    for how in EVERY {
        let log = Log::new();
        let protocol = Trace::new(&log).on(at.clone(), move |transport| how.strike(transport));
        let (transport, raw) = world.accept_one(protocol);
        provoke(world, &transport, &raw);
        world.until(|| {
            // Whoever waits for room gets it.
            let _ = raw.read();
            log.is_lost()
        });
        world.settle();
        let same = |event: &&Event| std::mem::discriminant(*event) == std::mem::discriminant(at);
        assert_eq!(log.all().iter().filter(same).count(), 1, "{how:?}: {:?}", log.all());
        assert_eq!((log.losses(), log.reason().as_deref()), (1, Some(how.reason())), "{how:?}");
        assert!(log.lost().expect("a loss").to_string().contains("the first failure"), "{how:?}");
        assert!(!transport.write(b"x").is_accepted());
        world.until(|| {
            let _ = raw.read();
            raw.is_reset()
        });
        neighbour.assert_alive(world);
    }
    assert_eq!(
        reports.get(),
        1,
        "the loss tells of the failure, and of none but the second panic somebody else is told"
    );
}

conformance! {
    fn s13_abort_inside_connection_made_is_one_loss_and_an_outcome(world: &World) {
        for how in [Transport::abort as fn(&Transport), |transport| transport.fail("bad"), |_| panic!("bad")] {
            let listener = world.listen_raw();
            let (log, outcomes) = (Log::new(), Rc::new(RefCell::new(Vec::new())));
            let (seen, told) = (log.clone(), Rc::clone(&outcomes));
            let connecting = world.handle().connect(
                listener.endpoint(),
                move |_: &Addresses| Trace::new(&seen).on(Event::Made, how),
                move |outcome| told.borrow_mut().push(outcome),
            );
            world.until(|| log.is_lost() && !outcomes.borrow().is_empty());
            world.settle();
            assert!(!connecting.is_pending());
            assert_eq!((log.count(&Event::Made), log.losses(), log.all().len()), (1, 1, 2));
            let told = outcomes.borrow();
            assert_eq!(told.len(), 1);
            assert!(matches!(told[0], Err(ConnectError::Lost(_))), "{told:?}");
        }
        assert_eq!(world.handle().stats().connections, 0);
    }

    fn s13_abort_inside_connection_made_of_an_accepted_one(world: &World) {
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log).on(Event::Made, Transport::abort));
        world.until(|| log.is_lost());
        world.until(|| raw.is_reset());
        world.settle();
        assert!(transport.is_closing());
        assert_eq!(log.all(), [Event::Made, Event::Lost("Aborted".into())]);
    }

    fn s14_s16_a_failure_in_connection_made_closes_that_connection_only(world: &World) {
        fails_alone(world, &Event::Made, |_, _, raw| {
            raw.write(b"data that nobody gets");
        });
    }

    fn s15_s16_a_failure_in_data_received_is_the_reason(world: &World) {
        fails_alone(world, &Event::Data(0), |_, _, raw| {
            raw.write(b"first");
            raw.write(b"second");
        });
    }

    fn s17_s16_h11_a_failure_in_eof_received_is_fatal_for_that_connection_only(world: &World) {
        fails_alone(world, &Event::Eof, |_, transport, raw| {
            transport.write(b"not flushed, or flushed and reset");
            raw.write(b"data");
            raw.finish();
        });
    }

    fn s18_s16_a_failure_in_pause_writing_is_the_reason(world: &World) {
        fails_alone(world, &Event::Pause, |world, transport, _| {
            flood(world, transport);
        });
    }

    fn s18_s16_a_failure_in_resume_writing_is_the_reason(world: &World) {
        fails_alone(world, &Event::Resume, |world, transport, _| {
            flood(world, transport);
        });
    }

    fn s15_h11_a_failure_in_drained_or_peer_closed_is_the_reason(world: &World) {
        fails_alone(world, &Event::Drained, |_, transport, _| {
            transport.write(b"data");
            transport.notify_drained();
        });
        fails_alone(world, &Event::PeerClosed, |_, transport, raw| {
            transport.pause_reading();
            transport.watch_peer();
            raw.finish();
        });
    }

    fn s15_the_error_that_was_given_is_the_reason(world: &World) {
        let log = Log::new();
        let error = std::io::Error::new(std::io::ErrorKind::InvalidData, "no such command");
        let mut error = Some(error);
        let (_, raw) = world.accept_one(Trace::new(&log).on(Event::Data(0), move |transport| {
            transport.fail(error.take().expect("one failure"));
        }));
        raw.write(b"data");
        world.until(|| log.is_lost());
        let lost = log.lost().expect("a loss");
        let Reason::Failed(given) = lost.reason() else { panic!("another reason: {lost}") };
        let given = given.downcast_ref::<std::io::Error>().expect("the error that was given");
        assert_eq!(given.kind(), std::io::ErrorKind::InvalidData);
        assert!(std::error::Error::source(&lost).is_some());
    }

    fn s15_a_panic_keeps_its_payload(world: &World) {
        let log = Log::new();
        let (_, raw) =
            world.accept_one(Trace::new(&log).on(Event::Data(0), |_| std::panic::panic_any(vec![1, 2, 3])));
        raw.write(b"data");
        world.until(|| log.is_lost());
        let lost = log.lost().expect("a loss");
        let Reason::Panicked(panic) = lost.reason() else { panic!("another reason: {lost}") };
        let payload = panic.take_payload().expect("the payload");
        assert_eq!(payload.downcast_ref(), Some(&vec![1, 2, 3]));
    }

    fn s19_a_failure_in_connection_lost_keeps_nobody_from_theirs(world: &World) {
        let reports = reports(world);
        let logs: Vec<Log> = (0..5).map(|_| Log::new()).collect();
        let transports: Vec<(Transport, Raw)> = logs
            .iter()
            .enumerate()
            .map(|(index, log)| {
                world.accept_one(Trace::new(log).on(Event::Lost(String::new()), move |transport| {
                    transport.fail("too late to be a reason");
                    assert!(index % 2 == 1, "every other one panics");
                }))
            })
            .collect();
        let neighbour = Neighbour::new(world);
        transports.iter().for_each(|(transport, _)| transport.abort());
        world.until(|| logs.iter().all(Log::is_lost));
        world.settle();
        for log in &logs {
            assert_eq!(log.all(), [Event::Made, Event::Lost("Aborted".into())]);
        }
        assert_eq!(reports.get(), 3, "each panic is reported once");
        neighbour.assert_alive(world);
        assert_eq!(world.handle().stats().connections, 1);
    }

    fn s19_nor_does_it_at_shutdown(world: &World) {
        let logs: Vec<Log> = (0..3).map(|_| Log::new()).collect();
        let kept: Vec<_> = logs
            .iter()
            .map(|log| world.accept_one(Trace::new(log).on(Event::Lost(String::new()), |_| panic!("at the end"))))
            .collect();
        world.handle().shutdown();
        world.run();
        for log in &logs {
            assert_eq!(log.all(), [Event::Made, Event::Lost("Shutdown".into())]);
        }
        assert_eq!(kept.len(), 3);
    }

    fn s20_the_protocol_is_told_before_its_server(world: &World) {
        for end in [Transport::close as fn(&Transport), Transport::abort, |transport| transport.fail("bad")] {
            let order = Rc::new(RefCell::new(Vec::new()));
            let made = Rc::new(Cell::new(None));
            let (told, seen) = (Rc::clone(&order), Rc::clone(&made));
            let server = world.listen(move |_| {
                let (told, seen) = (Rc::clone(&told), Rc::clone(&seen));
                Trace::new(&Log::new()).with(move |transport, event, _| match event {
                    Event::Made => seen.set(Some(transport.clone())),
                    Event::Lost(reason) => told.borrow_mut().push(format!("protocol: {reason}")),
                    _ => {}
                })
            });
            let (told, counted) = (Rc::clone(&order), server.clone());
            server.on_lost(move |addresses, lost| {
                assert!(addresses.peer.as_inet().is_some());
                let reason = crate::support::reason_name(lost);
                told.borrow_mut().push(format!("server: {reason}, {} left", counted.connections()));
            });
            let raw = world.connect_raw(&server);
            world.until(|| server.connections() == 1);
            world.settle();
            end(&made.take().expect("a connection"));
            raw.finish();
            world.until(|| order.borrow().len() == 2);
            world.settle();
            let order = order.borrow();
            assert_eq!(order.len(), 2, "{order:?}");
            let reason = order[0].strip_prefix("protocol: ").expect("the protocol comes first");
            assert_eq!(order[1], format!("server: {reason}, 0 left"));
            server.stop();
        }
    }

    fn s14_failures_leave_no_timer_behind(world: &World) {
        let log = Log::new();
        let (transport, _raw) = world.accept_one(Trace::new(&log));
        flood(world, &transport);
        transport.set_close_timeout(Duration::from_secs(3600));
        transport.close();
        world.settle();
        assert_eq!(world.handle().stats().timers, 1, "the deadline of closing");
        transport.fail("bad");
        world.until(|| log.is_lost());
        assert_eq!(log.reason().as_deref(), Some("Failed"));
        assert_eq!(world.handle().stats().timers, 0);
    }
}
