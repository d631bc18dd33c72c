//! What a notice to a host holds is dropped with the loop, while nothing of the loop is locked.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;

use marline_reactor::Reactor;
use marline_tests::PATIENCE;

/// Fails when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a notice that cannot be dropped");
    }
}

fn hosted_by(notice: impl Fn(&Reactor) -> Box<dyn Fn() + Send + Sync>) -> Reactor {
    let reactor = Reactor::new().expect("a loop");
    reactor.set_host(notice(&reactor));
    reactor
}

fn with_a_signal(reactor: &Reactor) -> Box<dyn Fn() + Send + Sync> {
    let signal = reactor.handle().signal(|| {});
    Box::new(move || _ = &signal)
}

fn with_a_bomb(_: &Reactor) -> Box<dyn Fn() + Send + Sync> {
    let bomb = Bomb;
    Box::new(move || _ = &bomb)
}

/// Ends a loop on a thread of its own: a drop that hangs would hang the test.
fn ends(end: impl FnOnce() + Send + 'static) -> bool {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        end();
        tell.send(())
    });
    told.recv_timeout(PATIENCE).is_ok()
}

#[test]
fn a_notice_may_hold_a_signal_of_its_own_loop() {
    assert!(ends(|| drop(hosted_by(with_a_signal))), "the drop of the loop hangs");
    let shut_down = || {
        let reactor = hosted_by(with_a_signal);
        reactor.handle().shutdown();
        reactor.run().expect("a run");
    };
    assert!(ends(shut_down), "the shutdown hangs");
}

#[test]
fn a_notice_whose_drop_panics_harms_nobody() {
    let reactor = hosted_by(with_a_bomb);
    assert!(catch_unwind(AssertUnwindSafe(move || drop(reactor))).is_ok());
    let reactor = hosted_by(with_a_bomb);
    reactor.handle().shutdown();
    reactor.run().expect("a run");
    assert!(catch_unwind(AssertUnwindSafe(move || drop(reactor))).is_ok());
}
