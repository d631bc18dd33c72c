//! TLS on the connections of a world, and far ends that speak it.
//!
//! * `config`: certificates, and who trusts whom.
//! * `far`: the far ends of streams of bytes, whatever they are made of.
//! * `party`: a far end that speaks TLS, step by step as the test says.
//! * `begin`: how connections of the loop's come to have TLS: from the beginning, or later.
//! * `end`: far ends that speak TLS by themselves, and `endpoint`: endpoints with it, for tests that know nothing of TLS.
//! * `worlds`: the worlds in which TLS is tested; `stamp` the macro for them.

mod begin;
mod config;
mod end;
pub mod endpoint;
mod far;
mod party;
mod stamp;
mod worlds;

pub use begin::{Begun, Side, Way, forgets, story, tls_error};
pub use config::{Setup, folder_of_certificates, strangers};
pub use end::{SecureEnd, SecureEnds};
pub use far::Far;
pub use party::Party;
