//! What receiving through TLS allocates: what rustls does for a record, and nothing of ours.

use std::cell::Cell;
use std::io::{Read, Write};
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use marline_reactor::{Addresses, Transport};
use marline_tests::counting::{Counts, counted};
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

/// How often rustls allocates for so many records that come one by one.
fn by_hand() -> u64 {
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
    let mut receive = |record: &[u8]| {
        server.read_tls(&mut &*record).expect("room");
        server.process_new_packets().expect("a record");
        assert_eq!(server.reader().read(&mut room).expect("plaintext"), RECORD);
    };
    records[..WARM_UP].iter().for_each(|record| receive(record));
    counted(|| records[WARM_UP..].iter().for_each(|record| receive(record))).1.allocations
}

/// How often a server of ours does, with a client on another thread.
fn by_filter(backend: &str) -> u64 {
    let reactor = backends::reactor(backend);
    let (received, begun) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(None)));
    let (counts, seen, since) = (Rc::new(Cell::new(None)), Rc::clone(&received), Rc::clone(&begun));
    let done = Rc::clone(&counts);
    let factory = move |_: &Addresses| {
        let (seen, since, done) = (Rc::clone(&seen), Rc::clone(&since), Rc::clone(&done));
        move |_: &Transport, data: &[u8]| {
            seen.set(seen.get() + data.len());
            if seen.get() >= WARM_UP * RECORD && since.get().is_none() {
                since.set(Some((seen.get(), Counts::here())));
            }
            if seen.get() == (WARM_UP + RECORDS) * RECORD {
                done.set(since.get().map(|(from, then)| (seen.get() - from, Counts::here().since(then))));
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
        }
        stream
    });
    let limit = Instant::now() + PATIENCE;
    while counts.get().is_none() {
        reactor.turn(Some(Duration::from_millis(20))).expect("a turn");
        assert!(Instant::now() < limit, "{} bytes came", received.get());
    }
    drop(client.join().expect("a client"));
    let (bytes, counts) = counts.get().expect("counts");
    // The first of them may have come together with the last of the warm-up.
    counts.allocations * (RECORDS * RECORD) as u64 / bytes as u64
}

fn receiving_allocates_no_more_than_rustls(backend: &str) {
    let (hand, ours) = (by_hand(), by_filter(backend));
    println!("{backend}: {ours} allocations for {RECORDS} records, {hand} in rustls by hand");
    // Lists of the loop's may grow a few times where more comes at once than before.
    assert!(ours <= hand + RECORDS as u64 / 100, "{ours} allocations, and {hand} by hand");
}

marline_tests::on_sockets! {
    receiving_allocates_no_more_than_rustls
}
