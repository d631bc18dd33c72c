//! R, A: the call that takes the input of a connection, when it runs and what it may do.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use marline_reactor::{Handle, Lost, Protocol, Transport};

use crate::streams;
use crate::support::{World, failures, pattern};

streams! {
    fn a03_a_call_that_is_next_runs_before_what_becomes_ready_later(world: &World) {
        let log = Log::default();
        let (_, raw) = world.accept_one(Sends::new(&log, |log, handle| {
            log.call(handle, Handle::call_next, "next");
            log.call(handle, Handle::call_next, "a second one");
            log.call(handle, soon, "soon");
        }));
        world.write(&raw, b"x");
        world.until(|| log.has("soon") || log.has("data"));
        assert!(log.has("data") || log.all() == ["next", "a second one", "soon"], "{:?}", log.all());
    }

    fn a03_a_call_that_is_next_waits_for_what_is_ready(world: &World) {
        let log = Log::default();
        let (_, raw) = world.accept_one(Sends::new(&log, |log, handle| {
            log.call(handle, soon, "before");
            log.call(handle, Handle::call_next, "next");
            log.call(handle, soon, "after");
        }));
        world.write(&raw, b"x");
        world.until(|| log.has("after") || log.has("data"));
        assert!(log.has("data") || log.all() == ["before", "next", "after"], "{:?}", log.all());
    }

    fn a03_elsewhere_it_is_a_call_like_others(world: &World) {
        let (log, handle) = (Log::default(), world.handle());
        let within = log.clone();
        log.call(&handle, soon, "first");
        log.call(&handle, Handle::call_next, "second");
        handle.call_soon(move || {
            let handle = Handle::current().expect("a loop");
            within.call(&handle, Handle::call_next, "fourth");
            within.push("third");
        });
        world.until(|| log.has("fourth"));
        assert_eq!(log.all(), ["first", "second", "third", "fourth"]);
    }

    fn r07_whatever_a_call_does_comes_to_the_same_next_or_soon(world: &World) {
        let reported = failures(&world.handle());
        for (index, act) in ACTS.into_iter().enumerate() {
            let outcomes = [Handle::call_next, soon].map(|call| {
                let done = Done::default();
                let (transport, raw) = world.accept_one(Acts { act, call, done: done.clone() });
                let sent = Cell::new(0);
                // After a false alarm it may be closed.
                world.until(|| {
                    sent.set(sent.get() + raw.write(&b"the input"[sent.get()..]));
                    done.acted.get() && (sent.get() == 9 || transport.is_closing())
                });
                world.settle();
                if transport.is_closing() {
                    // How much of it came before is the wire's matter.
                    assert!(b"the input".starts_with(&done.bytes.take()));
                } else {
                    // It goes on as if nothing had been.
                    transport.resume_reading();
                    world.write(&raw, b", and more");
                    world.until(|| done.bytes.borrow().ends_with(b"more"));
                    transport.write(b"the end");
                    transport.close();
                }
                world.until(|| {
                    done.answers.borrow_mut().extend(raw.read());
                    raw.is_finished() || raw.is_reset()
                });
                raw.finish();
                world.until(|| done.lost.borrow().is_some());
                (done.bytes.take(), done.answers.take(), done.lost.take(), reported.take().len())
            });
            assert!(outcomes[0] == outcomes[1], "act {index}: {outcomes:?}");
        }
    }

    fn s15_a_protocol_that_panics_after_it_named_a_call_is_lost_and_the_call_runs(world: &World) {
        let (log, lost) = (Log::default(), Rc::new(RefCell::new(None)));
        let (told, kept) = (log.clone(), Rc::clone(&lost));
        let panics = move |handle: &Handle| {
            told.call(handle, Handle::call_next, "next");
            panic!("it does not take it");
        };
        let (_, raw) = world.accept_one(Fails { act: Box::new(panics), lost: kept });
        // After a false alarm it may be closed.
        raw.write(b"x");
        world.until(|| lost.borrow().is_some() && log.has("next"));
        assert_eq!((lost.take().as_deref(), log.all().len()), (Some("Panicked"), 1));
    }

    fn r07_who_names_a_call_and_refuses_gets_the_bytes_first(world: &World) {
        let log = Log::default();
        let (transport, raw) = world.accept_one(Refuses { log: log.clone(), told: false });
        world.write(&raw, b"x");
        world.until(|| log.has("next") && log.has("data"));
        // A false alarm brings nothing.
        assert!(log.all() == ["data", "next"] || world.is_seeded() || world.is_adversarial());
        assert_eq!(transport.try_receive(&mut [0; 8]), None);
    }

    fn w01_what_is_written_in_calls_that_are_next_is_sent_in_order(world: &World) {
        let pieces = Rc::new(Cell::new(0));
        let (count, payload) = (Rc::clone(&pieces), pattern(50_000));
        let echo = Echoes { pieces: count };
        let (_, raw) = world.accept_one(echo);
        let mut read = Vec::new();
        for piece in payload.chunks(5_000) {
            world.write(&raw, piece);
            read.extend(world.read(&raw, piece.len()));
        }
        assert!(read == payload, "the bytes differ");
        assert!(pieces.get() > 0);
    }
}

