//! T: what the loop waits for, how long, and on which clock.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use marline_reactor::backend::Backend;
use marline_reactor::backend::completion::Uring;
use marline_reactor::backend::memory::Memory;
use marline_reactor::backend::readiness::Readiness;
use marline_reactor::testing::{Clock, Network};
use marline_reactor::{Choices, Handle, Instant, Reactor};
use marline_tests::backends::has_completion;

use crate::conformance;
use crate::support::{Faults, Faulty, World};

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// A loop and what it waits for.
type Watched = (Reactor, Faults);

fn watch(backend: impl Backend + 'static) -> Watched {
    let watch = Faults::new();
    (Reactor::with_backend(Faulty::new(backend, &watch)).expect("a loop"), watch)
}

/// A loop on each backend that waits for real sockets, as programs run it.
fn watched_on_sockets() -> Vec<Watched> {
    let completion = has_completion().then(|| watch(Uring::new().expect("a backend")));
    [watch(Readiness::new().expect("a backend"))].into_iter().chain(completion).collect()
}

/// One on memory, too, where time jumps: whether it is real.
fn watched() -> Vec<(Watched, bool)> {
    let memory = watch(Memory::new(&Network::new(Choices::tame()), &Clock::new()));
    watched_on_sockets().into_iter().map(|watched| (watched, true)).chain([(memory, false)]).collect()
}

/// The waits without repetition: a backend may come back early.
fn distinct(watch: &Faults) -> Vec<Option<Instant>> {
    let mut all = watch.waits();
    all.dedup();
    all
}

/// Whether these are some of those, in their order.
fn is_part_of<T: PartialEq>(some: &[T], all: &[T]) -> bool {
    let mut all = all.iter();
    some.iter().all(|one| all.any(|other| other == one))
}

#[test]
fn t13_the_loop_waits_for_the_nearest_deadline() {
    for ((reactor, watch), real) in watched() {
        let handle = reactor.handle();
        let start = handle.now();
        let deadlines = [ms(20), ms(5), ms(12)].map(|delay| start + delay);
        let cancelled = handle.call_at(start + ms(1), || unreachable!("it is cancelled"));
        let timers = deadlines.map(|deadline| handle.call_at(deadline, || {}));
        assert!(cancelled.cancel() && timers[0].reset_at(start + ms(25)));
        assert_eq!(reactor.next_deadline(), Some(deadlines[1]));
        reactor.run().expect("a run");
        let expected = [deadlines[1], deadlines[2], start + ms(25)].map(Some);
        // On a clock that goes on by itself a deadline may have passed before it could be waited for.
        let waited = distinct(&watch);
        assert!(is_part_of(&waited, &expected), "{waited:?}");
        assert!(waited == expected || real, "{waited:?}");
        // A backend may come back early, but a loop that spins waits thousands of times.
        let most = if real { 40 } else { 6 };
        assert!(watch.waits().len() <= most, "{} waits for three timers", watch.waits().len());
    }
}

#[test]
fn t13_with_no_timer_the_loop_waits_for_ever() {
    for ((reactor, watch), _) in watched() {
        let (handle, before) = (reactor.handle(), reactor.handle().stats().turns);
        let _alive = handle.keep_alive();
        let remote = handle.remote();
        let poster = std::thread::spawn(move || {
            std::thread::sleep(ms(20));
            let back = remote.clone();
            assert!(remote.post(move || back.local().expect("the loop's thread").stop()).is_ok());
        });
        reactor.run().expect("a run");
        poster.join().expect("a thread that ends");
        // The last may have come before the loop slept.
        let limited =
            watch.waits().iter().filter(|until| !matches!(until, None | Some(Instant::ZERO))).count();
        assert_eq!(limited, 0, "{:?}", watch.waits());
        // A wait that the system interrupts is waited again.
        assert!(handle.stats().turns - before <= 20, "{:?}", watch.waits());
    }
}

#[test]
fn t13_what_is_ready_is_not_waited_for() {
    for ((reactor, watch), _) in watched() {
        let handle = reactor.handle();
        handle.call_later(Duration::from_secs(3600), || {}).unreference();
        handle.call_soon(|| {});
        reactor.turn(None).expect("a turn");
        assert_eq!(watch.waits(), [Some(Instant::ZERO)]);
        // A limit of the caller's counts where it comes first.
        let limit = handle.now() + ms(2);
        reactor.turn(Some(ms(2))).expect("a turn");
        let until = watch.waits()[1].expect("a moment");
        assert!(until >= limit && until < limit + Duration::from_secs(60), "{until:?}");
    }
}

