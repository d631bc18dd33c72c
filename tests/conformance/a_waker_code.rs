//! A: nothing of the loop's is borrowed while a waker is cloned, woken or dropped, and none is cloned for nothing.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use futures::FutureExt;
use futures::future::LocalBoxFuture;
use futures::io::AsyncRead;
use marline_reactor::Interest;
use marline_tasks::{CancelScope, Stream, TaskGroup, Watched, deferred, gather, race, sleep, spawn_remote};
use marline_tests::PATIENCE;

use crate::conformance;
use crate::support::{Act, Nosy, World, nosy};

/// How often each was done.
#[derive(Clone, Default)]
struct Counts(Rc<[Cell<usize>; 3]>);

impl Counts {
    fn add(&self, act: Act) {
        let cell = &self.0[act as usize];
        cell.set(cell.get() + 1);
    }

    fn of(&self, act: Act) -> usize {
        self.0[act as usize].get()
    }
}

/// Counts, and does something else too.
fn nosy_about(also: impl Fn(Act) + 'static) -> (Nosy, Counts) {
    let counts = Counts::default();
    let counted = counts.clone();
    let hook = Nosy::new(move |act| {
        counted.add(act);
        also(act);
    });
    (hook, counts)
}

/// Counts, and panics in the drop of each.
fn failing_when_dropped() -> (Nosy, Counts) {
    nosy_about(|act| assert!(act != Act::Drop, "a waker that fails when it is dropped"))
}

fn poll<F: Future + ?Sized>(future: &mut Pin<&mut F>, number: usize) -> Poll<F::Output> {
    let waker = nosy(number);
    let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
    // What is dropped here is not what the test is about.
    std::mem::forget(waker);
    polled
}

fn poll_by_hand(stream: &Stream, number: usize) -> bool {
    let waker = nosy(number);
    let polled = Pin::new(&mut &*stream).poll_read(&mut Context::from_waker(&waker), &mut [0; 2048]);
    std::mem::forget(waker);
    polled.is_ready()
}

/// Something that waits.
struct Waiting {
    what: &'static str,
    future: LocalBoxFuture<'static, ()>,
    /// Whether the waker goes with it when it is dropped. That of a task on its way stays with what is on the way.
    lets_go: bool,
}

impl Waiting {
    fn new<F: Future + 'static>(what: &'static str, future: F) -> Self {
        Self { what, future: async { _ = future.await }.boxed_local(), lets_go: true }
    }

    /// One of everything.
    fn each(world: &World) -> Vec<Self> {
        let (handle, listener) = (world.handle(), world.listener());
        // The far end lives as long as the stream waits.
        let (stream, raw) = world.stream();
        let read = async move { (stream.read(&mut [0; 8]).await, raw) };
        let accept = async move { listener.accept().await.map(drop) };
        let (resolver, answer) = deferred::<u8>();
        let answer = async move { (answer.await, resolver) };
        let mut group = TaskGroup::<(), String>::new();
        handle.enter(|| group.spawn(pending::<Result<(), String>>()));
        let next = async move { _ = group.next().await };
        let remote = handle.remote();
        let distant = thread::spawn(move || spawn_remote(&remote, pending::<()>())).join().expect("a thread");
        let joined = world.spawn(pending::<()>());
        vec![
            Self::new("a read", read),
            Self::new("an accept", accept),
            Self::new("a sleep", handle.enter(|| sleep(Duration::from_secs(3600)))),
            Self::new("a deferred", answer),
            Self::new("a scope", CancelScope::new().run(pending::<()>())),
            Self::new("a group", next),
            Self::new("several", gather([pending::<Result<(), ()>>()])),
            Self::new("a race", race([pending::<()>()])),
            Self { lets_go: false, ..Self::new("a task on its way", distant) },
            Self::new("a task", joined),
        ]
    }
}

/// Polls twice with one waker, then with another: how many clones and drops that took.
#[track_caller]
fn assert_frugal<F: Future>(future: F, what: &str) {
    let (hook, counts) = nosy_about(|_| {});
    let mut future = pin!(future);
    assert!(poll(&mut future, 1).is_pending(), "{what}");
    assert!(poll(&mut future, 1).is_pending(), "{what}");
    assert_eq!((counts.of(Act::Clone), counts.of(Act::Drop)), (1, 0), "{what}: the same waker");
    assert!(poll(&mut future, 2).is_pending(), "{what}");
    assert_eq!((counts.of(Act::Clone), counts.of(Act::Drop)), (2, 1), "{what}: another waker");
    drop(hook);
}

