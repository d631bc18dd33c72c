//! R, A: the call that takes the input of a connection, when it runs and what it may do.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use marline_reactor::{Handle, Lost, Protocol, Transport};

use crate::streams;
use crate::support::{World, pattern, take_all};

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

    fn a03_a_call_that_is_next_is_part_of_no_batch(world: &World) {
        let batches = Rc::new(RefCell::new(Vec::new()));
        let (_, raw) = world.accept_one(Notes { batches: Rc::clone(&batches) });
        for _ in 0..3 {
            let before = batches.borrow().len();
            world.write(&raw, b"x");
            world.until(|| batches.borrow().len() >= before + 3);
        }
        let batches = batches.borrow();
        let last = &batches[batches.len() - 3..];
        // It is not asked behind filters, nor while it is asked of others by chance.
        if last[0] > 0 && !world.is_adversarial() && !world.is_seeded() {
            assert_eq!((last[1], last[2]), (last[0], last[0] + 1), "{batches:?}");
        }
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

    fn s15_a_protocol_that_panics_after_it_named_a_call_is_lost_and_the_call_runs(world: &World) {
        let (log, lost) = (Log::default(), Rc::new(RefCell::new(None)));
        let (told, kept) = (log.clone(), Rc::clone(&lost));
        let panics = move |handle: &Handle| {
            told.call(handle, Handle::call_next, "next");
            told.call(handle, soon, "soon");
            panic!("it does not take it");
        };
        let (_, raw) = world.accept_one(Fails { act: Box::new(panics), lost: kept });
        // After a false alarm it may be closed.
        raw.write(b"x");
        world.until(|| lost.borrow().is_some() && log.has("soon"));
        assert_eq!((lost.take().as_deref(), log.all()), (Some("Panicked"), vec!["next", "soon"]));
    }

    fn r07_who_names_a_call_and_refuses_gets_the_bytes_first(world: &World) {
        let log = Log::default();
        let (transport, raw) = world.accept_one(Refuses { log: log.clone(), told: false });
        world.write(&raw, b"x");
        world.until(|| log.has("soon") && log.has("data"));
        // A false alarm brings nothing.
        assert!(log.all() == ["data", "next", "soon"] || world.is_seeded() || world.is_adversarial());
        assert_eq!(transport.try_receive(&mut [0; 8]), None);
    }

    fn r07_a_call_that_is_named_after_the_refusal_waits_for_its_turn(world: &World) {
        let log = Log::default();
        let (_, raw) = world.accept_one(NamesLate(log.clone()));
        for round in 1..4 {
            world.write(&raw, b"x");
            world.until(|| log.all().iter().filter(|what| **what == "next").count() >= round);
        }
        assert_eq!(log.all()[..2], ["data", "next"]);
    }

    fn w01_what_a_call_wrote_is_sent_when_it_returns_whatever_else_it_did(world: &World) {
        let sent = Rc::new(Cell::new(None));
        let seen = Rc::clone(&sent);
        let (_, raw) = world.accept_one(Answers { sent: seen });
        // What comes first may have another way.
        for _ in 0..2 {
            world.write(&raw, b"x");
            assert_eq!(world.read(&raw, 20_006).len(), 20_006);
        }
        // Where the system takes all of it at once, none of it waits for what is ready.
        let takes_all = !world.is_memory() && !world.is_completion() && !world.is_adversarial();
        assert!(sent.get().is_none_or(|buffered| !takes_all || buffered == 0), "{sent:?}");
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

/// [`Handle::call_next`] or [`soon`].
pub type Call<F> = fn(&Handle, F);

pub fn soon<F: FnOnce() + 'static>(handle: &Handle, call: F) {
    handle.call_soon(call);
}

/// Takes no input itself, and names a call when it is shown some.
struct NamesLate(Log);

impl Protocol for NamesLate {
    fn connection_made(&mut self, transport: &Transport) {
        transport.notify_readable();
    }

    fn readable(&mut self, _: &Transport) -> bool {
        false
    }

    fn data_received(&mut self, transport: &Transport, _: &[u8]) {
        self.0.push("data");
        self.0.call(&transport.handle(), Handle::call_next, "next");
    }
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

/// Takes what comes by a call. Notes how many batches there were when it is told, in that call and in a later one.
struct Notes {
    batches: Rc<RefCell<Vec<u64>>>,
}

impl Protocol for Notes {
    fn connection_made(&mut self, transport: &Transport) {
        transport.notify_readable();
    }

    fn readable(&mut self, transport: &Transport) -> bool {
        let note =
            |batches: &RefCell<Vec<u64>>, handle: &Handle| batches.borrow_mut().push(handle.stats().batches);
        let (handle, there) = (transport.handle(), transport.clone());
        note(&self.batches, &handle);
        let batches = Rc::clone(&self.batches);
        handle.call_next(move || {
            note(&batches, &there.handle());
            take_all(&there, 64, |_| ());
        });
        let (batches, there) = (Rc::clone(&self.batches), handle.clone());
        handle.call_soon(move || note(&batches, &there));
        true
    }

    fn data_received(&mut self, _: &Transport, _: &[u8]) {
        self.batches.borrow_mut().extend([0; 3]);
    }
}

pub fn reason(lost: &Lost) -> String {
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
            self.log.call(&transport.handle(), soon, "soon");
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

/// Takes what comes by a call, asks after its connection, and answers more than what is copied. Notes how much waits then, when something
/// that was ready before the end of the turn runs.
struct Answers {
    sent: Rc<Cell<Option<usize>>>,
}

impl Protocol for Answers {
    fn connection_made(&mut self, transport: &Transport) {
        transport.notify_readable();
    }

    fn readable(&mut self, transport: &Transport) -> bool {
        let (sent, there) = (Rc::clone(&self.sent), transport.clone());
        transport.handle().call_next(move || {
            take_all(&there, 64, |_| ());
            there.write(b"header");
            assert!(there.buffered() >= 6);
            there.write(pattern(20_000));
            let handle = there.handle();
            handle.call_soon(move || sent.set(Some(there.buffered())));
        });
        true
    }

    fn data_received(&mut self, transport: &Transport, _: &[u8]) {
        transport.write(pattern(20_006));
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
            take_all(&echo, 1_000, |data| {
                pieces.set(pieces.get() + 1);
                assert!(echo.write(data).is_accepted());
            });
        });
        true
    }

    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        self.pieces.set(self.pieces.get() + 1);
        transport.write(data);
    }
}
