//! The backend alone, on real loopback sockets whose other ends are sockets of the standard library.
//!
//! - `late.rs`: answers that come after the close, and operations that end early.
//! - `exhausted.rs`: no buffers left to receive into. `overflow.rs`: no room in the queues.
//! - `arrivals.rs`: input where the core finds it. `bulk.rs`: connections that bring much. `departures.rs`: sends of few bytes. `dropped.rs`: the end of a ring with operations under way.

mod arrivals;
mod bulk;
mod departures;
mod dropped;
mod edges;
mod exhausted;
mod late;
mod overflow;

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use socket2::SockRef;

use super::connection::Connection;
use super::{Feature, Options, Uring};
use crate::address::Address;
use crate::backend::full::fill;
use crate::backend::{
    Accepted, Backend, Close, Completion, ConnectOptions, ListenOptions, Outgoing, Received, Sent, Started,
    Wait,
};
use crate::instant::Instant;
use crate::key::Key;

/// Long enough for whatever a test waits for, however busy the machine is.
pub(super) const PATIENCE: Duration = Duration::from_secs(300);

/// A backend, and keys for it.
pub(super) struct Rig {
    pub(super) backend: Uring,
    keys: u32,
}

impl Rig {
    /// `None` where no ring can be made, which nobody may leave unsaid in CI.
    pub(super) fn with(options: &Options) -> Option<Self> {
        match options.build() {
            Ok(backend) => Some(Self { backend, keys: 0 }),
            Err(error) => {
                println!("skipped: no io_uring here: {error}");
                let is_known = std::env::var_os("MARLINE_NO_RING").is_some();
                assert!(is_known || std::env::var_os("CI").is_none(), "with CI set nothing may be skipped");
                None
            }
        }
    }

    /// One for each kind of kernel, and one whose queues are as short as can be.
    fn each() -> impl Iterator<Item = Self> {
        let whole = Options::default();
        let bare = whole.clone().without(Feature::Gathering).without(Feature::Credit);
        let kinds = [
            whole.clone(),
            whole.clone().without(Feature::IncrementalBuffers),
            whole.clone().without(Feature::Credit),
            whole.clone().bulk(0),
            whole.entries(8),
            bare.without(Feature::IncrementalBuffers).entries(8),
        ];
        kinds
            .into_iter()
            .inspect(|options| println!("{options:?}"))
            .filter_map(|options| Self::with(&options))
    }

    fn key(&mut self) -> Key {
        self.keys += 1;
        Key::new(self.keys, 7)
    }

    pub(super) fn listen(&mut self) -> (Key, SocketAddr) {
        let key = self.key();
        let address = self.backend.listen(key, &loopback(0), &ListenOptions::default());
        (key, address.unwrap().as_inet().unwrap())
    }

    /// Waits for one event after the other until `wanted` makes something of one. The others are lost to the test.
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

    pub(super) fn input(&mut self, wanted: Key) {
        self.until(|completion| matches!(completion, Completion::Input(key) if key == wanted).then_some(()));
    }

    fn accept_as(&mut self, listener: Key, key: Key) {
        loop {
            match self.backend.accept(listener, key) {
                Accepted::Connection(_) => return,
                Accepted::Dry => self.input(listener),
                Accepted::Failed(error) => panic!("{error}"),
            }
        }
    }

    fn accept(&mut self, listener: Key) -> Key {
        let key = self.key();
        self.accept_as(listener, key);
        key
    }

    /// Connections, with their other ends.
    pub(super) fn connections(&mut self, count: usize) -> Vec<(Key, TcpStream)> {
        let (listener, address) = self.listen();
        let connect = || {
            let peer = TcpStream::connect(address).unwrap();
            peer.set_read_timeout(Some(PATIENCE)).unwrap();
            peer
        };
        let pairs = (0..count).map(|_| {
            let peer = connect();
            (self.accept(listener), peer)
        });
        pairs.collect()
    }

    pub(super) fn connection(&mut self) -> (Key, TcpStream) {
        self.connections(1).remove(0)
    }

    /// Pulls what is there.
    fn pull(&mut self, key: Key, into: &mut Vec<u8>) -> Received {
        loop {
            match self.backend.receive(key, None) {
                Received::Chunk(chunk) => {
                    into.extend_from_slice(chunk.bytes());
                    self.backend.release(chunk);
                }
                other => return other,
            }
        }
    }

