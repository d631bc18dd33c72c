//! T: the order of timers.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use marline_reactor::{Handle, Instant, Timer};

use crate::conformance;
use crate::support::{Event, Log, Moment, Notes, Trace, World};

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

conformance! {
    fn t03_equal_deadlines_run_in_the_order_they_were_set(world: &World) {
        let (handle, notes) = (world.handle(), Notes::new());
        let (first, second) = (handle.now() + ms(2), handle.now() + ms(4));
        let mut expected = Vec::new();
        for n in 0..100 {
            // Every third one belongs to the later deadline.
            let deadline = if n % 3 == 0 { second } else { first };
            handle.call_at(deadline, notes.noting(n.to_string()));
        }
        expected.extend((0..100).filter(|n| n % 3 != 0).map(|n| n.to_string()));
        expected.extend((0..100).filter(|n| n % 3 == 0).map(|n| n.to_string()));
        world.until(|| notes.len() == 100);
        assert_eq!(notes.all(), expected);
    }

    fn t03_a_timer_whose_call_is_exchanged_keeps_its_place(world: &World) {
        let (handle, notes, held) = (world.handle(), Notes::new(), Rc::new(()));
        let deadline = handle.now() + ms(2);
        let others = Rc::new(RefCell::new(Vec::<Timer>::new()));
        let (due, noted) = (Rc::clone(&others), notes.clone());
        let first = handle.call_at(deadline, || unreachable!("it was exchanged"));
        let dropped = Rc::clone(&held);
        // Exchanged while it is far, and while it is due.
        for name in ["while it was far", "while it was due"] {
            let dropped = Rc::clone(&dropped);
            others.borrow_mut().push(handle.call_at(deadline, move || drop(dropped)));
            handle.call_at(deadline, notes.noting(format!("after the one {name}")));
        }
        drop(dropped);
        assert!(first.exchange(move || {
            assert!(due.borrow()[1].exchange(noted.noting("exchanged while it was due")));
            noted.add("exchanged at first");
        }));
        assert!(others.borrow()[0].exchange(notes.noting("exchanged while it was far")));
        assert_eq!((Rc::strong_count(&held), handle.stats().timers), (2, 5), "what was to be called is dropped");
        assert_eq!(first.deadline(), Some(deadline));
        world.until(|| notes.len() == 5);
        let expected = [
            "exchanged at first",
            "exchanged while it was far",
            "after the one while it was far",
            "exchanged while it was due",
            "after the one while it was due",
        ];
        assert_eq!(notes.all(), expected);
        assert_eq!((Rc::strong_count(&held), handle.stats().timers), (1, 0));

        // What has run, was cancelled or repeats takes no other.
        let (cancelled, repeating) = (handle.call_later(ms(2), || ()), handle.call_every(ms(2), || ()));
        assert!(cancelled.cancel());
        for timer in [&first, &cancelled, &repeating] {
            let refused = Rc::clone(&held);
            assert!(!timer.exchange(move || drop(refused)));
            assert_eq!(Rc::strong_count(&held), 1);
        }
        assert!(repeating.cancel());
    }

    fn t04_the_earlier_deadline_runs_first_when_both_are_overdue(world: &World) {
        let (handle, notes) = (world.handle(), Notes::new());
        let now = handle.now();
        handle.call_at(now + ms(3), notes.noting("third"));
        handle.call_at(now + ms(1), notes.noting("first"));
        handle.call_at(now + ms(2), notes.noting("second"));
        world.pass(ms(5));
        world.turn();
        assert_eq!(notes.all(), ["first", "second", "third"]);
    }

    fn t06_a_delay_of_zero_runs_in_a_later_batch(world: &World) {
        let (handle, moments) = (world.handle(), Rc::new(RefCell::new(Vec::new())));
        let (seen, again) = (Rc::clone(&moments), handle.clone());
        handle.call_soon(move || {
            let begun = Moment::now(&again);
            // The second one is due since long: a negative delay.
            for deadline in [again.now(), Instant::ZERO] {
                let (inner, handle) = (Rc::clone(&seen), again.clone());
                again.call_at(deadline, move || inner.borrow_mut().push(Moment::now(&handle)));
            }
            assert!(seen.borrow().is_empty(), "a timer ran inside of call_at");
            seen.borrow_mut().push(begun);
        });
        world.until(|| moments.borrow().len() == 3);
        let moments = moments.borrow();
        assert!(moments[0].batch < moments[1].batch, "{moments:?}");

        let ran = Rc::new(Cell::new(false));
        let told = Rc::clone(&ran);
        handle.call_later(Duration::ZERO, move || told.set(true));
        assert!(!ran.get());
        world.turn();
        assert!(ran.get());
    }

    fn t07_a_zero_delay_that_re_arms_itself_starves_neither_io_nor_stop(world: &World) {
        fn arm(handle: &Handle, count: &Rc<Cell<u64>>) {
            let (again, counted) = (handle.clone(), Rc::clone(count));
            handle.call_later(Duration::ZERO, move || {
                counted.set(counted.get() + 1);
                arm(&again, &counted);
            });
        }
        let (log, count) = (Log::new(), Rc::new(Cell::new(0)));
        let protocol = Trace::new(&log).on(Event::Data(0), |transport| transport.handle().stop());
        let (_transport, raw) = world.accept_one(protocol);
        let before = world.handle().stats().turns;
        arm(&world.handle(), &count);
        raw.write(b"x");
        world.run();
        assert_eq!(log.received(), 1);
        let turns = world.handle().stats().turns - before;
        assert!(count.get() <= turns, "{} runs in {turns} turns", count.get());
        let most = 3 + world.most_turns_late() as u64;
        assert!(!world.is_memory() || turns <= most, "{turns} turns");
    }

    fn t09_very_long_delays_neither_overflow_nor_fire(world: &World) {
        let (handle, fired) = (world.handle(), Rc::new(Cell::new(0)));
        let fire = || {
            let fired = Rc::clone(&fired);
            move || fired.set(fired.get() + 1)
        };
        let timers = [
            handle.call_later(Duration::MAX, fire()),
            handle.call_at(Instant::FAR, fire()),
            handle.call_every(Duration::MAX, fire()),
            handle.call_later(Duration::from_secs(u64::MAX), fire()),
        ];
        assert!(timers.iter().all(|timer| timer.deadline() == Some(Instant::FAR)));
        assert_eq!(world.reactor().next_deadline(), None, "never is no deadline");
        let nearly = Instant::from_nanos(u64::MAX - 1);
        let last = handle.call_at(nearly, fire());
        assert_eq!(world.reactor().next_deadline(), Some(nearly));
        assert!(timers[0].reset(Duration::MAX) && timers[0].deadline() == Some(Instant::FAR));
        let remote = handle.remote();
        let poster = std::thread::spawn(move || remote.post(|| {}).is_ok());
        // The wait is as long as can be said, and ends for the post.
        world.wait(ms(20));
        assert!(poster.join().unwrap());
        let memory_time = if world.is_memory() { Duration::from_secs(86_400 * 365 * 100) } else { ms(5) };
        world.advance(memory_time);
        assert_eq!(fired.get(), 0);
        assert!(last.cancel() && timers.iter().all(Timer::cancel));
        assert_eq!(handle.stats().timers, 0);
    }

    fn t10_resetting_re_orders_sooner_and_later(world: &World) {
        let (handle, notes) = (world.handle(), Notes::new());
        let start = handle.now();
        let at = |delay: u64| start + ms(delay);
        let late = handle.call_at(at(1), notes.noting("later"));
        let soon = handle.call_at(at(500), notes.noting("sooner"));
        handle.call_at(at(3), notes.noting("middle"));
        assert!(late.reset_at(at(5)) && soon.reset_at(at(2)));
        world.until(|| notes.len() == 3);
        assert_eq!(notes.all(), ["sooner", "middle", "later"]);
        assert!(!late.reset(ms(1)), "it has run");

        // Among equal deadlines a reset counts as setting anew.
        let deadline = handle.now() + ms(2);
        let first = handle.call_at(deadline, notes.noting("set first, and reset"));
        handle.call_at(deadline, notes.noting("set second"));
        assert!(first.reset_at(deadline));
        world.until(|| notes.len() == 5);
        assert_eq!(notes.all()[3..], ["set second", "set first, and reset"]);
    }

    fn t10_resetting_from_another_callback_takes_back_what_was_due(world: &World) {
        let (handle, notes) = (world.handle(), Notes::new());
        let deadline = handle.now() + ms(2);
        let others = Rc::new(RefCell::new(Vec::<Timer>::new()));
        let (taken, seen, again) = (Rc::clone(&others), notes.clone(), handle.clone());
        handle.call_at(deadline, move || {
            seen.add("resets");
            let (others, now) = (taken.borrow(), again.now());
            assert!(others[0].reset_at(now + ms(3)), "due in the same batch, later now");
            assert!(others[1].reset_at(now + ms(1)), "far away, sooner now");
        });
        let due = handle.call_at(deadline, notes.noting("was due"));
        let far = handle.call_at(deadline + ms(10_000), notes.noting("was far"));
        *others.borrow_mut() = vec![due, far];
        handle.call_at(deadline, notes.noting("due with it"));
        world.until(|| notes.len() == 4);
        assert_eq!(notes.all(), ["resets", "due with it", "was far", "was due"]);
        world.advance(ms(5));
        assert_eq!(notes.len(), 4, "each ran once");
    }

    fn t10_resetting_inside_its_own_callback(world: &World) {
        let (handle, own) = (world.handle(), Rc::new(RefCell::new(None::<Timer>)));
        let times = Rc::new(RefCell::new(Vec::new()));
        let (this, seen, again) = (Rc::clone(&own), Rc::clone(&times), handle.clone());
        let timer = handle.call_every(ms(2), move || {
            let this = this.borrow();
            let this = this.as_ref().expect("the timer");
            seen.borrow_mut().push(this.deadline().expect("its deadline"));
            if seen.borrow().len() == 1 {
                assert!(this.reset_at(again.now() + ms(7)));
            }
        });
        let first = timer.deadline().expect("a deadline");
        *own.borrow_mut() = Some(timer.clone());
        world.until(|| times.borrow().len() == 3);
        assert!(timer.cancel());
        let times = times.borrow();
        assert_eq!(times[0], first);
        assert!(times[1] >= first + ms(7) && times[2] >= times[1] + ms(2), "{times:?}");
        if world.is_memory() {
            assert_eq!(times[1..], [first + ms(7), first + ms(9)]);
        }

        // A timer that runs once is over when it runs.
        let (this, answer) = (Rc::clone(&own), Rc::new(Cell::new(None)));
        let told = Rc::clone(&answer);
        let once = handle.call_later(ms(1), move || {
            told.set(this.borrow().as_ref().map(|timer| timer.reset(ms(1))));
        });
        *own.borrow_mut() = Some(once);
        world.until(|| answer.get().is_some());
        assert_eq!(answer.get(), Some(false));
    }

    fn t12_thousands_of_cancelled_far_timers_do_not_accumulate(world: &World) {
        let handle = world.handle();
        let held = Rc::new(());
        for _ in 0..20 {
            let timers: Vec<_> = (0..1000_u64)
                .map(|n| {
                    let held = Rc::clone(&held);
                    handle.call_later(Duration::from_secs(3600 + n * 7919 % 1000), move || drop(held))
                })
                .collect();
            assert_eq!(handle.stats().timers, 1000);
            assert!(timers.iter().all(Timer::cancel));
            assert_eq!((handle.stats().timers, Rc::strong_count(&held)), (0, 1));
        }
        assert_eq!(world.reactor().next_deadline(), None);
    }

    fn t18_an_overrun_skips_whole_periods_and_keeps_the_phase(world: &World) {
        let (handle, hands, runs) = (world.handle(), world.clock(), Rc::new(RefCell::new(Vec::new())));
        let period = ms(20);
        let (seen, again, own) = (Rc::clone(&runs), handle.clone(), Rc::new(RefCell::new(None::<Timer>)));
        let this = Rc::clone(&own);
        let timer = handle.call_every(period, move || {
            let due = this.borrow().as_ref().and_then(Timer::deadline).expect("its deadline");
            seen.borrow_mut().push((due, again.now()));
            if seen.borrow().len() == 1 {
                // Overruns two and a half periods.
                hands.pass(ms(50));
            }
        });
        let first = timer.deadline().expect("a deadline");
        *own.borrow_mut() = Some(timer.clone());
        world.until(|| runs.borrow().len() == 3);
        // The loop itself comes late now, by some periods.
        world.pass(ms(70));
        world.until(|| runs.borrow().len() == 5);
        assert!(timer.cancel());
        for (due, ran) in runs.borrow().iter() {
            assert!(due <= ran, "it never comes early");
            assert_eq!((*due - first).as_nanos() % period.as_nanos(), 0, "it keeps its phase");
        }
        let skipped: Vec<_> = runs.borrow().windows(2).map(|two| (two[1].0 - two[0].0).as_millis()).collect();
        assert!(skipped[0] >= 60, "the periods it overran are skipped: {skipped:?}");
        if world.is_memory() {
            assert_eq!(skipped, [60, 20, 20, 60]);
        }
    }

    fn t19_a_repeating_timer_fires_at_most_once_a_turn(world: &World) {
        let (handle, counts) = (world.handle(), Rc::new([Cell::new(0_u64), Cell::new(0)]));
        let timers = [Duration::ZERO, Duration::from_nanos(10)].into_iter().zip(0..).map(|(period, n)| {
            let counts: Rc<[Cell<u64>; 2]> = Rc::clone(&counts);
            handle.call_every(period, move || counts[n].set(counts[n].get() + 1))
        });
        let timers: Vec<_> = timers.collect();
        let before = handle.stats().turns;
        for _ in 0..10 {
            world.pass(ms(1));
            world.turn();
            // On a machine that is slow just now that was more than one.
            let turns = handle.stats().turns - before;
            assert_eq!([counts[0].get(), counts[1].get()], [turns, turns]);
        }
        assert!(timers.iter().all(Timer::cancel));
    }
}
