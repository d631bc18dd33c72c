//! What a program asks of a loop.

use std::fmt;
use std::os::fd::OwnedFd;
use std::panic::Location;
use std::rc::Rc;
use std::time::Duration;

use super::context::{self, LoopId};
use super::failure::Failure;
use super::shutdown::{Hold, Phase};
use super::stats::Stats;
use super::{Life, Shell};
use crate::address::{Address, Addresses, UnixAddress};
use crate::backend::{DatagramOptions, ListenOptions};
use crate::before_sleep::BeforeSleep;
use crate::choice::ChoiceKind;
use crate::connect::Connecting;
use crate::datagram::{DatagramError, DatagramProtocol, DatagramTransport, PacketServer};
use crate::endpoint::IntoEndpoint;
use crate::error::{ConnectError, ListenError, NotInLoop};
use crate::instant::Instant;
use crate::protocol::IntoProtocol;
use crate::ready::{Callback, Entry};
use crate::remote::{Remote, Signal};
use crate::server::Server;
use crate::timer::{Timer, TimerKey};
use crate::transport::Transport;
use crate::watch::{Interest, Ready, Removed, Source, Watch, WatchError};

/// A handle of a loop: `Clone`, and not `Send`. Other threads use a [`Remote`].
///
/// * Calls: [`call_soon`](Self::call_soon), [`call_next`](Self::call_next), [`call_later`](Self::call_later), [`call_at`](Self::call_at),
///   [`call_every`](Self::call_every), [`timer`](Self::timer).
/// * Connections: [`listen`](Self::listen), [`connect`](Self::connect), [`set_resolver`](Self::set_resolver),
///   [`adopt_stream`](Self::adopt_stream), [`stdio`](Self::stdio).
/// * Datagrams: [`bind_datagram`](Self::bind_datagram), [`connect_datagram`](Self::connect_datagram),
///   [`open_datagram`](Self::open_datagram).
/// * Other sources: [`watch`](Self::watch), [`before_sleep`](Self::before_sleep).
/// * Signals of the operating system: [`on_signal`](Self::on_signal).
/// * Other threads: [`remote`](Self::remote), [`signal`](Self::signal), [`run_blocking`](Self::run_blocking).
/// * The loop: [`stop`](Self::stop), [`shutdown`](Self::shutdown), [`keep_alive`](Self::keep_alive),
///   [`local`](Self::local), [`stats`](Self::stats).
/// * Debugging: [`dump`](Self::dump), [`on_dump`](Self::on_dump), [`set_debug`](Self::set_debug),
///   [`on_warning`](Self::on_warning).
#[derive(Clone)]
pub struct Handle {
    shell: Rc<Shell>,
}

impl Handle {
    pub(crate) fn new(shell: Rc<Shell>) -> Self {
        Self { shell }
    }

    pub(crate) fn shell(&self) -> &Rc<Shell> {
        &self.shell
    }

    /// The loop that runs this callback or task, or that was [entered](Self::enter).
    ///
    /// # Errors
    ///
    /// Outside of any loop.
    #[track_caller]
    pub fn current() -> Result<Self, NotInLoop> {
        context::current().map(Self::new).ok_or(NotInLoop(Location::caller()))
    }

    /// The loop with this number, if it lives on this thread.
    #[must_use]
    pub fn find(id: LoopId) -> Option<Self> {
        let shell = context::find(id)?;
        (shell.life.get() != Life::Ended).then(|| Self::new(shell))
    }

    /// Makes this loop the [current](Self::current) one during `call`.
    pub fn enter<R>(&self, call: impl FnOnce() -> R) -> R {
        let _entered = context::enter(&self.shell);
        call()
    }

    // Calls.

    /// Runs `call` soon: after everything that is ready now, and never before this returns. A closure of up to four
    /// words costs no allocation.
    #[track_caller]
    #[inline]
    pub fn call_soon(&self, call: impl FnOnce() + 'static) -> Call {
        let number = self.shell.push(Entry::Call(Callback::new(call, Location::caller())));
        Call { shell: Rc::clone(&self.shell), number }
    }

    /// As [`call_soon`](Self::call_soon), for what takes the input of a connection. Called in [`Protocol::readable`] while nothing is
    /// ready, `call` runs as soon as that has returned `true`, and before the loop does anything else: nobody is overtaken, and what
    /// it receives and writes costs least then. Everywhere else, and after `false`, it waits for its turn. It cannot be cancelled.
    ///
    /// [`Protocol::readable`]: crate::Protocol::readable
    #[track_caller]
    #[inline]
    pub fn call_next(&self, call: impl FnOnce() + 'static) {
        self.shell.push_next(Callback::new(call, Location::caller()));
    }

