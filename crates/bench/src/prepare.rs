//! Builds the servers, into the folder where the runner itself lies.
//!
//! Those in Python are copied there, and run by the first `python3` that has their module: that of the virtual environment
//! `target/bench/python`, if there is one, or else the one that the system finds.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::contestant::{Contestant, LeftOut, Program, Ready};
use crate::cores::Cores;
use crate::server::{Server, Service};

/// Where the floors' sources are.
const FLOORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/floors");
/// Where the servers in Python are.
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/python");
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
    let ready = program(contestant, &build_binary)?;
    Server::start(&ready, Service::default(), contestant.place(cores).server)?;
    Ok(ready)
}

/// Builds a program in Rust by its name, with the feature that it needs.
pub type BuildRust<'a> = &'a dyn Fn(&str, Option<&str>) -> Result<PathBuf, String>;

/// A contestant, built.
///
/// # Errors
///
/// In words, if it cannot be built here.
pub fn program(contestant: Contestant, rust: BuildRust<'_>) -> Result<Ready, String> {
    let mut interpreter = None;
    let path = match contestant.program {
        Program::Ours { binary, .. } => rust(binary, None)?,
        Program::Peer(feature) => rust(&format!("bench-{feature}"), Some(feature))?,
        Program::Floor(source, libraries) => build_c("floor", source, libraries)?,
        Program::Native(source, package) => {
            let flags = pkg_config(&["--cflags", "--libs"], package)?;
            build_c("bench", source, &flags.split_whitespace().collect::<Vec<_>>())?
        }
        Program::Python(module) => {
            interpreter = Some(python(module)?);
            copy_scripts()?.join(format!("echo_{module}.py"))
        }
    };
    Ok(Ready { contestant, path, interpreter })
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

fn build_c(kind: &str, source: &str, flags: &[&str]) -> Result<PathBuf, String> {
    let program = folder()?.join(format!("{kind}-{source}"));
    let mut command = Command::new("cc");
    command.args(["-O2", "-Wall", "-o"]).arg(&program).arg(format!("{FLOORS}/{source}.c")).args(flags);
    run(&mut command)?;
    Ok(program)
}

/// What pkg-config says of a library.
///
/// # Errors
///
/// In words, if the library or pkg-config is not installed.
pub fn pkg_config(questions: &[&str], package: &str) -> Result<String, String> {
    run(Command::new("pkg-config").args(questions).arg(package))
}

/// The interpreter that has this module.
fn python(module: &str) -> Result<PathBuf, String> {
    let folder = folder()?;
    let own =
        folder.ancestors().map(|above| above.join("bench/python/bin/python3")).find(|path| path.exists());
    // What is found by its name may be a script that starts the interpreter, which is asked where it is.
    let question = format!("import sys, {module}; print(sys.executable)");
    let mut reason = String::new();
    for candidate in own.into_iter().chain([PathBuf::from("python3")]) {
        match run(Command::new(candidate).args(["-c", &question])) {
            Ok(path) => return Ok(path.trim().into()),
            Err(said) => reason = said,
        }
    }
    Err(reason)
}

/// The folder that they are copied to, so that nothing is written beside the sources.
fn copy_scripts() -> Result<PathBuf, String> {
    let folder = folder()?.join("bench-python");
    let copy = || -> io::Result<()> {
        fs::create_dir_all(&folder)?;
        for entry in fs::read_dir(SCRIPTS)? {
            let entry = entry?;
            if entry.path().extension().is_some_and(|extension| extension == "py") {
                fs::copy(entry.path(), folder.join(entry.file_name()))?;
            }
        }
        Ok(())
    };
    copy().map_err(|error| format!("the servers in Python: {error}"))?;
    Ok(folder)
}

/// Runs a tool, and returns what it prints. If it fails, the reason is the first line of what it complained of that names an
/// error, or the last.
fn run(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().find(|line| line.contains("error")).or_else(|| said.lines().last());
    Err(line.map_or_else(|| format!("{name}: {}", output.status), |line| line.trim().to_owned()))
}
