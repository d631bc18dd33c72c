//! The backend with real loopback sockets, whose other ends are blocking sockets of the standard library.

mod closing;
mod connecting;
mod ends;
mod lending;
mod listening;
mod receiving;
mod sending;
mod terminals;
mod waiting;

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::SockRef;

use super::Readiness;
use crate::address::{Address, Addresses};
use crate::backend::{
    Accepted, Backend, Close, Completion, ConnectOptions, ListenOptions, Outgoing, Received, Started,
    SystemCalls, Wait,
};
use crate::instant::Instant;
use crate::key::Key;

/// Long enough for whatever a test waits for, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(300);

const FOREVER: Wait = Wait { until: None, helpers_busy: false };

/// A backend, and keys for it.
struct Rig {
    backend: Readiness,
    keys: u32,
}

impl Rig {
    fn new() -> Self {
        let backend = Readiness::new().unwrap();
        Self { backend, keys: 0 }
    }

    fn key(&mut self) -> Key {
        self.keys += 1;
        Key::new(self.keys, 7)
    }

    fn listen(&mut self) -> (Key, SocketAddr) {
        let key = self.key();
        let any = loopback(0);
        let address = self.backend.listen(key, &any, &ListenOptions::default());
        (key, address.unwrap().as_inet().unwrap())
    }

    /// Waits for one event after the other until `wanted` makes something of one.
    fn until<T>(&mut self, mut wanted: impl FnMut(Completion) -> Option<T>) -> T {
        let deadline = self.backend.now() + PATIENCE;
        loop {
            while let Some(completion) = self.backend.next() {
                if let Some(found) = wanted(completion) {
                    return found;
                }
            }
            assert!(self.backend.now() < deadline, "it never came");
            self.backend.wait(until(deadline)).unwrap();
        }
    }

    fn input(&mut self, wanted: Key) {
        self.until(|completion| matches!(completion, Completion::Input(key) if key == wanted).then_some(()));
    }

    /// Everything that there is now.
    fn rest(&mut self) -> Vec<Completion> {
        self.backend.wait(until(Instant::ZERO)).unwrap();
        std::iter::from_fn(|| self.backend.next()).collect()
    }

    fn accept(&mut self, listener: Key) -> (Key, Addresses) {
        loop {
            let key = self.key();
            match self.backend.accept(listener, key) {
                Accepted::Connection(addresses) => return (key, addresses),
                Accepted::Dry => self.input(listener),
                Accepted::Failed(error) => panic!("{error}"),
            }
        }
    }

    /// A connection, and its other end.
    fn connection(&mut self) -> (Key, TcpStream) {
        let (listener, address) = self.listen();
        let peer = TcpStream::connect(address).unwrap();
        let (key, _) = self.accept(listener);
        (key, peer)
    }

    /// Receives whatever comes next, into memory of the backend's.
    fn receive(&mut self, key: Key) -> Result<Vec<u8>, Received> {
        loop {
            match self.backend.receive(key, None) {
                Received::Chunk(chunk) => {
                    let bytes = chunk.bytes().to_vec();
                    self.backend.release(chunk);
                    return Ok(bytes);
                }
                Received::Dry => self.input(key),
                other => return Err(other),
            }
        }
    }

    /// Receives `count` bytes.
    fn receive_all(&mut self, key: Key, count: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while all.len() < count {
            all.extend(self.receive(key).unwrap());
        }
        all
    }

    /// Sends what can be sent without waiting.
    fn send(&mut self, key: Key, bytes: &[u8]) -> std::io::Result<usize> {
        match self.backend.send(key, outgoing(bytes)) {
            Started::Done(sent) => sent.result,
            Started::Pending => panic!("it waits"),
        }
    }

    /// Sends until a send has to wait, and tells how much left.
    fn fill(&mut self, key: Key) -> usize {
        let mut sent = 0;
        while let Started::Done(done) = self.backend.send(key, outgoing(&[7; 256 * 1024])) {
            sent += done.result.unwrap();
        }
        sent
    }
}

fn until(moment: Instant) -> Wait {
    Wait { until: Some(moment), helpers_busy: false }
}

fn loopback(port: u16) -> Address {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into()
}

fn outgoing(bytes: &[u8]) -> Box<Outgoing> {
    let mut outgoing = Box::new(Outgoing::default());
    outgoing.push_copy(bytes);
    outgoing
}

/// Ends a peer with a reset.
fn reset(peer: TcpStream) {
    SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
    drop(peer);
}

fn is_reset(received: &Result<Vec<u8>, Received>) -> bool {
    matches!(received, Err(Received::Failed(error)) if error.kind() == std::io::ErrorKind::ConnectionReset)
}

fn is_eof(received: &Result<Vec<u8>, Received>) -> bool {
    matches!(received, Err(Received::Eof))
}
