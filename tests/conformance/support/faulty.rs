//! A backend that lets a test decide which operations fail.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

use marline_reactor::backend::{
    Accepted, Backend, Chunk, Close, Completion, ConnectOptions, DatagramBackend, ListenOptions, Opened,
    Opening, Outgoing, Received, Sent, Spawned, Started, SystemCalls, Terminals, Wait, Wakeup, Watchable,
};
use marline_reactor::{
    Address, Addresses, Choices, Command, Credentials, Instant, Interest, Key, SignalKind,
};

/// Where the indexes of keys begin that the core knows nothing about: no test has as many connections.
const UNSEEN: usize = 1 << 16;

/// What the operations of a [`Faulty`] backend are to answer. Clones share the script; each error is answered once, in
/// order, and after the last everything works.
///
/// Errors are made from the numbers of the system's (`rustix::io::Errno`).
#[derive(Clone, Default)]
pub struct Faults {
    script: Rc<RefCell<Script>>,
    clock_reads: Rc<Cell<usize>>,
    /// When the clock was stopped, if it was.
    stopped: Rc<Cell<Option<Instant>>>,
}

#[derive(Default)]
struct Script {
    sends: VecDeque<io::Error>,
    receives: VecDeque<io::Error>,
    accepts: VecDeque<AcceptFault>,
    /// How many more turns announce input that is not there.
    spurious: usize,
    /// Sends are kept, as a completion backend keeps them until the kernel is done.
    holding: bool,
    releasing: bool,
    held: Vec<(Key, Box<Outgoing>)>,
    /// Datagram sockets that were told that there is no room.
    blocked: Vec<Key>,
    /// Connections that stand.
    keys: Vec<Key>,
    /// Those of them whose input was announced for no reason, until that is looked into.
    announced: Vec<Key>,
    /// What the wrapper itself has to tell.
    answers: VecDeque<Completion>,
    /// Keys that the core knows nothing about, so far.
    dropped: usize,
    asked: Asked,
    waits: Vec<Option<Instant>>,
    /// Wakes the loop, or its host, for what the wrapper itself has to tell.
    waker: Option<Arc<dyn Wakeup>>,
}

struct AcceptFault {
    error: io::Error,
    takes_peer: bool,
}

/// How often the core asked for an operation, failures included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    pub sends: usize,
    pub receives: usize,
    pub accepts: usize,
}

impl Faults {
    pub fn new() -> Self {
        Self::default()
    }

    /// The next sends answer with these errors, and send nothing. `WouldBlock` means what ENOBUFS and ENOMEM mean.
    pub fn fail_sends(&self, errors: impl IntoIterator<Item = impl Into<io::Error>>) {
        self.script.borrow_mut().sends.extend(errors.into_iter().map(Into::into));
    }

    /// The next receives answer with these errors.
    pub fn fail_receives(&self, errors: impl IntoIterator<Item = impl Into<io::Error>>) {
        self.script.borrow_mut().receives.extend(errors.into_iter().map(Into::into));
    }

    /// The next accepts answer with these errors; the peers stay in the queue, as with EMFILE.
    pub fn fail_accepts(&self, errors: impl IntoIterator<Item = impl Into<io::Error>>) {
        self.add_accepts(errors, false);
    }

    /// The next accepts answer with these errors, each at the cost of a peer, as with ECONNABORTED.
    pub fn abort_accepts(&self, errors: impl IntoIterator<Item = impl Into<io::Error>>) {
        self.add_accepts(errors, true);
    }

    /// Forgets all but so many of the failures of accepts that are still to come.
    pub fn keep_accepts(&self, count: usize) {
        self.script.borrow_mut().accepts.truncate(count);
    }

    fn add_accepts(&self, errors: impl IntoIterator<Item = impl Into<io::Error>>, takes_peer: bool) {
        let faults = errors.into_iter().map(|error| AcceptFault { error: error.into(), takes_peer });
        self.script.borrow_mut().accepts.extend(faults);
    }

    /// In each of the next `turns` turns every connection is said to have input, and to be worth a receive.
    pub fn announce_input(&self, turns: usize) {
        self.script.borrow_mut().spurious = turns;
        self.wake();
    }

    /// Sends from now on are kept, and answered only after [`release_sends`](Self::release_sends).
    pub fn hold_sends(&self) {
        self.script.borrow_mut().holding = true;
    }

    /// Lets the next turn begin what is held now. What the core sends after that is held again.
    pub fn release_held(&self) {
        self.script.borrow_mut().releasing = true;
        self.wake();
    }

    fn wake(&self) {
        let script = self.script.borrow();
        script.waker.iter().for_each(|waker| waker.wake());
    }

