//! A: what becomes of tasks when their loop ends.

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::FutureExt;
use marline_reactor::{ConnectError, ListenError, WriteStatus};
use marline_tasks::{Connect, JoinHandle, Listener, Stream, deferred, sleep, spawn, spawn_on, yield_now};
use marline_tests::PATIENCE;

use crate::conformance;
use crate::support::{Drops, Probe, World, failures};

conformance! {
    fn a08_shutdown_drops_live_tasks_on_their_thread(world: &World) {
        let (drops, probe) = (Drops::new(), Probe::new());
        let (tasks, _raw) = tasks_everywhere(world, &drops, &probe);
        world.handle().shutdown();
        assert_eq!(drops.count(), 0, "nothing happens during the call");
        world.run();
        assert_eq!((drops.count(), probe.drops()), (tasks.len(), 1));
        for task in tasks {
            assert!(task.now_or_never().expect("an end").expect_err("an abort").is_aborted());
        }
        let late = spawn_on(&world.handle(), async {});
        assert!(late.now_or_never().expect("an answer").expect_err("no loop").is_never_ran());
    }

    fn a08_a_dropped_reactor_drops_live_tasks_on_their_thread(world: &World) {
        let doomed = world.fresh();
        let (drops, probe) = (Drops::new(), Probe::new());
        let (tasks, _raw) = tasks_everywhere(&doomed, &drops, &probe);
        // A task that holds its own handle, and so could keep itself alive.
        let (own, witness) = (Rc::new(RefCell::new(None::<JoinHandle<()>>)), drops.witness());
        let (cycle, weak) = (Rc::clone(&own), Rc::downgrade(&own));
        *own.borrow_mut() = Some(doomed.spawn(async move {
            let _held = (cycle, witness);
            pending::<()>().await;
        }));
        drop(own);
        let handle = doomed.handle();
        drop(doomed);
        assert_eq!((drops.count(), probe.drops(), weak.strong_count()), (tasks.len() + 1, 1, 0));
        for task in tasks {
            assert!(task.now_or_never().expect("an end").expect_err("an abort").is_aborted());
        }
        let late = spawn_on(&handle, async {});
        assert!(late.now_or_never().expect("an answer").expect_err("no loop").is_never_ran());
    }

    fn a08_destructors_get_error_values_on_shutdown(world: &World) {
        let (answers, _raw, reports) = last_words(world);
        world.handle().shutdown();
        world.run();
        check(&answers);
        assert_eq!(*reports.borrow(), [""; 0]);
    }

    fn a08_destructors_get_error_values_on_the_drop_of_the_reactor(world: &World) {
        let doomed = world.fresh();
        let (answers, _raw, reports) = last_words(&doomed);
        drop(doomed);
        check(&answers);
        assert_eq!(*reports.borrow(), [""; 0]);
    }

    fn a08_a_write_or_flush_in_a_destructor_is_an_error_also_while_the_close_is_under_way(world: &World) {
        world.with_faults(|world, faults| {
            let (stream, _raw) = world.stream();
            faults.hold_sends();
            let transport = stream.transport().expect("a transport");
            transport.write(b"held");
            world.until(|| faults.held() == 1);
            let answers = Rc::new(Cell::new(None));
            let parting = Parting { stream, answers: Rc::clone(&answers) };
            drop(world.spawn(async move {
                let _parting = parting;
                std::future::pending::<()>().await;
            }));
            world.settle();
            world.handle().shutdown();
            world.run();
            let Some([written, flushed]) = answers.take() else { panic!("nothing was dropped") };
            assert!(matches!(written, Some(Err(_))), "{written:?}");
            assert!(matches!(flushed, Some(Err(_))), "{flushed:?}");
        });
    }

    fn a08_destructors_that_panic_harm_nobody(world: &World) {
        for drops_reactor in [false, true] {
            let doomed = world.fresh();
            let reports = failures(&doomed.handle());
            let drops = Drops::new();
            let probe = Probe::new();
            let bomb = |waits: bool| {
                let held = (drops.witness(), Bomb);
                async move {
                    let _held = held;
                    if waits {
                        pending::<()>().await;
                    }
                    yield_now().await;
                    pending::<()>().await;
                }
            };
            drop(doomed.spawn(bomb(true)));
            drop(doomed.spawn(probe.future()));
            doomed.settle();
            // These two stand in the ready queue: one was never polled, the other is woken.
            drop(doomed.spawn(bomb(false)));
            probe.wake();
            if drops_reactor {
                drop(doomed);
            } else {
                doomed.handle().shutdown();
                doomed.run();
            }
            assert_eq!((drops.count(), probe.drops()), (2, 1));
            let reports = reports.borrow();
            assert_eq!(reports.len(), 2, "{reports:?}");
            assert!(reports.iter().all(|report| report.contains("a destructor that panics")), "{reports:?}");
        }
    }

    fn a08_a_shutdown_waits_for_goodbyes_that_hold_it_up(world: &World) {
        let (stream, raw) = world.stream();
        let handle = world.handle();
        let said = Rc::new(Cell::new(false));
        let told = Rc::clone(&said);
        handle.on_shutdown(marline_reactor::Phase::Before, move |hold| {
            spawn(async move {
                stream.write_all(b"goodbye").await.expect("a write");
                sleep(Duration::from_millis(2)).await;
                stream.close().await.expect("a close");
                told.set(true);
                drop(hold);
            });
        });
        handle.shutdown();
        world.run();
        assert!(said.get());
        let heard = RefCell::new(Vec::new());
        let begun = std::time::Instant::now();
        while heard.borrow().len() < 7 && begun.elapsed() < PATIENCE {
            heard.borrow_mut().extend(raw.read());
        }
        assert_eq!(*heard.borrow(), b"goodbye");
    }
}

