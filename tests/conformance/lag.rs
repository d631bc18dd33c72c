//! What a loop tells of its lag: how long its callbacks took, how late its timers were, how much waited.

use std::time::Duration;

use marline_reactor::testing::MemoryReactor;
use marline_reactor::{Addresses, Stats};

use crate::conformance;
use crate::support::World;

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

#[test]
fn the_lag_is_what_the_callbacks_of_a_turn_took() {
    let memory = MemoryReactor::new();
    let (handle, clock) = (memory.handle(), memory.clock().clone());
    let lag = || {
        let Stats { last_lag, longest_lag, .. } = handle.stats();
        (last_lag, longest_lag)
    };
    let spend = |times: &[u64]| {
        for time in times.iter().copied() {
            let clock = clock.clone();
            handle.call_soon(move || clock.advance(ms(time)));
        }
        memory.turn();
    };
    assert_eq!(lag(), (ms(0), ms(0)));
    spend(&[1, 2, 3]);
    assert_eq!(lag(), (ms(6), ms(6)), "the last callback counts, although the budget does not look at it");
    spend(&[4]);
    assert_eq!(lag(), (ms(4), ms(6)));
    memory.turn();
    assert_eq!(lag(), (ms(4), ms(6)), "a turn that ran nothing changes nothing");
    // The budget of ten milliseconds lets the second wait for another turn.
    spend(&[11, 7]);
    assert_eq!(lag(), (ms(11), ms(11)));
    memory.turn();
    assert_eq!(lag(), (ms(7), ms(11)));
}

#[test]
fn timers_tell_how_late_they_were_seen_to_be_due() {
    let memory = MemoryReactor::new();
    let (handle, clock) = (memory.handle(), memory.clock().clone());
    handle.call_later(ms(5), || {});
    memory.advance(ms(5));
    let stats = handle.stats();
    assert_eq!((stats.timers_due, stats.last_lateness, stats.longest_lateness), (1, ms(0), ms(0)));
    // A callback of nine milliseconds makes one timer seven and the other three late.
    handle.call_later(ms(2), || {});
    handle.call_later(ms(6), || {});
    handle.call_soon(move || clock.advance(ms(9)));
    memory.pump();
    let stats = handle.stats();
    assert_eq!((stats.timers_due, stats.last_lateness, stats.longest_lateness), (3, ms(3), ms(7)));
    assert_eq!((stats.total_lateness, stats.timers), (ms(10), 0));
    let cancelled = handle.call_later(ms(1), || {});
    cancelled.cancel();
    memory.advance(ms(1));
    assert_eq!(handle.stats().timers_due, 3, "who is cancelled is never due");
}

conformance! {
    fn the_ready_queue_tells_how_much_waits_and_how_much_ever_did(world: &World) {
        let handle = world.handle();
        (0..5).for_each(|_| drop(handle.call_soon(|| {})));
        assert_eq!((handle.stats().ready, handle.stats().ready_peak), (5, 5));
        world.settle();
        let inner = handle.clone();
        handle.call_soon(move || (0..7).for_each(|_| drop(inner.call_soon(|| {}))));
        world.settle();
        assert_eq!((handle.stats().ready, handle.stats().ready_peak), (0, 7));
    }

    fn posts_wait_until_the_loop_takes_them(world: &World) {
        let (handle, remote) = (world.handle(), world.handle().remote());
        let poster = std::thread::spawn(move || (0..3).for_each(|_| assert!(remote.post(|| {}).is_ok())));
        poster.join().expect("no panic");
        assert_eq!((handle.stats().posts, handle.stats().ready), (3, 0));
        world.settle();
        assert_eq!(handle.stats().posts, 0);
    }

    fn what_lives_is_counted_by_its_kind(world: &World) {
        let handle = world.handle();
        let counts = || {
            let stats = handle.stats();
            (stats.connections, stats.listeners, stats.attempts, stats.timers)
        };
        let server = world.listen(|_: &Addresses| |_: &marline_reactor::Transport, _: &[u8]| {});
        let raws = [world.connect_raw(&server), world.connect_raw(&server)];
        let timer = handle.call_later(Duration::from_secs(1000), || {});
        world.until(|| server.connections() == 2);
        assert_eq!(counts(), (2, 1, 0, 1));
        let far = world.listen_raw();
        let address = format!("tcp://{}", far.address());
        handle.connect(address, |_: &Addresses| |_: &marline_reactor::Transport, _: &[u8]| {}, |_| {});
        assert_eq!(counts().2, 1);
        world.until(|| counts().2 == 0);
        assert_eq!(counts().0, 3);
        timer.cancel();
        server.stop();
        drop(raws);
        world.until(|| counts() == (1, 0, 0, 0));
    }
}
