//! W: files among the bytes out.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::ops::Bound;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use marline_reactor::{FileTruncated, Reason, SendFileErrorKind, Transport, WriteStatus};
use marline_tests::files::file_of;
use marline_tests::process;
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;

use crate::support::{Event, Log, Raw, Trace, World, pattern};
use crate::{conformance, streams};

/// Connects, and lets the wires hold little, so that what is large is under way for long. More bytes than are kept on the way.
fn narrow(world: &World) -> (Log, Transport, Raw, usize) {
    if let Some(memory) = world.as_memory() {
        memory.network().set_capacity(700);
    }
    let log = Log::new();
    let (transport, raw) = world.accept_one(Trace::new(&log));
    (log, transport, raw, if world.is_memory() { 100_000 } else { 12 * 1024 * 1024 })
}

/// Reads until the far end was told that there is no more.
fn read_to_end(world: &World, raw: &Raw) -> Vec<u8> {
    let seen = RefCell::new(Vec::new());
    world.until(|| {
        seen.borrow_mut().extend(raw.read());
        raw.is_finished() || raw.is_reset()
    });
    seen.into_inner()
}

/// A file that is not open for reading.
fn write_only() -> File {
    let readable = file_of(b"secret");
    let path = format!("/proc/self/fd/{}", readable.as_raw_fd());
    File::options().write(true).open(path).expect("the same file")
}

/// The error that a failed connection was lost with.
fn truncation(log: &Log) -> Option<FileTruncated> {
    match log.lost()?.reason() {
        Reason::Failed(error) => error.downcast_ref::<FileTruncated>().copied(),
        _ => None,
    }
}

streams! {
    fn w31_files_keep_their_place_between_writes(world: &World) {
        let (log, payload) = (Log::new(), world.payload());
        let (transport, raw) = world.accept_one(Trace::new(&log));
        let mut whole = file_of(&payload);
        // Nobody cares where the file stands, or moves it.
        whole.seek(SeekFrom::Start(7)).expect("a position");
        let whole = Arc::new(whole);
        let half = payload.len() as u64 / 2;
        transport.write(b"before");
        transport.send_file(whole.clone(), ..).expect("a file");
        transport.write_owned(&b"between"[..]);
        transport.send_file(whole.clone(), half..half + 5).expect("a part");
        transport.send_file(whole.clone(), ..=0).expect("a byte");
        world.turn();
        transport.send_file(whole.clone(), half..).expect("its end");
        transport.write(b"after");
        transport.close();
        let half = payload.len() / 2;
        let parts: [&[u8]; 7] = [
            b"before", &payload, b"between", &payload[half..half + 5], &payload[..1], &payload[half..], b"after",
        ];
        let wanted = parts.concat();
        assert!(read_to_end(world, &raw) == wanted, "the bytes differ");
        world.until(|| log.is_lost());
        assert_eq!(log.reason().as_deref(), Some("Clean"));
        assert_eq!(Arc::strong_count(&whole), 1, "the loop has let go of it");
        assert_eq!((&*whole).stream_position().expect("a position"), 7);
    }

    fn w31_files_keep_their_place_in_pipes(world: &World) {
        let (log, payload) = (Log::new(), world.payload());
        let (pipe, far) = world.write_pipe();
        let transport = world.handle().adopt_stream(pipe, Trace::new(&log)).expect("a pipe");
        let file = Arc::new(file_of(&payload));
        transport.write(b"before");
        transport.send_file(file.clone(), ..).expect("a file");
        transport.write(b"between");
        transport.send_file(file.clone(), 1..).expect("a file");
        transport.close();
        let (seen, ended) = (RefCell::new(Vec::new()), Cell::new(false));
        world.until(|| {
            let (bytes, all) = far.read();
            seen.borrow_mut().extend(bytes);
            ended.set(ended.get() || all);
            ended.get()
        });
        let wanted = [b"before", &payload[..], b"between", &payload[1..]].concat();
        assert!(*seen.borrow() == wanted, "the bytes differ");
        world.until(|| log.is_lost());
        assert_eq!((log.reason().as_deref(), Arc::strong_count(&file)), (Some("Clean"), 1));
    }

    fn w31_an_empty_range_does_nothing(world: &World) {
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log));
        let file = Arc::new(file_of(b"some"));
        let sends = world.handle().stats().sends;
        for range in [(0, 0), (4, 4)] {
            assert_eq!(transport.send_file(file.clone(), range.0..range.1).ok(), Some(WriteStatus::Ok));
        }
        assert_eq!(transport.send_file(file.clone(), 4..).ok(), Some(WriteStatus::Ok));
        world.settle();
        assert_eq!((transport.buffered(), world.handle().stats().sends), (0, sends));
        assert_eq!(Arc::strong_count(&file), 1);
        transport.close();
        assert_eq!(read_to_end(world, &raw), b"");
    }
}

