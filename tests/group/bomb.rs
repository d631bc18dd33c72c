//! A loop that breaks, or panics, when a test wants it to.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use marline_reactor::backend::{
    Accepted, Backend, Close, Completion, ListenOptions, Opened, Opening, Outgoing, Received, Sent, Started,
    Wait, Wakeup, named,
};
use marline_reactor::{Address, Addresses, Builder, Choices, Group, Handle, Key};

/// What a [`Bomb`] does at the next wait.
#[derive(Clone, Default)]
pub struct Fuse {
    pub panics: Arc<AtomicBool>,
    pub breaks: Arc<AtomicBool>,
    /// Whether the backend is gone.
    pub gone: Arc<AtomicBool>,
}

/// A backend of the system's that breaks, or panics, when it is told.
struct Bomb {
    inner: Box<dyn Backend>,
    fuse: Fuse,
}

impl Drop for Bomb {
    fn drop(&mut self) {
        self.fuse.gone.store(true, Ordering::SeqCst);
    }
}

impl Backend for Bomb {
    fn name(&self) -> &'static str {
        "bomb"
    }
    fn choices(&self) -> &Choices {
        self.inner.choices()
    }
    fn waker(&self) -> Arc<dyn Wakeup> {
        self.inner.waker()
    }
    fn wait(&mut self, wait: Wait) -> io::Result<()> {
        let waited = self.inner.wait(wait);
        assert!(!self.fuse.panics.swap(false, Ordering::SeqCst), "on purpose");
        if self.fuse.breaks.load(Ordering::SeqCst) {
            return Err(io::Error::other("broken on purpose"));
        }
        waited
    }
    fn next(&mut self) -> Option<Completion> {
        self.inner.next()
    }
    fn has_events(&self) -> bool {
        self.inner.has_events()
    }
    fn listen(&mut self, key: Key, address: &Address, options: &ListenOptions) -> io::Result<Address> {
        self.inner.listen(key, address, options)
    }
    fn adopt(&mut self, key: Key, listener: std::os::fd::OwnedFd) -> io::Result<Address> {
        self.inner.adopt(key, listener)
    }
    fn accept(&mut self, listener: Key, key: Key) -> Accepted {
        self.inner.accept(listener, key)
    }
    fn stop_accepting(&mut self, listener: Key) -> Started<()> {
        self.inner.stop_accepting(listener)
    }
    fn open(&mut self, key: Key, opening: Opening) -> io::Result<Opened> {
        self.inner.open(key, opening)
    }
    fn addresses(&mut self, key: Key) -> io::Result<Addresses> {
        self.inner.addresses(key)
    }
    fn receive(&mut self, key: Key, into: Option<&mut [u8]>) -> Received {
        self.inner.receive(key, into)
    }
    fn send(&mut self, key: Key, outgoing: Box<Outgoing>) -> Started<Sent> {
        self.inner.send(key, outgoing)
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
    fn watch(
        &mut self,
        key: Key,
        what: marline_reactor::backend::Watchable,
        interest: marline_reactor::Interest,
    ) -> io::Result<()> {
        self.inner.watch(key, what, interest)
    }
    fn rewatch(&mut self, key: Key, interest: marline_reactor::Interest) -> io::Result<()> {
        self.inner.rewatch(key, interest)
    }
}

/// A group whose loop `index` has a [`Bomb`].
pub fn with_bomb(backend: &'static str, loops: usize, index: usize) -> (Group, Fuse) {
    let fuse = Fuse::default();
    let for_bomb = fuse.clone();
    let group = Group::new().expect("a group").loops(loops).builder(move |seat| {
        let inner = named(backend)?;
        let builder = Builder::new();
        if seat != index {
            return Ok(builder.boxed_backend(inner));
        }
        Ok(builder.backend(Bomb { inner, fuse: for_bomb.clone() }))
    });
    (group, fuse)
}

/// Sees to it that the loop's next wait ends.
pub fn wake_soon(handle: &Handle) {
    handle.call_later(Duration::from_millis(1), || ());
}
