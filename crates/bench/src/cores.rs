//! Who runs where.

use std::fs;
use std::io;
use std::process::{Child, Command};

use rustix::process::setpriority_process;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// How nice a process is that goes before almost all others.
const FIRST: i32 = -15;

/// How many loops a group has here.
pub const LOOPS: usize = 2;

/// A core for the server and one for the clients.
#[derive(Clone, Copy, Debug)]
pub struct Cores {
    /// The first that this process may use.
    pub server: CpuSet,
    /// The second; the same, if there is one only.
    pub load: CpuSet,
    /// Whether the clients never sleep.
    pub spin: bool,
    /// Those of a group: as many as it has loops, if there are so many.
    group: CpuSet,
    /// What a group leaves to the clients; all, if that is none.
    beside: CpuSet,
}

impl Cores {
    /// Of those that this process may use. With `spin`, clients never sleep if they have a core of their own.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn choose(spin: bool) -> io::Result<Self> {
        let all = sched_getaffinity(None)?;
        let allowed: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|core| all.is_set(*core)).collect();
        let (first, second) = (&allowed[..allowed.len().min(1)], &allowed[allowed.len().min(1)..]);
        let server = set_of(first);
        let load = if second.is_empty() { server } else { set_of(&second[..1]) };
        let (group, beside) = allowed.split_at(allowed.len().min(LOOPS));
        let (group, beside) = (set_of(group), if beside.is_empty() { all } else { set_of(beside) });
        // On a core that the server needs too, spinning would take its time.
        Ok(Self { server, load, spin: spin && load != server, group, beside })
    }

    /// The same for a group, on as many cores as it has loops.
    #[must_use]
    pub fn for_group(self) -> Self {
        let spin = self.spin && self.leave_some();
        Self { server: self.group, load: self.beside, spin, ..self }
    }

    /// Gives clients of one loop the cores that those of a group have, if a group leaves them some.
    #[must_use]
    pub fn with_all_clients(self) -> Self {
        if self.leave_some() { Self { load: self.beside, ..self } } else { self }
    }

    /// Whether a group leaves cores to its clients.
    #[must_use]
    pub fn leave_some(&self) -> bool {
        (0..CpuSet::MAX_CPU).all(|core| !(self.group.is_set(core) && self.beside.is_set(core)))
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

fn set_of(cores: &[usize]) -> CpuSet {
    let mut set = CpuSet::new();
    cores.iter().for_each(|core| set.set(*core));
    set
}

/// Starts a process on these cores. Children inherit where their parent may run, so no thread of theirs ever runs elsewhere.
///
/// # Errors
///
/// The system's.
pub fn spawn_on(cores: CpuSet, command: &mut Command) -> io::Result<Child> {
    let before = sched_getaffinity(None)?;
    sched_setaffinity(None, &cores)?;
    let child = command.spawn();
    sched_setaffinity(None, &before)?;
    child
}
