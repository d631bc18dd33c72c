//! No descriptor is left open.

use std::cell::Cell;
use std::net::TcpListener;
use std::rc::Rc;
use std::time::Duration;

use marline_reactor::{Addresses, ConnectError, Transport};

use super::{address_of, connect, descriptors, echo, reactor, until};

fn tcp() -> socket2::Socket {
    socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket")
}

/// A listener with a full backlog, at which connects hang, and what fills it.
fn dead_end() -> (String, Vec<socket2::Socket>) {
    let listener = tcp();
    listener.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port");
    listener.listen(0).expect("a listener");
    let address = listener.local_addr().expect("an address");
    let mut crowd = vec![listener];
    for _ in 0..5 {
        let socket = tcp();
        socket.set_nonblocking(true).expect("a non-blocking socket");
        drop(socket.connect(&address));
        crowd.push(socket);
    }
    (format!("tcp://{}", address.as_socket().expect("an address")), crowd)
}

fn c02_c03_connects_that_time_out_or_are_cancelled_close_their_sockets(backend: &str) {
    let (endpoint, _crowd) = dead_end();
    let reactor = reactor(backend);
    let before = descriptors().len();
    let (_, slow) = connect(&reactor, &format!("{endpoint}?timeout=0.05"));
    let (cancelled, outcome) = connect(&reactor, &endpoint);
    reactor.turn(Some(Duration::ZERO)).expect("a turn");
    assert_eq!(descriptors().len(), before + 2);
    assert!(cancelled.cancel());
    until(&reactor, || slow.borrow().is_some() && outcome.borrow().is_some());
    assert!(matches!(slow.take(), Some(Err(ConnectError::TimedOut { .. }))));
    assert!(matches!(outcome.take(), Some(Err(ConnectError::Cancelled { .. }))));
    assert_eq!(descriptors().len(), before);
}

fn c06_l02_what_fails_leaves_no_descriptor(backend: &str) {
    let reactor = reactor(backend);
    let taken = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = taken.local_addr().expect("an address");
    // A socket that is bound and does not listen: a connect to it is refused.
    let bound = tcp();
    bound.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port");
    let deaf = bound.local_addr().ok().and_then(|address| address.as_socket()).expect("an address");
    let before = descriptors().len();
    let refused = reactor.handle().listen(address, |_: &Addresses| |_: &Transport, _: &[u8]| ());
    assert!(refused.is_err());
    let (_, outcome) = connect(&reactor, &format!("tcp://{deaf}"));
    until(&reactor, || outcome.borrow().is_some());
    let outcome = outcome.take();
    assert!(matches!(outcome, Some(Err(ConnectError::Failed { .. }))), "{outcome:?}");
    assert_eq!(descriptors().len(), before);
}

fn c04_l13_a_dropped_loop_closes_everything(backend: &str) {
    let (endpoint, crowd) = dead_end();
    let before = descriptors().len();
    let reactor = reactor(backend);
    let (server, made) = echo(&reactor);
    let address = address_of(&server);
    let peers = [(); 3].map(|()| std::net::TcpStream::connect(address).expect("a connection"));
    until(&reactor, || made.get() == 3);
    // Connecting, waiting to be accepted, and established: all at once.
    let (_pending, _) = connect(&reactor, &endpoint);
    server.pause();
    let late = std::net::TcpStream::connect(address).expect("a place in the backlog");
    reactor.turn(Some(Duration::ZERO)).expect("a turn");
    drop(reactor);
    // A handle that is left keeps the loop's inert shell, and that the descriptor of its waker.
    drop((peers, late, server));
    assert_eq!(descriptors().len(), before);
    assert!(std::net::TcpStream::connect(address).is_err(), "nobody listens");
    drop(crowd);
}

fn l03_l06_refused_and_queued_peers_leave_no_descriptor(backend: &str) {
    let reactor = reactor(backend);
    let before = descriptors().len();
    let asked = Rc::new(Cell::new(0));
    let count = Rc::clone(&asked);
    let server = reactor.handle().listen("tcp://127.0.0.1:0", move |_: &Addresses| {
        count.set(count.get() + 1);
        None::<fn(&Transport, &[u8])>
    });
    let server = server.expect("a listener");
    let address = address_of(&server);
    let peers = [(); 8].map(|()| std::net::TcpStream::connect(address).expect("a connection"));
    // A backend may close what was refused with the next wait.
    until(&reactor, || asked.get() == peers.len() && descriptors().len() == before + 1 + peers.len());
    let stopped = Rc::new(Cell::new(false));
    let told = Rc::clone(&stopped);
    server.on_stopped(move || told.set(true));
    server.stop();
    drop(peers);
    until(&reactor, || stopped.get());
    assert_eq!(descriptors().len(), before);
}

crate::alone_on_sockets! {
    c02_c03_connects_that_time_out_or_are_cancelled_close_their_sockets
    c06_l02_what_fails_leaves_no_descriptor
    c04_l13_a_dropped_loop_closes_everything
    l03_l06_refused_and_queued_peers_leave_no_descriptor
}
