//! The few lines that every small program has.

use std::error::Error;

use crate::address::Addresses;
use crate::endpoint::IntoEndpoint;
use crate::protocol::IntoProtocol;
use crate::reactor::Reactor;

/// The program's first argument, or else `default`.
#[must_use]
pub fn endpoint_arg(default: &str) -> String {
    std::env::args().nth(1).unwrap_or_else(|| default.to_owned())
}

/// Runs a server on a loop of its own: listens on the endpoint, says so on standard output, and gives each connection the
/// protocol that `factory` makes. It returns when the loop is stopped.
///
/// # Errors
///
/// If the loop cannot be made, or the endpoint not be listened on.
pub fn serve<P: IntoProtocol>(
    endpoint: impl IntoEndpoint,
    factory: impl FnMut(&Addresses) -> P + 'static,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let reactor = Reactor::new()?;
    let server = reactor.handle().listen(endpoint, factory)?;
    if let Some(address) = server.local_address() {
        println!("{}", greeting(&address));
    }
    Ok(reactor.run()?)
}

/// What a server says when it begins: where it listens, and how to talk to it.
///
/// ```
/// let address = marline_reactor::Address::Inet(([127, 0, 0, 1], 8000).into());
/// assert_eq!(marline_reactor::greeting(&address), "listening on tcp://127.0.0.1:8000; try: nc 127.0.0.1 8000");
/// ```
#[must_use]
pub fn greeting(address: &crate::Address) -> String {
    match address {
        crate::Address::Inet(socket) => {
            format!("listening on {address}; try: nc {} {}", socket.ip(), socket.port())
        }
        crate::Address::Unix(socket) => match socket.as_path() {
            Some(path) => format!("listening on {address}; try: nc -U {}", path.display()),
            None => format!("listening on {address}"),
        },
        crate::Address::Named(_) => format!("listening on {address}"),
    }
}
