//! Endpoints with TLS, for tests that know nothing of it.

use std::fmt::Display;
use std::sync::Once;

use marline_reactor::{
    ConnectDone, ConnectFactory, Connecting, Endpoint, EndpointKind, EndpointParts, Handle, ListenError,
    ListenFactory, Server, filter, register_endpoint,
};
use marline_tls::TlsVersion;

use super::begin::Side;
use super::config::Setup;

const SCHEME: &str = "secure";

/// An endpoint with TLS over TCP.
pub fn over(address: impl Display) -> Endpoint {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| register_endpoint(SCHEME, Kind).expect("a scheme that is free"));
    let address = address.to_string();
    let address = address.strip_prefix("tcp://").unwrap_or(&address);
    format!("{SCHEME}://{address}").parse().expect("an endpoint")
}

struct Kind;

fn below(parts: &EndpointParts) -> String {
    format!("tcp:{}", parts.rest())
}

impl EndpointKind for Kind {
    fn connect(
        &self,
        handle: &Handle,
        parts: &EndpointParts,
        factory: ConnectFactory,
        done: ConnectDone,
    ) -> Connecting {
        let made = Side::Client.filter(TlsVersion::Tls13, &Setup::default());
        filter::connect(handle, below(parts), |_| made, factory, done)
    }

    fn listen(
        &self,
        handle: &Handle,
        parts: &EndpointParts,
        factory: ListenFactory,
    ) -> Result<Server, ListenError> {
        let made = |_: &_| Side::Server.filter(TlsVersion::Tls13, &Setup::default());
        filter::listen(handle, below(parts), made, factory)
    }
}
