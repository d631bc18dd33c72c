//! Errors and payloads of the user's, whose drops do things.

use std::cell::{OnceCell, RefCell};
use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use marline_reactor::{Address, Failure, Handle, Reactor, Transport};
use marline_tasks::{Listener, Stream, Watched, spawn, spawn_blocking};
use marline_tests::backends;
use socket2::{Domain, Socket, Type};

use crate::support::{Event, Log, Trace, World};

thread_local! {
    static NOSY: RefCell<Option<Transport>> = const { RefCell::new(None) };
}

/// An error whose drop uses a transport, or panics.
#[derive(Debug)]
enum Nasty {
    Nosy,
    Bomb,
}

impl Drop for Nasty {
    fn drop(&mut self) {
        match self {
            Self::Nosy => NOSY.with_borrow(|transport| {
                assert!(transport.as_ref().is_none_or(|transport| !transport.write("x").is_accepted()));
            }),
            Self::Bomb => panic!("a drop panics"),
        }
    }
}

impl fmt::Display for Nasty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nasty")
    }
}

impl Error for Nasty {}

fn fails(world: &World, strike: impl Fn(&Transport) + 'static) -> Log {
    let log = Log::new();
    let protocol = Trace::new(&log).on(Event::Data(0), move |transport| {
        NOSY.with_borrow_mut(|slot| *slot = Some(transport.clone()));
        strike(transport);
    });
    let (_, raw) = world.accept_one(protocol);
    raw.write(b"x");
    world.until(|| log.is_lost());
    world.settle();
    NOSY.with_borrow_mut(Option::take);
    log
}

crate::conformance! {
    fn an_error_that_came_too_late_may_use_its_connection(world: &World) {
        let log = fails(world, |transport| {
            transport.fail("first");
            transport.fail(Nasty::Nosy);
        });
        assert_eq!((log.reason().as_deref(), log.losses()), (Some("Failed"), 1));
    }

    fn an_error_whose_drop_panics_is_contained(world: &World) {
        let reported = Rc::new(RefCell::new(Vec::new()));
        let told = Rc::clone(&reported);
        world.handle().on_failure(move |failure: &Failure| told.borrow_mut().push(failure.to_string()));
        // Nobody but the loop holds this one.
        let (_, raw) = world.accept_one(|transport: &Transport, _: &[u8]| transport.fail(Nasty::Bomb));
        raw.write(b"x");
        world.until(|| world.handle().stats().connections == 0);
        assert_eq!(reported.borrow_mut().drain(..).len(), 1);
        let again = fails(world, |transport| {
            transport.fail("first");
            transport.fail(Nasty::Bomb);
        });
        assert_eq!(again.losses(), 1);
        assert_eq!(reported.borrow().len(), 1, "{reported:?}");
    }
}

/// A loop in the storage of its thread is the natural thing to have one of for each thread.
#[test]
fn a_loop_may_end_with_its_thread() {
    thread_local!(static LOOP: OnceCell<Reactor> = const { OnceCell::new() });
    for backend in backends::here() {
        let thread = std::thread::spawn(move || {
            LOOP.with(|made| {
                let reactor = made.get_or_init(|| backends::reactor(backend));
                reactor.handle().call_soon(|| {});
                reactor.handle().call_later(Duration::from_secs(3600), || {}).unreference();
                reactor.run().expect("a run");
            });
        });
        thread.join().expect("an orderly end");
    }
}

/// What never comes keeps nobody waiting.
fn t28_a_timer_that_never_comes_does_not_keep_the_loop(backend: &str) {
    let reactor = backends::reactor(backend);
    let never = reactor.handle().call_later(Duration::MAX, || unreachable!());
    reactor.run().expect("a run");
    assert!(never.cancel());
}

/// Programs that know `std::io::Result` alone pass every error on with `?`, and find the system's kind in it.
#[test]
fn io_results_take_every_error() {
    async fn taken(of: &Listener) -> io::Result<Listener> {
        Ok(Listener::bind(of.local_address()?)?)
    }
    async fn nobody_there(at: Address) -> io::Result<Stream> {
        Ok(Stream::connect(at).await?)
    }
    let ran: io::Result<(io::Error, io::Error, io::Error)> = marline_tasks::run(async {
        let listener = Listener::bind("tcp://127.0.0.1:0")?;
        let in_use = taken(&listener).await.expect_err("in use");
        // Bound, and no listener: a dropped one of ours may accept until its close was answered.
        let bound = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        bound.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
        let deaf = bound.local_addr()?.as_socket().expect("an address");
        let refused = nobody_there(deaf.into()).await.expect_err("nobody listens");
        let file = Watched::new(std::fs::File::open("/proc/self/exe")?).map(drop).map_err(io::Error::from);
        spawn(async {}).await?;
        spawn_blocking(|| ()).await?;
        Handle::current()?;
        Ok((in_use, refused, file.expect_err("always ready")))
    });
    let (in_use, refused, file) = ran.expect("a run");
    let kinds = [in_use.kind(), refused.kind(), file.kind()];
    assert_eq!(
        kinds,
        [io::ErrorKind::AddrInUse, io::ErrorKind::ConnectionRefused, io::ErrorKind::InvalidInput]
    );
    assert!(in_use.to_string().starts_with("cannot listen on"), "{in_use}");
}

marline_tests::on_sockets! {
    t28_a_timer_that_never_comes_does_not_keep_the_loop
}
