//! N: other threads.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use marline_reactor::backend::memory::Memory;
use marline_reactor::testing::{Clock, Network};
use marline_reactor::{Builder, Choices, Reactor, Remote};
use marline_tests::{PATIENCE, backends};

use crate::conformance;
use crate::support::{Notes, World};

/// Makes the loop stop, from any thread.
fn stop(remote: &Remote) {
    let back = remote.clone();
    assert!(remote.post(move || back.local().expect("the loop's thread").stop()).is_ok());
}

/// Waits until something holds, on a thread that is not the loop's.
fn wait_until(mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "what the thread waits for did not happen");
        thread::yield_now();
    }
}

/// A thread that rings the bell of a loop that sleeps: it posts until a post had to.
fn ring(remote: Remote, count: Arc<AtomicUsize>) -> JoinHandle<()> {
    thread::spawn(move || {
        wait_until(|| {
            let count = Arc::clone(&count);
            assert!(remote.post(move || _ = count.fetch_add(1, Ordering::Relaxed)).is_ok());
            thread::sleep(Duration::from_millis(1));
            remote.wake_ups() > 0
        });
        stop(&remote);
    })
}

/// A loop on each backend that lets so many posts wait.
fn limited(limit: usize) -> Vec<Reactor> {
    let memory = Memory::new(&Network::new(Choices::tame()), &Clock::new());
    let builders = backends::builders().into_iter().chain([Builder::new().backend(memory)]);
    builders.map(|builder| builder.post_limit(limit).build().expect("a loop")).collect()
}