    /// Sends what was held, and holds no more.
    pub fn release_sends(&self) {
        self.release_held();
        self.script.borrow_mut().holding = false;
    }

    // For datagrams.

    /// The error that the next send of datagrams is to answer with.
    pub(super) fn next_send(&self) -> Option<io::Error> {
        let mut script = self.script.borrow_mut();
        script.asked.sends += 1;
        script.sends.pop_front()
    }

    /// The error that the next receive is to answer with.
    pub(super) fn next_receive(&self) -> Option<io::Error> {
        let mut script = self.script.borrow_mut();
        script.asked.receives += 1;
        script.receives.pop_front()
    }

    /// Whether datagrams are to wait.
    pub(super) fn holds_datagrams(&self, key: Key) -> bool {
        let mut script = self.script.borrow_mut();
        if script.holding {
            script.blocked.push(key);
        }
        script.holding
    }

    /// How many sends are held.
    pub fn held(&self) -> usize {
        self.script.borrow().held.len()
    }

    /// Whether every error was answered.
    pub fn is_over(&self) -> bool {
        let script = self.script.borrow();
        script.sends.is_empty() && script.receives.is_empty() && script.accepts.is_empty()
    }

    /// How often the clock was read.
    pub fn clock_reads(&self) -> usize {
        self.clock_reads.get()
    }

    /// Lets the clock stand still from when it is read next, or go on.
    pub fn stop_clock(&self, stops: bool) {
        self.stopped.set(stops.then_some(Instant::FAR));
    }

    pub fn asked(&self) -> Asked {
        self.script.borrow().asked
    }

    /// The moments until which the core meant to wait, in order; `None` is for ever.
    pub fn waits(&self) -> Vec<Option<Instant>> {
        self.script.borrow().waits.clone()
    }

    /// Whether the next turn brings something that the backend below does not know of.
    pub fn pending(&self) -> bool {
        let script = self.script.borrow();
        script.spurious > 0 || !script.answers.is_empty() || script.releasing
    }
}

/// Any backend, with the [`Faults`] of a test.
pub struct Faulty<B> {
    pub(super) inner: B,
    pub(super) faults: Faults,
}

impl<B: Backend> Faulty<B> {
    pub fn new(inner: B, faults: &Faults) -> Self {
        faults.script.borrow_mut().waker = Some(inner.waker());
        Self { inner, faults: faults.clone() }
    }

    /// Takes a peer and resets it. The core, which hears of a failure, may use its own key at once for the next one, so
    /// this one gets a key of which the core has none.
    fn accept_unseen(&mut self, listener: Key) -> Accepted {
        let mut script = self.faults.script.borrow_mut();
        let index = u32::try_from(UNSEEN + script.dropped).expect("few keys");
        script.dropped += 1;
        drop(script);
        let key = Key::new(index, 1);
        let accepted = self.inner.accept(listener, key);
        if matches!(accepted, Accepted::Connection(_)) {
            _ = self.inner.close(key, Close::Reset);
        }
        accepted
    }

    /// Begins the sends that were held.
    fn release_held(&mut self) {
        let held = {
            let mut script = self.faults.script.borrow_mut();
            let releases = std::mem::take(&mut script.releasing);
            if releases {
                let blocked = std::mem::take(&mut script.blocked);
                script.answers.extend(blocked.into_iter().map(Completion::Output));
            }
            if releases { std::mem::take(&mut script.held) } else { Vec::new() }
        };
        for (key, outgoing) in held {
            if let Started::Done(sent) = self.inner.send(key, outgoing) {
                self.faults.script.borrow_mut().answers.push_back(Completion::Sent(key, sent));
            }
        }
    }
}

