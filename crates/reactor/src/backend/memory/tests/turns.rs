//! Waiting, time, wake-ups, and events that chance adds.

use std::time::Duration;

use super::*;

const SOON: Instant = Instant::from_nanos(1_000);

fn wait(host: &mut Host, until: Option<Instant>, helpers_busy: bool) {
    let wait = Wait { until, helpers_busy };
    host.memory.wait(wait).unwrap();
}

/// Wakes the host's wait from another thread.
fn wake_later(host: &Host) -> std::thread::JoinHandle<()> {
    let waker = host.memory.waker();
    std::thread::spawn(move || waker.wake())
}

#[test]
fn an_idle_wait_jumps_to_its_moment() {
    let mut host = Host::new(Choices::tame());
    wait(&mut host, Some(SOON), false);
    assert_eq!(host.memory.now(), SOON);
    wait(&mut host, Some(Instant::ZERO), false);
    assert_eq!(host.memory.now(), SOON);
}

#[test]
fn time_stands_still_while_an_event_or_a_wake_up_is_pending() {
    let (mut host, peer) = Host::with_peer(Choices::tame());
    peer.write(b"x");
    assert!(host.network.pending());
    wait(&mut host, Some(SOON), false);
    host.memory.waker().wake();
    host.memory.waker().wake();
    wait(&mut host, None, false);
    assert_eq!(host.memory.now(), Instant::ZERO);
    assert!(host.memory.next().is_some());
    host.memory.waker().wake();
    wait(&mut host, Some(SOON), false);
    assert_eq!(host.memory.now(), Instant::ZERO);
    wait(&mut host, Some(SOON), false);
    assert_eq!(host.memory.now(), SOON, "the wake-up was used up");
}

#[test]
fn a_wait_without_a_moment_sleeps_until_another_thread_wakes_it() {
    for until in [None, Some(Instant::FAR)] {
        let mut host = Host::new(Choices::tame());
        let thread = wake_later(&host);
        wait(&mut host, until, false);
        assert_eq!(host.memory.now(), Instant::ZERO);
        thread.join().unwrap();
    }
}

#[test]
fn time_does_not_jump_while_helpers_are_at_work() {
    for automatic in [true, false] {
        let mut host = Host::new(Choices::tame());
        host.clock.set_automatic(automatic);
        let thread = wake_later(&host);
        wait(&mut host, Some(SOON), true);
        assert_eq!(host.memory.now(), Instant::ZERO);
        thread.join().unwrap();
    }
}

#[test]
fn a_clock_that_is_moved_by_hand_never_lets_a_wait_sleep() {
    let mut host = Host::new(Choices::tame());
    host.clock.set_automatic(false);
    wait(&mut host, None, false);
    wait(&mut host, Some(SOON), false);
    assert_eq!(host.memory.now(), Instant::ZERO);
    host.clock.advance(Duration::from_secs(1));
    assert_eq!(host.memory.now(), Instant::from_nanos(1_000_000_000));
}

#[test]
fn what_happens_during_a_turn_is_for_the_next() {
    let (mut host, peer) = Host::with_peer(Choices::tame());
    host.memory.wait(LOOK).unwrap();
    peer.write(b"x");
    assert!(host.memory.next().is_none());
    assert!(host.network.pending());
    assert_eq!(host.turn(), ["input 1"]);
    assert!(!host.network.pending());
}

#[test]
fn r12_chance_may_announce_input_where_there_is_none() {
    let (mut host, peer) = Host::with_peer(Choices::script([0, 1, 1]));
    let address = host.memory.addresses(ONE).unwrap().local;
    let _other = host.network.connect(address).unwrap();
    host.accept(TWO);
    peer.write(b"x");
    assert_eq!(host.turn(), ["input 1", "input 2"]);
    assert_eq!(host.receive(TWO), "(dry)");
    assert!(host.turn().is_empty());
}

#[test]
fn a_postponed_event_makes_the_next_wait_return_at_once() {
    let mut host = Host::new(Choices::script([0, 1]));
    let listener = host.network.listen(at("127.0.0.1:80")).unwrap();
    host.connect(ONE, &listener.address());
    host.connect(TWO, &listener.address());
    assert_eq!(host.turn(), ["connected 1"]);
    assert!(host.network.pending());
    wait(&mut host, None, false);
    assert_eq!(host.memory.next().map(|event| text(&event)).as_deref(), Some("connected 2"));
}
