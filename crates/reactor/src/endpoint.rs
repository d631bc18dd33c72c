//! Where to listen, or what to connect to.

mod error;
mod into;
mod parse;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

pub use error::{EndpointError, EndpointErrorKind};
pub use into::IntoEndpoint;

use crate::address::{Address, UnixAddress};
use crate::backend::{ConnectOptions, ListenOptions};

/// The attempt delay that RFC 8305 recommends in its section 8,
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// and the least that it allows.
const LEAST_ATTEMPT_DELAY: Duration = Duration::from_millis(10);

/// Where to listen, or what to connect to, and how: as a string, or built step by step.
///
/// ```text
/// tcp://HOST:PORT?OPTION=VALUE&OPTION=VALUE
/// unix://PATH
/// unix-abstract://NAME
/// ```
///
/// HOST is a name, an IPv4 address, or an IPv6 address in brackets, with a numeric scope if it needs one
/// (`[fe80::1%2]`). Port 0 listens on any free port. Nothing is percent-encoded.
///
/// | option | value | of | meaning |
/// |---|---|---|---|
/// | `backlog` | number | listeners | connections that the system keeps until they are accepted; 1 024 by default |
/// | `reuse_address` | 1 or 0 | listeners | bind although old connections linger; 1 by default |
/// | `reuse_port` | 1 or 0 | listeners | share the port among several listeners; 0 by default |
/// | `limit` | number | listeners | connections alive at the same time; unlimited by default |
/// | `timeout` | seconds | connecting | for how long to try, like `2.5` |
/// | `attempt_delay` | seconds | connecting | the time that an address has alone before the next is tried beside it; 0.25 by default, at least 0.01 |
/// | `bind` | address:port | connecting | the local address to connect from; any by default |
/// | `mode` | octal number | listeners | the permissions of a socket file, like `600`; by default the process's mask decides |
/// | `nodelay` | 1 or 0 | both | send small writes at once (TCP_NODELAY); 1 by default |
///
/// ```
/// use marline_reactor::Endpoint;
///
/// let written: Endpoint = "tcp://[::1]:8000?backlog=512&limit=1000".parse()?;
/// let built = Endpoint::tcp("[::1]:8000")?.backlog(512).limit(1000);
/// assert_eq!(written, built);
/// assert_eq!(built.to_string(), "tcp://[::1]:8000?backlog=512&limit=1000");
/// # Ok::<(), marline_reactor::EndpointError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    target: Target,
    options: Options,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Target {
    /// Nothing to resolve.
    Literal(SocketAddr),
    Name {
        host: String,
        port: u16,
    },
    Unix(UnixAddress),
}

/// What was chosen. What was not is left to the defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Options {
    backlog: Option<u32>,
    reuse_address: Option<bool>,
    reuse_port: Option<bool>,
    limit: Option<usize>,
    timeout: Option<Duration>,
    attempt_delay: Option<Duration>,
    bind: Option<SocketAddr>,
    nodelay: Option<bool>,
    mode: Option<u32>,
}

impl Endpoint {
    /// TCP at `host:port`, which a `SocketAddr` may name as well.
    ///
    /// # Errors
    ///
    /// If that is not a host and a port.
    #[allow(clippy::needless_pass_by_value)]
    pub fn tcp(host_port: impl ToString) -> Result<Self, EndpointError> {
        parse::tcp(&host_port.to_string())
    }

    /// The socket file at `path`. A file that a listener left behind is replaced when listening; the file is removed when
    /// listening ends.
    #[must_use]
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        UnixAddress::path(path).into()
    }

    /// How many connections the system keeps that were not accepted yet (it may cap the number).
    #[must_use]
    pub const fn backlog(mut self, connections: u32) -> Self {
        self.options.backlog = Some(connections);
        self
    }

    /// Whether a listener can bind its port again while old connections of it linger.
    #[must_use]
    pub const fn reuse_address(mut self, reuse: bool) -> Self {
        self.options.reuse_address = Some(reuse);
        self
    }

    /// Whether several listeners share the port, each with its share of the connections.
    #[must_use]
    pub const fn reuse_port(mut self, reuse: bool) -> Self {
        self.options.reuse_port = Some(reuse);
        self
    }

    /// How many connections of the listener may be alive at the same time.
    #[must_use]
    pub const fn limit(mut self, connections: usize) -> Self {
        self.options.limit = Some(connections);
        self
    }

    /// For how long to try to connect.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = Some(timeout);
        self
    }

    /// For how long an address has the attempt to itself before the next one of the host is tried beside it (RFC 8305). At
    /// least 10 ms: less counts as that.
    ///
    /// ```
    /// use marline_reactor::Endpoint;
    /// use std::time::Duration;
    ///
    /// let patient = Endpoint::tcp("example.org:80")?.attempt_delay(Duration::from_secs(2));
    /// assert_eq!(patient.to_string(), "tcp://example.org:80?attempt_delay=2");
    /// # Ok::<(), marline_reactor::EndpointError>(())
    /// ```
    #[must_use]
    pub const fn attempt_delay(mut self, delay: Duration) -> Self {
        let is_short = delay.as_nanos() < LEAST_ATTEMPT_DELAY.as_nanos();
        self.options.attempt_delay = Some(if is_short { LEAST_ATTEMPT_DELAY } else { delay });
        self
    }

    /// The local address to connect from. Addresses of another family are not tried then.
    #[must_use]
    pub const fn bind(mut self, address: SocketAddr) -> Self {
        self.options.bind = Some(address);
        self
    }

    /// Whether small writes leave at once (TCP_NODELAY).
    #[must_use]
    pub const fn nodelay(mut self, nodelay: bool) -> Self {
        self.options.nodelay = Some(nodelay);
        self
    }
}

