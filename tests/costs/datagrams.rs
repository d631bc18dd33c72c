//! What datagrams cost in system calls, and how many are lost.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;

use marline_reactor::{Address, DatagramTransport, Stats};
use marline_tests::backends;
use marline_tests::on_sockets;

const COUNT: usize = 50_000;
/// So many are on their way at a time, which the buffer of a socket holds.
const WINDOW: usize = 128;

fn any() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn nothing(_: &DatagramTransport, _: &[u8], _: &Address) {}

/// Sends many from one socket to another, half a window whenever half a window has arrived.
fn flood(backend: &str) -> Stats {
    let reactor = backends::reactor(backend);
    let handle = reactor.handle();
    let (received, sent) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(WINDOW)));
    let sender: Rc<Cell<Option<DatagramTransport>>> = Rc::default();
    let (counted, far, more) = (Rc::clone(&received), Rc::clone(&sender), Rc::clone(&sent));
    let receive = move |transport: &DatagramTransport, data: &[u8], _: &Address| {
        let expected = u32::try_from(counted.get()).expect("few");
        assert_eq!(data, expected.to_be_bytes(), "one was lost, or came out of order");
        counted.set(counted.get() + 1);
        let sender = far.take().expect("a socket");
        if counted.get() == COUNT {
            transport.close();
            sender.close();
        } else if more.get() - counted.get() <= WINDOW / 2 {
            for _ in 0..(WINDOW / 2).min(COUNT - more.get()) {
                let number = u32::try_from(more.get()).expect("few");
                sender.send(number.to_be_bytes()).expect("there is room");
                more.set(more.get() + 1);
            }
        }
        far.set(Some(sender));
    };
    let receiver = handle.bind_datagram(any(), receive).expect("a socket");
    let target = receiver.local_address().expect("an address");
    let transport = handle.connect_datagram(target, nothing).expect("a socket");
    for number in 0..u32::try_from(WINDOW).expect("few") {
        transport.send(number.to_be_bytes()).expect("there is room");
    }
    sender.set(Some(transport));
    reactor.run().expect("a run");
    println!("{} lost", COUNT - received.get());
    assert_eq!(received.get(), COUNT);
    handle.stats()
}

fn many_datagrams_need_a_tenth_of_the_calls(backend: &str) {
    let calls = flood(backend).system_calls;
    let all = calls.waits + calls.receives + calls.sends + calls.registrations + calls.others + calls.closes;
    println!("{backend}: {all} calls for {COUNT} datagrams: {calls:?}");
    assert!(all as usize <= 2 * COUNT / 10, "{calls:?}");
}

/// One at a time costs a wait, a receive and a send: no call that finds nothing, and no registration.
fn one_at_a_time_costs_one_receive_and_one_send(backend: &str) {
    const ROUNDS: u64 = 2000;
    let reactor = backends::reactor(backend);
    let handle = reactor.handle();
    let rounds = Rc::new(Cell::new(0));
    let echo = |transport: &DatagramTransport, data: &[u8], sender: &Address| {
        transport.send_to(data, sender).expect("there is room");
    };
    let echo = handle.bind_datagram(any(), echo).expect("a socket");
    let (counted, other) = (Rc::clone(&rounds), echo.clone());
    let again = move |transport: &DatagramTransport, data: &[u8], _: &Address| {
        counted.set(counted.get() + 1);
        if counted.get() == ROUNDS {
            transport.close();
            other.close();
        } else {
            transport.send(data).expect("there is room");
        }
    };
    let client = handle.connect_datagram(echo.local_address().expect("an address"), again).expect("a socket");
    client.send(b"ping").expect("there is room");
    reactor.run().expect("a run");
    let calls = handle.stats().system_calls;
    println!("{backend}: {ROUNDS} rounds: {calls:?}");
    assert_eq!((calls.sends, calls.receives), (2 * ROUNDS, 2 * ROUNDS));
    assert!(calls.registrations <= 8, "{calls:?}");
}

on_sockets! { many_datagrams_need_a_tenth_of_the_calls one_at_a_time_costs_one_receive_and_one_send }
