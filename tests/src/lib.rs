//! What the suites share.
//!
//! * `backends`: those that wait for real sockets, and tests stamped over them.
//! * `echo`: blocking clients that make an echo server work.
//! * `examples`: the example programs, and whether others run.
//! * `counting`: an allocator that counts.
//! * `files`: files that leave nothing behind.
//! * `process`: limits and signals of this process, and copies of it that play another part.
//! * `running`: other processes, as the system tells of them.
//! * `tls`: servers with a certificate of their own, and clients that trust anybody.

#![warn(missing_docs)]

use std::time::{Duration, Instant};

pub mod backends;
pub mod counting;
pub mod echo;
pub mod examples;
pub mod files;
pub mod process;
pub mod running;
pub mod tls;

/// How long a test waits for something that has to happen. It decides nothing: it ends a test that hangs, and is longer
/// than the slowest machine takes, with all the tests at once on one core and other programs beside them.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// Looks again and again, until there is what the test waits for. Until then `look` answers what is there instead.
///
/// # Panics
///
/// When [`PATIENCE`] is over, with what is there instead.
#[track_caller]
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let begun = Instant::now();
    loop {
        let instead = match look() {
            Ok(found) => return found,
            Err(instead) => instead,
        };
        assert!(begun.elapsed() < PATIENCE, "{what}: there is only this:\n{instead}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