/// Tasks in all the places where a task can be. Each holds a witness; one more is a probe's.
fn tasks_everywhere(
    world: &World,
    drops: &Drops,
    probe: &Probe,
) -> (Vec<JoinHandle<()>>, (crate::support::Raw, JoinHandle<()>)) {
    let (stream, raw) = world.stream();
    let witnesses: Vec<_> = (0..6).map(|_| drops.witness()).collect();
    let mut witnesses = witnesses.into_iter();
    let mut next = || witnesses.next().expect("a witness");
    let (reading, sleeping, listening, woken, elsewhere, fresh) =
        (next(), next(), next(), next(), next(), next());
    let foreign = Rc::new(RefCell::new(None::<Waker>));
    let (place, listener, again) = (Rc::clone(&foreign), world.listener(), Probe::new());
    let known = again.future();
    let mut tasks = vec![
        world.spawn(async move {
            let _reading = reading;
            let _ = stream.read(&mut [0; 8]).await;
        }),
        world.spawn(async move {
            let _sleeping = sleeping;
            sleep(Duration::from_secs(3600)).await;
        }),
        world.spawn(async move {
            let _listening = listening;
            let _ = listener.accept().await;
        }),
        world.spawn(async move {
            let _woken = woken;
            known.await;
        }),
        world.spawn(async move {
            let _elsewhere = elsewhere;
            poll_fn(|context| {
                *place.borrow_mut() = Some(context.waker().clone());
                Poll::<()>::Pending
            })
            .await;
        }),
    ];
    let probing = world.spawn(probe.future());
    world.settle();
    // One is woken, one is woken by another thread of which the loop has not heard, one was never polled.
    again.wake();
    let waker = foreign.take().expect("a poll");
    std::thread::spawn(move || waker.wake()).join().expect("a thread");
    tasks.push(world.spawn(async move { drop(fresh) }));
    let last = tasks.pop().expect("the last");
    // Whether the last is still to begin is for the test to see: it may end in good order before a shutdown.
    last.abort();
    tasks.push(last);
    (tasks, (raw, probing))
}

/// Its drop panics.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a destructor that panics");
    }
}

