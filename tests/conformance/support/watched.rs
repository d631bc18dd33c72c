//! A backend that writes down what its loop waits for.

use std::cell::RefCell;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;

use marline_reactor::backend::{
    Accepted, Backend, Chunk, Close, Completion, ConnectOptions, ListenOptions, Outgoing, Received, Sent,
    Started, SystemCalls, Wait, Wakeup,
};
use marline_reactor::{Address, Addresses, Choices, Instant, Key};

/// The moments until which a loop meant to wait; `None` is for ever. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Waits {
    until: Rc<RefCell<Vec<Option<Instant>>>>,
}

impl Waits {
    pub fn all(&self) -> Vec<Option<Instant>> {
        self.until.borrow().clone()
    }

    pub fn clear(&self) {
        self.until.borrow_mut().clear();
    }
}

/// Another backend, watched.
pub struct Watched<B> {
    inner: B,
    waits: Waits,
}

impl<B> Watched<B> {
    pub fn new(inner: B, waits: &Waits) -> Self {
        Self { inner, waits: waits.clone() }
    }
}

impl<B: Backend> Backend for Watched<B> {
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
        self.inner.resolve(host, port)
    }

    fn wait(&mut self, wait: Wait) -> io::Result<()> {
        self.waits.until.borrow_mut().push(wait.until);
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
        self.inner.accept(listener, key)
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
