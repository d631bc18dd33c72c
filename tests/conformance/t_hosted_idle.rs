//! T28, T30: the host of a loop that becomes idle between two turns is told, so that it can end.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use marline_reactor::{Addresses, Handle, Interest, Transport, Turned, Watch};
use marline_tasks::{sleep, spawn_on};
use marline_tests::backends;

use crate::support::{Far, Hosted, Near, is_readable};

const LONG: Duration = Duration::from_secs(3600);
/// How long nothing has to happen to count as nothing.
const QUIET: Duration = Duration::from_millis(5);

type End = Box<dyn FnOnce()>;

/// Something that keeps a loop going, and what ends it.
type Keeper = (&'static str, fn(&Hosted) -> End);

const KEEPERS: [Keeper; 12] = [
    ("KeepAlive", |hosted| {
        let guard = hosted.handle().keep_alive();
        Box::new(move || drop(guard))
    }),
    ("Timer::cancel", |hosted| {
        let timer = hosted.handle().call_later(LONG, || {});
        Box::new(move || assert!(timer.cancel()))
    }),
    ("Timer::cancel of a repeating one", |hosted| {
        let timer = hosted.handle().call_every(LONG, || {});
        Box::new(move || assert!(timer.cancel()))
    }),
    ("Timer::unreference", |hosted| {
        let timer = hosted.handle().call_later(LONG, || {});
        Box::new(move || timer.unreference())
    }),
    ("Timer::reset to never", |hosted| {
        let timer = hosted.handle().call_later(LONG, || {});
        Box::new(move || assert!(timer.reset(Duration::MAX)))
    }),
    ("a guard within a timer", |hosted| {
        let guard = hosted.handle().keep_alive();
        let timer = hosted.handle().call_later(LONG, move || drop(guard));
        timer.unreference();
        Box::new(move || assert!(timer.cancel()))
    }),
    ("Watch::remove", |hosted| {
        let (watch, far) = watch(hosted, Interest::READABLE);
        Box::new(move || drop((watch.remove(), far)))
    }),
    ("Watch::unreference", |hosted| {
        let (watch, far) = watch(hosted, Interest::READABLE);
        // It stays with the loop, because its end would be an event.
        assert!(hosted.handle().local(|_| RefCell::new(far)).is_some());
        Box::new(move || watch.unreference())
    }),
    ("remove_all_watches", |hosted| {
        let (handle, watched) = (hosted.handle(), watch(hosted, Interest::EMPTY));
        Box::new(move || {
            assert_eq!(handle.remove_all_watches().len(), 1);
            drop(watched);
        })
    }),
    ("Server::stop", |hosted| {
        let server = listen(&hosted.handle());
        Box::new(move || server.stop())
    }),
    ("a task that is aborted", |hosted| {
        let task = spawn_on(&hosted.handle(), async { _ = sleep(LONG).await });
        Box::new(move || task.abort())
    }),
    ("the last of several", |hosted| {
        let handle = hosted.handle();
        let (guard, timer, server) = (handle.keep_alive(), handle.call_later(LONG, || {}), listen(&handle));
        Box::new(move || {
            server.stop();
            timer.cancel();
            drop(guard);
        })
    }),
];

fn listen(handle: &Handle) -> marline_reactor::Server {
    let factory = |_: &Addresses| |_: &Transport, _: &[u8]| {};
    handle.listen("tcp://127.0.0.1:0", factory).expect("a listener")
}

fn watch(hosted: &Hosted, interest: Interest) -> (Watch<Near>, Far) {
    let (near, far) = hosted.source();
    let watch = hosted.handle().watch(near, interest, |_: &mut Near, _| {});
    (watch.expect("something to watch"), far)
}

#[test]
fn t28_t30_the_host_is_told_when_the_loop_becomes_idle_between_turns() {
    for (by, keep) in KEEPERS {
        for hosted in Hosted::each() {
            let end = keep(&hosted);
            hosted.rest();
            assert_eq!(hosted.turn().expect("a turn"), Turned::GoesOn, "{by}");
            assert!(!hosted.wait(QUIET), "{by}: it has something to wait for");
            end();
            hosted.assert_woken(by);
            assert!(hosted.reactor().has_ready() || matches!(hosted, Hosted::Polled(_)), "{by}");
            assert_eq!(hosted.drive(), Turned::Idle, "{by}");
            assert!(!hosted.wait(QUIET), "{by}: once is enough");
        }
    }
}

#[test]
fn t30_what_leaves_something_alive_tells_nothing() {
    for hosted in Hosted::each() {
        let handle = hosted.handle();
        let (_guard, second) = (handle.keep_alive(), handle.keep_alive());
        let (timer, other) = (handle.call_later(LONG, || {}), handle.call_later(LONG, || {}));
        hosted.rest();
        let turns = hosted.turns();
        drop(second);
        assert!(timer.cancel());
        other.unreference();
        assert!(!hosted.wait(QUIET), "a guard is left");
        assert_eq!(hosted.turns(), turns);
    }
}

#[test]
fn t30_a_host_that_knows_is_not_told_again_until_a_turn_says_otherwise() {
    for hosted in Hosted::each() {
        let handle = hosted.handle();
        assert!(hosted.wait(Duration::ZERO), "there is nothing to wait for, and the host cannot know");
        assert_eq!(hosted.turn().expect("a turn"), Turned::Idle);
        drop(handle.keep_alive());
        assert!(!hosted.wait(QUIET), "he was told, and goes on nevertheless");
        let guard = handle.keep_alive();
        handle.call_soon(move || drop(guard));
        assert_eq!(hosted.turn().expect("a turn"), Turned::Idle, "it became idle in the turn, which says so");
        assert!(!hosted.wait(QUIET), "there is no other turn");
        handle.stop();
        assert_eq!(hosted.turn().expect("a turn"), Turned::Stopped);
        assert!(hosted.wait(Duration::ZERO), "a stop hides that it is idle");
        assert_eq!(hosted.turn().expect("a turn"), Turned::Idle);
        assert!(!hosted.wait(QUIET));
        // A run answers as a turn does.
        let guard = handle.keep_alive();
        assert_eq!(hosted.turn().expect("a turn"), Turned::GoesOn);
        drop(guard);
        hosted.assert_woken("a guard that is dropped");
        hosted.reactor().run().expect("a run");
        hosted.forget_notices();
        assert!(!hosted.wait(QUIET), "the run has said so");
    }
}

fn t30_who_becomes_the_host_of_an_idle_loop_is_told_whatever_others_were_answered(backend: &str) {
    // Before there was a host: by a run, and by a turn.
    let reactor = backends::reactor(backend);
    reactor.run().expect("a run");
    assert_eq!(reactor.turn(Some(Duration::ZERO)).expect("a turn"), Turned::Idle);
    let watched = reactor.pollable_fd().expect("descriptors to spare").expect("a descriptor");
    assert!(is_readable(&watched, Duration::ZERO), "whoever watches the descriptor did not make that turn");
    assert_eq!(reactor.turn(Some(Duration::ZERO)).expect("a turn"), Turned::Idle);
    assert!(!is_readable(&watched, QUIET), "now he knows");
    // One host after the other.
    for host in ["the first", "the second"] {
        let notices = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&notices);
        reactor.set_host(move || _ = count.fetch_add(1, Ordering::SeqCst));
        assert_eq!((notices.load(Ordering::SeqCst), reactor.has_ready()), (1, true), "{host}");
        assert_eq!(reactor.turn(Some(Duration::ZERO)).expect("a turn"), Turned::Idle);
        assert_eq!((notices.load(Ordering::SeqCst), reactor.has_ready()), (1, false), "{host}");
    }
}

