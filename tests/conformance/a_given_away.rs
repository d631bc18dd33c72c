//! A: what the drop of a stream or of a half does to a connection that another holds, or is about to get.

use std::thread;

use marline_reactor::relay;
use marline_tasks::Stream;

use crate::conformance;
use crate::support::{Event, Log, Trace, World};

conformance! {
    fn a18_a_dropped_stream_leaves_the_connection_to_the_protocol_that_was_set(world: &World) {
        for whole in [true, false] {
            let (stream, raw) = world.stream();
            let log = Log::new();
            let transport = stream.transport().expect("a connection");
            transport.set_protocol(Trace::new(&log).keep_open(), b"first, ").expect("a live connection");
            assert!(transport.is_handed_over());
            if whole {
                drop(stream);
            } else {
                let (reading, writing) = stream.into_split();
                drop(writing);
                drop(reading);
            }
            world.write(&raw, b"then");
            world.until(|| log.received() == 11);
            assert_eq!((log.bytes(), log.events()), (b"first, then".to_vec(), vec![Event::Made]));
            assert!(!transport.is_handed_over());
            transport.write(b"answer");
            assert_eq!(world.read(&raw, 6), b"answer");
            assert!(!raw.is_finished());
            transport.close();
            world.until(|| log.is_lost());
        }
    }

    fn a18_streams_can_be_relayed_and_dropped(world: &World) {
        for given in [true, false] {
            let ((one, first), (two, second)) = (world.stream(), world.stream());
            let joined = if given {
                relay(&one.into_transport().expect("a transport"), &two.into_transport().expect("a transport"))
            } else {
                let joined = relay(&one.transport().expect("a transport"), &two.transport().expect("a transport"));
                drop((one, two));
                joined
            };
            joined.expect("two live connections");
            world.write(&first, b"there");
            assert_eq!(world.read(&second, 5), b"there");
            world.write(&second, b"back");
            assert_eq!(world.read(&first, 4), b"back");
            first.close();
            world.until(|| second.read().is_empty() && second.is_finished());
            second.close();
            world.until(|| world.handle().stats().connections == 0);
        }
    }

    fn a18_a_released_transport_keeps_what_was_read_ahead(world: &World) {
        use futures::io::AsyncBufReadExt;
        let (mut stream, raw) = world.stream();
        world.write(&raw, b"line\nahead, ");
        let stream = world.finish(async move {
            let mut line = String::new();
            stream.read_line(&mut line).await.expect("a line");
            stream
        });
        let transport = stream.into_transport().expect("a transport");
        // It stays open without a protocol, and goes on where it was.
        world.settle();
        assert!(!transport.is_closing() && !raw.is_finished());
        let log = Log::new();
        transport.set_protocol(Trace::new(&log), &[]).expect("a live connection");
        world.write(&raw, b"fresh");
        world.until(|| log.received() == 12);
        assert_eq!(log.bytes(), b"ahead, fresh");
        transport.close();
        world.until(|| log.is_lost());
        let (stream, raw) = world.stream();
        raw.close();
        let end = stream.transport().expect("a transport");
        end.abort();
        assert!(!stream.into_transport().expect_err("it is gone").is_wrong_thread());
        world.until(|| world.handle().stats().connections == 0);
    }

    fn a18_a_stream_of_a_transport_can_be_released_or_dropped_at_once(world: &World) {
        let (transport, raw) = world.accept_one(Trace::new(&Log::new()));
        let stream = Stream::from_transport(&transport).expect("a live connection");
        let transport = stream.into_transport().expect("a transport");
        world.settle();
        assert!(!transport.is_closing() && !raw.is_finished());
        drop(Stream::from_transport(&transport).expect("a live connection"));
        world.until(|| raw.is_finished());
        raw.close();
        world.until(|| world.handle().stats().connections == 0);
    }

    fn a18_a_stream_that_is_released_at_once_leaves_no_pause_behind(world: &World) {
        for turns in [0, 3] {
            let log = Log::new();
            let (transport, raw) = world.accept_one(Trace::new(&Log::new()));
            let stream = Stream::from_transport(&transport).expect("a live connection");
            let transport = stream.into_transport().expect("a transport");
            (0..turns).for_each(|_| world.turn());
            transport.set_protocol(Trace::new(&log), &[]).unwrap_or_else(|_| panic!("it stands"));
            world.write(&raw, b"for the next");
            world.until(|| log.received() == 12);
            transport.abort();
            world.until(|| log.is_lost());
        }
    }

    fn a18_what_a_stream_left_with_the_system_goes_to_who_takes_over(world: &World) {
        for read_some in [false, true] {
            let (stream, raw) = world.stream();
            world.write(&raw, &[7; 3000]);
            let stream = world.finish(async move {
                let mut memory = vec![0; 2000];
                let began = stream.read(&mut memory[..1]).await.expect("a byte");
                if read_some {
                    stream.read(&mut memory).await.expect("bytes");
                }
                assert_eq!((began, memory[0]), (1, 7));
                stream
            });
            // Whoever reads no more is told of what comes, and leaves it.
            world.write(&raw, &[8; 2000]);
            world.settle();
            let log = Log::new();
            let transport = stream.into_protocol(Trace::new(&log)).expect("a live connection");
            world.until(|| log.bytes().ends_with(&[8; 2000]));
            assert!(log.bytes().iter().filter(|byte| **byte == 7).count() < 3000);
            transport.abort();
            world.until(|| log.is_lost());
        }
    }

    fn a27_halves_that_are_made_elsewhere_are_used_at_home(world: &World) {
        for reading_first in [true, false] {
            let (stream, raw) = world.stream();
            let (reading, writing) = thread::spawn(move || stream.into_split()).join().expect("two halves");
            if reading_first {
                drop(reading);
                world.settle();
                let writing = world.finish(async move { writing.write_all(b"hello").await.map(|()| writing) });
                assert_eq!(world.read(&raw, 5), b"hello");
                assert!(!raw.is_finished());
                drop(writing);
            } else {
                drop(writing);
                world.until(|| raw.is_finished());
                world.write(&raw, b"x");
                assert_eq!(world.finish(async move { reading.read(&mut [0; 8]).await }).expect("bytes"), 1);
            }
            world.until(|| raw.is_finished());
            raw.close();
            world.until(|| world.handle().stats().connections == 0);
        }
    }

    fn a27_a_stream_that_is_reunited_elsewhere_is_used_at_home(world: &World) {
        let (stream, raw) = world.stream();
        let (reading, writing) = stream.into_split();
        let stream = thread::spawn(move || reading.reunite(writing)).join().expect("a thread").expect("a stream");
        let (reading, writing) = stream.into_split();
        drop(reading);
        world.settle();
        assert!(!raw.is_finished() && world.handle().stats().connections == 1);
        let writing = world.finish(async move { writing.write_all(b"hello").await.map(|()| writing) });
        assert_eq!(world.read(&raw, 5), b"hello");
        drop(writing);
        world.until(|| raw.is_finished());
        raw.close();
        world.until(|| world.handle().stats().connections == 0);
    }
}
