//! The adversary as a backend.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use marline_reactor::backend::{
    Accepted, Backend, Chunk, Close, Completion, ConnectOptions, DatagramBackend, ListenOptions, Opened,
    Opening, Outgoing, Received, Sent, Spawned, Started, SystemCalls, Terminals, Wait, Wakeup, Watchable,
};
use marline_reactor::{
    Address, Addresses, ChoiceKind, Choices, Command, Credentials, Instant, Interest, Key, SignalKind,
};

use super::Adversary;
use super::late::Late;
use super::streams::Stream;

impl<B: Backend> Backend for Adversary<B> {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn now(&self) -> Instant {
        self.inner.now()
    }

    fn choices(&self) -> &Choices {
        &self.choices
    }

    fn waker(&self) -> Arc<dyn Wakeup> {
        self.inner.waker()
    }

    fn resolve(&mut self, host: &str, port: u16) -> Option<io::Result<Vec<SocketAddr>>> {
        self.inner.resolve(host, port)
    }

    fn spawn(&mut self, key: Key, command: &Command) -> Option<io::Result<Spawned>> {
        self.promises.stands(key);
        self.inner.spawn(key, command)
    }

    fn watch_signal(&mut self, key: Key, signal: SignalKind) -> Option<io::Result<()>> {
        self.promises.stands(key);
        self.inner.watch_signal(key, signal)
    }

    fn wait(&mut self, mut wait: Wait) -> io::Result<()> {
        self.begin_late();
        if self.events.are_urgent() || self.happens(ChoiceKind::Spurious, 8) {
            wait.until = Some(Instant::ZERO);
        }
        let waited = self.inner.wait(wait);
        self.events.pass_turn();
        self.collect();
        waited
    }

    fn next(&mut self) -> Option<Completion> {
        let completion = self.events.take(&self.choices)?;
        self.promises.tell(&completion);
        if let Completion::Connected(key, Ok(())) = completion {
            // One whose close was asked for meanwhile has won the race against it, and receives nothing.
            if !self.promises.is_closing(key) {
                self.streams.insert(key, Stream::default());
            }
        }
        Some(completion)
    }

    fn has_events(&self) -> bool {
        self.events.are_urgent() || !self.late.is_empty() || self.inner.has_events()
    }

    fn pollable_fd(&mut self) -> io::Result<Option<OwnedFd>> {
        self.inner.pollable_fd()
    }

    fn arm(&mut self, until: Option<Instant>) {
        self.inner.arm(until);
    }

    fn listen(&mut self, key: Key, address: &Address, options: &ListenOptions) -> io::Result<Address> {
        self.promises.stands(key);
        let address = self.inner.listen(key, address, options)?;
        self.listeners.insert(key, false);
        Ok(address)
    }

    fn adopt(&mut self, key: Key, listener: OwnedFd) -> io::Result<Address> {
        self.promises.stands(key);
        let address = self.inner.adopt(key, listener)?;
        self.listeners.insert(key, false);
        Ok(address)
    }

    fn accept(&mut self, listener: Key, key: Key) -> Accepted {
        self.promises.stands(listener);
        self.promises.stands(key);
        let denied = self.listeners.get(&listener) == Some(&true);
        let denies = !denied && self.happens(ChoiceKind::Postpone, 8);
        self.listeners.insert(listener, denies);
        if denies {
            self.announce_later(listener);
            return Accepted::Dry;
        }
        let accepted = self.inner.accept(listener, key);
        if matches!(accepted, Accepted::Connection(_)) {
            self.streams.insert(key, Stream::default());
        }
        accepted
    }

    fn stop_accepting(&mut self, listener: Key) -> Started<()> {
        self.inner.stop_accepting(listener)
    }

    fn connect(&mut self, key: Key, address: &Address, options: &ConnectOptions) -> io::Result<()> {
        self.promises.connect(key);
        let begun = self.inner.connect(key, address, options);
        if begun.is_err() {
            self.promises.closed(key);
        }
        begun
    }

    fn open(&mut self, key: Key, opening: Opening) -> io::Result<Opened> {
        self.promises.stands(key);
        let opened = self.inner.open(key, opening)?;
        self.streams.insert(key, Stream::default());
        Ok(opened)
    }

    fn terminals(&mut self) -> Option<&mut dyn Terminals> {
        self.inner.terminals()
    }

