//! What passes, through `tracing`.

use std::fmt;

use super::{Event, Policy, Wrapper};
use crate::lost::Lost;
use crate::protocol::Protocol;
use crate::transport::Transport;

/// The `target` of the events.
const TARGET: &str = "marline::traffic";

/// Reports through `tracing` what a connection receives and writes, and who it is.
///
/// The target is `marline::traffic`. A connection's beginning and end, with its counts and the reason, are of level
/// `DEBUG`; bytes are of level `TRACE`. Each event has the fields `log` (the name given to [`new`](Self::new)),
/// `connection` and `peer`; those about bytes have `direction` (`"in"`, `"out"`), `bytes` and, of what comes in,
/// `hex`, if [asked for](Self::with_hex) and the protocol did not receive into its own memory.
///
/// What comes in is reported before the protocol is told. What goes out is reported as the protocol's writes of one callback,
/// after that; what others wrote, such as tasks, at the connection's next event, together. A policy sees how much is
/// written, and not what. Bytes that the protocol gave back are reported again when they come again. Where nobody listens to the target an event costs a comparison.
///
/// ```
/// use marline_reactor::policy::TrafficLog;
/// use marline_reactor::testing::MemoryReactor;
/// use marline_reactor::{Addresses, Transport};
///
/// let memory = MemoryReactor::new();
/// let echo = |transport: &Transport, data: &[u8]| transport.write(data);
/// memory.handle().listen("tcp://127.0.0.1:7", move |_: &Addresses| {
///     TrafficLog::new("echo", echo).with_hex(16)
/// })?;
/// # Ok::<(), marline_reactor::ListenError>(())
/// ```
pub type TrafficLog<P> = Wrapper<Log, P>;

/// The policy of a [`TrafficLog`].
#[derive(Debug)]
pub struct Log {
    name: &'static str,
    /// So many bytes are shown.
    hex: usize,
    /// How many bytes had been written at the last report.
    written: u64,
}

impl<P: Protocol> Wrapper<Log, P> {
    /// Reports with `name` as the field `log`, and no bytes.
    pub const fn new(name: &'static str, protocol: P) -> Self {
        Self::with(Log { name, hex: 0, written: 0 }, protocol)
    }

    /// Shows the first bytes of what comes in, at most so many each time. They may be somebody's secrets.
    #[must_use]
    pub fn with_hex(mut self, bytes: usize) -> Self {
        self.policy_mut().hex = bytes;
        self
    }
}

impl Policy for Log {
    fn before(&mut self, transport: &Transport, event: Event<'_>) {
        match event {
            Event::Made => self.begin(transport),
            Event::Lost(lost) => self.end(transport, lost),
            _ if !tracing::enabled!(target: TARGET, tracing::Level::TRACE) => return,
            _ => self.report_written(transport, 0),
        }
        match event {
            Event::Received(data) => self.report_received(transport, data.len(), data),
            Event::Filled(count) => self.report_received(transport, count, &[]),
            Event::Eof => {
                let connection = transport.key();
                tracing::trace!(target: TARGET, log = self.name, ?connection, peer = %peer(transport), "the peer ended its direction");
            }
            _ => {}
        }
    }

    fn after(&mut self, transport: &Transport, event: Event<'_>) {
        let is_over = matches!(event, Event::Lost(_));
        if !is_over && tracing::enabled!(target: TARGET, tracing::Level::TRACE) {
            self.report_written(transport, 0);
        }
    }
}

impl Log {
    fn begin(&mut self, transport: &Transport) {
        self.written = written(transport, 0);
        let connection = transport.key();
        tracing::debug!(target: TARGET, log = self.name, ?connection, peer = %peer(transport), "connected");
    }

    fn report_received(&self, transport: &Transport, bytes: usize, data: &[u8]) {
        let connection = transport.key();
        if self.hex > 0 && !data.is_empty() {
            let hex = Hex { data, most: self.hex };
            tracing::trace!(target: TARGET, log = self.name, ?connection, peer = %peer(transport), direction = "in", bytes, %hex, "received");
        } else {
            tracing::trace!(target: TARGET, log = self.name, ?connection, peer = %peer(transport), direction = "in", bytes, "received");
        }
    }

    /// What was written since the last report, `unsent` of which is not in the transport's counts any more.
    fn report_written(&mut self, transport: &Transport, unsent: usize) {
        let now = written(transport, unsent);
        let bytes = now.saturating_sub(std::mem::replace(&mut self.written, now));
        if bytes > 0 {
            let connection = transport.key();
            tracing::trace!(target: TARGET, log = self.name, ?connection, peer = %peer(transport), direction = "out", bytes, "wrote");
        }
    }

    fn end(&mut self, transport: &Transport, lost: &Lost) {
        self.report_written(transport, lost.unsent());
        let (connection, traffic) = (transport.key(), transport.traffic());
        let (received, sent) = (traffic.received, traffic.sent);
        tracing::debug!(target: TARGET, log = self.name, ?connection, peer = %peer(transport), received, sent, "{lost}");
    }
}

/// Everything that was written so far.
fn written(transport: &Transport, unsent: usize) -> u64 {
    let descriptors = transport.buffered_descriptors() * Transport::DESCRIPTOR_WEIGHT;
    transport.traffic().sent + (transport.buffered() - descriptors + unsent) as u64
}

fn peer(transport: &Transport) -> impl fmt::Display + use<> {
    transport.peer_address().map_or_else(String::new, |peer| peer.to_string())
}

/// The first bytes as hexadecimal digits; two dots stand for the rest.
struct Hex<'a> {
    data: &'a [u8],
    most: usize,
}

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.data[..self.data.len().min(self.most)];
        shown.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        if shown.len() < self.data.len() { f.write_str("..") } else { Ok(()) }
    }
}
