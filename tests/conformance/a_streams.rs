//! A: one reader and one writer at a time, and back-pressure.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::rc::Rc;

use futures::FutureExt;
use futures_io::{AsyncRead, AsyncWrite};
use marline_tasks::{JoinHandle, Stream, select, yield_now};

use crate::support::{Raw, World, pattern};
use crate::{conformance, streams};

/// More than is kept on the way to a peer who does not read.
fn flood_size(world: &World) -> usize {
    if world.is_memory() { 300 * 1024 } else { 16 * 1024 * 1024 }
}

conformance! {
    fn a17_a_second_reader_gets_an_error_and_the_first_is_not_disturbed(world: &World) {
        let (stream, raw) = world.stream();
        let stream = Rc::new(stream);
        let (first, polls) = read_in_a_task(world, &stream);
        world.settle();
        for _ in 0..3 {
            is_busy(stream.read(&mut [0; 8]).now_or_never().expect("an answer at once"));
            let task = Rc::clone(&stream);
            is_busy(world.finish(async move { task.read(&mut [0; 8]).await }));
            let task = Rc::clone(&stream);
            let by_hand = poll_fn(move |context| Pin::new(&mut &*task).poll_read(context, &mut [0; 8]));
            is_busy(world.finish(by_hand));
        }
        assert_eq!(polls.get(), 1);
        raw.write(b"x");
        assert_eq!(world.join(first).expect("bytes"), b"x");
        raw.write(b"y");
        assert_eq!(world.join(read_in_a_task(world, &stream).0).expect("bytes"), b"y");
    }

    fn a17_when_the_first_reader_is_gone_the_second_may_read(world: &World) {
        let (stream, raw) = world.stream();
        let stream = Rc::new(stream);
        let (first, _) = read_in_a_task(world, &stream);
        world.settle();
        first.abort();
        is_busy(stream.read(&mut [0; 8]).now_or_never().expect("an answer at once"));
        world.settle();
        let (second, _) = read_in_a_task(world, &stream);
        world.settle();
        assert!(!second.is_finished());
        raw.write(b"z");
        assert_eq!(world.join(second).expect("bytes"), b"z");
    }

    fn a17_a_second_writer_gets_an_error_and_the_first_is_not_disturbed(world: &World) {
        let (stream, raw) = world.stream();
        let stream = Rc::new(stream);
        let (first, polls) = write_in_a_task(world, &stream, flood_size(world));
        world.settle();
        let before = polls.get();
        for _ in 0..3 {
            is_busy(stream.write_all(b"second").now_or_never().expect("an answer at once"));
            is_busy(stream.flush().now_or_never().expect("an answer at once"));
            is_busy(stream.close().now_or_never().expect("an answer at once"));
            let task = Rc::clone(&stream);
            let by_hand = poll_fn(move |context| Pin::new(&mut &*task).poll_write(context, b"second"));
            is_busy(world.finish(by_hand));
        }
        world.settle();
        assert_eq!(polls.get(), before);
        let total = flood_size(world);
        assert!(drain(world, &raw, total) == pattern(total), "the bytes of the first, and nothing else");
        world.join(first).expect("a write");
        let (second, _) = write_in_a_task(world, &stream, 9);
        world.join(second).expect("a write");
        assert_eq!(drain(world, &raw, 9), pattern(9));
    }

    fn a17_when_the_first_writer_is_gone_the_second_may_write(world: &World) {
        let (stream, raw) = world.stream();
        let stream = Rc::new(stream);
        let (first, _) = write_in_a_task(world, &stream, flood_size(world));
        world.settle();
        first.abort();
        world.settle();
        // A flush waits like a write, and has its turn to itself like one.
        let task = Rc::clone(&stream);
        let flush = world.spawn(async move { task.flush().await });
        world.settle();
        assert!(!flush.is_finished());
        is_busy(stream.write_all(b"third").now_or_never().expect("an answer at once"));
        world.settle();
        assert!(!flush.is_finished());
        flush.abort();
        world.settle();
        let (third, _) = write_in_a_task(world, &stream, 5);
        let heard = RefCell::new(Vec::new());
        world.until(|| {
            heard.borrow_mut().extend(raw.read());
            third.is_finished() && heard.borrow().ends_with(&pattern(5))
        });
        // What the first had written by its end is a whole beginning of its bytes.
        let heard = heard.take();
        let first = heard.len() - 5;
        assert!(first < flood_size(world) && heard[..first] == pattern(first));
    }

    fn a24_a_task_that_does_not_read_stops_the_peer(world: &World) {
        let (stream, raw) = world.stream();
        let receives = world.handle().stats().receives;
        let sent = flood(world, &raw);
        assert_eq!(world.handle().stats().receives, receives, "not a byte was taken");
        assert!(!world.is_memory() || sent == 64 * 1024, "{sent}");
        let task = world.spawn(async move { (read_exactly(&stream, sent).await, stream) });
        let (bytes, _stream) = world.join(task);
        assert!(bytes == pattern(sent));
    }

    fn a24_a_read_that_was_given_up_takes_one_piece_at_most(world: &World) {
        let (stream, raw) = world.stream();
        let stream = Rc::new(stream);
        let (reading, _) = read_in_a_task(world, &stream);
        world.settle();
        reading.abort();
        world.settle();
        let receives = world.handle().stats().receives;
        let sent = flood(world, &raw);
        // One that brings nothing counts as well, and may be made for no reason.
        assert!(world.handle().stats().receives <= receives + 1 || world.is_adversarial());
        assert!(!world.is_memory() || sent <= 2 * 64 * 1024, "{sent}");
        let task = world.spawn(async move { (read_exactly(&stream, sent).await, stream) });
        let (bytes, _stream) = world.join(task);
        assert!(bytes == pattern(sent));
    }

    fn a24_a_slow_reader_holds_the_peer_back(world: &World) {
        let Some(memory) = world.as_memory() else {
            return skip_on_sockets();
        };
        const TOTAL: usize = 600 * 1024;
        let (stream, raw) = world.stream();
        let (sent, read) = (Cell::new(0), Rc::new(Cell::new(0)));
        let count = Rc::clone(&read);
        let task = world.spawn(async move {
            let (mut all, mut part) = (Vec::new(), [0; 3000]);
            while all.len() < TOTAL {
                let got = stream.read(&mut part).await.expect("bytes");
                all.extend_from_slice(&part[..got]);
                count.set(all.len());
                yield_now().await;
                yield_now().await;
            }
            (all, stream)
        });
        let bytes = pattern(TOTAL);
        while sent.get() < TOTAL {
            sent.set(sent.get() + raw.write(&bytes[sent.get()..]));
            // What is on the wire, and what the stream has received and not handed out.
            assert!(sent.get() - read.get() <= 2 * 64 * 1024);
            memory.turn();
        }
        let (all, _stream) = world.join(task);
        assert!(all == bytes);
    }

    fn a24_a_writer_waits_while_more_than_the_high_watermark_is_unsent(world: &World) {
        let (stream, raw) = world.stream();
        let transport = stream.transport().expect("a transport");
        transport.set_watermarks(1000, 5000).expect("watermarks");
        let stream = Rc::new(stream);
        let total = flood_size(world);
        let (writing, polls) = write_in_a_task(world, &stream, total);
        let most = Rc::new(Cell::new(0));
        let heard = RefCell::new(Vec::new());
        // A piece is at least 16 KiB, on top of what may wait.
        world.until(|| {
            most.set(most.get().max(transport.buffered()));
            let some = if writing.is_finished() { total } else { total / 10 };
            heard.borrow_mut().extend(raw.read_up_to(some));
            heard.borrow().len() == total
        });
        assert!(most.get() <= 5000 + 16 * 1024, "{most:?}");
        world.join(writing).expect("a write");
        assert!(polls.get() > 3 && heard.take() == pattern(total));
    }
}

