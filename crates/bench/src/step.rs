//! What a server's own code does for each request, counted by stepping through it, one instruction at a time: for servers on
//! rings, of which callgrind knows nothing.
//!
//! The server runs undisturbed until it is warm. From then on each of its threads stops after each instruction outside the
//! kernel, and what the kernel does in between counts as the one instruction that asked for it. The steps are read when half of
//! the requests are done and when all are: connecting, closing and going to sleep are in neither. A server that is stepped is a
//! thousand times slower than its clients, so that all of them wait whenever it looks, as under callgrind.
//!
//! Its clock stands still meanwhile, as it would otherwise be late with everything. What it has asked the kernel to do after
//! some time still happens, more often for each request than it would otherwise.
//!
//! Instructions that keep other cores from a word of memory, as every lock needs one to be taken, are counted apart.

mod atomic;

use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::contestant::Ready;
use crate::cores::Cores;
use crate::load::{Plan, Report, Sample};
use crate::rounds::drive;
use crate::server::Server;
use crate::still;
use crate::workload::Workload;

/// A server that takes no step for so long has nothing more to do.
const QUIET: Duration = Duration::from_millis(200);
/// How long it may take to be quiet.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a request takes, of all threads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Steps {
    /// Instructions.
    pub instructions: f64,
    /// As many of them as are atomic changes of memory. `None` where nobody knows how they look.
    pub atomics: Option<f64>,
}

/// The steps so far.
#[derive(Default)]
struct Count {
    all: AtomicU64,
    atomics: AtomicU64,
}

impl Count {
    fn get(&self) -> (u64, u64) {
        (self.all.load(Ordering::Relaxed), self.atomics.load(Ordering::Relaxed))
    }
}

/// What each of the second half of these requests takes. Connecting comes before them.
///
/// # Errors
///
/// In words: that of the server, of its clients, or of ptrace(2).
pub fn each(ready: &Ready, workload: Workload, load: &Path, cores: Cores) -> Result<Steps, String> {
    let cores = ready.contestant.place(cores);
    let server = Server::start(ready, workload.service(), cores.server)?;
    drive(&workload.plan(&server, cores), load, cores, &mut |_| ())?;
    let steps = Count::default();
    let (said, begun) = mpsc::channel();
    let half = workload.requests / 2;
    let counted = thread::scope(|scope| {
        let pid = server.pid();
        let steps = &steps;
        scope.spawn(move || step(pid, cores.server, steps, &said));
        let plan = Plan { sample_every: Some(half), ..workload.plan(&server, cores) };
        let counted = count(|on_sample| drive(&plan, load, cores, on_sample), steps, &begun);
        // What is stepped ends here, and with it the thread that steps it.
        drop(server);
        counted
    });
    let (all, atomics) = counted?;
    let each = |steps: u64| steps as f64 / half as f64;
    Ok(Steps { instructions: each(all), atomics: atomic::IS_KNOWN.then(|| each(atomics)) })
}

/// How many steps there were from the first sample that the clients give to the second: all of them, and those that are atomic.
fn count(
    run: impl FnOnce(&mut dyn FnMut(Sample)) -> Result<Report, String>,
    steps: &Count,
    begun: &Receiver<Result<(), String>>,
) -> Result<(u64, u64), String> {
    begun.recv().map_err(|error| error.to_string())??;
    quiet(steps)?;
    let mut seen = Vec::new();
    run(&mut |_| seen.push(steps.get()))?;
    match seen[..] {
        [before, after] => Ok((after.0 - before.0, after.1 - before.1)),
        _ => Err(format!("the clients gave {} samples, and not two", seen.len())),
    }
}

/// Waits until it does nothing more.
fn quiet(steps: &Count) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let before = steps.get();
        thread::sleep(QUIET);
        if steps.get() == before {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err("it does something all the time".to_owned());
        }
    }
}

/// Steps through a process until it ends, on the cores where that runs: to go from one to the other is cheapest there.
fn step(pid: u32, cores: CpuSet, steps: &Count, said: &Sender<Result<(), String>>) {
    // On other cores it is only slower.
    let _ = sched_setaffinity(None, &cores);
    let seized = seize(pid).map_err(|error| format!("ptrace: {error}"));
    let failed = seized.is_err();
    // Nobody listens any more if the clients failed meanwhile.
    let _ = said.send(seized);
    if failed {
        return;
    }
    let mut atomics = atomic::Known::default();
    // Of the calling thread alone: the runner waits for others elsewhere.
    let mine = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
    loop {
        let (thread, signal) = match waitpid(None, Some(mine)) {
            Ok(WaitStatus::Stopped(thread, Signal::SIGTRAP)) => {
                steps.all.fetch_add(1, Ordering::Relaxed);
                if atomics.comes_next(thread) {
                    steps.atomics.fetch_add(1, Ordering::Relaxed);
                }
                (thread, None)
            }
            Ok(WaitStatus::Stopped(thread, signal)) => (thread, Some(signal)),
            Ok(WaitStatus::PtraceEvent(thread, ..)) => (thread, None),
            Ok(_) | Err(Errno::EINTR) => continue,
            // There is none left.
            Err(_) => return,
        };
        // It fails only if the thread was killed meanwhile, which the next wait tells.
        let _ = ptrace::step(thread, signal);
    }
}

/// Stops all threads of a process, and those that they will start, stops its clock, and lets them take a step.
fn seize(pid: u32) -> io::Result<()> {
    let mut threads = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/task"))? {
        let name = entry?.file_name();
        let thread = name.to_str().and_then(|name| name.parse().ok()).map(Pid::from_raw);
        let thread = thread.ok_or_else(|| io::Error::other("a thread has no number"))?;
        ptrace::seize(thread, Options::PTRACE_O_TRACECLONE | Options::PTRACE_O_EXITKILL)?;
        ptrace::interrupt(thread)?;
        waitpid(thread, Some(WaitPidFlag::__WALL))?;
        threads.push(thread);
    }
    still::stand(pid)?;
    threads.into_iter().try_for_each(|thread| Ok(ptrace::step(thread, None)?))
}
