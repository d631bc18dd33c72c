//! Datagram sockets whose operations fail as the test says.

use std::io;

use marline_reactor::backend::{
    Backend, DatagramBackend, DatagramChange, DatagramOpened, DatagramOptions, DatagramQueue, Datagrams,
    ListenOptions, ReceivedDatagrams, Room, SentDatagrams,
};
use marline_reactor::{Address, Key};

use super::faulty::Faulty;

impl<B: Backend> Faulty<B> {
    fn below(&mut self) -> io::Result<&mut dyn DatagramBackend> {
        self.inner.datagrams().ok_or_else(|| io::ErrorKind::Unsupported.into())
    }
}

/// What fails is the first datagram of a call. `WouldBlock` means that the system is short of memory.
impl<B: Backend> DatagramBackend for Faulty<B> {
    fn open_datagram(&mut self, key: Key, options: &DatagramOptions) -> io::Result<DatagramOpened> {
        self.below()?.open_datagram(key, options)
    }

    fn listen_packets(
        &mut self,
        key: Key,
        address: &Address,
        options: &ListenOptions,
    ) -> io::Result<Address> {
        self.below()?.listen_packets(key, address, options)
    }

    fn accept_packets(&mut self, listener: Key, key: Key) -> io::Result<Option<DatagramOpened>> {
        self.below()?.accept_packets(listener, key)
    }

    fn receive_datagrams(&mut self, key: Key, at_most: usize) -> ReceivedDatagrams {
        if let Some(error) = self.faults.next_receive() {
            return ReceivedDatagrams::Failed(error);
        }
        match self.below() {
            Ok(below) => below.receive_datagrams(key, at_most),
            Err(error) => ReceivedDatagrams::Failed(error),
        }
    }

    fn release_datagrams(&mut self, batch: Box<Datagrams>) {
        if let Ok(below) = self.below() {
            below.release_datagrams(batch);
        }
    }

    fn send_datagrams(&mut self, key: Key, queue: &DatagramQueue) -> SentDatagrams {
        match self.faults.next_send() {
            Some(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return SentDatagrams { done: 0, error: None, room: Room::Unknown };
            }
            Some(error) => return SentDatagrams { done: 1, error: Some(error), room: Room::Some },
            None => {}
        }
        if self.faults.holds_datagrams(key) {
            return SentDatagrams { done: 0, error: None, room: Room::None };
        }
        match self.below() {
            Ok(below) => below.send_datagrams(key, queue),
            Err(error) => SentDatagrams { done: queue.len(), error: Some(error), room: Room::Some },
        }
    }

    fn change_datagram(&mut self, key: Key, change: &DatagramChange) -> io::Result<()> {
        self.below()?.change_datagram(key, change)
    }
}
