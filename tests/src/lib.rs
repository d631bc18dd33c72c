//! What the suites share.
//!
//! * `echo`: blocking clients that make an echo server work.
//! * `counting`: an allocator that counts.
//! * `process`: limits and signals of this process, and copies of it that play another part.

#![warn(missing_docs)]

pub mod counting;
pub mod echo;
pub mod process;
