//! A callback event loop.

mod address;
pub mod backend;
mod choice;
mod endpoint;
pub mod framing;
mod instant;
mod key;
#[allow(dead_code)]
mod slab;
#[allow(dead_code)]
mod timer;

pub use address::{Address, Addresses};
pub use choice::{Choice, ChoiceKind, Choices};
pub use endpoint::{Endpoint, EndpointError, EndpointErrorKind, IntoEndpoint};
pub use instant::Instant;
pub use key::Key;
