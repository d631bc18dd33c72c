//! The backend contract, operation by operation.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::ends::Look;
use super::sockets::Kind;
use super::state::Phase;
use super::{Memory, SCRATCH, VirtualSource};
use crate::address::{Address, Addresses};
use crate::backend::descriptors;
use crate::backend::{
    Accepted, Backend, Chunk, Close, Completion, ConnectOptions, DatagramBackend, ListenOptions, Opened,
    Opening, Outgoing, Received, Sent, Spawned, Started, SystemCalls, Terminals, Wait, Wakeup, Watchable,
};
use crate::choice::Choices;
use crate::credentials::Credentials;
use crate::instant::Instant;
use crate::key::Key;
use crate::os_signal::SignalKind;
use crate::process::Command;
use crate::watch::{Interest, Ready};

impl Backend for Memory {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn choices(&self) -> &Choices {
        &self.choices
    }

    fn waker(&self) -> Arc<dyn Wakeup> {
        Arc::clone(&self.bell) as Arc<dyn Wakeup>
    }

    fn resolve(&mut self, host: &str, port: u16) -> Option<io::Result<Vec<SocketAddr>>> {
        Some(self.network.resolve(host, port))
    }

    fn wait(&mut self, wait: Wait) -> io::Result<()> {
        self.calls.waits += 1;
        let woken = self.bell.take();
        if !woken && !self.has_events() {
            self.idle(wait);
        }
        if let Some(inbox) = self.network.state().inboxes.get_mut(self.inbox) {
            inbox.begin();
        }
        Ok(())
    }

    fn next(&mut self) -> Option<Completion> {
        loop {
            let next = self.network.state().inboxes.get_mut(self.inbox)?.next(&self.choices);
            let Some(completion) = next else {
                return self.spurious();
            };
            self.note(&completion);
            let Completion::Ready { key, .. } = completion else { return Some(completion) };
            if self.network.state().is_told(self.inbox, key) {
                return Some(completion);
            }
            // Told is what holds now, as with a kernel.
            let ready = self.watched.get(&key).map_or(Ready::EMPTY, VirtualSource::look);
            if !ready.is_empty() {
                return Some(Completion::Ready { key, ready });
            }
        }
    }

    fn has_events(&self) -> bool {
        self.network.pending_for(self.inbox)
    }

    fn listen(&mut self, key: Key, address: &Address, options: &ListenOptions) -> io::Result<Address> {
        let owner = self.owner(key);
        let mut state = self.network.state();
        if address.as_inet().is_some_and(|address| !state.is_local(address.ip())) {
            return Err(ErrorKind::AddrNotAvailable.into());
        }
        descriptors::check(options.descriptors, address)?;
        let backlog = usize::try_from(options.backlog).unwrap_or(usize::MAX);
        let (id, address) = state.listen(owner, address, backlog, options.reuse_port)?;
        if let Some(listener) = state.listeners.get_mut(id) {
            listener.carries_descriptors = options.descriptors;
        }
        self.sockets.insert(key, id, Kind::Listener);
        self.calls.registrations += 1;
        Ok(address)
    }

    /// There are no sockets here.
    fn adopt(&mut self, _key: Key, _listener: OwnedFd) -> io::Result<Address> {
        Err(ErrorKind::Unsupported.into())
    }

    fn accept(&mut self, listener: Key, key: Key) -> Accepted {
        let Some(listener) = self.sockets.listener(listener) else {
            return Accepted::Failed(ErrorKind::InvalidInput.into());
        };
        self.calls.accepts += 1;
        let (mut state, owner) = (self.network.state(), self.owner(key));
        let Some(id) = state.accept(listener, owner) else {
            return Accepted::Dry;
        };
        self.sockets.insert(key, id, Kind::Connection);
        self.calls.registrations += 1;
        match state.ends.get(id) {
            Some(end) => Accepted::Connection(end.addresses.clone()),
            None => Accepted::Failed(ErrorKind::ConnectionAborted.into()),
        }
    }

    fn connect(&mut self, key: Key, address: &Address, options: &ConnectOptions) -> io::Result<()> {
        descriptors::check(options.descriptors, address)?;
        let (owner, mut state) = (self.owner(key), self.network.state());
        let id = state.connect(owner, address, options.bind.as_ref())?;
        if let Some(end) = state.ends.get_mut(id) {
            end.carries_descriptors = options.descriptors;
        }
        drop(state);
        self.sockets.insert(key, id, Kind::Connecting);
        self.calls.connects += 1;
        self.calls.registrations += 1;
        Ok(())
    }

    /// There are no descriptors here.
    fn open(&mut self, key: Key, opening: Opening) -> io::Result<Opened> {
        let stream = match opening {
            Opening::Virtual(stream) => stream,
            Opening::Stdio => self.network.take_stdio()?,
            _ => return Err(ErrorKind::Unsupported.into()),
        };
        let (id, opened) = stream.open(&self.network, self.inbox, key)?;
        self.sockets.insert(key, id, Kind::Connection);
        self.calls.registrations += 1;
        Ok(opened)
    }

    fn terminals(&mut self) -> Option<&mut dyn Terminals> {
        Some(self)
    }

    fn addresses(&mut self, key: Key) -> io::Result<Addresses> {
        let state = self.network.state();
        let end = self.sockets.end(key).and_then(|id| state.ends.get(id));
        let end = end.filter(|end| !matches!(end.phase, Phase::Connecting(_) | Phase::Refused));
        end.map_or_else(|| Err(ErrorKind::NotConnected.into()), |end| Ok(end.addresses.clone()))
    }

