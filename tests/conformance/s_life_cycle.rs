//! S: the life cycle of a connection: made once, lost once, and nothing in between on anybody's stack.

use std::cell::{Cell, RefCell};
use std::io::IoSlice;
use std::rc::Rc;
use std::time::Duration;

use marline_reactor::{Addresses, ConnectError, Protocol, Transport};

use crate::support::{Event, Log, Trace, World, collect, flood, skip};
use crate::{conformance, streams};

/// Notes whether a call that the program made is on the stack.
#[derive(Clone, Default)]
struct Stack(Rc<Cell<bool>>);

impl Stack {
    fn call<R>(&self, call: impl FnOnce() -> R) -> R {
        self.0.set(true);
        let answer = call();
        self.0.set(false);
        answer
    }

    #[track_caller]
    fn assert_clear(&self) {
        assert!(!self.0.get(), "a callback ran on the stack of an initiating call");
    }
}

/// Every method of a transport that may lead to a callback, the gentle ones first.
fn call_everything(stack: &Stack, transport: &Transport, successor: impl Protocol) {
    stack.call(|| transport.write(b"x"));
    stack.call(|| transport.write_owned(vec![0; 100]));
    stack.call(|| transport.write_vectored(&[IoSlice::new(b"y"), IoSlice::new(b"z")]));
    stack.call(|| transport.notify_drained());
    stack.call(|| transport.watch_peer());
    stack.call(|| transport.set_watermarks(0, 0)).expect("watermarks");
    stack.call(|| transport.flush());
    stack.call(|| transport.pause_reading());
    stack.call(|| transport.unread(b"again"));
    stack.call(|| transport.resume_reading());
    stack.call(|| transport.set_protocol(successor, b"unread")).expect("a live connection");
    stack.call(|| transport.write_eof());
    stack.call(|| transport.set_close_timeout(Duration::ZERO));
    stack.call(|| transport.close());
    stack.call(|| transport.abort());
    stack.call(|| transport.fail("a failure"));
    stack.call(|| transport.close());
}

/// A trace that objects to being called on the stack of an initiating call.
fn watching(log: &Log, stack: &Stack) -> Trace {
    let stack = stack.clone();
    Trace::new(log).with(move |_, _, _| stack.assert_clear())
}

streams! {
    fn s01_made_once_and_before_everything_else(world: &World) {
        let log = Log::new();
        let seen = log.clone();
        let server = world.listen(move |_| Trace::new(&seen));
        // Bytes and their end are there before anybody accepts.
        let raw = world.connect_raw(&server);
        let payload = world.payload();
        let payload = &payload[..payload.len().min(16 * 1024)];
        assert_eq!(raw.write(payload), payload.len());
        raw.finish();
        world.until(|| log.is_lost());
        assert_eq!(log.all()[0], Event::Made);
        assert_eq!(log.events(), [Event::Made, Event::Eof, Event::Lost("Clean".into())]);
        assert_eq!(log.bytes(), payload);
    }

    fn s01_connection_made_may_write_and_close(world: &World) {
        let log = Log::new();
        let payload = world.payload();
        let sent = payload.clone();
        let (_, raw) = world.accept_one(Trace::new(&log).on(Event::Made, move |transport| {
            assert!(transport.write(&sent).is_accepted());
            transport.close();
        }));
        assert_eq!(collect(world, &raw), payload);
        world.until(|| log.is_lost());
        assert_eq!(log.count(&Event::Made), 1);
        assert_eq!(log.losses(), 1);
        assert_eq!(log.reason().as_deref(), Some("Clean"));
    }

    fn s04_closing_twice_is_lost_once(world: &World) {
        let log = Log::new();
        let payload = world.payload();
        let sent = payload.clone();
        let (transport, raw) = world.accept_one(Trace::new(&log).on(Event::Data(0), move |transport| {
            transport.write(&sent);
            transport.close();
            transport.close();
        }));
        raw.write(b"go");
        world.until(|| transport.is_closing());
        transport.close();
        assert_eq!(collect(world, &raw), payload);
        raw.close();
        world.until(|| log.is_lost());
        transport.close();
        world.settle();
        assert_eq!((log.losses(), log.reason().as_deref()), (1, Some("Clean")));
    }

    fn s10_after_close_nothing_is_received(world: &World) {
        let log = Log::new();
        let protocol = Trace::new(&log).on(Event::Data(0), |transport| transport.close());
        let (_, raw) = world.accept_one(protocol);
        let payload = world.payload();
        raw.write(&payload);
        world.until(|| log.is_lost());
        let data = log.all().iter().filter(|event| matches!(event, Event::Data(_))).count();
        assert_eq!(data, 1);
    }

    fn s10_after_close_from_outside_pending_bytes_are_not_received(world: &World) {
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log));
        transport.pause_reading();
        let payload = world.payload();
        raw.write(&payload);
        world.settle();
        transport.unread(b"given back");
        transport.resume_reading();
        transport.close();
        raw.finish();
        world.until(|| log.is_lost());
        world.settle();
        assert_eq!(log.all(), [Event::Made, Event::Lost("Clean".into())]);
    }
}

