//! A protocol that tells a test which connection it got.

use std::cell::Cell;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use marline_reactor::{Lost, OnEof, Protocol, Transport};

/// Tells the transport of the one connection to the test, then is what it wraps.
pub struct Announce<P> {
    pub inner: P,
    pub seen: Rc<Cell<Option<Transport>>>,
}

impl<P: Protocol> Protocol for Announce<P> {
    fn connection_made(&mut self, transport: &Transport) {
        self.seen.set(Some(transport.clone()));
        self.inner.connection_made(transport);
    }

    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        self.inner.data_received(transport, data);
    }

    fn descriptor_received(&mut self, transport: &Transport, descriptor: OwnedFd) {
        self.inner.descriptor_received(transport, descriptor);
    }

    fn receive_buffer(&mut self) -> Option<&mut [u8]> {
        self.inner.receive_buffer()
    }

    fn buffer_filled(&mut self, transport: &Transport, count: usize) {
        self.inner.buffer_filled(transport, count);
    }

    fn readable(&mut self, transport: &Transport) -> bool {
        self.inner.readable(transport)
    }

    fn eof_received(&mut self, transport: &Transport) -> OnEof {
        self.inner.eof_received(transport)
    }

    fn pause_writing(&mut self, transport: &Transport) {
        self.inner.pause_writing(transport);
    }

    fn resume_writing(&mut self, transport: &Transport) {
        self.inner.resume_writing(transport);
    }

    fn drained(&mut self, transport: &Transport) {
        self.inner.drained(transport);
    }

    fn peer_closed(&mut self, transport: &Transport) {
        self.inner.peer_closed(transport);
    }

    fn filter_established(&mut self, transport: &Transport) {
        self.inner.filter_established(transport);
    }

    fn give_back(&mut self) -> Vec<u8> {
        self.inner.give_back()
    }

    fn connection_lost(&mut self, transport: &Transport, lost: &Lost) {
        self.inner.connection_lost(transport, lost);
    }

    fn replaced(&mut self) -> Vec<u8> {
        self.inner.replaced()
    }
}
