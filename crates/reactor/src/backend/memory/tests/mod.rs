//! The rules of the backend contract, on the memory backend, driven through the trait.

mod connections;
mod endings;
mod listeners;
mod seeds;
mod transfer;
mod turns;

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};

use super::*;
use crate::address::{Address, Addresses};
use crate::backend::{Accepted, ConnectOptions, ListenOptions, Outgoing, Received, Started};

const LISTENER: Key = Key::new(0, 1);
const ONE: Key = Key::new(1, 1);
const TWO: Key = Key::new(2, 1);
const LOOK: Wait = Wait { until: Some(Instant::ZERO), helpers_busy: false };

/// A loop reduced to its backend.
struct Host {
    network: Network,
    clock: Clock,
    memory: Memory,
}

impl Host {
    fn new(choices: Choices) -> Self {
        Self::on(&Network::new(choices), &Clock::new())
    }

    fn on(network: &Network, clock: &Clock) -> Self {
        Self { memory: Memory::new(network, clock), network: network.clone(), clock: clock.clone() }
    }

    /// A host with one accepted connection, `ONE`, to a scripted client.
    fn with_peer(choices: Choices) -> (Self, Peer) {
        let mut host = Self::new(choices);
        let address = host.listen(LISTENER, "127.0.0.1:0");
        let peer = host.network.connect(address).unwrap();
        host.accept(ONE);
        host.turns();
        (host, peer)
    }

    fn listen(&mut self, key: Key, address: &str) -> Address {
        let options = ListenOptions::default();
        self.memory.listen(key, &at(address), &options).unwrap()
    }

    fn accept(&mut self, key: Key) -> Addresses {
        match self.memory.accept(LISTENER, key) {
            Accepted::Connection(addresses) => addresses,
            other => panic!("{other:?}"),
        }
    }

    fn connect(&mut self, key: Key, address: &Address) {
        let options = ConnectOptions::default();
        self.memory.connect(key, address, &options).unwrap();
    }

    /// One look at what is there, as text.
    fn turn(&mut self) -> Vec<String> {
        self.memory.wait(LOOK).unwrap();
        std::iter::from_fn(|| self.memory.next().map(|event| text(&event))).collect()
    }

    /// As many turns as there are events for.
    fn turns(&mut self) -> Vec<String> {
        let mut events = Vec::new();
        while self.memory.has_events() {
            events.extend(self.turn());
        }
        events
    }

    fn send(&mut self, key: Key, bytes: &[u8]) -> String {
        let mut outgoing = Box::new(Outgoing::default());
        outgoing.push_copy(bytes);
        match self.memory.send(key, outgoing) {
            Started::Done(sent) => result(&sent.result),
            Started::Pending => "pending".into(),
        }
    }

    fn receive(&mut self, key: Key) -> String {
        match self.memory.receive(key, None) {
            Received::Chunk(chunk) => {
                let text = String::from_utf8(chunk.bytes().to_vec()).unwrap();
                self.memory.release(chunk);
                text
            }
            Received::Filled(_) => panic!("no memory was given"),
            Received::Eof => "(eof)".into(),
            Received::Dry => "(dry)".into(),
            Received::Failed(error) => format!("({:?})", error.kind()),
        }
    }

    fn close(&mut self, key: Key, how: Close) -> &'static str {
        match self.memory.close(key, how) {
            Started::Done(()) => "done",
            Started::Pending => "pending",
        }
    }
}

fn at(address: &str) -> Address {
    address.parse::<SocketAddr>().unwrap().into()
}

fn kind<T: std::fmt::Debug>(result: io::Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

fn result(result: &io::Result<usize>) -> String {
    match result {
        Ok(count) => count.to_string(),
        Err(error) => format!("{:?}", error.kind()),
    }
}

fn text(completion: &Completion) -> String {
    match completion {
        Completion::Input(key) => format!("input {}", key.index()),
        Completion::Sent(key, sent) => format!("sent {} {}", key.index(), result(&sent.result)),
        Completion::Connected(key, Ok(())) => format!("connected {}", key.index()),
        Completion::Connected(key, Err(error)) => format!("connected {} {:?}", key.index(), error.kind()),
        Completion::Shut(key, _) => format!("shut {}", key.index()),
        Completion::AcceptsNoMore(key) => format!("accepts no more {}", key.index()),
        Completion::Closed(key) => format!("closed {}", key.index()),
        Completion::PeerClosed { key, reset } => format!("peer closed {} reset={reset}", key.index()),
        Completion::Output(key) => format!("output {}", key.index()),
        Completion::Ready { key, ready } => format!("{} {ready:?}", key.index()),
    }
}