conformance! {
    fn a04_a_streams_waker_may_use_the_stream(world: &World) {
        let (stream, raw) = world.stream();
        let stream = Rc::new(stream);
        let used = Rc::clone(&stream);
        let (hook, counts) = nosy_about(move |_| {
            assert!(used.transport().is_ok());
            assert!(used.write_all(b"x").now_or_never().is_some_and(|written| written.is_ok()));
        });
        let mut buffer = [0; 8];
        {
            let mut read = pin!(stream.read(&mut buffer));
            assert!(poll(&mut read, 1).is_pending());
            assert!(poll(&mut read, 2).is_pending());
            raw.write(b"hello");
            world.until(|| counts.of(Act::Wake) == 1);
            assert!(matches!(poll(&mut read, 2), Poll::Ready(Ok(1..))));
        }
        assert_eq!((counts.of(Act::Clone), counts.of(Act::Drop)), (2, 1));
        // So it is with polls by hand, also where more wait than are remembered.
        world.read(&raw, 4);
        while poll_by_hand(&stream, 1) {}
        let before = counts.of(Act::Clone);
        (1..=70).for_each(|number| assert!(!poll_by_hand(&stream, number)));
        assert_eq!((counts.of(Act::Clone) - before, counts.of(Act::Wake)), (69, 6));
        raw.write(b"more");
        world.until(|| counts.of(Act::Wake) == 71);
        drop(hook);
    }

    fn a17_who_came_first_keeps_the_turn_although_a_waker_let_it_in(world: &World) {
        let (stream, raw) = world.stream();
        let (stream, first) = (Rc::new(stream), Rc::new(RefCell::new(None)));
        let (used, place) = (Rc::clone(&stream), Rc::clone(&first));
        let (hook, counts) = nosy_about(move |act| {
            if act == Act::Clone && place.borrow().is_none() {
                let stream = Rc::clone(&used);
                let mut read = async move { stream.read(&mut [0; 8]).await }.boxed_local();
                assert!(read.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
                *place.borrow_mut() = Some(read);
            }
        });
        let mut buffer = [0; 8];
        let mut read = pin!(stream.read(&mut buffer));
        let Poll::Ready(Err(error)) = poll(&mut read, 1) else { panic!("it is another's turn") };
        assert_eq!(error.kind(), std::io::ErrorKind::ResourceBusy);
        assert_eq!((counts.of(Act::Clone), counts.of(Act::Drop)), (1, 1));
        raw.write(b"hello");
        let first = first.take().expect("a read");
        assert!(world.finish(first).is_ok_and(|count| count > 0));
        drop(hook);
    }

    fn a04_a_writers_waker_may_use_the_stream(world: &World) {
        let (stream, raw) = world.stream();
        let stream = Rc::new(stream);
        let used = Rc::clone(&stream);
        let (hook, counts) = nosy_about(move |_| {
            assert!(used.transport().is_ok());
            assert!(used.read(&mut [0; 8]).now_or_never().is_none());
        });
        let payload = vec![0; 64 << 20];
        // What keeps the writer waiting is the peer alone.
        world.send_whole();
        {
            let mut written = pin!(stream.write_all(&payload));
            assert!(poll(&mut written, 1).is_pending());
            assert!(poll(&mut written, 2).is_pending());
            raw.reset();
            world.until(|| counts.of(Act::Wake) > 0);
            assert!(matches!(poll(&mut written, 2), Poll::Ready(Err(_))));
        }
        assert_eq!((counts.of(Act::Clone), counts.of(Act::Drop)), (2, 1));
        drop(hook);
    }

    fn a04_a_listeners_waker_may_use_the_listener(world: &World) {
        let listener = Rc::new(world.listener());
        let used = Rc::clone(&listener);
        let (hook, counts) = nosy_about(move |act| {
            assert!(used.local_address().is_ok());
            if act != Act::Wake {
                assert!(used.accept().now_or_never().is_none());
            }
        });
        {
            let mut accept = pin!(listener.accept());
            assert!(poll(&mut accept, 1).is_pending());
            assert!(poll(&mut accept, 2).is_pending());
            let _raw = world.connect_raw_to_listener(&listener);
            world.until(|| counts.of(Act::Wake) == 1);
            assert!(matches!(poll(&mut accept, 2), Poll::Ready(Ok(_))));
        }
        assert_eq!((counts.of(Act::Clone), counts.of(Act::Drop)), (2, 1));
        drop(hook);
    }

    fn a04_a_sleeps_waker_may_sleep(world: &World) {
        let handle = world.handle();
        let (loop_here, naps) = (handle.clone(), RefCell::new(Vec::new()));
        let (hook, counts) = nosy_about(move |_| {
            let mut nap = loop_here.enter(|| sleep(Duration::from_secs(3600)));
            assert!(nap.poll_unpin(&mut Context::from_waker(Waker::noop())).is_pending());
            naps.borrow_mut().push(nap);
        });
        let mut nap = handle.enter(|| sleep(Duration::from_millis(1)));
        {
            let mut nap = pin!(&mut nap);
            assert!(poll(&mut nap, 1).is_pending());
            assert!(poll(&mut nap, 2).is_pending());
            world.until(|| counts.of(Act::Wake) == 1);
            assert!(poll(&mut nap, 2).is_ready());
        }
        assert_eq!((counts.of(Act::Clone), counts.of(Act::Drop)), (2, 1));
        nap.reset(handle.now() + Duration::from_secs(1));
        assert!(poll(&mut pin!(&mut nap), 3).is_pending());
        drop(nap);
        assert_eq!((counts.of(Act::Clone), counts.of(Act::Drop)), (3, 2));
        drop(hook);
    }

    fn a04_a_sources_waker_may_use_the_source(world: &World) {
        let (near, _far) = world.source();
        let near = world.handle().enter(|| Watched::new(near)).expect("a watched source");
        let near = Rc::new(near);
        assert_frugal(near.readable(), "a source");
        let used = Rc::clone(&near);
        let (hook, counts) = nosy_about(move |_| {
            assert!(used.with(|_| ()).is_some());
            assert!(used.ready(Interest::READABLE).now_or_never().is_none());
        });
        {
            let mut ready = pin!(near.readable());
            assert!(poll(&mut ready, 1).is_pending());
            assert!(poll(&mut ready, 2).is_pending());
        }
        assert_eq!((counts.of(Act::Clone), counts.of(Act::Drop)), (2, 2));
        drop(hook);
    }

    fn a04_no_waker_is_cloned_for_nothing(world: &World) {
        for Waiting { what, future, .. } in Waiting::each(world) {
            assert_frugal(future, what);
        }
    }

    fn a04_a_waker_that_panics_when_it_is_dropped_harms_nobody(world: &World) {
        for Waiting { what, mut future, lets_go } in Waiting::each(world) {
            let (hook, counts) = failing_when_dropped();
            assert!(poll(&mut future.as_mut(), 1).is_pending() && poll(&mut future.as_mut(), 2).is_pending(), "{what}");
            assert_eq!(counts.of(Act::Drop), 1, "{what}");
            drop(future);
            assert_eq!(counts.of(Act::Drop), 1 + usize::from(lets_go), "{what}");
            drop(hook);
        }
    }
}

#[test]
fn a04_a08_wakers_that_panic_when_they_are_dropped_do_not_keep_the_loop_from_its_end() {
    World::on_memory(end_with_wakers);
}

fn end_with_wakers(world: &World) {
    let doomed = world.fresh();
    let mut waiting: Vec<_> = (0..2).flat_map(|_| Waiting::each(&doomed)).collect();
    let (hook, counts) = failing_when_dropped();
    for Waiting { what, future, .. } in &mut waiting {
        assert!(poll(&mut future.as_mut(), 1).is_pending(), "{what}");
    }
    let before = [Act::Wake, Act::Drop].map(|act| counts.of(act));
    drop(doomed);
    let after = [Act::Wake, Act::Drop].map(|act| counts.of(act));
    // Two of each: a read and an accept find an error, a task and a group an end, and a sleep is given up.
    assert_eq!((before, after), ([0, 0], [10, 2]));
    drop(waiting);
    drop(hook);
}

#[test]
fn a04_the_loop_does_not_wait_for_a_waker_that_is_cloned_elsewhere() {
    World::on_memory(clone_elsewhere);
}

fn clone_elsewhere(world: &World) {
    let handle = world.handle();
    let mut nap = handle.enter(|| sleep(Duration::from_secs(1)));
    let (cloning, is_cloning) = mpsc::channel();
    let (fired, has_fired) = mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        assert!(nap.poll_unpin(&mut Context::from_waker(Waker::noop())).is_pending());
        let (waited, outcome) = (Rc::new(Cell::new(None)), Rc::new(Cell::new(None)));
        let told = Rc::clone(&waited);
        let hook = Nosy::new(move |act| {
            if act == Act::Clone {
                cloning.send(()).expect("a test that goes on");
                told.set(Some(has_fired.recv_timeout(PATIENCE).is_ok()));
            }
        });
        outcome.set(Some(poll(&mut pin!(&mut nap), 1).is_ready()));
        drop(hook);
        (waited.get(), outcome.get())
    });
    is_cloning.recv().expect("a clone");
    world.until_elsewhere(|| handle.stats().timers == 1);
    world.advance(Duration::from_secs(1));
    world.until_elsewhere(|| handle.stats().timers == 0);
    fired.send(()).expect("a thread that waits");
    assert_eq!(thread.join().expect("a thread"), (Some(true), Some(true)));
}