    /// Runs `call` after `delay`, and not before: a delay of zero still means a later batch. A delay too long to express
    /// means never.
    #[track_caller]
    pub fn call_later(&self, delay: Duration, call: impl FnOnce() + 'static) -> Timer {
        self.call_at(self.now() + delay, call)
    }

    /// Runs `call` at `deadline`, or in a later batch if that has passed. Calls with equal deadlines run in the order they
    /// were set.
    #[track_caller]
    pub fn call_at(&self, deadline: Instant, call: impl FnOnce() + 'static) -> Timer {
        Timer::once(&self.shell, deadline, Callback::new(call, Location::caller()))
    }

    /// Runs `call` every `period`, for the first time after one period. A call that comes late does not move the later ones,
    /// and periods that were missed altogether are skipped. It runs at most once a turn.
    #[track_caller]
    pub fn call_every(&self, period: Duration, call: impl FnMut() + 'static) -> Timer {
        Timer::every(&self.shell, period, Box::new(call))
    }

    /// The timer of this loop with this [name](Timer::key). It does nothing if that has run or was cancelled.
    #[must_use]
    pub fn timer(&self, key: TimerKey) -> Timer {
        Timer::find(&self.shell, key)
    }

    /// A number that changes with each event, each callback and each turn of the loop, and is never zero. Who sees the same
    /// twice need not ask again for what he learned a moment before, such as the time.
    #[must_use]
    pub fn step(&self) -> u64 {
        self.shell.stats().step()
    }

