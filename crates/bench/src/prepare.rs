//! Builds the servers, into the folder where the runner itself lies.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::contestant::{Contestant, LeftOut, Program, Ready};
use crate::cores::Cores;
use crate::server::{Server, Service};

/// Where the floors' sources are.
const FLOORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/floors");
const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");

/// The program that makes the requests.
///
/// # Errors
///
/// In words, if it cannot be built.
pub fn load() -> Result<PathBuf, String> {
    build_binary("bench-load", None)
}

/// Builds each of these and starts it once.
#[must_use]
pub fn all(contestants: &[Contestant], cores: Cores) -> (Vec<Ready>, Vec<LeftOut>) {
    let (mut ready, mut left_out) = (Vec::new(), Vec::new());
    for contestant in contestants {
        eprintln!("preparing {}", contestant.name);
        match one(*contestant, cores) {
            Ok(built) => ready.push(built),
            Err(reason) => {
                eprintln!("left out: {}: {reason}", contestant.name);
                left_out.push(LeftOut { name: contestant.name, reason });
            }
        }
    }
    (ready, left_out)
}

fn one(contestant: Contestant, cores: Cores) -> Result<Ready, String> {
    let path = match contestant.program {
        Program::Ours { binary, .. } => build_binary(binary, None)?,
        Program::Peer(feature) => build_binary(&format!("bench-{feature}"), Some(feature))?,
        Program::Floor(source, libraries) => build_floor(source, libraries)?,
    };
    let ready = Ready { contestant, path };
    Server::start(&ready, Service::default(), cores.server)?;
    Ok(ready)
}

/// The folder of the runner's program.
fn folder() -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    own.parent().map(Path::to_owned).ok_or_else(|| "the runner lies in no folder".to_owned())
}

/// Builds a program of this package, behind a feature if one is named.
fn build_binary(name: &str, feature: Option<&str>) -> Result<PathBuf, String> {
    Ok(build_binaries(&[name], feature.as_slice())?.join(name))
}

/// Builds programs of this package, with all of these features together, and answers the folder where they are.
///
/// # Errors
///
/// In words, if one of them cannot be built.
pub fn build_binaries(names: &[&str], features: &[&str]) -> Result<PathBuf, String> {
    let folder = folder()?;
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["build", "--release", "--quiet", "--manifest-path", MANIFEST]);
    command.args(names.iter().flat_map(|name| ["--bin", name]));
    if let Some(target) = folder.parent() {
        command.arg("--target-dir").arg(target);
    }
    command.args(["--features", &features.join(",")]);
    run(&mut command)?;
    Ok(folder)
}

fn build_floor(source: &str, libraries: &[&str]) -> Result<PathBuf, String> {
    let program = folder()?.join(format!("floor-{source}"));
    let mut command = Command::new("cc");
    command.args(["-O2", "-Wall", "-o"]).arg(&program).arg(format!("{FLOORS}/{source}.c")).args(libraries);
    run(&mut command)?;
    Ok(program)
}

/// Runs a compiler; if it fails, the reason is the first line of what it said that names an error.
fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().find(|line| line.contains("error")).or_else(|| said.lines().last());
    Err(line.map_or_else(|| format!("{name}: {}", output.status), |line| line.trim().to_owned()))
}
