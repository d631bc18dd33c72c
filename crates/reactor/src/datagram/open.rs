//! How a datagram socket is opened.

use std::io;
use std::panic::Location;
use std::rc::Rc;

use super::{DatagramError, DatagramProtocol, DatagramTransport, Port};
use crate::address::Address;
use crate::backend::{DatagramOpened, DatagramOptions};
use crate::reactor::{Shell, Slot};

impl Shell {
    pub(crate) fn open_datagram(
        self: &Rc<Self>,
        options: &DatagramOptions,
        protocol: Box<dyn DatagramProtocol>,
        place: &'static Location<'static>,
    ) -> Result<DatagramTransport, DatagramError> {
        let opened = self.begin_datagram(options);
        let (key, opened) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                self.contained(move || drop(protocol));
                return Err(error);
            }
        };
        let port = Box::new(Port::new(protocol, opened, place));
        self.slot(key, |slot| *slot = Slot::Datagram(port));
        self.visit_later(key);
        Ok(DatagramTransport::new(Rc::clone(self), key))
    }

    fn begin_datagram(
        &self,
        options: &DatagramOptions,
    ) -> Result<(crate::key::Key, DatagramOpened), DatagramError> {
        if self.refuses_work() {
            return Err(DatagramError::Over);
        }
        let address = check(options)?;
        let key = self.add_slot(Slot::Reserved);
        let opened = match self.backend().datagrams() {
            Some(backend) => backend.open_datagram(key, options),
            None => Err(io::ErrorKind::Unsupported.into()),
        };
        opened.map(|opened| (key, opened)).map_err(|source| {
            self.remove_slot(key);
            DatagramError::system(address.clone(), source)
        })
    }
}

/// The address that errors name, if those that were given go together.
fn check(options: &DatagramOptions) -> Result<&Address, DatagramError> {
    let first = options.local.as_ref().or(options.peer.as_ref()).ok_or(DatagramError::NoAddress)?;
    let mut both = options.local.iter().chain(&options.peer);
    match both.find(|address| !are_of_one_kind(first, address)) {
        Some(address) => Err(DatagramError::WrongFamily { address: address.clone() }),
        None => Ok(first),
    }
}

/// Whether a socket that is bound to the one can send to the other.
pub(super) fn are_of_one_kind(one: &Address, other: &Address) -> bool {
    match (one, other) {
        (Address::Inet(one), Address::Inet(other)) => one.is_ipv4() == other.is_ipv4(),
        (Address::Unix(_), Address::Unix(_)) => true,
        _ => false,
    }
}