fn t30_a_notice_of_idleness_takes_the_place_of_the_descriptor_s(backend: &str) {
    let (reactor, notices) = (backends::reactor(backend), Arc::new(AtomicUsize::new(0)));
    let (handle, count) = (reactor.handle(), Arc::clone(&notices));
    let guard = handle.keep_alive();
    reactor.set_host(move || _ = count.fetch_add(1, Ordering::SeqCst));
    let watched = reactor.pollable_fd().expect("descriptors to spare").expect("a descriptor");
    assert_eq!(reactor.turn(Some(Duration::ZERO)).expect("a turn"), Turned::GoesOn);
    assert_eq!((notices.load(Ordering::SeqCst), reactor.has_ready()), (0, false));
    drop(guard);
    assert_eq!((notices.load(Ordering::SeqCst), reactor.has_ready()), (1, true));
    assert!(!is_readable(&watched, Duration::ZERO), "the notice is enough");
    assert_eq!(reactor.turn(Some(Duration::ZERO)).expect("a turn"), Turned::Idle);
    assert!(!reactor.has_ready(), "the host knows");
}

fn t30_without_a_host_nothing_is_told(backend: &str) {
    let reactor = backends::reactor(backend);
    let (handle, calls) = (reactor.handle(), reactor.handle().stats().system_calls);
    drop(handle.keep_alive());
    assert!(handle.call_later(LONG, || {}).cancel());
    assert!(!reactor.has_ready(), "nobody has to be told");
    assert_eq!(handle.stats().system_calls, calls);
}

marline_tests::on_sockets! {
    t30_who_becomes_the_host_of_an_idle_loop_is_told_whatever_others_were_answered
    t30_a_notice_of_idleness_takes_the_place_of_the_descriptor_s
    t30_without_a_host_nothing_is_told
}