    /// Receives `count` bytes.
    fn receive_all(&mut self, key: Key, count: usize) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            let stopped = self.pull(key, &mut all);
            if all.len() >= count {
                return all;
            }
            assert!(matches!(stopped, Received::Dry), "{stopped:?} after {} bytes", all.len());
            self.input(key);
        }
    }

    /// Sends, and waits for the answer.
    fn send(&mut self, key: Key, bytes: &[u8]) -> std::io::Result<usize> {
        self.begin_send(key, outgoing(bytes));
        self.sent(key).result
    }

    fn begin_send(&mut self, key: Key, outgoing: Box<Outgoing>) {
        assert!(matches!(self.backend.send(key, outgoing), Started::Pending));
        self.backend.expedite(key);
    }

    fn sent(&mut self, wanted: Key) -> Sent {
        self.until(|completion| match completion {
            Completion::Sent(key, sent) if key == wanted => Some(sent),
            _ => None,
        })
    }

    /// Sends what was not sent, until all sockets are full.
    fn resend_until_full(&mut self) {
        let mut in_vain = 0;
        while in_vain < 5 {
            let soon = self.backend.now() + Duration::from_millis(10);
            self.backend.wait(until(soon)).unwrap();
            in_vain += 1;
            while let Some(completion) = self.backend.next() {
                let Completion::Sent(key, sent) = completion else { continue };
                assert!(sent.result.unwrap() < sent.outgoing.len());
                self.begin_send(key, sent.outgoing);
                in_vain = 0;
            }
        }
    }

    fn closed(&mut self, wanted: Key) {
        self.until(|completion| matches!(completion, Completion::Closed(key) if key == wanted).then_some(()));
    }

    fn at(&mut self, key: Key) -> &mut Connection {
        self.backend.table.connection(key).expect("a connection")
    }

    /// Fills the socket without the backend's knowing.
    fn fill_unseen(&mut self, key: Key) -> usize {
        let descriptor = self.at(key).socket().expect("a socket").try_clone().expect("a descriptor");
        let socket = TcpStream::from(descriptor);
        socket.set_nonblocking(true).unwrap();
        let count = fill(&socket, &[9; 1 << 20]);
        socket.set_nonblocking(false).unwrap();
        count
    }

    /// Waits until nothing more comes by itself.
    fn settle(&mut self) {
        let mut in_vain = 0;
        while in_vain < 5 {
            let soon = self.backend.now() + Duration::from_millis(10);
            self.backend.wait(until(soon)).unwrap();
            in_vain += 1;
            while self.backend.next().is_some() {
                in_vain = 0;
            }
            // It goes on without telling, as with receives of which only a few can be begun at a time.
            if self.backend.has_events() {
                in_vain = 0;
            }
        }
    }

    /// A backend that sleeps lets a tenth of a second pass in a few waits. One that spins makes thousands.
    fn assert_sleeps(&mut self) {
        self.settle();
        let (moment, before) =
            (self.backend.now() + Duration::from_millis(100), self.backend.system_calls().waits);
        while self.backend.now() < moment {
            self.backend.wait(until(moment)).unwrap();
            let next = self.backend.next();
            assert!(next.is_none(), "{next:?}");
        }
        let waits = self.backend.system_calls().waits - before;
        assert!(waits <= 20, "{waits} waits in a tenth of a second");
    }
}

pub(super) fn until(moment: Instant) -> Wait {
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

/// Bytes whose order can be checked, different for each `seed`: the period is a prime.
fn pattern(seed: usize, count: usize) -> Vec<u8> {
    let period: Vec<u8> = (seed..seed + 251).map(|number| (number % 251) as u8).collect();
    let mut bytes = period.repeat(count / 251 + 1);
    bytes.truncate(count);
    bytes
}

/// Writes from `data` on what there is room for, without waiting: how many bytes.
fn write_some(mut peer: &TcpStream, data: &[u8]) -> usize {
    peer.set_nonblocking(true).unwrap();
    let mut written = 0;
    while written < data.len() {
        match peer.write(&data[written..]) {
            Ok(count) => written += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
    }
    peer.set_nonblocking(false).unwrap();
    written
}

/// Ends a peer with a reset.
fn reset(peer: TcpStream) {
    SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
    drop(peer);
}

/// Whether our end is closed, in whatever way: a descriptor that leaked would keep it open.
fn is_ended(mut peer: &TcpStream) -> bool {
    let mut rest = Vec::new();
    match peer.read_to_end(&mut rest) {
        Ok(_) => true,
        Err(error) => matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe),
    }
}

/// Owned bytes that count how often they are dropped, and are never to change.
#[derive(Clone, Default)]
struct Counted(Arc<AtomicUsize>);

struct Owner {
    bytes: Vec<u8>,
    drops: Counted,
}

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // Whoever reads them afterwards does not find what was sent.
        self.bytes.fill(0xdd);
        self.drops.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Counted {
    fn outgoing(&self, parts: usize, bytes: usize) -> Box<Outgoing> {
        let mut outgoing = Box::new(Outgoing::default());
        for part in 0..parts {
            let owner = Owner { bytes: pattern(part, bytes), drops: self.clone() };
            outgoing.push_owned(Bytes::from_owner(owner));
        }
        outgoing
    }

    fn drops(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}
