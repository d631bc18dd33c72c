//! TLS in endpoints, over whatever they name: `tls://example.org:443`, `tls+unix:///run/app.sock`.
//!
//! | string | what TLS runs over |
//! |---|---|
//! | `tls://HOST:PORT`, `tls+tcp://HOST:PORT` | TCP |
//! | `tls+unix://PATH`, `tls+unix-abstract://NAME` | a UNIX socket |
//! | `tls+stdio:` | standard input and output, as a client |
//! | `tls+fd://NUMBER`, `tls+systemd://NAME` | what was inherited |
//! | `tls+pipe://PATH` | a named pipe, which has one direction only, so no handshake gets through |
//! | `tls+exec:COMMAND`, `tls+pty:COMMAND` | a new process, whose COMMAND has no question mark in it |
//! | `tls+tls://HOST:PORT` | TLS over TCP, both with the same options |
//!
//! Connecting is for clients, listening for servers. These options are for TLS; all others are those of what it runs over.
//!
//! | option | value | of | meaning |
//! |---|---|---|---|
//! | `cert` | path | both | our certificate, and those that lead from it to an authority, as PEM text; servers need one |
//! | `key` | path | both | its private key; by default in the same file |
//! | `ca` | path | clients | the authorities to trust; by default those of the system |
//! | `server_name` | name | clients | the name that the server's certificate has to be for; by default the host |
//! | `verify` | 1 or 0 | clients | whether the server's certificate is verified; 1 by default. Without, the connection may be with an attacker |
//! | `client_ca` | path | servers | only clients with a certificate from these authorities are accepted |
//! | `alpn` | names, with commas | both | the application protocols, the most wanted first |
//! | `tls_min`, `tls_max` | `1.2` or `1.3` | both | the versions to accept; both by default |
//! | `handshake_timeout`, `shutdown_timeout` | seconds | both | how long the peer may take, like `2.5`; 30 by default. More than 30 for a shutdown needs a longer [close timeout](marline_reactor::Transport::set_close_timeout), too |
//!
//! A file is read when it is first needed. Clients keep what they made of an endpoint's options (of the last 64), with the
//! sessions to resume; servers share it as long as one of them listens. [`reload_endpoints`] has all files read again.
//!
//! What no string can say is said by [`ClientTls::endpoint`](crate::ClientTls::endpoint) and
//! [`ServerTls::endpoint`](crate::ServerTls::endpoint).
//!
//! - `kind.rs`: what connects and listens. `options.rs`: the options. `cache.rs`: what was made of them.
//! - `given.rs`: endpoints that bring their TLS along.

mod cache;
mod given;
mod kind;
mod options;
#[cfg(test)]
mod tests;

use marline_reactor::register_endpoint;

pub use self::cache::reload_endpoints;
use self::kind::Kind;

/// Streams of bytes that endpoints name, with their options.
const INNER: &[(&str, &[&str])] = &[
    ("tcp", &TCP),
    ("unix", &["backlog", "limit", "timeout", "mode", "descriptors"]),
    ("unix-abstract", &["backlog", "limit", "timeout", "descriptors"]),
    ("stdio", &[]),
    ("fd", &["limit"]),
    ("systemd", &["limit"]),
    ("pipe", &["open", "timeout"]),
    ("exec", &[]),
    ("pty", &[]),
    ("tls", &TCP),
];

const TCP: [&str; 8] =
    ["backlog", "reuse_address", "reuse_port", "limit", "timeout", "attempt_delay", "bind", "nodelay"];

/// Makes the [schemes of TLS](self) known to the process: `tls`, and `tls+` with that of any stream of bytes. To call it
/// again does nothing. A scheme that the program has registered itself stays the program's.
///
/// ```
/// marline_tls::endpoint::register();
/// let endpoint: marline_reactor::Endpoint = "tls://example.org:443?alpn=h2,http/1.1&timeout=5".parse()?;
/// # Ok::<(), marline_reactor::EndpointError>(())
/// ```
pub fn register() {
    let _ = register_endpoint("tls", Kind::new("tcp", &TCP));
    for (scheme, options) in INNER {
        let _ = register_endpoint(&format!("tls+{scheme}"), Kind::new(scheme, options));
    }
}
