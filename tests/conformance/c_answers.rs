//! C: resolvers that answer more than they were asked for, and endpoints at the edges of what is usual.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use marline_reactor::policy::{IdleTimeout, TotalTimeout};
use marline_reactor::testing::MemoryReactor;
use marline_reactor::{
    Address, Addresses, Answer, ConnectError, Endpoint, Family, Handle, Query, Transport, UnixAddress,
};

use crate::conformance;
use crate::support::{Log, Trace, World};

type Outcomes = Rc<RefCell<Vec<Result<Transport, ConnectError>>>>;

fn connect(handle: &Handle, endpoint: impl marline_reactor::IntoEndpoint) -> Outcomes {
    let outcomes = Outcomes::default();
    let told = Rc::clone(&outcomes);
    let factory = move |_: &Addresses| Trace::new(&Log::new());
    handle.connect(endpoint, factory, move |outcome| told.borrow_mut().push(outcome));
    outcomes
}

fn host(last: u8) -> SocketAddr {
    (IpAddr::from([10, 0, 0, last]), 80).into()
}

/// The addresses that were tried, all in vain, after `resolve` has answered.
fn tried(resolve: impl FnMut(&Handle, Query, Answer) + 'static) -> Vec<Address> {
    let memory = MemoryReactor::new();
    memory.handle().set_resolver(resolve);
    let outcomes = connect(&memory.handle(), "tcp://everything.test:80");
    memory.advance(Duration::from_secs(1000));
    let outcomes = outcomes.take();
    let [Err(ConnectError::Failed { attempts, .. })] = &outcomes[..] else { panic!("{outcomes:?}") };
    attempts.iter().map(|(address, _)| address.clone()).collect()
}

#[test]
fn what_comes_for_a_family_that_is_answered_already_is_ignored() {
    let tried = tried(|_: &Handle, _: Query, answer: Answer| {
        answer.found(Family::V4, [host(1)]);
        answer.found(Family::V4, [host(2)]);
        answer.all([host(1), host(3), "[2001:db8::1]:80".parse().expect("an address")]);
    });
    assert_eq!(tried.len(), 2, "{tried:?}");
}

conformance! {
    fn c02_the_longest_timeouts_are_no_different(world: &World) {
        let server = world.handle().listen("tcp://127.0.0.1:0", |_: &Addresses| {
            let quiet = |_: &Transport, _: &[u8]| {};
            IdleTimeout::new(Duration::MAX, TotalTimeout::new(Duration::MAX, quiet))
        }).expect("a listener");
        let address = server.local_address().and_then(|local| local.as_inet()).expect("an address");
        for timeout in [Duration::MAX, Duration::from_secs(u64::MAX), Duration::from_nanos(u64::MAX)] {
            let endpoint = Endpoint::from(address).timeout(timeout).attempt_delay(timeout);
            let outcomes = connect(&world.handle(), endpoint);
            world.until(|| outcomes.borrow().len() == 1);
            assert!(outcomes.borrow()[0].is_ok());
            world.settle();
            assert!(outcomes.borrow()[0].as_ref().is_ok_and(|transport| !transport.is_closing()));
        }
    }

    fn names_of_unix_sockets_that_cannot_be_are_errors(world: &World) {
        let names = [
            UnixAddress::unnamed(),
            UnixAddress::path(""),
            UnixAddress::path("/tmp/with\0zero"),
            UnixAddress::path("\0abstract"),
            UnixAddress::path("/tmp/".to_owned() + &"x".repeat(103)),
            UnixAddress::abstract_name("x".repeat(108)),
        ];
        for name in names {
            let listening = world.handle().listen(Endpoint::from(name.clone()), |_: &Addresses| Trace::new(&Log::new()));
            assert!(listening.is_err(), "{name:?}: {listening:?}");
            let outcomes = connect(&world.handle(), Endpoint::from(name.clone()));
            world.until(|| outcomes.borrow().len() == 1);
            assert!(outcomes.borrow()[0].is_err(), "{name:?}");
            let socket = world.handle().bind_datagram(name.clone(), crate::support::Talk::new().0);
            assert!(socket.is_err(), "{name:?}: {socket:?}");
        }
        world.settle();
        assert_eq!((world.handle().stats().connections, world.handle().stats().datagram_sockets), (0, 0));
    }
}
