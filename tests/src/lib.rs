//! What the suites share.
//!
//! * `backends`: those that wait for real sockets, and tests stamped over them.
//! * `echo`: blocking clients that make an echo server work.
//! * `counting`: an allocator that counts.
//! * `files`: files that leave nothing behind.
//! * `process`: limits and signals of this process, and copies of it that play another part.

#![warn(missing_docs)]

use std::time::Duration;

pub mod backends;
pub mod counting;
pub mod echo;
pub mod files;
pub mod process;

/// How long a test waits for something that has to happen. It decides nothing: it ends a test that hangs, and is longer
/// than the slowest machine takes, with all the tests at once on one core and other programs beside them.
pub const PATIENCE: Duration = Duration::from_secs(300);
