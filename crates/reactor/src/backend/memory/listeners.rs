//! How connections come about: addresses, listeners, backlogs.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::state::{End, FIRST_EPHEMERAL, Id, Listener, Notice, Owner, Phase, State};
use crate::address::{Address, Addresses, UnixAddress};
use crate::backend::{Close, Completion};

impl State {
    /// Begins to listen, on any free port if `address` has port 0.
    pub(super) fn listen(
        &mut self,
        owner: Owner,
        address: &Address,
        backlog: usize,
        shared: bool,
    ) -> io::Result<(Id, Address)> {
        let address = self.bind(address, shared)?;
        let id = self.listeners.insert(Listener {
            owner,
            address: address.clone(),
            backlog: backlog.max(1),
            shared,
            carries_descriptors: false,
            waiting: VecDeque::new(),
            queue: VecDeque::new(),
            notice: Notice::new(),
        });
        match &address {
            Address::Inet(address) => self.ports.entry(address.port()).or_default().push(id),
            Address::Unix(name) => _ = self.names.insert(name.clone(), id),
            Address::Named(_) => {}
        }
        self.sockets += usize::from(owner.is_backend());
        Ok((id, address))
    }

    /// The address to listen on, if it is free.
    fn bind(&mut self, address: &Address, shared: bool) -> io::Result<Address> {
        match address {
            Address::Inet(address) => {
                let mut address = *address;
                if address.port() == 0 {
                    address.set_port(self.free_port()?);
                }
                let others = self.listeners_at(address.port(), |listener| {
                    listener.overlaps(address.ip()) && !(shared && listener.shared)
                });
                if !others.is_empty() {
                    return Err(ErrorKind::AddrInUse.into());
                }
                Ok(address.into())
            }
            Address::Unix(name) if name.is_unnamed() => Err(ErrorKind::InvalidInput.into()),
            Address::Unix(name) if self.names.contains_key(name) => Err(ErrorKind::AddrInUse.into()),
            Address::Unix(name) => Ok(name.clone().into()),
            Address::Named(_) => Err(ErrorKind::InvalidInput.into()),
        }
    }

    /// Whether a host of this network has that address.
    pub(super) fn is_local(&self, ip: IpAddr) -> bool {
        ip.is_loopback() || ip.is_unspecified() || self.hosts.values().flatten().any(|known| *known == ip)
    }

    /// Begins to connect, and tells the owner when it is done, or has failed.
    ///
    /// The error is about the address to connect from.
    pub(super) fn connect(&mut self, owner: Owner, to: &Address, from: Option<&Address>) -> io::Result<Id> {
        let ignored = self.ignored.contains(to);
        let peer = reached(to);
        let local = self.local_address(&peer, from)?;
        let both = Addresses { local, peer: peer.clone() };
        let id = self.ends.insert(End::new(owner, both, Phase::Connecting(None)));
        self.sockets += usize::from(owner.is_backend());
        if !ignored {
            self.reach_listener(id, &peer);
        }
        Ok(id)
    }

    /// Goes on with the connects to `address` that were left waiting.
    pub(super) fn reach_late(&mut self, address: &Address) {
        let to = reached(address);
        let is_late = |id: &Id| {
            let end = self.ends.get(*id);
            end.is_some_and(|end| end.phase == Phase::Connecting(None) && end.addresses.peer == to)
        };
        let late: Vec<Id> = self.ends.keys().into_iter().filter(is_late).collect();
        for id in late {
            self.reach_listener(id, &to);
        }
    }

    /// The listeners that a connect to `to` may reach.
    fn listeners_for(&self, to: &Address) -> Vec<Id> {
        match to {
            Address::Inet(to) => {
                let exact =
                    self.listeners_at(to.port(), |listener| listener.ip().is_some_and(|ip| ip == to.ip()));
                if !exact.is_empty() {
                    return exact;
                }
                self.listeners_at(to.port(), |listener| listener.overlaps(to.ip()))
            }
            Address::Unix(name) => self.names.get(name).copied().into_iter().collect(),
            Address::Named(_) => Vec::new(),
        }
    }

    fn reach_listener(&mut self, id: Id, to: &Address) {
        let candidates = self.listeners_for(to);
        let fair = self.choices.choose(crate::choice::ChoiceKind::Fairness, candidates.len());
        let Some(listener) = candidates.get(fair).copied() else {
            self.refuse(id);
            return;
        };
        if let Some(end) = self.ends.get_mut(id) {
            end.phase = Phase::Connecting(Some(listener));
        }
        if let Some(found) = self.listeners.get_mut(listener) {
            found.queue.push_back(id);
        }
        self.fill_backlog(listener);
    }

    fn listeners_at(&self, port: u16, wanted: impl Fn(&Listener) -> bool) -> Vec<Id> {
        let here = self.ports.get(&port).into_iter().flatten().copied();
        here.filter(|id| self.listeners.get(*id).is_some_and(&wanted)).collect()
    }

    /// Moves connects from the queue into the backlog, as far as there is room. The listener's end of each exists
    /// from then on, so bytes can be sent to it before it is accepted.
    fn fill_backlog(&mut self, listener: Id) {
        while let Some(found) = self.listeners.get_mut(listener) {
            if found.waiting.len() >= found.backlog {
                return;
            }
            let Some(client) = found.queue.pop_front() else {
                return;
            };
            self.establish(client, listener);
        }
    }

