//! The far ends of connections: plain sockets, or scripted peers. Nothing here blocks for long.

use std::cell::RefCell;
use std::io::{ErrorKind, Read, Write};
use std::mem::MaybeUninit;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::rc::Rc;
use std::time::Duration;

use marline_reactor::testing::{Peer, PeerListener};
use marline_reactor::{Address, Endpoint, UnixAddress};
use marline_tests::PATIENCE;
use socket2::Socket;

use super::place::{Place, free_path};
use super::secure::{self, SecureEnd, SecureEnds, Side};

/// One far end of a connection. All methods return at once.
pub struct Raw {
    end: End,
    /// What reading ended with, for plain sockets.
    ended: RefCell<Option<Ended>>,
}

enum End {
    Socket(RefCell<Option<Socket>>),
    Peer(Peer),
    /// With TLS between the test and the wire.
    Secure(Rc<SecureEnd>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    Eof,
    Reset,
}

impl Raw {
    pub fn connect_socket(address: SocketAddr) -> Self {
        Self::from_socket(TcpStream::connect_timeout(&address, PATIENCE).expect("a connection"))
    }

    /// A far end of the address's kind.
    pub fn connect(address: &Address) -> Self {
        match address {
            Address::Inet(address) => Self::connect_socket(*address),
            Address::Unix(name) => {
                let path = name.as_path().expect("a listener with a file");
                Self::from_unix_socket(UnixStream::connect(path).expect("a connection"))
            }
            other => panic!("nobody listens at {other}"),
        }
    }

    pub fn from_socket(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("a socket without delay");
        Self::new(stream.into())
    }

    fn from_unix_socket(stream: UnixStream) -> Self {
        Self::new(stream.into())
    }

    fn new(socket: Socket) -> Self {
        socket.set_nonblocking(true).expect("a non-blocking socket");
        Self { end: End::Socket(RefCell::new(Some(socket))), ended: RefCell::new(None) }
    }

    pub fn from_peer(peer: Peer) -> Self {
        Self { end: End::Peer(peer), ended: RefCell::new(None) }
    }

    pub(super) fn from_secure(end: Rc<SecureEnd>) -> Self {
        Self { end: End::Secure(end), ended: RefCell::new(None) }
    }

    /// Throws away what arrives, on a thread of its own and as fast as the system can, until the end. Nothing for peers without
    /// a kernel.
    pub fn discard(self) {
        let End::Socket(stream) = self.end else { return };
        let Some(stream) = stream.into_inner() else { return };
        stream.set_nonblocking(false).expect("a mode");
        std::thread::spawn(move || {
            // MSG_TRUNC: the bytes are not even copied (tcp(7)).
            let mut room = vec![0; 1 << 20];
            while rustix::net::recv(&stream, &mut room[..], rustix::net::RecvFlags::TRUNC)
                .is_ok_and(|(_, count)| count > 0)
            {}
        });
    }

    /// Sends what fits: how much that was.
    pub fn write(&self, data: &[u8]) -> usize {
        match &self.end {
            End::Peer(peer) => peer.write(data),
            End::Secure(end) => end.write(data),
            End::Socket(stream) => match stream.borrow_mut().as_mut().map(|stream| stream.write(data)) {
                Some(Ok(count)) => count,
                // The system tells each error once, to whoever comes first.
                Some(Err(error)) if error.kind() == ErrorKind::ConnectionReset => {
                    *self.ended.borrow_mut() = Some(Ended::Reset);
                    0
                }
                _ => 0,
            },
        }
    }

    /// Takes what arrived.
    pub fn read(&self) -> Vec<u8> {
        self.read_up_to(usize::MAX)
    }

