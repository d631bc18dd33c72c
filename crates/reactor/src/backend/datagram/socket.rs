//! One datagram socket, and what is known about it without asking.
//!
//! It is registered edge-triggered with a readiness multiplexer, for input only. Each datagram that leaves would be an event
//! otherwise: the system tells of the room that it left (`sock_def_write_space`). Output is asked for while a send found no
//! room, and until all is sent.
//!
//! A call that brought fewer datagrams than it had room for has found that there are no more, so the next call is made only
//! after an event. Where the event told of an error that does not hold: the call stops at an error, too, which is told to the
//! next (recvmmsg(2)).

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use mio::event::Source;
use mio::unix::SourceFd;
use rustix::io::Errno;
use socket2::{InterfaceIndexOrAddress, SockRef, Type};

use super::calls::{self, Arrays, LastSender};
use super::{BATCH, DatagramChange, DatagramOpened, DatagramOptions, DatagramQueue, Datagrams};
use super::{Membership, MulticastInterface, ReceivedDatagrams, Room, SentDatagrams, one, open};
use crate::address::{Address, UnixAddress};
use crate::backend::bits::Bits;
use crate::backend::poller::{Event, Poller, due, says};
use crate::backend::socket::{SocketFile, is_shortage};
use crate::backend::{Completion, SystemCalls, token};
use crate::key::Key;

/// The memory for one datagram: more than the largest of UDP has, and no power of two, lest all of them lie in the same few
/// lines of the processor's cache.
const SLOT: usize = 64 * 1024 + 192;
/// The same for UNIX sockets, where the largest is what the sender's buffer holds; so many of them fit into the same memory.
const UNIX_SLOT: usize = 256 * 1024;

/// There may be something to receive.
pub(super) const READABLE: Bits = Bits::bit(0);
/// An event told of an error since the socket was found empty.
const SUSPECT: Bits = Bits::bit(1);
/// A send found no room, and an event is to tell of some.
const BLOCKED: Bits = Bits::bit(2);
/// It is registered for output as well.
const OUTPUT: Bits = Bits::bit(3);

/// What kind of socket it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Inet,
    Unix,
    /// One end of a connection that keeps records apart.
    Packets,
    /// A listener for those.
    Listener,
}

impl Kind {
    pub(super) fn of_socket(self) -> Type {
        match self {
            Self::Inet | Self::Unix => Type::DGRAM,
            Self::Packets | Self::Listener => Type::SEQPACKET,
        }
    }

    pub(super) fn of(address: &Address) -> io::Result<Self> {
        match address {
            Address::Inet(_) => Ok(Self::Inet),
            Address::Unix(_) => Ok(Self::Unix),
            Address::Named(_) => Err(io::ErrorKind::InvalidInput.into()),
        }
    }
}

/// How the memory of a batch is divided.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) slot: usize,
    pub(super) count: usize,
    /// Whether what is empty may be the end of a connection.
    pub(super) has_end: bool,
}

impl Layout {
    pub(super) fn size(self) -> usize {
        self.slot * self.count
    }
}

/// What all datagram sockets of a backend share: the memory that they receive into, and that of their calls. Nothing of it is
/// there before the first datagram is.
#[derive(Default)]
pub(in crate::backend) struct Desk {
    batch: Option<Box<Datagrams>>,
    arrays: Arrays,
}

