//! A: a sleep that is polled with another waker each time.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use marline_tasks::{Sleep, gather, interval, race, select, sleep, sleep_until, yield_now};

use crate::conformance;
use crate::support::World;

const MS: Duration = Duration::from_millis(1);
/// After so many batches timers are looked at again (T02).
const BATCHES: usize = 64;

type Boxed<'a> = Pin<Box<dyn Future<Output = bool> + 'a>>;

conformance! {
    fn a09_a_sleep_in_a_race_again_and_again_ends(world: &World) {
        ends(world, async |nap| {
            let napping: Boxed<'_> = Box::pin(async { nap.await; true });
            let passing: Boxed<'_> = Box::pin(async { yield_now().await; false });
            race([napping, passing]).await.1
        });
    }

    fn a09_a_sleep_in_a_select_again_and_again_ends(world: &World) {
        ends(world, async |nap| {
            select! {
                () = nap => true,
                () = yield_now() => false,
            }
        });
    }

    fn a09_a_sleep_that_is_gathered_again_and_again_ends(world: &World) {
        ends(world, async |nap| {
            let napping = poll_fn(|context| Poll::Ready(Ok::<_, ()>(Pin::new(&mut *nap).poll(context).is_ready())));
            let gathered = gather!(napping, async { yield_now().await; Ok::<_, ()>(()) }).await;
            gathered.expect("both").0
        });
    }

    fn a09_a_sleep_that_gets_a_fresh_waker_with_each_poll_ends(world: &World) {
        ends(world, async |nap| {
            let look = poll_fn(|context| {
                let fresh = Waker::from(Arc::new(Passing(context.waker().clone())));
                Poll::Ready(Pin::new(&mut *nap).poll(&mut Context::from_waker(&fresh)).is_ready())
            });
            let is_over = look.await;
            yield_now().await;
            is_over
        });
    }

    fn a09_a_tick_in_a_race_again_and_again_comes(world: &World) {
        let (most, hands) = (most_rounds(world), world.clock());
        let rounds = world.finish(async move {
            let (mut ticks, mut seen) = (interval(MS), Vec::new());
            for _ in 0..3 {
                // However late it was, the next tick lies ahead.
                let mut rounds = 0;
                while rounds <= most {
                    let ticking: Boxed<'_> = Box::pin(async { ticks.tick().await; true });
                    let passing: Boxed<'_> = Box::pin(async { yield_now().await; false });
                    if race([ticking, passing]).await.1 {
                        break;
                    }
                    if rounds == 0 {
                        hands.pass(2 * MS);
                    }
                    rounds += 1;
                }
                seen.push(rounds);
            }
            seen
        });
        assert!(rounds.iter().all(|rounds| *rounds <= most), "{rounds:?} rounds after they were due");
    }

    fn a09_a_due_sleep_wakes_the_newest_waker_and_is_over(world: &World) {
        in_time(world, |world, delay| {
            let (handle, woken) = (world.handle(), Woken::default());
            let deadline = handle.now() + delay;
            let nap = Rc::new(RefCell::new(None));
            let (other, polled, newest) = (Rc::clone(&nap), Rc::new(Cell::new(None)), woken.waker(2));
            let seen = Rc::clone(&polled);
            // It becomes due together with the sleep, and runs before it.
            handle.call_at(deadline, move || seen.set(Some(poll(&other, &newest))));
            *nap.borrow_mut() = Some(handle.enter(|| Box::pin(sleep_until(deadline))));
            let early = [0, 1].map(|waker| poll(&nap, &woken.waker(waker)));
            if handle.now() >= deadline {
                return false;
            }
            assert_eq!(early, [Poll::Pending; 2]);
            world.until(|| polled.get().is_some());
            if polled.get() == Some(Poll::Pending) {
                world.until(|| !woken.all().is_empty());
                assert_eq!(woken.all(), [2]);
            }
            assert!(poll(&nap, &woken.waker(3)).is_ready());
            world.settle();
            assert_eq!((woken.all().len() <= 1, handle.stats().timers), (true, 0));
            true
        });
    }

    fn a22_a_sleep_keeps_its_place_among_equal_deadlines_whoever_polls_it(world: &World) {
        in_time(world, |world, delay| {
            let (handle, woken) = (world.handle(), Woken::default());
            let deadline = handle.now() + delay;
            let mut naps = [0, 1, 2].map(|_| handle.enter(|| sleep_until(deadline)));
            let look = |nap: &mut Sleep, waker: usize| {
                let waker = woken.waker(waker);
                Pin::new(nap).poll(&mut Context::from_waker(&waker)).is_pending()
            };
            let mut early: Vec<bool> =
                naps.iter_mut().enumerate().map(|(number, nap)| look(nap, number)).collect();
            // Again: the last with a new waker first.
            early.extend([2, 0, 1].map(|number| look(&mut naps[number], 10 + number)));
            if handle.now() >= deadline {
                return false;
            }
            assert_eq!((early, handle.stats().timers), (vec![true; 6], 3));
            world.until(|| woken.all().len() == 3);
            assert_eq!(woken.all(), [10, 11, 12]);
            true
        });
    }

    fn a22_wakers_that_a_sleep_does_not_need_any_more_are_dropped(world: &World) {
        let (handle, held) = (world.handle(), Arc::new(Passing(Waker::noop().clone())));
        let mut nap = handle.enter(|| sleep(Duration::from_secs(3600)));
        for _ in 0..3 {
            let waker = Waker::from(Arc::clone(&held));
            assert!(Pin::new(&mut nap).poll(&mut Context::from_waker(&waker)).is_pending());
            assert!(Pin::new(&mut nap).poll(&mut Context::from_waker(Waker::noop())).is_pending());
            drop(waker);
            assert_eq!((Arc::strong_count(&held), handle.stats().timers), (1, 1));
        }
        drop(nap);
        assert_eq!(handle.stats().timers, 0);
    }
}

