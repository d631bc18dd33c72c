//! Connections that keep records apart.

use std::cell::RefCell;
use std::rc::Rc;

use marline_reactor::backend::ListenOptions;
use marline_reactor::{
    Address, DatagramError, DatagramOptions, DatagramProtocol, DatagramTransport, PacketServer, UnixAddress,
};
use marline_tests::wait_until_refused;

use crate::conformance;
use crate::support::{Said, Talk, Talked, World, free_name, skip};

/// What was told of each connection that a listener accepted.
type Accepted = Rc<RefCell<Vec<Talked>>>;

/// A listener whose connections send everything back.
fn listen(world: &World, name: &UnixAddress) -> (PacketServer, Accepted) {
    let accepted = Accepted::default();
    let seen = Rc::clone(&accepted);
    let factory = move |_: &Address| {
        let (talk, talked) = Talk::acting(|transport, data, _| {
            transport.send(data).expect("it is accepted");
        });
        seen.borrow_mut().push(talked);
        talk
    };
    let server = world.handle().listen_packets(name, &ListenOptions::default(), factory);
    (server.expect("a listener"), accepted)
}

fn connect(world: &World, name: &UnixAddress) -> (DatagramTransport, Talked) {
    let (talk, talked) = Talk::new();
    let mut options = DatagramOptions::connect(name.clone());
    options.packets = true;
    (world.handle().open_datagram(&options, talk).expect("a connection"), talked)
}

/// The protocol of the connection that was accepted as the so manieth: it writes down when it begins.
struct Numbered(usize, Rc<RefCell<Vec<usize>>>);

impl DatagramProtocol for Numbered {
    fn connection_made(&mut self, _: &DatagramTransport) {
        self.1.borrow_mut().push(self.0);
    }

    fn datagram_received(&mut self, _: &DatagramTransport, _: &[u8], _: &Address) {}
}

pub fn has_none(world: &World) -> bool {
    if world.is_memory() {
        skip("the memory network has no connections that keep records apart");
    }
    world.is_memory()
}

conformance! {
    fn dg01_records_keep_their_boundaries_and_an_empty_one_is_no_end(world: &World) {
        if has_none(world) {
            return;
        }
        let name = free_name();
        let (server, accepted) = listen(world, &name);
        assert_eq!(server.local_address(), Some(name.clone().into()));
        let (client, told) = connect(world, &name);
        let sent: [&[u8]; 5] = [b"one", b"", b"three", &[7; 100_000], b""];
        for bytes in sent {
            client.send(bytes).expect("it is accepted");
        }
        world.until(|| told.received().len() == sent.len());
        assert_eq!(told.received(), sent);
        // The last record is empty, and the end comes right behind it.
        client.send(b"").expect("it is accepted");
        client.close();
        world.until(|| accepted.borrow().iter().all(Talked::is_lost));
        let mut heard = accepted.borrow()[0].all();
        // The answer to the last one may find the peer gone.
        heard.retain(|said| !matches!(said, Said::Error(_)));
        assert_eq!(heard[6..], [Said::Received(Vec::new()), Said::Lost("Clean".into())]);
        assert_eq!(heard.len(), 8, "{heard:?}");
    }

    fn dg05_closing_one_end_ends_the_other(world: &World) {
        if has_none(world) {
            return;
        }
        let name = free_name();
        let (server, accepted) = listen(world, &name);
        let clients: Vec<_> = (0..5).map(|_| connect(world, &name)).collect();
        world.until(|| accepted.borrow().len() == clients.len());
        server.stop();
        server.stop();
        clients.iter().for_each(|(client, _)| client.close());
        world.until(|| accepted.borrow().iter().all(Talked::is_lost));
        world.until(|| clients.iter().all(|(_, told)| told.is_lost()));
        world.until(|| world.handle().stats().datagram_sockets == 0);
        assert_eq!(server.local_address(), None);
        let mut options = DatagramOptions::connect(name);
        options.packets = true;
        wait_until_refused(|| match world.handle().open_datagram(&options, Talk::new().0) {
            Err(refused @ DatagramError::System { .. }) => Err(refused),
            other => Ok(other),
        });
    }

    fn dg09_a_peer_that_does_not_read_pauses_and_loses_nothing(world: &World) {
        if has_none(world) {
            return;
        }
        const COUNT: usize = 500;
        let name = free_name();
        let (_server, accepted) = listen(world, &name);
        let (client, told) = connect(world, &name);
        client.pause_reading();
        for number in 0..COUNT {
            client.send(format!("{number:01000}")).expect("it is accepted");
        }
        world.until(|| accepted.borrow().len() == 1);
        world.settle();
        client.resume_reading();
        world.until(|| told.received().len() == COUNT);
        let numbers = told.received().into_iter().map(|bytes| String::from_utf8(bytes).expect("digits"));
        assert!(numbers.enumerate().all(|(index, number)| number == format!("{index:01000}")));
    }
    fn connections_begin_in_the_order_in_which_they_came_whoever_sends_first(world: &World) {
        if has_none(world) {
            return;
        }
        let (name, begun) = (free_name(), Rc::default());
        let (seen, mut count) = (Rc::clone(&begun), 0);
        let factory = move |_: &Address| {
            count += 1;
            Numbered(count, Rc::clone(&seen))
        };
        let server = world.handle().listen_packets(&name, &ListenOptions::default(), factory);
        let _server = server.expect("a listener");
        let clients: Vec<_> = (0..5).map(|_| connect(world, &name)).collect();
        clients[4].0.send(b"first").expect("it is accepted");
        // More than the loop calls in a turn, so that it asks for input before it comes to what is behind them.
        (0..20_000).for_each(|_| drop(world.handle().call_soon(|| {})));
        world.until(|| begun.borrow().len() == clients.len());
        assert_eq!(*begun.borrow(), [1, 2, 3, 4, 5]);
    }
}