#[test]
fn t13_a_wake_up_in_between_does_not_make_the_timer_late() {
    // A wait that does not shrink is late by two thirds of the time, however long that is; other programs are in the way
    // for a while only.
    let delays = [150, 300, 600, 1200, 2400, 4800, 9600].map(ms);
    for which in 0..watched_on_sockets().len() {
        let on_time = |delay| is_on_time_after_a_wake_up(watched_on_sockets().swap_remove(which), delay);
        assert!(delays.into_iter().any(on_time), "the wait did not shrink");
    }
}

/// Wakes a loop that waits for a timer, after two thirds of its time: whether the timer was on time all the same, and
/// there was another wait for it. Virtual time jumps to the deadline, so on memory nothing comes in between.
fn is_on_time_after_a_wake_up((reactor, watch): Watched, delay: Duration) -> bool {
    let handle = reactor.handle();
    let deadline = handle.now() + delay;
    let late = Rc::new(Cell::new(None));
    let (told, again, remote) = (Rc::clone(&late), handle.clone(), handle.remote());
    handle.call_at(deadline, move || told.set(Some(again.now() - deadline)));
    let poster = std::thread::spawn(move || {
        std::thread::sleep(delay / 3 * 2);
        assert!(remote.post(|| {}).is_ok());
    });
    reactor.run().expect("a run");
    poster.join().expect("a thread that ends");
    let waited = watch.waits();
    assert!(waited.iter().all(|until| [Some(deadline), Some(Instant::ZERO)].contains(until)), "{waited:?}");
    let twice = waited.iter().filter(|until| **until == Some(deadline)).count() >= 2;
    twice && late.get().is_some_and(|late| late < delay / 3)
}

conformance! {
    fn t13_waiting_takes_no_turns(world: &World) {
        let handle = world.handle();
        let before = handle.stats();
        handle.call_later(ms(30), || {});
        handle.call_later(ms(60), || {});
        world.run();
        let after = handle.stats();
        let turns = after.turns - before.turns;
        let most = if world.is_memory() { 4 + world.most_turns_late() as u64 } else { 20 };
        assert!(turns <= most, "{turns} turns");
        if !world.is_memory() {
            let (waits, turns) = (after.system_calls.waits - before.system_calls.waits, after.turns - before.turns);
            // A host's turn on a ring looks without a call, and submits with one before its host waits, if at all.
            assert!(waits == turns || (world.is_guest_on_ring() && waits <= 2 * turns), "{waits} waits, {turns} turns");
        }
    }

    fn t14_sleeps_below_a_millisecond_do_not_spin(world: &World) {
        fn sleep(handle: &Handle, left: usize) {
            let again = handle.clone();
            if left > 0 {
                let wanted = handle.now() + Duration::from_micros(300);
                handle.call_at(wanted, move || {
                    assert!(again.now() >= wanted, "it came early");
                    sleep(&again, left - 1);
                });
            }
        }
        const SLEEPS: usize = 20;
        let handle = world.handle();
        let before = handle.stats();
        sleep(&handle, SLEEPS);
        world.run();
        let turns = handle.stats().turns - before.turns;
        assert!(turns <= 2 * SLEEPS as u64 + 2, "{turns} turns for {SLEEPS} sleeps");
    }
}

/// T33: the clock is the system's monotonic one, which a change of the wall clock does not touch (clock_gettime(2)), on
/// memory a virtual one; and nothing in the loop asks for the wall clock's time.
#[test]
fn t33_timers_follow_the_monotonic_clock_alone() {
    let monotonic = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
    };
    for world in World::each().iter().filter(|world| !world.is_memory()) {
        let handle = world.handle();
        // Each reading of the loop's clock lies between two of the monotonic one.
        let readings: Vec<_> = (0..20)
            .map(|_| {
                std::thread::sleep(ms(1));
                (monotonic(), handle.now(), monotonic())
            })
            .collect();
        let (before, start, after) = readings[0];
        for (earliest, now, latest) in &readings[1..] {
            let passed = *now - start;
            assert!(passed >= *earliest - after && passed <= *latest - before, "{passed:?}");
        }
    }
    let sources = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/reactor/src");
    for file in rust_files(sources.as_ref()) {
        let text = std::fs::read_to_string(&file).expect("a source");
        for wall_clock in ["SystemTime", "UNIX_EPOCH", "ClockId::Realtime"] {
            assert!(!text.contains(wall_clock), "{file:?} asks for the wall clock's time");
        }
    }
}

fn rust_files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let mut files: Vec<_> =
        files.into_iter().filter(|file| file.extension().is_some_and(|kind| kind == "rs")).collect();
    files.extend(folders.iter().flat_map(|folder| rust_files(folder)));
    files
}
