//! W: writing. The sentences on flow control are in `w_flow`.

use std::cell::{Cell, RefCell};
use std::io::IoSlice;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use marline_reactor::{Lost, Protocol, Reason, Transport, WriteStatus};
use marline_tests::process;
use rustix::io::Errno;

use crate::support::{Event, Log, Trace, World, pattern};
use crate::{conformance, streams};

/// After so long a send is tried again for which there was no memory.
const RETRY: Duration = Duration::from_millis(10);
/// More than IOV_MAX is anywhere (1 024 on Linux).
const MANY: usize = 3000;

/// How a piece is written, one way after another.
fn write_somehow(transport: &Transport, number: usize, piece: &[u8]) -> WriteStatus {
    match number % 3 {
        0 => transport.write(piece),
        1 => transport.write_owned(Bytes::copy_from_slice(piece)),
        _ => {
            let (left, right) = piece.split_at(piece.len() / 2);
            transport.write_vectored(&[IoSlice::new(left), IoSlice::new(&[]), IoSlice::new(right)])
        }
    }
}

/// Pieces of very different sizes.
fn pieces(data: &[u8]) -> Vec<&[u8]> {
    let sizes = [1, 2, 700, 3, 16 * 1024, 1, 64 * 1024, 5, 70 * 1024, 31];
    let (mut rest, mut pieces) = (data, Vec::new());
    for size in sizes.iter().cycle() {
        let (piece, after) = rest.split_at(rest.len().min(*size));
        pieces.push(piece);
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    pieces
}

streams! {
    fn w01_bytes_arrive_in_the_order_of_the_writes(world: &World) {
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log));
        let payload = world.payload();
        let mut seen = Vec::new();
        for (number, piece) in pieces(&payload).into_iter().enumerate() {
            assert!(write_somehow(&transport, number, piece).is_accepted());
            // Some pieces share a turn, others have one of their own, and some are flushed by hand.
            match number % 4 {
                1 => world.turn(),
                2 => transport.flush(),
                _ => {}
            }
            seen.extend(raw.read());
        }
        seen.extend(world.read(&raw, payload.len() - seen.len()));
        assert!(seen == payload, "the bytes differ");
        // The far end may have everything before the loop hears that it was sent.
        world.until(|| log.count(&Event::Pause) == log.count(&Event::Resume));
    }

    fn w01_replies_of_callbacks_keep_their_order(world: &World) {
        let log = Log::new();
        let echo = Trace::new(&log).with(|transport, event, data| {
            if matches!(event, Event::Data(_)) {
                data.chunks(100).for_each(|piece| assert!(transport.write(piece).is_accepted()));
            }
        });
        let (_, raw) = world.accept_one(echo);
        let payload = world.payload();
        let (mut sent, mut seen) = (0, Vec::new());
        while seen.len() < payload.len() {
            sent += raw.write(&payload[sent..]);
            world.turn();
            seen.extend(raw.read());
        }
        assert!(seen == payload, "the bytes differ");
    }
}

