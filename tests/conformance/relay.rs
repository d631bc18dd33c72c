//! Two joined connections: bytes, ends and back-pressure pass through.

use std::cell::{Cell, RefCell};
use std::time::Instant;

use marline_reactor::{Transport, relay};
use marline_tests::PATIENCE;

use crate::support::{Event, Log, Raw, Trace, World, is_over, pattern, runs_out};
use crate::{conformance, streams};

/// Two connections of one loop, joined, with their far ends.
struct Joined {
    left: (Transport, Raw),
    right: (Transport, Raw),
}

impl Joined {
    fn new(world: &World) -> Self {
        let joined = Self::apart(world, &Log::new());
        relay(&joined.left.0, &joined.right.0).expect("two live connections");
        joined
    }

    fn apart(world: &World, log: &Log) -> Self {
        let (left, right) = (world.accept_one(Trace::new(log)), world.accept_one(Trace::new(log)));
        Self { left, right }
    }
}

/// Sends all of `data` from one far end to the other.
#[track_caller]
fn transfer(world: &World, from: &Raw, to: &Raw, data: &[u8]) {
    let (sent, got) = (Cell::new(0), RefCell::new(Vec::new()));
    world.until(|| {
        sent.set(sent.get() + from.write(&data[sent.get()..]));
        got.borrow_mut().extend(to.read());
        got.borrow().len() >= data.len()
    });
    assert!(*got.borrow() == data, "the bytes are the same, in order");
}

/// Sends until nothing more fits anywhere, while nobody reads at the other end. How much that was, and the most that
/// the loop held of it.
#[track_caller]
fn stuff(world: &World, from: &Raw, into: &Transport) -> (usize, usize) {
    let block = pattern(251 * 64);
    let (begun, mut sent, mut most, mut idle) = (Instant::now(), 0, 0, 0);
    while idle < 3 {
        let count = from.write(&block[sent % 251..]);
        sent += count;
        for _ in 0..8 {
            world.turn();
            most = most.max(into.buffered());
        }
        if count == 0 {
            world.settle();
            idle += 1;
        } else {
            idle = 0;
        }
        assert!(begun.elapsed() < PATIENCE, "{sent} bytes and no end");
    }
    (sent, most)
}

/// What the loop may hold of a stuck direction: the watermark, and one chunk that went over it.
fn bound(transport: &Transport) -> usize {
    transport.watermarks().1 + 64 * 1024
}

#[track_caller]
fn drain(world: &World, to: &Raw, count: usize) {
    let got = Cell::new(0);
    world.until(|| {
        for byte in to.read() {
            assert!(usize::from(byte) == got.get() % 251, "byte {} is {byte}", got.get());
            got.set(got.get() + 1);
        }
        got.get() >= count
    });
    assert_eq!(got.get(), count);
}

/// Small buffers on memory, so that a stuck reader is felt soon. Those of sockets stay as they are: a window below the
/// size of a segment is opened by timers only.
fn narrow(world: &World) {
    if let Some(memory) = world.as_memory() {
        memory.network().set_capacity(1000);
    }
}

streams! {
    fn bytes_pass_both_ways(world: &World) {
        let joined = Joined::new(world);
        let payload = world.payload();
        transfer(world, &joined.left.1, &joined.right.1, &payload);
        transfer(world, &joined.right.1, &joined.left.1, &payload);
    }

    fn bytes_pass_both_ways_at_the_same_time(world: &World) {
        let joined = Joined::new(world);
        let (payload, ends) = (world.payload(), [&joined.left.1, &joined.right.1]);
        let (sent, got) = ([Cell::new(0), Cell::new(0)], [Cell::new(0), Cell::new(0)]);
        world.until(|| {
            for side in 0..2 {
                sent[side].set(sent[side].get() + ends[side].write(&payload[sent[side].get()..]));
                let bytes = ends[1 - side].read();
                let begin = got[side].get();
                assert!(bytes == payload[begin..begin + bytes.len()], "in order, on side {side}");
                got[side].set(begin + bytes.len());
            }
            got.iter().all(|got| got.get() == payload.len())
        });
    }

    fn a_half_close_is_carried_over_and_the_other_direction_lives(world: &World) {
        let joined = Joined::new(world);
        let payload = world.payload();
        let ((left, near), (right, far)) = (&joined.left, &joined.right);
        transfer(world, near, far, &payload);
        near.finish();
        world.until(|| {
            assert_eq!(far.read(), b"", "everything was read");
            far.is_finished()
        });
        assert!(!left.is_closing() && !right.is_closing());
        transfer(world, far, near, &payload);
        far.finish();
        world.until(|| near.is_finished() && left.is_closing() && right.is_closing());
        assert!(!near.is_reset() && !far.is_reset());
        assert!(runs_out(world), "both connections have ended");
    }

    fn the_end_comes_after_everything_that_was_stuck(world: &World) {
        let joined = Joined::new(world);
        let (payload, (_, near), (_, far)) = (world.payload(), &joined.left, &joined.right);
        narrow(world);
        // The far end reads only from the moment on at which the near end has sent everything, its end included.
        let (sent, finished) = (Cell::new(0), Cell::new(false));
        let got = RefCell::new(Vec::new());
        world.until(|| {
            let count = near.write(&payload[sent.get()..]);
            sent.set(sent.get() + count);
            if sent.get() == payload.len() && !finished.replace(true) {
                near.finish();
            }
            if finished.get() || count == 0 {
                got.borrow_mut().extend(far.read());
            }
            got.borrow().len() == payload.len() && far.is_finished()
        });
        assert!(*got.borrow() == payload);
    }
}

