//! Endpoints that bring their TLS along, as the program made it.

use marline_reactor::{
    ConnectDone, ConnectFactory, Connecting, Endpoint, EndpointKind, EndpointParts, Handle, ListenError,
    ListenFactory, Server, filter,
};
use rustls::pki_types::ServerName;

use crate::error::ConfigError;
use crate::{ClientTls, ServerTls};

/// A client's TLS over another endpoint.
struct Client {
    tls: ClientTls,
    name: ServerName<'static>,
    inner: Endpoint,
}

/// A server's TLS over another endpoint.
struct Listener {
    tls: ServerTls,
    inner: Endpoint,
}

impl ClientTls {
    /// TLS to the server of that name over any endpoint, to be given to whatever connects.
    ///
    /// # Errors
    ///
    /// If the name is neither a host name nor an IP address.
    ///
    /// ```
    /// use marline_reactor::Endpoint;
    /// use marline_tls::ClientTls;
    ///
    /// let client = ClientTls::builder().danger_accept_any_certificate().build()?;
    /// let endpoint = client.endpoint(Endpoint::unix("/run/app.sock"), "app.example")?;
    /// assert_eq!(endpoint.to_string(), "tls+unix:///run/app.sock");
    /// # Ok::<(), marline_tls::ConfigError>(())
    /// ```
    pub fn endpoint(&self, inner: Endpoint, server_name: &str) -> Result<Endpoint, ConfigError> {
        let text = format!("tls+{inner}");
        let kind = Client { tls: self.clone(), name: self.name(server_name)?, inner };
        Ok(Endpoint::of_kind(kind, &text))
    }
}

impl ServerTls {
    /// TLS over any endpoint, to be given to whatever listens.
    #[must_use]
    pub fn endpoint(&self, inner: Endpoint) -> Endpoint {
        let text = format!("tls+{inner}");
        Endpoint::of_kind(Listener { tls: self.clone(), inner }, &text)
    }
}

impl EndpointKind for Client {
    fn connect(
        &self,
        handle: &Handle,
        _: &EndpointParts,
        factory: ConnectFactory,
        done: ConnectDone,
    ) -> Connecting {
        let (tls, name) = (self.tls.clone(), self.name.clone());
        filter::connect(handle, &self.inner, move |_| tls.filter_for(name), factory, done)
    }
}

impl EndpointKind for Listener {
    fn listen(
        &self,
        handle: &Handle,
        _: &EndpointParts,
        factory: ListenFactory,
    ) -> Result<Server, ListenError> {
        let tls = self.tls.clone();
        filter::listen(handle, &self.inner, move |_| tls.filter(), factory)
    }
}
