//! A: nobody starves, and rivals have equal chances.

use std::cell::{Cell, RefCell};
use std::future::{Ready, pending, ready};
use std::rc::Rc;
use std::time::Duration;

use marline_reactor::Transport;
use marline_tasks::{interval, race, select, sleep, sleep_until, yield_now};

use crate::conformance;
use crate::support::{Probe, World, skip};

/// After so many batches events and timers are looked at again (T02),
const BATCHES: usize = 64;
/// or after so many callbacks.
const CALLBACKS: usize = 8192;

conformance! {
    fn a09_one_task_that_is_always_ready_starves_nobody(world: &World) {
        let (late, most) = (starve(world, 1), most_turns(world) * BATCHES + 8);
        assert!(late.iter().all(|late| *late <= most), "{late:?}");
    }

    fn a09_hundreds_of_them_starve_nobody(world: &World) {
        let (late, most) = (starve(world, 300), most_turns(world) * CALLBACKS + 400);
        assert!(late.iter().all(|late| *late <= most), "{late:?}");
    }

    fn a09_stop_is_served_too(world: &World) {
        let (spins, handle) = (Rc::new(Cell::new(0)), world.handle());
        let counter = Rc::clone(&spins);
        let _guard = handle.keep_alive();
        let task = world.spawn(async move {
            loop {
                counter.set(counter.get() + 1);
                if counter.get() == 1000 {
                    handle.stop();
                }
                yield_now().await;
            }
        });
        world.run();
        assert_eq!(spins.get(), 1000);
        task.abort();
        world.settle();
    }

    fn a09_sleeping_for_no_time_lets_others_go_first(world: &World) {
        assert!(spin(world, async || sleep(Duration::ZERO).await) <= 256);
        let past = world.handle().now();
        assert!(spin(world, async move || sleep_until(past).await) <= 256);
        let ticks = RefCell::new(world.handle().enter(|| interval(Duration::ZERO)));
        let tick = async move || {
            std::future::poll_fn(|context| ticks.borrow_mut().poll_tick(context)).await;
        };
        assert!(spin(world, tick) <= 256);
    }

    fn a09_writing_to_a_peer_who_reads_as_fast_lets_others_go_first(world: &World) {
        let Some(memory) = world.as_memory() else {
            let (stream, raw) = world.stream();
            raw.discard();
            // Such pieces are sent at once.
            let piece = vec![7; 16 * 1024];
            let steps = spin(world, async move || stream.write_all(&piece).await.expect("a write"));
            return assert!(steps <= 256, "{steps} steps");
        };
        memory.network().set_capacity(usize::MAX);
        world.send_whole();
        let (stream, raw) = world.stream();
        // More than may wait, so that each write has to send.
        let data = vec![7; 70_000];
        assert!(spin(world, async move || stream.write_all(&data).await.expect("a write")) <= 256);
        world.settle();
        assert!(raw.read().len() >= 60 * 70_000);
    }

    fn a09_reading_what_is_there_lets_others_go_first(world: &World) {
        let (stream, raw) = world.stream();
        raw.write(&[1; 4000]);
        raw.finish();
        let stream = Rc::new(stream);
        for _ in 0..2 {
            let stream = Rc::clone(&stream);
            let read = async move || {
                let mut byte = [0];
                stream.read(&mut byte).await.expect("a byte, or the end");
            };
            // The first time there are bytes, the second time the end.
            assert!(spin(world, read) <= 4000 + 256);
        }
    }

    fn a09_reading_with_little_room_pays_once_for_each_look_at_the_connection(world: &World) {
        let Some(memory) = world.as_memory().filter(|_| !world.is_seeded() && !world.is_adversarial()) else {
            return skip("only a network without chance gives as much as there is room for");
        };
        memory.network().set_capacity(usize::MAX);
        let (stream, raw) = world.stream();
        let (looks, each) = (200, 64 * 1024);
        // Bytes are left with the connection for whoever waits with much room.
        let first = world.spawn(async move {
            stream.read(&mut vec![0; each]).await.expect("bytes");
            stream
        });
        world.settle();
        raw.write(&vec![7; (1 + looks) * each]);
        let (stream, got) = (Rc::new(world.join(first)), Rc::new(Cell::new(0)));
        let counted = Rc::clone(&got);
        // A power of two, so that no read goes across the end of what was received.
        let read = async move || {
            let count = stream.read(&mut [0; 512]).await.expect("bytes");
            counted.set(counted.get() + count);
        };
        spin(world, read);
        assert_eq!(got.get() / each, 128, "as much as the allowance of a task lets it look");
    }

    fn a12_ready_rivals_have_equal_chances_and_the_seed_decides(world: &World) {
        let picks = |world: &World| world.finish(pick(200));
        let first = picks(world);
        if world.is_memory() {
            assert_eq!(first, picks(&world.fresh()), "a run can be repeated");
        }
        let is_tame = world.is_memory() && !world.is_seeded();
        for (from, to) in [(0, 200), (200, 400)] {
            let counts = [0, 1, 2].map(|rival| first[from..to].iter().filter(|pick| **pick == rival).count());
            if is_tame {
                assert_eq!(counts, [200, 0, 0]);
            } else {
                assert!(counts.iter().all(|count| (25..140).contains(count)), "{counts:?}");
            }
        }
        assert!(first[400..].iter().all(|pick| *pick == 0), "fixed on request");
    }

    fn a12_the_losers_are_dropped_before_the_winner_is_seen(world: &World) {
        let (stream, raw) = world.stream();
        let (other, _other_raw) = world.stream();
        let probe = Probe::new();
        let loser = probe.future();
        let task = world.spawn(async move {
            let (mut one, mut two) = ([0; 8], [0; 8]);
            let mut seen = Vec::new();
            select! {
                count = stream.read(&mut one) => seen.push((count.expect("bytes"), probe.drops())),
                _ = other.read(&mut two) => unreachable!("nothing was sent"),
                () = loser => unreachable!("it is never ready"),
            }
            // Nobody holds the turn to read any more.
            let loser = probe.future();
            let reads = race([stream.read(&mut one), other.read(&mut two)]);
            select! {
                (index, count) = reads => seen.push((index + count.expect("bytes"), probe.drops())),
                () = loser => unreachable!("it is never ready"),
            }
            let again = select! {
                fixed;
                answer = other.read(&mut two) => answer.is_err(),
                answer = stream.read(&mut one) => answer.is_err(),
                () = ready(()) => false,
            };
            (seen, again)
        });
        world.settle();
        raw.write(b"x");
        world.settle();
        raw.write(b"y");
        assert_eq!(world.join(task), (vec![(1, 1), (1, 2)], false));
    }
}