    fn addresses(&mut self, key: Key) -> io::Result<Addresses> {
        self.inner.addresses(key)
    }

    fn receive(&mut self, key: Key, into: Option<&mut [u8]>) -> Received {
        self.promises.stands(key);
        assert!(into.as_ref().is_none_or(|memory| !memory.is_empty()), "{key:?} receives into nothing");
        self.receive_some(key, into)
    }

    fn may_receive(&mut self, key: Key) -> bool {
        self.streams.get(&key).is_some_and(Stream::has_something)
            || self.inner.may_receive(key)
            || self.happens(ChoiceKind::Spurious, 8)
    }

    /// All chunks are copies.
    fn release(&mut self, chunk: Chunk) {
        self.promises.release();
        drop(chunk);
    }

    fn send(&mut self, key: Key, outgoing: Box<Outgoing>) -> Started<Sent> {
        self.promises.send(key, &outgoing);
        let restrained = self.temper.sends_whole.get();
        if !restrained && self.happens(ChoiceKind::Postpone, 4) {
            self.late.push(Late::Send(key, outgoing));
            return Started::Pending;
        }
        match self.send_part(key, outgoing) {
            Started::Done(sent) if restrained || !self.happens(ChoiceKind::Postpone, 2) => {
                self.promises.sent(key);
                Started::Done(sent)
            }
            Started::Done(sent) => {
                self.hold_sent(key, sent);
                Started::Pending
            }
            Started::Pending => Started::Pending,
        }
    }

    /// Or not, although the backend below would.
    fn sends_files(&mut self, key: Key) -> bool {
        self.promises.stands(key);
        self.inner.sends_files(key) && !self.happens(ChoiceKind::Postpone, 4)
    }

    /// All of what the backend below takes, some of it, or nothing.
    fn send_now(&mut self, key: Key, parts: &[IoSlice<'_>]) -> usize {
        let total = parts.iter().map(|part| part.len()).sum();
        let whole = self.temper.sends_whole.get() || self.choices.choose(ChoiceKind::SendSize, 2) == 0;
        let count = if whole { total } else { self.part(ChoiceKind::SendSize, total) };
        let mut left = count;
        let cut = parts.iter().map(|part| {
            let taken = left.min(part.len());
            left -= taken;
            IoSlice::new(&part[..taken])
        });
        let cut: Vec<IoSlice<'_>> = cut.filter(|part| !part.is_empty()).collect();
        if count == 1 { 0 } else { self.inner.send_now(key, &cut) }
    }

    fn expedite(&mut self, key: Key) {
        self.events.expedite(key);
        self.inner.expedite(key);
    }

    fn shutdown(&mut self, key: Key) -> Started<io::Result<()>> {
        self.promises.shutdown(key);
        if self.happens(ChoiceKind::Postpone, 4) {
            self.late.push(Late::Shut(key));
            return Started::Pending;
        }
        match self.inner.shutdown(key) {
            Started::Done(result) if self.happens(ChoiceKind::Postpone, 2) => {
                self.hold(Completion::Shut(key, result));
                Started::Pending
            }
            other => other,
        }
    }

    fn close(&mut self, key: Key, how: Close) -> Started<()> {
        self.promises.close(key);
        let started = self.begin_close(key, how);
        if let Started::Done(()) = started {
            self.promises.closed(key);
        }
        started
    }

    fn watch_peer(&mut self, key: Key) {
        self.promises.stands(key);
        self.inner.watch_peer(key);
    }

    fn carries_descriptors(&mut self, key: Key) -> bool {
        self.inner.carries_descriptors(key)
    }

    fn peer_credentials(&mut self, key: Key) -> io::Result<Credentials> {
        self.inner.peer_credentials(key)
    }

    fn watch(&mut self, key: Key, what: Watchable, interest: Interest) -> io::Result<()> {
        self.promises.stands(key);
        self.inner.watch(key, what, interest)
    }

    fn rewatch(&mut self, key: Key, interest: Interest) -> io::Result<()> {
        self.promises.stands(key);
        self.inner.rewatch(key, interest)
    }

    fn registry(&mut self) -> io::Result<mio::Registry> {
        self.inner.registry()
    }

    fn datagrams(&mut self) -> Option<&mut dyn DatagramBackend> {
        if self.inner.datagrams().is_some() { Some(self) } else { None }
    }

    fn system_calls(&self) -> SystemCalls {
        self.inner.system_calls()
    }
}
