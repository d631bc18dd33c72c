//! Datagrams: batches are split, calls denied, and nothing is lost or doubled that the backend below does not lose.

use std::io;

use marline_reactor::backend::{
    Backend, Completion, DatagramBackend, DatagramChange, DatagramOpened, DatagramOptions, DatagramQueue,
    Datagrams, ListenOptions, ReceivedDatagrams, Room, SentDatagrams,
};
use marline_reactor::{Address, ChoiceKind, Key};

use super::Adversary;

impl<B: Backend> Adversary<B> {
    fn below(&mut self) -> io::Result<&mut dyn DatagramBackend> {
        self.inner.datagrams().ok_or_else(|| io::ErrorKind::Unsupported.into())
    }

    /// Whether to say that there is nothing; never twice in a row.
    fn denies_datagrams(&mut self, key: Key) -> bool {
        let denied = self.datagrams.get(&key) == Some(&true);
        let denies = !denied && self.happens(ChoiceKind::Postpone, 8);
        self.datagrams.insert(key, denies);
        denies
    }
}

impl<B: Backend> DatagramBackend for Adversary<B> {
    fn open_datagram(&mut self, key: Key, options: &DatagramOptions) -> io::Result<DatagramOpened> {
        self.promises.stands(key);
        let opened = self.below()?.open_datagram(key, options)?;
        self.datagrams.insert(key, false);
        Ok(opened)
    }

    fn listen_packets(
        &mut self,
        key: Key,
        address: &Address,
        options: &ListenOptions,
    ) -> io::Result<Address> {
        self.promises.stands(key);
        let address = self.below()?.listen_packets(key, address, options)?;
        self.datagrams.insert(key, false);
        Ok(address)
    }

    fn accept_packets(&mut self, listener: Key, key: Key) -> io::Result<Option<DatagramOpened>> {
        self.promises.stands(listener);
        self.promises.stands(key);
        if self.denies_datagrams(listener) {
            self.announce_later(listener);
            return Ok(None);
        }
        let accepted = self.below()?.accept_packets(listener, key)?;
        if accepted.is_some() {
            self.datagrams.insert(key, false);
        }
        Ok(accepted)
    }

    fn receive_datagrams(&mut self, key: Key, at_most: usize) -> ReceivedDatagrams {
        self.promises.stands(key);
        assert!(at_most > 0, "{key:?} receives nothing");
        if self.denies_datagrams(key) {
            self.announce_later(key);
            return ReceivedDatagrams::Dry;
        }
        let at_most = self.part(ChoiceKind::ReceiveSize, at_most);
        let received = match self.below() {
            Ok(below) => below.receive_datagrams(key, at_most),
            Err(error) => ReceivedDatagrams::Failed(error),
        };
        if let ReceivedDatagrams::Batch(batch) = &received {
            assert!(!batch.is_empty(), "a batch of nothing");
            self.promises.lend();
        }
        received
    }

    fn release_datagrams(&mut self, batch: Box<Datagrams>) {
        self.promises.release();
        if let Ok(below) = self.below() {
            below.release_datagrams(batch);
        }
    }

    fn send_datagrams(&mut self, key: Key, queue: &DatagramQueue) -> SentDatagrams {
        self.promises.stands(key);
        assert!(!queue.is_empty(), "{key:?} sends nothing");
        let restrained = self.temper.sends_whole.get();
        if !restrained && self.happens(ChoiceKind::Postpone, 8) {
            let delay = self.delay().max(1);
            self.events.push(Completion::Output(key), delay);
            return SentDatagrams { done: 0, error: None, room: Room::None };
        }
        let count = if restrained { queue.len() } else { self.part(ChoiceKind::SendSize, queue.len()) };
        let mut part = DatagramQueue::default();
        queue.iter().take(count).for_each(|(bytes, target)| part.push(bytes, target));
        match self.below() {
            Ok(below) => below.send_datagrams(key, &part),
            Err(error) => SentDatagrams { done: queue.len(), error: Some(error), room: Room::Some },
        }
    }

    fn change_datagram(&mut self, key: Key, change: &DatagramChange) -> io::Result<()> {
        self.promises.stands(key);
        self.below()?.change_datagram(key, change)
    }
}
