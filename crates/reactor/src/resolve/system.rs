//! Host names, looked up by the system's resolver. It blocks, so threads of its own call it: a pool like that of the program's
//! jobs, but another one, so that neither waits for the other.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::panic::Location;
use std::rc::Rc;
use std::time::Duration;

use super::{Answer, Query, Resolve};
use crate::pool::{JobError, Limits, Refusal, Whose};
use crate::reactor::{Handle, Shell};
use crate::ready::Callback;

/// What the pool for it may grow to. The end of the loop does not wait for it, because the system's resolver can take minutes.
pub(crate) const THREADS: Limits =
    Limits { threads: 4, queue: 1024, idle: Duration::from_secs(10), grace: Duration::ZERO };

/// The resolver of a loop that was given no other: that of its [backend](crate::backend::Backend::resolve), if it has one
/// (the memory backend knows the hosts of its network), and else the operating system's `getaddrinfo`, on at most four
/// threads of the loop's own.
///
/// The system answers in one piece, sorted for this machine (RFC 6724). The question cannot be interrupted once a thread has
/// asked it; its answer is dropped if nobody waits for it.
///
/// A program's own [`Resolve`] can leave to it what it does not know:
///
/// ```
/// use marline_reactor::{Answer, Handle, Query, Reactor, Resolve, SystemResolver};
///
/// let reactor = Reactor::new()?;
/// reactor.handle().set_resolver(|handle: &Handle, query: Query, answer: Answer| {
///     println!("looking up {}", query.host());
///     SystemResolver.resolve(handle, query, answer);
/// });
/// # Ok::<(), marline_reactor::CreateError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    /// The loop that asks is that of the answer.
    fn resolve(&mut self, _: &Handle, query: Query, answer: Answer) {
        if let Some(shell) = answer.shell() {
            shell.ask_system(query, answer);
        }
    }
}

type Outcome = Result<io::Result<Vec<SocketAddr>>, JobError>;

impl Shell {
    pub(crate) fn ask_system(self: &Rc<Self>, query: Query, answer: Answer) {
        let known = self.backend().resolve(query.host(), query.port());
        match known {
            Some(Ok(addresses)) => answer.all(addresses),
            Some(Err(error)) => answer.fail(error),
            None => self.ask_a_thread(query, answer),
        }
    }

    fn ask_a_thread(self: &Rc<Self>, query: Query, answer: Answer) {
        let attempt = answer.attempt();
        let work = move || (query.host(), query.port()).to_socket_addrs().map(Iterator::collect);
        let done = move |outcome: Outcome| match outcome {
            Ok(Ok(addresses)) => answer.sorted(addresses),
            Ok(Err(error)) => answer.fail(error),
            Err(error) => answer.fail(io::Error::other(error)),
        };
        match self.start_job(Whose::Resolver, work, done, Location::caller()) {
            Ok(job) => {
                // One that waits for a thread need not be made any more.
                let cancel = Callback::new(move || _ = job.cancel(), Location::caller());
                self.when_look_up_is_cancelled(attempt, cancel);
            }
            Err(refused) => {
                let error = match refused.why {
                    Refusal::Full => {
                        io::Error::new(io::ErrorKind::WouldBlock, "too many names are being looked up")
                    }
                    Refusal::Over => io::Error::other("the loop has ended"),
                    Refusal::Thread(error) => error,
                };
                (refused.done)(Ok(Err(error)));
            }
        }
    }
}