conformance! {
    fn a_stuck_reader_stops_the_other_side(world: &World) {
        let joined = Joined::new(world);
        let ((left, near), (right, far)) = (&joined.left, &joined.right);
        narrow(world);
        // Both directions at once: neither holds up the other, and neither holds more than its bound.
        let (there, most) = stuff(world, near, right);
        assert!(most <= bound(right), "{most} bytes wait for the right");
        assert!(right.buffered() > 0 && left.buffered() == 0);
        let (back, most) = stuff(world, far, left);
        assert!(most <= bound(left), "{most} bytes wait for the left");
        assert!(left.buffered() > 0);

        drain(world, far, there);
        drain(world, near, back);
        world.until(|| (left.buffered(), right.buffered()) == (0, 0));
        // It flows again, in both directions.
        transfer(world, near, far, b"and on");
        transfer(world, far, near, b"and back");
    }

    fn a_reader_that_is_stuck_again_and_again_always_goes_on(world: &World) {
        let joined = Joined::new(world);
        let ((_, near), (right, far)) = (&joined.left, &joined.right);
        narrow(world);
        for (low, high) in [(0, 0), (0, 1), (10, 100), (500, 500)] {
            right.set_watermarks(low, high).expect("marks in order");
            let data = pattern(30_000);
            let (mut sent, mut got, begun) = (0, Vec::new(), Instant::now());
            while got.len() < data.len() {
                sent += near.write(&data[sent..]);
                // It reads a little, now and then.
                (0..3).for_each(|_| world.turn());
                got.extend(far.read_up_to(700));
                assert!(begun.elapsed() < PATIENCE, "stuck after {} bytes", got.len());
            }
            assert!(got == data, "low {low}, high {high}");
        }
    }

    fn the_loss_of_one_side_ends_the_other(world: &World) {
        for from_left in [true, false] {
            let joined = Joined::new(world);
            let (lost, left) = if from_left {
                (&joined.left.1, &joined.right)
            } else {
                (&joined.right.1, &joined.left)
            };
            transfer(world, lost, &left.1, b"last words");
            lost.reset();
            world.until(|| left.0.is_closing() && is_over(&left.1));
            assert!(left.1.is_reset(), "what broke here breaks there");
        }
        assert!(runs_out(world));
    }

    fn the_loss_of_a_side_that_is_not_read_ends_the_other_too(world: &World) {
        let joined = Joined::new(world);
        let ((left, near), (right, far)) = (&joined.left, &joined.right);
        narrow(world);
        stuff(world, near, right);
        assert!(!left.is_reading(), "the far end does not read, so neither does the relay");
        near.reset();
        world.until(|| left.is_closing() && right.is_closing() && is_over(far));
        assert!(far.is_reset());
        assert!(runs_out(world));
    }

    fn closing_one_side_closes_the_other_after_what_was_written(world: &World) {
        let joined = Joined::new(world);
        let ((left, near), (_, far)) = (&joined.left, &joined.right);
        transfer(world, near, far, b"first");
        near.write(b"last");
        // The bytes are given time to pass, and then the program itself closes one side.
        world.settle();
        left.close();
        let got = RefCell::new(Vec::new());
        world.until(|| {
            got.borrow_mut().extend(far.read());
            far.is_finished() && near.is_finished()
        });
        assert_eq!(*got.borrow(), b"last");
        assert!(!far.is_reset());
        assert!(runs_out(world));
    }

    fn the_protocols_that_were_there_hear_no_more(world: &World) {
        let log = Log::new();
        let joined = Joined::apart(world, &log);
        relay(&joined.left.0, &joined.right.0).expect("two live connections");
        transfer(world, &joined.left.1, &joined.right.1, b"x");
        joined.left.1.close();
        joined.right.1.close();
        assert!(runs_out(world));
        assert_eq!(log.all(), [Event::Made, Event::Made]);
    }

    fn what_came_before_the_joining_is_relayed_first(world: &World) {
        // The protocol joins the two from inside of its callback, and gives back what it did not use.
        let other = world.accept_one(Trace::new(&Log::new()));
        let target = other.0.clone();
        let protocol = Trace::new(&Log::new()).with(move |transport, event, data| {
            if matches!(event, Event::Data(_)) {
                transport.unread(data);
                relay(transport, &target).expect("two live connections");
            }
        });
        let (_, raw) = world.accept_one(protocol);
        raw.write(b"CONNECT and more");
        let got = RefCell::new(Vec::new());
        world.until(|| {
            got.borrow_mut().extend(other.1.read());
            got.borrow().len() == 16
        });
        assert_eq!(*got.borrow(), b"CONNECT and more");
        transfer(world, &other.1, &raw, b"answer");
    }

    fn an_end_that_came_before_the_joining_is_carried_over_too(world: &World) {
        let log = Log::new();
        let (left, near) = world.accept_one(Trace::new(&log).keep_open());
        near.finish();
        world.until(|| log.count(&Event::Eof) == 1);
        let (right, far) = world.accept_one(Trace::new(&Log::new()));
        relay(&left, &right).expect("two live connections");
        world.until(|| far.is_finished());
        transfer(world, &far, &near, b"still open");
    }

    fn joining_what_is_gone_or_the_same_is_an_error(world: &World) {
        let log = Log::new();
        let joined = Joined::apart(world, &log);
        let ((left, near), (right, far)) = (&joined.left, &joined.right);
        let same = relay(left, left).expect_err("one connection is not two");
        assert_eq!(same.kind(), std::io::ErrorKind::InvalidInput);
        left.close();
        for (one, two) in [(left, right), (right, left)] {
            let gone = relay(one, two).expect_err("one of them is gone");
            assert_eq!(gone.kind(), std::io::ErrorKind::NotConnected);
        }
        // The other one is as it was.
        far.write(b"mine");
        world.until(|| log.received() == 4);
        world.until(|| is_over(near));
        assert!(!right.is_closing());
    }
}
