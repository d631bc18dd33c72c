//! TLS over any of Marline's transports: TCP, UNIX sockets, pipes, terminals, memory, TLS itself.
//!
//! It is [rustls] in the form of a [`Filter`](marline_reactor::filter::Filter), which does no I/O of its own: the loop moves the
//! bytes, keeps the flow control and the deadlines, and the same protocols run with TLS as without. It is no TLS of its own, and
//! decides nothing that rustls decides.
//!
//! ```
//! use marline_reactor::testing::MemoryReactor;
//! use marline_reactor::{Addresses, Endpoint, Protocol, Transport};
//! use marline_tls::{ClientTls, Identity, Roots, ServerTls, StartTls};
//!
//! struct Asking;
//!
//! impl Protocol for Asking {
//!     /// The handshake is complete.
//!     fn connection_made(&mut self, transport: &Transport) {
//!         let agreed = transport.tls().expect("what was agreed upon");
//!         assert_eq!(agreed.alpn().as_deref(), Some(&b"echo"[..]));
//!         transport.write(b"hello");
//!     }
//!
//!     fn data_received(&mut self, transport: &Transport, data: &[u8]) {
//!         assert_eq!(data, b"hello");
//!         transport.close();
//!     }
//! }
//!
//! // Programs have files, and a loop on sockets, for these two:
//! let made = rcgen::generate_simple_self_signed(["app.example".to_owned()])?;
//! let memory = MemoryReactor::new();
//!
//! let identity = Identity::from_pem(made.cert.pem(), made.signing_key.serialize_pem())?;
//! let server = ServerTls::builder(identity).alpn(["echo"]).build()?;
//! let echo = |_: &Addresses| |transport: &Transport, data: &[u8]| transport.write(data);
//! memory.handle().listen(server.endpoint(Endpoint::unix("/run/app.sock")), echo)?;
//!
//! let client = ClientTls::builder().roots(Roots::new().with_pem(made.cert.pem())?).alpn(["echo"]).build()?;
//! let endpoint = client.endpoint(Endpoint::unix("/run/app.sock"), "app.example")?;
//! memory.handle().connect(endpoint, |_: &Addresses| Asking, |outcome| assert!(outcome.is_ok()));
//! memory.pump();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! * [`ClientTls`] and [`ServerTls`] say how to be a client or a server. They are made once and cloned for nothing.
//! * Their `endpoint` is given to whatever connects or listens; [`endpoint::register`] adds [strings](endpoint) for the same,
//!   as `tls://example.org:443`. `connection_made` of the protocol comes when the handshake is complete.
//! * [`StartTls`] begins TLS on a connection that stands.
//! * [`TlsInfo`] is what was agreed upon, and with whom. [`TlsError`] is why a connection failed, [`ConfigError`] why there could be
//!   none. What is cut off is told apart from what ended: [`TlsFilter`] says how.
//!
//! # Cryptography
//!
//! The feature `ring` (on by default) brings the crate of that name, `aws-lc-rs` the other, which is taken where both are on. With
//! neither, the program gives a provider to the builders, or installs one for the process, or makes the configurations of rustls
//! itself ([`ClientTls::from_config`], [`ServerTls::from_config`]). Nothing is ever installed for the process here. The feature
//! `platform-verifier` (on by default) lets clients trust whom the system trusts.

#![forbid(unsafe_code)]

mod client;
pub mod endpoint;
mod error;
mod filter;
#[cfg(test)]
mod fixtures;
mod identity;
mod info;
mod pem;
mod provider;
mod roots;
mod server;
mod session;
mod start_tls;
#[cfg(feature = "tasks")]
mod stream;
#[cfg(test)]
mod tests;
mod timeouts;
mod version;

pub use client::{ClientTls, ClientTlsBuilder};
pub use endpoint::register;
pub use error::{ConfigError, TlsError};
pub use filter::TlsFilter;
pub use identity::Identity;
pub use info::TlsInfo;
pub use roots::Roots;
/// The TLS that does the work: its types are in this crate's interface.
pub use rustls;
pub use server::{ServerTls, ServerTlsBuilder};
pub use start_tls::StartTls;
#[cfg(feature = "tasks")]
pub use stream::StreamTls;
pub use version::TlsVersion;