    fn establish(&mut self, client: Id, listener: Id) {
        let Some(end) = self.ends.get_mut(client) else {
            return;
        };
        let mut both = end.addresses.clone();
        std::mem::swap(&mut both.local, &mut both.peer);
        let server = self.ends.insert(End::new(Owner::Backlog, both, Phase::Open));
        if let Some(server) = self.ends.get_mut(server) {
            server.other = Some(client);
        }
        if let Some(end) = self.ends.get_mut(client) {
            end.other = Some(server);
            end.phase = Phase::Open;
            let owner = end.owner;
            self.tell(owner, |key| Completion::Connected(key, Ok(())));
        }
        if let Some(found) = self.listeners.get_mut(listener) {
            found.waiting.push_back(server);
            let (owner, raise) = (found.owner, found.notice.raise(false));
            if raise {
                self.tell(owner, Completion::Input);
            }
        }
    }

    fn refuse(&mut self, id: Id) {
        if let Some(end) = self.ends.get_mut(id) {
            end.phase = Phase::Refused;
            let owner = end.owner;
            self.tell(owner, |key| Completion::Connected(key, Err(ErrorKind::ConnectionRefused.into())));
        }
    }

    /// Gives the oldest connection in the backlog to `owner`.
    pub(super) fn accept(&mut self, listener: Id, owner: Owner) -> Option<Id> {
        let found = self.listeners.get_mut(listener)?;
        let carries_descriptors = found.carries_descriptors;
        let Some(id) = found.waiting.pop_front() else {
            found.notice.armed = true;
            return None;
        };
        self.fill_backlog(listener);
        self.sockets += usize::from(owner.is_backend());
        let end = self.ends.get_mut(id)?;
        end.owner = owner;
        end.carries_descriptors = carries_descriptors;
        if !end.incoming.is_empty() || end.incoming.is_ended() || end.is_broken() {
            self.raise(id, false);
        }
        Some(id)
    }

    /// Stops listening. Whoever waits to be accepted is reset, whoever waits for room is refused.
    pub(super) fn remove_listener(&mut self, id: Id) {
        let Some(listener) = self.listeners.remove(id) else {
            return;
        };
        self.sockets -= usize::from(listener.owner.is_backend());
        match &listener.address {
            Address::Inet(address) => self.free(address.port(), id),
            Address::Unix(name) => _ = self.names.remove(name),
            Address::Named(_) => {}
        }
        for end in listener.waiting {
            self.remove_end(end, Close::Reset);
        }
        for client in listener.queue {
            self.refuse(client);
        }
    }

    fn free(&mut self, port: u16, id: Id) {
        if let Some(ids) = self.ports.get_mut(&port) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.ports.remove(&port);
            }
        }
    }

    /// Where a connect to `to` comes from.
    fn local_address(&mut self, to: &Address, from: Option<&Address>) -> io::Result<Address> {
        match (to, from) {
            (Address::Inet(to), Some(Address::Inet(from))) => Ok(self.local_inet(*to, Some(*from))?.into()),
            (Address::Inet(to), None) => Ok(self.local_inet(*to, None)?.into()),
            (Address::Unix(_), None) => Ok(UnixAddress::unnamed().into()),
            (Address::Unix(_), Some(Address::Unix(from))) => Ok(from.clone().into()),
            _ => Err(ErrorKind::InvalidInput.into()),
        }
    }

    fn local_inet(&mut self, to: SocketAddr, from: Option<SocketAddr>) -> io::Result<SocketAddr> {
        let mut local = match from {
            Some(from) if from.is_ipv4() != to.is_ipv4() => return Err(ErrorKind::InvalidInput.into()),
            Some(from) if !self.is_local(from.ip()) => return Err(ErrorKind::AddrNotAvailable.into()),
            Some(from) => specified(from),
            None => SocketAddr::new(loopback(to.ip()), 0),
        };
        if local.port() == 0 {
            local.set_port(self.free_port()?);
        } else if self.is_taken(local) {
            return Err(ErrorKind::AddrInUse.into());
        }
        Ok(local)
    }

    fn is_taken(&self, local: SocketAddr) -> bool {
        let listens = |listener: &Listener| listener.overlaps(local.ip());
        let mut ends = self.ends.keys().into_iter();
        let connected = |id| {
            let local_of = self.ends.get(id).and_then(|end| end.addresses.local.as_inet());
            local_of == Some(local)
        };
        !self.listeners_at(local.port(), listens).is_empty() || ends.any(connected)
    }

    /// A port that nobody listens on. Connections may share one, because nothing tells them apart by it.
    fn free_port(&mut self) -> io::Result<u16> {
        for _ in FIRST_EPHEMERAL..=u16::MAX {
            let port = self.next_port;
            self.next_port = port.checked_add(1).unwrap_or(FIRST_EPHEMERAL);
            if !self.ports.contains_key(&port) {
                return Ok(port);
            }
        }
        Err(ErrorKind::AddrInUse.into())
    }
}

impl Listener {
    fn ip(&self) -> Option<IpAddr> {
        self.address.as_inet().map(|address| address.ip())
    }

    fn overlaps(&self, other: IpAddr) -> bool {
        self.ip().is_some_and(|one| overlap(one, other))
    }
}

pub(super) fn overlap(one: IpAddr, other: IpAddr) -> bool {
    one.is_ipv4() == other.is_ipv4() && (one == other || one.is_unspecified() || other.is_unspecified())
}

pub(super) fn loopback(like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    }
}

/// A connect to the unspecified address reaches the machine itself, as on Linux.
fn reached(to: &Address) -> Address {
    to.as_inet().map_or_else(|| to.clone(), |to| specified(to).into())
}

pub(super) fn specified(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(loopback(address.ip()));
    }
    address
}
