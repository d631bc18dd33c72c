use std::io::{ErrorKind, Read};
use std::net::{Ipv6Addr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;

use super::*;

/// L01
#[test]
fn port_zero_yields_the_real_port() {
    let mut rig = Rig::new();
    let (listener, address) = rig.listen();
    assert_ne!(address.port(), 0);
    let peer = TcpStream::connect(address).unwrap();
    let (_, addresses) = rig.accept(listener);
    assert_eq!(addresses.local, address.into());
    assert_eq!(addresses.peer, peer.local_addr().unwrap().into());
}

#[test]
fn an_accepted_connection_costs_two_calls() {
    let mut rig = Rig::new();
    let (listener, address) = rig.listen();
    let _peer = TcpStream::connect(address).unwrap();
    rig.input(listener);
    let before = rig.backend.system_calls();
    let (key, _) = rig.accept(listener);
    let expected =
        SystemCalls { accepts: before.accepts + 1, registrations: before.registrations + 1, ..before };
    assert_eq!(rig.backend.system_calls(), expected);
    assert!(rig.backend.table.connection(key).unwrap().channel().has_nodelay(), "it is inherited");
}

#[test]
fn who_listens_on_every_address_learns_which_one_was_meant() {
    let mut rig = Rig::new();
    let key = rig.key();
    let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let address = rig.backend.listen(key, &any.into(), &ListenOptions::default()).unwrap();
    let port = address.as_inet().unwrap().port();
    let _peer = TcpStream::connect((Ipv4Addr::new(127, 0, 0, 5), port)).unwrap();
    let (_, addresses) = rig.accept(key);
    assert_eq!(addresses.local.as_inet().unwrap(), SocketAddr::from(([127, 0, 0, 5], port)));
}

#[test]
fn an_ipv6_listener_leaves_the_ipv4_port_alone() {
    let mut rig = Rig::new();
    let key = rig.key();
    let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    let Ok(address) = rig.backend.listen(key, &any.into(), &ListenOptions::default()) else {
        return; // The machine has no IPv6.
    };
    let port = address.as_inet().unwrap().port();
    // Somebody else may listen there, and may answer.
    let _anybody = TcpStream::connect((Ipv4Addr::LOCALHOST, port));
    assert!(rig.rest().is_empty());
}

/// L02
#[test]
fn an_address_in_use_is_an_error_and_nothing_stays_open() {
    let mut rig = Rig::new();
    let (_, address) = rig.listen();
    let key = rig.key();
    let error = rig.backend.listen(key, &address.into(), &ListenOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    assert_eq!(rig.backend.system_calls().closes, 1);
}

/// L12
#[test]
fn a_port_can_be_shared_on_request() {
    let mut rig = Rig::new();
    let options = ListenOptions { reuse_port: true, ..ListenOptions::default() };
    let (first, second) = (rig.key(), rig.key());
    let address = rig.backend.listen(first, &loopback(0), &options).unwrap();
    assert_eq!(rig.backend.listen(second, &address, &options).unwrap(), address);
}

/// L05
#[test]
fn a_closed_listeners_port_is_free() {
    let mut rig = Rig::new();
    let (listener, address) = rig.listen();
    assert!(matches!(rig.backend.close(listener, Close::Orderly), Started::Done(())));
    let key = rig.key();
    rig.backend.listen(key, &address.into(), &ListenOptions::default()).unwrap();
}

/// L08, L14
#[test]
fn one_event_may_stand_for_several_connections() {
    let mut rig = Rig::new();
    let (listener, address) = rig.listen();
    let peers: Vec<_> = (0..5).map(|_| TcpStream::connect(address).unwrap()).collect();
    rig.input(listener);
    let mut ports = Vec::new();
    loop {
        let key = rig.key();
        match rig.backend.accept(listener, key) {
            Accepted::Connection(addresses) => ports.push(addresses.peer),
            Accepted::Dry => break,
            Accepted::Failed(error) => panic!("{error}"),
        }
    }
    let expected: Vec<Address> = peers.iter().map(|peer| peer.local_addr().unwrap().into()).collect();
    assert_eq!(ports, expected);
    let _late = TcpStream::connect(address).unwrap();
    let key = rig.key();
    let late = rig.backend.accept(listener, key);
    assert!(matches!(late, Accepted::Connection(_)), "it is found without an event: {late:?}");
}

/// L10
#[test]
fn an_adopted_listener_is_closed_and_not_shut_down() {
    let mut rig = Rig::new();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let key = rig.key();
    assert_eq!(rig.backend.adopt(key, listener.try_clone().unwrap().into()).unwrap(), address.into());
    let _ours = TcpStream::connect(address).unwrap();
    rig.accept(key);
    assert!(matches!(rig.backend.close(key, Close::Orderly), Started::Done(())));
    let _theirs = TcpStream::connect(address).unwrap();
    rig.backend.wait(until(Instant::ZERO)).unwrap();
    let mut events = std::iter::from_fn(|| rig.backend.poller.pop());
    assert!(events.all(|event| event.key != key), "the other holder's connections are no events of ours");
    listener.set_nonblocking(false).unwrap();
    listener.accept().unwrap();
    let again = rig.key();
    rig.backend.adopt(again, listener.into()).unwrap();
}

/// L11
#[test]
fn only_a_listening_stream_socket_can_be_adopted() {
    let mut rig = Rig::new();
    let key = rig.key();
    let datagrams = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let file = std::fs::File::open("/dev/null").unwrap();
    let bad: [OwnedFd; 3] = [datagrams.into(), stream.into(), file.into()];
    for descriptor in bad {
        let error = rig.backend.adopt(key, descriptor).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    }
    assert_eq!(rig.backend.system_calls().closes, 3);
    assert!(matches!(rig.backend.accept(key, key), Accepted::Failed(_)));
}

/// L13
#[test]
fn connections_that_nobody_accepted_end_with_their_listener() {
    let mut rig = Rig::new();
    let (listener, address) = rig.listen();
    let mut peer = TcpStream::connect(address).unwrap();
    rig.input(listener);
    rig.backend.close(listener, Close::Orderly);
    assert_eq!(peer.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionReset);
}
