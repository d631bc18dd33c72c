//! The backends that wait for real sockets, and the stamping of tests over them.

use std::sync::OnceLock;

use marline_reactor::backend::{Backend, named};
use marline_reactor::{Builder, Reactor};

#[cfg(target_os = "linux")]
use crate::PATIENCE;

/// Whether this system lets a ring be made. If not, what needs one is skipped; in CI that is a failure, unless
/// `MARLINE_NO_RING` says that it is known. It is looked for once, as others may be counting descriptors.
///
/// # Panics
///
/// With `CI` set, where no ring can be made and nobody said so.
#[must_use]
pub fn has_completion() -> bool {
    static HAS: OnceLock<bool> = OnceLock::new();
    *HAS.get_or_init(look_for_completion)
}

fn look_for_completion() -> bool {
    let Err(error) = named("completion") else { return true };
    println!("skipped: no io_uring here: {error}");
    let is_known = std::env::var_os("MARLINE_NO_RING").is_some();
    assert!(is_known || std::env::var_os("CI").is_none(), "with CI set nothing may be skipped");
    false
}

/// The names of those that can be had here.
#[must_use]
pub fn here() -> Vec<&'static str> {
    let completion = has_completion().then_some("completion");
    std::iter::once("readiness").chain(completion).collect()
}

/// The backend of this name.
///
/// # Panics
///
/// If it cannot be had.
#[must_use]
pub fn backend(name: &str) -> Box<dyn Backend> {
    named(name).expect("a backend")
}

/// A builder on each of those that can be had here.
#[must_use]
pub fn builders() -> Vec<Builder> {
    here().into_iter().map(|name| Builder::new().boxed_backend(backend(name))).collect()
}

/// A loop on the backend of this name.
///
/// # Panics
///
/// If there can be none.
#[must_use]
pub fn reactor(name: &str) -> Reactor {
    Builder::new().boxed_backend(backend(name)).build().expect("a loop")
}

/// The same, where no number of system calls depends on how long callbacks take.
///
/// # Panics
///
/// If there can be none.
#[must_use]
pub fn unhurried_reactor(name: &str) -> Reactor {
    #[cfg(target_os = "linux")]
    if name == "completion" {
        return holding_reactor(PATIENCE);
    }
    reactor(name)
}

/// A loop on a ring that holds the sends of a turn back for so long.
///
/// # Panics
///
/// If there can be none.
#[cfg(target_os = "linux")]
#[must_use]
pub fn holding_reactor(time: std::time::Duration) -> Reactor {
    let backend = marline_reactor::backend::completion::Options::default().hold(time).build();
    Builder::new().backend(backend.expect("a ring")).build().expect("a loop")
}

/// Stamps functions that are given a backend's name over the backends, each as a module of tests.
#[macro_export]
macro_rules! on_sockets {
    ($($name:ident)*) => {$(
        mod $name {
            #[test]
            fn readiness() {
                super::$name("readiness");
            }

            #[test]
            fn completion() {
                if $crate::backends::has_completion() {
                    super::$name("completion");
                }
            }
        }
    )*};
}
