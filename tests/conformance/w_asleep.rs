//! W: what waits behind a send goes on, though nothing else ends the loop's sleep.
//!
//! A backend may keep the success of a send to itself while it sleeps, until the loop asks for it.

use std::cell::Cell;
use std::rc::Rc;

use marline_reactor::Transport;
use marline_tests::PATIENCE;

use crate::conformance;
use crate::support::{Event, Log, Raw, Trace, World};

/// Chance decides whether a success is kept.
const ROUNDS: usize = 8;

/// Runs a loop that has nothing to do but `act`, until `last` happens.
fn run_until(world: &World, last: &Event, prepare: fn(&Raw), act: fn(&Transport)) {
    for round in 0..ROUNDS {
        let (log, handle, wanted) = (Log::new(), world.handle(), last.clone());
        let protocol = Trace::new(&log).keep_open().with(move |transport, event, _| {
            if *event == wanted {
                transport.handle().stop();
            }
        });
        let (transport, raw) = world.accept_one(protocol);
        prepare(&raw);
        world.settle();
        handle.call_soon(move || act(&transport));
        let (late, stop) = (Rc::new(Cell::new(false)), handle.clone());
        let told = Rc::clone(&late);
        let guard = handle.call_later(PATIENCE, move || {
            told.set(true);
            stop.stop();
        });
        world.run();
        assert!(!late.get(), "round {round}: the loop slept over {last:?}: {:?}", log.all());
        guard.cancel();
        world.settle();
        assert_eq!(raw.read(), b"bye");
    }
}

fn nothing(_: &Raw) {}

conformance! {
    fn w_a_close_behind_a_write(world: &World) {
        run_until(world, &Event::Lost("Clean".into()), nothing, |transport| {
            transport.write(b"bye");
            transport.close();
        });
    }

    fn w_a_close_behind_two_writes(world: &World) {
        run_until(world, &Event::Lost("Clean".into()), nothing, |transport| {
            transport.write(b"b");
            let later = transport.clone();
            transport.flush();
            transport.handle().call_soon(move || {
                later.write(b"ye");
                later.close();
            });
        });
    }

    fn w_an_end_of_our_direction_behind_a_write(world: &World) {
        run_until(world, &Event::Lost("Clean".into()), Raw::finish, |transport| {
            transport.write(b"bye");
            transport.write_eof();
        });
    }

    fn w_a_notice_behind_a_write(world: &World) {
        run_until(world, &Event::Drained, nothing, |transport| {
            transport.write(b"bye");
            transport.flush();
            transport.notify_drained();
        });
    }
}
