//! A26: the same streams, timers and combinators on another executor.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{self, LocalBoxFuture};
use futures::io::AsyncReadExt;
use marline_tasks::task::Builder;
use marline_tasks::{
    CancelScope, MissedTicks, Stream, TaskGroup, copy, deferred, gather, interval, race, select, settle,
    sleep, spawn_on, task_stats, timeout, yield_now,
};

use crate::conformance;
use crate::executor::spawn;
use crate::support::{Probe, World};

const MS: Duration = Duration::from_millis(1);

/// Runs a future on the second executor until it is done, and shows that the first one had nothing to do with it.
#[track_caller]
fn finish<T: 'static>(world: &World, future: impl Future<Output = T> + 'static) -> T {
    let output = spawn(&world.handle(), future);
    let there = || {
        let value = output.take();
        let there = value.is_some();
        output.set(value);
        there
    };
    world.until(there);
    assert_eq!(world.handle().enter(task_stats).spawned, 0);
    output.take().expect("an output")
}

#[test]
fn a26_the_second_executor_has_at_most_a_hundred_lines() {
    let text = include_str!("executor.rs");
    assert!(text.lines().count() <= 100, "{} lines", text.lines().count());
    // It stands on the reactor alone, and on no helper of anybody's.
    for word in ["marline_tasks", "async_task", "futures::", "unsafe"] {
        assert!(!text.contains(word), "{word}");
    }
}