/// What a call does to a connection. What it takes goes to the others that the protocol got.
type Act = fn(&Transport, &Done);

const ACTS: [Act; 17] = [
    |_, _| {},
    |transport, done| done.take(transport, 64),
    |transport, done| {
        done.take(transport, 3);
        assert!(transport.write(b"answer").is_accepted());
    },
    |transport, done| {
        done.take(transport, 64);
        assert!(transport.write(b"one, ").is_accepted());
        assert!(transport.buffered() >= 5);
        assert!(transport.write(b"two").is_accepted());
    },
    |transport, done| {
        assert!(transport.write(b"before").is_accepted());
        done.take(transport, 4);
        done.take(transport, 64);
        done.take(transport, 64);
    },
    |transport, _| {
        assert!(transport.write(b"first").is_accepted());
        transport.pause_reading();
        assert!(transport.write(b"second").is_accepted());
        transport.resume_reading();
    },
    |transport, done| {
        transport.pause_reading();
        done.take(transport, 64);
    },
    |transport, _| transport.resume_reading(),
    |transport, done| {
        done.take(transport, 64);
        transport.resume_reading();
        assert!(transport.write(pattern(200_000)).is_accepted());
    },
    |transport, done| {
        done.take(transport, 64);
        transport.set_watermarks(1, 2).expect("a lower one is lower");
        assert!(transport.write(b"more than that").is_accepted());
        transport.flush();
    },
    |transport, done| {
        let before = done.bytes.borrow().len();
        done.take(transport, 4);
        let taken = done.bytes.borrow_mut().split_off(before);
        transport.unread(&taken);
    },
    |transport, done| {
        transport.write(b"by the one before");
        let next = Acts { act: |_, _| {}, call: soon, done: done.clone() };
        transport.set_protocol(next, &[]).unwrap_or_else(|_| panic!("it stands"));
        transport.write(b", and after it");
    },
    |transport, done| {
        done.take(transport, 64);
        transport.write(b"last words");
        transport.write_eof();
        transport.close();
    },
    |transport, done| {
        transport.write(b"last words");
        transport.close();
        done.take(transport, 64);
    },
    |transport, done| {
        done.take(transport, 64);
        transport.write(b"never sent");
        transport.abort();
        assert!(!transport.write(b"nor this").is_accepted());
    },
    |transport, done| {
        transport.write(b"sent");
        done.take(transport, 64);
        panic!("it is the call's, and not the protocol's");
    },
    |transport, done| {
        let handle = transport.handle();
        let (transport, done) = (transport.clone(), done.clone());
        handle.call_next(move || done.take(&transport, 64));
    },
];

/// [`Handle::call_next`] or [`soon`].
type Call<F> = fn(&Handle, F);

fn soon<F: FnOnce() + 'static>(handle: &Handle, call: F) {
    handle.call_soon(call);
}

/// What happened, in order. Clones share it.
#[derive(Clone, Default)]
struct Log(Rc<RefCell<Vec<&'static str>>>);

impl Log {
    fn push(&self, what: &'static str) {
        self.0.borrow_mut().push(what);
    }

    fn has(&self, what: &str) -> bool {
        self.0.borrow().contains(&what)
    }

    fn all(&self) -> Vec<&'static str> {
        self.0.borrow().clone()
    }

    fn call(&self, handle: &Handle, call: impl FnOnce(&Handle, Box<dyn FnOnce()>), what: &'static str) {
        let log = self.clone();
        call(handle, Box::new(move || log.push(what)));
    }
}

/// Names calls when it is told of input.
struct Sends<F> {
    log: Log,
    names: F,
}

impl<F: Fn(&Log, &Handle) + 'static> Sends<F> {
    fn new(log: &Log, names: F) -> Self {
        Self { log: log.clone(), names }
    }
}

