//! Host names, looked up by the system's resolver. It blocks, so threads of its own call it: a pool like that of the program's
//! jobs, but another one, so that neither waits for the other.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::panic::Location;
use std::rc::Rc;
use std::time::Duration;

use crate::key::Key;
use crate::pool::{Job, JobError, Limits, Refusal, Whose};
use crate::reactor::Shell;

/// What the pool for it may grow to. The end of the loop does not wait for it, because the system's resolver can take minutes.
pub(crate) const RESOLVER: Limits =
    Limits { threads: 4, queue: 1024, idle: Duration::from_secs(10), grace: Duration::ZERO };

impl Shell {
    /// Looks up a host. The answer goes to the attempt.
    pub(crate) fn ask_resolver(self: &Rc<Self>, host: String, port: u16, attempt: Key) -> io::Result<Job> {
        let work = move || (host.as_str(), port).to_socket_addrs().map(Iterator::collect::<Vec<SocketAddr>>);
        let shell = self.weak();
        let done = move |outcome: Result<io::Result<Vec<SocketAddr>>, JobError>| {
            if let Some(shell) = shell.upgrade() {
                shell.looked_up(attempt, outcome.unwrap_or_else(|error| Err(io::Error::other(error))));
            }
        };
        let started = self.start_job(Whose::Resolver, work, done, Location::caller());
        started.map_err(|refused| match refused.why {
            Refusal::Full => io::Error::new(io::ErrorKind::WouldBlock, "too many names are being looked up"),
            Refusal::Over => io::Error::other("the loop has ended"),
            Refusal::Thread(error) => error,
        })
    }
}
