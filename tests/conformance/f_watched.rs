//! F: sources that are none of the loop's own, awaited.

use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind};
use std::rc::Rc;

use futures::FutureExt;
use marline_reactor::{Interest, WatchErrorKind};
use marline_tasks::{Watched, spawn, yield_now};

use crate::conformance;
use crate::support::{Near, World};

fn watched(world: &World, near: Near) -> Watched<Near> {
    Watched::on(&world.handle(), near).expect("a watched source")
}

/// One signal, or `WouldBlock`.
fn take(near: &mut Near) -> io::Result<()> {
    if near.take() { Ok(()) } else { Err(ErrorKind::WouldBlock.into()) }
}

conformance! {
    fn a_task_waits_for_a_source_and_gets_each_signal_once(world: &World) {
        let (near, mut far) = world.source();
        let near = watched(world, near);
        let taken = Rc::new(Cell::new(0));
        let count = Rc::clone(&taken);
        let task = world.spawn(async move {
            while count.get() < 50 {
                near.io(Interest::READABLE, take).await?;
                count.set(count.get() + 1);
            }
            Ok::<_, io::Error>(near.into_inner().is_some())
        });
        world.settle();
        assert_eq!(taken.get(), 0);
        for sent in 1..=50 {
            far.signal();
            if sent % 5 == 0 {
                world.until(|| taken.get() == sent);
            }
        }
        assert!(world.join(task).expect("no error"));
        world.run();
    }

    fn both_directions_and_several_tasks_are_woken(world: &World) {
        let (mut near, mut far) = world.source();
        near.fill();
        let near = Rc::new(watched(world, near));
        let order = Rc::new(RefCell::new(Vec::new()));
        let tasks: Vec<_> = ["a reader", "another", "a writer"].into_iter().map(|name| {
            let (near, order) = (Rc::clone(&near), Rc::clone(&order));
            world.spawn(async move {
                let ready = if name == "a writer" { near.writable().await } else { near.readable().await };
                let ready = ready.expect("no error");
                order.borrow_mut().push((name, ready.is_readable(), ready.is_writable()));
            })
        }).collect();
        world.settle();
        assert!(order.borrow().is_empty());
        far.signal();
        world.until(|| tasks[0].is_finished() && tasks[1].is_finished());
        assert_eq!(order.take(), [("a reader", true, false), ("another", true, false)]);
        far.make_room();
        world.until(|| tasks[2].is_finished());
        assert_eq!(order.take(), [("a writer", false, true)]);
    }

    fn a_wait_that_is_dropped_loses_nothing_and_costs_nothing(world: &World) {
        let (near, mut far) = world.source();
        let near = Rc::new(watched(world, near));
        let first = Rc::clone(&near);
        let dropped = world.spawn(async move { first.readable().await.map(|_| ()) });
        world.settle();
        dropped.abort();
        world.settle();
        far.signal();
        world.settle();
        let before = world.handle().stats().events;
        (0..5).for_each(|_| world.turn());
        assert_eq!(world.handle().stats().events, before, "events that nobody waits for");
        let (second, seen) = (Rc::clone(&near), Rc::clone(&near));
        world.finish(async move { second.readable().await }).expect("it is still there");
        assert_eq!(seen.with(Near::drain), Some(1));
        // A future that was never polled, and one that was polled once.
        drop(near.readable());
        assert!(near.writable().now_or_never().is_none());
    }

    fn a_source_that_is_always_ready_leaves_others_their_turn(world: &World) {
        let (near, _far) = world.source();
        let near = watched(world, near);
        let (stop, made) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(0)));
        let (seen, count) = (Rc::clone(&stop), Rc::clone(&made));
        let busy = world.spawn(async move {
            while !seen.get() {
                near.io(Interest::WRITABLE, |_| Ok(())).await?;
                count.set(count.get() + 1);
            }
            Ok::<_, io::Error>(())
        });
        world.finish(async move {
            spawn(yield_now()).await.expect("a turn of another's");
            stop.set(true);
        });
        world.join(busy).expect("no error");
        assert!(made.get() > 0);
    }

    fn who_waits_is_told_when_the_loop_watches_no_more(world: &World) {
        let (near, _far) = world.source();
        let near = Rc::new(watched(world, near));
        let waits = Rc::clone(&near);
        let task = world.spawn(async move { waits.readable().await });
        world.settle();
        assert_eq!(world.handle().remove_all_watches().len(), 1);
        let error = world.join(task).expect_err("it is gone");
        assert_eq!(error.kind(), ErrorKind::NotConnected);
        assert!(near.with(|_| ()).is_none());
        let late = near.writable().now_or_never().expect("at once");
        assert_eq!(late.expect_err("it is gone").kind(), ErrorKind::NotConnected);
    }
}

#[test]
fn outside_of_a_loop_the_source_comes_back() {
    let world = World::each().into_iter().next().expect("a world");
    let (near, _far) = world.source();
    let refused = Watched::new(near).expect_err("no loop runs here");
    assert!(matches!(refused.kind(), WatchErrorKind::NotInLoop));
    let near = refused.into_inner();
    let near = world.handle().enter(|| Watched::new(near)).expect("a watched source");
    drop(near);
    world.run();
}
