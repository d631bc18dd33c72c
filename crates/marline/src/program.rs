//! Where programs begin: the same functions as those of the members, which make the [endpoints of TLS](crate::tls::endpoint)
//! known first.
//!
//! The reactor knows nothing of TLS, so somebody who knows both has to introduce them, and only code that runs before `main`
//! would need no call at all. Here the call is one that programs make anyway. A program that makes its loop itself, with
//! [`Reactor::new`](crate::Reactor::new) or under a host, calls [`tls::register`](crate::tls::register) once.

use marline_reactor::{Addresses, CreateError, IntoEndpoint, IntoProtocol, RunError};

/// As [`marline_reactor::serve`], also on [endpoints of TLS](crate::tls::endpoint).
///
/// ```no_run
/// use marline::prelude::*;
///
/// fn main() -> Result<()> {
///     let echo = |transport: &Transport, data: &[u8]| transport.write(data);
///     marline::serve("tls://0.0.0.0:443?cert=server.crt&key=server.key", move |_| echo)
/// }
/// ```
///
/// # Errors
///
/// As there.
pub fn serve<P: IntoProtocol>(
    endpoint: impl IntoEndpoint,
    factory: impl FnMut(&Addresses) -> P + 'static,
) -> crate::Result<()> {
    marline_tls::register();
    marline_reactor::serve(endpoint, factory)
}

/// As [`marline_tasks::run`], with [endpoints of TLS](crate::tls::endpoint).
///
/// # Errors
///
/// As there.
pub fn run<T: 'static, E>(main: impl Future<Output = Result<T, E>> + 'static) -> Result<T, E>
where
    E: From<RunError> + From<CreateError> + 'static,
{
    marline_tls::register();
    marline_tasks::run(main)
}
