//! P: signals of the operating system, as callbacks.
//!
//! A signal comes to the whole process, and these tests share one: each has the signals to itself, and raises none that
//! nobody watches. On sockets it is a real one, which its own thread has taken by the time the raise returns.

use std::cell::{Cell, RefCell};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::{Mutex, MutexGuard, PoisonError};

use marline_reactor::testing::{Clock, MemoryReactor, Network};
use marline_reactor::{Choices, Handle, Reactor, SignalError, SignalHandler, SignalKind};
use marline_tests::backends::{builders, reactor};
use marline_tests::{on_sockets, process};

use crate::conformance;
use crate::support::{World, failures, skip};

static SIGNALS: Mutex<()> = Mutex::new(());

/// Keeps the signals to one test.
pub fn own_signals() -> MutexGuard<'static, ()> {
    // A test that failed has left nothing behind: its loop is gone.
    SIGNALS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets a signal come to the process.
pub fn raise(world: &World, signal: SignalKind) {
    match world.as_memory() {
        Some(memory) => assert!(memory.raise(signal), "the loop watches it"),
        None => really_raise(signal),
    }
}

fn really_raise(signal: SignalKind) {
    signal_hook::low_level::raise(signal.as_raw()).expect("a signal of the system's");
}

fn count_on(handle: &Handle, signal: SignalKind) -> (SignalHandler, Rc<Cell<usize>>) {
    let count = Rc::new(Cell::new(0));
    let counter = Rc::clone(&count);
    let handler = handle.on_signal(signal, move || counter.set(counter.get() + 1));
    (handler.expect("a handler"), count)
}

fn count(world: &World, signal: SignalKind) -> (SignalHandler, Rc<Cell<usize>>) {
    count_on(&world.handle(), signal)
}

