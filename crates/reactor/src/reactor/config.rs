//! How a loop is made.

use std::panic::Location;
use std::time::Duration;

use super::{Reactor, Shell};
use crate::backend::{self, Backend};
use crate::debug::DebugMode;
use crate::error::CreateError;
use crate::pool::Limits;
use crate::resolve::{Placed, Resolve};

/// What a loop does when a callback that belongs to no connection panics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnPanic {
    /// Report it and go on.
    #[default]
    GoOn,
    /// Report it and stop: `run` returns.
    Stop,
    /// Report it and abort the process.
    Abort,
}

/// Makes a [`Reactor`] that differs from the usual one.
///
/// ```
/// use marline_reactor::{Builder, OnPanic};
///
/// let reactor = Builder::new().post_limit(10_000).on_panic(OnPanic::Stop).build()?;
/// # Ok::<(), marline_reactor::CreateError>(())
/// ```
#[derive(Default)]
pub struct Builder {
    backend: Option<Box<dyn Backend>>,
    config: Config,
}

pub(super) struct Config {
    pub(super) post_limit: usize,
    pub(super) on_panic: OnPanic,
    pub(super) debug: Option<DebugMode>,
    pub(super) pool: Limits,
    /// `None` also once the loop has it.
    pub(super) resolver: Option<Placed>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            post_limit: usize::MAX,
            on_panic: OnPanic::GoOn,
            debug: DebugMode::from_env(),
            pool: Limits::default(),
            resolver: None,
        }
    }
}

impl Builder {
    /// The usual loop, to begin with.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs on this backend. By default the variable `MARLINE_BACKEND` names it, or else it is chosen.
    #[must_use]
    pub fn backend(mut self, backend: impl Backend + 'static) -> Self {
        self.backend = Some(Box::new(backend));
        self
    }

    /// Runs on this backend, of a type that is not known before.
    #[must_use]
    pub fn boxed_backend(mut self, backend: Box<dyn Backend>) -> Self {
        self.backend = Some(backend);
        self
    }

    /// How many calls from other threads may wait. Unlimited by default.
    #[must_use]
    pub fn post_limit(mut self, limit: usize) -> Self {
        self.config.post_limit = limit;
        self
    }

    /// What happens when a callback that belongs to no connection panics.
    #[must_use]
    pub fn on_panic(mut self, policy: OnPanic) -> Self {
        self.config.on_panic = policy;
        self
    }

    /// Turns [debug mode](DebugMode) on, or off with `None`, whatever the variable `MARLINE_DEBUG` says.
    #[must_use]
    pub fn debug(mut self, mode: impl Into<Option<DebugMode>>) -> Self {
        self.config.debug = mode.into();
        self
    }

    /// How many threads run [blocking jobs](crate::Handle::run_blocking) at a time: at least one, 32 by default. They are
    /// started when there is work for them.
    #[must_use]
    pub fn pool_threads(mut self, threads: usize) -> Self {
        self.config.pool.threads = threads;
        self
    }

    /// How many blocking jobs may wait for a thread. 1 024 by default.
    #[must_use]
    pub fn pool_queue(mut self, jobs: usize) -> Self {
        self.config.pool.queue = jobs;
        self
    }

    /// How long a thread of the pool stays without work. 10 seconds by default, of the system's clock.
    #[must_use]
    pub fn pool_idle(mut self, time: Duration) -> Self {
        self.config.pool.idle = time;
        self
    }

    /// How long the end of the loop waits for blocking jobs that run, at most. One second by default, of the system's clock.
    #[must_use]
    pub fn pool_grace(mut self, time: Duration) -> Self {
        self.config.pool.grace = time;
        self
    }

    /// Looks host names up with this: by default with the [`SystemResolver`](crate::SystemResolver).
    ///
    /// ```
    /// use marline_reactor::{Answer, Builder, Handle, Query};
    /// use std::net::SocketAddr;
    ///
    /// let resolver = |_: &Handle, query: Query, answer: Answer| match query.host() {
    ///     "database.test" => answer.all([SocketAddr::from(([10, 0, 0, 7], query.port()))]),
    ///     _ => answer.all([]),
    /// };
    /// let reactor = Builder::new().resolver(resolver).build()?;
    /// # Ok::<(), marline_reactor::CreateError>(())
    /// ```
    #[must_use]
    #[track_caller]
    pub fn resolver(mut self, resolver: impl Resolve + 'static) -> Self {
        self.config.resolver = Some((Box::new(resolver), Location::caller()));
        self
    }

    /// Makes the loop.
    ///
    /// # Errors
    ///
    /// If the system refuses what the backend needs, or `MARLINE_BACKEND` names a backend that is not there.
    pub fn build(mut self) -> Result<Reactor, CreateError> {
        let backend = match self.backend.take() {
            Some(backend) => backend,
            None => backend::auto()?,
        };
        Ok(self.build_on(backend))
    }

    pub(crate) fn build_on(self, backend: Box<dyn Backend>) -> Reactor {
        Reactor::new_on(Shell::new(backend, self.config))
    }
}
