//! DG: datagrams at the edges of what is usual: what takes care of itself, what goes wrong again and again.

use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use marline_reactor::testing::MemoryReactor;
use marline_reactor::{
    Address, DatagramError, DatagramOptions, DatagramProtocol, DatagramTransport, MulticastError,
    MulticastInterface,
};
use marline_tasks::{DatagramSocket, spawn_on};

use crate::conformance;
use crate::support::{ANY, Said, Talk, World, free_name};

/// So many errors come only to a program that nobody else is served in.
const FOR_EVER: usize = 100_000;

/// Sends again what could not be sent, for ever.
struct Stubborn {
    target: Address,
    errors: Rc<Cell<usize>>,
}

impl DatagramProtocol for Stubborn {
    fn datagram_received(&mut self, _: &DatagramTransport, _: &[u8], _: &Address) {}

    fn error_received(&mut self, transport: &DatagramTransport, _: &io::Error) {
        self.errors.set(self.errors.get() + 1);
        // Where nobody else has a turn, it has to end for the test to see that.
        if self.errors.get() < FOR_EVER {
            drop(transport.send_to(b"again", &self.target));
        }
    }
}

conformance! {
    fn a_task_that_sends_much_in_one_go_goes_on_when_it_has_left(world: &World) {
        let sent = Rc::new(RefCell::new(None));
        let (told, far) = (Rc::clone(&sent), world.far_port().address());
        let task = spawn_on(&world.handle(), async move {
            let socket = DatagramSocket::bind(ANY)?;
            for _ in 0..20 {
                socket.send_to(&[7; 10_000], far.clone()).await?;
            }
            told.replace(Some(socket.transport()?.buffered()));
            Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
        });
        world.until(|| task.is_finished());
        assert!(sent.borrow().is_some(), "the task failed");
    }

    fn an_error_that_is_answered_with_the_same_again_starves_nobody(world: &World) {
        let (target, errors) = (Address::from(free_name()), Rc::new(Cell::new(0)));
        let protocol = Stubborn { target: target.clone(), errors: Rc::clone(&errors) };
        let transport = world.handle().bind_datagram(Address::from(free_name()), protocol).expect("a socket");
        transport.send_to(b"first", &target).expect("it is accepted");
        world.until(|| errors.get() > 0);
        let (talk, talked) = Talk::new();
        let other = world.handle().bind_datagram(ANY, talk).expect("a socket");
        world.far_port().send(b"hear me", &other.local_address().expect("an address"));
        world.until(|| talked.has(&Said::Received(b"hear me".to_vec())));
        assert!(errors.get() < FOR_EVER, "nobody else had a turn");
    }

    fn records_without_a_connection_are_refused_at_the_call(world: &World) {
        let mut options = DatagramOptions::bind(Address::from(free_name()));
        options.packets = true;
        let opened = world.handle().open_datagram(&options, Talk::new().0);
        assert!(matches!(opened, Err(DatagramError::NoPeer { .. })), "{opened:?}");
    }

    fn dg10_a_ttl_that_is_none_is_refused(world: &World) {
        let transport = world.handle().bind_datagram(ANY, Talk::new().0).expect("a socket");
        transport.set_multicast_ttl(255).expect("that is one");
        for ttl in [256, u32::MAX] {
            let set = transport.set_multicast_ttl(ttl);
            assert!(matches!(set, Err(MulticastError::System(_))), "{ttl}: {set:?}");
        }
    }
}

// The memory network keeps the same bounds as a system does.

#[test]
fn a_socket_on_memory_that_is_not_read_keeps_a_bounded_number_of_empty_datagrams() {
    let memory = MemoryReactor::new();
    memory.network().set_capacity(100);
    let (talk, talked) = Talk::new();
    let transport = memory.handle().bind_datagram(ANY, talk).expect("a socket");
    transport.pause_reading();
    let peer = memory.network().bind_datagram(ANY).expect("a scripted socket");
    let to = transport.local_address().expect("an address");
    for _ in 0..1000 {
        peer.send_to(b"", to.clone()).expect("it is sent, and may be lost");
    }
    transport.resume_reading();
    memory.pump();
    assert_eq!(talked.received().len(), 100);
}

#[test]
fn a_socket_on_memory_holds_one_error_at_a_time() {
    let memory = MemoryReactor::new();
    let nobody = memory.network().bind_datagram(ANY).expect("a scripted socket").address();
    let (talk, talked) = Talk::new();
    let transport = memory.handle().connect_datagram(nobody, talk).expect("a socket");
    transport.pause_reading();
    for _ in 0..1000 {
        transport.send(b"nobody hears this").expect("it is accepted");
    }
    memory.pump();
    transport.resume_reading();
    memory.pump();
    assert_eq!(talked.count(&Said::Error(ErrorKind::ConnectionRefused)), 1);
}

#[test]
fn who_is_connected_on_memory_hears_nobody_else_in_a_group() {
    let memory = MemoryReactor::new();
    let group = IpAddr::from([239, 1, 2, 3]);
    let (friend, stranger) = (
        memory.network().bind_datagram(ANY).expect("a scripted socket"),
        memory.network().bind_datagram(ANY).expect("a scripted socket"),
    );
    let mut options = DatagramOptions::connect(friend.address());
    options.local = Some(SocketAddr::from(([0, 0, 0, 0], 0)).into());
    let (talk, talked) = Talk::new();
    let transport = memory.handle().open_datagram(&options, talk).expect("a socket");
    transport.join_multicast(group, MulticastInterface::Any).expect("a member");
    let port = transport.local_address().and_then(|local| local.as_inet()).expect("an address").port();
    for peer in [&stranger, &friend] {
        peer.send_to(peer.address().to_string(), SocketAddr::new(group, port)).expect("it is sent");
    }
    memory.pump();
    assert_eq!(talked.received(), [friend.address().to_string().into_bytes()]);
}

#[test]
fn records_are_not_mistaken_for_datagrams_on_memory() {
    let memory = MemoryReactor::new();
    let name = Address::from(free_name());
    memory.handle().bind_datagram(name.clone(), Talk::new().0).expect("a socket");
    let mut options = DatagramOptions::connect(name);
    options.packets = true;
    let opened = memory.handle().open_datagram(&options, Talk::new().0);
    let Err(DatagramError::System { source, .. }) = opened else { panic!("{opened:?}") };
    assert_eq!(source.kind(), ErrorKind::Unsupported);
}

#[test]
fn options_that_records_do_not_have_are_no_options_of_their_endpoints() {
    for option in ["limit=1", "backlog=1", "timeout=1"] {
        let parsed = DatagramOptions::listening(format!("unix-seqpacket:///run/records?{option}"));
        assert!(matches!(parsed, Err(DatagramError::Endpoint(_))), "{option} would be ignored");
    }
}
