//! How fast a connection is read.

use super::bucket::Bucket;
use super::{Event, Policy, Wrapper};
use crate::protocol::Protocol;
use crate::timer::Timer;
use crate::transport::Transport;

/// Bounds how many bytes per second are received.
///
/// `burst` bytes may come at once, and `bytes_per_second` make up for them. What is over that has come already, as much
/// as one receive brings; it is paid for by [not reading](Transport::suspend_reading) meanwhile, so the peer
/// is slowed down by its system, and nothing is dropped. That pause is beside the protocol's own: reading goes on when
/// neither wants it to stop. As with any pause, the peer's end is seen only after it.
///
/// Bytes that the protocol [gives back](Transport::unread) count once. No timer is touched while there is enough of the
/// burst left.
///
/// ```
/// use marline_reactor::policy::RateLimit;
/// use marline_reactor::testing::MemoryReactor;
/// use marline_reactor::{Addresses, Transport};
/// use std::time::Duration;
///
/// let memory = MemoryReactor::new();
/// let echo = |transport: &Transport, data: &[u8]| transport.write(data);
/// memory.handle().listen("tcp://127.0.0.1:7", move |_: &Addresses| RateLimit::new(1000, 100, echo))?;
/// let peer = memory.connect("127.0.0.1:7")?;
/// peer.write(&[0; 600]);
/// memory.pump();
/// peer.write(b"later");
/// memory.advance(Duration::from_millis(499));
/// assert_eq!(peer.read().len(), 600, "500 bytes are owed");
/// memory.advance(Duration::from_millis(1));
/// assert_eq!(peer.read(), b"later");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type RateLimit<P> = Wrapper<Rate, P>;

/// The policy of a [`RateLimit`].
#[derive(Debug)]
pub struct Rate {
    bucket: Bucket,
    /// The connection's count of bytes, up to where they are paid for.
    counted: u64,
    /// Holds the suspension, and drops it when it is due.
    timer: Option<Timer>,
}

impl<P: Protocol> Wrapper<Rate, P> {
    /// Receives `bytes_per_second` (at least 1), and up to `burst` bytes at once.
    pub fn new(bytes_per_second: u64, burst: u64, protocol: P) -> Self {
        let bucket = Bucket::new(bytes_per_second, burst);
        Self::with(Rate { bucket, counted: 0, timer: None }, protocol)
    }
}

impl Policy for Rate {
    fn before(&mut self, transport: &Transport, event: Event<'_>) {
        match event {
            Event::Made => self.counted = transport.traffic().received,
            Event::Lost(_) => self.go_on(),
            _ => {}
        }
    }

    /// After the protocol was told, since a parser stops in the middle of its bytes when the connection is not read.
    fn after(&mut self, transport: &Transport, event: Event<'_>) {
        if matches!(event, Event::Received(_) | Event::Filled(_)) {
            self.pay(transport);
        }
    }
}

impl Rate {
    fn pay(&mut self, transport: &Transport) {
        let received = transport.traffic().received;
        let fresh = received.saturating_sub(std::mem::replace(&mut self.counted, received));
        if let Some(wait) = self.bucket.take(fresh, transport.handle().now()) {
            let suspension = transport.suspend_reading();
            let timer = transport.handle().call_later(wait, move || drop(suspension));
            timer.unreference();
            // One that is due, and has not run yet.
            self.go_on();
            self.timer = Some(timer);
        }
    }

    fn go_on(&mut self) {
        if let Some(timer) = self.timer.take() {
            timer.cancel();
        }
    }
}

impl Drop for Rate {
    fn drop(&mut self) {
        self.go_on();
    }
}