conformance! {
    fn w32_writes_in_the_middle_of_a_file_are_queued(world: &World) {
        let (_log, transport, raw, size) = narrow(world);
        let payload = pattern(size);
        transport.send_file(file_of(&payload), ..).expect("a file");
        let mut seen = world.read(&raw, 500);
        // The far end may have bytes before the loop hears that they were sent.
        world.until(|| transport.buffered() < size);
        assert!(transport.buffered() > 0);
        assert_eq!(transport.write(b"behind"), WriteStatus::OverHigh);
        transport.flush();
        seen.extend(world.read(&raw, size / 2));
        assert!(transport.buffered() > 6, "the file is still under way");
        assert!(transport.write_owned(&b" it"[..]).is_accepted());
        transport.close();
        assert_eq!(transport.write(b"too late"), WriteStatus::Closed);
        assert_eq!(transport.send_file(file_of(b"too"), ..).ok(), Some(WriteStatus::Closed));
        seen.extend(read_to_end(world, &raw));
        let wanted = [&payload[..], b"behind it"].concat();
        assert!(seen == wanted, "the bytes differ");
    }

    fn w33_a_peer_who_closes_in_the_middle_of_a_file_ends_it(world: &World) {
        let (log, transport, raw, size) = narrow(world);
        let file = Arc::new(file_of(&pattern(size)));
        transport.send_file(file.clone(), ..).expect("a file");
        transport.write(b"behind");
        world.read(&raw, 500);
        assert!(!log.is_lost());
        raw.reset();
        world.until(|| log.is_lost());
        let lost = log.lost().expect("a loss");
        assert_eq!((log.reason().as_deref(), log.losses()), (Some("Reset"), 1));
        assert!(lost.unsent() > 6 && lost.unsent() < size + 6, "{} bytes unsent", lost.unsent());
        assert_eq!(transport.buffered(), 0);
        world.settle();
        assert_eq!((log.losses(), Arc::strong_count(&file)), (1, 1));
    }

    fn w33_an_abort_in_the_middle_of_a_file_lets_go_of_it(world: &World) {
        let (log, transport, raw, size) = narrow(world);
        let file = Arc::new(file_of(&pattern(size)));
        transport.send_file(file.clone(), ..).expect("a file");
        world.read(&raw, 500);
        transport.abort();
        world.until(|| log.is_lost());
        world.settle();
        assert_eq!((log.reason().as_deref(), Arc::strong_count(&file)), (Some("Aborted"), 1));
    }

    fn w33_the_reader_of_a_pipe_closes_in_the_middle_of_a_file(world: &World) {
        let log = Log::new();
        let (pipe, far) = world.write_pipe();
        let transport = world.handle().adopt_stream(pipe, Trace::new(&log)).expect("a pipe");
        let file = Arc::new(file_of(&pattern(2 * 1024 * 1024)));
        transport.send_file(file.clone(), ..).expect("a file");
        world.settle();
        let (bytes, _) = far.read();
        assert!(!bytes.is_empty() && transport.buffered() > 0);
        drop(far);
        world.until(|| log.is_lost());
        assert_eq!((log.reason().as_deref(), log.losses()), (Some("Reset"), 1));
        assert!(log.lost().is_some_and(|lost| lost.unsent() > 0));
        assert_eq!(Arc::strong_count(&file), 1);
    }

    fn w13_w14_w24_a_file_is_buffered_until_it_is_sent(world: &World) {
        let (log, transport, raw, size) = narrow(world);
        let before = transport.traffic().sent;
        let status = transport.send_file(file_of(&pattern(size)), ..).expect("a file");
        assert_eq!((status, transport.buffered()), (WriteStatus::OverHigh, size));
        transport.notify_drained();
        world.until(|| log.count(&Event::Pause) == 1);
        let seen = world.read(&raw, size);
        assert!(seen == pattern(size), "the bytes differ");
        world.until(|| transport.buffered() == 0);
        world.until(|| log.count(&Event::Drained) == 1);
        world.until(|| log.count(&Event::Resume) == 1);
        assert_eq!(log.events()[..2], [Event::Made, Event::Pause]);
        assert_eq!(log.events().len(), 4);
        assert_eq!(transport.traffic().sent - before, size as u64);
    }

    fn w31_a_file_takes_no_memory_and_many_do(world: &World) {
        let (log, transport, raw, size) = narrow(world);
        transport.set_write_limit(3 * 64 * 1024);
        let file = Arc::new(file_of(&pattern(size)));
        for _ in 0..3 {
            transport.send_file(file.clone(), ..).expect("a file");
        }
        assert!(transport.write(b"small").is_accepted(), "{} bytes wait", transport.buffered());
        world.read(&raw, 500);
        for _ in 0..4 {
            transport.send_file(file.clone(), ..).expect("a file");
        }
        world.until(|| log.is_lost());
        assert_eq!(log.reason().as_deref(), Some("Failed"));
    }

    fn w33_a_file_that_becomes_shorter_than_was_promised_fails_the_connection(world: &World) {
        let (log, transport, raw, size) = narrow(world);
        let file = Arc::new(file_of(&pattern(size)));
        transport.send_file(file.clone(), ..size as u64).expect("a file");
        transport.write(b"behind");
        world.read(&raw, 500);
        file.set_len(size as u64 - 3).expect("another length");
        world.until(|| {
            raw.read();
            log.is_lost()
        });
        assert_eq!(truncation(&log).map(|error| error.to_string()).as_deref(), Some("a file that was being sent ended 3 bytes too early"));
        assert_eq!((log.losses(), log.lost().map(|lost| lost.unsent())), (1, Some(9)));
        world.settle();
        assert_eq!(Arc::strong_count(&file), 1);
    }

    fn w31_a_file_that_becomes_shorter_ends_a_range_without_an_end(world: &World) {
        let (log, transport, raw, size) = narrow(world);
        let file = Arc::new(file_of(&pattern(size)));
        transport.send_file(file.clone(), ..).expect("a file");
        transport.write(b"behind");
        let mut seen = world.read(&raw, 500);
        file.set_len(size as u64 - 3).expect("another length");
        transport.close();
        seen.extend(read_to_end(world, &raw));
        let wanted = [&pattern(size)[..size - 3], b"behind"].concat();
        assert!(seen == wanted, "the bytes differ");
        world.until(|| log.is_lost());
        assert_eq!(log.reason().as_deref(), Some("Clean"));
    }

    fn w31_what_the_system_cannot_pass_on_is_read(world: &World) {
        world.with_faults(|world, faults| {
            world.send_whole();
            let log = Log::new();
            let (transport, raw) = world.accept_one(Trace::new(&log));
            let (payload, before) = (pattern(300_000), world.handle().stats().file_reads);
            let passes_on = !world.is_memory() && !world.is_completion();
            if passes_on {
                faults.fail_sends([Errno::OPNOTSUPP]);
            }
            transport.send_file(file_of(&payload), ..).expect("a file");
            transport.close();
            assert!(read_to_end(world, &raw) == payload, "the bytes differ");
            world.until(|| log.is_lost());
            assert_eq!(log.reason().as_deref(), Some("Clean"));
            let reads = world.handle().stats().file_reads - before;
            assert!((5..=6).contains(&reads), "{reads} reads of 64 KiB at most");
        });
    }

    fn w31_what_cannot_be_sent_is_an_error_at_the_call(world: &World) {
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log));
        let directory = transport.send_file(File::open(".").expect("a directory"), ..);
        assert!(matches!(directory.expect_err("no file").kind(), SendFileErrorKind::NotRegular));
        let device = transport.send_file(File::open("/dev/null").expect("a device"), ..);
        assert!(matches!(device.expect_err("no file").kind(), SendFileErrorKind::NotRegular));
        let unreadable = transport.send_file(write_only(), ..);
        assert!(matches!(unreadable.expect_err("no bytes").kind(), SendFileErrorKind::Unreadable));
        let file = Arc::new(file_of(b"ten bytes."));
        let ranges = [
            (Bound::Included(0), Bound::Excluded(11), (0, 11)),
            (Bound::Included(11), Bound::Unbounded, (11, 10)),
            (Bound::Excluded(u64::MAX), Bound::Included(u64::MAX), (u64::MAX, u64::MAX)),
            (Bound::Included(6), Bound::Excluded(5), (6, 5)),
        ];
        for (start, end, told) in ranges {
            let error = transport.send_file(file.clone(), (start, end)).expect_err("no such range");
            let SendFileErrorKind::OutOfRange { start, end, size: 10 } = *error.kind() else { panic!("{error}") };
            assert_eq!((start, end), told);
            assert!(Arc::ptr_eq(&error.into_inner(), &file), "the file is handed back");
        }
        world.settle();
        assert_eq!((transport.buffered(), log.events()), (0, vec![Event::Made]));
        transport.write(b"nothing before this");
        transport.close();
        assert_eq!(read_to_end(world, &raw), b"nothing before this");
    }

    fn w31_more_than_can_be_counted_is_an_error_at_the_call(world: &World) {
        let (transport, _raw) = world.accept_one(Trace::new(&Log::new()));
        // Most file systems have none so large.
        let file = memfd_create("file", MemfdFlags::CLOEXEC).expect("a file in memory");
        let file = Arc::new(File::from(file));
        file.set_len(i64::MAX.unsigned_abs()).expect("a file of nothing but holes");
        assert_eq!(transport.send_file(file.clone(), ..).expect("it is counted"), WriteStatus::OverHigh);
        for _ in 0..2 {
            let error = transport.send_file(file.clone(), 0..1).expect_err("it is not");
            assert!(matches!(error.kind(), SendFileErrorKind::TooMuch), "{error}");
        }
        assert_eq!(transport.write(b"nor does this overflow"), WriteStatus::OverHigh);
        transport.abort();
        world.settle();
    }
}

