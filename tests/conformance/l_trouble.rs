//! L: errors of the system while accepting.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use marline_reactor::{Addresses, Server, Transport};
use rustix::io::Errno;

use crate::support::{Event, Log, Meddled, Trace, address_of};

/// What `on_error` was told.
type Errors = Rc<RefCell<Vec<i32>>>;

fn listen(world: &Meddled, log: &Log) -> (Server, Errors) {
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

#[test]
fn l07_at_the_descriptor_limit_accepting_backs_off_and_recovers() {
    Meddled::on_each(|world| {
        let (log, limits) = (Log::new(), [Errno::MFILE, Errno::NFILE, Errno::MFILE]);
        let (server, errors) = listen(world, &log);
        let address = address_of(&server);
        world.plan().fail_accepts(limits);
        let (begun, turns) = (world.handle().now(), world.handle().stats().turns);
        let raw = world.connect_raw(address);
        raw.write(b"patience");
        world.until(|| log.received() == 8);

        assert_eq!(*errors.borrow(), numbers(&limits), "each failure is told");
        assert_eq!(log.all()[0], Event::Made);
        assert_eq!(log.count(&Event::Made), 1);
        // Between two tries lies a tenth of a second, in which nothing is tried and no turn spins.
        assert!(world.handle().now() - begun >= Duration::from_millis(300));
        assert_eq!(world.plan().accepts(), 3 + 1 + 1, "the failures, the peer, and a look for more");
        let spent = world.handle().stats().turns - turns;
        assert!(spent < 40, "{spent} turns");
        assert_eq!(world.handle().stats().timers, 0);
    });
}

#[test]
fn l07_nobody_else_is_disturbed_while_a_listener_backs_off() {
    Meddled::on_each(|world| {
        let log = Log::new();
        let (server, errors) = listen(world, &log);
        let echo = |_: &Addresses| |transport: &Transport, data: &[u8]| transport.write(data);
        let other = world.handle().listen("tcp://127.0.0.1:0", echo).expect("a listener");
        let friend = world.connect_raw(address_of(&other));
        friend.write(b"1");
        world.until(|| friend.read() == b"1");

        world.plan().fail_accepts([Errno::MFILE; 10]);
        let raw = world.connect_raw(address_of(&server));
        world.until(|| errors.borrow().len() == 1);
        // Nine tries, each a tenth of a second later, still have to fail.
        friend.write(b"2");
        world.until(|| friend.read() == b"2");
        assert!(log.all().is_empty());
        assert!(errors.borrow().len() < 10);
        world.until(|| log.count(&Event::Made) == 1);
        assert_eq!(errors.borrow().len(), 10);
        raw.write(b"x");
        world.until(|| log.received() == 1);
    });
}

#[test]
fn l07_a_listener_that_backs_off_can_be_stopped() {
    Meddled::on_each(|world| {
        let log = Log::new();
        let (server, errors) = listen(world, &log);
        let address = address_of(&server);
        world.plan().fail_accepts([Errno::MFILE]);
        let raw = world.connect_raw(address);
        world.until(|| errors.borrow().len() == 1);
        server.stop();
        world.until(|| crate::support::is_over(&raw));
        // The end of the back-off finds nothing, not even a listener on the same port.
        let (again, _) = listen(world, &log);
        let accepts = world.plan().accepts();
        world.until(|| world.handle().stats().timers == 0);
        assert_eq!(world.plan().accepts(), accepts);
        let _late = world.connect_raw(address_of(&again));
        world.until(|| log.count(&Event::Made) == 1);
    });
}

#[test]
fn l09_a_peer_that_is_gone_or_forbidden_is_skipped() {
    Meddled::on_each(|world| {
        let (log, skipped) =
            (Log::new(), [Errno::CONNABORTED, Errno::PERM, Errno::ACCESS, Errno::CONNABORTED]);
        let (server, errors) = listen(world, &log);
        world.plan().fail_accepts(skipped);
        let begun = world.handle().now();
        let _raw = world.connect_raw(address_of(&server));
        let mut turns = 0;
        while log.count(&Event::Made) == 0 {
            world.turn();
            turns += 1;
        }
        assert_eq!(*errors.borrow(), numbers(&skipped));
        assert_eq!(world.plan().accepts(), 6, "the next are tried in the same turn");
        // On memory a turn with nothing to do lets a second pass.
        assert!(turns <= 3, "{turns} turns");
        if world.network().is_some() {
            assert_eq!(world.handle().now() - begun, Duration::ZERO, "there is no back-off");
        }
        assert_eq!(world.handle().stats().timers, 0);
    });
}

#[test]
fn l09_a_shortage_does_not_stop_the_listener() {
    Meddled::on_each(|world| {
        for shortage in [Errno::NFILE, Errno::NOBUFS, Errno::NOMEM] {
            let log = Log::new();
            let (server, errors) = listen(world, &log);
            world.plan().fail_accepts([shortage]);
            let address = address_of(&server);
            let _raws = [world.connect_raw(address), world.connect_raw(address)];
            world.until(|| log.count(&Event::Made) == 2);
            assert_eq!(*errors.borrow(), numbers(&[shortage]));
            assert_eq!(address_of(&server), address, "it still listens");
            server.stop();
        }
    });
}

#[test]
fn l09_a_handler_that_panics_is_contained() {
    Meddled::on_each(|world| {
        let log = Log::new();
        let (server, _) = listen(world, &log);
        let failures = Rc::new(RefCell::new(0));
        let count = Rc::clone(&failures);
        world.handle().on_failure(move |_| *count.borrow_mut() += 1);
        server.on_error(|_: &io::Error| panic!("the handler fails"));
        world.plan().fail_accepts([Errno::CONNABORTED, Errno::MFILE]);
        let _raw = world.connect_raw(address_of(&server));
        world.until(|| log.count(&Event::Made) == 1);
        assert_eq!(*failures.borrow(), 2);
    });
}
