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

use std::fmt::Display;
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

/// Takes a port that has just been left, as soon as it is free. A socket that is closed may be there a moment longer: a
/// program that another test starts has a copy of all that is open, until it runs.
///
/// # Panics
///
/// When [`PATIENCE`] is over, with the error.
#[track_caller]
pub fn once_free<T, E: Display>(mut take: impl FnMut() -> Result<T, E>) -> T {
    wait_for("a free port", || take().map_err(|error| error.to_string()))
}

/// Waits until nobody listens where `connect` goes, which may be a moment later for the same reason.
///
/// # Panics
///
/// When [`PATIENCE`] is over.
#[track_caller]
pub fn wait_until_refused<T, E>(mut connect: impl FnMut() -> Result<T, E>) {
    wait_for("nobody to listen", || if connect().is_err() { Ok(()) } else { Err("an answer".to_owned()) });
}