/// Offers memory of its own, and closes while it is asked for it.
struct ClosesWhenAsked {
    transport: Option<Transport>,
    asked: Rc<Cell<usize>>,
    filled: Rc<Cell<usize>>,
    lost: Rc<Cell<usize>>,
    memory: [u8; 64],
}

impl Protocol for ClosesWhenAsked {
    fn connection_made(&mut self, transport: &Transport) {
        self.transport = Some(transport.clone());
    }

    fn data_received(&mut self, _: &Transport, _: &[u8]) {
        unreachable!("this protocol offers memory");
    }

    fn receive_buffer(&mut self) -> Option<&mut [u8]> {
        self.asked.set(self.asked.get() + 1);
        self.transport.as_ref().expect("a transport").close();
        Some(&mut self.memory)
    }

    fn buffer_filled(&mut self, _: &Transport, count: usize) {
        self.filled.set(self.filled.get() + count);
    }

    fn connection_lost(&mut self, _: &Transport, _: &marline_reactor::Lost) {
        self.lost.set(self.lost.get() + 1);
    }
}

conformance! {
    fn s10_close_while_asked_for_a_buffer(world: &World) {
        let (asked, filled, lost) = <(Rc<Cell<_>>, Rc<Cell<_>>, Rc<Cell<_>>)>::default();
        let (transport, raw) = world.accept_one(ClosesWhenAsked {
            transport: None,
            asked: Rc::clone(&asked),
            filled: Rc::clone(&filled),
            lost: Rc::clone(&lost),
            memory: [0; 64],
        });
        transport.pause_reading();
        raw.write(b"bytes");
        raw.finish();
        world.settle();
        transport.resume_reading();
        world.until(|| lost.get() > 0);
        assert_eq!((asked.get(), filled.get(), lost.get()), (1, 0, 1));
    }

    fn s03_the_outcome_comes_after_connection_made(world: &World) {
        let listener = world.listen_raw();
        let steps = Rc::new(RefCell::new(Vec::new()));
        let (made, done) = (Rc::clone(&steps), Rc::clone(&steps));
        world.handle().connect(
            listener.endpoint(),
            move |_: &Addresses| {
                Trace::new(&Log::new()).on(Event::Made, move |transport| {
                    transport.write(b"from made");
                    made.borrow_mut().push("made");
                })
            },
            move |outcome| {
                assert!(outcome.expect("a connection").write(b", then done").is_accepted());
                done.borrow_mut().push("done");
            },
        );
        assert!(steps.borrow().is_empty(), "nothing happens during the call");
        world.until(|| steps.borrow().len() == 2);
        assert_eq!(*steps.borrow(), ["made", "done"]);
        let raw = listener.accept().expect("a connection");
        let got = RefCell::new(Vec::new());
        world.until(|| {
            got.borrow_mut().extend(raw.read());
            got.borrow().len() >= 20
        });
        assert_eq!(*got.borrow(), b"from made, then done");
    }

    fn s05_aborting_twice_is_lost_once(world: &World) {
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log).on(Event::Data(0), |transport| {
            transport.abort();
            transport.abort();
        }));
        raw.write(b"go");
        world.until(|| transport.is_closing());
        transport.abort();
        world.until(|| log.is_lost());
        transport.abort();
        world.settle();
        assert_eq!(log.events(), [Event::Made, Event::Lost("Aborted".into())]);
    }

    fn s05_an_abort_that_races_with_a_close_is_lost_once(world: &World) {
        let log = Log::new();
        let (transport, _raw) = world.accept_one(Trace::new(&log));
        flood(world, &transport);
        transport.close();
        world.settle();
        assert!(!log.is_lost(), "the peer has not read");
        transport.abort();
        transport.close();
        world.until(|| log.is_lost());
        world.settle();
        assert_eq!((log.losses(), log.reason().as_deref()), (1, Some("Aborted")));
    }

    fn s05_a_close_that_races_with_the_peers_reset_is_lost_once(world: &World) {
        for abort in [false, true] {
            let log = Log::new();
            let (transport, raw) = world.accept_one(Trace::new(&log));
            transport.write(b"bytes");
            raw.reset();
            transport.close();
            if abort {
                transport.abort();
            }
            world.until(|| log.is_lost());
            world.settle();
            assert_eq!(log.losses(), 1);
        }
    }

    fn s06_s07_nothing_runs_on_the_stack_of_a_transport_method(world: &World) {
        let (log, stack) = (Log::new(), Stack::default());
        let (transport, raw) = world.accept_one(watching(&log, &stack));
        raw.write(b"data");
        call_everything(&stack, &transport, watching(&log, &stack));
        world.until(|| log.is_lost());
        // The old protocol and its successor were made; only the last of them is lost.
        assert_eq!((log.count(&Event::Made), log.losses()), (2, 1));
    }

    fn s06_s07_nor_inside_of_a_callback(world: &World) {
        for at in [Event::Made, Event::Data(0), Event::Eof, Event::Lost(String::new())] {
            let (log, stack) = (Log::new(), Stack::default());
            let (seen, calls) = (log.clone(), stack.clone());
            let wanted = std::mem::discriminant(&at);
            let lost = matches!(at, Event::Lost(_));
            let (_, raw) = world.accept_one(Trace::new(&log).with(move |transport, event, _| {
                calls.assert_clear();
                if std::mem::discriminant(event) != wanted {
                    return;
                }
                if lost {
                    calls.call(|| transport.close());
                    calls.call(|| transport.abort());
                    calls.call(|| transport.fail("too late"));
                } else {
                    call_everything(&calls, transport, watching(&seen, &calls));
                }
            }));
            raw.write(b"data");
            raw.finish();
            world.until(|| log.is_lost());
            world.settle();
            assert_eq!(log.losses(), 1, "at {at:?}");
        }
    }

    fn s07_nor_on_the_stack_of_a_method_of_the_handle(world: &World) {
        let (handle, stack) = (world.handle(), Stack::default());
        let ran = Rc::new(Cell::new(0));
        let callback = || {
            let (stack, ran) = (stack.clone(), Rc::clone(&ran));
            move || {
                stack.assert_clear();
                ran.set(ran.get() + 1);
            }
        };
        let outcome = || {
            let run = callback();
            move |outcome: Result<Transport, ConnectError>| {
                drop(outcome);
                run();
            }
        };
        stack.call(|| handle.call_soon(callback()));
        stack.call(|| handle.call_later(Duration::ZERO, callback()));
        stack.call(|| handle.call_at(handle.now(), callback()));
        let signal = stack.call(|| handle.signal(callback()));
        stack.call(|| signal.raise());
        let server = world.listen(|_| Trace::new(&Log::new()));
        let endpoint = world.endpoint_of(&server);
        stack.call(|| handle.connect(&endpoint, |_: &Addresses| Trace::new(&Log::new()), outcome()));
        let refused = stack.call(|| handle.connect("no endpoint", |_: &Addresses| Trace::new(&Log::new()), outcome()));
        assert!(!refused.is_pending());
        let cancelled = stack.call(|| handle.connect(&endpoint, |_: &Addresses| Trace::new(&Log::new()), outcome()));
        stack.call(|| cancelled.cancel());
        server.on_stopped(callback());
        world.until(|| ran.get() == 7);
        stack.call(|| server.stop());
        stack.call(|| server.on_stopped(callback()));
        world.until(|| ran.get() == 9);
        let told = callback();
        stack.call(|| handle.on_shutdown(marline_reactor::Phase::Before, move |_| told()));
        stack.call(|| handle.shutdown());
        world.run();
        assert_eq!(ran.get(), 10);
    }

    fn s08_abort_inside_the_flow_callbacks_is_not_reentrant(world: &World) {
        for at in [Event::Pause, Event::Resume] {
            let (log, stack) = (Log::new(), Stack::default());
            let (calls, wanted) = (stack.clone(), at.clone());
            let (transport, raw) = world.accept_one(Trace::new(&log).with(move |transport, event, _| {
                calls.assert_clear();
                if *event == wanted {
                    calls.call(|| transport.abort());
                    calls.call(|| transport.write(b"more"));
                }
            }));
            flood(world, &transport);
            world.until(|| {
                let _ = raw.read();
                log.is_lost()
            });
            world.settle();
            assert_eq!((log.count(&at), log.losses(), log.reason().as_deref()), (1, 1, Some("Aborted")));
        }
    }

    fn s09_nothing_is_called_after_connection_lost(world: &World) {
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log));
        flood(world, &transport);
        transport.pause_reading();
        raw.write(b"never received");
        world.settle();
        // Everything that could still come is under way: the flow, the drain, the peer's end, the deadline of closing.
        transport.notify_drained();
        transport.watch_peer();
        transport.close();
        world.settle();
        transport.abort();
        let _ = raw.read();
        raw.finish();
        world.until(|| log.is_lost());
        let events = log.all().len();
        transport.resume_reading();
        transport.notify_drained();
        transport.watch_peer();
        transport.unread(b"unread");
        transport.write(b"more");
        transport.flush();
        world.settle();
        if world.is_memory() {
            world.advance(Duration::from_secs(120));
        }
        assert_eq!(log.all().len(), events, "{:?}", log.all());
        assert_eq!(log.all().last(), Some(&Event::Lost("Aborted".into())));
        assert_eq!(world.handle().stats().timers, 0);
    }

    fn s12_the_socket_is_closed_when_connection_lost_runs(world: &World) {
        let Some(memory) = world.as_memory() else {
            return skip("the count of real descriptors is the process's own: see `descriptors`");
        };
        let (network, inside) = (memory.network().clone(), Rc::new(RefCell::new(Vec::new())));
        let baseline = network.sockets();
        for how in [Transport::close as fn(&Transport), Transport::abort, |t| t.fail("a failure")] {
            let (log, seen, wires) = (Log::new(), Rc::clone(&inside), network.clone());
            let (transport, _raw) = world.accept_one(
                Trace::new(&log).on(Event::Lost(String::new()), move |_| seen.borrow_mut().push(wires.sockets())),
            );
            world.settle();
            assert_eq!(network.sockets(), baseline + 1);
            how(&transport);
            world.until(|| log.is_lost());
        }
        assert_eq!(*inside.borrow(), [baseline; 3]);
        assert_eq!(world.handle().stats().connections, 0);
    }
}
