//! Datagrams in, and how protocols are called.

use std::error::Error;
use std::io;
use std::panic::Location;
use std::rc::Rc;

use super::{DatagramProtocol, DatagramTransport, ERRORS, Kept, Port};
use crate::backend::datagram::BATCH;
use crate::backend::{Datagram, Datagrams, ReceivedDatagrams};
use crate::contain::contain;
use crate::key::Key;
use crate::lost::Reason;
use crate::protocol::Internal;
use crate::reactor::{Failure, Shell};
use crate::ready::{Callback, Entry};

/// How many datagrams of one socket are delivered in a turn.
const BUDGET: usize = 4 * BATCH;

/// What a pull came to.
enum Pulled {
    /// So many datagrams, or errors, were delivered.
    Some(usize),
    Nothing,
}

impl Shell {
    // From the loop.

    /// The backend may have datagrams.
    pub(crate) fn datagrams_arrived(self: &Rc<Self>, key: Key) {
        let listed = self.port(key, |port| {
            port.state.input = true;
            port.state.listed
        });
        // What stands on the list has its turn there, and not twice.
        if listed == Some(false) {
            self.pull_datagrams(key);
        }
    }

    /// Goes on with a socket that was listed.
    pub(crate) fn pull_datagrams_again(self: &Rc<Self>, key: Key) {
        self.port(key, |port| port.state.listed = false);
        self.pull_datagrams(key);
    }

    fn pull_datagrams(self: &Rc<Self>, key: Key) {
        self.tell_port_made(key);
        let mut left = BUDGET;
        while left > 0 {
            match self.pull_batch(key, left) {
                Pulled::Some(count) => left = left.saturating_sub(count),
                Pulled::Nothing => return,
            }
        }
        self.go_on_with_datagrams(key);
    }

    /// Delivers what was kept, or else what the backend has, if the program wants it.
    fn pull_batch(self: &Rc<Self>, key: Key, at_most: usize) -> Pulled {
        if !self.ask_port(key, |port| port.is_reading()) {
            return Pulled::Nothing;
        }
        if let Some(kept) = self.port(key, |port| port.kept.take()).flatten() {
            return Pulled::Some(self.deliver_kept(key, *kept));
        }
        if !self.ask_port(key, |port| port.state.input) {
            return Pulled::Nothing;
        }
        if self.ask_port(key, |port| port.factory.is_some()) {
            return if self.accept_packets(key) { Pulled::Some(1) } else { Pulled::Nothing };
        }
        let received = match self.backend().datagrams() {
            Some(backend) => backend.receive_datagrams(key, at_most.min(BATCH)),
            None => ReceivedDatagrams::Dry,
        };
        self.stats().received();
        match received {
            ReceivedDatagrams::Batch(batch) => {
                let delivered = self.deliver_batch(key, &batch, 0);
                if delivered < batch.len() {
                    self.keep(key, Kept { batch: batch.rest(delivered), next: 0 });
                }
                let count = batch.len();
                if let Some(backend) = self.backend().datagrams() {
                    backend.release_datagrams(batch);
                }
                Pulled::Some(count)
            }
            ReceivedDatagrams::Failed(error) => {
                self.call_port(key, |protocol, transport| protocol.error_received(transport, &error));
                Pulled::Some(1)
            }
            ReceivedDatagrams::Dry => {
                self.port(key, |port| port.state.input = false);
                Pulled::Nothing
            }
            ReceivedDatagrams::Eof => {
                self.port(key, |port| port.state.input = false);
                self.lose_datagrams(key, Reason::Clean);
                Pulled::Nothing
            }
        }
    }

    fn deliver_kept(self: &Rc<Self>, key: Key, kept: Kept) -> usize {
        let delivered = self.deliver_batch(key, &kept.batch, kept.next);
        let next = kept.next + delivered;
        if next < kept.batch.len() {
            self.keep(key, Kept { next, ..kept });
        }
        delivered.max(1)
    }

    fn keep(&self, key: Key, kept: Kept) {
        // Who closes wants none of it.
        self.port(key, |port| port.kept = (!port.is_closing()).then(|| Box::new(kept)));
    }

    /// Delivers a batch from `first` on, until a callback pauses or closes: how many.
    fn deliver_batch(self: &Rc<Self>, key: Key, batch: &Datagrams, first: usize) -> usize {
        let Some((mut protocol, place)) = self.check_out_port(key) else { return 0 };
        let transport = DatagramTransport::new(Rc::clone(self), key);
        let mut delivered = 0;
        for datagram in (first..batch.len()).filter_map(|index| batch.get(index)) {
            if !self.ask_port(key, |port| port.is_reading()) {
                break;
            }
            delivered += 1;
            self.contain_port(key, place, &mut *protocol, |protocol| tell(protocol, &transport, &datagram));
        }
        self.check_in_port(key, protocol);
        delivered
    }

    /// Lists a socket that has something to read and wants it.
    pub(super) fn go_on_with_datagrams(&self, key: Key) {
        let list = self.ask_port(key, |port| {
            let has = port.state.input || port.kept.is_some();
            let list = has && port.is_reading() && !port.state.listed;
            port.state.listed |= list;
            list
        });
        if list {
            self.list(key);
        }
    }

