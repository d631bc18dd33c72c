//! What datagrams allocate in the steady state: nothing.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;

use marline_reactor::{Address, DatagramTransport, Handle, UnixAddress};
use marline_tests::backends::reactor;
use marline_tests::on_sockets;

use crate::Meter;

/// How many datagrams are on their way: several to a batch, and fewer than a UNIX socket keeps (`net.unix.max_dgram_qlen`).
const WINDOW: usize = 8;

/// Each socket answers the other; every answer is counted.
fn answering(handle: &Handle, one: Address, other: Address, meter: &Meter) {
    let (meter, stop) = (meter.clone(), handle.clone());
    let rounds = Cell::new(0);
    let echo = |transport: &DatagramTransport, data: &[u8], sender: &Address| {
        transport.send_to(data, sender).expect("there is room");
    };
    let echo = handle.bind_datagram(one, echo).expect("a socket");
    let again = move |transport: &DatagramTransport, data: &[u8], sender: &Address| {
        meter.message();
        rounds.set(rounds.get() + 1);
        if rounds.get() > crate::WARM_UP + crate::MEASURED * crate::PARTS {
            stop.stop();
        }
        transport.send_to(data, sender).expect("there is room");
    };
    let again = handle.bind_datagram(other, again).expect("a socket");
    let target = echo.local_address().expect("an address");
    for _ in 0..WINDOW {
        again.send_to([7; 100], &target).expect("there is room");
    }
}

fn datagrams_allocate_nothing(backend: &str) {
    let (reactor, meter) = (reactor(backend), Meter::default());
    let any = || Address::from(SocketAddr::from(([127, 0, 0, 1], 0)));
    answering(&reactor.handle(), any(), any(), &meter);
    reactor.run().expect("a run");
    meter.assert_nothing();
}

/// Whose senders have names that take an allocation to be written down.
fn unix_datagrams_allocate_nothing(backend: &str) {
    let (reactor, meter) = (reactor(backend), Meter::default());
    let name = |which| {
        let name = format!("marline-allocations-{which}-{backend}-{}", std::process::id());
        Address::from(UnixAddress::abstract_name(name))
    };
    answering(&reactor.handle(), name("one"), name("other"), &meter);
    reactor.run().expect("a run");
    meter.assert_nothing();
}

/// An idle socket has no buffer: many cost little more than their slots.
fn idle_sockets_have_no_buffers(backend: &str) {
    const SOCKETS: usize = 100;
    let reactor = reactor(backend);
    let received = Rc::new(Cell::new(0));
    let open = || {
        let counted = Rc::clone(&received);
        let count = move |_: &DatagramTransport, _: &[u8], _: &Address| counted.set(counted.get() + 1);
        reactor.handle().bind_datagram(SocketAddr::from(([127, 0, 0, 1], 0)), count).expect("a socket")
    };
    // One has received, so what all share is there.
    let first = open();
    first.send_to(b"x", &first.local_address().expect("an address")).expect("there is room");
    while received.get() == 0 {
        reactor.turn(None).expect("a turn");
    }
    let before = marline_tests::counting::Counts::here();
    let sockets: Vec<_> = (0..SOCKETS).map(|_| open()).collect();
    let bytes = marline_tests::counting::Counts::here().since(before).bytes;
    assert!(bytes / 100 < 2048, "{bytes} bytes for {SOCKETS} sockets");
    drop(sockets);
}

on_sockets! { datagrams_allocate_nothing unix_datagrams_allocate_nothing idle_sockets_have_no_buffers }
