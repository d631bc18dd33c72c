//! A: a connection becomes a stream, and a stream a callback protocol's connection: what each finds.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::ErrorKind;
use std::pin::Pin;
use std::rc::Rc;

use futures::FutureExt;
use futures::io::AsyncBufReadExt;
use futures_io::AsyncBufRead;
use marline_reactor::framing::{LineProtocol, Lines};
use marline_reactor::{Protocol, Transport};
use marline_tasks::{HandedOver, Stream};

use crate::conformance;
use crate::support::{Event, Log, Trace, World, flood};

fn noted() -> (Log, Trace) {
    let log = Log::new();
    let trace = Trace::new(&log).keep_open();
    (log, trace)
}

/// A stream over the connection of a protocol that is given.
fn stream_over<P: Protocol>(world: &World, protocol: P) -> (Stream, Transport, crate::support::Raw) {
    let (transport, raw) = world.accept_one(protocol);
    let stream = Stream::from_transport(&transport).expect("a live connection");
    (stream, transport, raw)
}

/// Reads until it is so many bytes.
async fn read(stream: &Stream, count: usize) -> Vec<u8> {
    let (mut all, mut part) = (Vec::new(), vec![0; count]);
    while all.len() < count {
        let read = stream.read(&mut part[..count - all.len()]).await.expect("bytes");
        assert!(read > 0, "the end, after {all:?}");
        all.extend_from_slice(&part[..read]);
    }
    all
}

fn assert_handed_over(error: &std::io::Error) {
    assert_eq!(error.kind(), ErrorKind::NotConnected);
    assert!(error.get_ref().is_some_and(|inner| inner.is::<HandedOver>()), "{error:?}");
}

/// Becomes a stream at the line `go`.
struct Upgrade {
    stream: Rc<Cell<Option<Stream>>>,
}

impl LineProtocol for Upgrade {
    fn line_received(&mut self, transport: &Transport, line: &[u8]) {
        if line == b"go" {
            self.stream.set(Stream::from_transport(transport).ok());
        }
    }
}

