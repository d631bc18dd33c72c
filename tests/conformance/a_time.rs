//! A: limits, sleeps and intervals.

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use marline_reactor::{Handle, Instant};
use marline_tasks::{
    Elapsed, Interval, MissedTicks, deferred, interval, settle, sleep, sleep_until, spawn, timeout,
    timeout_at,
};

use crate::conformance;
use crate::support::{Probe, World, skip};

const MS: Duration = Duration::from_millis(1);
const NS: Duration = Duration::from_nanos(1);

type Inner = Pin<Box<dyn Future<Output = u8>>>;
type MakeInner = fn(&Handle, Instant) -> Inner;

conformance! {
    fn a14_the_inner_future_is_dropped_at_the_deadline(world: &World) {
        let (probe, handle) = (Probe::new(), world.handle());
        let inner = probe.future();
        let begun = handle.now();
        let task = world.spawn(async move {
            let outcome = timeout(3 * MS, inner).await;
            (outcome, probe.polls(), probe.drops(), handle.now() - begun)
        });
        let (outcome, polls, drops, took) = world.join(task);
        assert!(outcome.is_err() && polls >= 1 && drops == 1, "dropped before the caller knows");
        assert!(took >= 3 * MS);
        assert!(!world.is_memory() || took == 3 * MS);
    }

    fn a14_and_not_before_it(world: &World) {
        let Some(memory) = world.as_memory() else {
            return skip("only a clock that the test moves stops just before the deadline");
        };
        let probe = Probe::new();
        let inner = probe.future();
        let task = world.spawn(async move { timeout(3 * MS, inner).await });
        world.settle();
        memory.advance(3 * MS - NS);
        assert!(!task.is_finished() && probe.drops() == 0);
        memory.advance(NS);
        assert!(task.is_finished() && probe.drops() == 1);
    }

    fn a14_what_is_ready_at_the_deadline_wins(world: &World) {
        let inners: [MakeInner; 6] = [
            |_, deadline| Box::pin(async move { sleep_until(deadline).await; 1 }),
            |_, deadline| {
                Box::pin(async move {
                    sleep(MS).await;
                    sleep_until(deadline).await;
                    2
                })
            },
            |handle, deadline| {
                let (resolver, answer) = deferred();
                handle.call_at(deadline, move || _ = resolver.resolve(3));
                Box::pin(async move { answer.await.expect("a value") })
            },
            |handle, deadline| {
                let handle = handle.clone();
                Box::pin(async move {
                    sleep(MS).await;
                    // The time limit's own timer was set before this one.
                    let (resolver, answer) = deferred();
                    handle.call_at(deadline, move || _ = resolver.resolve(4));
                    answer.await.expect("a value")
                })
            },
            |_, deadline| {
                Box::pin(async move {
                    spawn(async {});
                    let inner = timeout_at(deadline, sleep_until(deadline)).await;
                    inner.map_or(0, |()| 5)
                })
            },
            |_, deadline| {
                Box::pin(async move {
                    let mut ticks = interval(4 * MS);
                    let tick = ticks.tick().await;
                    if tick == deadline { 6 } else { 0 }
                })
            },
        ];
        for (index, inner) in (1..).zip(inners) {
            let handle = world.handle();
            let task = world.finish(async move {
                let deadline = handle.now() + 4 * MS;
                let inner = inner(&handle, deadline);
                timeout_at(deadline, inner).await
            });
            // On a clock that goes on by itself the interval begins after the deadline was taken, a sleep may last until
            // after it, and the timer may be due before anybody waits.
            let may_miss = [2, 3, 4, 6].contains(&index) && !world.is_memory();
            assert!(task == Ok(index) || may_miss, "{index}: {task:?}");
        }
    }

    fn a14_bytes_that_arrive_at_the_deadline_win_or_wait_for_the_next_read(world: &World) {
        let (stream, raw) = world.stream();
        let limit = 40 * MS;
        let (deadline, in_time) = (Rc::new(Cell::new(None)), Rc::new(Cell::new(false)));
        let (set, handle) = (Rc::clone(&deadline), world.handle());
        let task = world.spawn(async move {
            let mut buffer = [0; 8];
            set.set(Some(handle.now() + limit));
            let first = timeout(limit, stream.read(&mut buffer)).await.map(|count| count.expect("bytes"));
            let next = match first {
                Ok(count) => count,
                Err(_) => stream.read(&mut buffer).await.expect("bytes"),
            };
            (first, buffer[..next].to_vec(), stream)
        });
        world.until(|| deadline.get().is_some());
        let clock = world.as_memory().map(|memory| memory.clock().clone());
        // The bytes and the moment are found in the same look.
        let (handle, set, kept) = (world.handle(), Rc::clone(&in_time), Rc::new(Cell::new(None)));
        let _kept = Rc::clone(&kept);
        world.handle().call_soon(move || {
            raw.write(b"just");
            set.set(deadline.get() > Some(handle.now()));
            match clock {
                Some(clock) => clock.advance(limit),
                None => std::thread::sleep(limit),
            }
            kept.set(Some(raw));
        });
        let (first, bytes, _stream) = world.join(task);
        assert!(b"just".starts_with(&bytes) && !bytes.is_empty(), "{bytes:?}");
        // Chance may put the bytes off, and so may a machine that was busy until the deadline.
        assert!(first.is_ok() || world.is_seeded() || !in_time.get());
    }

    fn a14_limits_of_no_time_and_of_all_time(world: &World) {
        let outcomes: [Result<u8, Elapsed>; 4] = world.finish(async {
            [
                timeout(Duration::ZERO, ready(1)).await,
                timeout(Duration::ZERO, pending()).await,
                timeout(Duration::MAX, async { sleep(MS).await; 3 }).await,
                timeout_at(Instant::ZERO, ready(4)).await,
            ]
        });
        assert_eq!(outcomes.map(Result::ok), [Some(1), None, Some(3), Some(4)]);
        assert_eq!(world.handle().stats().timers, 0, "no timer is left");
    }

    fn a22_sleep_never_ends_early(world: &World) {
        let handle = world.handle();
        for delay in [Duration::ZERO, NS, 100_000 * NS, MS, 2 * MS + 500_000 * NS, 11 * MS] {
            let handle = handle.clone();
            let (real, begun) = (std::time::Instant::now(), handle.now());
            let took = world.finish(async move {
                sleep(delay).await;
                handle.now() - begun
            });
            assert!(took >= delay, "{took:?} instead of {delay:?}");
            assert!(world.is_memory() || real.elapsed() >= delay);
            assert!(!world.is_memory() || took == delay);
        }
        let Some(memory) = world.as_memory() else { return };
        let until = handle.now() + 5 * MS;
        let task = world.spawn(async move { sleep_until(until).await });
        memory.advance(5 * MS - NS);
        assert!(!task.is_finished());
        memory.advance(NS);
        assert!(task.is_finished());
    }

    fn a22_a_sleep_counts_from_its_making_and_can_be_reset(world: &World) {
        let handle = world.handle();
        let (begun, nap) = handle.enter(|| (handle.now(), sleep(4 * MS)));
        world.advance(2 * MS);
        let clock = handle.clone();
        let took = world.finish(async move {
            nap.await;
            clock.now() - begun
        });
        assert!(took >= 4 * MS && (took == 4 * MS || !world.is_memory()), "{took:?}");
        let took = world.finish(async move {
            let mut nap = sleep(Duration::from_secs(3600));
            let begun = handle.now();
            // Registered, then sooner, then later, then over, then again.
            let polled = poll_fn(|context| std::task::Poll::Ready(Pin::new(&mut nap).poll(context))).await;
            assert!(polled.is_pending());
            nap.reset(begun + MS);
            nap.reset(begun + 3 * MS);
            assert_eq!(nap.deadline(), begun + 3 * MS);
            (&mut nap).await;
            let first = handle.now() - begun;
            nap.reset(begun + 6 * MS);
            nap.await;
            [first, handle.now() - begun]
        });
        assert!(took[0] >= 3 * MS && took[1] >= 6 * MS, "{took:?}");
        assert!(!world.is_memory() || took == [3 * MS, 6 * MS]);
    }

    fn a22_a_sleep_that_is_polled_late_is_over_at_once_and_one_that_was_just_made_is_not(world: &World) {
        let hands = world.clock();
        let task = world.spawn(async move {
            let (late, mut fresh) = (sleep(MS), sleep(3 * MS));
            hands.pass(4 * MS);
            let is_fresh = poll_once(&mut fresh).is_pending();
            fresh.await;
            (poll_once(late).is_ready(), is_fresh)
        });
        assert_eq!(world.join(task), (true, true));
    }

    fn a22_what_is_made_before_the_loop_begins_with_it(world: &World) {
        // As the arguments of `run` are. Time goes by before anybody polls them.
        let sleeping = sleep(3 * MS);
        let limited = timeout(3 * MS, pending::<()>());
        let mut ticking = interval(3 * MS);
        assert_eq!(sleeping.deadline(), Instant::FAR);
        let mut reset = sleep(MS);
        world.advance(10 * MS);
        let handle = world.handle();
        let begun = handle.now();
        reset.reset(begun + 3 * MS);
        let timed = handle.clone();
        let task = world.spawn(async move {
            let (elapsed, (), (), tick) = settle!(limited, sleeping, reset, ticking.tick()).await;
            (elapsed.is_err(), tick - begun, ticking.tick().await - tick, timed.now() - begun)
        });
        let (elapsed, tick, next, took) = world.join(task);
        assert!(elapsed && tick >= 3 * MS && took >= tick + next && next >= 3 * MS);
        assert!(!world.is_memory() || (tick, next, took) == (3 * MS, 3 * MS, 6 * MS));
        assert_eq!(handle.stats().timers, 0);
    }

    fn a22_missed_ticks_are_skipped_made_up_for_or_delayed(world: &World) {
        let policies: [(MissedTicks, [u32; 5]); 3] = [
            (MissedTicks::Skip, [10, 20, 50, 60, 70]),
            (MissedTicks::Burst, [10, 20, 30, 40, 50]),
            (MissedTicks::Delay, [10, 20, 57, 67, 77]),
        ];
        let Some(memory) = world.as_memory() else {
            return skip("only a clock that the test moves comes late by a known time");
        };
        assert_eq!(MissedTicks::default(), MissedTicks::Skip);
        for (policy, expected) in policies {
            let handle = world.handle();
            let start = handle.now();
            let ticks = Ticks::new(handle.enter(|| interval(10 * MS)).missed(policy));
            assert_eq!(ticks.next(world), start + 10 * MS);
            // Nobody waits until seven milliseconds after the fourth.
            memory.advance(37 * MS);
            for tick in &expected[1..] {
                assert_eq!(ticks.next(world), start + *tick * MS, "{policy:?}");
            }
            // One comes at once, the others at their time.
            let last = handle.now() - start;
            let expected = if policy == MissedTicks::Burst { 50 * MS } else { expected[4] * MS };
            assert_eq!(last, expected, "{policy:?}");
        }
    }

    fn a22_however_many_ticks_were_missed(world: &World) {
        let Some(memory) = world.as_memory() else {
            return skip("only a clock that the test moves comes late by a known time");
        };
        let handle = world.handle();
        let ticks = Ticks::new(handle.enter(|| interval(NS)));
        let start = handle.now();
        assert_eq!(ticks.next(world), start + NS);
        memory.advance(Duration::from_secs(3600));
        assert_eq!(ticks.next(world), start + 2 * NS);
        assert_eq!(ticks.next(world), start + Duration::from_secs(3600) + 2 * NS);
        // A tick that is due just now has come while nobody waited, too.
        let ticks = Ticks::new(handle.enter(|| interval(10 * MS)));
        let start = handle.now();
        memory.advance(30 * MS);
        assert_eq!([ticks.next(world), ticks.next(world)], [start + 10 * MS, start + 40 * MS]);
    }

    fn a22_an_interval_goes_by_the_clock_of_its_own_loop(world: &World) {
        let (Some(memory), other) = (world.as_memory(), world.fresh()) else {
            return skip("only virtual clocks differ by a known time");
        };
        let ticks = Ticks::new(world.handle().enter(|| interval(10 * MS)));
        let start = world.handle().now();
        other.advance(Duration::from_secs(3600));
        let mut seen = Vec::new();
        for _ in 0..3 {
            let task = other.spawn(ticks.future());
            other.settle();
            memory.advance(10 * MS);
            other.settle();
            assert!(task.is_finished(), "woken across the loops");
            seen.push(other.join(task) - start);
        }
        assert_eq!(seen, [10 * MS, 20 * MS, 30 * MS]);
    }

    fn a22_an_interval_of_no_time_ticks_whenever_it_is_asked(world: &World) {
        for policy in [MissedTicks::Skip, MissedTicks::Burst, MissedTicks::Delay] {
            let ticks = Ticks::new(world.handle().enter(|| interval(Duration::ZERO)).missed(policy));
            let begun = world.handle().now();
            let seen: Vec<_> = (0..200).map(|_| ticks.next(world)).collect();
            assert!(seen.is_sorted() && seen[0] <= begun);
            assert!(!world.is_memory() || world.handle().now() == begun);
        }
    }
}

/// An interval that test and tasks share.
#[derive(Clone)]
struct Ticks(Rc<RefCell<Interval>>);

impl Ticks {
    fn new(interval: Interval) -> Self {
        Self(Rc::new(RefCell::new(interval)))
    }

    fn future(&self) -> impl Future<Output = Instant> + 'static {
        let ticks = Rc::clone(&self.0);
        poll_fn(move |context| ticks.borrow_mut().poll_tick(context))
    }

    fn next(&self, world: &World) -> Instant {
        world.finish(self.future())
    }
}

fn poll_once(future: impl Future<Output = ()>) -> Poll<()> {
    let mut context = Context::from_waker(Waker::noop());
    std::pin::pin!(future).poll(&mut context)
}
