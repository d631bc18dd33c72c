//! A: tasks from other threads, and foreign wakers that await tasks.

use std::cell::RefCell;
use std::future::pending;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;

use futures::FutureExt;
use futures::executor::block_on;
use marline_reactor::{Builder, Handle};
use marline_tasks::task::Builder as TaskBuilder;
use marline_tasks::{JoinHandle, gather, sleep, spawn_remote, spawn_remote_with, task_list_on, yield_now};

use crate::conformance;
use crate::support::{Drops, Notes, World, failures};

/// What is sent to another thread, and counts where it is dropped.
struct Cargo {
    dropped: Arc<AtomicUsize>,
    home: thread::ThreadId,
}

impl Drop for Cargo {
    fn drop(&mut self) {
        let here = thread::current().id() == self.home;
        self.dropped.fetch_add(if here { 1 } else { 100 }, Ordering::SeqCst);
    }
}

conformance! {
    fn a21_a_task_spawned_from_another_thread_runs_on_the_loops(world: &World) {
        let (remote, home) = (world.handle().remote(), thread::current().id());
        let id = world.handle().loop_id();
        let thread = thread::spawn(move || {
            let task = spawn_remote(&remote, async move {
                assert_eq!(thread::current().id(), home);
                sleep(Duration::from_millis(2)).await;
                assert_eq!(Handle::current().expect("a loop").loop_id(), id);
                yield_now().await;
                "an output"
            });
            assert!(!task.is_finished() || task.id().is_some());
            block_on(task)
        });
        world.until_elsewhere(|| {
            if let Some(memory) = world.as_memory() {
                memory.advance(Duration::from_millis(1));
            }
            thread.is_finished()
        });
        assert_eq!(thread.join().expect("a thread").expect("an output"), "an output");
        assert_eq!(task_list_on(&world.handle()).len(), 0);
    }

    fn a21_tasks_of_one_thread_begin_in_order(world: &World) {
        const COUNT: usize = 100;
        let (remote, begun) = (world.handle().remote(), Arc::new(Mutex::new(Vec::new())));
        let list = Arc::clone(&begun);
        let tasks = thread::spawn(move || {
            let task = |index| {
                let list = Arc::clone(&list);
                spawn_remote(&remote, async move {
                    list.lock().expect("no panic").push(index);
                    yield_now().await;
                    index
                })
            };
            (0..COUNT).map(task).collect::<Vec<_>>()
        });
        let tasks = tasks.join().expect("a thread");
        assert!(begun.lock().expect("no panic").is_empty(), "nothing runs before the loop does");
        // Here they are awaited on the loop itself.
        let outputs = world.finish(gather(tasks)).expect("outputs");
        let wanted: Vec<_> = (0..COUNT).collect();
        assert_eq!((outputs, &*begun.lock().expect("no panic")), (wanted.clone(), &wanted));
    }

    fn a21_the_future_may_be_made_on_the_loops_thread(world: &World) {
        let (remote, drops) = (world.handle().remote(), Drops::new());
        let witnesses = drops.clone();
        let task = thread::spawn(move || {
            spawn_remote_with(&remote, move || {
                let witness = witnesses.witness();
                let shared = Rc::new(RefCell::new(40));
                async move {
                    *shared.borrow_mut() += 1;
                    yield_now().await;
                    *shared.borrow_mut() += 1;
                    drop(witness);
                    shared.take()
                }
            })
        });
        let task = task.join().expect("a thread");
        let thread = thread::spawn(move || block_on(task));
        world.until_elsewhere(|| thread.is_finished());
        assert_eq!((thread.join().expect("a thread").expect("an output"), drops.count()), (42, 1));
        // One whose making panics is a task that panicked.
        let remote = world.handle().remote();
        let task = thread::spawn(move || {
            let make = || -> std::future::Ready<()> { panic!("it cannot be made") };
            spawn_remote_with(&remote, make)
        });
        let task = task.join().expect("a thread");
        let error = world.finish(task).expect_err("a panic");
        assert!(error.to_string().contains("it cannot be made"), "{error}");
    }

    fn a21_handles_are_awaited_under_another_loop(world: &World) {
        let (other, remote) = (world.fresh(), world.handle().remote());
        // Both loops on this thread, and the handle of a task of one is awaited by a task of the other.
        let task = thread::spawn(move || spawn_remote(&remote, async {
            yield_now().await;
            7
        }));
        let task = task.join().expect("a thread");
        let waiting = other.spawn(async move { task.await.expect("an output") + 1 });
        other.settle();
        assert!(!waiting.is_finished());
        world.settle();
        assert_eq!(other.join(waiting), 8);
        // Two threads, one loop each; both await each other's task.
        let (there, back) = (world.handle().remote(), std::sync::mpsc::channel());
        let thread = thread::spawn(move || {
            let reactor = marline_reactor::Reactor::new().expect("a loop");
            back.0.send(reactor.handle().remote()).expect("the test");
            marline_tasks::run_on(&reactor, async move {
                spawn_remote(&there, async { thread::current().id() }).await.expect("an output")
            })
        });
        let far = back.1.recv().expect("a loop");
        let task = spawn_remote(&far, async { thread::current().id() });
        let far_thread = thread.thread().id();
        world.until_elsewhere(|| thread.is_finished() && task.is_finished());
        assert_eq!(thread.join().expect("a thread").expect("a run"), thread::current().id());
        match world.finish(task) {
            Ok(id) => assert_eq!(id, far_thread),
            // The other loop may be over before it comes to it.
            Err(error) => assert!(error.is_never_ran() || error.is_aborted(), "{error}"),
        }
    }

    fn a21_on_the_loops_own_thread_too(world: &World) {
        let (remote, notes) = (world.handle().remote(), Notes::new());
        let (made, trace) = (remote.clone(), notes.clone());
        let task = spawn_remote(&remote, async { 1 });
        // What is made here need not be `Send` after all.
        let outputs = world.finish(async move {
            let inner = spawn_remote_with(&made, || {
                Box::pin(async {
                    yield_now().await;
                    2
                })
            });
            trace.add("spawned");
            (task.await.expect("an output"), inner.await.expect("an output"))
        });
        assert_eq!((outputs, notes.len()), ((1, 2), 1));
    }

    fn a21_what_is_refused_is_dropped_here_and_the_handle_answers(world: &World) {
        let (home, dropped) = (thread::current().id(), Arc::new(AtomicUsize::new(0)));
        let cargo = |home| Cargo { dropped: Arc::clone(&dropped), home };
        // A loop that is gone.
        let doomed = world.fresh();
        let remote = doomed.handle().remote();
        drop(doomed);
        let load = cargo(home);
        let task = spawn_remote(&remote, async move { drop(load) });
        assert_eq!(dropped.load(Ordering::SeqCst), 1);
        assert!(task.is_finished() && task.id().is_none());
        assert!(block_on(task).expect_err("no loop").is_never_ran());
        // One that takes no more calls, asked from another thread.
        let limited = Builder::new().post_limit(0).build().expect("a loop");
        let remote = limited.handle().remote();
        let seen = Arc::clone(&dropped);
        let thread = thread::spawn(move || {
            let load = Cargo { dropped: Arc::clone(&seen), home: thread::current().id() };
            let task = spawn_remote_with(&remote, move || async move { drop(load) });
            assert_eq!(seen.load(Ordering::SeqCst), 2);
            block_on(task).expect_err("a refusal").is_never_ran()
        });
        assert!(thread.join().expect("a thread"));
        // One that was shut down.
        let ended = world.fresh();
        let remote = ended.handle().remote();
        ended.handle().shutdown();
        ended.run();
        let seen = Arc::clone(&dropped);
        let thread = thread::spawn(move || {
            let load = Cargo { dropped: Arc::clone(&seen), home: thread::current().id() };
            block_on(spawn_remote(&remote, async move { drop(load) })).expect_err("an end").is_never_ran()
        });
        assert!(thread.join().expect("a thread"));
        assert_eq!(dropped.load(Ordering::SeqCst), 3);
    }

    fn a21_a_loop_that_ends_first_loses_no_task_in_silence(world: &World) {
        for shut_down in [false, true] {
            let doomed = world.fresh();
            let (remote, home, dropped) = (doomed.handle().remote(), thread::current().id(), Arc::new(AtomicUsize::new(0)));
            let seen = Arc::clone(&dropped);
            // They are posted, and the loop never comes to them.
            let tasks = thread::spawn(move || {
                let task = |_| {
                    let load = Cargo { dropped: Arc::clone(&seen), home };
                    spawn_remote(&remote, async move {
                        let _load = load;
                        pending::<()>().await;
                    })
                };
                (0..3).map(task).collect::<Vec<_>>()
            });
            let mut tasks = tasks.join().expect("a thread");
            let waiting = tasks.pop().expect("a task");
            let thread = thread::spawn(move || block_on(waiting).expect_err("an end"));
            if shut_down {
                doomed.handle().shutdown();
                doomed.run();
            }
            drop(doomed);
            assert_eq!(dropped.load(Ordering::SeqCst), 3);
            let mut errors = vec![thread.join().expect("a thread")];
            for task in tasks {
                assert!(task.is_finished());
                errors.push(task.now_or_never().expect("an answer").expect_err("an end"));
            }
            // A loop that shuts down has let them in, and drops them; one that is dropped never hears of them.
            for error in errors {
                assert_eq!((error.is_aborted(), error.is_never_ran()), (shut_down, !shut_down), "{error}");
            }
        }
    }

    fn a21_a_task_under_way_can_be_aborted_or_let_go(world: &World) {
        let (remote, home, dropped) = (world.handle().remote(), thread::current().id(), Arc::new(AtomicUsize::new(0)));
        let (seen, polled) = (Arc::clone(&dropped), Arc::new(AtomicUsize::new(0)));
        let polls = Arc::clone(&polled);
        let thread = thread::spawn(move || {
            let task = |abort: bool| {
                let (load, polls) = (Cargo { dropped: Arc::clone(&seen), home }, Arc::clone(&polls));
                let builder = TaskBuilder::new().name(if abort { "aborted" } else { "let go" });
                let task = builder.spawn_remote(&remote, async move {
                    polls.fetch_add(1, Ordering::SeqCst);
                    yield_now().await;
                    drop(load);
                });
                assert_eq!(task.name(), Some(if abort { "aborted" } else { "let go" }));
                task
            };
            let (aborted, let_go) = (task(true), task(false));
            aborted.abort();
            drop(let_go);
            aborted
        });
        let aborted = thread.join().expect("a thread");
        assert!(!aborted.is_finished());
        world.settle();
        assert_eq!((polled.load(Ordering::SeqCst), dropped.load(Ordering::SeqCst)), (1, 2));
        assert!(aborted.is_finished());
        assert!(world.finish(aborted).expect_err("an abort").is_aborted());
        // One that has arrived is aborted there.
        let remote = world.handle().remote();
        let task = thread::spawn(move || spawn_remote(&remote, pending::<()>())).join().expect("a thread");
        world.settle();
        assert!(task.id().is_some() && !task.is_finished());
        let aborting = thread::spawn(move || {
            task.abort();
            block_on(task).expect_err("an abort").is_aborted()
        });
        world.until_elsewhere(|| task_list_on(&world.handle()).is_empty());
        assert!(aborting.join().expect("a thread"));
    }

    fn a21_an_arrival_wakes_whoever_waits_now(world: &World) {
        struct Count(AtomicUsize);
        impl Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        let remote = world.handle().remote();
        let mut task = thread::spawn(move || spawn_remote(&remote, async { 5 })).join().expect("a thread");
        let counts = [(); 2].map(|()| Arc::new(Count(AtomicUsize::new(0))));
        for count in &counts {
            let waker = Waker::from(Arc::clone(count));
            assert!(task.poll_unpin(&mut Context::from_waker(&waker)).is_pending());
        }
        world.settle();
        assert_eq!(counts.each_ref().map(|count| count.0.load(Ordering::SeqCst)), [0, 1]);
        assert_eq!(world.finish(task).expect("an output"), 5);
    }

    fn a21_panics_of_what_waits_for_a_task_under_way_harm_nobody(world: &World) {
        struct Bomb;
        impl Wake for Bomb {
            fn wake(self: Arc<Self>) {
                panic!("a waker that panics");
            }
        }
        struct Mine;
        impl Drop for Mine {
            fn drop(&mut self) {
                panic!("a future that panics when it is dropped");
            }
        }
        for arrives in [true, false] {
            let doomed = world.fresh();
            let reports = failures(&doomed.handle());
            let remote = doomed.handle().remote();
            let send = move || (0..3).map(|_| {
                let mine = Mine;
                spawn_remote(&remote, async move {
                    yield_now().await;
                    std::mem::forget(mine);
                })
            }).collect::<Vec<_>>();
            let mut tasks = thread::spawn(send).join().expect("a thread");
            for task in &mut tasks {
                let waker = Waker::from(Arc::new(Bomb));
                assert!(task.poll_unpin(&mut Context::from_waker(&waker)).is_pending());
            }
            if arrives {
                doomed.settle();
            }
            drop(doomed);
            for task in tasks {
                let answer = task.now_or_never().expect("an answer");
                assert_eq!(answer.is_ok(), arrives, "{answer:?}");
            }
            let count = |text: &str| reports.borrow().iter().filter(|report| report.contains(text)).count();
            let wakers = count("the waker of who waited for a task on its way");
            assert_eq!((wakers, count("when it is dropped")), if arrives { (3, 0) } else { (3, 3) }, "{reports:?}");
        }
    }

    fn a06_a_foreign_waker_that_panics_harms_nobody(world: &World) {
        // It has a size, so that what points to it is seen to keep its memory.
        struct Bomb {
            _size: u64,
        }
        impl Wake for Bomb {
            fn wake(self: Arc<Self>) {
                panic!("a waker that panics");
            }
        }
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("a waker that panics when it is dropped");
            }
        }
        let reports = failures(&world.handle());
        let mut tasks: Vec<JoinHandle<u8>> = (0..3).map(|value| world.spawn(async move {
            yield_now().await;
            value
        })).collect();
        // The last clone is never dropped, which would panic here.
        static KEPT: std::sync::Mutex<Vec<Waker>> = std::sync::Mutex::new(Vec::new());
        for task in &mut tasks {
            let waker = Waker::from(Arc::new(Bomb { _size: 0 }));
            assert!(task.poll_unpin(&mut Context::from_waker(&waker)).is_pending());
            KEPT.lock().unwrap().push(waker);
        }
        world.settle();
        assert!(tasks.iter().all(JoinHandle::is_finished));
        let outputs: Vec<_> = tasks.into_iter().map(|task| world.join(task)).collect();
        assert_eq!(outputs, [0, 1, 2]);
        let reports = reports.borrow();
        assert_eq!(reports.iter().filter(|report| report.contains("a waker that panics")).count(), 3, "{reports:?}");
    }
}
