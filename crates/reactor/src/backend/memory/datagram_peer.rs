//! Datagram sockets that a test drives by hand.

use std::fmt;
use std::io;
use std::net::IpAddr;

use super::mailbox::Posted;
use super::network::Network;
use super::state::{Id, Owner};
use crate::address::Address;
use crate::backend::DatagramOptions;

/// A scripted datagram socket. No call blocks, and none calls back: what it causes, the other side sees in its next turn.
/// Dropping it closes it.
///
/// ```
/// use marline_reactor::Choices;
/// use marline_reactor::backend::memory::Network;
/// use std::net::SocketAddr;
///
/// let network = Network::new(Choices::tame());
/// let any = SocketAddr::from(([127, 0, 0, 1], 0));
/// let (one, other) = (network.bind_datagram(any)?, network.bind_datagram(any)?);
/// one.send_to(b"hello", other.address())?;
/// assert_eq!(other.receive(), Some((b"hello".to_vec(), one.address())));
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct DatagramPeer {
    network: Network,
    id: Id,
    address: Address,
}

impl DatagramPeer {
    pub(super) fn bind(network: &Network, address: Address) -> io::Result<Self> {
        let mut state = network.state();
        let id = state.open_mailbox(Owner::Script, &DatagramOptions::bind(address))?;
        let address = state.mailboxes.get(id).map(|mailbox| mailbox.local.clone());
        let address = address.ok_or(io::ErrorKind::NotConnected)?;
        drop(state);
        Ok(Self { network: network.clone(), id, address })
    }

    /// Where it is bound.
    #[must_use]
    pub fn address(&self) -> Address {
        self.address.clone()
    }

    /// Sends a datagram.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if the receiver keeps its senders waiting and has no room; otherwise as a system would refuse it.
    pub fn send_to(&self, bytes: impl AsRef<[u8]>, target: impl Into<Address>) -> io::Result<()> {
        match self.network.state().post(self.id, bytes.as_ref(), Some(&target.into())) {
            Posted::Done => Ok(()),
            Posted::Refused(kind) => Err(kind.into()),
            Posted::Full => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// The oldest datagram that arrived, and who sent it.
    #[must_use]
    pub fn receive(&self) -> Option<(Vec<u8>, Address)> {
        self.network.state().take_mail(self.id)
    }

    /// Receives what is sent to this group.
    pub fn join(&self, group: IpAddr) {
        if let Some(mailbox) = self.network.state().mailboxes.get_mut(self.id) {
            mailbox.groups.push(group);
        }
    }
}

impl Drop for DatagramPeer {
    fn drop(&mut self) {
        self.network.state().remove_mailbox(self.id);
    }
}

impl fmt::Debug for DatagramPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatagramPeer").field("address", &self.address).finish_non_exhaustive()
    }
}