/// A task that is always ready looks whether a sleep is over, with a step that gives it another waker each time.
fn ends(world: &World, step: impl AsyncFn(&mut Sleep) -> bool + 'static) {
    let (most, hands) = (most_rounds(world), world.clock());
    let rounds = world.finish(async move {
        let (mut nap, mut rounds) = (sleep(MS), 0);
        while !step(&mut nap).await && rounds <= most {
            if rounds == 0 {
                hands.pass(2 * MS);
            }
            rounds += 1;
        }
        rounds
    });
    assert!(rounds <= most, "{rounds} rounds");
}

/// How often a task that is always ready is polled at most until a timer that is due has run.
fn most_rounds(world: &World) -> usize {
    (1 + world.most_turns_late().max(1)) * BATCHES + 8
}

fn poll<F: Future<Output = ()>>(future: &RefCell<Option<Pin<Box<F>>>>, waker: &Waker) -> Poll<()> {
    let mut future = future.borrow_mut();
    future.as_mut().expect("a future").as_mut().poll(&mut Context::from_waker(waker))
}

/// A waker like no other, which wakes another.
struct Passing(Waker);

impl Wake for Passing {
    fn wake(self: Arc<Self>) {
        self.0.wake_by_ref();
    }
}

/// Which wakers were woken, in order.
#[derive(Clone, Default)]
struct Woken(Arc<Mutex<Vec<usize>>>);

impl Woken {
    fn waker(&self, number: usize) -> Waker {
        Waker::from(Arc::new(Noting { number, woken: self.clone() }))
    }

    fn all(&self) -> Vec<usize> {
        self.0.lock().expect("the list").clone()
    }
}

struct Noting {
    number: usize,
    woken: Woken,
}

impl Wake for Noting {
    fn wake(self: Arc<Self>) {
        self.woken.0.lock().expect("the list").push(self.number);
    }
}

/// Runs a test that has to get something ready before a moment, with more and more time for that.
fn in_time(world: &World, test: impl Fn(&World, Duration) -> bool) {
    let delays = [3, 30, 300, 3_000, 30_000].map(Duration::from_millis);
    assert!(delays.into_iter().any(|delay| test(&world.fresh(), delay)), "this machine is too slow");
}
