//! Where to listen, or what to connect to.
//!
//! - `target.rs`: what an endpoint names. `options.rs`: what is chosen about it.
//! - `parse.rs`: their form as strings. `into.rs`: what may be given in the place of an endpoint.
//! - `kind.rs`: kinds that a program adds.

mod error;
mod into;
mod kind;
mod options;
mod parse;
mod target;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

pub use error::{EndpointError, EndpointErrorKind};
pub use into::IntoEndpoint;
pub use kind::{
    ConnectDone, ConnectFactory, EndpointKind, EndpointParts, ListenFactory, RegisterError, register_endpoint,
};
pub use options::OpenFor;
use options::Options;
pub(crate) use target::{Host, Target};

use crate::address::{Address, UnixAddress};
use crate::backend::{ConnectOptions, ListenOptions};

/// The attempt delay that RFC 8305 recommends in its section 8,
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// and the least that it allows.
const LEAST_ATTEMPT_DELAY: Duration = Duration::from_millis(10);

/// Where to listen, or what to connect to, and how: as a string, or built step by step.
///
/// | string | to connect | to listen |
/// |---|---|---|
/// | `tcp://HOST:PORT` | yes | yes |
/// | `unix://PATH`, `unix-abstract://NAME` | yes | yes |
/// | `udp://HOST:PORT`, `unix-datagram://PATH`, `unix-seqpacket://PATH` | for datagrams | for datagrams |
/// | `stdio:` | standard input and output | |
/// | `fd://NUMBER` | an inherited stream | an inherited listener |
/// | `systemd://NAME` or `systemd://NUMBER` | a stream from the service manager | a listener from it |
/// | `pipe://PATH?open=read` or `write` | a named pipe | |
/// | `exec:COMMAND` | input and output of a new process | |
/// | `pty:COMMAND` | a new process in a terminal | |
/// | any other scheme | as [registered](register_endpoint) | as registered |
///
/// HOST is a name, an IPv4 address, or an IPv6 address in brackets, with a numeric scope if it needs one
/// (`[fe80::1%2]`). Port 0 listens on any free port. Nothing is percent-encoded. A COMMAND takes the rest of the string, and has
/// no options. `unix-datagram://@NAME` and `unix-seqpacket://@NAME` are abstract names.
///
/// Options follow a question mark: `?OPTION=VALUE&OPTION=VALUE`.
///
/// | option | value | of | meaning |
/// |---|---|---|---|
/// | `backlog` | number | listeners | connections that the system keeps until they are accepted; 1 024 by default |
/// | `reuse_address` | 1 or 0 | TCP and UDP listeners | bind although old connections linger; 1 by default |
/// | `reuse_port` | 1 or 0 | TCP and UDP listeners | share the port among several listeners; 0 by default |
/// | `limit` | number | listeners | connections alive at the same time; unlimited by default |
/// | `mode` | octal number | UNIX listeners | the permissions of the socket file, like `600`; by default the process's mask decides |
/// | `timeout` | seconds | connecting | for how long to try, like `2.5` |
/// | `attempt_delay` | seconds | TCP connecting | the time that an address has alone before the next is tried beside it; 0.25 by default, at least 0.01 |
/// | `bind` | address:port | TCP and UDP connecting | the local address to connect from; any by default |
/// | `nodelay` | 1 or 0 | TCP | send small writes at once (TCP_NODELAY); 1 by default |
/// | `open` | `read` or `write` | named pipes | which end |
/// | `descriptors` | 1 or 0 | UNIX streams | pass [descriptors](crate::Transport::send_descriptor), both ways; 0 by default |
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

impl Endpoint {
    /// TCP at `host:port`, which a `SocketAddr` may name as well.
    ///
    /// # Errors
    ///
    /// If that is not a host and a port.
    #[allow(clippy::needless_pass_by_value)]
    pub fn tcp(host_port: impl ToString) -> Result<Self, EndpointError> {
        parse::host_port(&host_port.to_string(), Target::Tcp)
    }

