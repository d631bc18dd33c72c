//! The command line.

use std::path::{Path, PathBuf};

use lexopt::prelude::*;

use crate::contestant::{ALL, Contestant, GROUPS, SECURE};
use crate::load::Close;

/// Where the documentation shows what was measured.
const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/performance");

/// How to use the runner.
pub const HELP: &str = "\
cargo run --release -p marline-bench -- MODE [OPTIONS]

Modes:
  quick      echo, lines, fan-out and streams, ten servers: as many rounds as fit into two minutes, five at most
  full       echo, every size with every number of connections, and the others; twenty rounds, every server
  latency    a thousand busy connections, each round trip timed
  group      a group of two loops on two cores, beside one loop: time, switches, system calls, futex calls
  churn      connect, one exchange, close: ours on both backends, and the floors
  million    a million connections through one process of ours; fails if it grows
  soak       clients of all kinds on one server of ours: latency, memory, late timers; fails if they are not held
  calls      system calls for each echo, by strace
  counts     of each echo: system calls, instructions, allocations, switches; by strace and valgrind, and
             by stepping (ptrace) where valgrind knows no rings
  idle       memory of the server for each of 10 000 connections that have nothing to say
  tls        servers with TLS: echo, streams, handshakes; beside tokio-rustls
  tls-counts instructions of servers with TLS for each MiB and handshake, by valgrind
  micro      single operations of the loop and of tasks, beside other runtimes
  micro-counts  their instructions, by valgrind; of both: --only, --case NAME,..., --rounds, --effort, --docs
  render FILE  the tables and plots of a file of results, again
  help       this

Options:
  --only NAME,...    these servers, in place of the mode's
  --rounds N         how many rounds
  --minutes N        full, group, tls, churn, latency: as many of the rounds as fit into N minutes, but two of each
  --size N           quick, full, tls: messages of so many bytes only
  --effort X         so many times the usual number of requests
  --requests N       churn, million: so many connections
  --connections N    churn, million: so many at a time (64); idle: so many (10 000)
  --reset            churn, million: clients reset connections, in place of closing them
  --polite           leave priorities as they are, where others need the machine
  --spin             clients never sleep, on a machine that does nothing else
  --seconds N        soak: so long (60)
  --stepped          counts, group: instructions by stepping also where valgrind could count them, to compare
  --json PATH        where the numbers go (target/bench/MODE/results.json), and a table without plots
  --docs             everything goes to docs/performance/MODE, in place of target/bench/MODE
";

/// What the runner is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// See [`HELP`].
    Quick,
    /// See [`HELP`].
    Full,
    /// See [`HELP`].
    Group,
    /// See [`HELP`].
    Churn,
    /// See [`HELP`].
    Million,
    /// See [`HELP`].
    Latency,
    /// See [`HELP`].
    Soak,
    /// See [`HELP`].
    Render,
    /// See [`HELP`].
    Calls,
    /// See [`HELP`].
    Counts,
    /// See [`HELP`].
    Idle,
    /// See [`HELP`].
    Tls,
    /// See [`HELP`].
    TlsCounts,
    /// See [`HELP`].
    Help,
}

/// What the command line says.
#[derive(Debug)]
pub struct Options {
    /// What to do.
    pub mode: Mode,
    /// With which servers.
    pub contestants: Vec<Contestant>,
    /// How many rounds.
    pub rounds: usize,
    /// Messages of so many bytes only, if that is said.
    pub size: Option<usize>,
    /// So many times the usual number of requests.
    pub effort: f64,
    /// How many connections are made one after the other.
    pub requests: u64,
    /// How many of them at a time; how many are idle.
    pub connections: usize,
    /// How clients end them.
    pub close: Close,
    /// Whether clients never sleep.
    pub spin: bool,
    /// Whether priorities stay as they are.
    pub polite: bool,
    /// Where the numbers go, if that is said.
    pub json: Option<PathBuf>,
    /// Whether everything goes to where the documentation shows it.
    pub docs: bool,
    /// Whether instructions are counted by stepping, of all servers.
    pub stepped: bool,
    /// After so many minutes no further round begins, if that is said.
    pub minutes: Option<f64>,
    /// How long a soak is.
    pub seconds: u64,
    /// What is to be rendered.
    pub file: Option<PathBuf>,
}

impl Options {
    /// Reads the arguments of the program.
    ///
    /// # Errors
    ///
    /// If they are none that [`HELP`] names.
    pub fn parse(mut arguments: lexopt::Parser) -> Result<Self, lexopt::Error> {
        let mut mode = None;
        let (mut only, mut rounds, mut requests) = (None, None, None);
        let (mut effort, mut connections, mut close, mut json) = (1.0, None, Close::Fin, None);
        let (mut spin, mut polite, mut docs, mut size) = (false, false, false, None);
        let (mut seconds, mut file, mut stepped) = (60, None, false);
        let mut minutes = None;
        while let Some(argument) = arguments.next()? {
            match argument {
                Value(text) if mode.is_none() => mode = Some(text.parse_with(mode_of)?),
                Value(path) if mode == Some(Mode::Render) && file.is_none() => file = Some(path.into()),
                Long("only") => only = Some(arguments.value()?.parse_with(contestants_of)?),
                Long("rounds") => rounds = Some(arguments.value()?.parse()?),
                Long("size") => size = Some(arguments.value()?.parse()?),
                Long("effort") => effort = arguments.value()?.parse()?,
                Long("requests") => requests = Some(arguments.value()?.parse()?),
                Long("connections") => connections = Some(arguments.value()?.parse()?),
                Long("reset") => close = Close::Reset,
                Long("spin") => spin = true,
                Long("minutes") => minutes = Some(arguments.value()?.parse_with(minutes_of)?),
                Long("stepped") => stepped = true,
                Long("docs") => docs = true,
                Long("seconds") => seconds = arguments.value()?.parse()?,
                Long("polite") => polite = true,
                Long("json") => json = Some(arguments.value()?.into()),
                Short('h') | Long("help") => mode = Some(Mode::Help),
                _ => return Err(argument.unexpected()),
            }
        }
        let mode = mode.unwrap_or(Mode::Help);
        Ok(Self {
            mode,
            contestants: only.unwrap_or_else(|| usual_contestants(mode)),
            rounds: rounds.unwrap_or(if mode == Mode::Full { 20 } else { 5 }).max(1),
            size,
            effort,
            requests: requests.unwrap_or(if mode == Mode::Million { 1_000_000 } else { 20_000 }).max(1),
            connections: connections.unwrap_or(if mode == Mode::Idle { 10_000 } else { 64 }).max(1),
            close,
            spin,
            polite,
            json,
            docs,
            stepped,
            minutes,
            seconds,
            file,
        })
    }

