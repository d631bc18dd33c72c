//! Datagram sockets, which a readiness multiplexer watches, as it does foreign sources.
//!
//! The calls that move many datagrams at once have no counterpart in a ring: an operation of the ring's moves one datagram, and
//! a completion tells of each. So a call of its own, for up to 64 of them, costs less than 64 entries do.

use std::io;

use super::{Object, Uring};
use crate::address::Address;
use crate::backend::datagram::DatagramSocket;
use crate::backend::object::unknown;
use crate::backend::{
    DatagramBackend, DatagramChange, DatagramOpened, DatagramOptions, DatagramQueue, Datagrams,
    ListenOptions, ReceivedDatagrams, Room, SentDatagrams,
};
use crate::key::Key;

impl DatagramBackend for Uring {
    fn open_datagram(&mut self, key: Key, options: &DatagramOptions) -> io::Result<DatagramOpened> {
        self.foreign()?;
        let poller = self.foreign.as_deref().ok_or_else(unknown)?;
        let (socket, opened) = DatagramSocket::open(options, key, poller, &mut self.calls)?;
        self.table.insert(key, Object::Datagram(Box::new(socket)));
        Ok(opened)
    }

    fn listen_packets(
        &mut self,
        key: Key,
        address: &Address,
        options: &ListenOptions,
    ) -> io::Result<Address> {
        self.foreign()?;
        let poller = self.foreign.as_deref().ok_or_else(unknown)?;
        let (listener, local) = DatagramSocket::listen(address, options, key, poller, &mut self.calls)?;
        self.table.insert(key, Object::Datagram(Box::new(listener)));
        Ok(local)
    }

    fn accept_packets(&mut self, listener: Key, key: Key) -> io::Result<Option<DatagramOpened>> {
        let poller = self.foreign.as_deref().ok_or_else(unknown)?;
        let listener = self.table.datagram(listener).ok_or_else(unknown)?;
        let Some((socket, opened)) = listener.accept(key, poller, &mut self.calls)? else { return Ok(None) };
        self.table.insert(key, Object::Datagram(Box::new(socket)));
        Ok(Some(opened))
    }

    fn receive_datagrams(&mut self, key: Key, at_most: usize) -> ReceivedDatagrams {
        match self.table.datagram(key) {
            Some(socket) => socket.receive(at_most, &mut self.desk, &mut self.calls),
            None => ReceivedDatagrams::Failed(unknown()),
        }
    }

    fn release_datagrams(&mut self, batch: Box<Datagrams>) {
        self.desk.give_back(batch);
    }

    fn send_datagrams(&mut self, key: Key, queue: &DatagramQueue) -> SentDatagrams {
        match (self.table.datagram(key), self.foreign.as_deref()) {
            (Some(socket), Some(poller)) => socket.send(queue, key, poller, &mut self.calls),
            _ => SentDatagrams { done: queue.len(), error: Some(unknown()), room: Room::Some },
        }
    }

    fn change_datagram(&mut self, key: Key, change: &DatagramChange) -> io::Result<()> {
        let socket = self.table.datagram(key).ok_or_else(unknown)?;
        socket.change(change, &mut self.calls)
    }
}
