//! U: standard input and output, where no kernel is. With one they are a process's own, so `tests/stdio` starts some.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};

use marline_reactor::terminal::WindowSize;
use marline_reactor::testing::{Peer, VirtualTerminal};
use marline_tasks::{copy, stdio};

use crate::support::{Event, Log, Trace, World, pattern, skip};
use crate::{conformance, streams};

/// The other end of the loop's standard input and output.
fn parent(world: &World) -> Option<Peer> {
    let parent = world.as_memory().map(|memory| memory.network().stdio());
    if parent.is_none() {
        skip("this process has its standard input and output for itself");
    }
    parent
}

/// A file of these bytes, to be read from the beginning.
fn file(bytes: &[u8]) -> File {
    let file = rustix::fs::memfd_create("file", rustix::fs::MemfdFlags::CLOEXEC).expect("a file");
    let mut file = File::from(file);
    file.write_all(bytes).and_then(|()| file.seek(SeekFrom::Start(0))).expect("a file");
    file
}

streams! {
    fn u09_stdio_is_one_duplex_transport_with_half_close(world: &World) {
        let Some(parent) = parent(world) else { return };
        let (log, payload) = (Log::new(), world.payload());
        let transport = world.handle().stdio(Trace::new(&log).keep_open()).expect("standard input and output");
        assert_eq!(transport.peer_address().map(|address| address.to_string()).as_deref(), Some("stdio:"));
        transport.write(&payload);
        transport.write_eof();
        let output = RefCell::new(Vec::new());
        world.until(|| {
            output.borrow_mut().extend(parent.read());
            parent.is_finished()
        });
        assert!(*output.borrow() == payload, "the parent reads the end, and the program lives on");
        let sent = Cell::new(0);
        world.until(|| {
            sent.set(sent.get() + parent.write(&payload[sent.get()..]));
            sent.get() == payload.len()
        });
        parent.finish();
        world.until(|| log.is_lost());
        assert!(log.bytes() == payload);
        assert_eq!((log.count(&Event::Eof), log.losses()), (1, 1));
        assert_eq!(log.reason().as_deref(), Some("Clean"));
    }

    fn u09_stdio_is_a_stream_for_tasks(world: &World) {
        let Some(parent) = parent(world) else { return };
        let payload = world.payload();
        let task = world.spawn(async move {
            let (input, output) = stdio().expect("standard input and output").into_split();
            copy(input, output).await
        });
        let (sent, output) = (Cell::new(0), RefCell::new(Vec::new()));
        world.until(|| {
            sent.set(sent.get() + parent.write(&payload[sent.get()..]));
            if sent.get() == payload.len() {
                parent.finish();
            }
            output.borrow_mut().extend(parent.read());
            parent.is_finished()
        });
        assert_eq!(world.join(task).expect("a count"), payload.len() as u64);
        assert!(*output.borrow() == payload);
    }

    fn u10_a_regular_file_is_read_from_where_it_stands_to_its_end(world: &World) {
        if world.is_memory() {
            return skip("there are no files without a kernel");
        }
        let (log, payload) = (Log::new(), world.payload());
        let mut file = file(&payload);
        file.seek(SeekFrom::Start(10)).expect("a file");
        world.handle().adopt_stream(file, Trace::new(&log).keep_open()).expect("a file");
        world.until(|| log.count(&Event::Eof) == 1);
        assert!(log.bytes() == payload[10..]);
        assert!(!log.is_lost());
    }
}

conformance! {
    fn u09_what_was_never_opened_is_closed_when_another_takes_its_place(world: &World) {
        let Some(first) = parent(world) else { return };
        let second = parent(world).expect("memory");
        assert!(first.is_finished() && !second.is_finished());
        let log = Log::new();
        second.write(b"before it was opened");
        world.handle().stdio(Trace::new(&log)).expect("standard input and output");
        world.until(|| log.received() == 20);
        assert!(world.handle().stdio(Trace::new(&Log::new())).is_err(), "there is one");
    }

    fn u09_stdio_may_be_a_terminal_with_a_window(world: &World) {
        let size = WindowSize::new(24, 80);
        let person = world.as_memory().map(|memory| memory.network().stdio_terminal(size));
        let Some(person): Option<VirtualTerminal> = person else {
            return skip("this process has its standard input and output for itself");
        };
        let transport = world.handle().stdio(Trace::new(&Log::new())).expect("standard input and output");
        assert_eq!(transport.window_size().expect("a terminal"), size);
        person.set_window_size(WindowSize::new(50, 132));
        assert_eq!(transport.window_size().expect("a terminal"), WindowSize::new(50, 132));
        assert!(person.take_resizes().is_empty(), "nothing that the loop did");
    }

    fn u10_what_is_always_readable_starves_nobody_and_can_be_paused(world: &World) {
        if world.is_memory() {
            return skip("there are no files without a kernel");
        }
        let (endless, other) = (Log::new(), Log::new());
        let zero = File::open("/dev/zero").expect("a device");
        let transport = world.handle().adopt_stream(zero, Trace::new(&endless)).expect("a device");
        let (pipe, far) = world.read_pipe();
        world.handle().adopt_stream(pipe, Trace::new(&other)).expect("a pipe");
        world.until(|| endless.received() > 0);
        far.write(b"also");
        world.until(|| other.received() == 4);
        transport.pause_reading();
        world.settle();
        let (before, turns) = (endless.received(), world.handle().stats().turns);
        // A loop that spins would have made many turns until something happens.
        let remote = world.handle().remote();
        let waker = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(50));
            remote.post(|| {}).expect("a loop");
        });
        world.turn_with_event();
        waker.join().expect("a thread");
        assert_eq!(endless.received(), before);
        assert!(world.handle().stats().turns - turns < 20, "it sleeps");
        transport.resume_reading();
        world.until(|| endless.received() > before);
        transport.abort();
        world.until(|| endless.is_lost());
    }

    fn u10_a_full_disk_is_told(world: &World) {
        if world.is_memory() {
            return skip("there are no files without a kernel");
        }
        let full = File::options().write(true).open("/dev/full").expect("a device");
        let log = Log::new();
        let transport = world.handle().adopt_stream(full, Trace::new(&log)).expect("a device");
        transport.write(pattern(100_000));
        world.until(|| log.is_lost());
        let lost = log.lost().expect("a loss");
        assert_eq!(lost.to_io_error().kind(), std::io::ErrorKind::StorageFull);
        assert_eq!(lost.unsent(), 100_000);
    }
}
