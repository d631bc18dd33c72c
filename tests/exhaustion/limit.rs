//! At the limit of descriptors.

use std::cell::RefCell;
use std::error::Error;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::time::{Duration, Instant};

use marline_reactor::backend::named;
use marline_reactor::{Addresses, ConnectError, ListenError, Reactor, Transport};
use marline_tests::PATIENCE;
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{address_of, connect, descriptors, echo, reactor, until};

/// While it lives, the process may have few descriptors more than it has. A ring takes the limit that holds when an accept
/// is submitted, so it is lowered before there is a listener.
pub struct Limit {
    before: Rlimit,
}

impl Limit {
    pub fn lower() -> Self {
        let before = getrlimit(Resource::Nofile);
        let highest = descriptors().into_iter().max().expect("a descriptor");
        let low = Rlimit { current: Some(u64::from(highest) + 64), maximum: before.maximum };
        setrlimit(Resource::Nofile, low).expect("a lower limit");
        Self { before }
    }

    /// While what this returns lives, there is no descriptor left.
    pub fn exhaust(&self) -> Vec<File> {
        let mut files = Vec::new();
        loop {
            match File::open("/dev/null") {
                Ok(file) => files.push(file),
                Err(error) => {
                    assert_eq!(error.raw_os_error(), Some(Errno::MFILE.raw_os_error()));
                    return files;
                }
            }
        }
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        setrlimit(Resource::Nofile, self.before).expect("the limit as it was");
    }
}

/// Sockets that exist already, since connecting takes no descriptor then.
fn sockets(count: usize) -> Vec<socket2::Socket> {
    let tcp = || socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    (0..count).map(|_| tcp()).collect()
}

fn connect_all(sockets: Vec<socket2::Socket>, address: SocketAddr) -> Vec<TcpStream> {
    let streams = sockets.into_iter().map(|socket| {
        socket.connect(&address.into()).expect("a place in the backlog");
        socket.set_nonblocking(true).expect("a non-blocking socket");
        socket.into()
    });
    streams.collect()
}

/// A byte there and back.
#[track_caller]
fn ping(reactor: &Reactor, mut stream: &TcpStream) {
    stream.write_all(b"!").expect("room for a byte");
    until(reactor, || {
        let (mut byte, mut stream) = ([0], stream);
        match stream.read(&mut byte) {
            Ok(count) => {
                assert_eq!((count, byte), (1, *b"!"));
                true
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                false
            }
        }
    });
}

fn l07_without_descriptors_accepting_backs_off_and_recovers(backend: &str) {
    const PEERS: usize = 5;
    let limit = Limit::lower();
    let reactor = reactor(backend);
    let ((server, made), (other, _)) = (echo(&reactor), echo(&reactor));
    let friend = connect_all(sockets(1), address_of(&other)).remove(0);
    ping(&reactor, &friend);
    let errors = Rc::new(RefCell::new(Vec::new()));
    let told = Rc::clone(&errors);
    server.on_error(move |error| told.borrow_mut().push(error.raw_os_error().unwrap_or(0)));

    let waiting = sockets(PEERS);
    let exhausted = limit.exhaust();
    let before = reactor.handle().stats();
    let peers = connect_all(waiting, address_of(&server));
    let begun = Instant::now();
    while errors.borrow().len() < 3 {
        reactor.turn(Some(PATIENCE)).expect("a turn");
        assert!(begun.elapsed() < PATIENCE, "the listener tries again");
    }
    // Three tries lie two tenths of a second apart, and between them the loop sleeps.
    assert!(begun.elapsed() >= Duration::from_millis(200));
    let after = reactor.handle().stats();
    assert_eq!(*errors.borrow(), [Errno::MFILE.raw_os_error(); 3]);
    // On a ring an accept is no call of its own.
    let accepts = if backend == "readiness" { 3 } else { 0 };
    assert_eq!(after.system_calls.accepts - before.system_calls.accepts, accepts);
    let turns = after.turns - before.turns;
    // A turn for each try, and one for each wait that something interrupts; a loop that spins makes thousands.
    assert!(turns <= 40, "{turns} turns");
    assert_eq!(made.get(), 0);
    // The others have what they need.
    ping(&reactor, &friend);

    drop(exhausted);
    until(&reactor, || made.get() == PEERS);
    peers.iter().for_each(|peer| ping(&reactor, peer));
    ping(&reactor, &friend);
    assert_eq!(server.connections(), PEERS);
    assert!(errors.borrow().iter().all(|error| *error == Errno::MFILE.raw_os_error()));
    assert_eq!(reactor.handle().stats().timers, 0);
}

fn l07_connections_that_end_make_room_for_those_that_wait(backend: &str) {
    let limit = Limit::lower();
    let reactor = reactor(backend);
    let (server, made) = echo(&reactor);
    let address = address_of(&server);
    let first = connect_all(sockets(2), address);
    until(&reactor, || made.get() == 2);
    let waiting = sockets(1);
    let _exhausted = limit.exhaust();
    let late = connect_all(waiting, address);
    // One descriptor is freed at the far end, and one at ours.
    drop(first);
    until(&reactor, || made.get() == 3);
    ping(&reactor, &late[0]);
    until(&reactor, || server.connections() == 1);
}

fn without_descriptors_connecting_listening_and_making_a_loop_are_errors(backend: &str) {
    let limit = Limit::lower();
    let reactor = reactor(backend);
    let (server, made) = echo(&reactor);
    let endpoint = format!("tcp://{}", address_of(&server));
    let nofile = Some(Errno::MFILE.raw_os_error());

    let mut exhausted = limit.exhaust();
    let (_, outcome) = connect(&reactor, &endpoint);
    until(&reactor, || outcome.borrow().is_some());
    match outcome.take() {
        Some(Err(ConnectError::Failed { attempts, .. })) => {
            assert_eq!(attempts.len(), 1);
            assert_eq!(attempts[0].1.raw_os_error(), nofile);
        }
        other => panic!("{other:?}"),
    }
    let refused = reactor.handle().listen("tcp://127.0.0.1:0", |_: &Addresses| |_: &Transport, _: &[u8]| ());
    match refused {
        Err(ListenError::System { address, source }) => {
            assert_eq!((address.to_string().as_str(), source.raw_os_error()), ("tcp://127.0.0.1:0", nofile));
        }
        other => panic!("{other:?}"),
    }
    // One descriptor more at a time: a loop is made, and hosted, once there are enough, and what fails half-way leaves nothing.
    let mut free = 0;
    while let Some(error) = named(backend).err() {
        let cause = error.source().and_then(|cause| cause.downcast_ref::<std::io::Error>());
        assert_eq!(cause.and_then(std::io::Error::raw_os_error), nofile);
        free += usize::from(exhausted.pop().is_some());
        assert!(limit.exhaust().len() == free && free < 10);
    }
    assert!(free > 0);
    exhausted.extend(limit.exhaust());
    while reactor.pollable_fd().is_err() {
        assert!(exhausted.pop().is_some(), "a host that was refused once is refused for ever");
    }
    drop(exhausted);

    let (_, outcome) = connect(&reactor, &endpoint);
    until(&reactor, || made.get() == 1 && outcome.borrow().is_some());
    assert!(matches!(outcome.take(), Some(Ok(_))));
}

crate::alone_on_sockets! {
    l07_without_descriptors_accepting_backs_off_and_recovers
    l07_connections_that_end_make_room_for_those_that_wait
    without_descriptors_connecting_listening_and_making_a_loop_are_errors
}