impl<B: Backend> Backend for Faulty<B> {
    fn name(&self) -> &'static str {
        "faulty"
    }

    fn now(&self) -> Instant {
        self.faults.clock_reads.set(self.faults.clock_reads.get() + 1);
        let now = self.inner.now();
        let Some(stopped) = self.faults.stopped.get() else { return now };
        self.faults.stopped.set(Some(now.min(stopped)));
        now.min(stopped)
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

    fn spawn(&mut self, key: Key, command: &Command) -> Option<io::Result<Spawned>> {
        self.inner.spawn(key, command)
    }

    fn watch_signal(&mut self, key: Key, signal: SignalKind) -> Option<io::Result<()>> {
        self.inner.watch_signal(key, signal)
    }

    fn wait(&mut self, mut wait: Wait) -> io::Result<()> {
        self.faults.script.borrow_mut().waits.push(wait.until);
        self.release_held();
        if self.faults.pending() {
            wait.until = Some(Instant::ZERO);
        }
        let waited = self.inner.wait(wait);
        let mut script = self.faults.script.borrow_mut();
        if script.spurious > 0 {
            script.spurious -= 1;
            script.announced = script.keys.clone();
            let inputs: Vec<_> = script.keys.iter().copied().map(Completion::Input).collect();
            script.answers.extend(inputs);
        }
        waited
    }

    fn next(&mut self) -> Option<Completion> {
        let own = self.faults.script.borrow_mut().answers.pop_front();
        if own.is_some() {
            return own;
        }
        loop {
            let completion = self.inner.next()?;
            let mut script = self.faults.script.borrow_mut();
            match completion {
                Completion::Closed(key) | Completion::Input(key) if key.index() >= UNSEEN => continue,
                Completion::Connected(key, Ok(())) => script.keys.push(key),
                _ => {}
            }
            return Some(completion);
        }
    }

    fn has_events(&self) -> bool {
        self.inner.has_events() || self.faults.pending()
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
        let fault = {
            let mut script = self.faults.script.borrow_mut();
            script.asked.accepts += 1;
            script.accepts.pop_front()
        };
        match fault {
            None => {
                let accepted = self.inner.accept(listener, key);
                if matches!(accepted, Accepted::Connection(_)) {
                    self.faults.script.borrow_mut().keys.push(key);
                }
                accepted
            }
            Some(AcceptFault { error, takes_peer: false }) => Accepted::Failed(error),
            Some(fault) => match self.accept_unseen(listener) {
                Accepted::Connection(_) => Accepted::Failed(fault.error),
                other => {
                    self.faults.script.borrow_mut().accepts.push_front(fault);
                    other
                }
            },
        }
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
        let fault = {
            let mut script = self.faults.script.borrow_mut();
            script.asked.receives += 1;
            script.announced.retain(|announced| *announced != key);
            script.receives.pop_front()
        };
        match fault {
            Some(error) => Received::Failed(error),
            None => self.inner.receive(key, into),
        }
    }

    fn may_receive(&mut self, key: Key) -> bool {
        self.inner.may_receive(key) || self.faults.script.borrow().announced.contains(&key)
    }

    fn release(&mut self, chunk: Chunk) {
        self.inner.release(chunk);
    }

    fn send(&mut self, key: Key, outgoing: Box<Outgoing>) -> Started<Sent> {
        let mut script = self.faults.script.borrow_mut();
        script.asked.sends += 1;
        if let Some(error) = script.sends.pop_front() {
            return Started::Done(Sent { outgoing, result: Err(error) });
        }
        if script.holding {
            script.held.push((key, outgoing));
            return Started::Pending;
        }
        drop(script);
        self.inner.send(key, outgoing)
    }

    fn sends_files(&mut self, key: Key) -> bool {
        self.inner.sends_files(key)
    }

    /// Failures and what is held back are for sends that are lent.
    fn send_now(&mut self, key: Key, parts: &[IoSlice<'_>]) -> usize {
        let is_tame = {
            let script = self.faults.script.borrow();
            script.sends.is_empty() && !script.holding
        };
        if is_tame { self.inner.send_now(key, parts) } else { 0 }
    }

    fn expedite(&mut self, key: Key) {
        self.inner.expedite(key);
    }

    fn shutdown(&mut self, key: Key) -> Started<io::Result<()>> {
        self.inner.shutdown(key)
    }

    fn close(&mut self, key: Key, how: Close) -> Started<()> {
        let closed = self.inner.close(key, how);
        let mut script = self.faults.script.borrow_mut();
        script.keys.retain(|other| *other != key);
        let is_about = |answer: &Completion| matches!(answer, Completion::Input(other) | Completion::Output(other) if *other == key);
        script.answers.retain(|answer| !is_about(answer));
        script.blocked.retain(|other| *other != key);
        let mut answered = false;
        while let Some(place) = script.held.iter().position(|(held, _)| *held == key) {
            let (_, outgoing) = script.held.swap_remove(place);
            let result = Err(io::ErrorKind::ConnectionAborted.into());
            script.answers.push_back(Completion::Sent(key, Sent { outgoing, result }));
            answered = true;
        }
        let owed =
            script.answers.iter().any(|answer| matches!(answer, Completion::Sent(other, _) if *other == key));
        match closed {
            // The answers come first, the close last.
            Started::Done(()) if answered || owed => {
                script.answers.push_back(Completion::Closed(key));
                Started::Pending
            }
            other => other,
        }
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

    fn watch(&mut self, key: Key, what: Watchable, interest: Interest) -> io::Result<()> {
        self.inner.watch(key, what, interest)
    }

    fn rewatch(&mut self, key: Key, interest: Interest) -> io::Result<()> {
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
