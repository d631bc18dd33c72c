//! Addresses that never answer, and addresses that refuse.

use std::net::{SocketAddr, TcpStream};

use super::world::World;

/// Where a connect neither succeeds nor fails, as long as this lives.
pub struct DeadEnd {
    address: SocketAddr,
    /// What fills the backlog.
    _crowd: Vec<socket2::Socket>,
}

impl DeadEnd {
    pub fn new(world: &World) -> Self {
        let Some(memory) = world.as_memory() else {
            return Self::full_backlog();
        };
        let address = SocketAddr::from(([127, 0, 0, 1], 9));
        memory.network().ignore(address);
        Self { address, _crowd: Vec::new() }
    }

    /// A listener whose backlog is full: Linux drops further SYNs, and their senders try again for minutes.
    fn full_backlog() -> Self {
        let tcp =
            || socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
        let listener = tcp();
        listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port");
        listener.listen(0).expect("a listener");
        let address = listener.local_addr().ok().and_then(|address| address.as_socket()).expect("an address");
        let first = TcpStream::connect(address).expect("the one for whom there is room");
        let mut crowd = vec![listener, first.into()];
        for _ in 0..4 {
            let more = tcp();
            more.set_nonblocking(true).expect("a non-blocking socket");
            drop(more.connect(&address.into()));
            crowd.push(more);
        }
        Self { address, _crowd: crowd }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn endpoint(&self) -> String {
        format!("tcp://{}", self.address)
    }
}

/// Addresses where nobody listens, as long as this lives.
pub struct DeadPorts {
    addresses: [SocketAddr; 3],
    /// Sockets that hold the ports, and do not listen.
    _held: Vec<socket2::Socket>,
}

impl DeadPorts {
    pub fn new(world: &World) -> Self {
        if world.is_memory() {
            let addresses = [1, 2, 3].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
            return Self { addresses, _held: Vec::new() };
        }
        Self::held()
    }

    /// Ports of the system's.
    pub fn held() -> Self {
        let mut held = Vec::new();
        let addresses = [(); 3].map(|()| {
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
            let socket = socket.expect("a socket");
            socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port");
            let address = socket.local_addr().ok().and_then(|address| address.as_socket());
            held.push(socket);
            address.expect("an address")
        });
        Self { addresses, _held: held }
    }

    pub fn all(&self) -> [SocketAddr; 3] {
        self.addresses
    }
}
