//! T: the ready queue, its batches and its budget.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use marline_reactor::Handle;

use crate::conformance;
use crate::support::{Event, Log, Moment, Notes, Trace, World};

/// The bounds of one turn's running of the ready queue.
const BATCHES: usize = 64;
const CALLBACKS: usize = 8192;
const TIME: Duration = Duration::from_millis(10);

type Moments = Rc<RefCell<Vec<(&'static str, Moment)>>>;

fn note(moments: &Moments, handle: &Handle, word: &'static str) {
    moments.borrow_mut().push((word, Moment::now(handle)));
}

fn words(moments: &Moments) -> Vec<&'static str> {
    moments.borrow().iter().map(|(word, _)| *word).collect()
}

fn at(moments: &Moments, word: &str) -> Moment {
    moments.borrow().iter().find(|(other, _)| *other == word).expect("a word that was noted").1
}

/// A callback that schedules itself for ever, and counts.
fn chain(handle: &Handle, count: &Rc<Cell<usize>>, each: &Rc<dyn Fn()>) {
    let (again, count, each) = (handle.clone(), Rc::clone(count), Rc::clone(each));
    handle.call_soon(move || {
        count.set(count.get() + 1);
        each();
        chain(&again, &count, &each);
    });
}

conformance! {
    fn t01_call_soon_is_first_in_first_out_without_the_cancelled(world: &World) {
        let (handle, notes) = (world.handle(), Notes::new());
        let calls: Vec<_> = (0..10).map(|n| handle.call_soon(notes.noting(n.to_string()))).collect();
        assert!(calls[3].is_waiting() && calls[3].cancel() && !calls[3].is_waiting());
        assert!(!calls[3].cancel(), "it was cancelled already");
        // One that is cancelled by a callback before it in the same batch.
        let victim = Rc::new(RefCell::new(None));
        let taken = Rc::clone(&victim);
        handle.call_soon(move || {
            let call: Option<marline_reactor::Call> = taken.take();
            assert!(call.is_some_and(|call| call.cancel()));
        });
        *victim.borrow_mut() = Some(handle.call_soon(notes.noting("cancelled in its batch")));
        handle.call_soon(notes.noting("last"));
        assert_eq!(notes.len(), 0, "nothing runs inside call_soon");
        world.turn();
        assert_eq!(notes.all(), ["0", "1", "2", "4", "5", "6", "7", "8", "9", "last"]);
        assert!(!calls[0].is_waiting() && !calls[0].cancel(), "it has run");
    }

    fn t02_what_an_io_callback_schedules_runs_in_the_same_turn(world: &World) {
        let moments = Moments::default();
        let seen = Rc::clone(&moments);
        let protocol = Trace::new(&Log::new()).on(Event::Data(0), move |transport| {
            let handle = transport.handle();
            note(&seen, &handle, "data");
            let (inner, again) = (Rc::clone(&seen), handle.clone());
            handle.call_soon(move || {
                note(&inner, &again, "soon");
                let (last, handle) = (Rc::clone(&inner), again.clone());
                again.call_soon(move || note(&last, &handle, "soon after"));
            });
            note(&seen, &handle, "data ends");
        });
        let (_transport, raw) = world.accept_one(protocol);
        raw.write(b"x");
        world.until(|| words(&moments).contains(&"soon after"));
        assert_eq!(words(&moments), ["data", "data ends", "soon", "soon after"]);
        assert_eq!(at(&moments, "data").turn, at(&moments, "soon").turn);
        assert_eq!(at(&moments, "soon after").batch, at(&moments, "soon").batch + 1);
    }

    fn t02_what_a_timer_schedules_runs_in_the_same_turn(world: &World) {
        let (handle, moments) = (world.handle(), Moments::default());
        let deadline = handle.now() + Duration::from_millis(1);
        let (seen, again) = (Rc::clone(&moments), handle.clone());
        handle.call_at(deadline, move || {
            note(&seen, &again, "timer");
            let (inner, handle) = (Rc::clone(&seen), again.clone());
            again.call_soon(move || note(&inner, &handle, "soon"));
        });
        let (seen, again) = (Rc::clone(&moments), handle.clone());
        handle.call_at(deadline, move || note(&seen, &again, "equal timer"));
        world.until(|| words(&moments).len() == 3);
        assert_eq!(words(&moments), ["timer", "equal timer", "soon"]);
        let turns: Vec<_> = moments.borrow().iter().map(|(_, moment)| moment.turn).collect();
        assert!(turns.iter().all(|turn| *turn == turns[0]), "{turns:?}");
        assert_eq!(at(&moments, "soon").batch, at(&moments, "timer").batch + 1);
    }

    fn t02_what_the_ready_queue_schedules_runs_in_a_later_batch(world: &World) {
        let (handle, moments) = (world.handle(), Moments::default());
        for (word, child) in [("a", "a's"), ("b", "b's")] {
            let (seen, again) = (Rc::clone(&moments), handle.clone());
            handle.call_soon(move || {
                note(&seen, &again, word);
                let (inner, handle) = (Rc::clone(&seen), again.clone());
                again.call_soon(move || note(&inner, &handle, child));
            });
        }
        world.turn();
        assert_eq!(words(&moments), ["a", "b", "a's", "b's"]);
        let first = at(&moments, "a");
        let second = Moment { batch: first.batch + 1, ..first };
        assert_eq!([at(&moments, "b"), at(&moments, "a's"), at(&moments, "b's")], [first, second, second]);
    }

    fn t02_a_chain_of_callbacks_yields_after_64_batches(world: &World) {
        let (handle, count) = (world.handle(), Rc::new(Cell::new(0)));
        chain(&handle, &count, &(Rc::new(|| {}) as Rc<dyn Fn()>));
        for turn in 1..=5 {
            let (before, ran) = (handle.stats(), count.get());
            // A turn that the machine held up has fewer.
            if world.single_turn() {
                assert_eq!(count.get() - ran, BATCHES);
                assert_eq!(handle.stats().batches - before.batches, BATCHES as u64);
            } else {
                assert!(!world.is_memory() && count.get() - ran <= BATCHES, "turn {turn}");
            }
        }
    }

    fn t02_io_and_timers_are_served_beside_a_chain_that_never_ends(world: &World) {
        let (log, handle) = (Log::new(), world.handle());
        let (_transport, raw) = world.accept_one(Trace::new(&log));
        let (count, hands) = (Rc::new(Cell::new(0)), world.clock());
        // On the virtual clock each callback takes a microsecond.
        let tick = world.is_memory();
        let each = move || if tick { hands.pass(Duration::from_micros(1)) };
        chain(&handle, &count, &(Rc::new(each) as Rc<dyn Fn()>));
        world.turn();
        raw.write(b"x");
        let before = count.get();
        world.until(|| log.received() == 1);
        if world.is_memory() {
            // One turn to notice, and more if chance postponed it.
            let most = (1 + world.most_turns_late().max(1)) * BATCHES;
            assert!(count.get() - before <= most, "{}", count.get() - before);
        }
        let late = Rc::new(Cell::new(None));
        let (told, again) = (Rc::clone(&late), handle.clone());
        let deadline = handle.now() + Duration::from_millis(2);
        handle.call_at(deadline, move || told.set(Some(again.now() - deadline)));
        world.until(|| late.get().is_some());
        if world.is_memory() {
            assert!(late.get() <= Some(Duration::from_micros(BATCHES as u64)), "{late:?}");
        }
    }

    fn t02_a_long_batch_is_cut_after_8192_callbacks_and_goes_on_in_order(world: &World) {
        let (log, handle, order) = (Log::new(), world.handle(), Rc::new(RefCell::new(Vec::new())));
        let (_transport, raw) = world.accept_one(Trace::new(&log));
        world.settle();
        let raw = Rc::new(raw);
        let seen_timer = Rc::new(Cell::new(None));
        for number in 0..20_000 {
            let (order, raw, again, seen) = (Rc::clone(&order), Rc::clone(&raw), handle.clone(), Rc::clone(&seen_timer));
            handle.call_soon(move || {
                order.borrow_mut().push(number);
                if number == 100 {
                    raw.write(b"x");
                    again.call_later(Duration::ZERO, move || seen.set(Some(order.borrow().len())));
                }
            });
        }
        world.single_turn();
        let first = order.borrow().len();
        // On a real clock the time may run out before the count, the more so as a timer is due.
        assert!(first == CALLBACKS || (!world.is_memory() && first < CALLBACKS), "{first} callbacks in one turn");
        if world.is_memory() {
            assert_eq!(first, CALLBACKS);
        }
        let mut received_at = None;
        while seen_timer.get().is_none() {
            world.single_turn();
            let ran = order.borrow().len();
            if log.received() == 1 {
                received_at.get_or_insert(ran);
            }
        }
        assert!(order.borrow().iter().copied().eq(0..20_000));
        let most = (2 + world.most_turns_late()) * CALLBACKS;
        assert!(received_at <= Some(most), "I/O waited for {received_at:?} callbacks");
        assert_eq!(seen_timer.get(), Some(20_000), "a timer comes after what was ready before it was due");
    }

    fn t02_a_batch_of_slow_callbacks_is_cut_after_10_milliseconds(world: &World) {
        let (handle, count, hands) = (world.handle(), Rc::new(Cell::new(0_usize)), world.clock());
        let takes = Duration::from_micros(200);
        for _ in 0..1000 {
            let (count, hands) = (Rc::clone(&count), hands.clone());
            handle.call_soon(move || {
                count.set(count.get() + 1);
                hands.pass(takes);
            });
        }
        world.single_turn();
        // Where callbacks are slow the clock is read before each.
        let most = usize::try_from(TIME.as_micros() / takes.as_micros()).unwrap() + 1;
        assert!(count.get() <= most, "{} callbacks in one turn", count.get());
        assert!(count.get() == most || !world.is_memory(), "{} callbacks in one turn", count.get());
        while count.get() < 1000 {
            world.turn();
        }
    }
}
