//! N: the pool for work that blocks, while its loop runs.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use marline_reactor::backend::memory::Memory;
use marline_reactor::testing::{Clock, Network};
use marline_reactor::{Builder, Choices, Handle, JobError, Reactor};
use marline_tests::{PATIENCE, backends};

use crate::conformance;
use crate::support::{Notes, World, skip};

/// A loop on each backend, configured.
pub fn configured(configure: impl Fn(Builder) -> Builder) -> Vec<Reactor> {
    let memory = Memory::new(&Network::new(Choices::tame()), &Clock::new());
    let builders = backends::builders().into_iter().chain([Builder::new().backend(memory)]);
    builders.map(|builder| configure(builder).build().expect("a loop")).collect()
}

/// A job that tells when it has begun, and ends when it is told to.
pub struct Gate {
    begun: Receiver<()>,
    open: Sender<()>,
}

impl Gate {
    /// The gate, and the work: it answers with `value`.
    pub fn new<T: Send + 'static>(value: T) -> (Self, impl FnOnce() -> T + Send + 'static) {
        let ((begin, begun), (open, opened)) = (mpsc::channel(), mpsc::channel());
        let work = move || {
            // Whoever opens the gate may be gone, and a gate that is gone is open.
            let _ = begin.send(());
            let _ = opened.recv_timeout(PATIENCE);
            value
        };
        (Self { begun, open }, work)
    }

    pub fn wait_until_begun(&self) {
        self.begun.recv_timeout(PATIENCE).expect("the job begins");
    }

    pub fn open(&self) {
        let _ = self.open.send(());
    }
}

/// Waits until something holds that other threads bring about.
pub fn wait_until(mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "what the test waits for did not happen");
        thread::yield_now();
    }
}

/// Counts its drops.
pub struct Token(pub Arc<AtomicUsize>);

