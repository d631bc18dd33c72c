//! Who runs where.

use std::fs;
use std::io;
use std::process::{Child, Command};

use rustix::process::setpriority_process;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// How nice a process is that goes before almost all others.
const FIRST: i32 = -15;

/// A core for the server and one for the clients.
#[derive(Clone, Copy, Debug)]
pub struct Cores {
    /// The first that this process may use.
    pub server: usize,
    /// The second; the same, if there is one only.
    pub load: usize,
    /// Whether the clients never sleep.
    pub spin: bool,
}

impl Cores {
    /// Of those that this process may use. With `spin`, clients never sleep if they have a core of their own.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn choose(spin: bool) -> io::Result<Self> {
        let all = sched_getaffinity(None)?;
        let mut allowed = (0..CpuSet::MAX_CPU).filter(|core| all.is_set(*core));
        let server = allowed.next().unwrap_or(0);
        let load = allowed.next().unwrap_or(server);
        // On a core that the server needs too, spinning would take its time.
        Ok(Self { server, load, spin: spin && load != server })
    }

    /// Whether the clients have a core of their own.
    #[must_use]
    pub fn are_two(&self) -> bool {
        self.server != self.load
    }
}

/// While it lives, this process and those that it starts go before others that want the processor: what else the machine
/// does would otherwise decide how often a server is interrupted.
pub struct GoFirst {
    /// What the session's group had before, where the kernel shares the processor among sessions first.
    group: Option<String>,
}

/// The nice value of the session, as the last word of its one line.
const GROUP: &str = "/proc/self/autogroup";

impl GoFirst {
    /// From now on.
    ///
    /// # Errors
    ///
    /// The system's; usually that root alone may do so.
    pub fn begin() -> io::Result<Self> {
        setpriority_process(None, FIRST)?;
        let line = fs::read_to_string(GROUP).unwrap_or_default();
        let group = line.split_whitespace().last().map(str::to_owned);
        let first = Self { group };
        if first.group.is_some() {
            fs::write(GROUP, FIRST.to_string())?;
        }
        Ok(first)
    }
}

impl Drop for GoFirst {
    fn drop(&mut self) {
        if let Some(nice) = &self.group {
            // The session outlives this process. If it cannot be set back, nobody is there to be told.
            let _ = fs::write(GROUP, nice);
        }
    }
}

/// Starts a process on one core. Children inherit where their parent may run, so no thread of theirs ever runs elsewhere.
///
/// # Errors
///
/// The system's.
pub fn spawn_on(core: usize, command: &mut Command) -> io::Result<Child> {
    let before = sched_getaffinity(None)?;
    let mut one = CpuSet::new();
    one.set(core);
    sched_setaffinity(None, &one)?;
    let child = command.spawn();
    sched_setaffinity(None, &before)?;
    child
}
