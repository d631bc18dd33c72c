//! Listening and accepting.

use super::*;

fn options(change: impl FnOnce(&mut ListenOptions)) -> ListenOptions {
    let mut options = ListenOptions::default();
    change(&mut options);
    options
}

#[test]
fn l01_port_0_gives_a_free_port() {
    let mut host = Host::new(Choices::tame());
    let (one, two) = (host.listen(ONE, "127.0.0.1:0"), host.listen(TWO, "127.0.0.1:0"));
    assert_ne!(one, two);
    assert!(one.as_inet().unwrap().port() >= 49152);
}

#[test]
fn l02_an_address_in_use_is_an_error_and_nothing_stays_bound() {
    let mut host = Host::new(Choices::tame());
    host.listen(LISTENER, "0.0.0.0:80");
    for taken in ["0.0.0.0:80", "127.0.0.1:80"] {
        let again = host.memory.listen(ONE, &at(taken), &ListenOptions::default());
        assert_eq!(kind(again), ErrorKind::AddrInUse);
    }
    assert_eq!(host.network.sockets(), 1);
    host.listen(TWO, "[::]:80");
    let foreign = host.memory.listen(ONE, &at("192.0.2.1:80"), &ListenOptions::default());
    assert_eq!(kind(foreign), ErrorKind::AddrNotAvailable);
}

#[test]
fn l05_a_closed_listener_frees_its_port_and_resets_who_waits() {
    let mut host = Host::new(Choices::tame());
    let address = host.listen(LISTENER, "127.0.0.1:80");
    let peer = host.network.connect(address).unwrap();
    assert_eq!(host.close(LISTENER, Close::Orderly), "done");
    assert!(peer.is_reset());
    assert!(host.turns().is_empty());
    assert_eq!(host.network.sockets(), 0);
    host.listen(ONE, "127.0.0.1:80");
}

#[test]
fn connections_are_accepted_in_order_until_dry() {
    let mut host = Host::new(Choices::tame());
    let address = host.listen(LISTENER, "127.0.0.1:0");
    let one = host.network.connect(address.clone()).unwrap();
    let two = host.network.connect(address.clone()).unwrap();
    assert_eq!(host.turns(), ["input 0"]);
    assert_eq!(host.accept(ONE).peer, one.addresses().local);
    assert_eq!(host.accept(TWO).peer, two.addresses().local);
    assert!(matches!(host.memory.accept(LISTENER, Key::new(3, 1)), Accepted::Dry));
    assert!(host.turns().is_empty());
    let _three = host.network.connect(address).unwrap();
    assert_eq!(host.turns(), ["input 0"]);
}

#[test]
fn l14_connects_beyond_the_backlog_wait_for_room() {
    let (network, clock) = (Network::new(Choices::tame()), Clock::new());
    let (mut server, mut client) = (Host::on(&network, &clock), Host::on(&network, &clock));
    let small = options(|options| options.backlog = 1);
    let address = server.memory.listen(LISTENER, &at("127.0.0.1:0"), &small).unwrap();
    let first = network.connect(address.clone()).unwrap();
    client.connect(ONE, &address);
    client.connect(TWO, &address);
    assert!(client.turns().is_empty());
    server.accept(ONE);
    assert_eq!(client.turns(), ["connected 1"]);
    assert_eq!(client.close(TWO, Close::Orderly), "pending");
    assert_eq!(client.turns(), ["connected 2 ConnectionAborted", "closed 2"]);
    let waits = network.connect(address).unwrap();
    assert!(first.is_connected() && !waits.is_connected() && !waits.is_closed());
    server.accept(TWO);
    assert!(waits.is_connected());
}

#[test]
fn a_closed_listener_refuses_who_waits_for_room() {
    let (network, clock) = (Network::new(Choices::tame()), Clock::new());
    let (mut server, mut client) = (Host::on(&network, &clock), Host::on(&network, &clock));
    let small = options(|options| options.backlog = 0);
    let address = server.memory.listen(LISTENER, &at("127.0.0.1:0"), &small).unwrap();
    client.connect(ONE, &address);
    client.connect(TWO, &address);
    assert_eq!(client.turns(), ["connected 1"]);
    server.close(LISTENER, Close::Orderly);
    assert_eq!(client.turns(), ["input 1", "connected 2 ConnectionRefused"]);
    assert_eq!(client.receive(ONE), "(ConnectionReset)");
}

#[test]
fn an_unspecified_address_hears_every_address_of_its_family() {
    let mut host = Host::new(Choices::tame());
    host.network.add_host("web", vec!["10.0.0.1".parse().unwrap()]);
    host.listen(LISTENER, "0.0.0.0:80");
    for address in ["127.0.0.1:80", "10.0.0.1:80", "0.0.0.0:80"] {
        assert!(host.network.connect(at(address)).is_ok(), "{address}");
    }
    assert_eq!(kind(host.network.connect(at("[::1]:80"))), ErrorKind::ConnectionRefused);
    assert_eq!(host.accept(ONE).local, at("127.0.0.1:80"));
    assert_eq!(host.accept(TWO).local, at("10.0.0.1:80"));
}

#[test]
fn l12_listeners_share_a_port_if_all_say_so_and_chance_picks_one() {
    let (network, clock) = (Network::new(Choices::script([1, 0])), Clock::new());
    let (mut one, mut two) = (Host::on(&network, &clock), Host::on(&network, &clock));
    let shared = options(|options| options.reuse_port = true);
    let address = one.memory.listen(LISTENER, &at("127.0.0.1:0"), &shared).unwrap();
    let refused = two.memory.listen(LISTENER, &address, &ListenOptions::default());
    assert_eq!(kind(refused), ErrorKind::AddrInUse);
    two.memory.listen(LISTENER, &address, &shared).unwrap();
    let peer = network.connect(address.clone()).unwrap();
    assert_eq!(two.accept(ONE).peer, peer.addresses().local);
    let _other = network.connect(address).unwrap();
    one.accept(ONE);
}

#[test]
fn a_connection_that_was_reset_in_the_backlog_is_accepted_and_then_fails() {
    let mut host = Host::new(Choices::tame());
    let address = host.listen(LISTENER, "127.0.0.1:0");
    host.network.connect(address).unwrap().reset();
    host.accept(ONE);
    assert_eq!(host.turns(), ["input 0", "input 1"]);
    assert_eq!(host.receive(ONE), "(ConnectionReset)");
}

#[test]
fn sockets_of_the_system_cannot_be_adopted() {
    let mut host = Host::new(Choices::tame());
    if let Ok(listener) = TcpListener::bind("127.0.0.1:0") {
        assert_eq!(kind(host.memory.adopt(LISTENER, listener.into())), ErrorKind::Unsupported);
    }
}
