//! A: streams, listeners and sleeps on threads that are not their loop's.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::executor::block_on;
use marline_reactor::backend::memory::Memory;
use marline_reactor::testing::{Clock, Network};
use marline_reactor::{Builder, Choices, ConnectError, ListenError};
use marline_tasks::{
    Interval, JoinHandle, Listener, ReadHalf, Sleep, Stream, WriteHalf, WrongThread, deferred, interval,
    run_on, sleep, spawn, spawn_on,
};
use marline_tests::{PATIENCE, backends, once_free};

use crate::conformance;
use crate::support::World;

#[test]
fn a27_handles_are_send_and_sync() {
    fn both<T: Send + Sync + 'static>() {}
    both::<(Stream, ReadHalf, WriteHalf, Listener, Sleep, Interval)>();
    both::<(JoinHandle<()>, JoinHandle<Vec<u8>>)>();
    fn send<T, F: Future + Send>(_: impl FnOnce(T) -> F) {}
    // So are the futures of their methods, which hyper and others hold across threads.
    send(|stream: Stream| async move {
        let mut buffer = [0; 8];
        drop(stream.read(&mut buffer).await);
        drop(stream.write_all(&buffer).await);
        drop(stream.flush().await);
        drop(stream.close().await);
    });
    send(|listener: Listener| async move { listener.accept().await });
    send(|mut interval: Interval| async move { interval.tick().await });
    send(|stream: Stream| async move { marline_tasks::copy(&stream, &stream).await });
}

#[test]
fn a27_without_a_loop_there_is_an_error_value_for_everything() {
    let spawned = spawn(async {}).now_or_never().expect("an answer");
    assert!(spawned.expect_err("no loop").is_never_ran());
    assert!(matches!(Listener::bind("tcp://127.0.0.1:0"), Err(ListenError::Over)));
    let connected = Stream::connect("tcp://127.0.0.1:1").now_or_never();
    assert!(matches!(connected, Some(Err(ConnectError::Over))), "{connected:?}");
    assert!(sleep(Duration::ZERO).now_or_never().is_none());
    assert!(interval(Duration::ZERO).poll_tick(&mut Context::from_waker(Waker::noop())).is_pending());
    assert!(deferred::<u8>().1.call_back(drop).is_err());
}

#[test]
fn a27_no_limit_on_posts_bars_what_ends_elsewhere() {
    let memory = Memory::new(&Network::new(Choices::tame()), &Clock::new());
    for builder in backends::builders().into_iter().chain([Builder::new().backend(memory)]) {
        let reactor = builder.post_limit(0).build().expect("a loop");
        let (client, server, failed) = run_on(&reactor, async {
            let listener = Listener::bind("tcp://127.0.0.1:0").expect("a listener");
            let address = listener.local_address().expect("an address");
            let client = Stream::connect(address).await.expect("a connection");
            let failed = spawn(async { Err::<(), _>(String::from("a failure")) });
            (client, listener.accept().await.expect("a stream"), failed)
        })
        .expect("a run");
        let reported = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&reported);
        reactor.handle().on_failure(move |_| told.store(true, Ordering::SeqCst));
        let (nap, waiting) =
            reactor.handle().enter(|| (sleep(Duration::from_millis(1)), spawn(std::future::pending::<()>())));
        let thread = thread::spawn(move || {
            drop((server, failed));
            waiting.abort();
            block_on(nap);
            block_on(waiting).expect_err("an abort").is_aborted()
        });
        let reading = spawn_on(&reactor.handle(), async move { client.read(&mut [0; 8]).await });
        let begun = Instant::now();
        while !(thread.is_finished() && reading.is_finished() && reported.load(Ordering::SeqCst)) {
            reactor.turn(Some(Duration::from_millis(5))).expect("a turn");
            let ended = [thread.is_finished(), reading.is_finished(), reported.load(Ordering::SeqCst)];
            assert!(begun.elapsed() < PATIENCE, "something did not end: {ended:?}");
        }
        assert!(thread.join().expect("a thread"));
        assert_eq!(reading.now_or_never().expect("an end").expect("an output").expect("the end"), 0);
    }
}