impl Drop for Token {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

conformance! {
    fn n06_results_errors_and_panics_are_told_on_the_loops_thread(world: &World) {
        let (handle, notes, home) = (world.handle(), Notes::new(), thread::current().id());
        let at_home = move || {
            assert_eq!(thread::current().id(), home);
            Handle::current().expect("a loop").loop_id()
        };
        let (told, id) = (notes.clone(), handle.loop_id());
        let named = || (thread::current().id(), thread::current().name().map(str::to_owned));
        handle.run_blocking(named, move |outcome| {
            assert_eq!(at_home(), id);
            let (thread, name) = outcome.expect("a result");
            assert_ne!(thread, home);
            assert_eq!(name.as_deref(), Some("marline-pool"));
            told.add("a result");
        }).expect("there is room");
        let told = notes.clone();
        let failing = || Err::<(), _>(io::Error::other("no luck"));
        handle.run_blocking(failing, move |outcome| {
            assert_eq!(at_home(), id);
            assert_eq!(outcome.expect("a result").expect_err("an error").to_string(), "no luck");
            told.add("an error");
        }).expect("there is room");
        let told = notes.clone();
        handle.run_blocking(|| std::panic::panic_any(17_u8), move |outcome: Result<(), _>| {
            assert_eq!(at_home(), id);
            let Err(JobError::Panicked(panic)) = outcome else { panic!("{outcome:?}") };
            let payload = panic.take_payload().expect("the payload");
            assert_eq!(payload.downcast_ref::<u8>(), Some(&17));
            told.add("a panic");
        }).expect("there is room");
        assert_eq!(notes.all().len(), 0, "nothing is called on the stack of a call");
        // The run does not return before the last outcome, although nothing else keeps it.
        world.run();
        let mut all = notes.all();
        all.sort();
        assert_eq!(all, ["a panic", "a result", "an error"]);
        assert!(matches!(handle.stats().pool_threads, 1..=3));
    }

    fn n06_time_that_is_virtual_stands_still_while_a_job_runs(world: &World) {
        const ROUNDS: usize = 20;
        let (handle, notes) = (world.handle(), Notes::new());
        let seen = notes.clone();
        let timer = handle.call_later(Duration::from_secs(3600), move || seen.add("an hour later"));
        let (remote, served, memory) = (handle.remote(), Arc::new(AtomicUsize::new(0)), world.is_memory());
        let count = Arc::clone(&served);
        // The job needs the loop again and again, which has nothing to do in between.
        let work = move || {
            for _ in 0..ROUNDS {
                let ((answer, answered), count) = (mpsc::channel(), Arc::clone(&count));
                let posted = remote.post(move || {
                    count.fetch_add(1, Ordering::Relaxed);
                    let _ = answer.send(());
                });
                assert!(posted.is_ok());
                answered.recv_timeout(PATIENCE).expect("the loop serves");
            }
        };
        let (seen, begun) = (notes.clone(), handle.now());
        let clock = handle.clone();
        let told = move |outcome: Result<(), JobError>| {
            outcome.expect("a result");
            seen.add("the job");
            if memory {
                assert_eq!(clock.now(), begun);
            } else {
                timer.cancel();
            }
        };
        handle.run_blocking(work, told).expect("there is room");
        world.run();
        assert_eq!(served.load(Ordering::Relaxed), ROUNDS);
        let expected: &[&str] = if memory { &["the job", "an hour later"] } else { &["the job"] };
        assert_eq!(notes.all(), expected);
    }

    fn n06_a_job_that_is_cancelled_never_begins_and_one_that_runs_is_not_cancelled(world: &World) {
        let (handle, ran, dropped) = (world.handle(), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        // As many jobs as there are threads by default; what comes then waits.
        let gates: Vec<Gate> = (0..32).map(|number| {
            let (gate, work) = Gate::new(number);
            handle.run_blocking(work, move |outcome| assert_eq!(outcome.expect("a result"), number)).expect("there is room");
            gate.wait_until_begun();
            gate
        }).collect();
        let outcomes = Rc::new(RefCell::new(Vec::new()));
        let jobs: Vec<_> = (0..3).map(|_| {
            let (count, token, told) = (Arc::clone(&ran), Token(Arc::clone(&dropped)), Rc::clone(&outcomes));
            let work = move || {
                let _token = &token;
                count.fetch_add(1, Ordering::SeqCst);
            };
            handle.run_blocking(work, move |outcome| told.borrow_mut().push(outcome)).expect("there is room")
        }).collect();
        let stats = handle.stats();
        assert_eq!((stats.pool_threads, stats.pool_queue), (32, 3));
        assert!(jobs[0].is_waiting() && jobs[0].cancel() && !jobs[0].cancel() && !jobs[0].is_waiting());
        let other = jobs[1].clone();
        assert!(thread::spawn(move || other.cancel()).join().expect("a thread"));
        assert_eq!((handle.stats().pool_queue, outcomes.borrow().len()), (1, 0), "it is told from the loop");
        world.turn_a_little();
        assert!(matches!(outcomes.borrow()[..], [Err(JobError::Cancelled), Err(JobError::Cancelled)]));
        assert_eq!(dropped.load(Ordering::SeqCst), 2, "what they held is dropped");
        gates.iter().for_each(Gate::open);
        world.run();
        assert!(matches!(outcomes.borrow()[..], [_, _, Ok(())]));
        assert_eq!((ran.load(Ordering::SeqCst), dropped.load(Ordering::SeqCst)), (1, 3));
        assert!(!jobs[2].cancel(), "it ran");
    }

    fn n06_a_handle_that_is_dropped_neither_waits_nor_cancels(world: &World) {
        let (handle, told) = (world.handle(), Rc::new(Cell::new(0)));
        let ((gate, work), seen) = (Gate::new(5), Rc::clone(&told));
        drop(handle.run_blocking(work, move |outcome| seen.set(outcome.expect("a result"))));
        gate.wait_until_begun();
        world.turn_a_little();
        assert_eq!(told.get(), 0);
        gate.open();
        world.run();
        assert_eq!(told.get(), 5);
    }

    fn n06_a_panic_in_what_is_told_is_reported_and_the_others_are_told(world: &World) {
        let (handle, told, failures) = (world.handle(), Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let count = Rc::clone(&failures);
        handle.on_failure(move |_| count.set(count.get() + 1));
        for number in 0..20 {
            let told = Rc::clone(&told);
            handle.run_blocking(move || number, move |outcome| {
                told.set(told.get() + 1);
                assert!(outcome.expect("a result") % 2 == 0, "odd");
            }).expect("there is room");
        }
        world.run();
        assert_eq!((told.get(), failures.get()), (20, 10));
    }

    fn n06_jobs_that_ended_are_told_in_the_order_that_chance_chooses(world: &World) {
        if !world.is_memory() || world.is_seeded() {
            return skip("the choices are scripted");
        }
        let memory = Memory::new(&Network::new(Choices::script([2, 1])), &Clock::new());
        let reactor = Builder::new().backend(memory).pool_threads(1).build().expect("a loop");
        let (handle, order) = (reactor.handle(), Rc::new(RefCell::new(Vec::new())));
        let told = |number| {
            let order = Rc::clone(&order);
            move |_| order.borrow_mut().push(number)
        };
        for number in 0..3 {
            handle.run_blocking(|| (), told(number)).expect("there is room");
        }
        let (gate, work) = Gate::new(());
        handle.run_blocking(work, told(3)).expect("there is room");
        // The one thread has done the first three.
        gate.wait_until_begun();
        reactor.turn(Some(Duration::ZERO)).expect("a turn");
        assert_eq!(*order.borrow(), [2, 0, 1], "the third of three, then the second of the two that are left");
        gate.open();
        reactor.run().expect("a run");
        assert_eq!(*order.borrow(), [2, 0, 1, 3]);
    }
}

#[test]
fn n06_a_full_queue_hands_back_what_it_was_given() {
    for reactor in configured(|builder| builder.pool_threads(1).pool_queue(2)) {
        let (handle, begun) = (reactor.handle(), Arc::new(Mutex::new(Vec::new())));
        let (gate, work) = Gate::new(());
        handle.run_blocking(work, |outcome| outcome.expect("a result")).expect("there is room");
        gate.wait_until_begun();
        let told = Rc::new(RefCell::new(Vec::new()));
        let give = |number: usize| {
            let (begun, told) = (Arc::clone(&begun), Rc::clone(&told));
            let work = move || begun.lock().unwrap().push(number);
            handle.run_blocking(work, move |outcome| told.borrow_mut().push((number, outcome.is_ok())))
        };
        let waiting = [give(1).expect("there is room"), give(2).expect("there is room")];
        let refused = give(3).expect_err("the queue is full");
        assert!(refused.is_full() && !refused.is_over() && refused.thread_error().is_none());
        assert_eq!((handle.stats().pool_threads, handle.stats().pool_queue), (1, 2));
        let (work, done) = refused.into_inner();
        // One that is cancelled makes room at once, however long the thread takes.
        for round in 0..100 {
            assert!(waiting[1].cancel() || round > 0);
            assert!(give(2 + round).expect("there is room").cancel());
        }
        let last = handle.run_blocking(work, done).expect("there is room");
        assert!(last.is_waiting() && give(4).is_err());
        gate.open();
        reactor.run().expect("a run");
        assert_eq!(*begun.lock().unwrap(), [1, 3], "the closures that were handed back, in their order");
        let told = told.borrow();
        assert_eq!(told.iter().filter(|(_, ran)| *ran).count(), 2);
        assert_eq!(told.len(), 2 + 101);
    }
}

#[test]
fn n06_threads_without_work_end_and_others_begin() {
    for reactor in configured(|builder| builder.pool_idle(Duration::from_millis(1))) {
        let (handle, told) = (reactor.handle(), Rc::new(Cell::new(0)));
        for round in 1..=50 {
            let count = Rc::clone(&told);
            handle.run_blocking(|| (), move |_| count.set(count.get() + 1)).expect("there is room");
            reactor.run().expect("a run");
            assert_eq!(told.get(), round);
            if round % 10 == 0 {
                wait_until(|| handle.stats().pool_threads == 0);
            }
        }
    }
}

#[test]
fn n06_of_many_jobs_none_is_lost_and_the_threads_stay_bounded() {
    const JOBS: usize = 5_000;
    for reactor in configured(|builder| builder.pool_threads(3).pool_queue(JOBS)) {
        let (handle, told, most) = (reactor.handle(), Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        for number in 0..JOBS {
            let (told, most, look) = (Rc::clone(&told), Rc::clone(&most), handle.clone());
            handle
                .run_blocking(
                    move || number,
                    move |outcome| {
                        assert_eq!(outcome.expect("a result"), number);
                        told.set(told.get() + 1);
                        most.set(most.get().max(look.stats().pool_threads));
                    },
                )
                .expect("there is room");
        }
        reactor.run().expect("a run");
        assert_eq!((told.get(), most.get()), (JOBS, 3));
    }
}
