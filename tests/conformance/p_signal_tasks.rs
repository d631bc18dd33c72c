//! P: signals of the operating system, awaited.

use std::cell::Cell;
use std::io;
use std::rc::Rc;

use futures::{FutureExt, StreamExt};
use marline_reactor::{Handle, SignalError, SignalKind};
use marline_tasks::{WrongThread, ctrl_c, signal, yield_now};

use crate::conformance;
use crate::p_signals::{own_signals, raise};
use crate::support::World;

conformance! {
    fn a_signal_is_awaited_and_one_that_a_dropped_wait_did_not_tell_is_told_next(world: &World) {
        let _signals = own_signals();
        let mut signals = world.handle().enter(|| signal(SignalKind::USER1)).expect("signals");
        let mut dropped = Box::pin(signals.recv());
        assert!(dropped.as_mut().now_or_never().is_none());
        raise(world, SignalKind::USER1);
        world.settle();
        drop(dropped);
        let signals = world.finish(async move {
            signals.recv().await.expect("the signal that came");
            assert!(signals.recv().now_or_never().is_none(), "it was told");
            signals
        });
        assert_eq!((signals.kind(), format!("{signals:?}")), (SignalKind::USER1, "Signals(SIGUSR1)".to_owned()));
        drop(signals);
        world.settle();
        assert!(!world.handle().dump().contains("handled at"), "nobody watches any more");
    }

    fn signals_are_a_stream(world: &World) {
        let _signals = own_signals();
        let count = Rc::new(Cell::new(0));
        let counter = Rc::clone(&count);
        let signals = world.handle().enter(|| signal(SignalKind::USER2)).expect("signals");
        let task = world.spawn(signals.take(3).for_each(move |()| {
            counter.set(counter.get() + 1);
            std::future::ready(())
        }));
        for told in 1..=3 {
            raise(world, SignalKind::USER2);
            world.until(|| count.get() == told);
        }
        world.join(task);
    }

    fn everybody_who_waits_for_ctrl_c_is_told_and_one_that_nobody_waited_for_is_kept(world: &World) {
        let _signals = own_signals();
        let waits: Vec<_> = (0..3).map(|_| world.spawn(ctrl_c())).collect();
        world.settle();
        raise(world, SignalKind::INTERRUPT);
        waits.into_iter().for_each(|task| world.join(task).expect("a Ctrl-C"));
        // Nobody waits now, and the program goes on.
        raise(world, SignalKind::INTERRUPT);
        world.settle();
        world.finish(ctrl_c()).expect("the one that came");
        let waits = world.spawn(ctrl_c());
        world.settle();
        assert!(!waits.is_finished(), "both were told");
        // Told, and aborted before it could look: the next has it.
        raise(world, SignalKind::INTERRUPT);
        waits.abort();
        world.settle();
        world.finish(ctrl_c()).expect("the one that was not looked at");
    }

    fn a_wait_for_ctrl_c_in_a_loop_of_races_loses_none(world: &World) {
        let _signals = own_signals();
        let turns = Rc::new(Cell::new(0));
        let (count, watched) = (Rc::clone(&turns), Rc::new(Cell::new(false)));
        let seen = Rc::clone(&watched);
        let task = world.spawn(async move {
            loop {
                let work = async {
                    yield_now().await;
                    yield_now().await;
                };
                seen.set(true);
                match futures::future::select(Box::pin(ctrl_c()), Box::pin(work)).await {
                    futures::future::Either::Left((told, _)) => return told,
                    futures::future::Either::Right(_) => count.set(count.get() + 1),
                }
            }
        });
        world.until(|| turns.get() > 10);
        raise(world, SignalKind::INTERRUPT);
        world.join(task).expect("the Ctrl-C");
    }
}

#[test]
fn without_a_loop_signals_are_an_error() {
    assert!(matches!(signal(SignalKind::USER1), Err(SignalError::NotInLoop)));
    let refused = ctrl_c().now_or_never().expect("at once").expect_err("no loop runs here");
    assert_eq!(refused.kind(), io::ErrorKind::Unsupported);
    World::on_readiness(|world| {
        let refused = world.handle().enter(|| signal(SignalKind::KILL));
        assert!(matches!(refused, Err(SignalError::Unwatchable { .. })));
    });
}

#[test]
fn on_another_thread_signals_are_an_error_and_their_drop_reaches_the_loop() {
    let _signals = own_signals();
    World::on_readiness(|world| {
        let mut signals = world.handle().enter(|| signal(SignalKind::USER1)).expect("signals");
        std::thread::scope(|scope| {
            let there = scope.spawn(move || {
                let refused = signals.recv().now_or_never().expect("at once").expect_err("another thread");
                assert!(refused.get_ref().is_some_and(|inner| inner.is::<WrongThread>()));
            });
            there.join().expect("the other thread");
        });
        let none = |handle: &Handle| !handle.dump().contains("handled at");
        world.until(|| none(&world.handle()));
    });
}
