//! A server that runs.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::CpuSet;

use crate::contestant::Ready;
use crate::cores::spawn_on;
use crate::role::Role;

/// How long a server may take to say that it listens.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a server is to serve.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    /// How large the buffers are, where that can be chosen.
    pub buffer: usize,
    /// What it does, where that can be chosen.
    pub role: Role,
}

impl Default for Service {
    fn default() -> Self {
        Self { buffer: 16 * 1024, role: Role::Echo }
    }
}

/// A process that listens, until it is dropped.
pub struct Server {
    child: Child,
    /// What it says after it said where it listens.
    lines: Receiver<String>,
    port: u16,
}

impl Server {
    /// Starts a fresh process on these cores, and waits until it listens.
    ///
    /// # Errors
    ///
    /// In words, if it does not: the last line of what it said.
    pub fn start(ready: &Ready, service: Service, cores: CpuSet) -> Result<Self, String> {
        let mut words = ready.words();
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words);
        Self::start_command(command, ready, service, cores)
    }

    /// The same under strace, which writes its summary to this file when the server ends.
    ///
    /// With `-D` the tracer is the grandchild, so that the process that was started is the server.
    ///
    /// # Errors
    ///
    /// As for [`start`](Self::start), and if there is no strace.
    pub fn start_traced(
        ready: &Ready,
        service: Service,
        cores: CpuSet,
        summary: &Path,
    ) -> Result<Self, String> {
        let mut command = Command::new("strace");
        command.args(["-D", "-f", "-qq", "-c", "-o"]).arg(summary).args(ready.words());
        Self::start_command(command, ready, service, cores)
    }

    /// The same under callgrind, which writes how many instructions it counted to this file when the server ends.
    ///
    /// # Errors
    ///
    /// As for [`start`](Self::start), and if there is no valgrind.
    pub fn start_counted(ready: &Ready, service: Service, cores: CpuSet, out: &Path) -> Result<Self, String> {
        let mut command = Command::new("valgrind");
        command.args(["--tool=callgrind", "-q"]);
        command.arg(format!("--callgrind-out-file={}", out.display())).args(ready.words());
        Self::start_command(command, ready, service, cores)
    }

    fn start_command(
        mut command: Command,
        ready: &Ready,
        service: Service,
        cores: CpuSet,
    ) -> Result<Self, String> {
        let errors = errors_of(ready);
        command.arg("tcp://127.0.0.1:0").arg(service.buffer.to_string());
        if ready.contestant.is_secure() || service.role != Role::Echo {
            command.arg(service.role.name());
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(File::create(&errors).map_err(|error| format!("{}: {error}", errors.display()))?);
        if let Some(backend) = ready.contestant.backend() {
            command.env("MARLINE_BACKEND", backend);
        }
        let mut child =
            spawn_on(cores, &mut command).map_err(|error| format!("cannot be started: {error}"))?;
        let lines = lines_of(&mut child);
        let greeting = lines.recv_timeout(PATIENCE).ok();
        let mut server = Self { child, lines, port: 0 };
        match greeting.as_deref().map(port_in) {
            Some(Some(port)) => {
                server.port = port;
                Ok(server)
            }
            Some(None) => Err(format!("named no port: {}", greeting.unwrap_or_default())),
            None => Err(server.last_words(&errors)),
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end, and waits until it has. What it said is returned, but for where it listened.
    ///
    /// # Errors
    ///
    /// The system's; and if it does not end for too long.
    pub fn terminate(mut self) -> io::Result<Vec<String>> {
        if let Some(pid) = i32::try_from(self.pid()).ok().and_then(Pid::from_raw) {
            kill_process(pid, Signal::TERM)?;
        }
        let deadline = Instant::now() + PATIENCE;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "it does not end"));
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(self.lines.iter().collect())
    }

    fn last_words(&mut self, errors: &Path) -> String {
        // It may still run, if it said nothing for too long.
        let _ = self.child.kill();
        let status = self.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
        let said = std::fs::read_to_string(errors).unwrap_or_default();
        let line = said.lines().rev().find(|line| !line.trim().is_empty());
        line.map_or_else(|| format!("said nothing, {status}"), |line| line.trim().to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where what it complains of goes: beside its program.
fn errors_of(ready: &Ready) -> PathBuf {
    ready.path.with_file_name(format!("{}.stderr", ready.contestant.name))
}

/// The lines that it prints. All are read as they come, so that it never waits for us.
fn lines_of(child: &mut Child) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    if let Some(output) = child.stdout.take() {
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // If nobody wants them any more, they are read all the same.
                let _ = sender.send(line);
            }
        });
    }
    receiver
}

/// The port in `listening on tcp://127.0.0.1:8000; try: ...`.
fn port_in(greeting: &str) -> Option<u16> {
    let rest = greeting.split_once("127.0.0.1:")?.1;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_found_in_a_greeting() {
        assert_eq!(port_in("listening on tcp://127.0.0.1:8000; try: nc 127.0.0.1 8000"), Some(8000));
        assert_eq!(port_in("listening on tcp://127.0.0.1:65535"), Some(65535));
        assert_eq!(port_in("listening on tcp://127.0.0.1:65536"), None);
        assert_eq!(port_in("hello"), None);
    }
}
