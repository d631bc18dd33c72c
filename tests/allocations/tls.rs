//! What receiving through TLS allocates: what rustls does for a record, and nothing of ours.

use std::cell::Cell;
use std::io::{Read, Write};
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use marline_reactor::{Addresses, Transport};
use marline_tests::counting::counted;
use marline_tests::{PATIENCE, backends, tls};
use rustls::{Connection, ServerConnection};

use super::address_of;

const RECORD: usize = 1_000;
const WARM_UP: usize = 500;
const RECORDS: usize = 4_000;

/// Carries what one side of a connection has to send to the other.
fn carry(from: &mut Connection, to: &mut Connection) {
    let mut wire = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut wire).expect("memory takes everything");
    }
    let mut rest = &wire[..];
    while !rest.is_empty() {
        to.read_tls(&mut rest).expect("room");
        to.process_new_packets().expect("records");
    }
}

/// How often rustls allocates for so many records that come one by one, into buffers of this size: it makes its own buffer
/// larger for a record that is cut by the end of one, and smaller after it.
fn by_hand(buffer: usize) -> u64 {
    let server = ServerConnection::new(tls::server_config()).expect("a server");
    let (mut client, mut server) = (Connection::from(tls::client()), Connection::from(server));
    while client.is_handshaking() || server.is_handshaking() {
        carry(&mut client, &mut server);
        carry(&mut server, &mut client);
    }
    let records: Vec<Vec<u8>> = (0..WARM_UP + RECORDS)
        .map(|_| {
            let mut wire = Vec::new();
            client.writer().write_all(&[1; RECORD]).expect("room");
            client.write_tls(&mut wire).expect("memory takes everything");
            wire
        })
        .collect();
    let mut room = [0; 2 * RECORD];
    let mut left = buffer;
    let mut receive = |record: &[u8]| {
        let (first, rest) = record.split_at(left.min(record.len()));
        for mut piece in [first, rest].into_iter().filter(|piece| !piece.is_empty()) {
            server.read_tls(&mut piece).expect("room");
            server.process_new_packets().expect("a record");
        }
        left = if rest.is_empty() { left - first.len() } else { buffer - rest.len() };
        assert_eq!(server.reader().read(&mut room).expect("plaintext"), RECORD);
    };
    records[..WARM_UP].iter().for_each(|record| receive(record));
    counted(|| records[WARM_UP..].iter().for_each(|record| receive(record))).1.allocations
}

/// How often a server of ours does, with a client on another thread that sends each record when the one before was
/// received: rustls's own buffer grows and shrinks with how a stream of records happens to be cut.
fn by_filter(backend: &str) -> u64 {
    let reactor = backends::reactor(backend);
    let received = Rc::new(Cell::new(0));
    let (go, next) = mpsc::sync_channel(1);
    let seen = Rc::clone(&received);
    let factory = move |_: &Addresses| {
        let (seen, go) = (Rc::clone(&seen), go.clone());
        move |_: &Transport, data: &[u8]| {
            seen.set(seen.get() + data.len());
            if seen.get() % RECORD == 0 {
                let _ = go.send(());
            }
        }
    };
    let endpoint = tls::endpoint(tls::server_config());
    let server = reactor.handle().listen(endpoint, factory).expect("a listener");
    let address = address_of(&server);
    let client = thread::spawn(move || {
        let mut stream = tls::connect(address).expect("a connection");
        for _ in 0..WARM_UP + RECORDS {
            stream.write_all(&[1; RECORD]).expect("a record");
            next.recv().expect("a server");
        }
        stream
    });
    let limit = Instant::now() + PATIENCE;
    let turn_until = |records: usize| {
        while received.get() < records * RECORD {
            reactor.turn(Some(Duration::from_millis(20))).expect("a turn");
            assert!(Instant::now() < limit, "{} bytes came", received.get());
        }
    };
    turn_until(WARM_UP);
    let ((), counts) = counted(|| turn_until(WARM_UP + RECORDS));
    drop(client.join().expect("a client"));
    counts.allocations
}

fn receiving_allocates_no_more_than_rustls(backend: &str) {
    // A ring's receives fill its buffers one after another.
    let buffer = if backend == "completion" { 64 << 10 } else { usize::MAX };
    let (hand, ours) = (by_hand(buffer), by_filter(backend));
    println!("{backend}: {ours} allocations for {RECORDS} records, {hand} in rustls by hand");
    // Lists of the loop's may grow once or twice more.
    assert!(ours <= hand + RECORDS as u64 / 100, "{ours} allocations, and {hand} by hand");
}

marline_tests::on_sockets! {
    receiving_allocates_no_more_than_rustls
}