    /// The loop's clock, read fresh.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.shell.now()
    }

    // Connections.

    /// Listens on an endpoint (`"tcp://127.0.0.1:8000"`), and asks `factory` for a protocol for each connection.
    ///
    /// # Errors
    ///
    /// If the endpoint is not one, or the system refuses; then nothing stays bound. A host name that is no IP
    /// literal and not `localhost` is refused: a listener's address is looked up without waiting.
    pub fn listen<P: IntoProtocol>(
        &self,
        endpoint: impl IntoEndpoint,
        mut factory: impl FnMut(&Addresses) -> P + 'static,
    ) -> Result<Server, ListenError> {
        let endpoint = endpoint.into_endpoint()?;
        Server::listen(&self.shell, &endpoint, Box::new(move |addresses| factory(addresses).into_protocol()))
    }

    /// Takes over a stream socket that listens already: of TCP, or a UNIX socket.
    ///
    /// # Errors
    ///
    /// If it is no listening stream socket, or the backend has no use for sockets.
    pub fn adopt_listener<P: IntoProtocol>(
        &self,
        listener: impl Into<OwnedFd>,
        mut factory: impl FnMut(&Addresses) -> P + 'static,
    ) -> Result<Server, ListenError> {
        Server::adopt(
            &self.shell,
            listener.into(),
            Box::new(move |addresses| factory(addresses).into_protocol()),
        )
    }

    /// Connects to an endpoint, asks `factory` for the protocol, and tells `done` the outcome, after `connection_made`
    /// returned. Every error comes that way too.
    ///
    /// A host name is looked up by the loop's [resolver](Self::set_resolver). If it has several addresses, the next is tried
    /// beside those that have not answered after a [short time](crate::Endpoint::attempt_delay), and the first that answers wins
    /// (RFC 8305).
    #[track_caller]
    pub fn connect<P: IntoProtocol>(
        &self,
        endpoint: impl IntoEndpoint,
        factory: impl FnOnce(&Addresses) -> P + 'static,
        done: impl FnOnce(Result<Transport, ConnectError>) + 'static,
    ) -> Connecting {
        let factory = Box::new(move |addresses: &Addresses| factory(addresses).into_protocol());
        Connecting::start(&self.shell, endpoint.into_endpoint(), factory, Box::new(done))
    }

    // Datagrams.

    /// Opens a datagram socket that is bound to `local`; port 0 means any free port.
    ///
    /// # Errors
    ///
    /// If the system refuses; then nothing stays bound.
    #[track_caller]
    pub fn bind_datagram<P: DatagramProtocol>(
        &self,
        local: impl Into<Address>,
        protocol: P,
    ) -> Result<DatagramTransport, DatagramError> {
        self.open_datagram(&DatagramOptions::bind(local), protocol)
    }

    /// Opens a datagram socket that is connected with `peer`: it hears nobody else, and learns if the peer does not listen.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    #[track_caller]
    pub fn connect_datagram<P: DatagramProtocol>(
        &self,
        peer: impl Into<Address>,
        protocol: P,
    ) -> Result<DatagramTransport, DatagramError> {
        self.open_datagram(&DatagramOptions::connect(peer), protocol)
    }

    /// Opens a datagram socket in whatever way.
    ///
    /// # Errors
    ///
    /// If no address is given, or two that do not go together, or the system refuses; then nothing stays bound.
    #[track_caller]
    pub fn open_datagram<P: DatagramProtocol>(
        &self,
        options: &DatagramOptions,
        protocol: P,
    ) -> Result<DatagramTransport, DatagramError> {
        self.shell.open_datagram(options, Box::new(protocol), Location::caller())
    }

    /// Listens on a UNIX socket for connections that keep records apart (SOCK_SEQPACKET), and asks `factory`, which is given the
    /// peer's address, for a protocol for each. They are connected datagram sockets that lose nothing, and end when the peer
    /// closes: `connection_lost` is clean then. An empty record is a datagram, and no end.
    /// [`DatagramOptions::packets`] connects to such a listener.
    ///
    /// # Errors
    ///
    /// If the system refuses, or the backend has no such sockets; then nothing stays bound.
    #[track_caller]
    pub fn listen_packets<P: DatagramProtocol>(
        &self,
        address: &UnixAddress,
        options: &ListenOptions,
        mut factory: impl FnMut(&Address) -> P + 'static,
    ) -> Result<PacketServer, DatagramError> {
        let boxed = move |peer: &Address| Some(Box::new(factory(peer)) as Box<dyn DatagramProtocol>);
        self.shell.listen_packets(address, options, Box::new(boxed), Location::caller())
    }

    // Other sources.

    /// Watches a source that is none of the loop's own: a descriptor, or a source of mio's. The loop owns it from now on.
    ///
    /// `call` runs once a turn for as long as the source is ready for what `interest` names: whoever reads less than there
    /// is is called again. That costs one more system call for each event; [`Interest::edge`] does without it.
    /// As every callback it starts from the loop. If it panics, this watch ends and the panic is
    /// [reported](Self::on_failure); nobody else is disturbed.
    ///
    /// The source is lent to the callback and stays the one that is watched: a callback that puts another with another
    /// descriptor in its place (`*stream = reconnected`) ends the watch, which is reported likewise. The descriptor it had
    /// is not touched then, as its number may be somebody else's already. Whoever wants another source
    /// [removes](Watch::remove) this watch *before* the source is replaced, and watches the new one.
    ///
    /// ```
    /// use marline_reactor::{Interest, Reactor};
    /// use std::io::{Read, Write};
    /// use std::os::unix::net::UnixStream;
    ///
    /// let reactor = Reactor::new()?;
    /// let (mut far, near) = UnixStream::pair()?;
    /// let stop = reactor.handle();
    /// let watch = reactor.handle().watch(near, Interest::READABLE, move |near: &mut UnixStream, ready| {
    ///     assert!(ready.is_readable());
    ///     let mut bytes = [0; 5];
    ///     near.read_exact(&mut bytes).unwrap();
    ///     stop.stop();
    /// })?;
    /// far.write_all(b"hello")?;
    /// reactor.run()?;
    /// let near = watch.remove().expect("the source comes back");
    /// # drop(near);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If it is watched already, belongs to the loop, is always ready (a file), or the backend or the system refuses. The
    /// source is in the error.
    #[track_caller]
    pub fn watch<S: Source>(
        &self,
        source: S,
        interest: Interest,
        call: impl FnMut(&mut S, Ready) + 'static,
    ) -> Result<Watch<S>, WatchError<S>> {
        self.shell.watch(source, interest, call, Location::caller())
    }

    /// Watches nothing more, and answers with what was watched, in no particular order. What the loop itself watches
    /// (connections, listeners, its own wake-up) goes on.
    #[allow(clippy::must_use_candidate)]
    pub fn remove_all_watches(&self) -> Vec<Removed> {
        self.shell.remove_all_watches()
    }

    /// Calls `hook` each time the loop is about to sleep because nothing is ready (libuv's `uv_prepare`).
    ///
    /// It is for sources that do not tell everything by becoming ready, and have to be asked before each sleep. It may
    /// call, write and set timers: the loop looks again whether something is ready before it sleeps. If it always
    /// makes work the loop never sleeps, and I/O and timers come as usual. At the end of a [turn](crate::Reactor::turn)
    /// without waiting it is called too, because then the loop's host sleeps; what it makes ready is told by
    /// [`has_ready`](crate::Reactor::has_ready). Hooks run in the order in which they were added; a panic is reported, and
    /// the hook is called again next time. They do not keep the loop alive.
    #[track_caller]
    pub fn before_sleep(&self, hook: impl FnMut() + 'static) -> BeforeSleep {
        self.shell.add_sleep_hook(Box::new(hook))
    }

    // Other threads.

    /// The door to this loop for other threads.
    #[must_use]
    pub fn remote(&self) -> Remote {
        self.shell.remote.clone()
    }

    /// Makes a coalescing wake-up: `call` runs on this loop after a [`Signal::raise`] from anywhere.
    #[track_caller]
    pub fn signal(&self, call: impl FnMut() + 'static) -> Signal {
        self.shell.add_signal(Box::new(call))
    }

    // The loop.

    /// Makes `run` return when the batch that is running is done. Everything stays alive, and the loop can run again.
    pub fn stop(&self) {
        self.shell.stop();
    }

    /// Ends the loop: runs the hooks of [`Phase::Before`], tells every connection, listener and
    /// attempt, runs the hooks of [`Phase::During`] and [`Phase::After`], and makes `run` return for good. All of
    /// it happens from the loop, not during this call. Once everybody was told, new listeners and attempts are refused.
    pub fn shutdown(&self) {
        self.shell.begin_shutdown();
    }

    /// Runs `hook` in a phase of [`shutdown`](Self::shutdown). The next phase waits until every [`Hold`] of this one is
    /// dropped: a hook that takes time keeps its own.
    #[track_caller]
    pub fn on_shutdown(&self, phase: Phase, hook: impl FnOnce(Hold) + 'static) {
        self.shell.add_shutdown_hook(phase, Box::new(hook));
    }

    /// Keeps `run` from returning for want of anything to do.
    #[must_use]
    pub fn keep_alive(&self) -> KeepAlive {
        self.shell.guards.set(self.shell.guards.get() + 1);
        KeepAlive { shell: Rc::clone(&self.shell) }
    }

    /// The value of this type that belongs to the loop, made by `init` when first asked for. Such values are dropped with the
    /// loop, the last made first. `None` after the end.
    pub fn local<T: 'static>(&self, init: impl FnOnce(&Self) -> T) -> Option<Rc<T>> {
        if let Some(value) = self.shell.locals.get() {
            return Some(value);
        }
        if self.shell.life.get() == Life::Ended {
            return None;
        }
        let value = Rc::new(init(self));
        Some(self.shell.locals.insert(value))
    }

    /// The value of this type that belongs to the loop, if it was made.
    pub(crate) fn known_local<T: 'static>(&self) -> Option<Rc<T>> {
        self.shell.locals.get()
    }

    /// Tells `handler` of failures that belong to no connection: panics of callbacks, and what
    /// [`report`](Self::report) is given. Without one they are reported through `tracing`.
    pub fn on_failure(&self, handler: impl FnMut(&Failure) + 'static) {
        self.shell.set_failure_handler(Box::new(handler));
    }

    /// Reports a failure to whoever is [told of failures](Self::on_failure).
    pub fn report(&self, failure: &Failure) {
        self.shell.report(failure);
    }

    /// What the loop counted so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shell.collect_stats()
    }

    /// Takes a choice from the stream of this run: a number below `among`. See [`Choices`](crate::Choices).
    #[must_use]
    pub fn choose(&self, kind: ChoiceKind, among: usize) -> usize {
        self.shell.choices.choose(kind, among)
    }

    /// The number of the loop.
    #[must_use]
    pub fn loop_id(&self) -> LoopId {
        self.shell.id
    }

    /// Whether nothing new can begin any more: a shutdown has told everybody, or the loop is over.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.shell.refuses_work()
    }

    /// Whether the loop was shut down or dropped.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.shell.is_over()
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({:?})", self.shell.id)
    }
}

/// A call that was scheduled with [`Handle::call_soon`]. Dropping it changes nothing.
#[derive(Clone)]
pub struct Call {
    shell: Rc<Shell>,
    /// `None` if the loop had ended.
    number: Option<u64>,
}

impl Call {
    /// Cancels the call: whether it had not begun. What the closure holds is dropped at once.
    pub fn cancel(&self) -> bool {
        let cancelled = self.number.and_then(|number| self.shell.ready.borrow_mut().cancel(number));
        let was_waiting = cancelled.is_some();
        self.shell.contained(move || drop(cancelled));
        was_waiting
    }

    /// Whether it still waits.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.number.is_some_and(|number| self.shell.ready.borrow().waits(number))
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("is_waiting", &self.is_waiting()).finish()
    }
}

/// Keeps a loop's `run` from returning while it lives.
pub struct KeepAlive {
    shell: Rc<Shell>,
}

impl Drop for KeepAlive {
    fn drop(&mut self) {
        self.shell.guards.set(self.shell.guards.get() - 1);
        self.shell.may_be_idle();
    }
}

impl fmt::Debug for KeepAlive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeepAlive")
    }
}
