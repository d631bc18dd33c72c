//! Datagram sockets in the network: where they are bound, and what becomes of what is sent to them.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::listeners::{loopback, overlap, specified};
use super::state::{FIRST_EPHEMERAL, Id, Notice, Owner, State};
use crate::address::{Address, UnixAddress};
use crate::backend::{Completion, DatagramOptions};
use crate::choice::ChoiceKind;

/// What becomes of datagrams on their way, where nothing promises that they arrive (on UNIX sockets all do, in order).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivery {
    /// All arrive, in order, unless the receiver has no room. The tame default.
    #[default]
    InOrder,
    /// [`Choices`](crate::Choices) decide: most arrive; one in eight is lost, one arrives twice, and one overtakes others.
    Chosen,
}

/// One datagram socket.
#[derive(Debug)]
pub(super) struct Mailbox {
    pub(super) owner: Owner,
    pub(super) local: Address,
    pub(super) peer: Option<Address>,
    /// Others may be bound here too, if they also say so.
    is_shared: bool,
    pub(super) broadcasts: bool,
    pub(super) groups: Vec<IpAddr>,
    /// Whether what it sends to a group comes back to this network, which is one machine.
    pub(super) loops: bool,
    pub(super) arrived: VecDeque<(Vec<u8>, Address)>,
    /// How many bytes have arrived.
    size: usize,
    pub(super) errors: VecDeque<ErrorKind>,
    pub(super) notice: Notice,
    /// Those who wait for room here.
    waiting: Vec<Id>,
}

/// What became of a datagram, as far as its sender learns.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Posted {
    Done,
    Refused(ErrorKind),
    /// The receiver has no room, and its sender waits.
    Full,
}

impl State {
    pub(super) fn open_mailbox(&mut self, owner: Owner, options: &DatagramOptions) -> io::Result<Id> {
        let is_shared = options.reuse_address || options.reuse_port;
        let local = match (&options.local, &options.peer) {
            (Some(local), _) => self.bind_mailbox(local, is_shared)?,
            (None, Some(Address::Inet(peer))) => {
                let any = SocketAddr::new(loopback(peer.ip()), 0);
                self.bind_mailbox(&Address::Inet(any), false)?
            }
            (None, Some(Address::Unix(_))) => UnixAddress::unnamed().into(),
            (None, _) => return Err(ErrorKind::InvalidInput.into()),
        };
        if let Some(peer @ Address::Unix(_)) = &options.peer {
            // Such a connect looks for somebody, as nothing crosses a network.
            self.receiver(peer, &local).ok_or(ErrorKind::ConnectionRefused)?;
        }
        self.sockets += usize::from(owner.is_backend());
        Ok(self.mailboxes.insert(Mailbox {
            owner,
            local,
            peer: options.peer.as_ref().map(reachable),
            is_shared,
            broadcasts: options.broadcast,
            groups: Vec::new(),
            loops: true,
            arrived: VecDeque::new(),
            size: 0,
            errors: VecDeque::new(),
            notice: Notice::new(),
            waiting: Vec::new(),
        }))
    }

    fn bind_mailbox(&mut self, wanted: &Address, is_shared: bool) -> io::Result<Address> {
        let local = match wanted {
            Address::Inet(address) => Address::Inet(self.bind_mailbox_port(*address)?),
            Address::Unix(name) if !name.is_unnamed() => wanted.clone(),
            _ => return Err(ErrorKind::InvalidInput.into()),
        };
        let is_taken = self.mailboxes.values().any(|other| {
            let both_share = is_shared && other.is_shared;
            !both_share && are_same_place(&other.local, &local)
        });
        if is_taken { Err(ErrorKind::AddrInUse.into()) } else { Ok(local) }
    }

    fn bind_mailbox_port(&mut self, mut address: SocketAddr) -> io::Result<SocketAddr> {
        if !(self.is_local(address.ip()) || address.ip().is_multicast()) {
            return Err(ErrorKind::AddrNotAvailable.into());
        }
        if address.port() == 0 {
            address.set_port(self.free_mailbox_port()?);
        }
        Ok(address)
    }

