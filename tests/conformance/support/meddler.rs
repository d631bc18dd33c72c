//! A backend that meddles: it refuses some accepts and answers some look-ups itself, and counts both.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use marline_reactor::backend::memory::Memory;
use marline_reactor::backend::readiness::Readiness;
use marline_reactor::backend::{
    Accepted, Backend, Chunk, Close, Completion, ConnectOptions, ListenOptions, Outgoing, Received, Sent,
    Started, SystemCalls, Wait, Wakeup,
};
use marline_reactor::testing::{Chunking, Clock, Network};
use marline_reactor::{Address, Addresses, Choices, Handle, Key, Reactor};
use rustix::io::Errno;

use super::raw::Raw;

/// What a [`Meddler`] does, and what it counted. Clones share it.
#[derive(Clone, Default)]
pub struct Plan {
    shared: Rc<Shared>,
}

#[derive(Default)]
struct Shared {
    errors: RefCell<VecDeque<Errno>>,
    hosts: RefCell<HashMap<String, Vec<SocketAddr>>>,
    accepts: Cell<usize>,
    look_ups: Cell<usize>,
}

impl Plan {
    /// Lets the next accepts fail with these errors. No peer is taken out of the queue for them.
    pub fn fail_accepts(&self, errors: impl IntoIterator<Item = Errno>) {
        self.shared.errors.borrow_mut().extend(errors);
    }

    /// Makes `host` resolve to these addresses, whatever port is asked for.
    pub fn add_host(&self, host: &str, addresses: Vec<SocketAddr>) {
        self.shared.hosts.borrow_mut().insert(host.to_owned(), addresses);
    }

    /// How often the loop asked for a connection, failures included.
    pub fn accepts(&self) -> usize {
        self.shared.accepts.get()
    }

    /// How often the loop asked for the addresses of a name.
    pub fn look_ups(&self) -> usize {
        self.shared.look_ups.get()
    }
}

/// Another backend, with a [`Plan`].
pub struct Meddler<B> {
    inner: B,
    plan: Plan,
}

impl<B: Backend> Meddler<B> {
    pub fn new(inner: B, plan: &Plan) -> Self {
        Self { inner, plan: plan.clone() }
    }
}

impl<B: Backend> Backend for Meddler<B> {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn now(&self) -> marline_reactor::Instant {
        self.inner.now()
    }

    fn choices(&self) -> &Choices {
        self.inner.choices()
    }

    fn waker(&self) -> Arc<dyn Wakeup> {
        self.inner.waker()
    }

    fn resolve(&mut self, host: &str, port: u16) -> Option<io::Result<Vec<SocketAddr>>> {
        let shared = &self.plan.shared;
        shared.look_ups.set(shared.look_ups.get() + 1);
        let known = shared.hosts.borrow().get(host).cloned();
        known.map_or_else(|| self.inner.resolve(host, port), |addresses| Some(Ok(addresses)))
    }

    fn wait(&mut self, wait: Wait) -> io::Result<()> {
        self.inner.wait(wait)
    }

    fn next(&mut self) -> Option<Completion> {
        self.inner.next()
    }

    fn listen(&mut self, key: Key, address: &Address, options: &ListenOptions) -> io::Result<Address> {
        self.inner.listen(key, address, options)
    }

    fn adopt(&mut self, key: Key, listener: TcpListener) -> io::Result<Address> {
        self.inner.adopt(key, listener)
    }

    fn accept(&mut self, listener: Key, key: Key) -> Accepted {
        let shared = &self.plan.shared;
        shared.accepts.set(shared.accepts.get() + 1);
        let error = shared.errors.borrow_mut().pop_front();
        error.map_or_else(|| self.inner.accept(listener, key), |error| Accepted::Failed(error.into()))
    }

    fn connect(&mut self, key: Key, address: &Address, options: &ConnectOptions) -> io::Result<()> {
        self.inner.connect(key, address, options)
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

    fn shutdown(&mut self, key: Key) -> Started<io::Result<()>> {
        self.inner.shutdown(key)
    }

    fn close(&mut self, key: Key, how: Close) -> Started<()> {
        self.inner.close(key, how)
    }

    fn watch_peer(&mut self, key: Key) {
        self.inner.watch_peer(key);
    }

    fn system_calls(&self) -> SystemCalls {
        self.inner.system_calls()
    }
}

/// A loop on a meddled backend. On memory time jumps whenever the loop waits.
pub struct Meddled {
    reactor: Reactor,
    plan: Plan,
    network: Option<Network>,
}

/// How long the loop waits for something to happen, at a time.
const WAIT: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(30);
const TURNS: usize = 10_000;

impl Meddled {
    /// Runs `test` on readiness, on tame memory, and on memory under 16 seeds.
    pub fn on_each(test: impl Fn(&Self)) {
        test(&Self::readiness());
        test(&Self::memory(&Network::new(Choices::tame())));
        for seed in 0..16 {
            println!("seed {seed}");
            let network = Network::new(Choices::seeded(seed));
            network.set_chunking(Chunking::Chosen);
            test(&Self::memory(&network));
        }
    }

    fn readiness() -> Self {
        let plan = Plan::default();
        let backend = Meddler::new(Readiness::new().expect("a readiness backend"), &plan);
        Self { reactor: Reactor::with_backend(backend).expect("a loop"), plan, network: None }
    }

    fn memory(network: &Network) -> Self {
        let plan = Plan::default();
        let backend = Meddler::new(Memory::new(network, &Clock::new()), &plan);
        let reactor = Reactor::with_backend(backend).expect("a loop");
        Self { reactor, plan, network: Some(network.clone()) }
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    pub fn handle(&self) -> Handle {
        self.reactor.handle()
    }

    /// The memory network, where there is one.
    pub fn network(&self) -> Option<&Network> {
        self.network.as_ref()
    }

    pub fn connect_raw(&self, address: SocketAddr) -> Raw {
        match &self.network {
            Some(network) => Raw::from_peer(network.connect(address).expect("a peer")),
            None => Raw::connect_socket(address),
        }
    }

    pub fn turn(&self) {
        self.reactor.turn(Some(WAIT)).expect("a turn");
    }

    #[track_caller]
    pub fn until(&self, done: impl Fn() -> bool) {
        let begun = Instant::now();
        for _ in 0..TURNS {
            if done() {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "what the test waits for did not happen in time");
            self.turn();
        }
        panic!("what the test waits for did not happen in {TURNS} turns");
    }
}
