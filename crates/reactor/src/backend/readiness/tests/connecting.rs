use std::io::{ErrorKind, Read, Write};
use std::net::TcpListener;

use super::*;

fn connected(rig: &mut Rig, wanted: Key) -> std::io::Result<()> {
    rig.until(|completion| match completion {
        Completion::Connected(key, result) if key == wanted => Some(result),
        _ => None,
    })
}

#[test]
fn a_connection_is_made_and_works_in_both_directions() {
    let mut rig = Rig::new();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let key = rig.key();
    rig.backend.connect(key, &address.into(), &ConnectOptions::default()).unwrap();
    connected(&mut rig, key).unwrap();
    let (mut peer, from) = listener.accept().unwrap();
    let addresses = rig.backend.addresses(key).unwrap();
    assert_eq!((addresses.local, addresses.peer), (from.into(), address.into()));
    rig.send(key, b"ping").unwrap();
    let mut ping = [0; 4];
    peer.read_exact(&mut ping).unwrap();
    peer.write_all(b"pong").unwrap();
    assert_eq!(rig.receive_all(key, 4), b"pong");
    assert_eq!(rig.backend.system_calls().registrations, 2, "the waker's and the connection's");
}

/// H12
#[test]
fn data_that_comes_with_the_connection_is_told_after_it() {
    let mut rig = Rig::new();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let key = rig.key();
    let address = listener.local_addr().unwrap();
    rig.backend.connect(key, &address.into(), &ConnectOptions::default()).unwrap();
    let (mut peer, _) = listener.accept().unwrap();
    peer.write_all(b"welcome").unwrap();
    drop(peer);
    connected(&mut rig, key).unwrap();
    assert_eq!(rig.receive_all(key, 7), b"welcome");
    assert!(is_eof(&rig.receive(key)));
}

#[test]
fn a_refused_connection_fails_once_and_wants_its_close() {
    let mut rig = Rig::new();
    // A socket that is bound and does not listen keeps the port from everybody else.
    let bound = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    bound.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    let address = bound.local_addr().unwrap().as_socket().unwrap();
    let key = rig.key();
    rig.backend.connect(key, &address.into(), &ConnectOptions::default()).unwrap();
    let error = connected(&mut rig, key).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    assert!(rig.rest().is_empty());
    assert!(matches!(rig.backend.close(key, Close::Orderly), Started::Done(())));
}

#[test]
fn a_local_address_that_is_not_ours_fails_at_once_and_leaves_nothing_open() {
    let mut rig = Rig::new();
    let options = ConnectOptions {
        bind: Some(SocketAddr::from(([192, 0, 2, 1], 0)).into()),
        ..ConnectOptions::default()
    };
    let key = rig.key();
    let error = rig.backend.connect(key, &loopback(9), &options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
    assert_eq!(rig.backend.system_calls().closes, 1);
    assert!(rig.backend.addresses(key).is_err());
}

#[test]
fn the_local_address_can_be_chosen() {
    let mut rig = Rig::new();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let options = ConnectOptions {
        bind: Some(SocketAddr::from(([127, 0, 0, 9], 0)).into()),
        ..ConnectOptions::default()
    };
    let key = rig.key();
    let address = listener.local_addr().unwrap();
    rig.backend.connect(key, &address.into(), &options).unwrap();
    connected(&mut rig, key).unwrap();
    assert_eq!(listener.accept().unwrap().1.ip(), Ipv4Addr::new(127, 0, 0, 9));
}

/// C04
#[test]
fn closing_while_connecting_answers_the_attempt() {
    let mut rig = Rig::new();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let key = rig.key();
    let address = listener.local_addr().unwrap();
    rig.backend.connect(key, &address.into(), &ConnectOptions::default()).unwrap();
    assert!(matches!(rig.backend.close(key, Close::Orderly), Started::Pending));
    let answers = rig.rest();
    let [Completion::Connected(first, Err(error)), Completion::Closed(second)] = answers.as_slice() else {
        panic!("{answers:?}")
    };
    assert_eq!((*first, *second, error.kind()), (key, key, ErrorKind::ConnectionAborted));
}