streams! {
    fn a24_whatever_way_it_is_read_everything_arrives(world: &World) {
        let (stream, raw) = world.stream();
        let payload = world.payload();
        let len = payload.len();
        let task = world.spawn(async move {
            let mut all = Vec::new();
            let mut sizes = [1, 10, 1000, 70_000].into_iter().cycle();
            while all.len() < len {
                let mut part = vec![0; sizes.next().unwrap_or(1)];
                let count = select! {
                    count = stream.read(&mut part) => count.expect("bytes"),
                    () = yield_now() => 0,
                };
                all.extend_from_slice(&part[..count]);
            }
            assert_eq!(stream.read(&mut []).await.expect("nothing"), 0, "nothing was asked for");
            let end = stream.read(&mut [0; 8]).await;
            (all, end.expect("the end"))
        });
        let sent = Cell::new(0);
        world.until(|| {
            sent.set(sent.get() + raw.write(&payload[sent.get()..]));
            sent.get() == len
        });
        raw.finish();
        let (all, end) = world.join(task);
        assert!(all == payload && end == 0);
    }
}

fn skip_on_sockets() {
    crate::support::skip("what the system keeps on the way has no bound that a test knows");
}

#[track_caller]
fn is_busy<T: std::fmt::Debug>(answer: io::Result<T>) {
    assert_eq!(answer.expect_err("an error").kind(), ErrorKind::ResourceBusy);
}

