//! N: what becomes of the pool when its loop ends.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use marline_reactor::{Handle, JobError, Phase};
use marline_tests::PATIENCE;

use super::n_pool::{Gate, Token, configured, wait_until};
use crate::conformance;
use crate::support::{Notes, World};

std::thread_local! {
    /// Ends with its thread.
    static PRESENT: RefCell<Option<Token>> = const { RefCell::new(None) };
}

/// Work that notes its thread's end.
fn watched(ended: &Arc<AtomicUsize>) -> impl FnOnce() + Send + 'static {
    let token = Token(Arc::clone(ended));
    move || PRESENT.with(|present| drop(present.borrow_mut().replace(token)))
}

/// Hands in a job whose outcome is noted.
fn noted<T: Send + 'static>(
    handle: &Handle,
    notes: &Notes,
    work: impl FnOnce() -> T + Send + 'static,
    name: &'static str,
) {
    let notes = notes.clone();
    let done = move |outcome: Result<T, JobError>| {
        notes.add(match outcome {
            Ok(_) => format!("{name}: ok"),
            Err(JobError::NeverBegan) => format!("{name}: never began"),
            Err(JobError::Abandoned) => format!("{name}: abandoned"),
            Err(error) => format!("{name}: {error}"),
        });
    };
    handle.run_blocking(work, done).expect("it is taken");
}

/// Whether the loop refuses a job, and hands back what it was given.
fn is_refused(handle: &Handle) -> bool {
    let refused = handle.run_blocking(|| 7, |_| unreachable!("it is refused"));
    refused.is_err_and(|error| error.is_over() && (error.into_inner().0)() == 7)
}

conformance! {
    fn n07_threads_end_with_a_loop_that_is_shut_down(world: &World) {
        let (handle, notes, ended) = (world.handle(), Notes::new(), Arc::new(AtomicUsize::new(0)));
        noted(&handle, &notes, watched(&ended), "first");
        world.run();
        assert_eq!((ended.load(Ordering::SeqCst), handle.stats().pool_threads), (0, 1), "it waits for more work");
        let seen = notes.clone();
        let last = handle.clone();
        handle.on_shutdown(Phase::After, move |_| {
            assert_eq!(last.stats().pool_threads, 0);
            assert!(is_refused(&last));
            seen.add("after");
        });
        handle.shutdown();
        world.run();
        assert_eq!(notes.all(), ["first: ok", "after"]);
        wait_until(|| ended.load(Ordering::SeqCst) == 1);
        assert!(is_refused(&handle));
    }

    fn n07_a_pool_that_begins_after_stop_was_requested_ends_with_the_loop(world: &World) {
        let doomed = world.fresh();
        let (handle, notes, ended) = (doomed.handle(), Notes::new(), Arc::new(AtomicUsize::new(0)));
        let (inner, seen, end) = (handle.clone(), notes.clone(), Arc::clone(&ended));
        handle.call_soon(move || {
            inner.stop();
            noted(&inner, &seen, watched(&end), "late");
        });
        doomed.run();
        // Stopped it keeps everything, and tells in the next run.
        doomed.run();
        assert_eq!(notes.all(), ["late: ok"]);
        drop(doomed);
        wait_until(|| ended.load(Ordering::SeqCst) == 1);
        assert!(is_refused(&handle));
    }

    fn n07_a_pool_that_begins_after_shutdown_was_requested_ends_with_the_loop(world: &World) {
        let (handle, notes, ended) = (world.handle(), Notes::new(), Arc::new(AtomicUsize::new(0)));
        let (before, seen, end) = (handle.clone(), notes.clone(), Arc::clone(&ended));
        handle.on_shutdown(Phase::Before, move |_| noted(&before, &seen, watched(&end), "in before"));
        let during = handle.clone();
        let refused = Rc::new(Cell::new(false));
        let told = Rc::clone(&refused);
        handle.on_shutdown(Phase::During, move |_| told.set(is_refused(&during)));
        let (inner, seen, end) = (handle.clone(), notes.clone(), Arc::clone(&ended));
        handle.call_soon(move || {
            inner.shutdown();
            noted(&inner, &seen, watched(&end), "at once");
        });
        world.run();
        assert!(refused.get(), "nothing begins when everybody was told");
        // Each was either told its result, or that it never began.
        let mut all: Vec<String> = notes.all().iter().map(ToString::to_string).collect();
        all.sort();
        assert_eq!(all.len(), 2, "{all:?}");
        assert!(all[0].starts_with("at once: ") && all[1].starts_with("in before: "), "{all:?}");
        assert!(all.iter().all(|note| note.ends_with(": ok") || note.ends_with(": never began")), "{all:?}");
        // A token is dropped by the end of its thread, or with the work that never began.
        wait_until(|| ended.load(Ordering::SeqCst) == 2);
    }
}

