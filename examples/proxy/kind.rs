//! Endpoints whose connections begin with a header: to connect is to announce, to listen is to expect.

use std::net::SocketAddr;
use std::time::Duration;

use marline::{
    Address, Addresses, ConnectDone, ConnectFactory, Connecting, Endpoint, EndpointKind, EndpointParts,
    Handle, ListenError, ListenFactory, RegisterError, Server, filter, register_endpoint,
};

use super::{Announce, Expect, Version};

/// How long a server waits for a header, unless it is told otherwise.
const WAIT: Duration = Duration::from_secs(5);

/// `proxy://HOST:PORT` over TCP, and the like over others:
///
/// | option | of | meaning |
/// |---|---|---|
/// | `version` | connecting | 1 or 2; 1 by default |
/// | `source` | connecting | the address of a client to speak for, instead of for oneself |
/// | `wait` | listeners | how many seconds the header may take; 5 by default |
///
/// The options of the endpoint beneath are taken as well.
struct Kind {
    below: &'static str,
    options: &'static [&'static str],
}

const OURS: [&str; 3] = ["version", "source", "wait"];

/// Adds `proxy://` and `proxy+unix://` to the endpoints of the process.
pub(crate) fn register() -> Result<(), RegisterError> {
    let options = &["version", "source", "wait", "backlog", "limit", "reuse_port", "timeout", "bind"];
    register_endpoint("proxy", Kind { below: "tcp", options })?;
    let options = &["version", "source", "wait", "backlog", "limit", "mode", "timeout"];
    register_endpoint("proxy+unix", Kind { below: "unix", options })
}

impl Kind {
    /// The endpoint beneath, with the options that are its own.
    fn below(&self, parts: &EndpointParts) -> String {
        let mut text = format!("{}:{}", self.below, parts.rest());
        let options = parts.options().filter(|(name, _)| !OURS.contains(name));
        for ((name, value), separator) in options.zip(std::iter::once('?').chain(std::iter::repeat('&'))) {
            text.extend([String::from(separator), format!("{name}={value}")]);
        }
        text
    }
}

fn version(parts: &EndpointParts) -> Result<Version, String> {
    match parts.option("version") {
        None | Some("1") => Ok(Version::One),
        Some("2") => Ok(Version::Two),
        Some(_) => Err("version=1 or version=2".to_owned()),
    }
}

fn source(parts: &EndpointParts) -> Result<Option<SocketAddr>, String> {
    let source = parts.option("source").map(str::parse).transpose();
    source.map_err(|_| "source=ADDRESS:PORT".to_owned())
}

fn wait(parts: &EndpointParts) -> Result<Duration, String> {
    let Some(text) = parts.option("wait") else { return Ok(WAIT) };
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| "wait=SECONDS".to_owned())
}

impl EndpointKind for Kind {
    fn options(&self) -> &[&'static str] {
        self.options
    }

    fn check(&self, parts: &EndpointParts) -> Result<(), String> {
        let _ = (version(parts)?, source(parts)?, wait(parts)?);
        self.below(parts).parse::<Endpoint>().map(drop).map_err(|error| error.to_string())
    }

    fn connect(
        &self,
        handle: &Handle,
        parts: &EndpointParts,
        factory: ConnectFactory,
        done: ConnectDone,
    ) -> Connecting {
        let version = version(parts).unwrap_or(Version::One);
        let source = source(parts).ok().flatten();
        let announce = move |ends: &Addresses| {
            // Our own end is the client, unless we speak for another.
            let peer = source.map_or_else(|| ends.local.clone(), Address::Inet);
            Announce { version, addresses: Some(Addresses { local: ends.peer.clone(), peer }) }
        };
        filter::connect(handle, self.below(parts), announce, factory, done)
    }

    fn listen(
        &self,
        handle: &Handle,
        parts: &EndpointParts,
        factory: ListenFactory,
    ) -> Result<Server, ListenError> {
        let wait = wait(parts).unwrap_or(WAIT);
        filter::listen(handle, self.below(parts), move |_| Expect { wait }, factory)
    }
}
