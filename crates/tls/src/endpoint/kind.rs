//! What connects to endpoints of TLS, and listens on them.

use std::io;

use marline_reactor::{
    Address, ConnectDone, ConnectError, ConnectFactory, Connecting, Endpoint, EndpointKind, EndpointParts,
    Handle, ListenError, ListenFactory, Server, filter,
};
use rustls::pki_types::ServerName;

use super::cache;
use super::options::{self, NAMES, Options};
use crate::error::ConfigError;
use crate::{ClientTls, ServerTls};

/// What a client calls a server without a name, whom it trusts whoever it is: an address is not told (RFC 6066).
const NOBODY: &str = "0.0.0.0";

/// TLS over endpoints of another scheme.
pub(super) struct Kind {
    inner: &'static str,
    options: Vec<&'static str>,
}

impl Kind {
    pub(super) fn new(inner: &'static str, options: &[&'static str]) -> Self {
        Self { inner, options: NAMES.iter().chain(options).copied().collect() }
    }

    /// What TLS runs over: with the options that are not of TLS, or all, if that is TLS again.
    fn inner(&self, parts: &EndpointParts) -> String {
        let mut inner = format!("{}:{}", self.inner, parts.rest());
        let mut separator = '?';
        for (name, value) in parts.options() {
            if self.inner == "tls" || !NAMES.contains(&name) {
                inner.push(separator);
                inner.push_str(&format!("{name}={value}"));
                separator = '&';
            }
        }
        inner
    }

    fn host<'a>(&self, parts: &'a EndpointParts) -> Option<&'a str> {
        if matches!(self.inner, "tcp" | "tls") { host(parts.rest()) } else { None }
    }

    fn client(&self, parts: &EndpointParts) -> Result<(ClientTls, ServerName<'static>), ConfigError> {
        options::check_for_client(parts)?;
        let options = Options::of(parts)?;
        let name = match (options.server_name.as_deref(), self.host(parts), options.verify) {
            (Some(name), ..) | (None, Some(name), _) => name,
            (None, None, false) => NOBODY,
            (None, None, true) => return Err(ConfigError::NoServerName { endpoint: parts.to_string() }),
        };
        let client = cache::client(&options)?;
        let name = client.name(name)?;
        Ok((client, name))
    }

    fn server(&self, parts: &EndpointParts) -> Result<ServerTls, ConfigError> {
        options::check_for_server(parts)?;
        let server = cache::server(&Options::of(parts)?)?;
        server.ok_or_else(|| ConfigError::NoIdentity { endpoint: parts.to_string() })
    }
}

impl EndpointKind for Kind {
    fn options(&self) -> &[&'static str] {
        &self.options
    }

    fn check(&self, parts: &EndpointParts) -> Result<(), String> {
        Options::of(parts).map_err(|error| format!("an endpoint of TLS, but: {error}"))?;
        let inner = self.inner(parts).parse::<Endpoint>();
        inner.map(drop).map_err(|error| format!("what TLS can run over, but: {error}"))
    }

    fn connect(
        &self,
        handle: &Handle,
        parts: &EndpointParts,
        factory: ConnectFactory,
        done: ConnectDone,
    ) -> Connecting {
        match self.client(parts) {
            Ok((tls, name)) => {
                filter::connect(handle, self.inner(parts), move |_| tls.filter_for(name), factory, done)
            }
            Err(error) => refused(handle, parts, error, done),
        }
    }

    fn listen(
        &self,
        handle: &Handle,
        parts: &EndpointParts,
        factory: ListenFactory,
    ) -> Result<Server, ListenError> {
        let server = self.server(parts).map_err(|error| ListenError::System {
            address: Address::named(parts.to_string()),
            source: io::Error::other(error),
        })?;
        filter::listen(handle, self.inner(parts), move |_| server.filter(), factory)
    }
}

/// An attempt that failed before there was anything to connect to.
#[track_caller]
fn refused(handle: &Handle, parts: &EndpointParts, error: ConfigError, done: ConnectDone) -> Connecting {
    let (target, source) = (parts.to_string(), io::Error::other(error));
    Connecting::failed(handle, ConnectError::Open { target, source }, done)
}

/// The host of `//host:port`, without the brackets and the scope of an IPv6 address.
fn host(rest: &str) -> Option<&str> {
    let rest = rest.strip_prefix("//")?;
    match rest.strip_prefix('[') {
        Some(bracketed) => bracketed.split([']', '%']).next(),
        None => rest.split(':').next(),
    }
}

#[test]
fn hosts_are_found() {
    for (rest, expected) in [
        ("//example.org:443", Some("example.org")),
        ("//10.0.0.1:1", Some("10.0.0.1")),
        ("//[::1]:80", Some("::1")),
        ("//[fe80::1%2]:80", Some("fe80::1")),
        ("", None),
    ] {
        assert_eq!(host(rest), expected);
    }
}