    fn free_mailbox_port(&mut self) -> io::Result<u16> {
        for _ in FIRST_EPHEMERAL..=u16::MAX {
            let port = self.next_port;
            self.next_port = port.checked_add(1).unwrap_or(FIRST_EPHEMERAL);
            let mut ports = self.mailboxes.values().filter_map(|other| other.local.as_inet());
            if !ports.any(|other| other.port() == port) {
                return Ok(port);
            }
        }
        Err(ErrorKind::AddrInUse.into())
    }

    pub(super) fn remove_mailbox(&mut self, id: Id) {
        let Some(mailbox) = self.mailboxes.remove(id) else { return };
        self.sockets -= usize::from(mailbox.owner.is_backend());
        self.tell_waiting(mailbox.waiting);
    }

    /// Sends a datagram.
    pub(super) fn post(&mut self, from: Id, bytes: &[u8], target: Option<&Address>) -> Posted {
        let Some(sender) = self.mailboxes.get(from) else { return Posted::Refused(ErrorKind::NotConnected) };
        let Some(target) = target.map(reachable).or_else(|| sender.peer.clone()) else {
            return Posted::Refused(ErrorKind::NotConnected);
        };
        let (source, is_connected) = (reachable(&sender.local), sender.peer.is_some());
        if let Some(receivers) = self.many_receivers(from, &target) {
            let Some(receivers) = receivers else { return Posted::Refused(ErrorKind::PermissionDenied) };
            receivers.into_iter().for_each(|receiver| self.send_off(receiver, bytes, &source));
            return Posted::Done;
        }
        let is_unix = target.as_unix().is_some();
        match self.receiver(&target, &source) {
            Some(receiver) if is_unix => self.hand_over(from, receiver, bytes, &source),
            Some(receiver) => {
                self.send_off(receiver, bytes, &source);
                Posted::Done
            }
            None if is_unix => Posted::Refused(ErrorKind::ConnectionRefused),
            // The network's answer comes back to whoever is connected.
            None if is_connected => {
                self.refuse_mail(from);
                Posted::Done
            }
            None => Posted::Done,
        }
    }

    /// Those that a group's or a broadcast address stands for. `None` for one that stands for one receiver, `Some(None)` if
    /// the sender may not.
    #[allow(clippy::option_option)]
    fn many_receivers(&self, from: Id, target: &Address) -> Option<Option<Vec<Id>>> {
        let target = target.as_inet()?;
        let is_broadcast = target.ip() == IpAddr::V4(Ipv4Addr::BROADCAST);
        if !(is_broadcast || target.ip().is_multicast()) {
            return None;
        }
        let sender = self.mailboxes.get(from)?;
        if is_broadcast && !sender.broadcasts {
            return Some(None);
        }
        let hears = |mailbox: &Mailbox| {
            let has_port = mailbox.local.as_inet().is_some_and(|local| local.port() == target.port());
            has_port && (is_broadcast || (sender.loops && mailbox.groups.contains(&target.ip())))
        };
        let ids = self.mailboxes.keys().into_iter();
        Some(Some(ids.filter(|id| self.mailboxes.get(*id).is_some_and(hears)).collect()))
    }

    /// Who gets what is sent to `target`: whoever is connected with the sender comes first.
    fn receiver(&self, target: &Address, source: &Address) -> Option<Id> {
        let hears = |id: &Id| {
            self.mailboxes.get(*id).is_some_and(|mailbox| {
                let is_peer = mailbox.peer.as_ref().is_none_or(|peer| peer == source);
                is_peer && are_same_place(&mailbox.local, target)
            })
        };
        let candidates: Vec<Id> = self.mailboxes.keys().into_iter().filter(hears).collect();
        let is_connected = |id: &&Id| self.mailboxes.get(**id).is_some_and(|mailbox| mailbox.peer.is_some());
        if let Some(connected) = candidates.iter().find(is_connected) {
            return Some(*connected);
        }
        let fair = self.choices.choose(ChoiceKind::Fairness, candidates.len());
        candidates.get(fair).copied()
    }

