//! The memory backend: a network, a clock and chance without a kernel.
//!
//! The loop above it is the production loop, unchanged, so what a test sees here is what a program does: only
//! the wires, the time and every decision of chance are the test's. It uses no descriptors, no threads and no
//! system calls, and one thread; only its waker may be raised from others.
//!
//! * A [`Network`] carries bytes between any number of [`Memory`] backends and scripted [`Peer`]s, cut up as its
//!   [`Chunking`] says, and with the back-pressure of bounded buffers. It has the manners of TCP: ends after all
//!   bytes, resets that overtake them, backlogs, refusals.
//! * A [`Clock`] moves when a test moves it, or else when a loop has nothing to do until its next deadline.
//! * The network's [`Choices`] decide what in a real run is up to chance. With
//!   [`Choices::tame`](crate::Choices::tame) nothing surprising happens.
//!
//! # What is drawn, and when
//!
//! | Kind | Drawn | Meaning |
//! |---|---|---|
//! | `Event` | for each event, among those pending in this turn | which one comes next; 0 is the oldest |
//! | `Postpone` | after an event, if others are pending; 0 or 1 | 1 leaves them to the next turn, which then gives out all |
//! | `Spurious` | at the end of each turn that had events, among 8 | 1 adds an `Input` to one connection, drawn by another choice |
//! | `Fairness` | for each connect to a port with several listeners | which listener gets it |
//! | `Job` | by the loop: for each blocking job, among those that have ended | which outcome is told next; 0 is the first that ended |
//! | `ReceiveSize`, `SendSize` | with [`Chunking::Chosen`] only | 0 all, 1 one byte, 2 half, 3 a size that is drawn then |
//! | `ReceiveSize`, `SendSize` | likewise, for each call that moves datagrams | how many of them: 0 all, 1 one, 2 half, 3 a number that is drawn then |
//! | `Datagram` | for each datagram, with [`Delivery::Chosen`] only, among 8 | 1 it is lost, 2 it arrives twice, 3 it overtakes as many as are drawn then |
//! | `SendSize`, again | after each send that could be done, likewise | 1 answers it in the next turn |
//!
//! # How it is laid out
//!
//! `network` and `peer` are the handles of tests, `state` is what they share; `ends` and `listeners` are what may
//! happen in it, `programs` are children that a test plays, `wire` is one direction of a connection. `mailbox` is a datagram
//! socket in the network, `datagram_peer` one that a test drives, and `datagrams` the operations on them. `virtual_source` is
//! what a test gives to be watched, `virtual_stream` what it gives to be opened, `virtual_terminal` those that have a window.
//! `inbox` orders the events of one backend, `sockets` tells
//! what its loop's keys stand for; `operations` is the backend itself.

mod clock;
mod datagram_peer;
mod datagrams;
mod ends;
mod inbox;
mod listeners;
mod mailbox;
mod network;
mod operations;
mod peer;
mod programs;
mod sockets;
mod state;
mod virtual_source;
mod virtual_stream;
mod virtual_terminal;
mod wire;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::Arc;

pub use clock::Clock;
pub use datagram_peer::DatagramPeer;
pub use mailbox::Delivery;
pub use network::Network;
pub use peer::{Peer, PeerListener};
pub use programs::{VirtualChild, VirtualProgram};
pub use virtual_source::VirtualSource;
pub use virtual_stream::{StreamKind, VirtualStream};
pub use virtual_terminal::VirtualTerminal;
pub use wire::Chunking;

use self::inbox::Inbox;
use self::sockets::{Kind, Sockets};
use self::state::{End, Id, Notice, Owner, Phase, State};
use super::{Backend, Bell, Close, Completion, Datagrams, Sent, SystemCalls, Wait};
use crate::choice::{ChoiceKind, Choices};
use crate::instant::Instant;
use crate::key::Key;

/// The size of the memory that chunks are received into, in bytes.
const SCRATCH: usize = 64 * 1024;

