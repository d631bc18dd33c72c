//! The backend of a loop that has ended: nothing happens any more.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::{
    Accepted, Backend, Chunk, Close, Completion, ConnectOptions, ListenOptions, Outgoing, Received, Sent,
    Started, Wait, Wakeup,
};
use crate::address::{Address, Addresses};
use crate::choice::Choices;
use crate::instant::Instant;
use crate::key::Key;

pub(crate) struct Ended {
    /// When the loop ended; its clock stands still.
    now: Instant,
    choices: Choices,
}

struct Nobody;

impl Wakeup for Nobody {
    fn wake(&self) {}
}

impl Ended {
    pub(crate) fn new(now: Instant, choices: Choices) -> Self {
        Self { now, choices }
    }
}

fn ended() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the loop has ended")
}

impl Backend for Ended {
    fn name(&self) -> &'static str {
        "ended"
    }

    fn now(&self) -> Instant {
        self.now
    }

    fn choices(&self) -> &Choices {
        &self.choices
    }

    fn waker(&self) -> Arc<dyn Wakeup> {
        Arc::new(Nobody)
    }

    fn wait(&mut self, _: Wait) -> io::Result<()> {
        Err(ended())
    }

    fn next(&mut self) -> Option<Completion> {
        None
    }

    fn listen(&mut self, _: Key, _: &Address, _: &ListenOptions) -> io::Result<Address> {
        Err(ended())
    }

    fn adopt(&mut self, _: Key, _: OwnedFd) -> io::Result<Address> {
        Err(ended())
    }

    fn accept(&mut self, _: Key, _: Key) -> Accepted {
        Accepted::Dry
    }

    fn connect(&mut self, _: Key, _: &Address, _: &ConnectOptions) -> io::Result<()> {
        Err(ended())
    }

    fn addresses(&mut self, _: Key) -> io::Result<Addresses> {
        Err(ended())
    }

    fn receive(&mut self, _: Key, _: Option<&mut [u8]>) -> Received {
        Received::Failed(ended())
    }

    fn release(&mut self, chunk: Chunk) {
        drop(chunk);
    }

    fn send(&mut self, _: Key, outgoing: Box<Outgoing>) -> Started<Sent> {
        Started::Done(Sent { outgoing, result: Err(ended()) })
    }

    fn expedite(&mut self, _: Key) {}

    fn shutdown(&mut self, _: Key) -> Started<io::Result<()>> {
        Started::Done(Err(ended()))
    }

    fn close(&mut self, _: Key, _: Close) -> Started<()> {
        Started::Done(())
    }

    fn watch_peer(&mut self, _: Key) {}
}
