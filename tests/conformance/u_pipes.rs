//! U: pipes.

use std::cell::{Cell, RefCell};

use marline_reactor::WriteStatus;

use crate::streams;
use crate::support::{Event, FarPipe, Log, Trace, World, pattern};

/// Everything that comes out of a pipe until its end, read while the loop turns.
fn drain(world: &World, far: &FarPipe) -> Vec<u8> {
    let (seen, ended) = (RefCell::new(Vec::new()), Cell::new(false));
    world.until(|| {
        let (bytes, all) = far.read();
        seen.borrow_mut().extend(bytes);
        ended.set(ended.get() || all);
        ended.get()
    });
    seen.into_inner()
}

streams! {
    fn u05_a_read_pipe_gives_data_then_eof_then_the_loss(world: &World) {
        let (log, payload) = (Log::new(), world.payload());
        let (pipe, far) = world.read_pipe();
        let transport = world.handle().adopt_stream(pipe, Trace::new(&log)).expect("a pipe");
        let sent = Cell::new(0);
        world.until(|| {
            sent.set(sent.get() + far.write(&payload[sent.get()..]));
            sent.get() == payload.len()
        });
        assert_eq!(transport.write(b"x"), WriteStatus::Closed, "it cannot be written");
        drop(far);
        world.until(|| log.is_lost());
        assert_eq!(log.bytes(), payload);
        let lost = Event::Lost("Clean".into());
        assert_eq!(log.events(), [Event::Made, Event::Eof, lost]);
        assert_eq!(world.open_sockets(), 0);
    }

    fn u05_a_read_pipe_ends_although_its_protocol_would_keep_writing(world: &World) {
        let log = Log::new();
        let (pipe, far) = world.read_pipe();
        world.handle().adopt_stream(pipe, Trace::new(&log).keep_open()).expect("a pipe");
        drop(far);
        world.until(|| log.is_lost());
        assert_eq!(log.events(), [Event::Made, Event::Eof, Event::Lost("Clean".into())]);
    }

    fn u05_a_pipe_pauses_its_writer(world: &World) {
        let (log, payload) = (Log::new(), world.payload());
        let (pipe, far) = world.read_pipe();
        let transport = world.handle().adopt_stream(pipe, Trace::new(&log)).expect("a pipe");
        transport.pause_reading();
        let sent = Cell::new(far.write(&payload));
        world.settle();
        assert_eq!(log.received(), 0);
        transport.resume_reading();
        world.until(|| {
            sent.set(sent.get() + far.write(&payload[sent.get()..]));
            sent.get() == payload.len()
        });
        world.until(|| log.received() == payload.len());
        assert_eq!(log.bytes(), payload);
    }

    fn u06_a_write_pipe_delivers_everything_and_then_the_end(world: &World) {
        let (log, payload) = (Log::new(), world.payload());
        let (pipe, far) = world.write_pipe();
        let transport = world.handle().adopt_stream(pipe, Trace::new(&log)).expect("a pipe");
        assert!(transport.write(&payload).is_accepted());
        transport.close();
        assert_eq!(drain(world, &far), payload);
        world.until(|| log.is_lost());
        assert_eq!(log.reason().as_deref(), Some("Clean"));
        assert_eq!(log.count(&Event::Eof), 0, "there is no end of what cannot be read");
    }

    fn u06_write_eof_ends_a_write_pipe(world: &World) {
        let log = Log::new();
        let (pipe, far) = world.write_pipe();
        let transport = world.handle().adopt_stream(pipe, Trace::new(&log)).expect("a pipe");
        transport.write(b"the end");
        transport.write_eof();
        assert_eq!(drain(world, &far), b"the end");
        world.until(|| log.is_lost());
        assert_eq!(log.reason().as_deref(), Some("Clean"));
    }

    fn u06_a_write_pipe_notices_that_its_reader_closed_with_nothing_pending(world: &World) {
        let log = Log::new();
        let (pipe, far) = world.write_pipe();
        let transport = world.handle().adopt_stream(pipe, Trace::new(&log)).expect("a pipe");
        transport.write(b"read");
        let seen = RefCell::new(Vec::new());
        world.until(|| {
            seen.borrow_mut().extend(far.read().0);
            seen.borrow().len() == 4
        });
        world.settle();
        drop(far);
        world.until(|| log.is_lost());
        assert_eq!(log.events(), [Event::Made, Event::Lost("Clean".into())]);
    }

    fn u06_a_write_pipe_notices_that_its_reader_closed_with_data_pending(world: &World) {
        let log = Log::new();
        let (pipe, far) = world.write_pipe();
        let transport = world.handle().adopt_stream(pipe, Trace::new(&log)).expect("a pipe");
        // More than fits into any pipe.
        transport.write(pattern(2 * 1024 * 1024));
        world.settle();
        assert!(transport.buffered() > 0);
        drop(far);
        world.until(|| log.is_lost());
        assert_eq!(log.reason().as_deref(), Some("Reset"));
        assert!(log.lost().is_some_and(|lost| lost.unsent() > 0));
        assert_eq!(log.losses(), 1);
    }
}
