//! C: names and addresses. Beside the sentences: connects by name, through the system's resolver on readiness and through
//! the network's hosts on memory.

use std::cell::{Cell, RefCell};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use marline_reactor::{Addresses, Builder, ConnectError, Connecting, Reactor, Transport};
use marline_tests::{PATIENCE, backends};

use crate::conformance;
use crate::support::{DeadPorts, Event, Log, Trace, World, address_of, runs_out, skip};

type Outcomes = Rc<RefCell<Vec<Result<Transport, ConnectError>>>>;

fn connect(reactor: &Reactor, endpoint: &str, log: &Log) -> (Connecting, Outcomes) {
    let (mine, outcomes) = (log.clone(), Outcomes::default());
    let told = Rc::clone(&outcomes);
    let connecting = reactor.handle().connect(
        endpoint,
        move |_: &Addresses| Trace::new(&mine),
        move |outcome| told.borrow_mut().push(outcome),
    );
    (connecting, outcomes)
}

conformance! {
    fn c11_ip_literals_never_touch_the_resolver(world: &World) {
        world.with_names(|world, names| {
            let server = world.listen(|_| Trace::new(&Log::new()));
            let port = address_of(&server).port();
            let literals = [
                format!("tcp://127.0.0.1:{port}"),
                format!("tcp://[::1]:{port}"),
                format!("tcp://[fe80::1%1]:{port}?timeout=0.05"),
            ];
            for endpoint in &literals {
                let (_, outcomes) = connect(world.reactor(), endpoint, &Log::new());
                world.until(|| outcomes.borrow().len() == 1);
            }
            assert_eq!(names.asked(), 0);
            // The same count sees a name.
            let (_, outcomes) = connect(world.reactor(), &format!("tcp://localhost:{port}"), &Log::new());
            world.until(|| outcomes.borrow().len() == 1);
            assert_eq!(names.asked(), 1);
        });
    }

    fn c11_a_listener_on_a_literal_asks_for_no_name_either(world: &World) {
        world.with_names(|world, names| {
            for endpoint in ["tcp://127.0.0.1:0", "tcp://localhost:0"] {
                let server = world.handle().listen(endpoint, |_: &Addresses| Trace::new(&Log::new()));
                server.expect("a listener").stop();
            }
            assert_eq!(names.asked(), 0);
        });
    }

    fn a_connect_by_name_reaches_localhost(world: &World) {
        let (log, far) = (Log::new(), Log::new());
        let server = world.listen({
            let far = far.clone();
            move |_| Trace::new(&far)
        });
        let endpoint = format!("tcp://localhost:{}", address_of(&server).port());
        let (connecting, outcomes) = connect(world.reactor(), &endpoint, &log);
        assert!(connecting.is_pending(), "the answer comes from the loop");
        world.until(|| !outcomes.borrow().is_empty() && far.count(&Event::Made) == 1);
        let transport = outcomes.borrow_mut().pop().expect("an outcome").expect("a connection");
        let peer = transport.peer_address().and_then(|address| address.as_inet()).expect("an address");
        assert_eq!(peer, address_of(&server));
        assert_eq!(log.all(), [Event::Made]);
    }

    fn many_names_are_looked_up_at_once(world: &World) {
        const MANY: usize = 40;
        let (log, far) = (Log::new(), Log::new());
        let server = world.listen({
            let far = far.clone();
            move |_| Trace::new(&far)
        });
        let endpoint = format!("tcp://localhost:{}", address_of(&server).port());
        let attempts: Vec<_> = (0..MANY).map(|_| connect(world.reactor(), &endpoint, &log)).collect();
        world.until(|| attempts.iter().all(|(_, outcomes)| outcomes.borrow().len() == 1));
        assert!(attempts.iter().all(|(_, outcomes)| outcomes.borrow()[0].is_ok()));
        world.until(|| far.count(&Event::Made) == MANY);
        assert_eq!(log.all(), vec![Event::Made; MANY]);
    }

    fn c03_a_look_up_can_be_cancelled(world: &World) {
        let log = Log::new();
        let (connecting, outcomes) = connect(world.reactor(), "tcp://localhost:1?timeout=10", &log);
        assert!(connecting.cancel());
        assert!(outcomes.borrow().is_empty(), "nothing is called on the stack of a call");
        world.until(|| outcomes.borrow().len() == 1);
        assert!(matches!(outcomes.borrow()[0], Err(ConnectError::Cancelled { .. })));
        assert_eq!(world.handle().stats().timers, 0);
        // The answer that comes later concerns nobody, and the loop does not wait for it.
        let connects = world.handle().stats().system_calls.connects;
        assert!(runs_out(world));
        world.settle();
        assert_eq!((outcomes.borrow().len(), log.all().len()), (1, 0));
        if !world.is_memory() {
            assert_eq!(world.handle().stats().system_calls.connects, connects);
        }
    }

    fn c07_an_empty_resolution_is_a_lookup_error(world: &World) {
        world.with_names(|world, names| {
            names.add("nothing.test", []);
            let log = Log::new();
            let (connecting, outcomes) = connect(world.reactor(), "tcp://nothing.test:80", &log);
            world.until(|| outcomes.borrow().len() == 1);
            let outcomes = outcomes.borrow();
            let Err(ConnectError::Lookup { host, source }) = &outcomes[0] else { panic!("{outcomes:?}") };
            assert_eq!((host.as_str(), source.kind()), ("nothing.test", std::io::ErrorKind::NotFound));
            assert!(!connecting.is_pending());
            assert_eq!((names.asked(), world.handle().stats().system_calls.connects), (1, 0));
            assert!(log.all().is_empty() && runs_out(world));
        });
    }

    fn c02_a_look_up_counts_toward_the_timeout(world: &World) {
        if world.is_memory() {
            return skip("a look-up takes no time on memory");
        }
        let (_, outcomes) = connect(world.reactor(), "tcp://localhost:1?timeout=0", &Log::new());
        world.until(|| outcomes.borrow().len() == 1);
        let outcomes = outcomes.borrow();
        let Err(ConnectError::TimedOut { target, after }) = &outcomes[0] else { panic!("{outcomes:?}") };
        assert_eq!((target.as_str(), *after), ("tcp://localhost:1?timeout=0", Duration::ZERO));
    }

    fn hosts_of_the_memory_network_have_names(world: &World) {
        let Some(memory) = world.as_memory() else {
            return skip("names are the system's");
        };
        let (log, far) = (Log::new(), Log::new());
        let addresses = [IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2])];
        memory.network().add_host("Example.test", addresses.to_vec());
        let mine = far.clone();
        let second = SocketAddr::new(addresses[1], 80);
        let server = world.handle().listen(second, move |_: &Addresses| Trace::new(&mine));
        assert_eq!(address_of(&server.expect("a listener")), second);
        // Nobody listens on the first address of the name.
        let (_, outcomes) = connect(world.reactor(), "tcp://example.TEST:80", &log);
        world.until(|| far.count(&Event::Made) == 1 && outcomes.borrow().len() == 1);
        let transport = outcomes.borrow_mut().pop().expect("an outcome").expect("a connection");
        assert_eq!(transport.peer_address().and_then(|peer| peer.as_inet()), Some(second));

        let (_, unknown) = connect(world.reactor(), "tcp://nowhere.test:80", &log);
        world.until(|| unknown.borrow().len() == 1);
        let unknown = unknown.borrow();
        assert!(matches!(&unknown[0], Err(ConnectError::Lookup { host, .. }) if host == "nowhere.test"));
    }
}

