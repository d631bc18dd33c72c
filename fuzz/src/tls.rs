//! TLS with somebody in the middle: a filter of ours, a peer of rustls, and records that do not arrive as they were sent.
//!
//! Whatever is done to them, the filter owes this: its protocol gets a part of what the peer sent, from the beginning and
//! without gaps; there is one loss, after which nothing is left; and it comes in bounded time.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use marline_reactor::testing::{MemoryReactor, Peer};
use marline_reactor::{Addresses, Endpoint, Lost, OnEof, Protocol, Transport};
use marline_tls::rustls::pki_types::{PrivateKeyDer, ServerName};
use marline_tls::rustls::{ClientConnection, Connection, ServerConnection};
use marline_tls::{ClientTls, Identity, Roots, ServerTls};

const NAME: &str = "a.example";
const PLACE: &str = "tcp://127.0.0.1:443";
/// No script makes more steps, and no step more traffic.
const STEPS: usize = 200;

/// What our filter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Client,
    Server,
}

/// The configurations, made once: a session that is resumed is cheap, and another way through the code.
fn configurations() -> &'static (ClientTls, ServerTls) {
    static MADE: OnceLock<(ClientTls, ServerTls)> = OnceLock::new();
    MADE.get_or_init(|| {
        let key = rcgen::generate_simple_self_signed([NAME.to_owned()]).expect("a certificate");
        let der = PrivateKeyDer::try_from(key.signing_key.serialize_der()).expect("a key");
        let identity = Identity::from_der(vec![key.cert.der().clone()], der);
        let roots = Roots::new().with_der(key.cert.der().clone()).expect("a root");
        let client = ClientTls::builder().roots(roots).build().expect("a client");
        (client, ServerTls::new(identity).expect("a server"))
    })
}

/// What the protocol behind the filter was told.
#[derive(Default)]
struct Told {
    received: Vec<u8>,
    transport: Option<Transport>,
    established: usize,
    ended: usize,
    lost: usize,
}

/// Writes down what it is told, and checks the order.
struct Witness(Rc<RefCell<Told>>);

impl Protocol for Witness {
    fn connection_made(&mut self, transport: &Transport) {
        self.0.borrow_mut().transport = Some(transport.clone());
        let (client, server) = configurations();
        let filter = match transport.local_address().map(|address| address.to_string()) {
            Some(address) if address == PLACE => server.filter(),
            _ => client.filter(NAME).expect("a name"),
        };
        transport.push_filter(filter, marline_reactor::filter::ReadAhead::Feed).expect("a connection");
        transport.write("written before the handshake");
    }

    fn filter_established(&mut self, _: &Transport) {
        let mut told = self.0.borrow_mut();
        told.established += 1;
        assert!(told.received.is_empty() && told.established == 1 && told.lost == 0);
    }

    fn data_received(&mut self, _: &Transport, data: &[u8]) {
        let mut told = self.0.borrow_mut();
        assert!(told.established == 1 && told.ended == 0 && told.lost == 0);
        told.received.extend_from_slice(data);
    }

    fn eof_received(&mut self, _: &Transport) -> OnEof {
        let mut told = self.0.borrow_mut();
        told.ended += 1;
        assert!(told.established == 1 && told.ended == 1 && told.lost == 0);
        OnEof::KeepOpen
    }

    fn connection_lost(&mut self, _: &Transport, _: &Lost) {
        let mut told = self.0.borrow_mut();
        told.lost += 1;
        assert_eq!(told.lost, 1);
    }
}

/// The peer, and whoever is between it and our filter.
struct Middle {
    tls: Connection,
    wire: Peer,
    /// Records that the peer sent and that were not passed on.
    waiting: Vec<Vec<u8>>,
    /// Records that were passed on, to be repeated.
    passed: Vec<Vec<u8>>,
    /// What the peer sent, in the clear.
    sent: Vec<u8>,
}

impl Middle {
    /// Takes over what the peer has to send, record by record.
    fn collect(&mut self) {
        let mut bytes = Vec::new();
        while self.tls.wants_write() && self.tls.write_tls(&mut bytes).is_ok_and(|count| count > 0) {}
        let mut rest = &bytes[..];
        while let [_, _, _, high, low, ..] = *rest {
            let length = (5 + usize::from(u16::from_be_bytes([high, low]))).min(rest.len());
            let (record, behind) = rest.split_at(length);
            self.waiting.push(record.to_vec());
            rest = behind;
        }
    }

    /// Gives the peer what our filter sent. It may fail; then it says why, and no more.
    fn listen(&mut self) {
        let bytes = self.wire.read();
        let mut rest = &bytes[..];
        while !rest.is_empty() && self.tls.read_tls(&mut rest).is_ok_and(|count| count > 0) {
            let failed = self.tls.process_new_packets().is_err();
            let mut plain = [0; 4096];
            while self.tls.reader().read(&mut plain).is_ok_and(|count| count > 0) {}
            if failed {
                break;
            }
        }
        self.collect();
    }