    /// The socket file at `path`. A file that a listener left behind is replaced when listening; the file is removed when
    /// listening ends.
    #[must_use]
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        UnixAddress::path(path).into()
    }

    /// UDP at `host:port`, for datagrams.
    ///
    /// # Errors
    ///
    /// If that is not a host and a port.
    #[allow(clippy::needless_pass_by_value)]
    pub fn udp(host_port: impl ToString) -> Result<Self, EndpointError> {
        parse::host_port(&host_port.to_string(), Target::Udp)
    }

    /// Standard input and output, as [`Handle::stdio`](crate::Handle::stdio) opens them.
    #[must_use]
    pub fn stdio() -> Self {
        Target::Stdio.into()
    }

    /// A descriptor that the program inherited: a listener to listen with, anything else to connect to.
    #[must_use]
    pub fn descriptor(number: RawFd) -> Self {
        Target::Descriptor(number).into()
    }

    /// A descriptor that the service manager passed (`sd_listen_fds(3)`), by its name or its number from 0 on.
    #[must_use]
    pub fn systemd(name: impl Into<String>) -> Self {
        Target::Systemd(name.into()).into()
    }

    /// The named pipe at `path`. Opened for [writing](OpenFor::Writing), it is waited for until somebody reads it.
    #[must_use]
    pub fn pipe(path: impl Into<PathBuf>, open: OpenFor) -> Self {
        Self::from(Target::Pipe(path.into())).open(open)
    }

    /// The standard input and output of a new process, whose command line is for the shell.
    #[must_use]
    pub fn exec(command: impl Into<String>) -> Self {
        Target::Exec(command.into()).into()
    }

    /// A new process in a terminal of its own.
    #[must_use]
    pub fn pty(command: impl Into<String>) -> Self {
        Target::Pty(command.into()).into()
    }

    /// An endpoint that brings its [kind](EndpointKind) along, which need not be registered: a kind may hold what no string can
    /// say, like certificates that the program made. `text` is what stands for it in messages, and what the kind is given to
    /// take apart: `SCHEME:REST?OPTIONS`. Neither [`check`](EndpointKind::check) nor
    /// [`options`](EndpointKind::options) is asked about it. Of what the methods below set, its [`timeout`](Self::timeout) and its
    /// [`limit`](Self::limit) hold, whatever the kind connects to or listens on; the rest does nothing.
    ///
    /// ```
    /// use marline_reactor::{ConnectDone, ConnectFactory, Connecting, Endpoint, EndpointKind, EndpointParts, Handle};
    /// use std::net::SocketAddr;
    ///
    /// /// Whatever is asked for, it connects to the first of these.
    /// struct Any(Vec<SocketAddr>);
    ///
    /// impl EndpointKind for Any {
    ///     fn connect(&self, handle: &Handle, _: &EndpointParts, factory: ConnectFactory, done: ConnectDone) -> Connecting {
    ///         handle.connect(self.0[0], factory, done)
    ///     }
    /// }
    ///
    /// let endpoint = Endpoint::of_kind(Any(vec![([127, 0, 0, 1], 8000).into()]), "any:");
    /// assert_eq!(endpoint.to_string(), "any:");
    /// ```
    #[must_use]
    pub fn of_kind(kind: impl EndpointKind, text: &str) -> Self {
        let (scheme, rest) = text.split_once(':').unwrap_or((text, ""));
        Target::Registered(EndpointParts::of_kind(Arc::new(kind), scheme, rest)).into()
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

    /// The permissions of the socket file that a listener makes, such as `0o600`.
    #[must_use]
    pub const fn mode(mut self, mode: u32) -> Self {
        self.options.mode = Some(mode);
        self
    }

    /// Whether descriptors can be passed over the connection, or those of a listener, in both directions:
    /// [`send_descriptor`](crate::Transport::send_descriptor),
    /// [`descriptor_received`](crate::Protocol::descriptor_received). Only UNIX sockets have that, and only streams. What
    /// comes over a connection that was not opened for it is closed by the system.
    ///
    /// ```
    /// use marline_reactor::Endpoint;
    ///
    /// let endpoint = Endpoint::unix("/run/broker.sock").descriptors(true);
    /// assert_eq!(endpoint.to_string(), "unix:///run/broker.sock?descriptors=1");
    /// ```
    #[must_use]
    pub const fn descriptors(mut self, pass: bool) -> Self {
        self.options.descriptors = Some(pass);
        self
    }

    /// Whether a named pipe is read or written.
    #[must_use]
    pub const fn open(mut self, open: OpenFor) -> Self {
        self.options.open = Some(open);
        self
    }
}

impl Endpoint {
    pub(crate) const fn target(&self) -> &Target {
        &self.target
    }

    /// Whether it is of a kind that the program added.
    pub(crate) const fn is_registered(&self) -> bool {
        matches!(self.target, Target::Registered(_))
    }

    pub(crate) const fn host(&self) -> Option<&Host> {
        self.target.host()
    }

    pub(crate) const fn reuse_address_value(&self) -> Option<bool> {
        self.options.reuse_address
    }

    pub(crate) const fn open_value(&self) -> Option<OpenFor> {
        self.options.open
    }

    /// Stands for something in errors, as it is called there.
    pub(crate) fn named(name: &str) -> Self {
        let (scheme, rest) = name.split_once(':').unwrap_or((name, ""));
        Target::Registered(EndpointParts::new(scheme, rest, Vec::new())).into()
    }

    pub(crate) fn listen_options(&self) -> ListenOptions {
        let (chosen, default) = (&self.options, ListenOptions::default());
        ListenOptions {
            backlog: chosen.backlog.unwrap_or(default.backlog),
            reuse_address: chosen.reuse_address.unwrap_or(default.reuse_address),
            reuse_port: chosen.reuse_port.unwrap_or(default.reuse_port),
            nodelay: chosen.nodelay.unwrap_or(default.nodelay),
            mode: chosen.mode.or(default.mode),
            descriptors: chosen.descriptors.unwrap_or(default.descriptors),
        }
    }

    pub(crate) fn connect_options(&self) -> ConnectOptions {
        let (chosen, default) = (&self.options, ConnectOptions::default());
        ConnectOptions {
            bind: chosen.bind.map(Address::from).or(default.bind),
            nodelay: chosen.nodelay.unwrap_or(default.nodelay),
            descriptors: chosen.descriptors.unwrap_or(default.descriptors),
        }
    }

    pub(crate) const fn limit_value(&self) -> Option<usize> {
        self.options.limit
    }

    /// For how long to try, also as an option of a kind that the program added.
    pub(crate) fn connect_timeout(&self) -> Option<Duration> {
        match &self.target {
            Target::Registered(parts) => parts.option("timeout").and_then(options::seconds),
            _ => self.options.timeout,
        }
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
        Target::Tcp(address.into()).into()
    }
}

impl From<UnixAddress> for Endpoint {
    fn from(address: UnixAddress) -> Self {
        Target::Unix(address).into()
    }
}

impl From<Target> for Endpoint {
    fn from(target: Target) -> Self {
        Self { target, options: Options::default() }
    }
}

impl fmt::Display for Endpoint {
    /// As the string that it can be parsed from.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Target::Registered(parts) => parts.fmt(f),
            target => write!(f, "{target}{}", self.options),
        }
    }
}
