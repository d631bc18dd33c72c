//! The handle of a datagram socket.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use super::{MulticastError, SendError};
use crate::address::Address;
use crate::backend::{DatagramChange, Membership, MulticastInterface};
use crate::error::WatermarkError;
use crate::key::Key;
use crate::reactor::{Handle, Shell};
use crate::transport::WriteStatus;

/// A datagram socket, as its protocol and everybody else sees it: a small handle, `Clone` and not `Send`.
///
/// The loop owns the socket. A handle that outlives it is inert: it answers [`SendError::Closed`], and never reaches the
/// socket that uses the slot next. No method blocks, and none calls back before it returns.
///
/// * Sending: [`send_to`](Self::send_to), [`send`](Self::send), [`buffered`](Self::buffered),
///   [`set_watermarks`](Self::set_watermarks), [`set_queue_limit`](Self::set_queue_limit).
/// * Receiving: [`pause_reading`](Self::pause_reading), [`resume_reading`](Self::resume_reading).
/// * Many at once: [`join_multicast`](Self::join_multicast), [`leave_multicast`](Self::leave_multicast),
///   [`set_multicast_loop`](Self::set_multicast_loop), [`set_multicast_ttl`](Self::set_multicast_ttl),
///   [`set_multicast_interface`](Self::set_multicast_interface), [`set_broadcast`](Self::set_broadcast).
/// * The end: [`close`](Self::close), [`abort`](Self::abort); [`fail`](Self::fail) reports, and ends nothing.
#[derive(Clone)]
pub struct DatagramTransport {
    shell: Rc<Shell>,
    key: Key,
}

impl DatagramTransport {
    pub(crate) fn new(shell: Rc<Shell>, key: Key) -> Self {
        Self { shell, key }
    }

    /// Sends a copy of `data`, as one datagram. It leaves when the running callback of this socket returns, or at the end of the
    /// turn, together with what else was sent until then: 64 datagrams take one system call. The status is
    /// [`OverHigh`](WriteStatus::OverHigh) where more than the high watermark waits now, and never `Closed`, which is an error
    /// here.
    ///
    /// # Errors
    ///
    /// If it is too large, the target is of the wrong kind, or somebody else than the socket is connected with, too much waits
    /// already, or the socket is closing. That the system could not send it is told later, by
    /// [`error_received`](super::DatagramProtocol::error_received).
    pub fn send_to(&self, data: impl AsRef<[u8]>, target: &Address) -> Result<WriteStatus, SendError> {
        self.shell.send_datagram(self.key, data.as_ref(), Some(target))
    }

    /// As [`send_to`](Self::send_to), to the one that the socket is connected with.
    ///
    /// # Errors
    ///
    /// As those of `send_to`, and if it is connected with nobody.
    pub fn send(&self, data: impl AsRef<[u8]>) -> Result<WriteStatus, SendError> {
        self.shell.send_datagram(self.key, data.as_ref(), None)
    }

