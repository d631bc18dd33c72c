//! What can go wrong with TLS.
//!
//! - `config.rs`: before there is a connection. `words.rs`: what the errors of rustls say to people.

mod config;
#[cfg(test)]
mod tests;
mod words;

pub use config::ConfigError;
use thiserror::Error;
use words::Plainly;

/// What ended a connection: the error of its [`Reason::Failed`](marline_reactor::Reason::Failed).
///
/// A peer that is too slow is no such error, but [`Reason::Timeout`](marline_reactor::Reason::Timeout), and a stream that was
/// cut off without the peer's close_notify is [`Reason::Truncated`](marline_reactor::Reason::Truncated).
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum TlsError {
    /// There is no agreement with the peer, or it is not whom we trust.
    #[error("the TLS handshake failed: {}", Plainly(.0))]
    Handshake(#[source] rustls::Error),
    /// What came after the handshake is not acceptable.
    #[error("the TLS connection failed: {}", Plainly(.0))]
    Connection(#[source] rustls::Error),
    /// The peer ended the connection, or its direction of it, within the handshake, without saying why.
    #[error("the TLS handshake failed: the peer ended the connection in the middle of it")]
    EndedInHandshake,
}

impl TlsError {
    pub(crate) const fn new(error: rustls::Error, handshaking: bool) -> Self {
        if handshaking { Self::Handshake(error) } else { Self::Connection(error) }
    }

    /// The error of rustls behind it, if there is one.
    #[must_use]
    pub const fn rustls(&self) -> Option<&rustls::Error> {
        match self {
            Self::Handshake(error) | Self::Connection(error) => Some(error),
            Self::EndedInHandshake => None,
        }
    }

    /// Whether the handshake was not completed.
    #[must_use]
    pub const fn is_handshake(&self) -> bool {
        matches!(self, Self::Handshake(_) | Self::EndedInHandshake)
    }
}