conformance! {
    fn every_handler_of_a_signal_is_called_in_order_and_no_other(world: &World) {
        let _signals = own_signals();
        let order = Rc::new(RefCell::new(Vec::new()));
        for name in ["first", "second"] {
            let order = Rc::clone(&order);
            world.handle().on_signal(SignalKind::USER1, move || order.borrow_mut().push(name)).expect("a handler");
        }
        let (_other, others) = count(world, SignalKind::USER2);
        raise(world, SignalKind::USER1);
        world.until(|| order.borrow().len() == 2);
        world.settle();
        assert_eq!((&order.take()[..], others.get()), (&["first", "second"][..], 0));
        raise(world, SignalKind::USER2);
        world.until(|| others.get() == 1);
        world.settle();
        assert!(order.borrow().is_empty());
    }

    fn signals_coalesce_until_the_handler_begins(world: &World) {
        let _signals = own_signals();
        let again = Rc::new(Cell::new(0));
        let (counter, handle) = (Rc::clone(&again), world.handle());
        let (_first, calls) = count(world, SignalKind::USER1);
        let memory = world.as_memory().map(|memory| memory.network().clone());
        // One that comes while the handler runs calls it again.
        handle.on_signal(SignalKind::USER1, move || {
            counter.set(counter.get() + 1);
            if counter.get() == 1 {
                match &memory {
                    Some(network) => assert!(network.raise(SignalKind::USER1)),
                    None => really_raise(SignalKind::USER1),
                }
            }
        }).expect("a handler");
        (0..1000).for_each(|_| raise(world, SignalKind::USER1));
        world.until(|| again.get() >= 2);
        world.settle();
        // Where chance leaves a part of a turn's events to the next turn, that part is another signal.
        let most = if world.is_seeded() { 1001 } else { 2 };
        assert!((2..=most).contains(&again.get()), "called {} times", again.get());
        assert!((2..=most).contains(&calls.get()), "called {} times", calls.get());
    }

    fn p10_a_handler_that_is_gone_hears_of_no_signal_that_is_pending(world: &World) {
        let _signals = own_signals();
        let (first, calls) = count(world, SignalKind::USER1);
        let (second, stays) = count(world, SignalKind::USER1);
        raise(world, SignalKind::USER1);
        first.remove();
        first.remove();
        assert!(!first.is_active() && second.is_active());
        world.until(|| stays.get() == 1);
        world.settle();
        assert_eq!((calls.get(), Rc::strong_count(&calls)), (0, 1), "it is dropped, too");
        // The last one: the loop watches the signal no more, and what is pending reaches nobody.
        raise(world, SignalKind::USER1);
        second.remove();
        world.settle();
        assert_eq!((stays.get(), Rc::strong_count(&stays)), (1, 1));
        // And again from the beginning, where what came before is not told.
        let (third, fresh) = count(world, SignalKind::USER1);
        world.settle();
        assert_eq!((fresh.get(), third.signal()), (0, SignalKind::USER1));
        raise(world, SignalKind::USER1);
        world.until(|| fresh.get() == 1);
    }

    fn p10_a_signal_that_is_pending_when_the_loop_ends_is_harmless(world: &World) {
        let _signals = own_signals();
        let world = world.fresh();
        let (handler, calls) = count(&world, SignalKind::USER1);
        raise(&world, SignalKind::USER1);
        drop(world);
        assert_eq!((calls.get(), Rc::strong_count(&calls), handler.is_active()), (0, 1, false));
        handler.remove();
    }

    fn p10_a_shutdown_ends_the_handlers(world: &World) {
        let _signals = own_signals();
        let world = world.fresh();
        let (handler, calls) = count(&world, SignalKind::USER1);
        raise(&world, SignalKind::USER1);
        world.until(|| calls.get() == 1);
        world.handle().shutdown();
        world.until(|| world.handle().is_over());
        assert!(!handler.is_active());
        assert!(matches!(world.handle().on_signal(SignalKind::USER1, || {}), Err(SignalError::Over)));
    }

    fn p11_signals_that_nobody_can_watch_are_an_error(world: &World) {
        const SEGV: SignalKind = SignalKind::from_raw(11);
        let (ill, fpe) = (SignalKind::from_raw(4), SignalKind::from_raw(8));
        for signal in [SignalKind::KILL, SignalKind::STOP, SEGV, ill, fpe] {
            assert!(signal.is_unwatchable());
            let dropped = Rc::new(());
            let held = Rc::clone(&dropped);
            let refused = world.handle().on_signal(signal, move || drop(Rc::clone(&held)));
            assert!(matches!(refused, Err(SignalError::Unwatchable { signal: named }) if named == signal));
            assert_eq!(Rc::strong_count(&dropped), 1);
        }
        if !world.is_memory() {
            let unknown = SignalKind::from_raw(12345);
            let refused = world.handle().on_signal(unknown, || {}).expect_err("there is no such signal");
            assert!(matches!(refused, SignalError::System { signal, .. } if signal == unknown));
            assert_eq!(std::io::Error::from(refused).kind(), std::io::ErrorKind::InvalidInput);
        }
        world.run();
    }

    fn a_handler_does_not_keep_the_loop_alive_and_is_no_watch_of_the_programs(world: &World) {
        let _signals = own_signals();
        let (_handler, calls) = count(world, SignalKind::USER1);
        world.run();
        assert_eq!(world.handle().remove_all_watches().len(), 0);
        assert_eq!(world.handle().stats().watches, 0);
        raise(world, SignalKind::USER1);
        world.until(|| calls.get() == 1);
        let dump = world.handle().dump();
        assert!(dump.contains("SIGUSR1, handled at ") && dump.contains("p_signals.rs"), "{dump}");
    }

    fn handlers_come_and_go_in_a_handler_and_a_panic_is_contained(world: &World) {
        let _signals = own_signals();
        let told = failures(&world.handle());
        let (calls, own) = (Rc::new(Cell::new(0)), Rc::new(RefCell::new(None::<SignalHandler>)));
        let (counter, itself, handle) = (Rc::clone(&calls), Rc::clone(&own), world.handle());
        let handler = world.handle().on_signal(SignalKind::USER1, move || {
            counter.set(counter.get() + 1);
            let later = Rc::clone(&counter);
            handle.on_signal(SignalKind::USER2, move || later.set(later.get() + 10)).expect("a handler");
            itself.borrow().iter().for_each(SignalHandler::remove);
        });
        *own.borrow_mut() = Some(handler.expect("a handler"));
        let (_stays, others) = count(world, SignalKind::USER1);
        world.handle().on_signal(SignalKind::USER1, || panic!("in a handler")).expect("a handler");
        raise(world, SignalKind::USER1);
        world.until(|| told.borrow().len() == 1);
        raise(world, SignalKind::USER1);
        world.until(|| told.borrow().len() == 2);
        world.settle();
        assert_eq!((calls.get(), others.get()), (1, 2));
        raise(world, SignalKind::USER2);
        world.until(|| calls.get() == 11);
    }
}