    pub(crate) fn pause_datagrams(&self, key: Key) {
        self.port(key, |port| port.state.paused = true);
    }

    pub(crate) fn resume_datagrams(&self, key: Key) {
        self.port(key, |port| port.state.paused = false);
        self.go_on_with_datagrams(key);
    }

    // Calling protocols.

    fn check_out_port(&self, key: Key) -> Option<(Box<dyn DatagramProtocol>, &'static Location<'static>)> {
        self.port(key, |port| Some((port.protocol.take()?, port.place)))?
    }

    /// Puts a protocol back, and sends what it wrote.
    fn check_in_port(self: &Rc<Self>, key: Key, protocol: Box<dyn DatagramProtocol>) {
        let mut protocol = Some(protocol);
        let has_output = self.ask_port(key, |port| {
            port.protocol = protocol.take();
            port.queue.is_some()
        });
        self.contained(move || drop(protocol));
        if has_output {
            self.flush_datagrams(key);
        }
    }

    /// Calls a protocol from the loop.
    pub(super) fn call_port(
        self: &Rc<Self>,
        key: Key,
        call: impl FnOnce(&mut dyn DatagramProtocol, &DatagramTransport),
    ) {
        let Some((mut protocol, place)) = self.check_out_port(key) else { return };
        let transport = DatagramTransport::new(Rc::clone(self), key);
        self.contain_port(key, place, &mut *protocol, |protocol| call(protocol, &transport));
        self.check_in_port(key, protocol);
    }

    /// A panic is reported, and the protocol goes on with what comes next.
    fn contain_port(
        &self,
        key: Key,
        place: &'static Location<'static>,
        protocol: &mut dyn DatagramProtocol,
        call: impl FnOnce(&mut dyn DatagramProtocol),
    ) {
        let name = protocol.type_name(Internal);
        let ran = || contain(|| call(protocol));
        let what = || {
            let named = self.port(key, |port| port.name(key, Some(name)));
            format!("a callback of {}", named.unwrap_or_else(|| name.to_owned()))
        };
        if let Err(panic) = self.timed(ran, what) {
            self.report_panic(panic, place);
        }
    }

    /// The protocol says that it failed.
    pub(crate) fn datagrams_failed(self: &Rc<Self>, key: Key, error: Box<dyn Error + Send + Sync>) {
        let name = self.port(key, |port| port.name(key, None));
        let failure =
            Failure::unobserved(error, name.unwrap_or_else(|| "a datagram socket that is gone".into()));
        let shell = Rc::clone(self);
        self.push(Entry::Call(Callback::new(move || shell.report(&failure), Location::caller())));
    }

    // Visits.

    /// Has the protocol told, from the ready queue, what there is to tell.
    pub(super) fn visit_later(self: &Rc<Self>, key: Key) {
        if self.ask_port(key, |port| !std::mem::replace(&mut port.state.visit, true)) {
            let shell = Rc::clone(self);
            self.push(Entry::Call(Callback::new(move || shell.visit(key), Location::caller())));
        }
    }

    fn visit(self: &Rc<Self>, key: Key) {
        self.port(key, |port| port.state.visit = false);
        self.tell_port_made(key);
        // Whoever answers an error with a send may cause the next one: that has its turn in a later visit.
        let errors = self.port(key, |port| port.errors.len()).unwrap_or(0);
        for _ in 0..errors {
            let Some(error) = self.port(key, Port::next_error).flatten() else { break };
            self.call_port(key, |protocol, transport| protocol.error_received(transport, &error));
        }
        self.tell_flow(key);
        if self.ask_port(key, |port| port.state.closed) {
            self.tell_lost(key);
        }
    }

    /// `connection_made` comes before everything else.
    pub(super) fn tell_port_made(self: &Rc<Self>, key: Key) {
        if self.ask_port(key, |port| !std::mem::replace(&mut port.state.made, true)) {
            self.call_port(key, |protocol, transport| protocol.connection_made(transport));
        }
    }

    /// An error of something that was sent waits to be told.
    pub(super) fn note_error(self: &Rc<Self>, key: Key, error: io::Error) {
        self.port(key, |port| {
            if port.errors.len() < ERRORS {
                port.errors.push_back(error);
            }
        });
        self.visit_later(key);
    }
}

impl Port {
    /// The next error to tell. Nobody is told any after the end is certain.
    fn next_error(&mut self) -> Option<io::Error> {
        if self.state.lost {
            self.errors.clear();
        }
        self.errors.pop_front()
    }
}

fn tell(protocol: &mut dyn DatagramProtocol, transport: &DatagramTransport, datagram: &Datagram<'_>) {
    if datagram.is_cut {
        let text = format!("a datagram was longer than {} bytes, and is lost", datagram.bytes.len());
        protocol.error_received(transport, &io::Error::new(io::ErrorKind::InvalidData, text));
    } else {
        protocol.datagram_received(transport, datagram.bytes, datagram.sender);
    }
}
