//! Thousands of connections, whose far ends live in a process of their own: one process might not be allowed so many
//! descriptors for both.

use std::cell::{Cell, RefCell};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command};
use std::rc::Rc;

use marline_reactor::{Lost, Protocol, Transport};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::open;
use crate::support::{World, address_of, skip};

const CONNECTIONS: usize = 9_000;
/// Room for what else a process has open.
const SPARE: u64 = 200;
/// Names where the peers connect to, for the process that is to be them.
const ORDER: &str = "MARLINE_TEST_PEERS_OF";

/// Lets this process have as many descriptors as it may: whether they are enough.
fn raise_limit() -> bool {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    raised.is_ok() && maximum.is_none_or(|maximum| maximum >= CONNECTIONS as u64 + SPARE)
}

/// Where to connect to, if this process is to be the peers.
pub fn order() -> Option<String> {
    std::env::var(ORDER).ok()
}

/// Each peer says its number, hears it again, and then sees the end.
pub fn be_the_peers(address: &str) {
    assert!(raise_limit());
    let mut peers: Vec<TcpStream> =
        (0..CONNECTIONS).map(|_| TcpStream::connect(address).expect("a connection")).collect();
    for (number, peer) in peers.iter_mut().enumerate() {
        peer.write_all(message(number).as_bytes()).expect("a write");
    }
    for (number, peer) in peers.iter_mut().enumerate() {
        let mut answer = String::new();
        peer.read_to_string(&mut answer).expect("an answer and an end");
        assert_eq!(answer, message(number));
    }
}

fn message(number: usize) -> String {
    format!("I am number {number:06}.")
}

fn start_the_peers(address: &str) -> Child {
    let program = std::env::current_exe().expect("this program");
    Command::new(program)
        .args(["--exact", "s12_descriptors_return_to_their_baseline", "--nocapture"])
        .env(ORDER, address)
        .spawn()
        .expect("a process")
}

/// What all connections share.
#[derive(Clone, Default)]
struct Tally {
    transports: Rc<RefCell<Vec<Transport>>>,
    echoed: Rc<Cell<usize>>,
    clean: Rc<Cell<usize>>,
    lost: Rc<Cell<usize>>,
}

impl Protocol for Tally {
    fn connection_made(&mut self, transport: &Transport) {
        self.transports.borrow_mut().push(transport.clone());
    }

    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        assert!(transport.write(data).is_accepted());
        self.echoed.set(self.echoed.get() + data.len());
    }

    fn connection_lost(&mut self, _: &Transport, lost: &Lost) {
        self.lost.set(self.lost.get() + 1);
        self.clean.set(self.clean.get() + usize::from(lost.is_clean() && lost.unsent() == 0));
    }
}

pub fn nine_thousand_connections(world: &World) {
    if !raise_limit() {
        return skip("this process may not open nine thousand descriptors");
    }
    let handle = world.handle();
    let before = open();
    let tally = Tally::default();
    let protocols = tally.clone();
    let server = world.listen(move |_| protocols.clone());
    let mut peers = start_the_peers(&address_of(&server).to_string());
    world.until(|| tally.echoed.get() == CONNECTIONS * message(0).len());
    assert_eq!((handle.stats().connections, server.connections()), (CONNECTIONS, CONNECTIONS));
    assert_eq!(open(), before + CONNECTIONS + 1);
    tally.transports.borrow().iter().for_each(Transport::close);
    world.until(|| tally.lost.get() == CONNECTIONS);
    assert_eq!(tally.clean.get(), CONNECTIONS);
    assert_eq!((handle.stats().connections, server.connections()), (0, 0));
    server.stop();
    world.settle();
    assert_eq!(open(), before);
    assert!(peers.wait().expect("the peers' end").success(), "the peers missed something");
    assert!(tally.transports.borrow().iter().all(|transport| transport.local_address().is_none()));
}
