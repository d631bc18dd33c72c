//! The operations on datagram sockets.

use std::io::{self, ErrorKind};

use super::Memory;
use super::mailbox::Posted;
use super::sockets::Kind;
use crate::address::Address;
use crate::backend::{
    DatagramBackend, DatagramChange, DatagramOpened, DatagramOptions, DatagramQueue, Datagrams,
    ReceivedDatagrams, Room, SentDatagrams,
};
use crate::choice::ChoiceKind;
use crate::key::Key;

/// The largest datagram, as UDP over IPv4 and over IPv6 has it.
const LARGEST_4: usize = 65_507;
const LARGEST_6: usize = 65_527;

impl DatagramBackend for Memory {
    fn open_datagram(&mut self, key: Key, options: &DatagramOptions) -> io::Result<DatagramOpened> {
        let owner = self.owner(key);
        let mut state = self.network.state();
        let id = state.open_mailbox(owner, options)?;
        self.sockets.insert(key, id, Kind::Datagram);
        self.calls.registrations += 1;
        let mailbox = state.mailboxes.get(id).ok_or(ErrorKind::NotConnected)?;
        let local = mailbox.local.clone();
        let is_ipv6 = matches!(&local, Address::Inet(address) if address.is_ipv6());
        let largest = if is_ipv6 { LARGEST_6 } else { LARGEST_4 };
        Ok(DatagramOpened { local, peer: options.peer.clone(), largest })
    }

    fn receive_datagrams(&mut self, key: Key, at_most: usize) -> ReceivedDatagrams {
        let Some(id) = self.sockets.datagram(key) else {
            return ReceivedDatagrams::Failed(ErrorKind::NotConnected.into());
        };
        self.calls.receives += 1;
        let mut state = self.network.state();
        let chunking = state.chunking;
        let Some(mailbox) = state.mailboxes.get_mut(id) else { return ReceivedDatagrams::Dry };
        if let Some(error) = mailbox.errors.pop_front() {
            return ReceivedDatagrams::Failed(error.into());
        }
        let there = mailbox.arrived.len().min(at_most);
        if there == 0 {
            mailbox.notice.armed = true;
            return ReceivedDatagrams::Dry;
        }
        let mut batch = self.batch.take().unwrap_or_default();
        for _ in 0..chunking.count(there, ChoiceKind::ReceiveSize, &self.choices) {
            if let Some((bytes, sender)) = state.take_mail(id) {
                batch.push(&bytes, &sender);
            }
        }
        ReceivedDatagrams::Batch(batch)
    }

    fn release_datagrams(&mut self, mut batch: Box<Datagrams>) {
        batch.clear();
        self.batch = Some(batch);
    }

    fn send_datagrams(&mut self, key: Key, queue: &DatagramQueue) -> SentDatagrams {
        self.calls.sends += 1;
        let Some(id) = self.sockets.datagram(key) else {
            let error = Some(ErrorKind::NotConnected.into());
            return SentDatagrams { done: queue.len(), error, room: Room::Some };
        };
        let mut state = self.network.state();
        let count = state.chunking.count(queue.len(), ChoiceKind::SendSize, &self.choices);
        let mut sent = SentDatagrams { done: 0, error: None, room: Room::Some };
        for (bytes, target) in queue.iter().take(count) {
            match state.post(id, bytes, target) {
                Posted::Done => sent.done += 1,
                Posted::Refused(kind) => {
                    sent.done += 1;
                    sent.error = Some(kind.into());
                    break;
                }
                Posted::Full => {
                    sent.room = Room::None;
                    break;
                }
            }
        }
        sent
    }

    fn change_datagram(&mut self, key: Key, change: &DatagramChange) -> io::Result<()> {
        let id = self.sockets.datagram(key).ok_or(ErrorKind::NotConnected)?;
        let mut state = self.network.state();
        let mailbox = state.mailboxes.get_mut(id).ok_or(ErrorKind::NotConnected)?;
        match *change {
            DatagramChange::Broadcast(on) => mailbox.broadcasts = on,
            DatagramChange::MulticastLoop(on) => mailbox.loops = on,
            DatagramChange::Membership(membership) => {
                let place = mailbox.groups.iter().position(|group| *group == membership.group);
                match (membership.joins, place) {
                    (true, None) => mailbox.groups.push(membership.group),
                    (false, Some(place)) => drop(mailbox.groups.remove(place)),
                    (true, Some(_)) => return Err(ErrorKind::AddrInUse.into()),
                    (false, None) => return Err(ErrorKind::AddrNotAvailable.into()),
                }
            }
            // As IP has it: a number of eight bits.
            DatagramChange::MulticastTtl(ttl) if ttl > 255 => return Err(ErrorKind::InvalidInput.into()),
            // This network is one machine with one interface.
            DatagramChange::MulticastTtl(_) | DatagramChange::MulticastInterface(_) => {}
        }
        Ok(())
    }
}
