//! Streams without a kernel that were not made by connecting: pipes, terminals, standard input and output.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, ErrorKind};
use std::rc::Rc;

use super::network::Network;
use super::peer::Peer;
use super::state::{End, Id, Owner, Phase};
use super::virtual_terminal::Window;
use crate::address::{Address, Addresses};
use crate::backend::{Close, Opened};
use crate::key::Key;

/// What a stream without a kernel is: which way its bytes go, as the loop that opens it sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamKind {
    /// The loop reads, the scripted peer writes.
    ReadPipe,
    /// The loop writes, the scripted peer reads.
    WritePipe,
    /// Both read and write, and each can end its direction.
    Duplex,
}

/// A stream without a kernel, for [`Handle::adopt_stream`](crate::Handle::adopt_stream) on the memory backend. A test has the
/// other end, and [`Network::stream`] makes both. Dropping it unopened closes it.
///
/// ```
/// use marline_reactor::testing::{MemoryReactor, StreamKind};
/// use marline_reactor::Transport;
///
/// let memory = MemoryReactor::new();
/// let (pipe, writer) = memory.network().stream(StreamKind::ReadPipe);
/// memory.handle().adopt_stream(pipe, |_: &Transport, data: &[u8]| assert_eq!(data, b"through the pipe"))?;
/// writer.write(b"through the pipe");
/// memory.pump();
/// assert_eq!(writer.unread(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct VirtualStream {
    network: Network,
    /// `None` once it was opened.
    id: Option<Id>,
    kind: StreamKind,
}

impl VirtualStream {
    /// Makes a stream, and the end for a test.
    pub(super) fn pair(network: &Network, kind: StreamKind, words: &str) -> (Self, Peer) {
        let (this, peer, addresses) = Self::ends(network, kind, words);
        (this, Peer::new(network.clone(), peer, addresses))
    }

    /// The same, with the end for a test where the network keeps it.
    pub(super) fn ends(network: &Network, kind: StreamKind, words: &str) -> (Self, Id, Addresses) {
        let address = Address::named(words);
        let addresses = Addresses { local: address.clone(), peer: address };
        let mut state = network.state();
        let mut ours = End::new(Owner::Backlog, addresses.clone(), Phase::Open);
        let mut theirs = End::new(Owner::Script, addresses.clone(), Phase::Open);
        ours.ends_alone = kind != StreamKind::Duplex;
        match kind {
            StreamKind::ReadPipe => {
                ours.finished = true;
                theirs.incoming.end();
            }
            StreamKind::WritePipe => {
                theirs.finished = true;
                ours.incoming.end();
            }
            StreamKind::Duplex => {}
        }
        let ours = state.ends.insert(ours);
        theirs.other = Some(ours);
        let theirs = state.ends.insert(theirs);
        if let Some(ours) = state.ends.get_mut(ours) {
            ours.other = Some(theirs);
        }
        drop(state);
        let this = Self { network: network.clone(), id: Some(ours), kind };
        (this, theirs, addresses)
    }

    pub(super) fn set_window(&self, window: Rc<RefCell<Window>>) {
        let mut state = self.network.state();
        if let Some(end) = self.id.and_then(|id| state.ends.get_mut(id)) {
            end.window = Some(window);
        }
    }

    /// For the network itself to keep: a handle of it there would keep it alive.
    pub(super) fn into_id(mut self) -> Option<Id> {
        self.id.take()
    }

    pub(super) fn from_id(network: &Network, id: Id) -> Self {
        Self { network: network.clone(), id: Some(id), kind: StreamKind::Duplex }
    }

    /// Gives its end to a backend of the network.
    pub(super) fn open(mut self, network: &Network, inbox: Id, key: Key) -> io::Result<(Id, Opened)> {
        let taken = if self.network.is(network) { self.id.take() } else { None };
        let id = taken.ok_or(ErrorKind::InvalidInput)?;
        let mut state = network.state();
        let end = state.ends.get_mut(id).ok_or(ErrorKind::NotConnected)?;
        end.owner = Owner::Backend { inbox, key };
        let opened = Opened {
            addresses: end.addresses.clone(),
            reads: self.kind != StreamKind::WritePipe,
            writes: self.kind != StreamKind::ReadPipe,
            drops_input: false,
        };
        let announce = !end.incoming.is_empty() || end.incoming.is_ended() || end.is_broken();
        state.sockets += 1;
        if announce {
            state.raise(id, false);
        }
        Ok((id, opened))
    }
}

impl Drop for VirtualStream {
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            let end = self.network.state().remove_end(id, Close::Orderly);
            drop(end);
        }
    }
}

impl fmt::Debug for VirtualStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VirtualStream({:?})", self.kind)
    }
}
