//! A loop on each processor, which start, stop, drain and report as one.
//!
//! * `options`: what can be chosen. `handle`: what steers a group from anywhere; `report`: what is told of it; `error`: what can
//!   go wrong.
//! * `worker`: one loop of it, as its own thread sees it; `serving`: what it serves. `thread`: that thread, from its start to its
//!   report.
//! * `supervisor`: what starts the loops and sees them end; `rolling`: one after the other; `member`: one loop, as it knows it.
//! * `shared`: what the loops and the handles share; `place`: one loop, as the others see it.
//! * `sockets`: those that it listens with, which outlive the loops. `feed`: connections that one loop accepts for others.
//! * `pin`: which processor a thread runs on (`no_pin`: where there is no such call).

mod error;
mod feed;
mod handle;
mod member;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod no_pin;
mod options;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod pin;
mod place;
mod report;
mod rolling;
mod serving;
mod shared;
mod sockets;
mod supervisor;
mod thread;
mod worker;

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{bounded, unbounded};
use parking_lot::Mutex;

pub use error::{GroupBroken, LoopEnd, StartError, StartErrorKind};
pub use handle::GroupHandle;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
use no_pin as pin;
pub use options::{Balance, OnBroken, OnSignal};
pub use report::{GroupStats, LoopReport, LoopStats, Report, RollError, Rolled};
pub(crate) use serving::shared_listening;
use shared::{MakeFactory, Plan, Service, Shared};
use sockets::Sockets;
use supervisor::Supervisor;
pub use worker::{Busy, DrainHook, Worker};

use crate::address::{Address, Addresses};
use crate::contain::Panic;
use crate::endpoint::{IntoEndpoint, ListenFactory};
use crate::error::{CreateError, ListenError};
use crate::os_signal::SignalKind;
use crate::protocol::IntoProtocol;
use crate::reactor::Builder;

/// Loops on several threads, one for each processor unless the program says otherwise: a server for machines with many cores.
///
/// Each loop is one as any other, with its own connections, timers and tasks; nothing of theirs need be `Send`, and they share no
/// lock. Where the system can, each listens on the port itself and is given its share of the connections; elsewhere one accepts for
/// all ([`Balance`]). Work crosses from one to another only through their [`Remote`](crate::Remote)s.
///
/// ```no_run
/// use marline_reactor::{Group, Protocol, Transport};
///
/// struct Echo;
///
/// impl Protocol for Echo {
///     fn data_received(&mut self, transport: &Transport, data: &[u8]) {
///         transport.write(data);
///     }
/// }
///
/// fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
///     Group::new()?.listen("tcp://127.0.0.1:8000", |_| Echo)?.run()
/// }
/// ```
///
/// * What it serves: [`listen`](Self::listen), [`listen_with`](Self::listen_with); what else begins with it:
///   [`on_start`](Self::on_start).
/// * How it is made: [`loops`](Self::loops), [`name`](Self::name), [`pin`](Self::pin), [`balance`](Self::balance),
///   [`builder`](Self::builder).
/// * How it ends: [`on_signal`](Self::on_signal), [`on_broken`](Self::on_broken).
/// * Then [`run`](Self::run), or [`start`](Self::start) to have a handle of it.
pub struct Group {
    loops: usize,
    pinned: bool,
    on_broken: OnBroken,
    sockets: Sockets,
    plan: Plan,
}

impl Group {
    /// A group of one loop for each processor that this process may use (its affinity and its quota count).
    ///
    /// # Errors
    ///
    /// If the system does not tell how many there are.
    pub fn new() -> Result<Self, StartError> {
        let processors = std::thread::available_parallelism();
        let loops =
            processors.map_err(|error| StartError::of_group(StartErrorKind::Processors(error)))?.get();
        let plan = Plan {
            name: "marline".to_owned(),
            services: Vec::new(),
            start: Vec::new(),
            signals: Vec::new(),
            builder: Arc::new(|_| Ok(Builder::new())),
            balance: Balance::default(),
            processors: Vec::new(),
        };
        Ok(Self { loops, pinned: false, on_broken: OnBroken::default(), sockets: Sockets::default(), plan })
    }

    /// How many loops there are: at least one.
    #[must_use]
    pub fn loops(mut self, loops: usize) -> Self {
        self.loops = loops.max(1);
        self
    }

