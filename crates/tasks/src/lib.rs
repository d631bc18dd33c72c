//! Futures on the loop.

pub mod combinators;
mod deferred;

pub use combinators::{GatherError, gather, race, select, settle};
pub use deferred::{Abandoned, Deferred, Resolver, deferred};
