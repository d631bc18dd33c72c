//! Datagram sockets by endpoint.

use super::DatagramError;
use crate::address::Address;
use crate::backend::DatagramOptions;
use crate::endpoint::{Endpoint, Host, IntoEndpoint, Target};

impl DatagramOptions {
    /// To be reached at an endpoint: `udp://127.0.0.1:5353?reuse_port=1`, `unix-datagram:///run/log?mode=622`. Names are not
    /// looked up, apart from `localhost`. A `unix-seqpacket` endpoint is for
    /// [`listen_packets`](crate::Handle::listen_packets), and its [`packets`](Self::packets) are set.
    ///
    /// ```
    /// use marline_reactor::{Address, DatagramTransport, Reactor};
    /// use marline_reactor::DatagramOptions;
    ///
    /// let reactor = Reactor::new()?;
    /// let echo = |socket: &DatagramTransport, data: &[u8], from: &Address| _ = socket.send_to(data, from);
    /// let options = DatagramOptions::listening("udp://127.0.0.1:0")?;
    /// let socket = reactor.handle().open_datagram(&options, echo)?;
    /// assert!(socket.local_address().and_then(|address| address.as_inet()).is_some_and(|address| address.port() > 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If it is no endpoint, not one for datagrams, or names a host.
    pub fn listening(endpoint: impl IntoEndpoint) -> Result<Self, DatagramError> {
        let endpoint = endpoint.into_endpoint()?;
        let (address, packets) = address(&endpoint)?;
        let chosen = endpoint.listen_options();
        let mut options = Self::bind(address);
        options.packets = packets;
        // Two sockets for datagrams at one address is not what somebody expects who did not ask for it.
        options.reuse_address = endpoint.reuse_address_value().unwrap_or(false);
        options.reuse_port = chosen.reuse_port;
        options.mode = chosen.mode;
        Ok(options)
    }

    /// To be connected with an endpoint: `udp://127.0.0.1:53?bind=127.0.0.1:0`, `unix-datagram:///run/log`,
    /// `unix-seqpacket:///run/records`.
    ///
    /// ```
    /// use marline_reactor::DatagramOptions;
    ///
    /// let options = DatagramOptions::connecting("unix-seqpacket:///run/records")?;
    /// assert!(options.packets && options.peer.is_some());
    /// assert!(DatagramOptions::connecting("tcp://127.0.0.1:53").is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If it is no endpoint, not one for datagrams, or names a host.
    pub fn connecting(endpoint: impl IntoEndpoint) -> Result<Self, DatagramError> {
        let endpoint = endpoint.into_endpoint()?;
        let (address, packets) = address(&endpoint)?;
        let mut options = Self::connect(address);
        options.packets = packets;
        options.local = endpoint.bind_value().map(Address::from);
        options.reuse_address = endpoint.reuse_address_value().unwrap_or(false);
        options.reuse_port = endpoint.listen_options().reuse_port;
        Ok(options)
    }
}

/// The address that an endpoint names, and whether records are kept apart on a connection there.
fn address(endpoint: &Endpoint) -> Result<(Address, bool), DatagramError> {
    match endpoint.target() {
        Target::Udp(Host::Name { name, port }) if name == "localhost" => {
            Ok((Address::Inet(([127, 0, 0, 1], *port).into()), false))
        }
        Target::Udp(Host::Name { name, .. }) => Err(DatagramError::NotAnAddress { host: name.clone() }),
        Target::Udp(Host::Literal(address)) => Ok(((*address).into(), false)),
        Target::UnixDatagram(address) => Ok((address.clone().into(), false)),
        Target::UnixSeqpacket(address) => Ok((address.clone().into(), true)),
        _ => Err(DatagramError::WrongKind { target: endpoint.to_string() }),
    }
}
