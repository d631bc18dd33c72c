//! T: loops within loops, and several on one thread.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use marline_reactor::{Handle, Reactor, RunError};

use crate::conformance;
use crate::support::{Event, Log, Notes, Trace, World};

/// Notes what came of running a loop.
fn note<T>(notes: &Notes, what: &str, outcome: &Result<T, RunError>) {
    let word = match outcome {
        Ok(_) => "fine",
        Err(error) if error.is_nested() => "nested",
        Err(_) => "another error",
    };
    notes.add(format!("{what}: {word}"));
}

/// A second loop, and the first of a test's world, in reach of callbacks.
struct Both {
    inner: Rc<Reactor>,
    notes: Notes,
}

impl Both {
    fn new() -> Self {
        Self { inner: Rc::new(Reactor::new().expect("a loop")), notes: Notes::new() }
    }
}

fn current() -> Option<marline_reactor::LoopId> {
    Handle::current().ok().map(|handle| handle.loop_id())
}

conformance! {
    fn t23_a_second_loop_cannot_be_run_inside_a_callback(world: &World) {
        let (handle, both) = (world.handle(), Both::new());
        let (inner, notes) = (Rc::clone(&both.inner), both.notes.clone());
        both.inner.handle().call_soon(both.notes.noting("the inner loop's call"));
        handle.call_soon(move || note(&notes, "run", &inner.run()));
        handle.call_soon(both.notes.noting("the outer loop goes on"));
        world.run();
        assert_eq!(both.notes.all(), ["run: nested", "the outer loop goes on"]);
        both.inner.run().expect("a run outside of callbacks");
        assert!(both.notes.has("the inner loop's call"));
    }

    fn t23_nor_inside_a_protocols_callback_or_a_drop(world: &World) {
        struct RunsWhenDropped(Rc<Reactor>, Notes);
        impl Drop for RunsWhenDropped {
            fn drop(&mut self) {
                note(&self.1, "in a drop", &self.0.run());
            }
        }
        let both = Both::new();
        let (inner, notes) = (Rc::clone(&both.inner), both.notes.clone());
        let protocol = Trace::new(&Log::new()).on(Event::Data(0), move |_| note(&notes, "in data", &inner.run()));
        let (_transport, raw) = world.accept_one(protocol);
        raw.write(b"x");
        world.until(|| both.notes.len() == 1);
        let dropped = RunsWhenDropped(Rc::clone(&both.inner), both.notes.clone());
        world.handle().call_soon(move || drop(dropped));
        world.turn();
        assert_eq!(both.notes.all(), ["in data: nested", "in a drop: nested"]);
    }

    fn t23_another_loops_turns_may_be_made_inside_a_callback(world: &World) {
        let (handle, both) = (world.handle(), Both::new());
        let outer_id = handle.loop_id();
        let inner_id = both.inner.handle().loop_id();
        assert_ne!(outer_id, inner_id);
        let (inner, notes) = (Rc::clone(&both.inner), both.notes.clone());
        let outer = handle.clone();
        handle.call_soon(move || {
            assert_eq!(current(), Some(outer_id));
            let (again, seen, back) = (Rc::clone(&inner), notes.clone(), outer.clone());
            inner.handle().call_soon(move || {
                assert_eq!(current(), Some(inner_id));
                note(&seen, "its own turn", &again.turn(Some(Duration::ZERO)));
                note(&seen, "its own run", &again.run());
                // What is scheduled on the outer loop waits for that.
                back.call_soon(seen.noting("the outer loop's call"));
            });
            note(&notes, "turn", &inner.turn(Some(Duration::ZERO)));
            assert_eq!(current(), Some(outer_id), "the inner loop was left");
        });
        world.run();
        let expected = ["its own turn: nested", "its own run: nested", "turn: fine", "the outer loop's call"];
        assert_eq!(both.notes.all(), expected);
        assert_eq!(current(), None);
    }

    fn t23_a_running_loop_cannot_be_turned_by_way_of_another(world: &World) {
        // The outer loop's callback turns the inner one, whose callback wants to turn the outer one.
        let (handle, both) = (world.handle(), Both::new());
        let outer = Rc::new(Reactor::new().expect("a loop"));
        let (inner, turned, notes) = (Rc::clone(&both.inner), Rc::clone(&outer), both.notes.clone());
        outer.handle().call_soon(move || {
            let (seen, back) = (notes.clone(), Rc::clone(&turned));
            inner.handle().call_soon(move || note(&seen, "outer", &back.turn(Some(Duration::ZERO))));
            note(&notes, "inner", &inner.turn(Some(Duration::ZERO)));
        });
        let seen = both.notes.clone();
        let third = Rc::clone(&outer);
        handle.call_soon(move || note(&seen, "third", &third.turn(Some(Duration::ZERO))));
        world.turn();
        assert_eq!(both.notes.all(), ["outer: nested", "inner: fine", "third: fine"]);
    }

    fn t23_several_loops_of_one_thread_keep_apart(world: &World) {
        let (first, second) = (world.handle(), Both::new());
        let other = second.inner.handle();
        let counts = Rc::new([Cell::new(0), Cell::new(0)]);
        for (handle, which) in [(&first, 0), (&other, 1)] {
            let counts = Rc::clone(&counts);
            handle.call_soon(move || counts[which].set(counts[which].get() + 1));
            let id = handle.loop_id();
            assert_eq!(Handle::find(id).map(|found| found.loop_id()), Some(id));
            assert_eq!(handle.remote().local().map(|found| found.loop_id()), Some(id));
            handle.enter(|| assert_eq!(current(), Some(id)));
        }
        world.turn();
        assert_eq!([counts[0].get(), counts[1].get()], [1, 0]);
        // Stopping and ending one leaves the other alone, also from inside of the other's callback.
        let stops = other;
        let Both { inner, notes } = second;
        let ends = Cell::new(Some(inner));
        first.call_soon(move || {
            stops.stop();
            drop(ends.take());
            assert!(stops.is_over() && Handle::find(stops.loop_id()).is_none());
        });
        first.call_soon(notes.noting("goes on"));
        world.run();
        assert_eq!((notes.all(), counts[1].get()), (vec!["goes on".to_owned()], 0));
        assert!(!first.is_over());
    }

    fn t23_a_loop_can_be_entered_while_it_does_not_run(world: &World) {
        let (handle, notes) = (world.handle(), Notes::new());
        assert!(Handle::current().is_err());
        handle.call_soon(notes.noting("ran"));
        // To enter is not to run: it may be run from there.
        handle.enter(|| world.run());
        assert_eq!(notes.all(), ["ran"]);
        assert!(Handle::current().is_err());
    }
}
