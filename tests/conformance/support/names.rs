//! A backend that answers look-ups as a test says, and counts them.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

use marline_reactor::backend::{
    Accepted, Backend, Chunk, Close, Completion, ConnectOptions, DatagramBackend, ListenOptions, Opened,
    Opening, Outgoing, Received, Sent, Spawned, Started, SystemCalls, Terminals, Wait, Wakeup,
};
use marline_reactor::{Address, Addresses, Choices, Command, Credentials, Instant, Key, SignalKind};

/// The names that a [`Naming`] backend knows. Clones share them. What is not among them is left to the backend below.
#[derive(Clone, Default)]
pub struct Names {
    shared: Rc<Shared>,
}

#[derive(Default)]
struct Shared {
    hosts: RefCell<HashMap<String, Vec<SocketAddr>>>,
    asked: Cell<usize>,
}

impl Names {
    /// Makes `host` resolve to these addresses, whatever port is asked for.
    pub fn add(&self, host: &str, addresses: impl IntoIterator<Item = SocketAddr>) {
        self.shared.hosts.borrow_mut().insert(host.to_owned(), addresses.into_iter().collect());
    }

    /// How often the loop asked for the addresses of a name.
    pub fn asked(&self) -> usize {
        self.shared.asked.get()
    }
}

/// Any backend, with the [`Names`] of a test.
pub struct Naming<B> {
    inner: B,
    names: Names,
}

impl<B: Backend> Naming<B> {
    pub fn new(inner: B, names: &Names) -> Self {
        Self { inner, names: names.clone() }
    }
}

impl<B: Backend> Backend for Naming<B> {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn now(&self) -> Instant {
        self.inner.now()
    }

    fn choices(&self) -> &Choices {
        self.inner.choices()
    }

    fn waker(&self) -> Arc<dyn Wakeup> {
        self.inner.waker()
    }

    fn resolve(&mut self, host: &str, port: u16) -> Option<io::Result<Vec<SocketAddr>>> {
        let shared = &self.names.shared;
        shared.asked.set(shared.asked.get() + 1);
        let known = shared.hosts.borrow().get(host).cloned();
        known.map_or_else(|| self.inner.resolve(host, port), |addresses| Some(Ok(addresses)))
    }

    fn spawn(&mut self, key: Key, command: &Command) -> Option<io::Result<Spawned>> {
        self.inner.spawn(key, command)
    }

    fn watch_signal(&mut self, key: Key, signal: SignalKind) -> Option<io::Result<()>> {
        self.inner.watch_signal(key, signal)
    }

    fn wait(&mut self, wait: Wait) -> io::Result<()> {
        self.inner.wait(wait)
    }

    fn next(&mut self) -> Option<Completion> {
        self.inner.next()
    }

    fn has_events(&self) -> bool {
        self.inner.has_events()
    }

    fn pollable_fd(&mut self) -> io::Result<Option<OwnedFd>> {
        self.inner.pollable_fd()
    }

    fn arm(&mut self, until: Option<Instant>) {
        self.inner.arm(until);
    }

    fn listen(&mut self, key: Key, address: &Address, options: &ListenOptions) -> io::Result<Address> {
        self.inner.listen(key, address, options)
    }

    fn stop_accepting(&mut self, listener: Key) -> Started<()> {
        self.inner.stop_accepting(listener)
    }

    fn adopt(&mut self, key: Key, listener: OwnedFd) -> io::Result<Address> {
        self.inner.adopt(key, listener)
    }

    fn accept(&mut self, listener: Key, key: Key) -> Accepted {
        self.inner.accept(listener, key)
    }

    fn connect(&mut self, key: Key, address: &Address, options: &ConnectOptions) -> io::Result<()> {
        self.inner.connect(key, address, options)
    }

    fn open(&mut self, key: Key, opening: Opening) -> io::Result<Opened> {
        self.inner.open(key, opening)
    }

    fn terminals(&mut self) -> Option<&mut dyn Terminals> {
        self.inner.terminals()
    }

    fn addresses(&mut self, key: Key) -> io::Result<Addresses> {
        self.inner.addresses(key)
    }

    fn receive(&mut self, key: Key, into: Option<&mut [u8]>) -> Received {
        self.inner.receive(key, into)
    }

    fn may_receive(&mut self, key: Key) -> bool {
        self.inner.may_receive(key)
    }

    fn release(&mut self, chunk: Chunk) {
        self.inner.release(chunk);
    }

    fn send(&mut self, key: Key, outgoing: Box<Outgoing>) -> Started<Sent> {
        self.inner.send(key, outgoing)
    }

    fn sends_files(&mut self, key: Key) -> bool {
        self.inner.sends_files(key)
    }

    fn send_now(&mut self, key: Key, parts: &[IoSlice<'_>]) -> usize {
        self.inner.send_now(key, parts)
    }

    fn expedite(&mut self, key: Key) {
        self.inner.expedite(key);
    }

    fn shutdown(&mut self, key: Key) -> Started<io::Result<()>> {
        self.inner.shutdown(key)
    }

    fn close(&mut self, key: Key, how: Close) -> Started<()> {
        self.inner.close(key, how)
    }

    fn watch_peer(&mut self, key: Key) {
        self.inner.watch_peer(key);
    }

    fn carries_descriptors(&mut self, key: Key) -> bool {
        self.inner.carries_descriptors(key)
    }

    fn peer_credentials(&mut self, key: Key) -> io::Result<Credentials> {
        self.inner.peer_credentials(key)
    }

    fn datagrams(&mut self) -> Option<&mut dyn DatagramBackend> {
        self.inner.datagrams()
    }

    fn system_calls(&self) -> SystemCalls {
        self.inner.system_calls()
    }
}
