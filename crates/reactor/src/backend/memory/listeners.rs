//! How connections come about: addresses, listeners, backlogs.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::state::{End, FIRST_EPHEMERAL, Id, Listener, Notice, Owner, Phase, State, addresses};
use crate::backend::{Close, Completion};

impl State {
    /// Begins to listen, on any free port if `address` has port 0.
    pub(super) fn listen(
        &mut self,
        owner: Owner,
        mut address: SocketAddr,
        backlog: usize,
        shared: bool,
    ) -> io::Result<(Id, SocketAddr)> {
        if address.port() == 0 {
            address.set_port(self.free_port()?);
        }
        let free = self.listeners_at(address.port(), |listener| {
            overlap(listener.address.ip(), address.ip()) && !(shared && listener.shared)
        });
        if !free.is_empty() {
            return Err(ErrorKind::AddrInUse.into());
        }
        let id = self.listeners.insert(Listener {
            owner,
            address,
            backlog: backlog.max(1),
            shared,
            waiting: VecDeque::new(),
            queue: VecDeque::new(),
            notice: Notice::new(),
        });
        self.ports.entry(address.port()).or_default().push(id);
        self.sockets += usize::from(owner.is_backend());
        Ok((id, address))
    }

    /// Whether a host of this network has that address.
    pub(super) fn is_local(&self, ip: IpAddr) -> bool {
        ip.is_loopback() || ip.is_unspecified() || self.hosts.values().flatten().any(|known| *known == ip)
    }

    /// Begins to connect, and tells the owner when it is done, or has failed.
    ///
    /// The error is about the address to connect from.
    pub(super) fn connect(
        &mut self,
        owner: Owner,
        to: SocketAddr,
        from: Option<SocketAddr>,
    ) -> io::Result<Id> {
        let ignored = self.ignored.contains(&to);
        // A connect to the unspecified address reaches the machine itself, as on Linux.
        let to = specified(to);
        let local = self.local_address(to, from)?;
        let id = self.ends.insert(End::new(owner, addresses(local, to), Phase::Connecting(None)));
        self.sockets += usize::from(owner.is_backend());
        if !ignored {
            self.reach_listener(id, to);
        }
        Ok(id)
    }

    fn reach_listener(&mut self, id: Id, to: SocketAddr) {
        let mut candidates = self.listeners_at(to.port(), |listener| listener.address.ip() == to.ip());
        if candidates.is_empty() {
            candidates = self.listeners_at(to.port(), |listener| overlap(listener.address.ip(), to.ip()));
        }
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
        let Some(id) = found.waiting.pop_front() else {
            found.notice.armed = true;
            return None;
        };
        self.fill_backlog(listener);
        self.sockets += usize::from(owner.is_backend());
        let end = self.ends.get_mut(id)?;
        end.owner = owner;
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
        if let Some(ids) = self.ports.get_mut(&listener.address.port()) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.ports.remove(&listener.address.port());
            }
        }
        for end in listener.waiting {
            self.remove_end(end, Close::Reset);
        }
        for client in listener.queue {
            self.refuse(client);
        }
    }

    /// Where a connect to `to` comes from.
    fn local_address(&mut self, to: SocketAddr, from: Option<SocketAddr>) -> io::Result<SocketAddr> {
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
        let listens = |listener: &Listener| overlap(listener.address.ip(), local.ip());
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

pub(super) fn overlap(one: IpAddr, other: IpAddr) -> bool {
    one.is_ipv4() == other.is_ipv4() && (one == other || one.is_unspecified() || other.is_unspecified())
}

pub(super) fn loopback(like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    }
}

pub(super) fn specified(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(loopback(address.ip()));
    }
    address
}