    /// Where tables and plots of a mode go; the second is any file beside the runner's programs.
    #[must_use]
    pub fn folder(&self, mode: &str, built: &Path) -> PathBuf {
        folder(mode, built, self.docs)
    }

    /// Whether what is measured goes before other processes: times do, and counts and memory need not.
    #[must_use]
    pub fn goes_first(&self) -> bool {
        !self.polite && !matches!(self.mode, Mode::Counts | Mode::Calls | Mode::Idle | Mode::TlsCounts)
    }
}

/// Where results of a mode go: below the folder that has any file of the runner's programs, or to where the documentation shows
/// them.
#[must_use]
pub fn folder(mode: &str, built: &Path, docs: bool) -> PathBuf {
    match built.parent().and_then(Path::parent) {
        Some(target) if !docs => target.join("bench").join(mode),
        _ => Path::new(DOCS).join(mode),
    }
}

fn mode_of(text: &str) -> Result<Mode, String> {
    match text {
        "quick" => Ok(Mode::Quick),
        "full" => Ok(Mode::Full),
        "group" => Ok(Mode::Group),
        "churn" => Ok(Mode::Churn),
        "million" => Ok(Mode::Million),
        "latency" => Ok(Mode::Latency),
        "soak" => Ok(Mode::Soak),
        "render" => Ok(Mode::Render),
        "calls" => Ok(Mode::Calls),
        "counts" => Ok(Mode::Counts),
        "idle" => Ok(Mode::Idle),
        "tls" => Ok(Mode::Tls),
        "tls-counts" => Ok(Mode::TlsCounts),
        "help" => Ok(Mode::Help),
        _ => Err("there is no such mode".to_owned()),
    }
}

fn minutes_of(text: &str) -> Result<f64, String> {
    // A week is far more than anybody waits, and a number that every clock can add.
    text.parse()
        .ok()
        .filter(|minutes| (0.0..=10_080.0).contains(minutes))
        .ok_or_else(|| "not so many minutes".to_owned())
}

fn contestants_of(text: &str) -> Result<Vec<Contestant>, String> {
    let find =
        |name: &str| ALL.into_iter().chain(GROUPS).chain(SECURE).find(|contestant| contestant.name == name);
    let unknown = |name| {
        let names: Vec<&str> =
            ALL.iter().chain(&GROUPS).chain(&SECURE).map(|contestant| contestant.name).collect();
        format!("there is no server {name:?}; there are {}", names.join(", "))
    };
    text.split(',').map(|name| find(name).ok_or_else(|| unknown(name))).collect()
}

fn usual_contestants(mode: Mode) -> Vec<Contestant> {
    let usual = |contestant: &Contestant| match mode {
        Mode::Quick => contestant.is_quick(),
        Mode::Churn => contestant.is_ours() || contestant.is_floor(),
        Mode::Million | Mode::Soak | Mode::Group => contestant.is_ours(),
        _ => true,
    };
    let secure = matches!(mode, Mode::Tls | Mode::TlsCounts);
    let all: &[Contestant] = if secure { &SECURE } else { &ALL };
    let groups: &[Contestant] = if mode == Mode::Group { &GROUPS } else { &[] };
    groups.iter().chain(all).copied().filter(usual).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options, lexopt::Error> {
        Options::parse(lexopt::Parser::from_args(arguments))
    }

    #[test]
    fn a_mode_chooses_what_options_do_not() {
        let options = parse(&["full", "--only", "tokio,floor-epoll", "--effort", "0.5"]).unwrap();
        assert_eq!((options.mode, options.rounds, options.effort), (Mode::Full, 20, 0.5));
        assert_eq!(options.contestants.iter().map(|c| c.name).collect::<Vec<_>>(), ["tokio", "floor-epoll"]);
        let options = parse(&["million", "--reset"]).unwrap();
        assert_eq!((options.requests, options.close), (1_000_000, Close::Reset));
        assert!(options.contestants.iter().all(Contestant::is_ours));
        let options = parse(&["idle"]).unwrap();
        assert_eq!((options.connections, options.contestants.len()), (10_000, ALL.len()));
        let options = parse(&["quick"]).unwrap();
        assert_eq!((options.connections, options.contestants.len()), (64, 10));
    }

    #[test]
    fn what_is_not_known_is_refused() {
        assert!(parse(&["slow"]).is_err());
        assert!(parse(&["quick", "--only", "nginx"]).is_err());
        assert!(parse(&["quick", "--rounds", "many"]).is_err());
        assert!(parse(&["quick", "again"]).is_err());
        assert!(parse(&["full", "--minutes", "inf"]).is_err());
    }
}
