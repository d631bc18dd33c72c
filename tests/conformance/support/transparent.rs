//! A filter that changes nothing, and endpoints with it.

use std::fmt::Display;
use std::io::IoSlice;
use std::sync::Once;

use marline_reactor::filter::{self, Filter, FilterError, Flow, Output};
use marline_reactor::{
    ConnectDone, ConnectFactory, Connecting, Endpoint, EndpointKind, EndpointParts, Handle, ListenError,
    ListenFactory, Server, register_endpoint,
};

/// An endpoint with the filter, over TCP.
pub fn over(address: impl Display) -> Endpoint {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| register_endpoint("transparent", Kind).expect("a scheme that is free"));
    let address = address.to_string();
    let address = address.strip_prefix("tcp://").unwrap_or(&address);
    format!("transparent://{address}").parse().expect("an endpoint")
}

pub struct Transparent;

impl Filter for Transparent {
    fn inbound(
        &mut self,
        _: &mut Flow<'_>,
        input: &[u8],
        output: &mut Output<'_>,
    ) -> Result<usize, FilterError> {
        Ok(output.push(input))
    }

    fn outbound(&mut self, flow: &mut Flow<'_>, input: &[IoSlice<'_>]) -> Result<usize, FilterError> {
        input.iter().for_each(|part| flow.send(part));
        Ok(input.iter().map(|part| part.len()).sum())
    }

    fn takes_at_once(&self) -> bool {
        true
    }
}

struct Kind;

impl EndpointKind for Kind {
    fn connect(
        &self,
        handle: &Handle,
        parts: &EndpointParts,
        factory: ConnectFactory,
        done: ConnectDone,
    ) -> Connecting {
        filter::connect(handle, format!("tcp:{}", parts.rest()), |_| Transparent, factory, done)
    }

    fn listen(
        &self,
        handle: &Handle,
        parts: &EndpointParts,
        factory: ListenFactory,
    ) -> Result<Server, ListenError> {
        filter::listen(handle, format!("tcp:{}", parts.rest()), |_| Transparent, factory)
    }
}