    /// Takes at most so much of what arrived.
    pub fn read_up_to(&self, limit: usize) -> Vec<u8> {
        let stream = match &self.end {
            End::Peer(peer) => return peer.read_up_to(limit),
            End::Secure(end) => return end.read_up_to(limit),
            End::Socket(stream) => stream,
        };
        let mut bytes = Vec::new();
        let mut part = [0; 16 * 1024];
        while let Some(stream) = stream.borrow_mut().as_mut() {
            let room = part.len().min(limit - bytes.len());
            if room == 0 {
                break;
            }
            match stream.read(&mut part[..room]) {
                // After a reset was told once, the system tells of an end.
                Ok(0) => drop(self.ended.borrow_mut().get_or_insert(Ended::Eof)),
                Ok(count) => {
                    bytes.extend_from_slice(&part[..count]);
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => *self.ended.borrow_mut() = Some(Ended::Reset),
            }
            break;
        }
        bytes
    }

    /// Whether our side ended its direction in good order, and everything before was read. Reads nothing on sockets
    /// that still have bytes: call [`read`](Self::read) first.
    pub fn is_finished(&self) -> bool {
        match &self.end {
            End::Peer(peer) => peer.is_finished() && !peer.is_reset(),
            End::Secure(end) => end.is_finished() && !end.is_reset(),
            End::Socket(_) => self.look() == Some(Ended::Eof),
        }
    }

    /// Whether our side reset the connection.
    pub fn is_reset(&self) -> bool {
        match &self.end {
            End::Peer(peer) => peer.is_reset(),
            End::Secure(end) => end.is_reset(),
            End::Socket(_) => self.look() == Some(Ended::Reset),
        }
    }

    /// Looks for the end of the stream without taking bytes. A reset after an end is seen too.
    fn look(&self) -> Option<Ended> {
        let End::Socket(stream) = &self.end else { return None };
        if let Some(stream) = stream.borrow().as_ref() {
            match stream.peek(&mut [MaybeUninit::uninit()]) {
                Ok(0) => {
                    let broken = stream.take_error().ok().flatten().is_some();
                    let mut ended = self.ended.borrow_mut();
                    if broken || *ended != Some(Ended::Reset) {
                        *ended = Some(if broken { Ended::Reset } else { Ended::Eof });
                    }
                }
                Ok(_) => return None,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => *self.ended.borrow_mut() = Some(Ended::Reset),
            }
        }
        *self.ended.borrow()
    }

    /// Ends this end's direction.
    pub fn finish(&self) {
        match &self.end {
            End::Peer(peer) => peer.finish(),
            End::Secure(end) => end.finish(),
            End::Socket(stream) => {
                if let Some(stream) = stream.borrow().as_ref() {
                    drop(stream.shutdown(Shutdown::Write));
                }
            }
        }
    }

    /// Resets the connection.
    pub fn reset(&self) {
        match &self.end {
            End::Peer(peer) => peer.reset(),
            End::Secure(end) => end.reset(),
            End::Socket(stream) => {
                if let Some(socket) = stream.borrow_mut().take() {
                    socket.set_linger(Some(Duration::ZERO)).expect("a lingering socket");
                }
            }
        }
    }

    /// Closes this end, as a program that ends does.
    pub fn close(&self) {
        match &self.end {
            End::Peer(peer) => peer.close(),
            End::Secure(end) => end.close(),
            End::Socket(stream) => drop(stream.borrow_mut().take()),
        }
    }
}

/// A far end that listens.
pub enum RawListener {
    Socket(TcpListener),
    Unix(UnixListener, Endpoint),
    Peer(PeerListener),
    /// One whose connections have TLS.
    Secure(Box<RawListener>, SecureEnds),
}

impl RawListener {
    pub fn socket() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        listener.set_nonblocking(true).expect("a non-blocking listener");
        Self::Socket(listener)
    }

    /// One at a UNIX socket.
    pub fn unix(place: Place) -> Self {
        let path = free_path();
        let listener = UnixListener::bind(&path).expect("a listener");
        listener.set_nonblocking(true).expect("a non-blocking listener");
        let address = UnixAddress::path(path).into();
        Self::Unix(listener, place.to(&address))
    }

    pub fn from_peer(listener: PeerListener) -> Self {
        Self::Peer(listener)
    }

    pub fn address(&self) -> SocketAddr {
        match self {
            Self::Socket(listener) => listener.local_addr().expect("an address"),
            Self::Unix(_, endpoint) => panic!("{endpoint} is no internet address"),
            Self::Peer(listener) => listener.address().as_inet().expect("an address"),
            Self::Secure(below, _) => below.address(),
        }
    }

    /// The endpoint to connect to.
    pub fn endpoint(&self) -> String {
        match self {
            Self::Unix(_, endpoint) => endpoint.to_string(),
            Self::Secure(below, _) => secure::endpoint::over(below.address()).to_string(),
            _ => format!("tcp://{}", self.address()),
        }
    }

    /// A connection, if one came.
    pub fn accept(&self) -> Option<Raw> {
        match self {
            Self::Socket(listener) => listener.accept().ok().map(|(stream, _)| Raw::from_socket(stream)),
            Self::Unix(listener, _) => {
                listener.accept().ok().map(|(stream, _)| Raw::from_unix_socket(stream))
            }
            Self::Peer(listener) => listener.accept().map(Raw::from_peer),
            Self::Secure(below, ends) => below.accept().map(|raw| ends.secure(Side::Client, raw)),
        }
    }
}

impl Drop for RawListener {
    /// Nobody else removes the file.
    fn drop(&mut self) {
        let Self::Unix(listener, _) = self else { return };
        let address = listener.local_addr().ok();
        if let Some(path) = address.as_ref().and_then(|address| address.as_pathname()) {
            drop(std::fs::remove_file(path));
        }
    }
}
