//! A: wakers and handles on other threads.

use std::cell::RefCell;
use std::future::poll_fn;
use std::panic::panic_any;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::{Poll, Waker};
use std::thread::{self, ThreadId};
use std::time::Duration;

use futures::executor::block_on;
use marline_tasks::{JoinHandle, deferred, yield_now};

use crate::conformance;
use crate::support::{Drops, Probe, World};

const THREADS: usize = 4;

conformance! {
    fn a04_a_wake_from_another_thread_reaches_a_sleeping_loop(world: &World) {
        // On one busy core each time that a thread yields is long, and every seed has its own rounds.
        let rounds = if world.is_seeded() { 50 } else { 300 };
        let (sender, receiver) = mpsc::channel::<(Waker, Arc<AtomicBool>)>();
        let waking = thread::spawn(move || {
            for (round, (waker, done)) in receiver.into_iter().enumerate() {
                // Sometimes the loop still runs, mostly it sleeps by now.
                (0..round % 50).for_each(|_| thread::yield_now());
                done.store(true, Ordering::SeqCst);
                if round % 2 == 0 { waker.wake() } else { waker.wake_by_ref() }
            }
        });
        let (handle, alive) = (world.handle(), world.handle().keep_alive());
        let done = world.spawn(async move {
            for _ in 0..rounds {
                let done = Arc::new(AtomicBool::new(false));
                let mut asked = false;
                poll_fn(|context| {
                    if !std::mem::replace(&mut asked, true) {
                        sender.send((context.waker().clone(), Arc::clone(&done))).expect("a thread");
                    }
                    if done.load(Ordering::SeqCst) { Poll::Ready(()) } else { Poll::Pending }
                })
                .await;
            }
            drop(alive);
            handle.stop();
        });
        world.run();
        assert!(done.is_finished());
        waking.join().expect("a thread");
        assert!(world.handle().stats().wake_ups > 0, "the loop was asleep at least once");
    }

    fn a04_wakes_of_one_thread_keep_their_order(world: &World) {
        let (log, wakers) = (Rc::new(RefCell::new(Vec::new())), Rc::new(RefCell::new(Vec::new())));
        for index in 0..20 {
            let (log, wakers) = (Rc::clone(&log), Rc::clone(&wakers));
            drop(world.spawn(async move {
                let mut first = true;
                poll_fn(|context| {
                    wakers.borrow_mut().push(context.waker().clone());
                    if std::mem::replace(&mut first, false) { Poll::Pending } else { Poll::Ready(()) }
                })
                .await;
                log.borrow_mut().push(index);
            }));
        }
        world.settle();
        let mut wakers = wakers.take();
        wakers.reverse();
        thread::spawn(move || wakers.iter().for_each(Waker::wake_by_ref)).join().expect("a thread");
        world.settle();
        assert_eq!(*log.borrow(), (0..20).rev().collect::<Vec<_>>());
    }

    fn a02_a04_wakes_from_many_threads_are_one_poll(world: &World) {
        let probe = Probe::new();
        let _task = world.spawn(probe.future());
        world.settle();
        for rounds in 1..10 {
            let waker = probe.waker();
            let threads: Vec<_> = (0..THREADS)
                .map(|_| {
                    let waker = waker.clone();
                    thread::spawn(move || (0..100).for_each(|_| waker.wake_by_ref()))
                })
                .collect();
            threads.into_iter().for_each(|thread| thread.join().expect("a thread"));
            assert_eq!(probe.polls(), rounds);
            world.settle();
            assert_eq!(probe.polls(), rounds + 1);
        }
    }

    fn a04_a05_wakers_may_be_used_anywhere_at_any_time(world: &World) {
        for ends_first in [false, true] {
            let doomed = world.fresh();
            let (tasks, drops) = (Crowd::start(&doomed), 32);
            doomed.settle();
            let wakers = tasks.wakers.take();
            let (running, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
            let threads: Vec<_> = (0..THREADS)
                .map(|_| {
                    let (wakers, running, stop) = (wakers.clone(), Arc::clone(&running), Arc::clone(&stop));
                    thread::spawn(move || hammer(&wakers, &running, &stop))
                })
                .collect();
            drop(wakers);
            doomed.until_elsewhere(|| running.load(Ordering::SeqCst) > 20 * THREADS);
            if ends_first {
                // The threads go on waking, cloning and dropping while the loop ends, and afterwards.
                drop(doomed);
                assert_eq!(tasks.drops.count(), drops);
                let polls = tasks.polls.load(Ordering::SeqCst);
                let seen = running.load(Ordering::SeqCst);
                while running.load(Ordering::SeqCst) < seen + 10 {
                    thread::yield_now();
                }
                assert_eq!(tasks.polls.load(Ordering::SeqCst), polls, "polled after the end");
            } else {
                tasks.handles.take().iter().for_each(JoinHandle::abort);
                doomed.until_elsewhere(|| tasks.drops.count() == drops);
            }
            stop.store(true, Ordering::SeqCst);
            threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
            assert_eq!(tasks.drops.count(), drops);
            assert_eq!(tasks.strangers.load(Ordering::SeqCst), 0, "polled on another thread");
        }
    }

    fn a05_the_last_handle_and_the_last_waker_may_be_dropped_elsewhere(world: &World) {
        let tasks = Crowd::start(world);
        world.settle();
        let (handles, wakers) = (tasks.handles.take(), tasks.wakers.take());
        thread::spawn(move || drop((handles, wakers))).join().expect("a thread");
        world.settle();
        assert_eq!(tasks.drops.count(), 0, "they are detached, and wait for ever");
        // One whose wakers are all gone ends with its loop.
        let doomed = world.fresh();
        let lost = Crowd::start(&doomed);
        doomed.settle();
        let (handles, wakers) = (lost.handles.take(), lost.wakers.take());
        drop(wakers);
        drop(doomed);
        assert_eq!(lost.drops.count(), 32);
        thread::spawn(move || handles.iter().for_each(JoinHandle::abort)).join().expect("a thread");
    }

    fn a06_a07_handles_work_on_other_threads(world: &World) {
        let home = thread::current().id();
        let (resolver, answer) = deferred();
        let awaited = world.spawn(async move { (answer.await, thread::current().id()) });
        let panicking = world.spawn(async { panic_any("heard elsewhere") });
        let (probe, drops) = (Probe::new(), Drops::new());
        let (inner, witness) = (probe.future(), drops.witness());
        let aborted = world.spawn(async move {
            let _witness = witness;
            inner.await;
        });
        let witness = drops.witness();
        let detached = world.spawn(async move {
            yield_now().await;
            drop(witness);
        });
        let finished = world.spawn(async { 5 });
        world.until(|| finished.is_finished());
        let (told, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (tell, over) = (Arc::clone(&told), Arc::clone(&seen));
        let thread = thread::spawn(move || {
            drop(detached);
            aborted.abort();
            finished.abort();
            let panicked = block_on(panicking).expect_err("a panic");
            let aborted = block_on(aborted).expect_err("an abort");
            let outcome = (panicked.is_panic(), aborted.is_aborted(), block_on(finished).ok());
            tell.store(true, Ordering::SeqCst);
            let answer: (Result<u8, _>, ThreadId) = block_on(awaited).expect("an output");
            over.store(true, Ordering::SeqCst);
            (outcome, answer)
        });
        world.until_elsewhere(|| told.load(Ordering::SeqCst));
        resolver.resolve(9).expect("it is observed");
        world.until_elsewhere(|| seen.load(Ordering::SeqCst));
        let (outcome, answer) = thread.join().expect("a thread");
        assert_eq!((outcome, answer), ((true, true, Some(5)), (Ok(9), home)));
        assert_eq!((probe.drops(), drops.count()), (1, 2));
    }

    fn a06_a_failure_whose_handle_is_dropped_elsewhere_is_reported_at_home_once(world: &World) {
        const TASKS: usize = 200;
        let (reports, home) = (Arc::new(AtomicUsize::new(0)), thread::current().id());
        let told = Arc::clone(&reports);
        world.handle().on_failure(move |_| {
            let at_home = thread::current().id() == home;
            told.fetch_add(if at_home { 1 } else { 1_000_000 }, Ordering::SeqCst);
        });
        // Some handles are dropped before the end of their task, some after it, and some just then.
        let failing: Vec<_> = (0..TASKS)
            .map(|index| {
                world.spawn(async move {
                    for _ in 0..index {
                        yield_now().await;
                    }
                    Err::<(), _>(String::from("unheard"))
                })
            })
            .collect();
        let dropping = thread::spawn(move || {
            for task in failing {
                drop(task);
                thread::yield_now();
            }
        });
        world.until_elsewhere(|| reports.load(Ordering::SeqCst) >= TASKS);
        dropping.join().expect("a thread");
        world.settle();
        assert_eq!(reports.load(Ordering::SeqCst), TASKS);
    }

    fn a08_a05_what_threads_still_wake_is_dropped_with_the_reactor(world: &World) {
        for _ in 0..30 {
            let doomed = world.fresh();
            let tasks = Crowd::start(&doomed);
            doomed.settle();
            let wakers = tasks.wakers.take();
            let waking = thread::spawn(move || wakers.into_iter().for_each(Waker::wake));
            drop(doomed);
            assert_eq!(tasks.drops.count(), 32);
            waking.join().expect("a thread");
            let outcomes = tasks.handles.take().into_iter().map(block_on);
            assert!(outcomes.into_iter().all(|outcome| outcome.is_err_and(|error| error.is_aborted())));
        }
    }
}

/// Tasks that are not `Send`, wait for ever, and watch where they are polled and dropped.
struct Crowd {
    drops: Drops,
    wakers: Rc<RefCell<Vec<Waker>>>,
    handles: RefCell<Vec<JoinHandle<()>>>,
    polls: Arc<AtomicUsize>,
    strangers: Arc<AtomicUsize>,
}

impl Crowd {
    fn start(world: &World) -> Self {
        let crowd = Self {
            drops: Drops::new(),
            wakers: Rc::default(),
            handles: RefCell::default(),
            polls: Arc::default(),
            strangers: Arc::default(),
        };
        let home = thread::current().id();
        for _ in 0..32 {
            let (witness, wakers) = (crowd.drops.witness(), Rc::clone(&crowd.wakers));
            let (polls, strangers) = (Arc::clone(&crowd.polls), Arc::clone(&crowd.strangers));
            let mut first = true;
            let task = poll_fn(move |context| {
                let _here = &witness;
                polls.fetch_add(1, Ordering::SeqCst);
                let strange = thread::current().id() != home;
                strangers.fetch_add(usize::from(strange), Ordering::SeqCst);
                if std::mem::replace(&mut first, false) {
                    wakers.borrow_mut().push(context.waker().clone());
                }
                Poll::Pending
            });
            crowd.handles.borrow_mut().push(world.spawn(task));
        }
        crowd
    }
}

/// Does to wakers whatever can be done to them.
fn hammer(wakers: &[Waker], running: &AtomicUsize, stop: &AtomicBool) {
    let mut kept = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        for waker in wakers {
            waker.wake_by_ref();
            kept.extend([waker.clone(), waker.clone()]);
            if kept.len() > 100 {
                kept.drain(..30).for_each(Waker::wake);
                kept.drain(..30).for_each(drop);
            }
        }
        running.fetch_add(1, Ordering::SeqCst);
        thread::sleep(Duration::from_micros(50));
    }
    drop(kept);
}
