//! Of which version a contestant is.

use std::fs;
use std::process::Command;

use crate::contestant::{Program, Ready};
use crate::prepare::pkg_config;

const LOCK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock");
const UNKNOWN: &str = "of an unknown version";

/// What a contestant is made of, with the version that runs here.
#[must_use]
pub fn of(ready: &Ready) -> String {
    match ready.contestant.program {
        Program::Ours { .. } => format!("marline {}", env!("CARGO_PKG_VERSION")),
        Program::Peer(feature) => {
            let lock = fs::read_to_string(LOCK).unwrap_or_default();
            // Two kinds of a runtime are of one crate.
            let name = feature.strip_suffix("-multi").unwrap_or(feature);
            format!("{name} {}", locked(&lock, name).unwrap_or(UNKNOWN))
        }
        Program::Floor(_, libraries) if libraries.contains(&"-luring") => {
            format!("liburing {}, {}", version_of_library("liburing"), kernel())
        }
        Program::Floor(..) => kernel(),
        Program::Native(_, package) => format!("{package} {}", version_of_library(package)),
        Program::Python(module) => version_in_python(ready, module).unwrap_or_else(|| UNKNOWN.to_owned()),
    }
}

/// The kernel, by name and version.
#[must_use]
pub fn kernel() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("Linux {}", if release.is_empty() { UNKNOWN } else { release.trim() })
}

/// The version of a dependency of this package. A lock file names it beside the dependency where there are several.
fn locked<'a>(lock: &'a str, name: &str) -> Option<&'a str> {
    let package = |name: &str| lock.split("[[package]]").find(|text| field(text, "name") == Some(name));
    let dependency = package(env!("CARGO_PKG_NAME"))?.lines().find_map(|line| {
        let quoted = line.trim().strip_prefix('"')?.split('"').next()?;
        (quoted.split(' ').next() == Some(name)).then_some(quoted)
    })?;
    dependency.split(' ').nth(1).or_else(|| field(package(name)?, "version"))
}

fn field<'a>(package: &'a str, name: &str) -> Option<&'a str> {
    package.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = \"")?.strip_suffix('"'))
}

fn version_of_library(package: &str) -> String {
    pkg_config(&["--modversion"], package).map_or_else(|_| UNKNOWN.to_owned(), |text| text.trim().to_owned())
}

/// A module of the standard library has the version of the language alone.
fn version_in_python(ready: &Ready, module: &str) -> Option<String> {
    let question = format!(
        "import platform, {module}; print(getattr({module}, '__version__', '')); \
         print(platform.python_version())"
    );
    let output = Command::new(ready.interpreter.as_ref()?).args(["-c", &question]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (own, python) = text.trim_end().split_once('\n')?;
    Some(format!("{}, Python {python}", format!("{module} {own}").trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_in_the_lock_file_is_that_of_the_own_dependency() {
        let lock = "\
version = 4

[[package]]
name = \"marline-bench\"
version = \"0.1.0\"
dependencies = [
 \"mio\",
 \"socket2 0.6.5\",
]

[[package]]
name = \"mio\"
version = \"1.2.5\"

[[package]]
name = \"socket2\"
version = \"0.5.10\"
";
        assert_eq!(locked(lock, "mio"), Some("1.2.5"));
        assert_eq!(locked(lock, "socket2"), Some("0.6.5"));
        assert_eq!(locked(lock, "tokio"), None);
    }

    #[test]
    fn every_peer_in_rust_is_in_the_lock_file() {
        let every = crate::contestant::ALL.into_iter().chain(crate::contestant::SECURE);
        for contestant in every.filter(|contestant| matches!(contestant.program, Program::Peer(_))) {
            let version = of(&Ready { contestant, path: "none".into(), interpreter: None });
            assert!(!version.ends_with(UNKNOWN), "{version}");
        }
    }
}