    /// What its threads are called, with a number behind it: `NAME-0`, and so on. "marline" by default. Linux shows 15 bytes. With
    /// a NUL in it, the group does not start.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.plan.name = name.into();
        self
    }

    /// Whether each loop stays on one processor, of those that this process may use; several loops share one if there are more of
    /// them. They do not by default. Where the system has no call for that, the group does not start.
    #[must_use]
    pub fn pin(mut self, pin: bool) -> Self {
        self.pinned = pin;
        self
    }

    /// Which loop gets a connection.
    #[must_use]
    pub fn balance(mut self, balance: Balance) -> Self {
        self.plan.balance = balance;
        self
    }

    /// Makes each loop as `make` says, which is given its place. By default each is on the backend that `MARLINE_BACKEND` names, or
    /// the best one here.
    ///
    /// ```
    /// use marline_reactor::backend::named;
    /// use marline_reactor::{Builder, Group};
    ///
    /// let on_epoll = |_| Ok(Builder::new().boxed_backend(named("readiness")?));
    /// let group = Group::new()?.builder(on_epoll);
    /// # Ok::<(), marline_reactor::StartError>(())
    /// ```
    #[must_use]
    pub fn builder(
        mut self,
        make: impl Fn(usize) -> Result<Builder, CreateError> + Send + Sync + 'static,
    ) -> Self {
        self.plan.builder = Arc::new(make);
        self
    }

    /// Calls `hook` on each loop before it listens, in the order of adding, when all loops are made; the loop is the
    /// [current](crate::Handle::current) one then. It is the place to set timers, to connect, to start tasks. An error of it is one of the group's start.
    #[must_use]
    pub fn on_start(
        mut self,
        hook: impl Fn(&Worker) -> Result<(), Box<dyn Error + Send + Sync>> + Send + Sync + 'static,
    ) -> Self {
        self.plan.start.push(Arc::new(hook));
        self
    }

    /// What a signal of the operating system does to the group, from the moment when its loops begin until the last has ended:
    /// while any of them runs, the signal does not do what it does by default. Asked for again, the later action counts. A signal
    /// without an action is left as it is; programs handle it by [`Handle::on_signal`](crate::Handle::on_signal) on a loop.
    ///
    /// Signals are the whole process's. The group acts once on each, whichever of its loops hears of it first; several that come
    /// at once may count as one, as the system tells no more. One that ends the group while it starts is a
    /// [start error](StartErrorKind::Stopped).
    #[must_use]
    pub fn on_signal(mut self, signal: SignalKind, action: OnSignal) -> Self {
        self.plan.signals.retain(|(known, _)| *known != signal);
        self.plan.signals.push((signal, action));
        self
    }

    /// What becomes of the others when a loop breaks: they stop by default.
    #[must_use]
    pub fn on_broken(mut self, policy: OnBroken) -> Self {
        self.on_broken = policy;
        self
    }

    /// Serves an endpoint, as [`Handle::listen`](crate::Handle::listen) does, on every loop. Each has its own clone of the factory.
    ///
    /// The port is taken now: whoever connects from here on waits until the group runs. Port 0 means any free port, the same for
    /// all. A [limit](crate::Endpoint::limit) is that of each loop. Kinds of endpoints that a program
    /// [adds](crate::register_endpoint), and those of TLS, are listened on when the group starts.
    ///
    /// # Errors
    ///
    /// As those of [`Handle::listen`](crate::Handle::listen).
    pub fn listen<P: IntoProtocol>(
        self,
        endpoint: impl IntoEndpoint,
        factory: impl FnMut(&Addresses) -> P + Clone + Send + 'static,
    ) -> Result<Self, ListenError> {
        // One loop after the other takes its clone, when it starts.
        let factory = Mutex::new(factory);
        self.listen_with(endpoint, move |_| factory.lock().clone())
    }

    /// As [`listen`](Self::listen), with a factory that `make` makes on each loop's thread, and which stays there: it may share with
    /// others of that loop what is not `Send`.
    ///
    /// ```
    /// use marline_reactor::{Addresses, Group, Transport, Worker};
    /// use std::cell::Cell;
    /// use std::rc::Rc;
    ///
    /// let group = Group::new()?.listen_with("tcp://127.0.0.1:0", |_: &Worker| {
    ///     let requests = Rc::new(Cell::new(0)); // of this loop
    ///     move |_: &Addresses| {
    ///         let requests = Rc::clone(&requests);
    ///         move |transport: &Transport, _: &[u8]| {
    ///             requests.set(requests.get() + 1);
    ///             transport.write(format!("{}\n", requests.get()));
    ///         }
    ///     }
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As there.
    pub fn listen_with<P, F>(
        mut self,
        endpoint: impl IntoEndpoint,
        make: impl Fn(&Worker) -> F + Send + Sync + 'static,
    ) -> Result<Self, ListenError>
    where
        P: IntoProtocol,
        F: FnMut(&Addresses) -> P + 'static,
    {
        let endpoint = endpoint.into_endpoint()?;
        if !endpoint.is_registered() {
            self.sockets.begin(self.plan.services.len(), &endpoint)?;
        }
        let make: MakeFactory = Arc::new(move |worker| {
            let mut factory = make(worker);
            let boxed: ListenFactory = Box::new(move |addresses| factory(addresses).into_protocol());
            boxed
        });
        self.plan.services.push(Service { endpoint, make });
        Ok(self)
    }

    /// Where it listens, in the order of asking, with the real ports. Kinds of endpoints that are listened on when the group starts
    /// are not among them before.
    #[must_use]
    pub fn addresses(&self) -> Vec<Address> {
        self.sockets.addresses()
    }

    /// Starts every loop, and sees to them on a thread of its own.
    ///
    /// # Errors
    ///
    /// If one of them cannot start. Then all have ended when this returns, their threads too, and nothing stays bound.
    pub fn start(self) -> Result<Running, StartError> {
        let name = self.checked_name()?.to_owned();
        let (tell, started) = bounded(1);
        // It is there before the first loop is, so that none has to be ended for want of it.
        let supervise = move || match self.launch() {
            Ok((handle, supervisor)) => {
                let _ = tell.send(Ok(handle));
                supervisor.supervise()
            }
            Err(error) => {
                let _ = tell.send(Err(error));
                Report::default()
            }
        };
        let thread = std::thread::Builder::new().name(name).spawn(supervise);
        let thread = thread.map_err(|error| StartError::of_group(StartErrorKind::Thread(error)))?;
        let error = match started.recv() {
            Ok(Ok(handle)) => return Ok(Running { handle, thread }),
            Ok(Err(error)) => Some(error),
            Err(_) => None,
        };
        let panicked = thread.join().err().map(|panic| StartErrorKind::Panicked(Panic::new(panic)));
        Err(error.unwrap_or_else(|| StartError::of_group(panicked.unwrap_or(StartErrorKind::Stopped))))
    }

    /// Starts every loop, and returns when the last has ended: by a [signal](Self::on_signal), because the program stopped one, or
    /// through a [handle](GroupHandle::current) that it got on one of them.
    ///
    /// # Errors
    ///
    /// A [`StartError`], or, if loops broke, a [`GroupBroken`].
    pub fn run(self) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.checked_name()?;
        let (_, supervisor) = self.launch()?;
        checked(supervisor.supervise())?;
        Ok(())
    }

    /// The name, if it can be that of a thread.
    fn checked_name(&self) -> Result<&str, StartError> {
        let name = &self.plan.name;
        if name.contains('\0') {
            let error = io::Error::new(io::ErrorKind::InvalidInput, "a name of threads with a NUL in it");
            return Err(StartError::of_group(StartErrorKind::Thread(error)));
        }
        Ok(name)
    }

    fn launch(mut self) -> Result<(GroupHandle, Supervisor), StartError> {
        if self.pinned {
            let allowed = pin::allowed();
            self.plan.processors =
                allowed.map_err(|error| StartError::of_group(StartErrorKind::Processors(error)))?;
        }
        let (messages, inbox) = unbounded();
        let shared = Arc::new(Shared::new(self.plan, self.sockets, self.loops, messages));
        let supervisor = Supervisor::start(&shared, inbox, self.on_broken)?;
        Ok((GroupHandle { shared }, supervisor))
    }
}

fn checked(report: Report) -> Result<Report, GroupBroken> {
    let broke = report.loops.iter().any(|report| report.end.is_broken());
    if broke { Err(GroupBroken { report }) } else { Ok(report) }
}

/// A group that runs. If this is dropped, it goes on.
pub struct Running {
    handle: GroupHandle,
    thread: JoinHandle<Report>,
}

impl Running {
    /// What steers it, from anywhere.
    #[must_use]
    pub fn handle(&self) -> GroupHandle {
        self.handle.clone()
    }

    /// Where it listens, in the order in which it was asked to.
    #[must_use]
    pub fn addresses(&self) -> Vec<Address> {
        self.handle.addresses()
    }

    /// Waits until every loop has ended.
    ///
    /// It is for threads that are none of the group's: on a loop of it, in a hook, or in what a
    /// [restart](GroupHandle::restart) tells, it would wait for itself for ever.
    ///
    /// # Errors
    ///
    /// If one of them broke.
    pub fn join(self) -> Result<Report, GroupBroken> {
        match self.thread.join() {
            Ok(report) => checked(report),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses = self.addresses();
        f.debug_struct("Group").field("loops", &self.loops).field("addresses", &addresses).finish()
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.handle.fmt(f)
    }
}
