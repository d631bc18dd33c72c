//! What can be given where an endpoint is wanted.

use std::net::SocketAddr;

use super::{Endpoint, EndpointError};
use crate::address::Address;

/// What can be used as an [`Endpoint`]: an endpoint, its string, or an address.
pub trait IntoEndpoint {
    /// Makes an endpoint of it.
    ///
    /// # Errors
    ///
    /// If a string is not in the form of an endpoint.
    fn into_endpoint(self) -> Result<Endpoint, EndpointError>;
}

impl IntoEndpoint for Endpoint {
    fn into_endpoint(self) -> Result<Endpoint, EndpointError> {
        Ok(self)
    }
}

impl IntoEndpoint for &Endpoint {
    fn into_endpoint(self) -> Result<Endpoint, EndpointError> {
        Ok(self.clone())
    }
}

/// What [`Endpoint::tcp`] answers can be passed on as it is.
impl IntoEndpoint for Result<Endpoint, EndpointError> {
    fn into_endpoint(self) -> Self {
        self
    }
}

impl IntoEndpoint for &str {
    fn into_endpoint(self) -> Result<Endpoint, EndpointError> {
        self.parse()
    }
}

impl IntoEndpoint for String {
    fn into_endpoint(self) -> Result<Endpoint, EndpointError> {
        self.parse()
    }
}

impl IntoEndpoint for &String {
    fn into_endpoint(self) -> Result<Endpoint, EndpointError> {
        self.parse()
    }
}

impl IntoEndpoint for SocketAddr {
    fn into_endpoint(self) -> Result<Endpoint, EndpointError> {
        Ok(self.into())
    }
}

impl IntoEndpoint for Address {
    fn into_endpoint(self) -> Result<Endpoint, EndpointError> {
        (&self).into_endpoint()
    }
}

impl IntoEndpoint for &Address {
    fn into_endpoint(self) -> Result<Endpoint, EndpointError> {
        match self {
            Address::Inet(address) => Ok((*address).into()),
            Address::Unix(address) => Ok(address.clone().into()),
            Address::Named(words) => words.parse(),
        }
    }
}