impl<F: Fn(&Log, &Handle) + 'static> Protocol for Sends<F> {
    fn connection_made(&mut self, transport: &Transport) {
        transport.notify_readable();
    }

    fn readable(&mut self, transport: &Transport) -> bool {
        (self.names)(&self.log, &transport.handle());
        true
    }

    fn data_received(&mut self, _: &Transport, _: &[u8]) {
        self.log.push("data");
    }
}

/// What came of an act. Clones share it.
#[derive(Clone, Default)]
struct Done {
    acted: Rc<Cell<bool>>,
    bytes: Rc<RefCell<Vec<u8>>>,
    answers: Rc<RefCell<Vec<u8>>>,
    lost: Rc<RefCell<Option<String>>>,
}

impl Done {
    fn take(&self, transport: &Transport, room: usize) {
        let mut memory = vec![0; room];
        if let Some(taken) = transport.try_receive(&mut memory) {
            self.bytes.borrow_mut().extend_from_slice(&memory[..taken.count]);
        }
    }
}

/// Acts in a call when there is input for the first time. Later input it gets.
struct Acts {
    act: Act,
    call: Call<Box<dyn FnOnce()>>,
    done: Done,
}

impl Acts {
    fn act(&self, transport: &Transport) -> bool {
        if self.done.acted.get() {
            return false;
        }
        let (act, done, transport) = (self.act, self.done.clone(), transport.clone());
        let handle = transport.handle();
        let call = Box::new(move || {
            if !done.acted.replace(true) {
                act(&transport, &done);
            }
        });
        (self.call)(&handle, call);
        true
    }
}

impl Protocol for Acts {
    fn connection_made(&mut self, transport: &Transport) {
        transport.notify_readable();
    }

    fn readable(&mut self, transport: &Transport) -> bool {
        self.act(transport)
    }

    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        self.done.bytes.borrow_mut().extend_from_slice(data);
        self.act(transport);
    }

    fn connection_lost(&mut self, _: &Transport, lost: &Lost) {
        self.done.lost.replace(Some(reason(lost)));
    }
}

fn reason(lost: &Lost) -> String {
    let text = format!("{:?}", lost.reason());
    text.split(['(', ' ']).next().unwrap_or_default().to_owned()
}

/// Fails when there is input.
struct Fails {
    act: Box<dyn Fn(&Handle)>,
    lost: Rc<RefCell<Option<String>>>,
}

impl Protocol for Fails {
    fn connection_made(&mut self, transport: &Transport) {
        transport.notify_readable();
    }

    fn readable(&mut self, transport: &Transport) -> bool {
        (self.act)(&transport.handle());
        true
    }

    fn data_received(&mut self, transport: &Transport, _: &[u8]) {
        (self.act)(&transport.handle());
    }

    fn connection_lost(&mut self, _: &Transport, lost: &Lost) {
        self.lost.replace(Some(reason(lost)));
    }
}

/// Names a call, and does not take the input itself.
struct Refuses {
    log: Log,
    told: bool,
}

impl Refuses {
    fn name(&mut self, transport: &Transport) {
        if !std::mem::replace(&mut self.told, true) {
            self.log.call(&transport.handle(), Handle::call_next, "next");
        }
    }
}

impl Protocol for Refuses {
    fn connection_made(&mut self, transport: &Transport) {
        transport.notify_readable();
    }

    fn readable(&mut self, transport: &Transport) -> bool {
        self.name(transport);
        false
    }

    fn data_received(&mut self, transport: &Transport, _: &[u8]) {
        self.name(transport);
        self.log.push("data");
    }
}

/// Takes what comes by calls, and sends it back.
struct Echoes {
    pieces: Rc<Cell<usize>>,
}

impl Protocol for Echoes {
    fn connection_made(&mut self, transport: &Transport) {
        transport.notify_readable();
    }

    fn readable(&mut self, transport: &Transport) -> bool {
        let (pieces, echo) = (Rc::clone(&self.pieces), transport.clone());
        transport.handle().call_next(move || {
            let mut memory = [0; 1_000];
            while let Some(taken) = echo.try_receive(&mut memory) {
                pieces.set(pieces.get() + 1);
                assert!(echo.write(&memory[..taken.count]).is_accepted());
                if !taken.more {
                    return;
                }
            }
            echo.resume_reading();
        });
        true
    }

    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        self.pieces.set(self.pieces.get() + 1);
        transport.write(data);
    }
}