type Counted<T> = (JoinHandle<io::Result<T>>, Rc<Cell<usize>>);

/// Reads once, and counts how often that was polled.
fn read_in_a_task(world: &World, stream: &Rc<Stream>) -> Counted<Vec<u8>> {
    let stream = Rc::clone(stream);
    counted(world, async move {
        let mut buffer = [0; 8];
        let count = stream.read(&mut buffer).await?;
        Ok(buffer[..count].to_vec())
    })
}

fn write_in_a_task(world: &World, stream: &Rc<Stream>, count: usize) -> Counted<()> {
    let stream = Rc::clone(stream);
    counted(world, async move { stream.write_all(&pattern(count)).await })
}

fn counted<T: 'static>(world: &World, future: impl Future<Output = io::Result<T>> + 'static) -> Counted<T> {
    let polls = Rc::new(Cell::new(0));
    let count = Rc::clone(&polls);
    let task = world.spawn(async move {
        let mut future = Box::pin(future);
        poll_fn(move |context| {
            count.set(count.get() + 1);
            future.as_mut().poll(context)
        })
        .await
    });
    (task, polls)
}

/// Lets the peer send until nothing more fits anywhere: how much that was.
fn flood(world: &World, raw: &Raw) -> usize {
    let bytes = pattern(flood_size(world));
    let mut sent = 0;
    loop {
        let before = sent;
        loop {
            let count = raw.write(&bytes[sent..]);
            if count == 0 {
                break;
            }
            sent += count;
        }
        world.settle();
        assert!(sent < bytes.len(), "the peer was not stopped");
        if sent == before {
            return sent;
        }
    }
}

async fn read_exactly(stream: &Stream, count: usize) -> Vec<u8> {
    let (mut all, mut part) = (Vec::new(), vec![0; 50_000]);
    while all.len() < count {
        let got = stream.read(&mut part).await.expect("bytes");
        assert!(got > 0, "an early end");
        all.extend_from_slice(&part[..got]);
    }
    all
}

/// What the far end hears, until it is so much.
fn drain(world: &World, raw: &Raw, count: usize) -> Vec<u8> {
    let heard = RefCell::new(Vec::new());
    world.until(|| {
        heard.borrow_mut().extend(raw.read());
        heard.borrow().len() >= count
    });
    heard.take()
}
