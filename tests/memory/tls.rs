//! The same for connections with TLS, in both styles, beside what the bare session of rustls takes.

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use marline_reactor::Addresses;
use marline_tasks::{Listener, copy, spawn, spawn_on};
use marline_tests::counting::{Counts, counted};
use marline_tests::{backends, process, tls};
use rustls::{ClientConnection, ServerConfig, ServerConnection};

use super::{Counter, Peers, until};

pub(super) const CONNECTIONS: usize = 5_000;
/// Bytes of heap for each connection on top of the bare session: its filter, what was told of the handshake, its protocol
/// and, in async code, its stream and its task.
const BUDGET: i64 = 2048;

/// The other process. Nothing, unless a test starts it.
#[test]
fn secure_peers() {
    let Some(address) = process::part() else { return };
    let _limit = process::raise_descriptor_limit();
    let address: SocketAddr = address.parse().expect("an address");
    let mut peers = Vec::new();
    for order in io::stdin().lines() {
        assert_eq!(order.expect("an order"), "connect");
        peers = (0..CONNECTIONS).map(|_| visit(address)).collect();
        println!("done: connect");
    }
    drop(peers);
}

/// One message and its answer. Afterwards nobody needs the client's half of the session.
fn visit(address: SocketAddr) -> std::net::TcpStream {
    let mut stream = tls::connect(address).expect("a connection");
    stream.write_all(b"!").expect("a message");
    let mut answer = [0];
    stream.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"!");
    stream.sock
}

/// Bytes of heap for each connection, after it has been busy.
#[allow(clippy::cast_possible_wrap)]
pub(super) fn each(since: Counts) -> i64 {
    Counts::here().since(since).bytes / CONNECTIONS as i64
}

pub(super) fn may_have_descriptors() -> bool {
    let limit = process::raise_descriptor_limit();
    let may = limit >= CONNECTIONS as u64 + 100;
    if !may {
        println!("skipped: {limit} descriptors are not enough");
    }
    may
}

pub(super) fn of_callbacks(backend: &str, config: Arc<ServerConfig>) -> i64 {
    let reactor = backends::reactor(backend);
    let counter = Counter::default();
    let protocol = counter.clone();
    let server = reactor.handle().listen(tls::endpoint(config), move |_: &Addresses| protocol.clone());
    let server = server.expect("a listener");
    let address = server.local_address().and_then(|address| address.as_inet()).expect("an address");
    let mut peers = Peers::of("tls::secure_peers", address);
    let before = Counts::here();
    peers.order("connect");
    until(&reactor, || counter.echoed.get() == CONNECTIONS);
    peers.confirm_beside(&reactor, "done: connect");
    let each = each(before);
    drop(peers);
    until(&reactor, || counter.lost.get() == CONNECTIONS);
    each
}

pub(super) fn of_tasks(backend: &str, config: Arc<ServerConfig>) -> i64 {
    let reactor = backends::reactor(backend);
    let handle = reactor.handle();
    let listener = handle.enter(|| Listener::bind(tls::endpoint(config))).expect("a listener");
    let address: SocketAddr =
        listener.local_address().expect("an address").as_inet().expect("an internet address");
    let mut peers = Peers::of("tls::secure_peers", address);
    let before = Counts::here();
    let ended = Rc::new(Cell::new(0));
    let count = Rc::clone(&ended);
    drop(spawn_on(&handle, async move {
        loop {
            let stream = listener.accept().await.expect("a connection");
            let count = Rc::clone(&count);
            spawn(async move {
                // The peers leave without a word.
                let _ = copy(&stream, &stream).await;
                count.set(count.get() + 1);
            });
        }
    }));
    peers.order("connect");
    let confirmed = std::thread::spawn(move || {
        peers.confirm("done: connect");
        peers
    });
    until(&reactor, || confirmed.is_finished());
    let each = each(before);
    drop(confirmed.join().expect("peers"));
    until(&reactor, || ended.get() == CONNECTIONS);
    each
}

/// What the session of a server takes by itself, after the handshake and a message.
fn of_rustls(config: Arc<ServerConfig>) -> i64 {
    let mut client = tls::client();
    let (server, counts) = counted(|| {
        let mut server = ServerConnection::new(config).expect("a server");
        let mut plaintext = [0; 16];
        while server.is_handshaking() || client.is_handshaking() {
            pass(&mut client, &mut server);
        }
        client.writer().write_all(b"!").expect("a message");
        pass(&mut client, &mut server);
        assert_eq!(server.reader().read(&mut plaintext).expect("the message"), 1);
        server
    });
    // The client's part is not ours: it is what is left when the server is gone.
    let ((), freed) = counted(|| drop(server));
    println!("bare: {counts:?} with the client's, {} of the server's", -freed.bytes);
    -freed.bytes + std::mem::size_of::<ServerConnection>() as i64
}

/// Passes on what both have to say.
fn pass(client: &mut ClientConnection, server: &mut ServerConnection) {
    let (mut wire, mut back) = (Vec::new(), Vec::new());
    while client.wants_write() {
        client.write_tls(&mut wire).expect("memory");
    }
    let mut wire = &wire[..];
    while !wire.is_empty() {
        server.read_tls(&mut wire).expect("room");
        server.process_new_packets().expect("records");
    }
    while server.wants_write() {
        server.write_tls(&mut back).expect("memory");
    }
    let mut back = &back[..];
    while !back.is_empty() {
        client.read_tls(&mut back).expect("room");
        client.process_new_packets().expect("records");
    }
}

fn an_idle_session_costs_little_more_than_its_keys(backend: &str) {
    let _alone = crate::ALONE.lock();
    if !may_have_descriptors() {
        return;
    }
    let config = tls::server_config();
    let bare = of_rustls(Arc::clone(&config));
    for (style, each) in
        [("callbacks", of_callbacks(backend, Arc::clone(&config))), ("tasks", of_tasks(backend, config))]
    {
        println!("{style}: {each} bytes of heap for each of {CONNECTIONS} connections; {bare} are of rustls");
        assert!((1..=bare + BUDGET).contains(&each), "{style}: {each} bytes, {bare} of rustls");
    }
}

marline_tests::on_sockets! {
    an_idle_session_costs_little_more_than_its_keys
}
