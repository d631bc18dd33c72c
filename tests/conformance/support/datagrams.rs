//! Datagram sockets for tests: a protocol that writes down what happens to it, and far ends.

use std::cell::RefCell;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::rc::Rc;

use marline_reactor::testing::DatagramPeer;
use marline_reactor::{Address, DatagramProtocol, DatagramTransport, Lost};

use super::trace::reason_name;
use super::world::World;

/// Any port of the loopback.
pub const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// What happened to a [`Talk`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    Made,
    Received(Vec<u8>),
    Error(ErrorKind),
    Paused,
    Resumed,
    Lost(String),
}

/// What a [`Talk`] wrote down. Clones share it.
#[derive(Clone, Default)]
pub struct Talked(Rc<RefCell<Vec<Said>>>);

impl Talked {
    pub fn all(&self) -> Vec<Said> {
        self.0.borrow().clone()
    }

    pub fn count(&self, said: &Said) -> usize {
        self.0.borrow().iter().filter(|other| *other == said).count()
    }

    pub fn has(&self, said: &Said) -> bool {
        self.count(said) > 0
    }

    /// What was received.
    pub fn received(&self) -> Vec<Vec<u8>> {
        let said = self.0.borrow();
        let received = said.iter().filter_map(|said| match said {
            Said::Received(bytes) => Some(bytes.clone()),
            _ => None,
        });
        received.collect()
    }

    /// Pauses and resumes, in order.
    pub fn flow(&self) -> Vec<Said> {
        let is_flow = |said: &Said| matches!(said, Said::Paused | Said::Resumed);
        self.0.borrow().iter().filter(|said| is_flow(said)).cloned().collect()
    }

    pub fn is_lost(&self) -> bool {
        matches!(self.0.borrow().last(), Some(Said::Lost(_)))
    }

    fn note(&self, said: Said) {
        self.0.borrow_mut().push(said);
    }
}

type Act = Box<dyn FnMut(&DatagramTransport, &[u8], &Address)>;

/// A protocol that writes down what happens to it, and does what a test likes with what it receives.
pub struct Talk {
    said: Talked,
    act: Act,
}

impl Talk {
    pub fn new() -> (Self, Talked) {
        Self::acting(|_, _, _| {})
    }

    pub fn acting(act: impl FnMut(&DatagramTransport, &[u8], &Address) + 'static) -> (Self, Talked) {
        let said = Talked::default();
        (Self { said: said.clone(), act: Box::new(act) }, said)
    }
}

impl DatagramProtocol for Talk {
    fn connection_made(&mut self, transport: &DatagramTransport) {
        assert!(transport.local_address().is_some());
        self.said.note(Said::Made);
    }

    fn datagram_received(&mut self, transport: &DatagramTransport, data: &[u8], sender: &Address) {
        self.said.note(Said::Received(data.to_vec()));
        (self.act)(transport, data, sender);
    }

    fn error_received(&mut self, _: &DatagramTransport, error: &io::Error) {
        self.said.note(Said::Error(error.kind()));
    }

    fn pause_writing(&mut self, _: &DatagramTransport) {
        self.said.note(Said::Paused);
    }

    fn resume_writing(&mut self, _: &DatagramTransport) {
        self.said.note(Said::Resumed);
    }

    fn connection_lost(&mut self, transport: &DatagramTransport, lost: &Lost) {
        assert!(transport.local_address().is_some(), "the addresses are known until the end");
        self.said.note(Said::Lost(reason_name(lost)));
    }
}

/// A far end: a plain socket, or a scripted one. Nothing here blocks.
pub enum FarPort {
    Socket(UdpSocket),
    Peer(DatagramPeer),
}

impl FarPort {
    pub fn address(&self) -> Address {
        match self {
            Self::Socket(socket) => socket.local_addr().expect("an address").into(),
            Self::Peer(peer) => peer.address(),
        }
    }

    pub fn send(&self, bytes: &[u8], to: &Address) {
        match self {
            Self::Socket(socket) => {
                let to = to.as_inet().expect("an Internet address");
                assert_eq!(socket.send_to(bytes, to).expect("a datagram"), bytes.len());
            }
            Self::Peer(peer) => peer.send_to(bytes, to.clone()).expect("a datagram"),
        }
    }

    /// What arrived, and from whom.
    pub fn receive(&self) -> Option<(Vec<u8>, Address)> {
        match self {
            Self::Socket(socket) => {
                let mut memory = vec![0; 1 << 16];
                let (count, sender) = socket.recv_from(&mut memory).ok()?;
                memory.truncate(count);
                Some((memory, sender.into()))
            }
            Self::Peer(peer) => peer.receive(),
        }
    }
}

impl World {
    /// A far end at a free port of the loopback.
    pub fn far_port(&self) -> FarPort {
        self.far_port_at(&ANY.into())
    }

    pub fn far_port_at(&self, address: &Address) -> FarPort {
        match self.as_memory() {
            Some(memory) => {
                FarPort::Peer(memory.network().bind_datagram(address.clone()).expect("a scripted socket"))
            }
            None => {
                let address = address.as_inet().expect("an Internet address");
                let socket = UdpSocket::bind(address).expect("a socket");
                socket.set_nonblocking(true).expect("a non-blocking socket");
                FarPort::Socket(socket)
            }
        }
    }

    /// What a far end receives, until there are so many.
    #[track_caller]
    pub fn receive_at(&self, far: &FarPort, count: usize) -> Vec<Vec<u8>> {
        let seen = RefCell::new(Vec::new());
        self.until(|| {
            while let Some((bytes, _)) = far.receive() {
                seen.borrow_mut().push(bytes);
            }
            seen.borrow().len() >= count
        });
        seen.into_inner()
    }
}
