//! What TLS adds to small writes: one record and one call for all of a callback.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;

use marline_reactor::{Addresses, Protocol, Transport};
use marline_tests::{PATIENCE, backends, tls};

const WRITES: usize = 1_000;
const SIZE: usize = 10;

/// Answers a byte with a thousand small writes.
struct Chatter;

impl Protocol for Chatter {
    fn data_received(&mut self, transport: &Transport, _: &[u8]) {
        for _ in 0..WRITES {
            transport.write([b'x'; SIZE]);
        }
    }
}

/// Keeps a copy of what it reads.
struct Tap {
    socket: TcpStream,
    read: Vec<u8>,
}

impl Read for Tap {
    fn read(&mut self, room: &mut [u8]) -> std::io::Result<usize> {
        let count = self.socket.read(room)?;
        self.read.extend_from_slice(&room[..count]);
        Ok(count)
    }
}

/// How many records these bytes are: each begins with its kind, its version and its length (RFC 8446, section 5.1).
fn records(mut bytes: &[u8]) -> usize {
    let mut count = 0;
    while let [_, _, _, high, low, rest @ ..] = bytes {
        bytes = &rest[usize::from(u16::from_be_bytes([*high, *low]))..];
        count += 1;
    }
    count
}

fn a_thousand_small_writes_are_few_records_and_one_send(backend: &str) {
    let reactor = backends::reactor(backend);
    let handle = reactor.handle();
    let endpoint = tls::endpoint(tls::server_config());
    let server = handle.listen(endpoint, |_: &Addresses| Chatter).expect("a listener");
    let address = server.local_address().and_then(|address| address.as_inet()).expect("an address");
    let client = thread::spawn(move || {
        let stream = tls::connect(address).expect("a connection");
        let (mut connection, socket) = (stream.conn, stream.sock);
        let mut tap = Tap { socket, read: Vec::new() };
        connection.writer().write_all(b"!").expect("a message");
        connection.write_tls(&mut tap.socket).expect("a message");
        let (mut plaintext, mut room) = (0, [0; 2 * WRITES * SIZE]);
        while plaintext < WRITES * SIZE {
            connection.read_tls(&mut tap).expect("an answer");
            connection.process_new_packets().expect("records");
            plaintext += connection.reader().read(&mut room).unwrap_or(0);
        }
        (plaintext, records(&tap.read))
    });
    let begun = std::time::Instant::now();
    while !client.is_finished() {
        reactor.turn(Some(std::time::Duration::from_millis(20))).expect("a turn");
        assert!(begun.elapsed() < PATIENCE);
    }
    let (plaintext, records) = client.join().expect("a client");
    // The server's flight of the handshake is a send, its tickets are another at most, and the answer is one.
    let sends = handle.stats().sends;
    println!("{backend}: {records} records and {sends} sends in all");
    assert_eq!(plaintext, WRITES * SIZE);
    assert!(records <= 4, "{records} records, two of them tickets");
    assert!(sends <= 3, "{sends} sends");
}

marline_tests::on_sockets! {
    a_thousand_small_writes_are_few_records_and_one_send
}