impl Desk {
    pub(in crate::backend) fn give_back(&mut self, mut batch: Box<Datagrams>) {
        batch.clear();
        self.batch = Some(batch);
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

/// A datagram socket.
#[derive(Debug)]
pub(in crate::backend) struct DatagramSocket {
    pub(super) fd: OwnedFd,
    kind: Kind,
    /// Who has sent what has no sender.
    nameless: Address,
    last: LastSender,
    is_connected: bool,
    pub(super) state: Bits,
    /// Its file, if we made one: removed when this is dropped.
    _file: Option<SocketFile>,
}

impl DatagramSocket {
    /// Makes a socket that is registered with `poller`. On an error it is closed.
    pub(in crate::backend) fn open(
        options: &DatagramOptions,
        key: Key,
        poller: &Poller,
        calls: &mut SystemCalls,
    ) -> io::Result<(Self, DatagramOpened)> {
        let (fd, kind, opened, file) = open::open(options, calls)?;
        let socket = Self::register(fd, kind, &opened, file, key, poller, calls)?;
        Ok((socket, opened))
    }

    pub(super) fn register(
        fd: OwnedFd,
        kind: Kind,
        opened: &DatagramOpened,
        file: Option<SocketFile>,
        key: Key,
        poller: &Poller,
        calls: &mut SystemCalls,
    ) -> io::Result<Self> {
        let nameless = match (&opened.peer, kind) {
            (Some(peer), _) => peer.clone(),
            // Everybody has a name there.
            (None, Kind::Inet) => opened.local.clone(),
            (None, _) => UnixAddress::unnamed().into(),
        };
        let is_connected = opened.peer.is_some();
        let last = LastSender::default();
        let socket = Self { fd, kind, nameless, last, is_connected, state: Bits::NONE, _file: file };
        calls.registrations += 1;
        let mut source = SourceFd(&socket.fd.as_raw_fd());
        let registered = source.register(poller.registry(), token(key), mio::Interest::READABLE);
        calls.closes += u64::from(registered.is_err());
        registered.map(|()| socket)
    }

    #[cfg(all(target_os = "linux", feature = "io-uring"))]
    pub(in crate::backend) fn descriptor(&self) -> std::os::fd::RawFd {
        self.fd.as_raw_fd()
    }

    /// Does the first of what is due about `event`.
    pub(in crate::backend) fn advance(&mut self, event: &mut Event) -> Option<Completion> {
        let says = event.says;
        if event.due.has(due::LOOK) {
            let wrong = says.has(says::ERROR.or(says::HUNG_UP));
            let input = wrong || says.has(says::READABLE.or(says::ENDED));
            self.state.insert(READABLE.when(input).or(SUSPECT.when(wrong)));
            let output = self.state.has(BLOCKED) && (wrong || says.has(says::WRITABLE));
            event.due = due::INPUT.when(input).or(due::SEND.when(output));
        }
        match event.due.pop()? {
            due::INPUT => Some(Completion::Input(event.key)),
            _ => {
                self.state.remove(BLOCKED);
                Some(Completion::Output(event.key))
            }
        }
    }

    pub(in crate::backend) fn receive(
        &mut self,
        at_most: usize,
        desk: &mut Desk,
        calls: &mut SystemCalls,
    ) -> ReceivedDatagrams {
        if !self.state.has(READABLE) {
            return ReceivedDatagrams::Dry;
        }
        let layout = self.layout(at_most);
        let mut batch = desk.batch.take().unwrap_or_default();
        let received = loop {
            let fd = self.fd.as_fd();
            // Who sent last is most often who sends next.
            let senders = (&self.nameless, &mut self.last);
            match calls::receive(fd, &mut desk.arrays, &mut batch, layout, senders, calls) {
                Err(Errno::INTR) => {}
                other => break other,
            }
        };
        match received {
            Ok(0) => {
                desk.give_back(batch);
                return ReceivedDatagrams::Eof;
            }
            // An end behind the last one is found by the next call.
            Ok(_) if layout.has_end => return ReceivedDatagrams::Batch(batch),
            Ok(count) => {
                self.state.remove(READABLE.when(count < layout.count && !self.state.has(SUSPECT)));
                return ReceivedDatagrams::Batch(batch);
            }
            Err(Errno::AGAIN) => self.state.remove(READABLE.or(SUSPECT)),
            Err(error) => {
                desk.give_back(batch);
                return ReceivedDatagrams::Failed(error.into());
            }
        }
        desk.give_back(batch);
        ReceivedDatagrams::Dry
    }

    fn layout(&self, at_most: usize) -> Layout {
        match self.kind {
            Kind::Inet => Layout { slot: SLOT, count: at_most.clamp(1, BATCH), has_end: false },
            kind => Layout {
                slot: UNIX_SLOT,
                count: at_most.clamp(1, BATCH * SLOT / UNIX_SLOT),
                has_end: kind == Kind::Packets,
            },
        }
    }

    pub(in crate::backend) fn send(
        &mut self,
        queue: &DatagramQueue,
        key: Key,
        poller: &Poller,
        calls: &mut SystemCalls,
    ) -> SentDatagrams {
        match uninterrupted(|| calls::send(self.fd.as_fd(), queue, calls)) {
            Ok(done) => {
                if done == queue.len() && self.state.has(OUTPUT) {
                    self.watch_output(false, key, poller, calls);
                }
                SentDatagrams { done, error: None, room: Room::Some }
            }
            Err(error) => match self.no_room(&error, key, poller, calls) {
                Some(room) => SentDatagrams { done: 0, error: None, room },
                None => self.send_again(error, queue, key, poller, calls),
            },
        }
    }

    /// An error that a socket holds is told to the next call, whatever that is about. So what could not be sent is tried again,
    /// once; if that succeeds the error was about something that was sent before.
    fn send_again(
        &mut self,
        error: io::Error,
        queue: &DatagramQueue,
        key: Key,
        poller: &Poller,
        calls: &mut SystemCalls,
    ) -> SentDatagrams {
        let Some((bytes, target)) = queue.iter().next() else {
            return SentDatagrams { done: 0, error: Some(error), room: Room::Some };
        };
        match uninterrupted(|| one::send(self.fd.as_fd(), bytes, target, calls)) {
            Ok(()) => SentDatagrams { done: 1, error: Some(error), room: Room::Some },
            Err(second) => match self.no_room(&second, key, poller, calls) {
                Some(room) => SentDatagrams { done: 0, error: Some(error), room },
                None => SentDatagrams { done: 1, error: Some(second), room: Room::Some },
            },
        }
    }

    /// What an error says about room. `None` if it is about something else.
    fn no_room(
        &mut self,
        error: &io::Error,
        key: Key,
        poller: &Poller,
        calls: &mut SystemCalls,
    ) -> Option<Room> {
        if is_shortage(error) {
            return Some(Room::Unknown);
        }
        if error.kind() != io::ErrorKind::WouldBlock {
            return None;
        }
        // It may be the receiver's queue that is full, and of that only one who is connected with him is told
        // (`unix_dgram_poll`).
        if self.kind == Kind::Unix && !self.is_connected {
            return Some(Room::Unknown);
        }
        let asked = self.watch_output(true, key, poller, calls);
        Some(if asked { Room::None } else { Room::Unknown })
    }

    /// Asks to be told of room, or no more. The present state is told as a change.
    fn watch_output(&mut self, on: bool, key: Key, poller: &Poller, calls: &mut SystemCalls) -> bool {
        let interest = mio::Interest::READABLE;
        let interest = if on { interest | mio::Interest::WRITABLE } else { interest };
        calls.registrations += 1;
        let mut source = SourceFd(&self.fd.as_raw_fd());
        let changed = source.reregister(poller.registry(), token(key), interest).is_ok();
        if changed {
            self.state.remove(BLOCKED.or(OUTPUT));
            self.state.insert(BLOCKED.or(OUTPUT).when(on));
        }
        changed
    }

    pub(in crate::backend) fn change(
        &self,
        change: &DatagramChange,
        calls: &mut SystemCalls,
    ) -> io::Result<()> {
        let socket = SockRef::from(&self.fd);
        let is_ipv6 = matches!(&self.nameless, Address::Inet(address) if address.is_ipv6());
        calls.others += 1;
        match *change {
            DatagramChange::Broadcast(on) => socket.set_broadcast(on),
            DatagramChange::Membership(membership) => change_membership(&socket, membership),
            DatagramChange::MulticastLoop(on) if is_ipv6 => socket.set_multicast_loop_v6(on),
            DatagramChange::MulticastLoop(on) => socket.set_multicast_loop_v4(on),
            DatagramChange::MulticastTtl(ttl) if is_ipv6 => socket.set_multicast_hops_v6(ttl),
            DatagramChange::MulticastTtl(ttl) => socket.set_multicast_ttl_v4(ttl),
            DatagramChange::MulticastInterface(interface) => {
                set_interface(&socket, &self.fd, interface, is_ipv6)
            }
        }
    }

    /// It was never duplicated, so its registration goes with it.
    pub(in crate::backend) fn close(self, calls: &mut SystemCalls) {
        calls.closes += 1;
        drop(self);
    }
}

fn change_membership(socket: &SockRef<'_>, membership: Membership) -> io::Result<()> {
    match (membership.group, membership.interface) {
        (IpAddr::V4(group), interface) => {
            let interface = match interface {
                MulticastInterface::Any => InterfaceIndexOrAddress::Address(Ipv4Addr::UNSPECIFIED),
                MulticastInterface::Address(address) => InterfaceIndexOrAddress::Address(address),
                MulticastInterface::Index(index) => InterfaceIndexOrAddress::Index(index),
            };
            if membership.joins {
                socket.join_multicast_v4_n(&group, &interface)
            } else {
                socket.leave_multicast_v4_n(&group, &interface)
            }
        }
        (IpAddr::V6(group), interface) => {
            let index = index_of(interface)?;
            if membership.joins {
                socket.join_multicast_v6(&group, index)
            } else {
                socket.leave_multicast_v6(&group, index)
            }
        }
    }
}

fn set_interface(
    socket: &SockRef<'_>,
    fd: &OwnedFd,
    interface: MulticastInterface,
    is_ipv6: bool,
) -> io::Result<()> {
    if is_ipv6 {
        return socket.set_multicast_if_v6(index_of(interface)?);
    }
    let any = Ipv4Addr::UNSPECIFIED;
    match interface {
        MulticastInterface::Any => socket.set_multicast_if_v4(&any),
        MulticastInterface::Address(address) => socket.set_multicast_if_v4(&address),
        MulticastInterface::Index(index) => {
            Ok(rustix::net::sockopt::set_ip_multicast_if_with_ifindex(fd, &any, &any, index)?)
        }
    }
}

/// IPv6 knows interfaces by their numbers alone (RFC 3493, 5.2).
fn index_of(interface: MulticastInterface) -> io::Result<u32> {
    match interface {
        MulticastInterface::Any => Ok(0),
        MulticastInterface::Index(index) => Ok(index),
        MulticastInterface::Address(_) => Err(io::ErrorKind::InvalidInput.into()),
    }
}

fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
