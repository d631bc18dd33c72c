//! What a flood of calls from other threads leaves behind: nothing.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread::{self, JoinHandle};

use marline_reactor::backend::memory::Memory;
use marline_reactor::testing::{Clock, Network};
use marline_reactor::{Choices, Reactor, Remote};
use marline_tests::backends;
use marline_tests::counting::Counts;

const THREADS: usize = 4;
const POSTS: usize = 250_000;
/// How many bytes more than before may be in use when a flood is over, of the fifty million or more that it takes: each of
/// the lists that the calls go through keeps room for some thousands, if it has not grown beyond that.
const BUDGET: i64 = 1024 * 1024;

fn loops() -> Vec<Reactor> {
    let memory = Memory::new(&Network::new(Choices::tame()), &Clock::new());
    let mut loops: Vec<_> = backends::here().into_iter().map(backends::reactor).collect();
    loops.push(Reactor::with_backend(memory).expect("a loop"));
    loops
}

/// Threads that post; each answers with the bytes that it allocated more than it freed.
fn flood(remote: &Remote, ran: &Arc<AtomicUsize>) -> Vec<JoinHandle<i64>> {
    let barrier = Arc::new(Barrier::new(THREADS));
    let poster = |_| {
        let (remote, ran, barrier) = (remote.clone(), Arc::clone(ran), Arc::clone(&barrier));
        thread::spawn(move || {
            barrier.wait();
            let before = Counts::here();
            for number in 0..POSTS {
                let ran = Arc::clone(&ran);
                let posted = if number % 16 == 0 {
                    // More than fits a place in the queue.
                    let padding = [number; 6];
                    remote.post(move || _ = ran.fetch_add(padding.len() / 6, Ordering::Relaxed)).is_ok()
                } else {
                    remote.post(move || _ = ran.fetch_add(1, Ordering::Relaxed)).is_ok()
                };
                assert!(posted);
            }
            Counts::here().since(before).bytes
        })
    };
    (0..THREADS).map(poster).collect()
}

/// What all of the threads together use more than before.
fn assert_returned(before: Counts, threads: i64) {
    let bytes = Counts::here().since(before).bytes + threads;
    println!("{bytes} bytes more than before a flood of {} posts, at most {BUDGET}", THREADS * POSTS);
    assert!(bytes <= BUDGET, "{bytes} bytes did not return");
}

#[test]
fn n02_of_a_flood_that_meets_a_running_loop_none_is_lost_and_the_memory_returns() {
    for reactor in loops() {
        let (handle, ran) = (reactor.handle(), Arc::new(AtomicUsize::new(0)));
        let (remote, alive) = (handle.remote(), handle.keep_alive());
        let before = Counts::here();
        let posters = flood(&remote, &ran);
        let end = thread::spawn(move || {
            let bytes: i64 =
                posters.into_iter().map(|poster| poster.join().expect("a thread that ends")).sum();
            let there = remote.clone();
            assert!(remote.post(move || there.local().expect("the loop's thread").stop()).is_ok());
            bytes
        });
        reactor.run().expect("a run");
        drop(alive);
        assert_eq!(ran.load(Ordering::Relaxed), THREADS * POSTS);
        assert_returned(before, end.join().expect("a thread that ends"));
    }
}

#[test]
fn n02_n04_of_a_flood_that_waits_for_the_run_none_is_lost_and_the_memory_returns() {
    for reactor in loops() {
        let (handle, ran) = (reactor.handle(), Arc::new(AtomicUsize::new(0)));
        let before = Counts::here();
        let posters = flood(&handle.remote(), &ran);
        let threads = posters.into_iter().map(|poster| poster.join().expect("a thread that ends")).sum();
        assert!(threads > 32 * (THREADS * POSTS) as i64, "all of it waits");
        reactor.run().expect("a run");
        assert_eq!(ran.load(Ordering::Relaxed), THREADS * POSTS);
        assert_eq!(handle.stats().wake_ups, 0, "a loop that does not sleep is not woken");
        assert_returned(before, threads);
    }
}