conformance! {
    fn a27_operations_on_another_thread_are_errors(world: &World) {
        let (stream, raw) = world.stream();
        let (other, other_raw) = world.stream();
        let listener = world.listener();
        raw.write(b"some bytes");
        world.settle();
        let halves = other.into_split();
        let (stream, listener, mut halves) = thread::spawn(move || {
            let (mut reading, mut writing) = halves;
            let mut errors = vec![
                stream.read(&mut [0; 8]).now_or_never().expect("an answer").expect_err("an error"),
                stream.write_all(b"x").now_or_never().expect("an answer").expect_err("an error"),
                stream.flush().now_or_never().expect("an answer").expect_err("an error"),
                stream.close().now_or_never().expect("an answer").expect_err("an error"),
                stream.peer_address().expect_err("an error"),
                stream.local_address().expect_err("an error"),
                stream.transport().expect_err("an error"),
                listener.accept().now_or_never().expect("an answer").expect_err("an error"),
                listener.incoming().next().now_or_never().expect("an answer").expect_err("an error"),
                listener.local_address().expect_err("an error"),
            ];
            use futures::io::{AsyncBufReadExt, AsyncWriteExt};
            let mut buffer = [0; 8];
            errors.push(reading.read(&mut buffer).now_or_never().expect("an answer").expect_err("an error"));
            errors.push(reading.fill_buf().now_or_never().expect("an answer").map(drop).expect_err("an error"));
            errors.push(writing.write(b"x").now_or_never().expect("an answer").expect_err("an error"));
            errors.push(writing.close().now_or_never().expect("an answer").expect_err("an error"));
            for error in errors {
                assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
                assert!(error.get_ref().is_some_and(|inner| inner.is::<WrongThread>()), "{error}");
            }
            (stream, listener, (reading, writing))
        })
        .join()
        .expect("a thread");
        // Back home everything works, and nothing was lost or sent.
        let address = listener.local_address().expect("an address");
        let task = world.spawn(async move {
            use futures::io::AsyncReadExt;
            let mut buffer = vec![0; 10];
            let mut filled = 0;
            while filled < 10 {
                filled += stream.read(&mut buffer[filled..]).await.expect("bytes");
            }
            halves.1.write_all(b"half").await.expect("a write");
            let mut half = [0; 4];
            halves.0.read_exact(&mut half).await.expect("bytes");
            let client = Stream::connect(address).await.expect("a connection");
            listener.accept().await.expect("a stream");
            (buffer, half, client)
        });
        other_raw.write(b"back");
        let (bytes, half, _client) = world.join(task);
        assert_eq!((bytes.as_slice(), &half), (&b"some bytes"[..], b"back"));
        world.settle();
        assert!(raw.read().is_empty());
        assert_eq!(other_raw.read(), b"half");
    }

    fn a27_what_is_dropped_elsewhere_ends_on_its_own_loop(world: &World) {
        let baseline = world.open_sockets();
        let (stream, raw) = world.stream();
        let (split, split_raw) = world.stream();
        let (reading, writing) = split.into_split();
        let (whole, whole_raw) = world.stream();
        let listener = world.listener();
        let address = listener.local_address().expect("an address");
        let waiting = world.connect_raw_to_listener(&listener);
        world.until(|| world.handle().stats().connections == 4);
        assert!(world.open_sockets() > baseline);
        let task = world.spawn(async move {
            stream.write_all(b"written before").await.expect("a write");
            stream
        });
        let stream = world.join(task);
        thread::spawn(move || drop((stream, listener, writing, reading, whole.into_split())))
            .join()
            .expect("a thread");
        world.until(|| world.open_sockets() == baseline);
        let heard = std::cell::RefCell::new(Vec::new());
        world.until_elsewhere(|| {
            heard.borrow_mut().extend(raw.read());
            raw.is_finished()
        });
        assert_eq!(*heard.borrow(), b"written before");
        for raw in [split_raw, whole_raw, waiting] {
            world.until_elsewhere(|| raw.is_finished() || raw.is_reset());
        }
        once_free(|| world.handle().enter(|| Listener::bind(&address)));
    }

    fn a27_what_is_dropped_after_the_end_is_harmless(world: &World) {
        let doomed = world.fresh();
        let ((one, _raw), (two, _other)) = (doomed.stream(), doomed.stream());
        let (listener, halves) = (doomed.listener(), two.into_split());
        let nap = doomed.handle().enter(|| sleep(Duration::from_secs(1)));
        drop(doomed);
        let error = one.read(&mut [0; 8]).now_or_never().expect("an answer").expect_err("an error");
        assert!(error.get_ref().is_some_and(|inner| inner.is::<WrongThread>()), "{error}");
        assert!(listener.local_address().is_err());
        assert!(nap.now_or_never().is_none());
        thread::spawn(move || drop((one, listener, halves))).join().expect("a thread");
    }

    fn a27_a_sleep_waits_on_another_thread(world: &World) {
        let (handle, delay) = (world.handle(), Duration::from_millis(3));
        let begun = handle.now();
        let naps: Vec<_> = (0..4).map(|_| handle.enter(|| sleep(delay))).collect();
        let done = Arc::new(AtomicBool::new(false));
        let set = Arc::clone(&done);
        let real = Instant::now();
        let thread = thread::spawn(move || {
            block_on(futures::future::join_all(naps));
            set.store(true, Ordering::SeqCst);
        });
        world.until_elsewhere(|| {
            if let Some(memory) = world.as_memory() {
                memory.advance(Duration::from_micros(100));
            }
            done.load(Ordering::SeqCst)
        });
        thread.join().expect("a thread");
        assert!(handle.now() - begun >= delay);
        assert!(world.is_memory() || real.elapsed() >= delay);
        assert_eq!(handle.stats().timers, 0);
    }

    fn a27_a_sleep_may_move_between_threads(world: &World) {
        let handle = world.handle();
        let mut nap = handle.enter(|| sleep(Duration::from_millis(2)));
        let mut context = Context::from_waker(Waker::noop());
        assert!(nap.poll_unpin(&mut context).is_pending());
        assert_eq!(handle.stats().timers, 1);
        let mut nap = thread::spawn(move || {
            assert!(nap.poll_unpin(&mut Context::from_waker(Waker::noop())).is_pending());
            nap
        })
        .join()
        .expect("a thread");
        world.settle();
        assert!(nap.poll_unpin(&mut context).is_pending() || !world.is_memory());
        assert!(handle.stats().timers <= 1);
        world.finish(nap);
        // Dropped on another thread it takes its timer back.
        let mut nap = handle.enter(|| sleep(Duration::from_secs(3600)));
        assert!(nap.poll_unpin(&mut context).is_pending());
        assert_eq!(handle.stats().timers, 1);
        thread::spawn(move || drop(nap)).join().expect("a thread");
        world.settle();
        assert_eq!(handle.stats().timers, 0);
        // And so does one that was only ever polled there.
        let mut nap = handle.enter(|| sleep(Duration::from_secs(3600)));
        let ready = thread::spawn(move || {
            let polled = nap.poll_unpin(&mut Context::from_waker(Waker::noop()));
            drop(nap);
            polled.is_ready()
        });
        assert!(!ready.join().expect("a thread"));
        world.settle();
        assert_eq!(handle.stats().timers, 0);
    }
}
