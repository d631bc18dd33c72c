//! TLS over any of Marline's transports.
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
