//! A protocol with a policy around it: the one place that forwards callbacks.

use std::os::fd::OwnedFd;

use super::{Event, Policy};
use crate::lost::Lost;
use crate::protocol::{Internal, OnEof, Protocol};
use crate::transport::Transport;

/// A protocol with a [`Policy`] around it. Every callback is forwarded, those that are optional too.
///
/// Debug mode and dumps show the name of the protocol inside.
#[derive(Debug)]
pub struct Wrapper<Q, P> {
    policy: Q,
    protocol: P,
}

impl<Q: Policy, P: Protocol> Wrapper<Q, P> {
    /// Puts a policy around a protocol.
    pub const fn with(policy: Q, protocol: P) -> Self {
        Self { policy, protocol }
    }

    /// The policy.
    pub fn policy_mut(&mut self) -> &mut Q {
        &mut self.policy
    }

    /// The protocol inside.
    pub fn get_mut(&mut self) -> &mut P {
        &mut self.protocol
    }

    fn around<R>(&mut self, transport: &Transport, event: Event<'_>, call: impl FnOnce(&mut P) -> R) -> R {
        self.policy.before(transport, event);
        let answer = call(&mut self.protocol);
        self.policy.after(transport, event);
        answer
    }
}

impl<Q: Policy, P: Protocol> Protocol for Wrapper<Q, P> {
    fn connection_made(&mut self, transport: &Transport) {
        self.around(transport, Event::Made, |protocol| protocol.connection_made(transport));
    }

    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        self.around(transport, Event::Received(data), |protocol| protocol.data_received(transport, data));
    }

    /// The bytes that it came with are an event; it is none of its own.
    fn descriptor_received(&mut self, transport: &Transport, descriptor: OwnedFd) {
        self.protocol.descriptor_received(transport, descriptor);
    }

    fn receive_buffer(&mut self) -> Option<&mut [u8]> {
        self.protocol.receive_buffer()
    }

    fn buffer_filled(&mut self, transport: &Transport, count: usize) {
        self.around(transport, Event::Filled(count), |protocol| protocol.buffer_filled(transport, count));
    }

    fn readable(&mut self, transport: &Transport) -> bool {
        self.policy.needs_no_input() && self.protocol.readable(transport)
    }

    fn eof_received(&mut self, transport: &Transport) -> OnEof {
        self.around(transport, Event::Eof, |protocol| protocol.eof_received(transport))
    }

    fn pause_writing(&mut self, transport: &Transport) {
        self.around(transport, Event::PauseWriting, |protocol| protocol.pause_writing(transport));
    }

    fn resume_writing(&mut self, transport: &Transport) {
        self.around(transport, Event::ResumeWriting, |protocol| protocol.resume_writing(transport));
    }

    fn drained(&mut self, transport: &Transport) {
        self.around(transport, Event::Drained, |protocol| protocol.drained(transport));
    }

    fn peer_closed(&mut self, transport: &Transport) {
        self.around(transport, Event::PeerClosed, |protocol| protocol.peer_closed(transport));
    }

    fn filter_established(&mut self, transport: &Transport) {
        self.around(transport, Event::Established, |protocol| protocol.filter_established(transport));
    }

    fn give_back(&mut self) -> Vec<u8> {
        self.protocol.give_back()
    }

    fn connection_lost(&mut self, transport: &Transport, lost: &Lost) {
        self.around(transport, Event::Lost(lost), |protocol| protocol.connection_lost(transport, lost));
    }

    fn replaced(&mut self) -> Vec<u8> {
        self.policy.replaced();
        self.protocol.replaced()
    }

    fn type_name(&self, internal: Internal) -> &'static str {
        self.protocol.type_name(internal)
    }
}
