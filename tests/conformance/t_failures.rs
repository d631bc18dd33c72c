//! T: what callbacks hold, and what happens when they fail.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use marline_reactor::{Failure, Handle};

use crate::conformance;
use crate::support::{Notes, World};

const MOMENT: Duration = Duration::from_millis(1);

/// Notes the message of each failure, and that the place of a panic is in this file.
fn note_failures(handle: &Handle, notes: &Notes) {
    let notes = notes.clone();
    handle.on_failure(move |failure| match failure {
        Failure::Panicked { panic, place } => {
            assert!(place.file().ends_with("t_failures.rs"), "scheduled at {place}");
            notes.add(format!("failed: {}", panic.message()));
        }
        other => notes.add(other.to_string()),
    });
}

conformance! {
    fn t15_a_callback_lets_go_of_what_it_holds_when_it_has_run(world: &World) {
        let (handle, held) = (world.handle(), Rc::new([0_u8; 64]));
        let counts = Rc::new(RefCell::new(Vec::new()));
        let count = |counts: &Rc<RefCell<Vec<usize>>>| {
            let (counts, held) = (Rc::clone(counts), Rc::downgrade(&held));
            move || counts.borrow_mut().push(held.strong_count())
        };
        // A small closure and one that does not fit its place in the queue; both in one batch with those that look.
        let (small, large, padding) = (Rc::clone(&held), Rc::clone(&held), [1_u64; 8]);
        handle.call_soon(move || assert_eq!(small.len(), 64));
        handle.call_soon(count(&counts));
        handle.call_soon(move || assert!(large.len() > padding.len()));
        handle.call_soon(count(&counts));
        world.turn();
        assert_eq!(*counts.borrow(), [2, 1]);

        let timed = Rc::clone(&held);
        let deadline = handle.now() + MOMENT;
        handle.call_at(deadline, move || drop(timed));
        handle.call_at(deadline, count(&counts));
        world.until(|| counts.borrow().len() == 3);
        assert_eq!(counts.borrow()[2], 1);
    }

    fn t15_a_cancelled_callback_lets_go_at_once(world: &World) {
        let (handle, held) = (world.handle(), Rc::new(()));
        let keep = || {
            let held = Rc::clone(&held);
            move || drop(Rc::clone(&held))
        };
        let (soon, later) = (handle.call_soon(keep()), handle.call_later(MOMENT, keep()));
        let every = handle.call_every(MOMENT, keep());
        assert_eq!(Rc::strong_count(&held), 4);
        assert!(soon.cancel());
        assert_eq!(Rc::strong_count(&held), 3);
        assert!(later.cancel());
        assert_eq!(Rc::strong_count(&held), 2);
        assert!(every.cancel());
        assert_eq!(Rc::strong_count(&held), 1);
    }

    fn t15_a_timer_that_is_cancelled_while_due_or_running_lets_go(world: &World) {
        let (handle, held) = (world.handle(), Rc::new(()));
        let deadline = handle.now() + MOMENT;
        // Both are due in one batch; the first cancels the second.
        let victim = Rc::new(RefCell::new(None::<marline_reactor::Timer>));
        let (taken, counted, seen) = (Rc::clone(&victim), Rc::downgrade(&held), Rc::new(Cell::new(0)));
        let told = Rc::clone(&seen);
        handle.call_at(deadline, move || {
            assert!(taken.take().is_some_and(|timer| timer.cancel()));
            told.set(counted.strong_count());
        });
        let kept = Rc::clone(&held);
        *victim.borrow_mut() = Some(handle.call_at(deadline, move || panic!("cancelled {kept:?}")));
        world.until(|| seen.get() > 0);
        assert_eq!(seen.get(), 1);

        // A repeating one that cancels itself keeps what it uses until it returns.
        let itself = Rc::new(RefCell::new(None::<marline_reactor::Timer>));
        let (own, kept, runs) = (Rc::clone(&itself), Rc::clone(&held), Rc::new(Cell::new(0)));
        let counted = Rc::clone(&runs);
        let timer = handle.call_every(MOMENT, move || {
            let cancelled = own.borrow().as_ref().is_some_and(|timer| timer.cancel());
            assert!(cancelled && Rc::strong_count(&kept) == 2);
            counted.set(counted.get() + 1);
        });
        *itself.borrow_mut() = Some(timer.clone());
        world.until(|| runs.get() == 1);
        assert_eq!((Rc::strong_count(&held), timer.deadline()), (1, None));
        world.advance(5 * MOMENT);
        assert_eq!(runs.get(), 1);
        assert_eq!(handle.stats().timers, 0);
    }

    fn t15_a_signal_lets_go_with_its_last_clone(world: &World) {
        let (handle, held) = (world.handle(), Rc::new(()));
        let kept = Rc::clone(&held);
        let signal = handle.signal(move || drop(Rc::clone(&kept)));
        let clone = signal.clone();
        drop(signal);
        world.turn();
        assert_eq!(Rc::strong_count(&held), 2);
        drop(clone);
        world.turn();
        assert_eq!(Rc::strong_count(&held), 1);
    }

    fn t16_a_failing_callback_is_reported_once_and_the_following_run(world: &World) {
        let (handle, notes) = (world.handle(), Notes::new());
        note_failures(&handle, &notes);
        handle.call_soon(notes.noting("before"));
        handle.call_soon(|| panic!("in a call"));
        handle.call_soon(notes.noting("after"));
        // A panic that prints its backtrace takes long enough to use up a turn.
        world.settle();
        assert_eq!(notes.all(), ["before", "failed: in a call", "after"]);
    }

    fn t16_failing_timers_are_reported_and_repeating_ones_go_on(world: &World) {
        let (handle, notes) = (world.handle(), Notes::new());
        note_failures(&handle, &notes);
        let deadline = handle.now() + MOMENT;
        handle.call_at(deadline, || panic!("in a timer"));
        handle.call_at(deadline, notes.noting("the next timer"));
        world.until(|| notes.len() == 2);
        assert_eq!(notes.all(), ["failed: in a timer", "the next timer"]);
    }

    fn t16_what_panics_when_it_is_dropped_is_reported_once(world: &World) {
        struct Bomb(&'static str);
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("{}", self.0);
            }
        }
        let (handle, notes, count) = (world.handle(), Notes::new(), Rc::new(Cell::new(0)));
        let counted = Rc::clone(&count);
        handle.on_failure(move |_| counted.set(counted.get() + 1));
        let (cancelled, ran, timed) = (Bomb("cancelled"), Bomb("ran"), Bomb("timed"));
        let call = handle.call_soon(move || drop(cancelled));
        let timer = handle.call_later(MOMENT, move || drop(timed));
        handle.call_soon(move || drop(ran));
        handle.call_soon(notes.noting("next"));
        assert!(call.cancel() && timer.cancel());
        assert_eq!(count.get(), 2);
        world.turn();
        assert_eq!((count.get(), notes.all()), (3, vec!["next".to_owned()]));
    }

    fn t17_a_failing_handler_of_failures_is_contained(world: &World) {
        let (handle, notes) = (world.handle(), Notes::new());
        let seen = notes.clone();
        handle.on_failure(move |failure| {
            seen.add("told");
            panic!("the handler fails over {failure}");
        });
        for n in 0..3 {
            handle.call_soon(move || panic!("{n}"));
            handle.call_soon(notes.noting(n.to_string()));
        }
        // A panic that prints its backtrace takes long enough to use up a turn.
        world.settle();
        assert_eq!(notes.all(), ["told", "0", "told", "1", "told", "2"]);
    }

    fn t17_a_handler_may_report_and_be_replaced_while_it_runs(world: &World) {
        let (handle, notes) = (world.handle(), Notes::new());
        let (seen, again) = (notes.clone(), handle.clone());
        handle.on_failure(move |failure| {
            seen.add("first handler");
            // Nobody is told of this one: the handler runs already.
            again.report(failure);
            let next = seen.clone();
            again.on_failure(move |_| next.add("second handler"));
        });
        handle.call_soon(|| panic!("one"));
        handle.call_soon(|| panic!("two"));
        // A panic that prints its backtrace takes long enough to use up a turn.
        world.settle();
        assert_eq!(notes.all(), ["first handler", "second handler"]);
    }
}
