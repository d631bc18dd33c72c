//! Connections that do nothing, or take too long.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use super::{Event, Policy, Wrapper};
use crate::connection::Traffic;
use crate::instant::Instant;
use crate::protocol::Protocol;
use crate::timer::Timer;
use crate::transport::Transport;

/// How often an idle timeout looks, in the time that it allows.
const LOOKS: u32 = 4;

/// Ends a connection on which no byte moved, in either direction, for some time.
///
/// The end is [`Transport::time_out`], and the reason [`Reason::Timeout`](crate::Reason::Timeout). Bytes that were received
/// count, and bytes that the system took: whoever has written and waits for a peer that takes nothing is idle, and so is
/// whoever is not read because the protocol paused reading. A protocol that works long on an answer has to be given the
/// time. While a layer [suspends](Transport::suspend_reading) the reading, as a [`RateLimit`](super::RateLimit) does,
/// nobody counts as idle.
///
/// Nothing happens per message: the loop counts a connection's bytes anyway, and the counts are looked at four
/// times in the `duration`. The connection therefore never ends before it was idle for `duration`, and at most a
/// quarter of that later; exactly then if nothing ever moved. The timer does not keep the loop alive, and is
/// cancelled by the loss.
///
/// ```
/// use marline_reactor::policy::IdleTimeout;
/// use marline_reactor::testing::MemoryReactor;
/// use marline_reactor::{Addresses, Transport};
/// use std::time::Duration;
///
/// let memory = MemoryReactor::new();
/// let echo = |transport: &Transport, data: &[u8]| transport.write(data);
/// memory.handle().listen("tcp://127.0.0.1:7", move |_: &Addresses| {
///     IdleTimeout::new(Duration::from_secs(60), echo)
/// })?;
/// let peer = memory.connect("127.0.0.1:7")?;
/// memory.advance(Duration::from_secs(59));
/// peer.write(b"still here");
/// memory.advance(Duration::from_secs(59));
/// assert_eq!(peer.read(), b"still here");
/// assert!(!peer.is_finished());
/// memory.advance(Duration::from_secs(16));
/// assert!(peer.is_finished());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type IdleTimeout<P> = Wrapper<Idle, P>;

/// The policy of an [`IdleTimeout`].
#[derive(Debug)]
pub struct Idle {
    duration: Duration,
    watch: Option<Rc<Watch>>,
}

impl<P: Protocol> Wrapper<Idle, P> {
    /// Ends the connection when nothing moved for `duration`.
    pub const fn new(duration: Duration, protocol: P) -> Self {
        Self::with(Idle { duration, watch: None }, protocol)
    }
}

impl Policy for Idle {
    fn before(&mut self, transport: &Transport, event: Event<'_>) {
        match event {
            Event::Made => {
                let watch = Watch::new(transport, self.duration);
                watch.look();
                self.watch = Some(watch);
            }
            Event::Lost(_) => self.end(),
            _ => {}
        }
    }

    /// It looks at the traffic.
    fn needs_no_input(&self) -> bool {
        true
    }
}

impl Idle {
    fn end(&mut self) {
        if let Some(watch) = self.watch.take() {
            cancel(watch.timer.take());
        }
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        self.end();
    }
}

/// What the timer looks at.
#[derive(Debug)]
struct Watch {
    transport: Transport,
    duration: Duration,
    /// What had moved at the last look.
    seen: Cell<Traffic>,
    /// The last look before which something had moved, or at which the reading was suspended.
    since: Cell<Instant>,
    timer: RefCell<Option<Timer>>,
}

impl Watch {
    fn new(transport: &Transport, duration: Duration) -> Rc<Self> {
        Rc::new(Self {
            transport: transport.clone(),
            duration,
            seen: Cell::new(transport.traffic()),
            since: Cell::new(transport.handle().now()),
            timer: RefCell::default(),
        })
    }

    /// Ends the connection, or sets the timer for the next look.
    fn look(self: &Rc<Self>) {
        let (handle, traffic) = (self.transport.handle(), self.transport.traffic());
        let now = handle.now();
        if self.seen.replace(traffic) != traffic || self.transport.is_suspended() {
            self.since.set(now);
        }
        let end = self.since.get() + self.duration;
        if now >= end && self.timer.borrow().is_some() {
            expire(&self.transport, "nothing moved", self.duration);
            return;
        }
        let watch = Rc::clone(self);
        let timer = handle.call_at(end.min(now + self.duration / LOOKS), move || watch.look());
        timer.unreference();
        self.timer.replace(Some(timer));
    }
}

/// Ends a connection after some time, whatever happens on it.
///
/// The time begins with `connection_made`. The end is [`Transport::time_out`], and the reason
/// [`Reason::Timeout`](crate::Reason::Timeout); it comes also while the connection is closing. The timer does not keep the
/// loop alive, and is cancelled by the loss.
///
/// ```
/// use marline_reactor::policy::TotalTimeout;
/// use marline_reactor::testing::MemoryReactor;
/// use marline_reactor::{Addresses, Transport};
/// use std::time::Duration;
///
/// let memory = MemoryReactor::new();
/// let ignore = |_: &Transport, _: &[u8]| {};
/// memory.handle().listen("tcp://127.0.0.1:9", move |_: &Addresses| {
///     TotalTimeout::new(Duration::from_secs(10), ignore)
/// })?;
/// let peer = memory.connect("127.0.0.1:9")?;
/// for _ in 0..9 {
///     peer.write(b"not idle");
///     memory.advance(Duration::from_secs(1));
/// }
/// assert!(!peer.is_finished());
/// memory.advance(Duration::from_secs(1));
/// assert!(peer.is_finished());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type TotalTimeout<P> = Wrapper<Total, P>;

/// The policy of a [`TotalTimeout`].
#[derive(Debug)]
pub struct Total {
    duration: Duration,
    timer: Option<Timer>,
}

impl<P: Protocol> Wrapper<Total, P> {
    /// Ends the connection after `duration`.
    pub const fn new(duration: Duration, protocol: P) -> Self {
        Self::with(Total { duration, timer: None }, protocol)
    }
}

impl Policy for Total {
    fn before(&mut self, transport: &Transport, event: Event<'_>) {
        match event {
            Event::Made => {
                let (ours, duration) = (transport.clone(), self.duration);
                let call = move || expire(&ours, "the connection has its time", duration);
                let timer = transport.handle().call_later(duration, call);
                timer.unreference();
                self.timer = Some(timer);
            }
            Event::Lost(_) => cancel(self.timer.take()),
            _ => {}
        }
    }

    fn needs_no_input(&self) -> bool {
        true
    }
}

impl Drop for Total {
    fn drop(&mut self) {
        cancel(self.timer.take());
    }
}

fn cancel(timer: Option<Timer>) {
    if let Some(timer) = timer {
        timer.cancel();
    }
}

/// The end, unless another protocol, which has not asked for it, is about to take over.
fn expire(transport: &Transport, why: &str, after: Duration) {
    if !transport.is_handed_over() && !transport.is_lost() {
        tracing::debug!(connection = ?transport.key(), peer = ?transport.peer_address(), ?after, "timed out: {why}");
        transport.time_out();
    }
}
