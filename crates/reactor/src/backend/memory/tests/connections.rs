//! Connecting.

use super::*;

fn connect_from(host: &mut Host, to: &Address, from: &str) -> io::Result<()> {
    let options = ConnectOptions { bind: Some(at(from)), ..ConnectOptions::default() };
    host.memory.connect(ONE, to, &options)
}

#[test]
fn code_under_test_connects_to_a_scripted_server() {
    let mut host = Host::new(Choices::tame());
    let listener = host.network.listen(at("127.0.0.1:80").as_inet().unwrap()).unwrap();
    assert!(listener.accept().is_none());
    host.connect(ONE, &listener.address());
    let peer = listener.accept().unwrap();
    peer.write(b"welcome");
    assert_eq!(host.turn(), ["connected 1", "input 1"]);
    assert_eq!(host.receive(ONE), "welcome");
    let addresses = host.memory.addresses(ONE).unwrap();
    assert_eq!(addresses.peer, at("127.0.0.1:80"));
    assert_eq!(addresses.local, at("127.0.0.1:49152"));
    assert_eq!(peer.addresses().peer, addresses.local);
}

#[test]
fn a_connect_that_nobody_hears_is_refused_and_then_closed() {
    let mut host = Host::new(Choices::tame());
    host.connect(ONE, &at("127.0.0.1:1"));
    assert_eq!(host.network.sockets(), 1);
    assert_eq!(host.turn(), ["connected 1 ConnectionRefused"]);
    assert!(host.memory.addresses(ONE).is_err());
    assert_eq!(host.close(ONE, Close::Orderly), "done");
    assert_eq!(host.network.sockets(), 0);
    assert_eq!(kind(host.network.connect(at("127.0.0.1:1"))), ErrorKind::ConnectionRefused);
}

#[test]
fn c04_closing_while_connecting_answers_the_connect_first() {
    let mut host = Host::new(Choices::tame());
    host.network.ignore(at("127.0.0.1:9"));
    host.connect(ONE, &at("127.0.0.1:9"));
    assert!(host.turn().is_empty());
    assert_eq!(host.close(ONE, Close::Reset), "pending");
    assert_eq!(host.turn(), ["connected 1 ConnectionAborted", "closed 1"]);
    assert_eq!(host.network.sockets(), 0);
}

#[test]
fn a_connect_that_won_the_race_against_its_close_says_so() {
    let mut host = Host::new(Choices::tame());
    let listener = host.network.listen(at("127.0.0.1:80")).unwrap();
    host.connect(ONE, &listener.address());
    listener.accept().unwrap().write(b"unseen");
    assert_eq!(host.close(ONE, Close::Orderly), "pending");
    assert_eq!(host.turns(), ["connected 1", "closed 1"]);
}

#[test]
fn the_address_to_connect_from_is_checked() {
    let mut host = Host::new(Choices::tame());
    let to = host.listen(LISTENER, "127.0.0.1:0");
    assert_eq!(kind(connect_from(&mut host, &to, "[::1]:0")), ErrorKind::InvalidInput);
    let foreign = connect_from(&mut host, &to, "192.0.2.1:0");
    assert_eq!(kind(foreign), ErrorKind::AddrNotAvailable);
    assert_eq!(kind(connect_from(&mut host, &to, &to.as_inet().unwrap().to_string())), ErrorKind::AddrInUse);
    assert_eq!(host.network.sockets(), 1);
    connect_from(&mut host, &to, "127.0.0.7:4000").unwrap();
    assert_eq!(host.accept(TWO).peer, at("127.0.0.7:4000"));
}

#[test]
fn names_resolve_to_the_hosts_of_the_network() {
    let mut host = Host::new(Choices::tame());
    host.network.add_host("Empty", Vec::new());
    host.network.add_host("web", vec!["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()]);
    let mut resolve = |name| host.memory.resolve(name, 80).unwrap();
    assert_eq!(resolve("localhost").unwrap(), [at("127.0.0.1:80").as_inet().unwrap()]);
    assert_eq!(resolve("WEB").unwrap().len(), 2);
    assert_eq!(resolve("empty").unwrap(), []);
    let error = resolve("nobody").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("nobody"));
}

#[test]
fn bytes_can_be_sent_before_the_other_side_accepts() {
    let mut host = Host::new(Choices::tame());
    let address = host.listen(LISTENER, "127.0.0.1:0");
    let peer = host.network.connect(address).unwrap();
    peer.write(b"early");
    drop(peer);
    assert_eq!(host.turn(), ["input 0"]);
    host.accept(ONE);
    assert_eq!(host.turn(), ["input 1"]);
    assert_eq!(host.receive(ONE), "early");
    assert_eq!(host.receive(ONE), "(eof)");
}

#[test]
fn unknown_keys_get_errors() {
    let mut host = Host::new(Choices::tame());
    assert_eq!(host.send(ONE, b"x"), "NotConnected");
    assert_eq!(host.receive(ONE), "(NotConnected)");
    assert_eq!(host.close(ONE, Close::Reset), "done");
    assert!(matches!(host.memory.shutdown(ONE), Started::Done(Err(_))));
    assert!(matches!(host.memory.accept(ONE, TWO), Accepted::Failed(_)));
    host.memory.watch_peer(ONE);
}
