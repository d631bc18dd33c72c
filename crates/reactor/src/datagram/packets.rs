//! Listeners for connections that keep records apart.

use std::fmt;
use std::io;
use std::panic::Location;
use std::rc::Rc;
use std::time::Duration;

use super::{DatagramError, DatagramProtocol, DatagramTransport, Port};
use crate::address::{Address, UnixAddress};
use crate::backend::{DatagramOpened, ListenOptions};
use crate::key::Key;
use crate::reactor::{Shell, Slot};

/// How long a listener waits after the system had no descriptor, or no memory, for a connection.
const BACK_OFF: Duration = Duration::from_millis(100);

pub(super) type Factory = Box<dyn FnMut(&Address) -> Option<Box<dyn DatagramProtocol>>>;

/// A listener for connections that keep records apart: a small handle, `Clone` and not `Send`. Dropping it changes nothing; the
/// loop owns the listener.
#[derive(Clone)]
pub struct PacketServer {
    transport: DatagramTransport,
}

impl PacketServer {
    /// Where it listens. `None` once it is closed.
    #[must_use]
    pub fn local_address(&self) -> Option<Address> {
        self.transport.local_address()
    }

    /// Accepts nobody until [`resume`](Self::resume). Peers queue in the system, as many as its backlog holds.
    pub fn pause(&self) {
        self.transport.pause_reading();
    }

    /// Goes on accepting.
    pub fn resume(&self) {
        self.transport.resume_reading();
    }

    /// Stops listening. Its connections go on. Calling it again does nothing.
    pub fn stop(&self) {
        self.transport.abort();
    }
}

impl fmt::Debug for PacketServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PacketServer({:?})", self.transport.key())
    }
}

/// The protocol of a listener, to which nothing happens.
struct Nobody;

impl DatagramProtocol for Nobody {
    fn datagram_received(&mut self, _: &DatagramTransport, _: &[u8], _: &Address) {}
}

impl Shell {
    pub(crate) fn listen_packets(
        self: &Rc<Self>,
        address: &UnixAddress,
        options: &ListenOptions,
        factory: Factory,
        place: &'static Location<'static>,
    ) -> Result<PacketServer, DatagramError> {
        let wanted = Address::Unix(address.clone());
        let listening = if self.refuses_work() {
            Err(DatagramError::Over)
        } else {
            let key = self.add_slot(Slot::Reserved);
            let listening = match self.backend().datagrams() {
                Some(backend) => backend.listen_packets(key, &wanted, options),
                None => Err(io::ErrorKind::Unsupported.into()),
            };
            listening.map(|local| (key, local)).map_err(|source| {
                self.remove_slot(key);
                DatagramError::system(wanted, source)
            })
        };
        let (key, local) = match listening {
            Ok(listening) => listening,
            Err(error) => {
                self.contained(move || drop(factory));
                return Err(error);
            }
        };
        let opened = DatagramOpened { local, peer: None, largest: 0 };
        let mut port = Box::new(Port::new(Box::new(Nobody), opened, place));
        port.factory = Some(factory);
        self.slot(key, |slot| *slot = Slot::Datagram(port));
        self.visit_later(key);
        Ok(PacketServer { transport: DatagramTransport::new(Rc::clone(self), key) })
    }

    /// Accepts one connection, if one waits: whether it did.
    pub(super) fn accept_packets(self: &Rc<Self>, listener: Key) -> bool {
        let key = self.add_slot(Slot::Reserved);
        let accepted = match self.backend().datagrams() {
            Some(backend) => backend.accept_packets(listener, key),
            None => Ok(None),
        };
        match accepted {
            Ok(Some(opened)) => self.welcome_packets(listener, key, opened),
            Ok(None) => {
                self.remove_slot(key);
                self.port(listener, |port| port.state.input = false);
                return false;
            }
            Err(error) => {
                self.remove_slot(key);
                tracing::warn!(%error, "a connection could not be accepted");
                self.port(listener, |port| port.state.backing_off = true);
                let shell = Rc::clone(self);
                self.timer_after(BACK_OFF, move || {
                    shell.port(listener, |port| port.state.backing_off = false);
                    shell.go_on_with_datagrams(listener);
                });
            }
        }
        true
    }

    /// Asks the factory for a protocol, and begins the connection. Its protocol is told at once, as that of a stream is. In the
    /// ready queue the notice could be overtaken by the input of a connection that came later, and whoever accepts only a few
    /// could not pause the listener in time.
    fn welcome_packets(self: &Rc<Self>, listener: Key, key: Key, opened: DatagramOpened) {
        let taken = self.port(listener, |port| Some((port.factory.take()?, port.place))).flatten();
        let Some((mut factory, place)) = taken else { return self.turn_away(key) };
        let peer = opened.peer.clone().unwrap_or_else(|| opened.local.clone());
        let protocol = self.contained_at(place, || factory(&peer)).flatten();
        let mut factory = Some(factory);
        self.port(listener, |port| port.factory = factory.take());
        self.contained(move || drop(factory));
        let Some(protocol) = protocol else { return self.turn_away(key) };
        let port = Box::new(Port::new(protocol, opened, place));
        self.slot(key, |slot| *slot = Slot::Datagram(port));
        self.tell_port_made(key);
    }
}