#[test]
fn p10_several_loops_of_one_process_watch_the_same_signal() {
    let _signals = own_signals();
    let loops: Vec<Reactor> =
        builders().into_iter().chain(builders()).map(|builder| builder.build().expect("a loop")).collect();
    let counts: Vec<_> = loops.iter().map(|reactor| count_on(&reactor.handle(), SignalKind::USER1)).collect();
    really_raise(SignalKind::USER1);
    for (reactor, (_, calls)) in loops.iter().zip(&counts) {
        while calls.get() == 0 {
            reactor.turn(Some(marline_tests::PATIENCE)).expect("a turn");
        }
    }
    // One that ends takes nothing from the others.
    let mut loops = loops.into_iter();
    drop(loops.next());
    really_raise(SignalKind::USER1);
    for (reactor, (_, calls)) in loops.zip(&counts[1..]) {
        while calls.get() == 1 {
            reactor.turn(Some(marline_tests::PATIENCE)).expect("a turn");
        }
        assert_eq!(calls.get(), 2);
    }
}

#[test]
fn p10_a_signal_comes_to_every_loop_of_a_network_or_to_one() {
    let (network, clock) = (Network::new(Choices::tame()), Clock::new());
    let loops = [MemoryReactor::on(&network, &clock), MemoryReactor::on(&network, &clock)];
    let counts: Vec<_> = loops.iter().map(|memory| count_on(&memory.handle(), SignalKind::HANGUP)).collect();
    let pump = || {
        loops.iter().for_each(|memory| assert!(memory.pump()));
        counts.iter().map(|(_, calls)| calls.get()).collect::<Vec<_>>()
    };
    assert!(network.raise(SignalKind::HANGUP));
    assert_eq!(pump(), [1, 1]);
    assert!(loops[1].raise(SignalKind::HANGUP));
    assert_eq!(pump(), [1, 2]);
    assert!(!network.raise(SignalKind::TERMINATE), "nobody watches that");
}

on_sockets! { a_signal_wakes_a_loop_that_sleeps_and_whatever_thread_takes_it }

fn a_signal_wakes_a_loop_that_sleeps_and_whatever_thread_takes_it(backend: &str) {
    let _signals = own_signals();
    let reactor = reactor(backend);
    let (handle, alive) = (reactor.handle(), reactor.handle().keep_alive());
    let stop = handle.clone();
    handle.on_signal(SignalKind::USER2, move || stop.stop()).expect("a handler");
    let other = std::thread::spawn(|| really_raise(SignalKind::USER2));
    reactor.run().expect("a run");
    other.join().expect("the other thread");
    drop(alive);
}

/// What becomes of a process that watches SIGUSR1, stops watching, and gets it.
fn after_the_last_handler(shell: &str) -> Option<i32> {
    let copy = process::copy("p_signals::what_a_signal_did_before_it_does_again", "raise");
    let mut under_shell = Command::new("sh");
    under_shell.args(["-c", shell, "sh"]).arg(copy.get_program()).args(copy.get_args());
    under_shell.envs(copy.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let status = under_shell.stdout(Stdio::null()).status().expect("a copy of this program");
    assert!(status.signal().is_some() || status.success(), "{status}");
    status.signal()
}

#[test]
fn what_a_signal_did_before_it_does_again() {
    if process::part().is_some() {
        for reactor in builders().into_iter().map(|builder| builder.build().expect("a loop")) {
            let (handler, calls) = count_on(&reactor.handle(), SignalKind::USER1);
            really_raise(SignalKind::USER1);
            while calls.get() == 0 {
                reactor.turn(Some(marline_tests::PATIENCE)).expect("a turn");
            }
            handler.remove();
        }
        return really_raise(SignalKind::USER1);
    }
    if !std::path::Path::new("/bin/sh").exists() {
        return skip("there is no shell to set dispositions");
    }
    assert_eq!(after_the_last_handler(r#"exec "$@""#), Some(SignalKind::USER1.as_raw()));
    assert_eq!(after_the_last_handler(r#"trap "" USR1; exec "$@""#), None, "it was ignored");
}
