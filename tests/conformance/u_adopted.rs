//! U: descriptors that were made elsewhere, and that others may have, too.

use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use marline_reactor::backend::Opening;
use marline_tests::PATIENCE;
use rustix::event::{EventfdFlags, eventfd};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::conformance;
use crate::support::{Event, Log, Trace, World, pattern, skip};

/// Whether there are descriptors.
fn has_descriptors(world: &World) -> bool {
    if world.is_memory() {
        skip("there are no descriptors without a kernel");
    }
    !world.is_memory()
}

fn copy(descriptor: &impl AsFd) -> OwnedFd {
    descriptor.as_fd().try_clone_to_owned().expect("a descriptor")
}

/// Something that reads one pipe and writes another, and the far ends.
fn pair() -> (Opening, OwnedFd, OwnedFd) {
    let (input, far_input) = pipe_with(PipeFlags::CLOEXEC).expect("a pipe");
    let (far_output, output) = pipe_with(PipeFlags::CLOEXEC).expect("a pipe");
    ((input, output).into(), far_input, far_output)
}

conformance! {
    fn u09_a_socket_that_others_hold_can_be_taken_over_again(world: &World) {
        if !has_descriptors(world) {
            return;
        }
        let (kept, mut far) = UnixStream::pair().expect("sockets");
        // The new descriptor has the number of the one before, and the system knows a registration by both.
        for round in 1..=6 {
            let (log, socket) = (Log::new(), copy(&kept));
            let opening = if round % 2 == 0 { Opening::from(socket) } else { Opening::with_descriptors(socket) };
            let transport = world.handle().adopt_stream(opening, Trace::new(&log)).expect("a socket");
            far.write_all(b"round").expect("room");
            world.until(|| log.received() == 5);
            transport.close();
            world.until(|| log.is_lost());
            assert_eq!(log.reason().as_deref(), Some("Clean"), "round {round}");
        }
        drop(kept);
        assert_eq!(far.read(&mut [0; 8]).expect("the end"), 0);
    }

    fn u09_a_device_that_would_block_does_not(world: &World) {
        if !has_descriptors(world) {
            return;
        }
        // A counter that is read at once, once; then a read would wait.
        let counter = eventfd(1, EventfdFlags::CLOEXEC).expect("a counter");
        let (kept, (done, is_done)) = (copy(&counter), std::sync::mpsc::channel::<()>());
        let rescue = std::thread::spawn(move || {
            if is_done.recv_timeout(PATIENCE).is_err_and(|error| error == std::sync::mpsc::RecvTimeoutError::Timeout) {
                rustix::io::write(&kept, &1_u64.to_ne_bytes()).expect("room");
            }
        });
        let log = Log::new();
        let transport = world.handle().adopt_stream(counter, Trace::new(&log)).expect("a counter");
        world.until(|| log.received() > 0);
        world.settle();
        drop(done);
        rescue.join().expect("a thread");
        assert_eq!(log.bytes(), 1_u64.to_ne_bytes());
        transport.abort();
        world.until(|| log.is_lost());
    }

    fn u06_a_reader_that_closes_is_noticed_when_the_input_has_ended(world: &World) {
        if !has_descriptors(world) {
            return;
        }
        let (opening, far_input, far_output) = pair();
        let log = Log::new();
        world.handle().adopt_stream(opening, Trace::new(&log).keep_open()).expect("pipes");
        drop(far_input);
        world.until(|| log.count(&Event::Eof) == 1);
        world.settle();
        assert!(!log.is_lost(), "it can still be written");
        drop(far_output);
        world.until(|| log.is_lost());
        assert_eq!(log.reason().as_deref(), Some("Reset"));
    }

    fn u06_a_reader_that_closes_is_noticed_while_the_input_is_idle(world: &World) {
        if !has_descriptors(world) {
            return;
        }
        // By who waits for room, and by who asks to be told.
        for asks in [false, true] {
            let (opening, far_input, far_output) = pair();
            let log = Log::new();
            let transport = world.handle().adopt_stream(opening, Trace::new(&log)).expect("pipes");
            if asks {
                transport.watch_peer();
            } else {
                transport.write(pattern(2 * 1024 * 1024));
            }
            world.settle();
            drop(far_output);
            world.until(|| log.is_lost());
            assert_eq!(log.reason().as_deref(), Some("Reset"));
            drop(far_input);
        }
    }

    fn u09_packets_stay_packets(world: &World) {
        if !has_descriptors(world) {
            return;
        }
        if world.is_adversarial() {
            return skip("what sends less than it could makes other packets");
        }
        let (far, output) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::DIRECT).expect("a pipe");
        let transport = world.handle().adopt_stream(output, Trace::new(&Log::new())).expect("a pipe");
        for part in [b"one", b"two"] {
            transport.write(part);
            transport.flush();
        }
        world.settle();
        let mut bytes = [0; 64];
        assert_eq!(rustix::io::read(&far, &mut bytes).expect("a packet"), 3);
        assert_eq!(rustix::io::read(&far, &mut bytes).expect("a packet"), 3);
    }
}
