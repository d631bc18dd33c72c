//! L: errors of the system while accepting.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use marline_reactor::{Addresses, Server, Transport};
use rustix::io::Errno;

use crate::conformance;
use crate::support::{Event, Log, Trace, World, is_over};

/// What `on_error` was told.
type Errors = Rc<RefCell<Vec<i32>>>;

fn listen(world: &World, log: &Log) -> (Server, Errors) {
    let (mine, errors) = (log.clone(), Errors::default());
    let factory = move |_: &Addresses| Trace::new(&mine);
    let server = world.handle().listen("tcp://127.0.0.1:0", factory).expect("a listener");
    let told = Rc::clone(&errors);
    server.on_error(move |error: &io::Error| {
        told.borrow_mut().push(error.raw_os_error().expect("the system's error"));
    });
    (server, errors)
}

fn numbers(errors: &[Errno]) -> Vec<i32> {
    errors.iter().map(|error| error.raw_os_error()).collect()
}

conformance! {
    fn l07_at_the_descriptor_limit_accepting_backs_off_and_recovers(world: &World) {
        world.with_faults(|world, faults| {
            let (log, limits) = (Log::new(), [Errno::MFILE, Errno::NFILE, Errno::MFILE]);
            let (server, errors) = listen(world, &log);
            faults.fail_accepts(limits);
            let (begun, before) = (world.handle().now(), world.handle().stats());
            let raw = world.connect_raw(&server);
            raw.write(b"patience");
            world.until(|| log.received() == 8);

            assert_eq!(*errors.borrow(), numbers(&limits), "each failure is told");
            assert_eq!(log.count(&Event::Made), 1);
            // Between two tries lies a tenth of a second, in which nothing is tried and no turn spins.
            let took = world.handle().now() - begun;
            assert!(took >= Duration::from_millis(300));
            let accepts = faults.asked().accepts;
            // Where input is announced for no reason there is more to look for.
            let looks = if world.is_adversarial() { accepts } else { 3 + 1 + 1 };
            assert_eq!(accepts, looks, "the failures, the peer, and a look for more");
            // On readiness the harness itself turns every 20 ms. Eight chunks at most are eight turns at most.
            let spent = world.handle().stats().turns - before.turns;
            let most = 50 + if world.is_memory() { 0 } else { took.as_millis() / 20 };
            assert!(u128::from(spent) < most, "{spent} turns in {took:?}");
            assert_eq!(world.handle().stats().timers, 0);
        });
    }

    fn l07_nobody_else_is_disturbed_while_a_listener_backs_off(world: &World) {
        world.with_faults(|world, faults| {
            let log = Log::new();
            let (server, errors) = listen(world, &log);
            let other = world.listen(|_| |transport: &Transport, data: &[u8]| transport.write(data));
            let friend = world.connect_raw(&other);
            friend.write(b"1");
            world.until(|| friend.read() == b"1");

            // So many tries, each a tenth of a second later, would take hours.
            faults.fail_accepts(std::iter::repeat_n(Errno::MFILE, 100_000));
            let raw = world.connect_raw(&server);
            world.until(|| errors.borrow().len() == 1);
            friend.write(b"2");
            world.until(|| friend.read() == b"2");
            assert!(log.all().is_empty());
            // All but some of them are never made.
            let failed = errors.borrow().len();
            faults.keep_accepts(5);
            world.until(|| log.count(&Event::Made) == 1);
            assert!(faults.is_over());
            // Where input is announced for no reason, the other listener has its share of them.
            let told = errors.borrow().len() - failed;
            assert!(told == 5 || (world.is_adversarial() && told < 5), "{told}");
            raw.write(b"x");
            world.until(|| log.received() == 1);
        });
    }

    fn l07_a_listener_that_backs_off_can_be_stopped(world: &World) {
        world.with_faults(|world, faults| {
            let log = Log::new();
            let (server, errors) = listen(world, &log);
            faults.fail_accepts([Errno::MFILE]);
            let raw = world.connect_raw(&server);
            world.until(|| errors.borrow().len() == 1);
            server.stop();
            world.until(|| is_over(&raw));
            // The end of the back-off finds nothing, not even the listener that has the slot now.
            let (again, _) = listen(world, &log);
            let accepts = faults.asked().accepts;
            world.advance(Duration::from_millis(200));
            assert_eq!(world.handle().stats().timers, 0);
            assert!(faults.asked().accepts == accepts || world.is_adversarial());
            let _late = world.connect_raw(&again);
            world.until(|| log.count(&Event::Made) == 1);
        });
    }

    fn l09_a_peer_that_is_gone_or_forbidden_is_skipped(world: &World) {
        world.with_faults(|world, faults| {
            let skipped = [Errno::CONNABORTED, Errno::PERM, Errno::ACCESS, Errno::CONNABORTED];
            let log = Log::new();
            let (server, errors) = listen(world, &log);
            faults.abort_accepts(skipped);
            let raws: Vec<_> = (0..6).map(|_| world.connect_raw(&server)).collect();
            world.until(|| errors.borrow().len() == skipped.len());
            // No timer is set, and the next peers come in the same turn.
            assert_eq!(world.handle().stats().timers, 0);
            assert_eq!(*errors.borrow(), numbers(&skipped));
            if world.is_adversarial() {
                // It may have claimed that nobody else waits.
                world.until(|| log.count(&Event::Made) == 2);
            }
            assert_eq!(log.all(), [Event::Made, Event::Made]);
            assert!(faults.asked().accepts == 4 + 2 + 1 || world.is_adversarial());
            let alive = |at: usize| !is_over(&raws[at]);
            world.until(|| (0..4).all(|at| !alive(at)));
            assert!(alive(4) && alive(5));
        });
    }

    fn l09_a_shortage_does_not_stop_the_listener(world: &World) {
        world.with_faults(|world, faults| {
            for shortage in [Errno::NFILE, Errno::NOBUFS, Errno::NOMEM] {
                let log = Log::new();
                let (server, errors) = listen(world, &log);
                let address = server.local_address();
                faults.fail_accepts([shortage]);
                let _raws = [world.connect_raw(&server), world.connect_raw(&server)];
                world.until(|| log.count(&Event::Made) == 2);
                assert_eq!(*errors.borrow(), numbers(&[shortage]));
                assert_eq!(server.local_address(), address, "it still listens");
                server.stop();
            }
        });
    }

    fn l09_a_handler_that_panics_is_contained(world: &World) {
        world.with_faults(|world, faults| {
            let log = Log::new();
            let (server, _) = listen(world, &log);
            let failures = Rc::new(RefCell::new(0));
            let count = Rc::clone(&failures);
            world.handle().on_failure(move |_| *count.borrow_mut() += 1);
            server.on_error(|_: &io::Error| panic!("the handler fails"));
            faults.fail_accepts([Errno::CONNABORTED, Errno::MFILE]);
            let _raw = world.connect_raw(&server);
            world.until(|| log.count(&Event::Made) == 1);
            assert_eq!(*failures.borrow(), 2);
        });
    }
}