    fn pass(&mut self, record: Vec<u8>) {
        self.wire.write(&record);
        if self.passed.len() < 8 {
            self.passed.push(record);
        }
    }

    /// One step, as two bytes of the script say.
    fn step(&mut self, memory: &MemoryReactor, told: &Rc<RefCell<Told>>, what: u8, with: u8) {
        let number = usize::from(with);
        match what % 16 {
            0..=4 if !self.waiting.is_empty() => {
                let record = self.waiting.remove(0);
                self.pass(record);
            }
            5 => {
                let all: Vec<u8> = self.waiting.drain(..).flatten().collect();
                self.pass(all);
            }
            6 if !self.waiting.is_empty() => {
                // Cut: the rest stays for the next step.
                let (first, at) = (&mut self.waiting[0], number);
                let rest = first.split_off(at.min(first.len()));
                let front = std::mem::replace(first, rest);
                self.waiting.retain(|record| !record.is_empty());
                self.wire.write(&front);
            }
            7 if !self.waiting.is_empty() => {
                let which = number % self.waiting.len();
                let record = &mut self.waiting[which];
                let (place, len) = (number.wrapping_mul(31), record.len());
                record[place % len] ^= (with | 1).rotate_left(3);
            }
            8 if !self.passed.is_empty() => {
                let record = self.passed[number % self.passed.len()].clone();
                self.wire.write(&record);
            }
            9 if !self.waiting.is_empty() => drop(self.waiting.remove(number % self.waiting.len())),
            10 if self.waiting.len() > 1 => self.waiting.swap(0, 1),
            11 => {
                let data: Vec<u8> = (0..number * 40).map(|index| (index * 7) as u8 ^ with).collect();
                // It takes no more than it has room for.
                let taken = self.tls.writer().write(&data).unwrap_or(0);
                self.sent.extend_from_slice(&data[..taken]);
                self.collect();
            }
            12 => {
                self.tls.send_close_notify();
                self.collect();
            }
            13 => drop(self.wire.write(&[with; 16])),
            14 => {
                let transport = told.borrow().transport.clone();
                let Some(transport) = transport else { return };
                match with % 6 {
                    0 => transport.close(),
                    1 => transport.write_eof(),
                    2 => transport.pause_reading(),
                    3 => transport.resume_reading(),
                    4 => drop(transport.write(vec![with; number * 100])),
                    _ => memory.advance(Duration::from_secs(number as u64 / 8)),
                }
            }
            15 if with % 8 == 0 => self.wire.finish(),
            _ => {}
        }
        assert!(memory.pump(), "it does not settle");
        self.listen();
    }
}

/// Lets a script have its way with a connection.
pub fn meddle(role: Role, script: &[u8]) {
    let memory = MemoryReactor::seeded(script.len() as u64);
    let told = Rc::new(RefCell::new(Told::default()));
    let (witness, (client, server)) = (Rc::clone(&told), configurations());
    let name = || ServerName::try_from(NAME).expect("a name");
    let (wire, tls) = match role {
        Role::Server => {
            let serve = move |_: &Addresses| Witness(Rc::clone(&witness));
            let listener = memory.handle().listen(PLACE, serve).expect("a listener");
            let wire = memory.connect(PLACE).expect("a peer");
            assert!(memory.pump());
            listener.stop();
            let tls = ClientConnection::new(Arc::clone(client.config()), name()).expect("a client");
            (wire, Connection::from(tls))
        }
        Role::Client => {
            let place: std::net::SocketAddr = ([127, 0, 0, 1], 444).into();
            let listener = memory.network().listen(place).expect("a scripted listener");
            let connect = move |_: &Addresses| Witness(Rc::clone(&witness));
            memory.handle().connect(Endpoint::from(place), connect, |_| ());
            assert!(memory.pump());
            let tls = ServerConnection::new(Arc::clone(server.config())).expect("a server");
            (listener.accept().expect("a peer"), Connection::from(tls))
        }
    };
    let mut middle = Middle { tls, wire, waiting: Vec::new(), passed: Vec::new(), sent: Vec::new() };
    assert!(memory.pump());
    middle.listen();
    for step in script.chunks_exact(2).take(STEPS) {
        middle.step(&memory, &told, step[0], step[1]);
    }
    // Whatever state that left, the end of the peer ends the connection, and nothing stays behind.
    let transport = told.borrow().transport.clone().expect("a connection");
    middle.wire.finish();
    transport.resume_reading();
    transport.close();
    memory.advance(Duration::from_secs(200));
    let told = told.borrow();
    assert_eq!(told.lost, 1, "one loss");
    assert!(middle.sent.starts_with(&told.received), "what was never sent came, or not in order");
    assert_eq!(memory.handle().stats().connections, 0, "a connection is left");
    assert_eq!(memory.reactor().next_deadline(), None, "a timer is left");
}