conformance! {
    fn a18_what_was_read_ahead_comes_first_then_what_is_fresh(world: &World) {
        let (mut stream, raw) = world.stream();
        raw.write(b"line\nlent, ");
        let stream = world.finish(async move {
            let mut line = String::new();
            stream.read_line(&mut line).await.expect("a line");
            // All of it stays lent out, and more comes behind it.
            poll_fn(|context| Pin::new(&mut stream).poll_fill_buf(context).map_ok(drop)).await.expect("bytes");
            stream
        });
        raw.write(b"fresh");
        let (log, trace) = noted();
        let transport = stream.into_protocol(trace).expect("a live connection");
        assert_eq!(log.all(), [], "it starts from the loop");
        world.until(|| log.bytes().ends_with(b"fresh"));
        assert_eq!(log.bytes(), b"lent, fresh");
        assert_eq!(log.events(), [Event::Made]);
        transport.close();
        world.until(|| log.is_lost());
        assert_eq!(log.losses(), 1);
    }

    fn a18_what_a_parser_holds_comes_before_what_is_unread(world: &World) {
        for message in ["go\nbehind it, fresh", "x\ngo\nbehind it, fresh"] {
            let place = Rc::new(Cell::new(None));
            let (_, raw) = world.accept_one(Lines(Upgrade { stream: Rc::clone(&place) }));
            // In two pieces, so that the parser holds the start of the line.
            world.write(&raw, &message.as_bytes()[..1]);
            world.settle();
            world.write(&raw, &message.as_bytes()[1..]);
            let there = || place.take().map(|stream| place.set(Some(stream))).is_some();
            world.until(there);
            let stream = place.take().expect("a stream");
            assert_eq!(world.finish(async move { read(&stream, 16).await }), b"behind it, fresh");
        }
        let (transport, raw) = world.accept_one(Lines(Upgrade { stream: Rc::default() }));
        raw.write(b"half a line, ");
        world.settle();
        let stream = Stream::from_transport_with(&transport, b"unread, ").expect("a live connection");
        raw.write(b"fresh");
        assert_eq!(world.finish(async move { read(&stream, 26).await }), b"half a line, unread, fresh");
    }

    fn a18_in_a_callback_the_stream_can_be_used_at_once(world: &World) {
        let task = Rc::new(RefCell::new(None));
        let (place, handle) = (Rc::clone(&task), world.handle());
        let (_, raw) = world.accept_one(Trace::new(&Log::new()).with(move |transport, event, data| {
            if *event == Event::Made {
                transport.write("one, ");
            } else if let Event::Data(_) = event {
                let stream = Stream::from_transport_with(transport, &data[1..]).expect("a live connection");
                let peer = transport.peer_address();
                assert_eq!(stream.peer_address().ok(), peer);
                // Polled on the spot, before the protocol is in place: it waits, and is woken.
                let mut reading = Box::pin(async move {
                    let first = read(&stream, 6).await;
                    stream.write_all(b"three").await.expect("a write");
                    stream.flush().await.expect("a flush");
                    (first, stream)
                });
                assert!(reading.as_mut().now_or_never().is_none());
                transport.write("two, ");
                *place.borrow_mut() = Some(marline_tasks::spawn_on(&handle, reading));
            }
        }));
        raw.write(b"?unread");
        world.until(|| task.borrow().is_some());
        let (first, _stream) = world.join(task.take().expect("a task"));
        assert_eq!(first, b"unread");
        assert_eq!(world.read(&raw, 15), b"one, two, three");
    }

    fn a18_unsent_bytes_stay_and_each_new_holder_is_told_to_pause(world: &World) {
        let (first, trace) = noted();
        let (transport, raw) = world.accept_one(trace);
        let count = flood(world, &transport);
        world.until(|| first.count(&Event::Pause) == 1);
        let stream = Stream::from_transport(&transport).expect("a live connection");
        // The stream waits for room, as the flood stands before it.
        let task = world.spawn(async move {
            stream.write_all(b"from the stream").await.expect("a write");
            stream
        });
        world.settle();
        assert!(!task.is_finished(), "the high watermark was passed");
        // Another takes over while it waits: an error, and not silence.
        let (second, trace) = noted();
        transport.set_protocol(trace, b"").expect("a live connection");
        world.until(|| second.count(&Event::Pause) == 1);
        world.until(|| task.is_finished());
        task.now_or_never().expect("an end").expect_err("a write that failed");

        let stream = Stream::from_transport(&transport).expect("a live connection");
        let (third, trace) = noted();
        world.settle();
        let again = stream.into_protocol(trace).expect("a live connection");
        assert_eq!(again, transport);
        again.write("from the end");
        world.until(|| third.count(&Event::Pause) == 1);
        let heard = RefCell::new(Vec::new());
        world.until(|| {
            heard.borrow_mut().extend(raw.read());
            heard.borrow().len() >= count + 12 && third.count(&Event::Resume) == 1
        });
        let heard = heard.take();
        assert!(heard[..count].iter().all(|byte| *byte == b'f') && &heard[count..] == b"from the end");
        assert_eq!(first.events(), [Event::Made, Event::Pause]);
        assert_eq!(second.events(), [Event::Made, Event::Pause]);
        assert_eq!(third.events(), [Event::Made, Event::Pause, Event::Resume]);
    }

    fn a18_a_write_that_waits_before_the_stream_is_in_place_goes_on(world: &World) {
        let (transport, raw) = world.accept_one(Trace::new(&Log::new()));
        let count = flood(world, &transport);
        let task = world.spawn(async move {
            let stream = Stream::from_transport(&transport).expect("a live connection");
            // In the same breath: what it asks of the connection is asked in the name of the old protocol.
            stream.write_all(b"later").await.expect("a write");
            stream
        });
        world.turn_a_little();
        assert!(!task.is_finished(), "the high watermark was passed");
        let heard = world.read(&raw, count + 5);
        assert_eq!(heard[count..], *b"later");
        world.until(|| task.is_finished());
    }

    fn a18_the_pauses_of_a_streams_reading_end_with_it(world: &World) {
        let (log, trace) = noted();
        let (stream, transport, raw) = stream_over(world, Trace::new(&Log::new()));
        world.settle();
        assert!(!transport.is_reading(), "nobody reads the stream");
        stream.into_protocol(trace).expect("a live connection");
        raw.write(b"x");
        world.until(|| log.received() == 1);

        // From stream to stream, and taken away without asking the last one.
        let _replaced = Stream::from_transport(&transport).expect("a live connection");
        world.settle();
        let _taken_away = Stream::from_transport(&transport).expect("a live connection");
        world.settle();
        let (log, trace) = noted();
        transport.set_protocol(trace, b"").expect("a live connection");
        raw.write(b"y");
        world.until(|| log.received() == 1);
    }

    fn a18_a_pause_of_the_programs_outlives_the_stream(world: &World) {
        for reads in [false, true] {
            let (transport, raw) = world.accept_one(Trace::new(&Log::new()));
            transport.pause_reading();
            let stream = Stream::from_transport(&transport).expect("a live connection");
            let stream = world.finish(async move {
                if reads {
                    raw.write(b"first");
                    assert_eq!(read(&stream, 5).await, b"first");
                }
                (stream, raw)
            });
            let (stream, raw) = stream;
            world.settle();
            let (log, trace) = noted();
            stream.into_protocol(trace).expect("a live connection");
            raw.write(b"x");
            world.settle();
            assert_eq!(log.all(), [Event::Made], "paused as before");
            transport.resume_reading();
            world.until(|| log.received() == 1);
        }
    }

    fn a18_a_pause_right_after_the_hand_over_holds(world: &World) {
        let (stream, raw) = world.stream();
        let (log, trace) = noted();
        raw.write(b"x");
        world.settle();
        let transport = stream.into_protocol(trace).expect("a live connection");
        transport.pause_reading();
        world.settle();
        assert_eq!(log.all(), [Event::Made]);
        transport.resume_reading();
        world.until(|| log.received() == 1);
    }

    fn a18_the_peers_end_is_told_to_each_holder(world: &World) {
        let (first, trace) = noted();
        let (transport, raw) = world.accept_one(trace);
        raw.write(b"bytes");
        raw.finish();
        world.until(|| first.count(&Event::Eof) == 1);
        let stream = Stream::from_transport_with(&transport, b"bytes").expect("a live connection");
        let stream = world.finish(async move {
            assert_eq!(read(&stream, 5).await, b"bytes");
            assert_eq!(stream.read(&mut [0; 8]).await.expect("the end"), 0);
            stream
        });
        let (second, trace) = noted();
        stream.into_protocol(trace).expect("a live connection");
        world.until(|| second.count(&Event::Eof) == 1);
        assert_eq!(second.all(), [Event::Made, Event::Eof]);
        // Our own direction is open still.
        let stream = Stream::from_transport(&transport).expect("a live connection");
        world.finish(async move {
            stream.write_all(b"answer").await.expect("a write");
            assert_eq!(stream.read(&mut [0; 8]).await.expect("the end"), 0);
            stream.close().await.expect("a close");
        });
        assert_eq!(world.read(&raw, 6), b"answer");
        world.until(|| raw.read().is_empty() && raw.is_finished());
        assert_eq!((first.losses(), second.losses()), (0, 0));
    }

    fn a18_the_end_of_our_direction_stays_ended(world: &World) {
        let (stream, raw) = world.stream();
        let stream = world.finish(async move { stream.close().await.map(|()| stream) }).expect("a close");
        let (log, trace) = noted();
        let transport = stream.into_protocol(trace).expect("a live connection");
        world.until(|| log.count(&Event::Made) == 1);
        assert!(!transport.write("no").is_accepted());
        raw.write(b"still heard");
        world.until(|| log.received() == 11);
        let stream = Stream::from_transport(&transport).expect("a live connection");
        let error = world.finish(async move { stream.write_all(b"no").await }).expect_err("an ended direction");
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    }

    fn a18_who_waits_for_a_stream_that_is_taken_away_gets_an_error(world: &World) {
        let (stream, _raw) = world.stream();
        let transport = stream.transport().expect("a live connection");
        let stream = Rc::new(stream);
        let reader = Rc::clone(&stream);
        let read = world.spawn(async move { reader.read(&mut [0; 8]).await });
        world.settle();
        let (log, trace) = noted();
        transport.set_protocol(trace, b"").expect("a live connection");
        assert_handed_over(&world.join(read).expect_err("another took over"));
        let stream = Rc::into_inner(stream).expect("the only one");
        let stream = world.finish(async move {
            assert_handed_over(&stream.write_all(b"x").await.expect_err("another took over"));
            assert_handed_over(&stream.flush().await.expect_err("another took over"));
            assert_handed_over(&stream.close().await.expect_err("another took over"));
            assert_handed_over(&stream.read(&mut [0; 8]).await.expect_err("another took over"));
            stream
        });
        assert!(stream.into_protocol(|_: &Transport, _: &[u8]| {}).is_err());
        world.settle();
        assert_eq!(log.all(), [Event::Made], "a stream without a connection closes nothing");
    }

    fn a18_a_stream_that_is_passed_over_answers_with_an_error(world: &World) {
        let (transport, raw) = world.accept_one(Trace::new(&Log::new()));
        let first = Stream::from_transport_with(&transport, b"one, ").expect("a live connection");
        let read_of_first = world.spawn(async move { first.read(&mut [0; 8]).await });
        let second = Stream::from_transport_with(&transport, b"two, ").expect("a live connection");
        raw.write(b"fresh");
        assert_eq!(world.finish(async move { read(&second, 15).await }), b"one, two, fresh");
        assert_handed_over(&world.join(read_of_first).expect_err("another took over"));

        let (transport, raw) = world.accept_one(Trace::new(&Log::new()));
        let (log, trace) = noted();
        let never = Stream::from_transport_with(&transport, b"unread, ").expect("a live connection");
        never.into_protocol(trace).expect("a live connection");
        raw.write(b"fresh");
        world.until(|| log.received() == 13);
        assert_eq!((log.bytes(), log.events()), (b"unread, fresh".to_vec(), vec![Event::Made]));
    }

    fn a18_a_lost_connection_gives_stream_and_protocol_back(world: &World) {
        let (stream, raw) = world.stream();
        let transport = stream.transport().expect("a live connection");
        raw.write(b"bytes");
        let (mut stream, lent) = world.finish(async move {
            let mut stream = stream;
            let lent = poll_fn(|context| Pin::new(&mut stream).poll_fill_buf(context).map_ok(<[u8]>::len)).await;
            (stream, lent.expect("bytes"))
        });
        transport.abort();
        for _ in 0..2 {
            let error = stream.into_protocol(Trace::new(&Log::new())).expect_err("a lost connection");
            assert!(!error.is_wrong_thread());
            (stream, _) = error.into_parts();
            world.settle();
        }
        assert!(Stream::from_transport(&transport).is_err());
        assert_eq!(world.finish(async move { read(&stream, lent).await }), b"bytes"[..lent]);
        world.until(|| world.handle().stats().connections == 0);
    }

    fn a18_a_stream_over_a_closing_connection_reads_its_end(world: &World) {
        let (transport, raw) = world.accept_one(Trace::new(&Log::new()));
        transport.write("the last words");
        transport.close();
        let stream = Stream::from_transport(&transport).expect("it is not lost yet");
        let read = world.spawn(async move { stream.read(&mut [0; 8]).await });
        assert_eq!(world.read(&raw, 14), b"the last words");
        raw.close();
        assert_eq!(world.join(read).expect("the end"), 0);
        world.until(|| world.handle().stats().connections == 0);
    }

    fn a18_a_stream_that_is_dropped_before_it_is_in_place_closes(world: &World) {
        let (transport, raw) = world.accept_one(Trace::new(&Log::new()));
        drop(Stream::from_transport(&transport).expect("a live connection"));
        world.until(|| raw.is_finished());
        raw.close();
        world.until(|| world.handle().stats().connections == 0);
    }

    fn a18_split_halves_become_one_stream_again(world: &World) {
        let (one, raw) = world.stream();
        let (other, _raw) = world.stream();
        let (reading, writing) = one.into_split();
        let (read_other, write_other) = other.into_split();
        let (reading, _) = reading.reunite(write_other).expect_err("of two streams").into_parts();
        drop(read_other);
        raw.write(b"read ahead, ");
        let (reading, writing) = world.finish(async move {
            let mut reading = reading;
            poll_fn(|context| Pin::new(&mut reading).poll_fill_buf(context).map_ok(drop)).await.expect("bytes");
            writing.write_all(b"written").await.expect("a write");
            (reading, writing)
        });
        let stream = reading.reunite(writing).expect("halves of one stream");
        raw.write(b"fresh");
        let (log, trace) = noted();
        stream.into_protocol(trace).expect("a live connection");
        world.until(|| log.received() == 17);
        assert_eq!(log.bytes(), b"read ahead, fresh");
        assert_eq!(world.read(&raw, 7), b"written");
        world.settle();
        assert!(!raw.is_finished(), "nothing was ended on the way");
    }

    fn a18_on_another_thread_both_come_back(world: &World) {
        let (stream, _raw) = world.stream();
        let elsewhere = std::thread::spawn(move || {
            let error = stream.into_protocol(|_: &Transport, _: &[u8]| {}).expect_err("another thread");
            assert!(error.is_wrong_thread());
            error.into_parts().0
        });
        let stream = elsewhere.join().expect("a thread");
        let (log, trace) = noted();
        stream.into_protocol(trace).expect("at home");
        world.until(|| log.count(&Event::Made) == 1);
    }
}