fn a_limit_on_posts_does_not_refuse_the_resolvers_answers(backend: &str) {
    let builder = Builder::new().boxed_backend(backends::backend(backend));
    let reactor = builder.post_limit(0).build().expect("a loop");
    assert!(reactor.handle().remote().post(|| ()).is_err(), "the program has no room at all");
    let ports = DeadPorts::held();
    let endpoint = format!("tcp://localhost:{}", ports.all()[0].port());
    let (_, outcomes) = connect(&reactor, &endpoint, &Log::new());
    let (waited, stop) = (Rc::new(Cell::new(false)), reactor.handle());
    let late = Rc::clone(&waited);
    let guard = reactor.handle().call_later(PATIENCE, move || {
        late.set(true);
        stop.stop();
    });
    guard.unreference();
    reactor.run().expect("a run");
    assert!(!waited.get(), "the answer never came");
    assert!(matches!(outcomes.borrow()[..], [Err(ConnectError::Failed { .. })]), "{outcomes:?}");
}

marline_tests::on_sockets! {
    a_limit_on_posts_does_not_refuse_the_resolvers_answers
    c04_a_loop_may_be_dropped_while_a_name_is_looked_up
}

fn c04_a_loop_may_be_dropped_while_a_name_is_looked_up(backend: &str) {
    for _ in 0..20 {
        let reactor = backends::reactor(backend);
        let held = Rc::new(());
        let (in_factory, in_done) = (Rc::clone(&held), Rc::clone(&held));
        let connecting = reactor.handle().connect(
            "tcp://localhost:1",
            move |_: &Addresses| {
                drop(in_factory);
                Trace::new(&Log::new())
            },
            move |_| {
                drop(in_done);
                panic!("nobody is called back after the end");
            },
        );
        drop(reactor);
        assert_eq!(Rc::strong_count(&held), 1);
        assert!(!connecting.is_pending() && !connecting.cancel());
    }
}