conformance! {
    fn w02_w03_partial_sends_lose_nothing_and_wait_for_room(world: &World) {
        let size = if world.is_memory() { 20_000 } else { 8 * 1024 * 1024 };
        if let Some(memory) = world.as_memory() {
            memory.network().set_capacity(700);
        }
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log));
        let payload = pattern(size);
        transport.write(&payload);
        world.settle();
        let stuck = transport.buffered();
        assert!(stuck > 0 && stuck < size, "{stuck} of {size} bytes wait");
        // A full socket is not asked again and again.
        let calls = world.handle().stats().system_calls.sends;
        (0..20).for_each(|_| world.turn());
        assert_eq!(world.handle().stats().system_calls.sends, calls);
        assert_eq!(transport.buffered(), stuck);
        let seen = world.read(&raw, size);
        assert!(seen == payload, "the bytes differ");
        world.until(|| transport.buffered() == 0);
        assert!(world.handle().stats().sends > 1);
    }

    fn w03_a_shortage_keeps_the_bytes_and_retries(world: &World) {
        world.with_faults(|world, faults| {
            let log = Log::new();
            let (transport, raw) = world.accept_one(Trace::new(&log));
            world.send_whole();
            faults.fail_sends([Errno::AGAIN; 5]);
            let (before, begun) = (faults.asked().sends, world.handle().now());
            assert_eq!(transport.write(b"kept"), WriteStatus::Ok);
            world.turn();
            assert_eq!(transport.buffered(), 4);
            assert_eq!(transport.write(b" in order"), WriteStatus::Ok);
            // A turn is not a reason to try again, nor is another write: only time is, of which little has passed.
            world.turn();
            let asked = faults.asked().sends;
            assert!(asked == before + 1 || world.handle().now() - begun >= RETRY, "{asked} sends");
            world.until(|| faults.is_over() && transport.buffered() == 0);
            assert_eq!(faults.asked().sends, before + 6);
            assert_eq!(world.read(&raw, 13), b"kept in order");
            assert_eq!(log.events(), [Event::Made]);
        });
    }

    fn w03_a_close_waits_until_a_shortage_is_over(world: &World) {
        world.with_faults(|world, faults| {
            let log = Log::new();
            let (transport, raw) = world.accept_one(Trace::new(&log));
            faults.fail_sends([Errno::AGAIN; 3]);
            transport.write(b"the end");
            transport.close();
            assert_eq!(world.read(&raw, 7), b"the end");
            world.until(|| log.is_lost() && raw.is_finished());
            assert_eq!(log.events(), [Event::Made, Event::Lost("Clean".into())]);
        });
    }

    fn w03_an_abort_during_a_shortage_leaves_nothing_behind(world: &World) {
        world.with_faults(|world, faults| {
            let log = Log::new();
            let (transport, _raw) = world.accept_one(Trace::new(&log));
            faults.fail_sends([Errno::AGAIN; 3]);
            transport.write(b"never sent");
            world.turn();
            transport.abort();
            world.until(|| log.is_lost());
            let asked = faults.asked().sends;
            world.advance(Duration::from_millis(50));
            assert_eq!(faults.asked().sends, asked);
            assert_eq!(log.lost().map(|lost| lost.unsent()), Some(10));
        });
    }

    fn w04_an_empty_write_does_nothing(world: &World) {
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log));
        transport.set_watermarks(0, 0).expect("watermarks");
        world.settle();
        let before = world.handle().stats();
        for _ in 0..3 {
            assert_eq!(transport.write(b""), WriteStatus::Ok);
            assert_eq!(transport.write_owned(Bytes::new()), WriteStatus::Ok);
            assert_eq!(transport.write_vectored(&[]), WriteStatus::Ok);
            assert_eq!(transport.write_vectored(&[IoSlice::new(&[]), IoSlice::new(b"")]), WriteStatus::Ok);
            transport.flush();
            world.turn();
        }
        let after = world.handle().stats();
        let calls = after.system_calls.sends - before.system_calls.sends;
        assert_eq!((calls, after.sends - before.sends, after.callbacks - before.callbacks), (0, 0, 0));
        assert_eq!(transport.buffered(), 0);
        assert_eq!((log.events(), raw.read().len()), (vec![Event::Made], 0));
        transport.close();
        assert_eq!(transport.write(b""), WriteStatus::Closed);
    }

    fn w05_the_bytes_sent_are_those_at_the_time_of_the_call(world: &World) {
        let (transport, raw) = world.accept_one(Trace::new(&Log::new()));
        let mut buffer = *b"first";
        transport.write(buffer);
        buffer.copy_from_slice(b"XXXXX");
        transport.write(&buffer[..1]);
        buffer.fill(b'Y');
        {
            let parts = [buffer.to_vec(), vec![b'Z'; 2]];
            transport.write_vectored(&[IoSlice::new(&parts[0]), IoSlice::new(&parts[1])]);
        }
        let owned = buffer.to_vec();
        transport.write_owned(owned);
        buffer.fill(0);
        assert_eq!(world.read(&raw, 18), b"firstXYYYYYZZYYYYY");
    }

    fn w01_what_is_sent_at_once_keeps_its_place_and_nothing_behind(world: &World) {
        let (transport, raw) = world.accept_one(Trace::new(&Log::new()));
        let payload = pattern(64 * 1024 * 1024);
        assert_eq!(transport.try_send(b""), 0);
        let (mut sent, mut last) = (0, 1);
        while last > 0 && sent < payload.len() {
            last = transport.try_send(&payload[sent..]);
            sent += last;
            assert_eq!(transport.buffered(), 0, "it keeps nothing");
        }
        let sends = !world.is_memory() && !world.is_adversarial() && !world.is_secure();
        assert!(sent < payload.len() && (sent > 0 || !sends), "{sent}");
        assert_eq!(transport.traffic().sent, sent as u64);
        assert_eq!(transport.write(b"behind"), WriteStatus::Ok);
        assert_eq!(transport.try_send(b"not before what waits"), 0);
        let read = world.read(&raw, sent + 6);
        assert!(read[..sent] == payload[..sent] && read[sent..] == *b"behind", "the bytes differ");
        world.until(|| transport.buffered() == 0);
        transport.write_eof();
        assert_eq!(transport.try_send(b"late"), 0);
    }

    fn w06_a_vectored_write_sends_its_parts_in_order(world: &World) {
        let (transport, raw) = world.accept_one(Trace::new(&Log::new()));
        let parts = [IoSlice::new(b"one "), IoSlice::new(b""), IoSlice::new(b"two "), IoSlice::new(b"three ")];
        assert_eq!(transport.write_vectored(&parts), WriteStatus::Ok);
        assert_eq!(world.read(&raw, 14), b"one two three ");
        transport.write(b"four ");
        transport.write_vectored(&[IoSlice::new(b"five "), IoSlice::new(b"six ")]);
        transport.write(b"seven");
        assert_eq!(world.read(&raw, 19), b"four five six seven");
    }

    fn w07_more_parts_than_iov_max_are_sent_completely(world: &World) {
        let (transport, raw) = world.accept_one(Trace::new(&Log::new()));
        let payload = pattern(MANY * 3);
        let parts: Vec<_> = payload.chunks(3).map(IoSlice::new).collect();
        assert_eq!(parts.len(), MANY);
        transport.write_vectored(&parts);
        assert!(world.read(&raw, payload.len()) == payload, "the bytes differ");
        // Owned pieces are not copied together: these really are so many parts for the system.
        for part in payload.chunks(3) {
            transport.write_owned(part.to_vec());
        }
        assert!(world.read(&raw, payload.len()) == payload, "the bytes differ");
        world.until(|| transport.buffered() == 0);
    }

    fn w08_vectored_writes_obey_watermarks_and_close(world: &World) {
        world.with_faults(|world, faults| {
            let log = Log::new();
            let (transport, raw) = world.accept_one(Trace::new(&log));
            world.send_whole();
            transport.set_watermarks(4, 8).expect("watermarks");
            faults.hold_sends();
            let (four, one) = (IoSlice::new(b"four"), IoSlice::new(b"1"));
            assert_eq!(transport.write_vectored(&[four, four]), WriteStatus::Ok);
            world.settle();
            assert_eq!(log.events(), [Event::Made]);
            assert_eq!(transport.write_vectored(&[one]), WriteStatus::OverHigh);
            assert_eq!(transport.buffered(), 9);
            world.until(|| log.count(&Event::Pause) == 1);
            transport.close();
            assert_eq!(transport.write_vectored(&[four]), WriteStatus::Closed);
            faults.release_sends();
            world.until(|| log.is_lost());
            assert_eq!(raw.read(), b"fourfour1");
            // Nobody is asked to resume who can write no more.
            assert_eq!(log.events(), [Event::Made, Event::Pause, Event::Lost("Clean".into())]);
        });
    }

    fn w08_w10_an_error_of_a_vectored_write_is_the_reason(world: &World) {
        world.with_faults(|world, faults| {
            let log = Log::new();
            let (transport, _raw) = world.accept_one(Trace::new(&log));
            faults.fail_sends([Errno::TIMEDOUT]);
            assert_eq!(transport.write_vectored(&[IoSlice::new(b"ab"), IoSlice::new(b"c")]), WriteStatus::Ok);
            world.until(|| log.is_lost());
            assert_timed_out(&log, 3);
        });
    }

    fn w09_sixty_mebibytes_and_a_small_write_arrive_before_the_close(world: &World) {
        // Under a seed, bytes are cut up so finely that a hundredth has to do.
        let size = if world.is_seeded() { 600 * 1024 } else { 60 * 1024 * 1024 };
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log));
        let payload = pattern(size);
        // Some of it may leave at once; all of it has no room in a socket's buffer, unless it is the hundredth.
        let status = transport.write(&payload);
        assert!(status == WriteStatus::OverHigh || (world.is_seeded() && status == WriteStatus::Ok));
        assert!(transport.buffered() <= size);
        assert_ne!(transport.write(b"and the rest"), WriteStatus::Closed);
        transport.close();
        let seen = world.read(&raw, size + 12);
        assert!(seen[..size] == payload, "the bytes differ");
        assert_eq!(&seen[size..], b"and the rest");
        world.until(|| log.is_lost() && raw.is_finished());
        assert_eq!((log.losses(), log.reason()), (1, Some("Clean".into())));
    }

    fn w10_a_write_error_is_one_loss_with_that_error(world: &World) {
        world.with_faults(|world, faults| {
            let log = Log::new();
            let (transport, raw) = world.accept_one(Trace::new(&log));
            faults.fail_sends([Errno::TIMEDOUT]);
            assert_eq!(transport.write(b"lost"), WriteStatus::Ok);
            world.turn();
            let asked = faults.asked().sends;
            assert_eq!(transport.write(b"dropped"), WriteStatus::Closed);
            world.until(|| log.is_lost());
            assert_eq!(transport.write(b"dropped"), WriteStatus::Closed);
            world.settle();
            assert_eq!(faults.asked().sends, asked);
            assert!(raw.read().is_empty());
            assert_timed_out(&log, 4);
        });
    }

    fn w10_writing_to_a_peer_that_has_reset_us_is_one_loss(world: &World) {
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log));
        transport.pause_reading();
        raw.reset();
        world.until(|| {
            transport.write(b"anybody there?");
            log.is_lost()
        });
        assert_eq!(log.events(), [Event::Made, Event::Lost("Reset".into())]);
    }

    fn w10_an_error_inside_a_callback_is_told_after_it(world: &World) {
        world.with_faults(|world, faults| {
            let log = Log::new();
            let statuses = Rc::new(RefCell::new(Vec::new()));
            let (seen, script) = (Rc::clone(&statuses), faults.clone());
            let (_, raw) = world.accept_one(Trace::new(&log).on(Event::Data(0), move |transport| {
                script.fail_sends([Errno::PIPE]);
                seen.borrow_mut().push(transport.write(b"no"));
                transport.flush();
                seen.borrow_mut().push(transport.write(b"nor this"));
            }));
            raw.write(b"x");
            world.until(|| log.is_lost());
            assert_eq!(*statuses.borrow(), [WriteStatus::Ok, WriteStatus::Closed]);
            assert_eq!(log.events(), [Event::Made, Event::Lost("Reset".into())]);
            assert_eq!(log.lost().map(|lost| lost.unsent()), Some(2));
        });
    }
}