conformance! {
    fn n01_a_post_wakes_a_sleeping_loop(world: &World) {
        let handle = world.handle();
        let _alive = handle.keep_alive();
        let ran = Arc::new(AtomicUsize::new(0));
        let before = handle.stats();
        // Nothing else would ever wake it.
        let thread = ring(handle.remote(), Arc::clone(&ran));
        world.run();
        thread.join().expect("a thread that ends");
        let after = handle.stats();
        assert!(after.wake_ups > 0 && ran.load(Ordering::Relaxed) > 0);
        // Each wake-up led to a turn, and there were few others.
        let turns = after.turns - before.turns;
        assert!(turns <= 2 * (ran.load(Ordering::Relaxed) as u64 + 2), "{turns} turns");
    }

    fn n01_a_post_from_the_loops_own_thread_keeps_it_awake(world: &World) {
        let (handle, notes) = (world.handle(), Notes::new());
        let _alive = handle.keep_alive();
        let (remote, seen) = (handle.remote(), notes.clone());
        handle.call_soon(move || {
            stop(&remote);
            seen.add("posted, and not called yet");
        });
        world.run();
        assert_eq!(notes.all(), ["posted, and not called yet"]);
        assert_eq!(handle.stats().wake_ups, 0, "nobody had to be woken");
    }

    fn n01_a_post_to_a_loop_that_is_awake_makes_no_system_call(world: &World) {
        const POSTS: usize = 1000;
        let (handle, ran) = (world.handle(), Arc::new(AtomicUsize::new(0)));
        let (remote, counted, raises) = (handle.remote(), Arc::clone(&ran), Rc::new(Cell::new(0)));
        let raised = Rc::clone(&raises);
        let signal = handle.signal(move || raised.set(raised.get() + 1));
        let (stats, inner) = (Rc::new(RefCell::new(None)), handle.clone());
        let before = Rc::clone(&stats);
        let barrier = Arc::new(Barrier::new(2));
        let (meet, poked) = (Arc::clone(&barrier), remote.clone());
        let thread = thread::spawn(move || {
            // The loop is in its callback from the first meeting to the second.
            meet.wait();
            for _ in 0..POSTS {
                let counted = Arc::clone(&counted);
                assert!(poked.post(move || _ = counted.fetch_add(1, Ordering::Relaxed)).is_ok());
                signal.raise();
            }
            meet.wait();
            // Its drop would be news for the loop, which may sleep by then.
            signal
        });
        handle.call_soon(move || {
            let then = inner.stats();
            barrier.wait();
            barrier.wait();
            assert_eq!(inner.stats().system_calls, then.system_calls);
            *before.borrow_mut() = Some(then);
        });
        world.run();
        let _signal = thread.join().expect("a thread that ends");
        let (then, now) = (stats.borrow().expect("the callback ran"), handle.stats());
        assert_eq!((ran.load(Ordering::Relaxed), raises.get()), (POSTS, 1));
        assert_eq!((remote.wake_ups(), now.wake_ups), (0, 0), "nobody had to be woken");
        // All of it came in one turn, whose look at the system is the only call.
        let waits = now.system_calls.waits - then.system_calls.waits;
        assert!(waits <= 2, "{waits} waits");
        // A guest that has work at the end of a turn says so to its host, once. On a ring a turn reads that, and needs no
        // call to look.
        let told = match world.is_guest() {
            true if world.is_completion() => 2 * (now.turns - then.turns),
            true => waits,
            false => 0,
        };
        let others = now.system_calls.others - then.system_calls.others;
        assert!(others <= told, "{others} other calls");
    }

    fn n02_n03_posts_run_in_the_order_made_on_the_loops_thread(world: &World) {
        const THREADS: usize = 3;
        const POSTS: usize = 300;
        let handle = world.handle();
        let _alive = handle.keep_alive();
        // Only the loop's thread ever locks it: the posts run nowhere else.
        let order = Arc::new(std::sync::Mutex::new(Vec::new()));
        let (here, barrier) = (thread::current().id(), Arc::new(Barrier::new(THREADS)));
        let threads: Vec<_> = (0..THREADS)
            .map(|number| {
                let (remote, order, barrier) = (handle.remote(), Arc::clone(&order), Arc::clone(&barrier));
                thread::spawn(move || {
                    barrier.wait();
                    for post in 0..POSTS {
                        let order = Arc::clone(&order);
                        let call = move || {
                            assert_eq!(thread::current().id(), here);
                            order.lock().unwrap().push((number, post));
                        };
                        assert!(remote.post(call).is_ok());
                    }
                })
            })
            .collect();
        let (remote, failures) = (handle.remote(), Rc::new(Cell::new(0)));
        let counted = Rc::clone(&failures);
        handle.on_failure(move |_| counted.set(counted.get() + 1));
        let last = thread::spawn(move || {
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            stop(&remote);
        });
        world.run();
        last.join().expect("a thread that ends");
        let order = order.lock().unwrap();
        for number in 0..THREADS {
            let own = order.iter().filter(|(thread, _)| *thread == number).map(|(_, post)| *post);
            assert!(own.eq(0..POSTS), "the posts of thread {number} changed their order");
        }
        assert_eq!(failures.get(), 0);
    }

    fn n04_posts_made_before_the_run_wait_for_it(world: &World) {
        let (handle, order) = (world.handle(), Arc::new(std::sync::Mutex::new(Vec::new())));
        let (remote, pushed) = (handle.remote(), Arc::clone(&order));
        let poster = thread::spawn(move || {
            for number in 0..10 {
                let order = Arc::clone(&pushed);
                assert!(remote.post(move || order.lock().unwrap().push(number)).is_ok());
            }
        });
        poster.join().expect("a thread that ends");
        assert!(order.lock().unwrap().is_empty());
        assert!(world.reactor().has_ready());
        // They are something to do, and when they are done nothing is left.
        world.run();
        assert!(order.lock().unwrap().iter().copied().eq(0..10));
    }

    fn n08_posts_do_not_coalesce_and_raises_do(world: &World) {
        let handle = world.handle();
        let (runs, posts) = (Rc::new(Cell::new(0)), Arc::new(AtomicUsize::new(0)));
        let counted = Rc::clone(&runs);
        let signal = handle.signal(move || counted.set(counted.get() + 1));
        let (remote, raised, counted) = (handle.remote(), signal.clone(), Arc::clone(&posts));
        let thread = thread::spawn(move || {
            for _ in 0..1000 {
                raised.raise();
                let counted = Arc::clone(&counted);
                assert!(remote.post(move || _ = counted.fetch_add(1, Ordering::Relaxed)).is_ok());
            }
        });
        thread.join().expect("a thread that ends");
        world.run();
        assert_eq!((runs.get(), posts.load(Ordering::Relaxed)), (1, 1000));
        signal.raise();
        signal.raise();
        world.run();
        assert_eq!(runs.get(), 2);
    }

    fn n08_a_raise_during_the_run_leads_to_another(world: &World) {
        let (handle, own) = (world.handle(), Rc::new(RefCell::new(None::<marline_reactor::Signal>)));
        let (this, runs) = (Rc::clone(&own), Rc::new(Cell::new(0)));
        let counted = Rc::clone(&runs);
        let signal = handle.signal(move || {
            counted.set(counted.get() + 1);
            if counted.get() < 3 {
                let this = this.borrow();
                let signal = this.as_ref().expect("the signal");
                signal.raise();
                signal.raise();
            }
        });
        *own.borrow_mut() = Some(signal.clone());
        signal.raise();
        world.run();
        assert_eq!(runs.get(), 3);
    }

    fn n08_every_raise_is_followed_by_a_run_that_sees_what_came_before(world: &World) {
        const THREADS: usize = 4;
        const RAISES: usize = 500;
        let handle = world.handle();
        let _alive = handle.keep_alive();
        let (told, seen, runs) = (Arc::new(AtomicUsize::new(0)), Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let (look, stops, noted, counted) = (Arc::clone(&told), handle.clone(), Rc::clone(&seen), Rc::clone(&runs));
        let signal = handle.signal(move || {
            noted.set(look.load(Ordering::Relaxed));
            counted.set(counted.get() + 1);
            // If the last raise were lost the loop would sleep for ever.
            if noted.get() == THREADS * RAISES {
                stops.stop();
            }
        });
        let threads = [(); THREADS].map(|()| {
            let (signal, told) = (signal.clone(), Arc::clone(&told));
            thread::spawn(move || {
                for _ in 0..RAISES {
                    told.fetch_add(1, Ordering::Relaxed);
                    signal.raise();
                }
            })
        });
        world.run();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(seen.get(), THREADS * RAISES);
        assert!(runs.get() <= THREADS * RAISES);
    }

    fn n08_a_raise_counts_although_the_last_clone_is_dropped_right_after(world: &World) {
        let (handle, runs) = (world.handle(), Rc::new(Cell::new(0)));
        let counted = Rc::clone(&runs);
        let signal = handle.signal(move || counted.set(counted.get() + 1));
        let thread = thread::spawn(move || {
            signal.raise();
            drop(signal);
        });
        thread.join().expect("a thread that ends");
        world.run();
        assert_eq!((runs.get(), Rc::strong_count(&runs)), (1, 1), "it ran, and was dropped");
    }

    fn n08_a_signal_that_panics_runs_again(world: &World) {
        let (handle, runs, failures) = (world.handle(), Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let (counted, told) = (Rc::clone(&runs), Rc::clone(&failures));
        handle.on_failure(move |_| told.set(told.get() + 1));
        let signal = handle.signal(move || {
            counted.set(counted.get() + 1);
            panic!("in a signal");
        });
        for _ in 0..3 {
            signal.raise();
            world.run();
        }
        assert_eq!((runs.get(), failures.get()), (3, 3));
    }
}

#[test]
fn n02_a_hundred_thousand_queued_posts_are_all_run_in_order() {
    for world in World::each() {
        let (handle, next) = (world.handle(), Arc::new(AtomicUsize::new(0)));
        let (remote, counted) = (handle.remote(), Arc::clone(&next));
        let poster = thread::spawn(move || {
            for number in 0..100_000 {
                let next = Arc::clone(&counted);
                // A post that comes out of order leaves the count wrong for ever.
                let call = move || {
                    _ = next.compare_exchange(number, number + 1, Ordering::Relaxed, Ordering::Relaxed)
                };
                assert!(remote.post(call).is_ok());
            }
        });
        poster.join().expect("a thread that ends");
        world.run();
        assert_eq!(next.load(Ordering::Relaxed), 100_000);
        assert_eq!(handle.stats().wake_ups, 0, "a loop that does not sleep is not woken");
    }
}

#[test]
fn n02_a_post_over_the_limit_hands_its_closure_back() {
    for reactor in limited(3) {
        let (handle, ran) = (reactor.handle(), Arc::new(AtomicUsize::new(0)));
        let remote = handle.remote();
        let call = |value: usize| {
            let ran = Arc::clone(&ran);
            move || _ = ran.fetch_add(value, Ordering::Relaxed)
        };
        (0..3).for_each(|_| assert!(remote.post(call(1)).is_ok()));
        let refused = remote.post(call(100)).expect_err("the limit is reached");
        assert!(refused.is_full());
        // Raises are not limited: they cannot fail.
        let signal = handle.signal(call(10_000));
        signal.raise();
        reactor.run().expect("a run");
        assert_eq!(ran.load(Ordering::Relaxed), 10_003);
        refused.into_inner()();
        assert_eq!(ran.load(Ordering::Relaxed), 10_103, "it is the closure that was given");
        assert!(remote.post(call(1)).is_ok(), "there is room again");
    }
}

#[test]
fn n05_after_the_end_posts_are_refused_and_raises_ignored() {
    for world in World::each() {
        let (handle, ran) = (world.handle(), Arc::new(AtomicUsize::new(0)));
        let (remote, counted) = (handle.remote(), Arc::clone(&ran));
        let signal = handle.signal(|| unreachable!("the loop is gone"));
        assert!(remote.local().is_some());
        drop(world);
        let (other, raised) = (remote.clone(), signal.clone());
        let elsewhere = thread::spawn(move || {
            raised.raise();
            drop(raised);
            let refused = other.post(move || _ = counted.fetch_add(1, Ordering::Relaxed));
            let refused = refused.expect_err("the loop is gone");
            assert!(!refused.is_full());
            refused.into_inner()();
        });
        elsewhere.join().expect("a thread that ends");
        assert_eq!(ran.load(Ordering::Relaxed), 1);
        assert!(remote.post(|| unreachable!("the loop is gone")).is_err());
        assert!(remote.local().is_none());
        signal.raise();
    }
}

#[test]
fn n05_posts_that_race_with_the_end_are_run_refused_or_dropped() {
    /// Counts its own drop.
    struct Token(Arc<AtomicUsize>);
    impl Drop for Token {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    for world in World::each() {
        let (remote, dropped) = (world.handle().remote(), Arc::new(AtomicUsize::new(0)));
        let (counted, signal) = (Arc::clone(&dropped), world.handle().signal(|| {}));
        let poster = thread::spawn(move || {
            let mut made = 0;
            wait_until(|| {
                let token = Token(Arc::clone(&counted));
                signal.raise();
                made += 1;
                remote.post(move || drop(token)).is_err()
            });
            made
        });
        wait_until(|| {
            world.turn();
            dropped.load(Ordering::Relaxed) >= 100
        });
        drop(world);
        let made = poster.join().expect("a thread that ends");
        assert_eq!(dropped.load(Ordering::Relaxed), made, "each closure was let go of, once");
    }
}