// SIGPIPE is about a whole process, and Rust's runtime ignores it before `main`: a child of ours makes it deadly again.

#[test]
fn w11_sending_a_file_to_a_dead_peer_never_raises_sigpipe() {
    let mut child = process::copy("w_files::child_that_sends_files_to_dead_peers", "sender");
    let output = child.output().expect("a child");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}: {text}", output.status);
    assert!(text.contains("survived 3 peers"), "{text}");
}

/// The other half of W11; nothing unless that starts it.
#[test]
fn child_that_sends_files_to_dead_peers() {
    if process::part().as_deref() != Some("sender") {
        return;
    }
    process::make_sigpipe_deadly();
    World::on_readiness(|world| {
        let log = Log::new();
        let (connection, raw) = world.accept_one(Trace::new(&log).keep_open());
        // A reset after the end is a broken pipe to the system.
        raw.finish();
        raw.reset();
        send_to_nobody(world, &connection, &log);

        let log = Log::new();
        let (pipe, far) = world.write_pipe();
        let pipe = world.handle().adopt_stream(pipe, Trace::new(&log)).expect("a pipe");
        drop(far);
        send_to_nobody(world, &pipe, &log);

        let log = Log::new();
        let (near, far) = UnixStream::pair().expect("two sockets");
        near.set_nonblocking(true).expect("a mode");
        let pair = world.handle().adopt_stream(near, Trace::new(&log)).expect("a socket");
        drop(far);
        send_to_nobody(world, &pair, &log);
        println!("survived 3 peers");
    });
}

/// Sends a file before the loop could look at the peer.
fn send_to_nobody(world: &World, transport: &Transport, log: &Log) {
    let reads = world.handle().stats().file_reads;
    transport.send_file(file_of(b"for nobody"), ..).expect("a file");
    transport.flush();
    assert_eq!(world.handle().stats().file_reads, reads, "the system was asked to pass it on");
    assert!(transport.is_lost(), "it has refused");
    world.until(|| log.is_lost());
    let lost = log.lost().expect("a loss");
    assert!(lost.is_reset() && lost.unsent() == 10, "{lost:?}");
}
