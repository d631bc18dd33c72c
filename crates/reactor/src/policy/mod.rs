//! Policies: what a server wants of its connections whatever they talk about, as layers around protocols.
//!
//! * [`IdleTimeout`] ends a connection on which nothing moves; [`TotalTimeout`] one that takes too long.
//! * [`RateLimit`] bounds how fast a connection is read.
//! * [`ConnectionLimit`] bounds how many there are, in all and from one address.
//! * [`TrafficLog`] reports through `tracing` what passes.
//!
//! Each is a protocol that holds a protocol and forwards every callback, so they nest in any order. [`wrap`] puts them
//! around what a factory makes, which may be another author's, or an async function's. A policy of one's own is a
//! [`Policy`], and [`Wrapper::with`] makes a layer of it.
//!
//! ```
//! use marline_reactor::policy::{ConnectionLimit, IdleTimeout, RateLimit};
//! use marline_reactor::testing::MemoryReactor;
//! use marline_reactor::{Addresses, Protocol, Transport};
//! use std::time::Duration;
//!
//! struct Echo;
//!
//! impl Protocol for Echo {
//!     fn data_received(&mut self, transport: &Transport, data: &[u8]) {
//!         transport.write(data);
//!     }
//! }
//!
//! let memory = MemoryReactor::new();
//! let limit = ConnectionLimit::new().total(1000).per_peer(1);
//! let idle = Duration::from_secs(60);
//! memory.handle().listen(
//!     "tcp://127.0.0.1:7",
//!     limit.wrap(move |_: &Addresses| IdleTimeout::new(idle, RateLimit::new(10_000, 4096, Echo))),
//! )?;
//!
//! let peer = memory.connect("127.0.0.1:7")?;
//! let second = memory.connect("127.0.0.1:7")?;
//! peer.write(b"hello");
//! memory.pump();
//! assert_eq!(peer.read(), b"hello");
//! assert!(second.is_finished(), "one is allowed from this address");
//! memory.advance(Duration::from_secs(75));
//! assert!(peer.is_finished());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Replacing the protocol
//!
//! [`set_protocol`](Transport::set_protocol) replaces the protocol of the connection, and that is the outermost layer:
//! policies go with what they wrap. Their timers are cancelled, and what a [`RateLimit`] holds back flows. Whoever hands over a
//! connection and wants them to go on wraps the successor too. The count of a [`ConnectionLimit`] alone belongs to
//! the connection, and goes back when that is lost.
//!
//! # Files
//!
//! * `wrapper`: the one place that forwards callbacks. `limit`, `log`, `rate`, `timeouts`: the policies.
//! * `bucket`: how much may pass when, as a plain struct.

mod bucket;
mod limit;
mod log;
mod rate;
mod timeouts;
mod wrapper;

use crate::address::Addresses;
use crate::lost::Lost;
use crate::protocol::{IntoProtocol, Protocol};
use crate::transport::Transport;

pub use limit::{Admission, Admitted, ConnectionLimit, Limited};
pub use log::{Log, TrafficLog};
pub use rate::{Rate, RateLimit};
pub use timeouts::{Idle, IdleTimeout, Total, TotalTimeout};
pub use wrapper::Wrapper;

/// What is done around the callbacks of a protocol that knows nothing of it.
///
/// The policy hears of each callback before and after the protocol does, and acts through the transport. It sees neither what
/// the protocol writes nor what others do with the transport, but [`Transport::traffic`] and [`Transport::buffered`]
/// count it. After a panic of the protocol there is no `after`; the next event is the loss. To stop the reading
/// without a say in the protocol's own pauses there is [`Transport::suspend_reading`], and
/// [`Transport::attach`] for what is to last as long as the connection.
///
/// ```
/// use marline_reactor::policy::{Event, Policy, Wrapper};
/// use marline_reactor::testing::MemoryReactor;
/// use marline_reactor::{Addresses, Transport};
///
/// /// Ends connections whose first byte is not that of a TLS handshake.
/// #[derive(Default)]
/// struct TlsOnly {
///     checked: bool,
/// }
///
/// impl Policy for TlsOnly {
///     fn before(&mut self, transport: &Transport, event: Event<'_>) {
///         if let Event::Received(data) = event {
///             if !std::mem::replace(&mut self.checked, true) && data[0] != 22 {
///                 transport.fail("this is no TLS");
///             }
///         }
///     }
/// }
///
/// let memory = MemoryReactor::new();
/// let inner = |_: &Transport, _: &[u8]| {};
/// memory.handle().listen("tcp://127.0.0.1:7", move |_: &Addresses| {
///     Wrapper::with(TlsOnly::default(), inner)
/// })?;
/// let peer = memory.connect("127.0.0.1:7")?;
/// peer.write(b"GET /");
/// memory.pump();
/// assert!(peer.is_reset());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Policy: 'static {
    /// Something happened, and the protocol is told next.
    fn before(&mut self, transport: &Transport, event: Event<'_>) {
        let _ = (transport, event);
    }

    /// Something happened, and the protocol has been told.
    fn after(&mut self, transport: &Transport, event: Event<'_>) {
        let _ = (transport, event);
    }

    /// Whether it need not see the bytes that come, so that a protocol may [take them itself](Protocol::readable). By default
    /// it sees all.
    fn needs_no_input(&self) -> bool {
        false
    }

    /// Another protocol takes over, and the policy is dropped with the one that it is around.
    fn replaced(&mut self) {}
}

/// A callback of a protocol, as a [`Policy`] sees it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// [`connection_made`](Protocol::connection_made).
    Made,
    /// [`data_received`](Protocol::data_received). Bytes that the protocol [gave back](Transport::unread) come again.
    Received(&'a [u8]),
    /// [`buffer_filled`](Protocol::buffer_filled): so many bytes came, into memory of the protocol's own.
    Filled(usize),
    /// [`eof_received`](Protocol::eof_received).
    Eof,
    /// [`pause_writing`](Protocol::pause_writing).
    PauseWriting,
    /// [`resume_writing`](Protocol::resume_writing).
    ResumeWriting,
    /// [`drained`](Protocol::drained).
    Drained,
    /// [`peer_closed`](Protocol::peer_closed).
    PeerClosed,
    /// [`filter_established`](Protocol::filter_established).
    Established,
    /// [`connection_lost`](Protocol::connection_lost).
    Lost(&'a Lost),
}

/// Puts layers around what a factory makes, whatever kind of protocol that is.
///
/// ```
/// use marline_reactor::policy::{self, IdleTimeout, TotalTimeout};
/// use marline_reactor::{Addresses, Protocol, Transport};
/// use std::time::Duration;
///
/// // Somebody else's factory; `conversation(async fn)` of `marline-tasks` is one too.
/// let factory = |_: &Addresses| |transport: &Transport, data: &[u8]| transport.write(data);
/// let factory = policy::wrap(factory, |protocol| {
///     TotalTimeout::new(Duration::from_secs(3600), IdleTimeout::new(Duration::from_secs(60), protocol))
/// });
/// let memory = marline_reactor::testing::MemoryReactor::new();
/// memory.handle().listen("tcp://127.0.0.1:7", factory)?;
/// # Ok::<(), marline_reactor::ListenError>(())
/// ```
pub fn wrap<P: IntoProtocol, W: Protocol>(
    mut factory: impl FnMut(&Addresses) -> P + 'static,
    mut layers: impl FnMut(Box<dyn Protocol>) -> W + 'static,
) -> impl FnMut(&Addresses) -> Option<W> + 'static {
    move |addresses| factory(addresses).into_protocol().map(&mut layers)
}
