//! S: one protocol after another on the same connection.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use marline_reactor::{Lost, OnEof, Protocol, Transport};

use crate::support::{Event, Log, Trace, World, flood, pour};
use crate::{conformance, streams};

/// What happened, in order, with the name of whom it happened to.
type Story = Rc<RefCell<Vec<String>>>;

type Hook = Box<dyn FnMut(&Transport, &str)>;

/// A protocol that tells its story, and gives back what it was made with.
struct Named {
    name: &'static str,
    story: Story,
    rest: Vec<u8>,
    hook: Hook,
}

impl Named {
    fn new(name: &'static str, story: &Story) -> Self {
        Self { name, story: Rc::clone(story), rest: Vec::new(), hook: Box::new(|_, _| {}) }
    }

    fn gives_back(mut self, rest: &[u8]) -> Self {
        self.rest = rest.to_vec();
        self
    }

    /// Calls `hook` in every callback, with the callback's name.
    fn with(mut self, hook: impl FnMut(&Transport, &str) + 'static) -> Self {
        self.hook = Box::new(hook);
        self
    }

    fn tell(&mut self, transport: &Transport, what: &str) {
        self.story.borrow_mut().push(format!("{} {what}", self.name));
        (self.hook)(transport, what.split(' ').next().unwrap_or_default());
    }
}

impl Protocol for Named {
    fn connection_made(&mut self, transport: &Transport) {
        assert!(transport.is_closing() || transport.write(b"").is_accepted());
        self.tell(transport, "made");
    }

    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        self.tell(transport, &format!("data {}", String::from_utf8_lossy(data)));
    }

    fn eof_received(&mut self, transport: &Transport) -> OnEof {
        self.tell(transport, "eof");
        OnEof::KeepOpen
    }

    fn pause_writing(&mut self, transport: &Transport) {
        self.tell(transport, "pause");
    }

    fn resume_writing(&mut self, transport: &Transport) {
        self.tell(transport, "resume");
    }

    fn drained(&mut self, transport: &Transport) {
        self.tell(transport, "drained");
    }

    fn peer_closed(&mut self, transport: &Transport) {
        self.tell(transport, "peer_closed");
    }

    fn connection_lost(&mut self, transport: &Transport, _: &Lost) {
        self.tell(transport, "lost");
    }

    fn replaced(&mut self) -> Vec<u8> {
        self.story.borrow_mut().push(format!("{} replaced", self.name));
        std::mem::take(&mut self.rest)
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        self.story.borrow_mut().push(format!("{} dropped", self.name));
    }
}

/// The story, with neighbouring data joined: how bytes are cut is nobody's promise.
fn joined(story: &Story) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in story.borrow().iter() {
        if let (Some(last), Some((name, data))) = (lines.last_mut(), line.split_once(" data ")) {
            if last.starts_with(&format!("{name} data ")) {
                last.push_str(data);
                continue;
            }
        }
        lines.push(line.clone());
    }
    lines
}

fn has(story: &Story, line: &str) -> bool {
    joined(story).iter().any(|known| known == line)
}

