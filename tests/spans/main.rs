//! What a subscriber of `tracing` sees of tasks, in the form that `tokio-console` reads: `cargo test -p marline-tests --features
//! tracing --test spans`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use marline_reactor::testing::MemoryReactor;
use marline_tasks::task::Builder;
use marline_tasks::{sleep, spawn, spawn_on, yield_now};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// The fields of a span or an event, as text.
#[derive(Clone, Debug, Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

impl Fields {
    fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }
}

/// What was seen of one task.
#[derive(Clone, Debug, Default)]
struct Task {
    id: u64,
    fields: Fields,
    polls: usize,
    closed: bool,
    /// What was done with its wakers, in order; `+` and `-` for clones and drops.
    wakers: Vec<&'static str>,
}

impl Task {
    fn count(&self, op: &str) -> usize {
        self.wakers.iter().filter(|other| **other == op).count()
    }
}

#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<Task>>>);

impl Seen {
    /// Looks at what happens during a call.
    fn during(call: impl FnOnce(&Self)) {
        let seen = Self::default();
        let subscriber = tracing_subscriber::registry().with(seen.clone());
        tracing::subscriber::with_default(subscriber, || call(&seen));
    }

    fn tasks(&self) -> Vec<Task> {
        self.0.lock().unwrap().clone()
    }

    #[track_caller]
    fn named(&self, name: &str) -> Task {
        let found = self.tasks().into_iter().find(|task| task.fields.get("task.name") == name);
        found.unwrap_or_else(|| panic!("no task {name:?}: {:?}", self.tasks()))
    }

    fn change(&self, id: u64, change: impl FnOnce(&mut Task)) {
        // The last of this number: those of spans that are closed are used again.
        self.0.lock().unwrap().iter_mut().rev().find(|task| task.id == id).map(change);
    }
}

impl<S: Subscriber> Layer<S> for Seen {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, _: Context<'_, S>) {
        let metadata = attributes.metadata();
        if (metadata.target(), metadata.name()) == ("tokio::task", "runtime.spawn") {
            assert!(attributes.is_root(), "a task belongs to none of the spans it was started in");
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            self.0.lock().unwrap().push(Task { id: id.into_u64(), fields, ..Task::default() });
        }
    }

    fn on_enter(&self, id: &Id, _: Context<'_, S>) {
        self.change(id.into_u64(), |task| task.polls += 1);
    }

    fn on_close(&self, id: Id, _: Context<'_, S>) {
        self.change(id.into_u64(), |task| task.closed = true);
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "tokio::task::waker" {
            let mut fields = Fields::default();
            event.record(&mut fields);
            let op = match fields.get("op") {
                "waker.wake" => "wake",
                "waker.wake_by_ref" => "wake_by_ref",
                "waker.clone" => "+",
                "waker.drop" => "-",
                other => panic!("{other}"),
            };
            let id = fields.get("task.id").parse().expect("the number of a span");
            self.change(id, |task| task.wakers.push(op));
        }
    }
}

/// A future that leaves its waker to the test, and is ready at the third poll.
fn leaving(wakers: &Rc<RefCell<Vec<Waker>>>, clones: usize) -> impl Future<Output = ()> + 'static {
    let (wakers, mut polls) = (Rc::clone(wakers), 0);
    poll_fn(move |context| {
        polls += 1;
        wakers.borrow_mut().extend((0..clones).map(|_| context.waker().clone()));
        if polls == 3 { Poll::Ready(()) } else { Poll::Pending }
    })
}

#[test]
fn a_task_is_a_span_with_its_name_its_number_and_the_place_that_started_it() {
    Seen::during(|seen| {
        let memory = MemoryReactor::new();
        let handle = memory.handle();
        let line = line!() + 1;
        let first = Builder::new().name("first").spawn_on(&handle, async { spawn(async {}).await });
        let id = first.id().expect("a number").to_string();
        memory.pump();
        let task = seen.named("first");
        let expected =
            [("kind", "local"), ("task.id", &id), ("loc.file", file!()), ("loc.line", &line.to_string())];
        for (field, value) in expected {
            assert_eq!(task.fields.get(field), value, "{field}");
        }
        assert_ne!(task.fields.get("loc.col"), "");
        let unnamed = seen.tasks().into_iter().find(|task| !task.fields.0.contains_key("task.name"));
        assert_eq!(unnamed.expect("the inner task").polls, 1);
        assert_eq!(seen.tasks().len(), 2);
    });
}