    /// On one machine nothing is lost: without room the sender waits.
    fn hand_over(&mut self, from: Id, to: Id, bytes: &[u8], source: &Address) -> Posted {
        let capacity = self.capacity;
        let Some(mailbox) = self.mailboxes.get_mut(to) else { return Posted::Done };
        if !mailbox.has_room(bytes.len(), capacity) {
            mailbox.waiting.push(from);
            return Posted::Full;
        }
        let place = mailbox.arrived.len();
        self.arrive_mail(to, bytes, source, place);
        Posted::Done
    }

    /// Lets chance decide what becomes of a datagram, if it may.
    fn send_off(&mut self, to: Id, bytes: &[u8], source: &Address) {
        let fate = match self.delivery {
            Delivery::InOrder => 0,
            Delivery::Chosen => self.choices.choose(ChoiceKind::Datagram, 8),
        };
        let count = match fate {
            1 => 0,
            2 => 2,
            _ => 1,
        };
        for _ in 0..count {
            let waiting = self.mailboxes.get(to).map_or(0, |mailbox| mailbox.arrived.len());
            let ahead = if fate == 3 { self.choices.choose(ChoiceKind::Datagram, waiting + 1) } else { 0 };
            self.arrive_mail(to, bytes, source, waiting - ahead);
        }
    }

    /// A datagram arrives, behind so many others. Without room it is lost.
    fn arrive_mail(&mut self, to: Id, bytes: &[u8], source: &Address, place: usize) {
        let capacity = self.capacity;
        let Some(mailbox) = self.mailboxes.get_mut(to) else { return };
        if !mailbox.has_room(bytes.len(), capacity) {
            return;
        }
        mailbox.size += bytes.len();
        mailbox.arrived.insert(place, (bytes.to_vec(), source.clone()));
        self.raise_mail(to);
    }

    fn refuse_mail(&mut self, to: Id) {
        if let Some(mailbox) = self.mailboxes.get_mut(to) {
            mailbox.errors.push_back(ErrorKind::ConnectionRefused);
            self.raise_mail(to);
        }
    }

    fn raise_mail(&mut self, id: Id) {
        let Some(mailbox) = self.mailboxes.get_mut(id) else { return };
        let owner = mailbox.owner;
        if owner.is_backend() && mailbox.notice.raise(false) {
            self.tell(owner, Completion::Input);
        }
    }

    /// Takes the oldest datagram.
    pub(super) fn take_mail(&mut self, id: Id) -> Option<(Vec<u8>, Address)> {
        let mailbox = self.mailboxes.get_mut(id)?;
        let taken = mailbox.arrived.pop_front()?;
        mailbox.size -= taken.0.len();
        let waiting = std::mem::take(&mut mailbox.waiting);
        self.tell_waiting(waiting);
        Some(taken)
    }

    fn tell_waiting(&mut self, waiting: Vec<Id>) {
        for id in waiting {
            if let Some(owner) = self.mailboxes.get(id).map(|mailbox| mailbox.owner) {
                self.tell(owner, Completion::Output);
            }
        }
    }
}

impl Mailbox {
    /// What would never fit has room where nothing else is.
    fn has_room(&self, len: usize, capacity: usize) -> bool {
        self.arrived.is_empty() || self.size + len <= capacity
    }
}

/// Whether what is sent to `target` comes to whoever is bound to `local`.
fn are_same_place(local: &Address, target: &Address) -> bool {
    match (local, target) {
        (Address::Inet(local), Address::Inet(target)) => {
            local.port() == target.port() && overlap(local.ip(), target.ip())
        }
        (Address::Unix(local), Address::Unix(target)) => !local.is_unnamed() && local == target,
        _ => false,
    }
}

/// The unspecified address reaches the machine itself, as on Linux.
fn reachable(address: &Address) -> Address {
    match address {
        Address::Inet(address) => Address::Inet(specified(*address)),
        other => other.clone(),
    }
}