/// A backend on a [`Network`] and a [`Clock`]. Dropping it closes what its loop left open, in good order.
///
/// [`system_calls`](Backend::system_calls) counts what would be calls if there were a kernel.
///
/// ```
/// use marline_reactor::backend::memory::{Clock, Memory, Network};
/// use marline_reactor::backend::{Accepted, Backend, Completion, ListenOptions, Received, Wait};
/// use marline_reactor::{Choices, Key};
/// use std::net::SocketAddr;
///
/// let network = Network::new(Choices::tame());
/// let mut memory = Memory::new(&network, &Clock::new());
/// let (listener, connection) = (Key::new(0, 1), Key::new(1, 1));
/// let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
/// let address = memory.listen(listener, &anywhere.into(), &ListenOptions::default())?;
///
/// let peer = network.connect(address)?;
/// peer.write(b"hello");
///
/// memory.wait(Wait { until: None, helpers_busy: false })?;
/// assert!(matches!(memory.next(), Some(Completion::Input(key)) if key == listener));
/// assert!(matches!(memory.accept(listener, connection), Accepted::Connection(_)));
/// let Received::Chunk(chunk) = memory.receive(connection, None) else { panic!("bytes have arrived") };
/// assert_eq!(chunk.bytes(), b"hello");
/// memory.release(chunk);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Memory {
    network: Network,
    clock: Clock,
    choices: Choices,
    bell: Arc<Bell>,
    inbox: Id,
    sockets: Sockets,
    watched: BTreeMap<Key, VirtualSource>,
    calls: SystemCalls,
    /// The memory for chunks, while none is lent out.
    scratch: Option<Vec<u8>>,
    /// The same for datagrams.
    batch: Option<Box<Datagrams>>,
}

impl Memory {
    /// A backend on `network`, with the time of `clock`.
    #[must_use]
    pub fn new(network: &Network, clock: &Clock) -> Self {
        let inbox = network.state().inboxes.insert(Inbox::default());
        Self {
            network: network.clone(),
            clock: clock.clone(),
            choices: network.choices(),
            bell: Arc::default(),
            inbox,
            sockets: Sockets::default(),
            watched: BTreeMap::new(),
            calls: SystemCalls::default(),
            scratch: None,
            batch: None,
        }
    }

    /// Names this backend's events in the network.
    pub(crate) fn inbox(&self) -> Key {
        self.inbox
    }

    fn owner(&self, key: Key) -> Owner {
        Owner::Backend { inbox: self.inbox, key }
    }

    /// Waits with nothing to do. Only a waker ends a wait for which the clock may not move.
    fn idle(&self, wait: Wait) {
        let until = wait.until.filter(|until| *until < Instant::FAR);
        match until {
            Some(until) if until <= self.clock.now() => {}
            _ if wait.helpers_busy => self.bell.sleep(None),
            _ if !self.clock.is_automatic() => {}
            Some(until) => self.clock.advance_to(until),
            None => self.bell.sleep(None),
        }
    }

    /// Chance may announce input where there is none.
    fn spurious(&self) -> Option<Completion> {
        let due = self.network.state().inboxes.get_mut(self.inbox)?.take_spurious();
        let connections = || self.sockets.all().filter(|socket| socket.kind == Kind::Connection);
        if !due || connections().next().is_none() || self.choices.choose(ChoiceKind::Spurious, 8) != 1 {
            return None;
        }
        let which = self.choices.choose(ChoiceKind::Spurious, connections().count());
        Some(Completion::Input(connections().nth(which)?.key))
    }

    /// Keeps account of what the loop is about to be told.
    fn note(&mut self, completion: &Completion) {
        match completion {
            Completion::Input(key) => {
                let mut state = self.network.state();
                let notice = self.sockets.get(*key).and_then(|socket| match socket.kind {
                    Kind::Listener => state.listeners.get_mut(socket.id).map(|found| &mut found.notice),
                    Kind::Datagram => state.mailboxes.get_mut(socket.id).map(|found| &mut found.notice),
                    _ => state.ends.get_mut(socket.id).map(|end| &mut end.notice),
                });
                if let Some(Notice { announced, .. }) = notice {
                    *announced = false;
                }
            }
            Completion::Connected(key, Ok(())) => self.sockets.connected(*key),
            _ => {}
        }
    }

    /// Answers whatever is still under way at an end that is closed.
    fn answer_rest(&self, state: &mut State, end: End) {
        if matches!(end.phase, Phase::Connecting(_)) {
            state.tell(end.owner, |key| Completion::Connected(key, Err(ErrorKind::ConnectionAborted.into())));
        }
        if let Some(outgoing) = end.sending {
            let result = Err(ErrorKind::ConnectionAborted.into());
            state.tell(end.owner, |key| Completion::Sent(key, Sent { outgoing, result }));
        }
    }
}

impl Drop for Memory {
    /// What was lent for sends is dropped only when the network is no longer borrowed: that may run user code.
    fn drop(&mut self) {
        let keys: Vec<Key> = self.sockets.all().map(|socket| socket.key).collect();
        for key in keys {
            let _ = self.close(key, Close::Orderly);
        }
        self.watched.values().for_each(VirtualSource::unwatch);
        let mut state = self.network.state();
        state.signals.retain(|(inbox, _), _| *inbox != self.inbox);
        state.children.retain(|(inbox, _)| *inbox != self.inbox);
        let inbox = state.inboxes.remove(self.inbox);
        drop(state);
        drop(inbox);
    }
}