conformance! {
    fn s21_at_once_where_no_callback_runs(world: &World) {
        let story = Story::default();
        let (transport, raw) = world.accept_one(Named::new("old", &story).gives_back(b"given back, "));
        raw.write(b"fresh");
        transport.set_protocol(Named::new("new", &story), b"unread, ").expect("a live connection");
        assert!(!has(&story, "old dropped"), "the loop drops it, and not the call");
        world.until(|| has(&story, "new data given back, unread, fresh"));
        transport.abort();
        world.until(|| has(&story, "new dropped"));
        assert_eq!(
            joined(&story),
            [
                "old made",
                "old replaced",
                "old dropped",
                "new made",
                "new data given back, unread, fresh",
                "new lost",
                "new dropped",
            ]
        );
    }

    fn s21_when_the_running_callback_returns(world: &World) {
        for at in ["made", "data", "eof"] {
            let story = Story::default();
            let next = Rc::clone(&story);
            let (transport, raw) = world.accept_one(Named::new("old", &story).with(move |transport, what| {
                if what == at {
                    let new = Named::new("new", &next);
                    transport.set_protocol(new, b"unread, ").expect("a live connection");
                    next.borrow_mut().push("old goes on".into());
                }
            }));
            raw.write(b"x");
            if at == "made" {
                world.until(|| has(&story, "new data unread, x"));
            } else {
                raw.finish();
                world.until(|| has(&story, "new eof"));
            }
            world.settle();
            let told = joined(&story);
            let from = told.iter().position(|line| line == "old goes on").expect("a hand-over");
            assert_eq!(told[from + 1..from + 4], ["old replaced", "old dropped", "new made"], "{told:?}");
            assert!(told[from + 4].starts_with("new data unread, "), "{told:?}");
            assert!(!told[from + 1..].iter().any(|line| line == "old lost"));
            transport.abort();
            world.until(|| has(&story, "new dropped"));
        }
    }

    fn s21_the_old_one_hears_nothing_after_the_call(world: &World) {
        let story = Story::default();
        let (transport, raw) = world.accept_one(Named::new("old", &story));
        world.settle();
        // Its notices stand in the queue already when it is replaced.
        transport.pause_reading();
        transport.watch_peer();
        raw.finish();
        transport.set_watermarks(0, 1 << 30).expect("watermarks");
        transport.notify_drained();
        transport.set_protocol(Named::new("new", &story), b"").expect("a live connection");
        world.until(|| has(&story, "new made"));
        world.settle();
        let told = joined(&story);
        assert_eq!(told[..3], ["old made", "old replaced", "old dropped"], "{told:?}");
        assert_eq!(told[3], "new made");
    }

    fn s21_nor_does_it_hear_of_the_flow(world: &World) {
        let story = Story::default();
        let (transport, raw) = world.accept_one(Named::new("old", &story));
        flood(world, &transport);
        world.until(|| has(&story, "old pause"));
        transport.set_protocol(Named::new("new", &story), b"").expect("a live connection");
        // The new one knows nothing of the pause, so it is told anew; and of the resume once.
        world.until(|| has(&story, "new pause"));
        world.until(|| {
            let _ = raw.read();
            has(&story, "new resume")
        });
        world.settle();
        assert_eq!(
            joined(&story),
            ["old made", "old pause", "old replaced", "old dropped", "new made", "new pause", "new resume"]
        );
    }

    fn s21_what_is_asked_after_the_call_is_the_new_ones(world: &World) {
        let story = Story::default();
        let (transport, raw) = world.accept_one(Named::new("old", &story));
        world.settle();
        for _ in 0..2 {
            flood(world, &transport);
            // What the old one asked is nobody's question any more, what is asked now is answered once.
            transport.notify_drained();
            transport.set_protocol(Named::new("new", &story), b"").expect("a live connection");
            transport.notify_drained();
            story.borrow_mut().clear();
            world.until(|| {
                let _ = raw.read();
                has(&story, "new drained")
            });
            world.settle();
            let drained = story.borrow().iter().filter(|line| line.ends_with("drained")).count();
            assert_eq!(drained, 1, "{:?}", joined(&story));
        }
    }

    fn s21_the_last_of_several_takes_over(world: &World) {
        let story = Story::default();
        let (transport, _raw) = world.accept_one(Named::new("old", &story));
        transport.set_protocol(Named::new("never", &story), b"one, ").expect("a live connection");
        transport.set_protocol(Named::new("new", &story), b"two").expect("a live connection");
        world.until(|| has(&story, "new data one, two"));
        world.settle();
        let told = joined(&story);
        assert!(!told.iter().any(|line| line == "never made" || line == "never lost"), "{told:?}");
        assert_eq!(told.iter().filter(|line| *line == "never dropped").count(), 1);
    }

    fn s21_connection_made_of_a_successor_may_name_the_next(world: &World) {
        let story = Story::default();
        let (transport, raw) = world.accept_one(Named::new("a", &story));
        let (last, next) = (Rc::clone(&story), Rc::clone(&story));
        let b = Named::new("b", &story).gives_back(b"from b, ").with(move |transport, what| {
            if what == "made" {
                transport.set_protocol(Named::new("c", &last), b"unread, ").expect("a live connection");
            }
        });
        transport.set_protocol(b, b"").expect("a live connection");
        raw.write(b"fresh");
        world.until(|| has(&next, "c data from b, unread, fresh"));
        assert_eq!(
            joined(&story),
            [
                "a made",
                "a replaced",
                "a dropped",
                "b made",
                "b replaced",
                "b dropped",
                "c made",
                "c data from b, unread, fresh",
            ]
        );
    }

    fn s21_a_lost_connection_takes_no_protocol(world: &World) {
        let story = Story::default();
        let late = Rc::clone(&story);
        let refused = Rc::new(Cell::new(0));
        let count = Rc::clone(&refused);
        let (transport, _raw) = world.accept_one(Named::new("old", &story).with(move |transport, what| {
            if what == "lost" {
                let given_back = transport.set_protocol(Named::new("late", &late), b"").expect_err("too late");
                assert_eq!(given_back.into_inner().name, "late");
                count.set(count.get() + 1);
            }
        }));
        transport.abort();
        assert!(transport.set_protocol(Named::new("later", &story), b"").is_err());
        world.until(|| has(&story, "old dropped"));
        assert!(transport.set_protocol(Named::new("latest", &story), b"").is_err());
        world.settle();
        assert_eq!(refused.get(), 1);
        assert!(!joined(&story).iter().any(|line| line.ends_with("made") && line != "old made"));
    }

    fn s21_a_successor_of_a_connection_that_is_lost_meanwhile_is_made_and_lost(world: &World) {
        let story = Story::default();
        let next = Rc::clone(&story);
        let (_, raw) = world.accept_one(Named::new("old", &story).with(move |transport, what| {
            if what == "data" {
                transport.set_protocol(Named::new("new", &next), b"unread").expect("a live connection");
                transport.abort();
            }
        }));
        raw.write(b"x");
        world.until(|| has(&story, "new dropped"));
        assert_eq!(
            joined(&story),
            ["old made", "old data x", "old replaced", "old dropped", "new made", "new lost", "new dropped"]
        );
    }

    fn s21_a_panic_while_giving_back_is_the_reason_of_the_loss(world: &World) {
        /// Panics when it is replaced: the bytes that it held are gone.
        struct Breaks;

        impl Protocol for Breaks {
            fn data_received(&mut self, _: &Transport, _: &[u8]) {}

            fn replaced(&mut self) -> Vec<u8> {
                panic!("what was read is lost");
            }
        }

        let log = Log::new();
        let (transport, _raw) = world.accept_one(Breaks);
        transport.set_protocol(Trace::new(&log), b"unread").expect("a live connection");
        world.until(|| log.is_lost());
        world.settle();
        assert_eq!(log.all(), [Event::Made, Event::Lost("Panicked".into())]);
    }

    fn s21_a_paused_connection_stays_paused(world: &World) {
        let story = Story::default();
        let (transport, raw) = world.accept_one(Named::new("old", &story));
        transport.pause_reading();
        raw.write(b"fresh");
        transport.set_protocol(Named::new("new", &story), b"unread, ").expect("a live connection");
        world.until(|| has(&story, "new made"));
        world.settle();
        assert_eq!(joined(&story).last().map(String::as_str), Some("new made"));
        transport.resume_reading();
        world.until(|| has(&story, "new data unread, fresh"));
    }
}

streams! {
    fn s21_no_byte_is_lost_over_many_hand_overs(world: &World) {
        let log = Log::new();
        let payload = world.payload();
        let log_of_first = log.clone();
        let (_, raw) = world.accept_one(relay(&log_of_first));
        pour(world, &raw, &payload);
        world.until(|| log.received() == payload.len());
        assert!(log.bytes() == payload, "bytes were lost, repeated or moved");
        assert_eq!(log.events(), []);
    }
}

/// Takes half of what comes, and hands the rest to its successor.
fn relay(log: &Log) -> Trace {
    let next = log.clone();
    let halves = Log::new();
    Trace::new(&halves).with(move |transport, event, data| {
        if let Event::Data(count) = event {
            let (taken, rest) = data.split_at(count.div_ceil(2));
            next.take_in(taken);
            transport.set_protocol(relay(&next), rest).expect("a live connection");
        }
    })
}
