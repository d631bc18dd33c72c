//! What servers do beside echo, in each style, so that those with TLS and those without differ in nothing else.
//!
//! - [`callbacks`]: as protocols of Marline.
//! - [`tasks`]: as async functions on Marline.
//! - `tokio`: as async functions on Tokio, with its feature.

pub mod callbacks;
pub mod tasks;
#[cfg(feature = "tokio")]
pub mod tokio;
