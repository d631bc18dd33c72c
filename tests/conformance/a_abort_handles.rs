//! A: ending a task that somebody else awaits.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use futures::FutureExt;
use marline_tasks::{spawn, spawn_remote};

use crate::conformance;
use crate::support::{Drops, World};

conformance! {
    fn a07_an_abort_handle_ends_the_task_from_anywhere(world: &World) {
        fn everywhere<T: Send + Sync + Clone + 'static>(_: &T) {}
        let drops = Drops::new();
        let start = || {
            let witness = drops.witness();
            world.spawn(async move {
                std::future::pending::<()>().await;
                drop(witness);
                Rc::new(())
            })
        };
        let (here, there) = (start(), start());
        let (one, other) = (here.abort_handle(), there.abort_handle());
        everywhere(&one);
        assert!(one.id() == here.id() && other.id() == there.id() && one.id() != other.id());
        world.settle();
        one.abort();
        assert_eq!(drops.count(), 0, "not on the stack of the call");
        world.settle();
        assert_eq!((drops.count(), here.is_finished(), there.is_finished()), (1, true, false));
        thread::spawn(move || other.abort()).join().expect("a thread");
        world.until(|| there.is_finished());
        assert_eq!(drops.count(), 2);
        assert!(here.now_or_never().expect("an end").expect_err("an abort").is_aborted());
        assert!(there.now_or_never().expect("an end").expect_err("an abort").is_aborted());
        // A task that has ended keeps its output, and one that never ran has no number.
        let done = world.spawn(async { 7 });
        world.settle();
        done.abort_handle().abort();
        assert_eq!(done.now_or_never().expect("an end").expect("an output"), 7);
        let nowhere = spawn(async {}).abort_handle();
        nowhere.abort();
        assert_eq!(nowhere.id(), None);
    }

    fn a07_a21_an_abort_handle_ends_a_task_before_and_after_it_arrives(world: &World) {
        let (remote, polled) = (world.handle().remote(), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&polled);
        let send = move || {
            let polled = Arc::clone(&counted);
            spawn_remote(&remote, async move {
                polled.fetch_add(1, Ordering::SeqCst);
                std::future::pending::<()>().await;
            })
        };
        let (early, late) = thread::spawn(move || (send(), send())).join().expect("a thread");
        let (abort_early, abort_late) = (early.abort_handle(), late.abort_handle());
        assert!(abort_early.id().is_none() && abort_late.id().is_none());
        abort_early.abort();
        world.settle();
        assert_eq!((early.is_finished(), late.is_finished(), polled.load(Ordering::SeqCst)), (true, false, 1));
        assert!(abort_late.id().is_some() && abort_late.id() == late.id());
        abort_late.abort();
        world.settle();
        for task in [early, late] {
            assert!(task.now_or_never().expect("an end").expect_err("an abort").is_aborted());
        }
    }
}