#[test]
fn n07_what_never_began_is_told_so_and_what_runs_is_waited_for() {
    for reactor in configured(|builder| builder.pool_threads(1).pool_grace(PATIENCE)) {
        let (handle, notes, held) = (reactor.handle(), Notes::new(), Arc::new(AtomicUsize::new(0)));
        let (gate, work) = Gate::new(());
        noted(&handle, &notes, work, "running");
        gate.wait_until_begun();
        for name in ["second", "third"] {
            let token = Token(Arc::clone(&held));
            noted(&handle, &notes, move || drop(token), name);
        }
        let seen = notes.clone();
        handle.on_shutdown(Phase::After, move |_| seen.add("after"));
        // The job ends only when it is certain that the others never began.
        let (seen, opener) = (notes.clone(), handle.clone());
        handle.on_shutdown(Phase::During, move |hold| {
            seen.add("during");
            opener.call_soon(move || {
                gate.open();
                drop(hold);
            });
        });
        handle.shutdown();
        reactor.run().expect("a run");
        let expected = ["during", "second: never began", "third: never began", "running: ok", "after"];
        assert_eq!(notes.all(), expected);
        assert_eq!(held.load(Ordering::SeqCst), 2, "what they held is dropped");
    }
}

#[test]
fn n07_a20_a_shutdown_waits_at_most_the_grace_for_a_job_that_does_not_end() {
    let grace = Duration::from_secs(1);
    // Given once, it is not given again when the loop is dropped. One drop that was as fast as that shows it; a machine
    // that does other things makes some of them slow.
    let mut drops = Vec::new();
    while !drops.iter().any(|took| *took < grace / 2) {
        assert!(drops.len() < 40, "the grace is given once: {drops:?}");
        drops.extend(drops_after_a_shutdown(grace));
    }
}

/// How long loops took to be dropped that were shut down with a job that does not end.
fn drops_after_a_shutdown(grace: Duration) -> Vec<Duration> {
    let mut drops = Vec::new();
    for reactor in configured(|builder| builder.pool_grace(grace)) {
        let (handle, notes, ended) = (reactor.handle(), Notes::new(), Arc::new(AtomicUsize::new(0)));
        let result = Arc::new(AtomicUsize::new(0));
        let (gate, work) = Gate::new(Token(Arc::clone(&result)));
        let watch = watched(&ended);
        noted(
            &handle,
            &notes,
            move || {
                watch();
                work()
            },
            "stuck",
        );
        gate.wait_until_begun();
        handle.shutdown();
        let begun = Instant::now();
        // The wait has an end: nobody opens the gate.
        reactor.run().expect("a run");
        assert!(begun.elapsed() >= grace, "it was not waited for");
        assert_eq!(notes.all(), ["stuck: abandoned"]);
        let begun = Instant::now();
        drop(reactor);
        drops.push(begun.elapsed());
        assert_eq!((ended.load(Ordering::SeqCst), result.load(Ordering::SeqCst)), (0, 0), "it still runs");
        gate.open();
        wait_until(|| ended.load(Ordering::SeqCst) == 1);
        assert_eq!(result.load(Ordering::SeqCst), 1, "the result that nobody wants is dropped");
    }
    drops
}

#[test]
fn n07_a_loop_that_is_dropped_calls_nobody_and_drops_everything() {
    let grace = Duration::from_millis(50);
    for reactor in configured(|builder| builder.pool_threads(1).pool_grace(grace)) {
        let (handle, counts) = (reactor.handle(), [(); 3].map(|()| Arc::new(AtomicUsize::new(0))));
        let [results, works, dones] = &counts;
        let (gate, work) = Gate::new(Token(Arc::clone(results)));
        let told = Token(Arc::clone(dones));
        let running = handle.run_blocking(work, move |_| {
            let _told = told;
            unreachable!("the loop is dropped");
        });
        gate.wait_until_begun();
        let (token, told) = (Token(Arc::clone(works)), Token(Arc::clone(dones)));
        let waiting = handle.run_blocking(
            move || drop(token),
            move |_| {
                let _told = told;
                unreachable!("the loop is dropped");
            },
        );
        let begun = Instant::now();
        drop(reactor);
        assert!(begun.elapsed() >= grace && begun.elapsed() < PATIENCE);
        let seen = || counts.each_ref().map(|count| count.load(Ordering::SeqCst));
        // The handles hold nothing back.
        assert_eq!(seen(), [0, 1, 2]);
        let (running, waiting) = (running.expect("a job"), waiting.expect("a job"));
        assert!(!running.cancel() && !waiting.cancel() && !waiting.is_waiting());
        gate.open();
        wait_until(|| seen() == [1, 1, 2]);
    }
}

#[test]
fn n07_an_outcome_that_was_not_told_is_dropped_with_the_loop() {
    for reactor in configured(|builder| builder.pool_idle(Duration::ZERO)) {
        let (handle, held, ended) = (reactor.handle(), Arc::default(), Arc::new(AtomicUsize::new(0)));
        let (result, told) = (Token(Arc::clone(&held)), Token(Arc::clone(&held)));
        let watch = watched(&ended);
        let work = move || {
            watch();
            result
        };
        let done = move |_| {
            let _told = told;
            unreachable!("the loop is stopped");
        };
        let job = handle.run_blocking(work, done).expect("it is taken");
        wait_until(|| ended.load(Ordering::SeqCst) == 1);
        // The outcome comes into the ready queue, and no further.
        handle.stop();
        reactor.run().expect("a run");
        assert_eq!(held.load(Ordering::SeqCst), 0);
        drop(reactor);
        assert_eq!(held.load(Ordering::SeqCst), 2, "the handle of the job holds the result");
        drop(job);
    }
}