#[test]
fn the_span_is_entered_once_a_poll_and_closes_with_the_task() {
    Seen::during(|seen| {
        let memory = MemoryReactor::new();
        let task = Builder::new().name("yields").spawn_on(&memory.handle(), async {
            yield_now().await;
            yield_now().await;
            sleep(Duration::from_millis(1)).await;
        });
        assert_eq!((seen.named("yields").polls, seen.named("yields").closed), (0, false));
        memory.pump();
        assert_eq!((seen.named("yields").polls, seen.named("yields").closed), (3, false));
        memory.advance(Duration::from_millis(1));
        let end = seen.named("yields");
        assert_eq!((end.polls, end.closed, task.is_finished()), (4, true, true));
        assert_eq!((end.count("wake_by_ref"), end.count("wake")), (2, 1), "{end:?}");
        assert_eq!((end.count("+"), end.count("-")), (1, 0), "the sleep's waker ends with its wake: {end:?}");
    });
}

#[test]
fn clones_drops_and_wakes_of_wakers_are_told() {
    Seen::during(|seen| {
        let memory = MemoryReactor::new();
        let wakers = Rc::default();
        drop(Builder::new().name("leaving").spawn_on(&memory.handle(), leaving(&wakers, 2)));
        memory.pump();
        assert_eq!(seen.named("leaving").wakers, ["+", "+"]);
        wakers.borrow()[0].wake_by_ref();
        memory.pump();
        assert_eq!(seen.named("leaving").wakers, ["+", "+", "wake_by_ref", "+", "+"]);
        let last = wakers.borrow_mut().pop().expect("a waker");
        drop(wakers.borrow_mut().pop());
        last.wake();
        memory.pump();
        let end = seen.named("leaving");
        // The third poll cloned two: with the two that are gone, one of them by its wake, that makes one more in all.
        assert_eq!(end.wakers[5..], ["wake", "+"], "{end:?}");
        assert!(end.closed && end.polls == 3);
        assert_eq!(wakers.borrow().len(), 4);
        wakers.borrow().iter().for_each(Waker::wake_by_ref);
        drop(memory);
        assert_eq!(seen.named("leaving").polls, 3);
    });
}

#[test]
fn the_same_waker_is_known_again_at_the_next_poll() {
    Seen::during(|_| {
        let memory = MemoryReactor::new();
        let wakers = Rc::default();
        let _task = spawn_on(&memory.handle(), leaving(&wakers, 1));
        memory.pump();
        wakers.borrow()[0].wake_by_ref();
        memory.pump();
        assert!(
            wakers.borrow()[0].will_wake(&wakers.borrow()[1]),
            "futures that keep a waker need no new one"
        );
    });
}

#[test]
fn wakes_from_another_thread_are_told_there() {
    Seen::during(|seen| {
        let memory = MemoryReactor::new();
        let wakers = Rc::default();
        drop(Builder::new().name("leaving").spawn_on(&memory.handle(), leaving(&wakers, 1)));
        memory.pump();
        let waker = wakers.borrow_mut().pop().expect("a waker");
        let dispatch = tracing::dispatcher::get_default(Clone::clone);
        let thread =
            std::thread::spawn(move || tracing::dispatcher::with_default(&dispatch, || waker.wake()));
        thread.join().expect("no panic");
        memory.pump();
        let task = seen.named("leaving");
        assert_eq!((task.polls, task.wakers), (2, vec!["+", "wake", "+"]));
    });
}

#[test]
fn a_task_that_is_aborted_closes_its_span() {
    Seen::during(|seen| {
        let memory = MemoryReactor::new();
        let task = Builder::new().name("idle").spawn_on(&memory.handle(), std::future::pending::<()>());
        memory.pump();
        task.abort();
        memory.pump();
        assert!(seen.named("idle").closed);
        assert_eq!(seen.named("idle").polls, 1);
        drop(Builder::new().name("left").spawn_on(&memory.handle(), std::future::pending::<()>()));
        memory.pump();
        assert!(!seen.named("left").closed);
        drop(memory);
        assert!(seen.named("left").closed, "the end of the loop ends it");
    });
}

#[test]
fn without_a_subscriber_tasks_run_as_ever() {
    let memory = MemoryReactor::new();
    let task = spawn_on(&memory.handle(), async {
        yield_now().await;
        7
    });
    memory.pump();
    assert!(task.is_finished());
}
