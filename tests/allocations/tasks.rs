//! Nor do tasks, in the steady state.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use futures::io::AsyncBufReadExt;
use marline_reactor::Reactor;
use marline_tasks::{
    Listener, Stream, copy, gather, interval, run_on, sleep, spawn, spawn_on, timeout, yield_now,
};
use marline_tests::counting::{Counts, counted};
use marline_tests::{PATIENCE, echo};

use super::reactor;

/// How a task echoes.
#[derive(Clone, Copy, Debug)]
enum Way {
    Copy,
    /// With the stream's own methods.
    Methods,
    /// With the bytes lent by the stream.
    Buffered,
    /// With a time limit for each read.
    Limited,
    /// By halves in two tasks, with a wake from one to the other for each message.
    Halves,
}

async fn serve(listener: Listener, way: Way) {
    loop {
        let stream = listener.accept().await.expect("a connection");
        spawn(async move {
            match way {
                Way::Copy => drop(copy(&stream, &stream).await),
                Way::Halves => halves(stream).await,
                _ => one_by_one(stream, way).await,
            }
        });
    }
}

async fn one_by_one(mut stream: Stream, way: Way) {
    let mut buffer = [0; 4096];
    loop {
        let read = match way {
            Way::Buffered => {
                let found = stream.fill_buf().await.expect("bytes");
                buffer[..found.len()].copy_from_slice(found);
                let count = found.len();
                stream.consume_unpin(count);
                count
            }
            Way::Limited => {
                let limit = Duration::from_secs(60);
                timeout(limit, stream.read(&mut buffer)).await.expect("in time").expect("bytes")
            }
            _ => stream.read(&mut buffer).await.expect("bytes"),
        };
        if read == 0 {
            return;
        }
        stream.write_all(&buffer[..read]).await.expect("a write");
    }
}