/// What writing and flushing answered, in one poll each.
type Attempts = [Option<std::io::Result<()>>; 2];

/// Writes to its stream when it is dropped, and flushes it.
struct Parting {
    stream: Stream,
    answers: Rc<Cell<Option<Attempts>>>,
}

impl Drop for Parting {
    fn drop(&mut self) {
        let written = self.stream.write_all(b"farewell").now_or_never();
        self.answers.set(Some([written, self.stream.flush().now_or_never()]));
    }
}

/// What a destructor was answered.
#[derive(Default)]
struct Answers {
    spawned: Option<JoinHandle<()>>,
    polled: Rc<Cell<bool>>,
    written: Option<WriteStatus>,
    stream: Option<std::io::Result<()>>,
    bound: Option<Result<Listener, ListenError>>,
    connecting: Option<Connect>,
    slept: bool,
}

/// Does, when it is dropped, everything that a destructor could think of.
struct LastWords {
    answers: Rc<RefCell<Answers>>,
    stream: Stream,
    transport: marline_reactor::Transport,
    others: Probe,
    handle: marline_reactor::Handle,
}

impl Drop for LastWords {
    fn drop(&mut self) {
        let polled = Rc::clone(&self.answers.borrow().polled);
        let spawned = spawn(async move { polled.set(true) });
        spawned.abort();
        self.others.wake();
        let (resolver, answer) = deferred();
        drop(answer.call_back(|_: Result<u8, _>| {}));
        let _ = resolver.resolve(1);
        let mut context = Context::from_waker(Waker::noop());
        let slept = pin!(sleep(Duration::from_millis(1))).poll(&mut context).is_ready();
        self.handle.call_soon(|| {});
        self.handle.call_later(Duration::ZERO, || {});
        self.handle.signal(|| {}).raise();
        let written = self.transport.write(b"last words");
        self.transport.flush();
        let mut answers = self.answers.borrow_mut();
        answers.spawned = Some(spawned);
        answers.written = Some(written);
        answers.stream = self.stream.write_all(b"last words").now_or_never();
        answers.bound = Some(Listener::bind("tcp://127.0.0.1:0"));
        answers.connecting = Some(Stream::connect("tcp://127.0.0.1:1"));
        answers.slept = slept;
    }
}

type Last = (Vec<Rc<RefCell<Answers>>>, Vec<crate::support::Raw>, Rc<RefCell<Vec<String>>>);

/// Tasks with last words: one waits, one stands in the ready queue.
fn last_words(world: &World) -> Last {
    let reports = failures(&world.handle());
    let others = Probe::new();
    drop(world.spawn(others.future()));
    let (mut all, mut raws) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        let (stream, raw) = world.stream();
        let (answers, probe) = (Rc::default(), Probe::new());
        let last = LastWords {
            answers: Rc::clone(&answers),
            transport: stream.transport().expect("a transport"),
            stream,
            others: others.clone(),
            handle: world.handle(),
        };
        let waiting = probe.future();
        drop(world.spawn(async move {
            let _last = last;
            waiting.await;
        }));
        world.settle();
        all.push((answers, probe));
        raws.push(raw);
    }
    all[1].1.wake();
    (all.into_iter().map(|(answers, _)| answers).collect(), raws, reports)
}

fn check(all: &[Rc<RefCell<Answers>>]) {
    for answers in all {
        let answers = answers.take();
        let spawned = answers.spawned.expect("an answer").now_or_never().expect("an end");
        assert!(spawned.expect_err("no task").is_never_ran());
        assert!(!answers.polled.get() && !answers.slept);
        assert_eq!(answers.written, Some(WriteStatus::Closed));
        assert!(matches!(answers.stream, Some(Err(_))));
        assert!(matches!(answers.bound, Some(Err(ListenError::Over))), "{:?}", answers.bound);
        let connected = answers.connecting.expect("an attempt").now_or_never();
        assert!(matches!(connected, Some(Err(ConnectError::Over))), "{connected:?}");
    }
}