conformance! {
    fn a26_streams_and_listeners_run_on_a_second_executor(world: &World) {
        let listener = world.listener();
        let address = listener.local_address().expect("an address");
        let handle = world.handle();
        spawn(&world.handle(), async move {
            for _ in 0..2 {
                let stream = listener.accept().await.expect("a stream");
                spawn(&handle, async move { copy(&stream, &stream).await });
            }
        });
        let payload = world.payload();
        let sent = payload.clone();
        let echoed = finish(world, async move {
            let client = async |data: Vec<u8>| {
                let stream = Stream::connect(address.clone()).await.expect("a connection");
                let (mut reading, writing) = stream.into_split();
                let mut heard = vec![0; data.len()];
                let (wrote, read) = future::join(writing.write_all(&data), reading.read_exact(&mut heard)).await;
                wrote.and(read)?;
                writing.close().await?;
                // The echo ends when we have.
                let rest = reading.read(&mut [0; 8]).await?;
                Ok::<_, std::io::Error>((heard, rest))
            };
            gather([client(sent.clone()), client(sent.iter().rev().copied().collect())]).await
        });
        let echoed = echoed.expect("no failure");
        assert_eq!(echoed[0], (payload.clone(), 0));
        assert_eq!(echoed[1], (payload.iter().rev().copied().collect(), 0));
        world.until(|| world.handle().stats().connections == 0);
    }

    fn a26_far_ends_hear_a_second_executor(world: &World) {
        let listener = world.listener();
        let raw = world.connect_raw_to_listener(&listener);
        let task = spawn(&world.handle(), async move {
            let stream = listener.accept().await.expect("a stream");
            let mut buffer = [0; 5];
            // One that loses a race against time loses no data.
            assert!(timeout(Duration::ZERO, stream.read(&mut buffer)).await.is_err());
            let count = stream.read(&mut buffer).await.expect("bytes");
            stream.write_all(&buffer[..count]).await.expect("a write");
            stream.close().await.expect("a close");
            count
        });
        world.settle();
        raw.write(b"x");
        assert_eq!(world.read(&raw, 1), b"x");
        world.until(|| raw.is_finished());
        world.settle();
        assert_eq!(task.take(), Some(1));
    }

    fn a26_timers_run_on_a_second_executor(world: &World) {
        let handle = world.handle();
        let begun = handle.now();
        let (ticks, slept) = finish(world, async move {
            let mut interval = interval(2 * MS).missed(MissedTicks::Burst);
            let mut ticks = Vec::new();
            for _ in 0..3 {
                ticks.push(interval.tick().await - begun);
            }
            sleep(MS).await;
            assert!(timeout(MS, future::pending::<()>()).await.is_err());
            let scope = CancelScope::new();
            scope.cancel_after(MS);
            assert!(scope.run(future::pending::<()>()).await.expect_err("a deadline").is_deadline());
            (ticks, handle.now() - begun)
        });
        assert_eq!((ticks[1] - ticks[0], ticks[2] - ticks[1]), (2 * MS, 2 * MS));
        assert!(slept >= 9 * MS, "{slept:?}");
        assert_eq!(world.handle().stats().timers, 0);
    }

    fn a26_combinators_run_on_a_second_executor(world: &World) {
        let (resolver, answer) = deferred();
        let handle = world.handle();
        let polls = Rc::new(Cell::new(0));
        let count = Rc::clone(&polls);
        let outcome = finish(world, async move {
            let pair = gather!(sleep(MS).map(Ok::<_, ()>), async { Ok(2) }).await;
            let failed = gather([1, 2, 3].map(|n| async move {
                sleep(MS * n).await;
                if n == 2 { Err(n) } else { Ok(n) }
            }))
            .await
            .expect_err("a failure");
            let settled = settle([1, 2].map(|n| async move {
                yield_now().await;
                n
            }))
            .await;
            let naps: [LocalBoxFuture<'static, &str>; 2] = [
                async { sleep(50 * MS).await; "slow" }.boxed_local(),
                async { sleep(MS).await; "fast" }.boxed_local(),
            ];
            let first = race(naps).await;
            handle.call_later(50 * MS, move || resolver.resolve(7).expect("it is awaited"));
            let mut rounds = 0;
            let mut answer = answer;
            let answer = loop {
                rounds += 1;
                count.set(rounds);
                select! {
                    answer = &mut answer => break answer,
                    () = sleep(MS) => {}
                }
            };
            (pair.is_ok(), (failed.index, failed.error), settled, first, answer)
        });
        assert!(outcome.0 && outcome.4 == Ok(7));
        // The select lost to the sleep in the rounds before.
        assert!(polls.get() >= 3, "{} rounds", polls.get());
        assert_eq!((outcome.1, outcome.2), ((1, 2), vec![1, 2]));
        assert!(format!("{:?}", outcome.3).contains("fast"));
    }

    fn a26_both_executors_share_a_loop(world: &World) {
        // A task of one awaits a task of the other, in both directions, and a group is joined from the second.
        let handle = world.handle();
        let first = Builder::new().name("first").spawn_on(&handle, async {
            sleep(MS).await;
            1
        });
        let (resolver, second) = deferred();
        let group = TaskGroup::<u8, String>::new();
        handle.enter(|| group.spawn(async {
            yield_now().await;
            Ok(3)
        }));
        let done = spawn(&handle, async move {
            let one = first.await.expect("an output");
            resolver.resolve(one + 1).expect("it is awaited");
            group.join().await.expect("no failure")
        });
        let waiting = spawn_on(&handle, async move { second.await.expect("a value") });
        world.until(|| waiting.is_finished());
        assert_eq!(world.join(waiting), 2);
        world.settle();
        assert_eq!(done.take(), Some(vec![3]));
    }

    fn a26_wakes_come_from_other_threads_and_the_end_drops_its_tasks(world: &World) {
        let (probe, home) = (Probe::new(), Arc::new(AtomicBool::new(false)));
        let doomed = world.fresh();
        let (resolver, answer) = deferred();
        let set = Arc::clone(&home);
        spawn(&doomed.handle(), async move {
            let answer: Result<thread::ThreadId, _> = answer.await;
            set.store(answer.is_ok_and(|id| id != thread::current().id()), Ordering::SeqCst);
        });
        spawn(&doomed.handle(), probe.future());
        doomed.settle();
        let thread = thread::spawn(move || resolver.resolve(thread::current().id()));
        doomed.until_elsewhere(|| home.load(Ordering::SeqCst));
        thread.join().expect("a thread").expect("it was awaited");
        let waker = probe.waker();
        assert_eq!((probe.polls(), probe.drops()), (1, 0));
        drop(doomed);
        assert_eq!(probe.drops(), 1);
        waker.wake();
    }

    fn a26_its_tasks_are_spawned_by_callbacks_too(world: &World) {
        let (handle, words) = (world.handle(), Rc::new(RefCell::new(Vec::new())));
        let (said, inner) = (Rc::clone(&words), handle.clone());
        handle.call_soon(move || {
            let later = Rc::clone(&said);
            spawn(&inner, async move {
                yield_now().await;
                later.borrow_mut().push("task");
            });
            said.borrow_mut().push("callback");
        });
        world.settle();
        assert_eq!(*words.borrow(), ["callback", "task"]);
    }
}