/// One loss, with the error that the send answered with.
fn assert_timed_out(log: &Log, unsent: usize) {
    assert_eq!(log.events(), [Event::Made, Event::Lost("Io".into())]);
    let lost = log.lost().expect("a loss");
    let Reason::Io(error) = lost.reason() else { panic!("{lost:?}") };
    assert_eq!(Errno::from_io_error(error), Some(Errno::TIMEDOUT));
    assert_eq!(lost.unsent(), unsent);
}

// SIGPIPE is about a whole process, and Rust's runtime ignores it before `main`: a child of ours makes it deadly again.

#[test]
fn w11_writing_to_a_dead_peer_never_raises_sigpipe() {
    let mut child = process::copy("w_writing::child_that_writes_to_a_dead_peer", "writer");
    let output = child.output().expect("a child");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}: {text}", output.status);
    assert!(text.contains("survived after 2 refused"), "{text}");
}

/// The other half of W11; nothing unless that starts it.
#[test]
fn child_that_writes_to_a_dead_peer() {
    if process::part().as_deref() != Some("writer") {
        return;
    }
    process::make_sigpipe_deadly();
    World::on_readiness(|world| {
        let refused = Rc::new(Cell::new(0));
        for parts in [1, 2] {
            let writer = Stubborn { refused: Rc::clone(&refused), parts };
            let (transport, raw) = world.accept_one(writer);
            transport.pause_reading();
            raw.reset();
            let before = refused.get();
            world.until(|| {
                for _ in 0..parts {
                    transport.write_owned(&b"x"[..]);
                }
                refused.get() > before
            });
        }
        println!("survived after {} refused", refused.get());
    });
}

/// Counts the losses.
struct Stubborn {
    refused: Rc<Cell<usize>>,
    parts: usize,
}

impl Protocol for Stubborn {
    fn data_received(&mut self, _: &Transport, _: &[u8]) {}

    fn connection_lost(&mut self, _: &Transport, lost: &Lost) {
        assert!(lost.is_reset() && lost.unsent() >= self.parts, "{lost:?}");
        self.refused.set(self.refused.get() + 1);
    }
}
