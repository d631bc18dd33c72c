//! What policies cost: no allocation per message, and no timer is touched.

use std::time::Duration;

use marline_reactor::policy::{ConnectionLimit, IdleTimeout, RateLimit, TotalTimeout, TrafficLog};
use marline_reactor::testing::MemoryReactor;
use marline_reactor::{Addresses, Transport};
use marline_tests::counting::counted;

use super::{Style, measure_within};

const HOUR: Duration = Duration::from_secs(3600);
const PLENTY: u64 = 1 << 30;

fn under_every_policy_a_message_allocates_nothing(backend: &str) {
    for (style, connections) in [(Style::Plain, 1), (Style::Plain, 64), (Style::Own, 8)] {
        measure_within(backend, style, connections, |echo| {
            let limited = TrafficLog::new("echo", RateLimit::new(PLENTY, PLENTY, echo));
            TotalTimeout::new(2 * HOUR, IdleTimeout::new(HOUR, limited))
        });
    }
}

marline_tests::on_sockets! {
    under_every_policy_a_message_allocates_nothing
}

/// Messages for a while: what they allocated on this side of the wires, and how many timers came due.
fn talk(messages: u32, every: Duration, idle: Duration) -> (u64, u64) {
    let memory = MemoryReactor::new();
    let limit = ConnectionLimit::new();
    let echo = |transport: &Transport, data: &[u8]| transport.write(data);
    let factory = limit.wrap(move |_: &Addresses| IdleTimeout::new(idle, echo));
    memory.handle().listen("tcp://127.0.0.1:7", factory).expect("a listener");
    let peer = memory.connect("127.0.0.1:7").expect("a peer");
    memory.pump();
    let before = memory.handle().stats();
    let deadline = memory.reactor().next_deadline();
    let mut allocations = 0;
    for number in 0..messages {
        peer.write(b"hello");
        let ((), counts) = counted(|| assert!(memory.pump()));
        assert_eq!(peer.read(), b"hello");
        // The first ones make room for what follows.
        allocations += if number < 10 { 0 } else { counts.allocations };
        if every.is_zero() {
            assert_eq!(memory.reactor().next_deadline(), deadline, "a message touched a timer");
        } else {
            memory.advance(every);
        }
    }
    assert!(peer.is_connected() && limit.connections() == 1);
    let after = memory.handle().stats();
    assert_eq!((before.timers, after.timers), (1, 1));
    (allocations, after.timers_due - before.timers_due)
}

#[test]
fn an_idle_timeout_touches_no_timer_for_a_message() {
    assert_eq!(talk(10_000, Duration::ZERO, HOUR), (0, 0));
}

#[test]
fn an_idle_timeout_looks_four_times_in_its_duration() {
    // A minute of messages, a thousand a second, ten seconds allowed: six times four looks.
    let (_, looks) = talk(60_000, Duration::from_millis(1), Duration::from_secs(10));
    assert_eq!(looks, 24);
}
