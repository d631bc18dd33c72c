//! Connections of records that the process has no room for.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use marline_reactor::backend::ListenOptions;
use marline_reactor::{Address, DatagramTransport, UnixAddress};
use socket2::{Domain, SockAddr, Socket, Type};

use super::limit::Limit;
use super::{reactor, until};

fn a_paused_listener_of_records_stays_paused_after_an_accept_that_failed(backend: &str) {
    let limit = Limit::lower();
    let reactor = reactor(backend);
    let (accepted, seen) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let count = Rc::clone(&accepted);
    let factory = move |_: &Address| {
        count.set(count.get() + 1);
        |_: &DatagramTransport, _: &[u8], _: &Address| {}
    };
    let name = format!("marline-packets-{}-{backend}", std::process::id());
    let address = UnixAddress::abstract_name(name.as_bytes());
    let server =
        reactor.handle().listen_packets(&address, &ListenOptions::default(), factory).expect("a listener");
    let client = Socket::new(Domain::UNIX, Type::SEQPACKET, None).expect("a socket");
    let late = Socket::new(Domain::UNIX, Type::SEQPACKET, None).expect("a socket");
    let target = SockAddr::unix(format!("\0{name}")).expect("a name");

    let exhausted = limit.exhaust();
    client.connect(&target).expect("a place in the backlog");
    // Its failure is seen by what it says; a callback that runs after it pauses the listener.
    let done = Rc::clone(&seen);
    reactor.handle().call_later(Duration::from_millis(20), move || done.set(1));
    until(&reactor, || seen.get() == 1);
    assert_eq!(accepted.get(), 0);
    server.pause();
    drop(exhausted);
    late.connect(&target).expect("a place in the backlog");
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(300) {
        reactor.turn(Some(Duration::from_millis(20))).expect("a turn");
    }
    assert_eq!(accepted.get(), 0, "it was paused");
    server.resume();
    until(&reactor, || accepted.get() == 2);
}

crate::alone_on_sockets! { a_paused_listener_of_records_stays_paused_after_an_accept_that_failed }
