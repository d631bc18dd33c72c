//! The example programs, which Cargo builds together with the tests of a workspace.

use std::path::PathBuf;

/// The program of this example. Where it is missing, because only the test was asked for, the test skips itself, and in CI fails.
///
/// # Panics
///
/// With `CI` set, if it is not built.
#[must_use]
pub fn example(name: &str) -> Option<PathBuf> {
    let here = std::env::current_exe().expect("this test's own path");
    let path = here.ancestors().nth(2).expect("the folder of the profile").join("examples").join(name);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var_os("CI").is_none(), "{} is not built", path.display());
    println!("skipped: {} is not built; `cargo test --workspace` builds it", path.display());
    None
}

/// Whether this program of the system's runs. If not, what needs it is skipped; in CI that is a failure.
///
/// # Panics
///
/// With `CI` set, if it does not.
#[must_use]
pub fn has_program(name: &str, argument: &str) -> bool {
    let Err(error) = std::process::Command::new(name).arg(argument).output() else { return true };
    println!("skipped: {name} does not run here: {error}");
    assert!(std::env::var_os("CI").is_none(), "with CI set nothing may be skipped: {name}: {error}");
    false
}