    fn receive(&mut self, key: Key, into: Option<&mut [u8]>) -> Received {
        let Some(id) = self.sockets.end(key) else {
            return Received::Failed(ErrorKind::NotConnected.into());
        };
        let mut state = self.network.state();
        let drained = state.ends.get(id).is_some_and(|end| end.drained);
        // A receive that took everything has told that nothing is left: no call is needed to find that out.
        self.calls.receives += u64::from(!drained);
        let passes = state.ends.get(id).is_some_and(|end| end.passes_next());
        let into = into.filter(|_| !passes);
        let limit = into.as_ref().map_or(SCRATCH, |memory| memory.len());
        match (state.look(id, limit), into) {
            (Look::Bytes(count), Some(memory)) => {
                state.take(id, &mut memory[..count]);
                Received::Filled(count)
            }
            (Look::Bytes(count), None) => {
                let mut memory = self.scratch.take().unwrap_or_else(|| vec![0; SCRATCH]);
                state.take(id, &mut memory[..count]);
                let passed = state.ends.get_mut(id).map(|end| std::mem::take(&mut end.descriptors));
                Received::Chunk(Chunk::new(memory, 0, count, 0).with_descriptors(passed.unwrap_or_default()))
            }
            (Look::Eof, _) => Received::Eof,
            (Look::Dry, _) => Received::Dry,
            (Look::Failed(error), _) => Received::Failed(error),
        }
    }

    fn may_receive(&mut self, key: Key) -> bool {
        let Some(id) = self.sockets.end(key) else {
            return false;
        };
        let mut state = self.network.state();
        let Some(end) = state.ends.get_mut(id) else {
            return true;
        };
        if end.drained {
            end.notice.armed = true;
        }
        !end.drained
    }

    fn release(&mut self, chunk: Chunk) {
        // Another backend's chunk, released here by mistake, must not become too short a scratch buffer.
        self.scratch = chunk.into_memory().filter(|memory| memory.len() == SCRATCH);
    }

    fn send(&mut self, key: Key, outgoing: Box<Outgoing>) -> Started<Sent> {
        let Some(id) = self.sockets.end(key) else {
            let result = Err(ErrorKind::NotConnected.into());
            return Started::Done(Sent { outgoing, result });
        };
        self.calls.sends += 1;
        self.network.state().send(id, outgoing)
    }

    /// Nothing is ever kept back here.
    fn expedite(&mut self, _: Key) {}

    fn shutdown(&mut self, key: Key) -> Started<io::Result<()>> {
        self.calls.shutdowns += 1;
        Started::Done(match self.sockets.end(key) {
            Some(id) => self.network.state().finish(id),
            None => Err(ErrorKind::NotConnected.into()),
        })
    }

    fn close(&mut self, key: Key, how: Close) -> Started<()> {
        let source = self.watched.remove(&key);
        source.iter().for_each(VirtualSource::unwatch);
        let mut state = self.network.state();
        let was_told = state.is_told(self.inbox, key);
        state.signals.remove(&(self.inbox, key));
        state.children.remove(&(self.inbox, key));
        if source.is_some() || was_told {
            if let Some(inbox) = state.inboxes.get_mut(self.inbox) {
                inbox.forget(key);
            }
        }
        drop(state);
        let Some(socket) = self.sockets.remove(key) else {
            return Started::Done(());
        };
        self.calls.closes += 1;
        let mut state = self.network.state();
        if socket.kind == Kind::Listener {
            state.remove_listener(socket.id);
        } else if socket.kind == Kind::Datagram {
            state.remove_mailbox(socket.id);
        } else if let Some(end) = state.remove_end(socket.id, how) {
            self.answer_rest(&mut state, end);
        }
        let Some(inbox) = state.inboxes.get_mut(self.inbox) else {
            return Started::Done(());
        };
        if inbox.forget(key) {
            inbox.push(Completion::Closed(key));
            return Started::Pending;
        }
        Started::Done(())
    }

    fn spawn(&mut self, key: Key, command: &Command) -> Option<io::Result<Spawned>> {
        Some(self.network.spawn(self.inbox, key, command))
    }

    fn watch_signal(&mut self, key: Key, signal: SignalKind) -> Option<io::Result<()>> {
        self.calls.registrations += 1;
        self.network.state().signals.insert((self.inbox, key), signal);
        Some(Ok(()))
    }

    fn watch_peer(&mut self, key: Key) {
        let Some(id) = self.sockets.end(key) else { return };
        let mut state = self.network.state();
        if let Some(end) = state.ends.get_mut(id) {
            end.watched = true;
        }
        state.tell_watcher(id);
    }

    fn carries_descriptors(&mut self, key: Key) -> bool {
        let state = self.network.state();
        let end = self.sockets.end(key).and_then(|id| state.ends.get(id));
        end.is_some_and(|end| end.carries_descriptors)
    }

    fn peer_credentials(&mut self, _: Key) -> io::Result<Credentials> {
        self.network.state().credentials.ok_or_else(|| ErrorKind::Unsupported.into())
    }

    fn watch(&mut self, key: Key, what: Watchable, interest: Interest) -> io::Result<()> {
        // There are no descriptors here.
        let Watchable::Virtual(source) = what else { return Err(ErrorKind::Unsupported.into()) };
        self.calls.registrations += 1;
        if !source.watch(&self.network, self.inbox, key, interest) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        self.watched.insert(key, source);
        Ok(())
    }

    fn rewatch(&mut self, key: Key, interest: Interest) -> io::Result<()> {
        self.calls.registrations += 1;
        self.watched.get(&key).ok_or(ErrorKind::NotConnected)?.rewatch(interest);
        Ok(())
    }

    fn datagrams(&mut self) -> Option<&mut dyn DatagramBackend> {
        Some(self)
    }

    fn system_calls(&self) -> SystemCalls {
        self.calls
    }
}