/// In so many turns everybody is served: the one that is under way, the next, and more where chance holds events back.
fn most_turns(world: &World) -> usize {
    1 + world.most_turns_late().max(1)
}

/// Lets so many tasks spin, and something happen to a connection, a timer and a callback: after how many spins each of them
/// was served.
fn starve(world: &World, tasks: usize) -> [usize; 3] {
    let spins = Rc::new(Cell::new(0));
    let late = Rc::new(Cell::new([usize::MAX; 3]));
    let (served, counter) = (Rc::clone(&late), Rc::clone(&spins));
    let note = move |which: usize, begun: usize| {
        let mut all = served.get();
        all[which] = counter.get() - begun;
        served.set(all);
    };
    let begun = Rc::new(Cell::new(0));
    let (noted, at) = (note.clone(), Rc::clone(&begun));
    let (_, far) = world.accept_one(move |_: &Transport, _: &[u8]| noted(0, at.get()));
    let far = Rc::new(far);
    let clock = world.as_memory().map(|memory| memory.clock().clone());
    for index in 0..tasks {
        let (counter, raw, note, begun) =
            (Rc::clone(&spins), Rc::clone(&far), note.clone(), Rc::clone(&begun));
        let (clock, handle) = (clock.clone(), world.handle());
        drop(world.spawn(async move {
            loop {
                counter.set(counter.get() + 1);
                if index == 0 && counter.get() > 500 && begun.get() == 0 {
                    begun.set(counter.get());
                    let (timed, called, at) = (note.clone(), note.clone(), counter.get());
                    raw.write(b"x");
                    let timer = handle.call_later(Duration::from_nanos(10), move || timed(1, at));
                    timer.unreference();
                    handle.call_soon(move || called(2, at));
                    clock.iter().for_each(|clock| clock.advance(Duration::from_nanos(10)));
                }
                yield_now().await;
            }
        }));
    }
    world.until(|| late.get().iter().all(|late| *late != usize::MAX));
    late.get()
}

/// Does something again and again until a callback that was scheduled before has run: how often that was.
fn spin(world: &World, step: impl AsyncFn() + 'static) -> usize {
    let (called, handle) = (Rc::new(Cell::new(false)), world.handle());
    let seen = Rc::clone(&called);
    let spinning = async move {
        handle.call_soon(move || seen.set(true));
        let mut steps = 0;
        while !called.get() && steps < 100_000 {
            step().await;
            steps += 1;
        }
        steps
    };
    world.finish(spinning)
}

async fn pick(rounds: usize) -> Vec<usize> {
    let mut picks = Vec::new();
    for _ in 0..rounds {
        picks.push(select! {
            () = ready(()) => 0,
            () = async {} => 1,
            () = ready(()) => 2,
            () = pending() => unreachable!("it is never ready"),
        });
    }
    for _ in 0..rounds {
        picks.push(race([ready(0), ready(1), ready(2)]).await.0);
    }
    for _ in 0..rounds {
        let rivals: [Ready<usize>; 3] = [0, 1, 2].map(ready);
        picks.push(race(rivals).fixed().await.1);
        picks.push(select! { fixed; () = async {} => 0, () = ready(()) => 1 });
    }
    picks
}
