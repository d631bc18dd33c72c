//! The versions of what is compared.

use std::process::Command;

use crate::contestant::{Contestant, Program};
use crate::machine::said;

const LOCK: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock"));

/// That of a contestant's runtime, if it has any.
#[must_use]
pub fn of(contestant: &Contestant) -> Option<String> {
    match contestant.program {
        Program::Ours { .. } => Some(format!("marline {}", locked("marline")?)),
        Program::Peer(name) => Some(format!("{name} {}", locked(name)?)),
        Program::Floor(_, _) => {
            Some(said(Command::new("cc").arg("--version"))).filter(|text| !text.is_empty())
        }
    }
}

/// The version of a package that this was built with.
#[must_use]
pub fn locked(package: &str) -> Option<&'static str> {
    let name = format!("name = \"{package}\"");
    let mut lines = LOCK.lines().skip_while(|line| *line != name);
    lines.next()?;
    lines.next()?.strip_prefix("version = \"")?.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_those_of_the_lock_file() {
        assert_eq!(locked("marline-bench"), Some(env!("CARGO_PKG_VERSION")));
        assert_eq!(locked("marline-benches"), None);
        assert!(crate::contestant::ALL.iter().filter(|one| !one.is_floor()).all(|one| of(one).is_some()));
    }
}