async fn halves(stream: Stream) {
    use futures::io::AsyncReadExt;
    let (mut reading, writing) = stream.into_split();
    let (passed, waker) = (Rc::new(RefCell::new(Vec::new())), Rc::new(RefCell::new(None::<Waker>)));
    let (place, woken) = (Rc::clone(&passed), Rc::clone(&waker));
    spawn(async move {
        let mut buffer = [0; echo::MESSAGE];
        while reading.read_exact(&mut buffer).await.is_ok() {
            place.borrow_mut().extend_from_slice(&buffer);
            let waker = woken.borrow_mut().take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    });
    let mut bytes = Vec::new();
    loop {
        poll_fn(|context| {
            if passed.borrow().is_empty() {
                *waker.borrow_mut() = Some(context.waker().clone());
                return Poll::Pending;
            }
            bytes.append(&mut passed.borrow_mut());
            Poll::Ready(())
        })
        .await;
        if writing.write_all(&bytes).await.is_err() {
            return;
        }
        bytes.clear();
    }
}

/// Makes round trips in lock step, clients and loop on this thread.
fn round_trips(reactor: &Reactor, streams: &mut [TcpStream], rounds: std::ops::Range<usize>) {
    for round in rounds {
        let before = reactor.handle().stats().sends;
        echo::write_all(streams, round).expect("a write");
        while reactor.handle().stats().sends < before + streams.len() as u64 {
            reactor.turn(Some(PATIENCE)).expect("a turn");
        }
        echo::read_all(streams, round).expect("a read");
    }
}

fn measure(backend: &str, way: Way, connections: usize) -> Counts {
    let reactor = reactor(backend);
    let listener = reactor.handle().enter(|| Listener::bind("tcp://127.0.0.1:0")).expect("a listener");
    let address: SocketAddr =
        listener.local_address().expect("an address").as_inet().expect("an internet address");
    drop(spawn_on(&reactor.handle(), serve(listener, way)));
    let mut streams: Vec<_> =
        (0..connections).map(|_| echo::connect(address).expect("a connection")).collect();
    round_trips(&reactor, &mut streams, 0..20);
    // More may pile up at once than ever before, once or twice, and a list grows for it.
    let part = |begin| counted(|| round_trips(&reactor, &mut streams, begin..begin + 50)).1;
    [20, 70, 120, 170].map(part).into_iter().min_by_key(|counts| counts.allocations).expect("four")
}

fn a_message_echoed_by_a_task_allocates_nothing(backend: &str) {
    for way in [Way::Copy, Way::Methods, Way::Buffered, Way::Limited, Way::Halves] {
        for connections in [1, 64] {
            let counts = measure(backend, way, connections);
            assert_eq!(counts.allocations, 0, "{way:?} with {connections} connections: {counts:?}");
        }
    }
}

/// Turns the loop until a task has gone so many rounds.
fn rounds(reactor: &Reactor, count: &Cell<usize>, until: usize) -> Counts {
    let ((), counts) = counted(|| {
        while count.get() < until {
            reactor.turn(Some(Duration::from_millis(10))).expect("a turn");
        }
    });
    counts
}

fn a_wake_allocates_nothing(backend: &str) {
    let (reactor, count) = (reactor(backend), Rc::new(Cell::new(0)));
    let waiting = Rc::new(RefCell::new(None::<Waker>));
    let (place, counter) = (Rc::clone(&waiting), Rc::clone(&count));
    // One task wakes itself, and the other.
    drop(spawn_on(
        &reactor.handle(),
        poll_fn(move |context| {
            let mut place = place.borrow_mut();
            if !place.as_ref().is_some_and(|known| known.will_wake(context.waker())) {
                *place = Some(context.waker().clone());
            }
            counter.set(counter.get() + 1);
            Poll::<()>::Pending
        }),
    ));
    drop(spawn_on(&reactor.handle(), async move {
        loop {
            yield_now().await;
            waiting.borrow().iter().for_each(Waker::wake_by_ref);
        }
    }));
    rounds(&reactor, &count, 1_000);
    let before = reactor.handle().stats();
    let counts = rounds(&reactor, &count, 101_000);
    let after = reactor.handle().stats();
    assert_eq!(counts.allocations, 0, "{counts:?}");
    // Nor does it call the system: the waits are those of the turns, one for many batches.
    let calls = after.system_calls.waits - before.system_calls.waits;
    assert!(calls <= after.turns - before.turns && calls < 4_000, "{calls} calls");
    assert_eq!(after.wake_ups, before.wake_ups);
}

fn a_sleep_and_a_tick_allocate_nothing(backend: &str) {
    let (reactor, count) = (reactor(backend), Rc::new(Cell::new(0)));
    let (naps, ticks) = (Rc::clone(&count), Rc::clone(&count));
    drop(spawn_on(&reactor.handle(), async move {
        loop {
            sleep(Duration::from_micros(1)).await;
            naps.set(naps.get() + 1);
        }
    }));
    drop(spawn_on(&reactor.handle(), async move {
        let mut interval = interval(Duration::from_micros(1));
        loop {
            interval.tick().await;
            ticks.set(ticks.get() + 1);
        }
    }));
    rounds(&reactor, &count, 50);
    let counts = rounds(&reactor, &count, 250);
    assert_eq!(counts.allocations, 0, "{counts:?}");
}

/// Does something so often in a task, after a few rounds to warm up.
fn allocated<F: Future + 'static>(backend: &str, work: impl Fn() -> F + 'static) -> u64 {
    const ROUNDS: usize = 100;
    let reactor = reactor(backend);
    let counts = run_on(&reactor, async move {
        for _ in 0..10 {
            work().await;
        }
        let before = Counts::here();
        for _ in 0..ROUNDS {
            work().await;
        }
        Counts::here().since(before)
    });
    let counts = counts.expect("a run");
    assert_eq!(counts.allocations % ROUNDS as u64, 0, "{counts:?}");
    counts.allocations / ROUNDS as u64
}

fn awaiting_a_task_in_a_combinator_allocates_no_more_than_awaiting_anything_else_there(backend: &str) {
    let alone = allocated(backend, || async { spawn(yield_now()).await.expect("an output") });
    assert_eq!(alone, 1, "the task itself");
    let nothing = allocated(backend, || async {
        let wait = || async {
            yield_now().await;
            Ok::<_, ()>(())
        };
        gather!(wait(), wait()).await.expect("outputs")
    });
    let tasks = allocated(backend, || async {
        gather!(spawn(yield_now()), spawn(yield_now())).await.expect("outputs")
    });
    assert_eq!(tasks, nothing + 2 * alone);
}

marline_tests::on_sockets! {
    a_message_echoed_by_a_task_allocates_nothing
    a_wake_allocates_nothing
    a_sleep_and_a_tick_allocate_nothing
    awaiting_a_task_in_a_combinator_allocates_no_more_than_awaiting_anything_else_there
}