impl Endpoint {
    /// The permissions of the socket file that a listener makes, such as `0o600`.
    #[must_use]
    pub const fn mode(mut self, mode: u32) -> Self {
        self.options.mode = Some(mode);
        self
    }
}

#[allow(dead_code)]
impl Endpoint {
    /// The host: a name, or an address without brackets.
    pub(crate) fn host(&self) -> String {
        match &self.target {
            Target::Literal(SocketAddr::V6(address)) if address.scope_id() != 0 => {
                format!("{}%{}", address.ip(), address.scope_id())
            }
            Target::Literal(address) => address.ip().to_string(),
            Target::Name { host, .. } => host.clone(),
            Target::Unix(_) => String::new(),
        }
    }

    pub(crate) const fn port(&self) -> u16 {
        match &self.target {
            Target::Literal(address) => address.port(),
            Target::Name { port, .. } => *port,
            Target::Unix(_) => 0,
        }
    }

    /// The address, if there is nothing to resolve.
    pub(crate) fn literal(&self) -> Option<Address> {
        match &self.target {
            Target::Literal(address) => Some((*address).into()),
            Target::Unix(address) => Some(address.clone().into()),
            Target::Name { .. } => None,
        }
    }

    pub(crate) fn listen_options(&self) -> ListenOptions {
        let (chosen, default) = (&self.options, ListenOptions::default());
        ListenOptions {
            backlog: chosen.backlog.unwrap_or(default.backlog),
            reuse_address: chosen.reuse_address.unwrap_or(default.reuse_address),
            reuse_port: chosen.reuse_port.unwrap_or(default.reuse_port),
            nodelay: chosen.nodelay.unwrap_or(default.nodelay),
            mode: chosen.mode.or(default.mode),
        }
    }

    pub(crate) fn connect_options(&self) -> ConnectOptions {
        let (chosen, default) = (&self.options, ConnectOptions::default());
        ConnectOptions {
            bind: chosen.bind.map(Address::from).or(default.bind),
            nodelay: chosen.nodelay.unwrap_or(default.nodelay),
        }
    }

    pub(crate) const fn limit_value(&self) -> Option<usize> {
        self.options.limit
    }

    pub(crate) const fn timeout_value(&self) -> Option<Duration> {
        self.options.timeout
    }

    pub(crate) fn attempt_delay_value(&self) -> Duration {
        self.options.attempt_delay.unwrap_or(ATTEMPT_DELAY)
    }

    pub(crate) const fn bind_value(&self) -> Option<SocketAddr> {
        self.options.bind
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        parse::endpoint(text)
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self {
            target: Target::literal(address.ip(), scope_of(&address), address.port()),
            options: Options::default(),
        }
    }
}

impl From<UnixAddress> for Endpoint {
    fn from(address: UnixAddress) -> Self {
        Self { target: Target::Unix(address), options: Options::default() }
    }
}

impl fmt::Display for Endpoint {
    /// As the string that it can be parsed from.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Target::Literal(address) => write!(f, "tcp://{address}")?,
            Target::Name { host, port } => write!(f, "tcp://{host}:{port}")?,
            Target::Unix(address) => write!(f, "{address}")?,
        }
        write!(f, "{}", self.options)
    }
}

impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flag = |chosen: Option<bool>| chosen.map(|chosen| u8::from(chosen).to_string());
        let options = [
            ("backlog", self.backlog.map(|value| value.to_string())),
            ("reuse_address", flag(self.reuse_address)),
            ("reuse_port", flag(self.reuse_port)),
            ("limit", self.limit.map(|value| value.to_string())),
            ("timeout", self.timeout.map(seconds)),
            ("attempt_delay", self.attempt_delay.map(seconds)),
            ("bind", self.bind.map(|value| value.to_string())),
            ("nodelay", flag(self.nodelay)),
            ("mode", self.mode.map(|mode| format!("{mode:o}"))),
        ];
        let mut separator = '?';
        for (name, value) in options {
            if let Some(value) = value {
                write!(f, "{separator}{name}={value}")?;
                separator = '&';
            }
        }
        Ok(())
    }
}

impl Target {
    /// Leaves out the flow label, which a string cannot express and a program does not choose.
    fn literal(ip: IpAddr, scope: u32, port: u16) -> Self {
        let mut address = SocketAddr::new(ip, port);
        if let SocketAddr::V6(address) = &mut address {
            address.set_scope_id(scope);
        }
        Self::Literal(address)
    }
}

const fn scope_of(address: &SocketAddr) -> u32 {
    match address {
        SocketAddr::V4(_) => 0,
        SocketAddr::V6(address) => address.scope_id(),
    }
}

/// Seconds, with as many decimals as it takes to lose nothing.
fn seconds(duration: Duration) -> String {
    let text = format!("{}.{:09}", duration.as_secs(), duration.subsec_nanos());
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