    /// How much waits to be sent: the bytes of each datagram, and 64 more for each.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.shell.port(self.key, |port| port.buffered()).unwrap_or(0)
    }

    /// Sets when [`pause_writing`](super::DatagramProtocol::pause_writing) (more than `high` [waits](Self::buffered)) and
    /// [`resume_writing`](super::DatagramProtocol::resume_writing) (no more than `low`) are called. 16 KiB and 64 KiB by
    /// default.
    ///
    /// # Errors
    ///
    /// If `low` is greater than `high`; then nothing changes.
    pub fn set_watermarks(&self, low: usize, high: usize) -> Result<(), WatermarkError> {
        self.shell.set_datagram_watermarks(self.key, low, high)
    }

    /// The low and the high watermark.
    #[must_use]
    pub fn watermarks(&self) -> (usize, usize) {
        self.shell.port(self.key, |port| (port.low, port.high)).unwrap_or((0, 0))
    }

    /// Sets how much may [wait](Self::buffered) to be sent: 1 MiB by default. A datagram that does not fit is refused. One that
    /// nothing waits before is always accepted.
    pub fn set_queue_limit(&self, bytes: usize) {
        self.shell.port(self.key, |port| port.limit = bytes);
    }

    /// Delivers no datagrams until [`resume_reading`](Self::resume_reading), beginning at once. What the system has no room for
    /// meanwhile is lost, or keeps its sender waiting, as the kind of socket has it.
    pub fn pause_reading(&self) {
        self.shell.pause_datagrams(self.key);
    }

    /// Goes on with reading. What arrived meanwhile comes first.
    pub fn resume_reading(&self) {
        self.shell.resume_datagrams(self.key);
    }

    /// Whether its protocol gets what comes.
    #[must_use]
    pub fn is_reading(&self) -> bool {
        self.shell.port(self.key, |port| port.is_reading()).unwrap_or(false)
    }

    /// Sends what waits, then closes. Nothing is received any more. If nothing moves for the
    /// [close timeout](Self::set_close_timeout), the rest is dropped and the reason is a timeout.
    pub fn close(&self) {
        self.shell.close_datagrams(self.key);
    }

    /// Closes at once, dropping what was not sent.
    pub fn abort(&self) {
        self.shell.lose_datagrams(self.key, crate::lost::Reason::Aborted);
    }

    /// Reports that the protocol failed, to whoever is [told of failures](Handle::on_failure). The socket stays open: what is
    /// wrong with one datagram is not wrong with the next.
    pub fn fail(&self, error: impl Into<Box<dyn Error + Send + Sync>>) {
        self.shell.datagrams_failed(self.key, error.into());
    }

    /// How long closing may go without any progress: 30 seconds by default.
    pub fn set_close_timeout(&self, timeout: Duration) {
        self.shell.port(self.key, |port| port.close_timeout = timeout);
    }

    /// Whether it is closing or closed.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.shell.port(self.key, |port| port.is_closing()).unwrap_or(true)
    }

    // Many receivers.

    /// Receives what is sent to a multicast group, on this interface.
    ///
    /// # Errors
    ///
    /// If the address is none of a group, or of another kind than the socket, or the system refuses: it is a member already,
    /// there is no such interface.
    pub fn join_multicast(&self, group: IpAddr, interface: MulticastInterface) -> Result<(), MulticastError> {
        self.shell.change_membership(self.key, Membership { group, interface, joins: true })
    }

    /// Receives no more what is sent to this group.
    ///
    /// # Errors
    ///
    /// As [`join_multicast`](Self::join_multicast); also if it is no member.
    pub fn leave_multicast(
        &self,
        group: IpAddr,
        interface: MulticastInterface,
    ) -> Result<(), MulticastError> {
        self.shell.change_membership(self.key, Membership { group, interface, joins: false })
    }

    /// Whether what is sent to a group comes to its members on this machine, too. Yes by default.
    ///
    /// # Errors
    ///
    /// If the socket is closed, or the system refuses.
    pub fn set_multicast_loop(&self, on: bool) -> Result<(), MulticastError> {
        self.shell.change_multicast(self.key, &DatagramChange::MulticastLoop(on))
    }

    /// How far what is sent to a group goes: 1, the default, stays in the network segment, 0 on the machine.
    ///
    /// # Errors
    ///
    /// If the socket is closed, or the system refuses: more than 255.
    pub fn set_multicast_ttl(&self, ttl: u32) -> Result<(), MulticastError> {
        self.shell.change_multicast(self.key, &DatagramChange::MulticastTtl(ttl))
    }

    /// By way of which interface what is sent to a group leaves.
    ///
    /// # Errors
    ///
    /// If the socket is closed, or the system refuses: there is no such interface.
    pub fn set_multicast_interface(&self, interface: MulticastInterface) -> Result<(), MulticastError> {
        self.shell.change_multicast(self.key, &DatagramChange::MulticastInterface(interface))
    }

    /// Whether it may send to broadcast addresses. No by default.
    ///
    /// # Errors
    ///
    /// `NotConnected` if the socket is closed, and otherwise the system's.
    pub fn set_broadcast(&self, on: bool) -> io::Result<()> {
        self.shell.change_datagram(self.key, &DatagramChange::Broadcast(on))
    }

    /// Where it is bound, until `connection_lost` returned.
    #[must_use]
    pub fn local_address(&self) -> Option<Address> {
        self.shell.port(self.key, |port| port.local.clone())
    }

    /// The one that it is connected with, until `connection_lost` returned. `None` if it is not connected.
    #[must_use]
    pub fn peer_address(&self) -> Option<Address> {
        self.shell.port(self.key, |port| port.peer.clone()).flatten()
    }

    /// The size of the largest datagram that it sends, in bytes. What the network takes in one piece is mostly less.
    #[must_use]
    pub fn largest(&self) -> usize {
        self.shell.port(self.key, |port| port.largest).unwrap_or(0)
    }

    /// The loop that it belongs to.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle::new(Rc::clone(&self.shell))
    }

    /// Its key: plain data, unique within its loop.
    #[must_use]
    pub fn key(&self) -> Key {
        self.key
    }
}

impl PartialEq for DatagramTransport {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && Rc::ptr_eq(&self.shell, &other.shell)
    }
}

impl Eq for DatagramTransport {}

impl fmt::Debug for DatagramTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatagramTransport({:?})", self.key)
    }
}
