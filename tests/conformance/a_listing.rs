//! A: names of tasks, the list of them, and values of their own.

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use futures::FutureExt;
use futures::executor::block_on;
use marline_reactor::DebugMode;
use marline_tasks::task::{Builder, TaskInfo, TaskState};
use marline_tasks::{gather, spawn, spawn_remote, task_list, task_list_on, task_local, yield_now};

use crate::conformance;
use crate::support::World;

task_local! {
    static REQUEST: u32;
    static HELD: Rc<Cell<u32>>;
    static LOG: RefCell<Vec<&'static str>>;
}

async fn request() -> Option<u32> {
    yield_now().await;
    REQUEST.with(|request| request.copied())
}

fn find<'a>(list: &'a [TaskInfo], name: &str) -> &'a TaskInfo {
    list.iter().find(|task| task.name.as_deref() == Some(name)).expect("a task of this name")
}

conformance! {
    fn listing_tells_names_places_states_polls_and_ages(world: &World) {
        let handle = world.handle();
        let waker = Rc::new(RefCell::new(None::<Waker>));
        let place = Rc::clone(&waker);
        handle.set_debug(Some(DebugMode::new()));
        let waiting = Builder::new().name("waiting").spawn_on(&handle, poll_fn(move |context| {
            *place.borrow_mut() = Some(context.waker().clone());
            Poll::<()>::Pending
        }));
        let line = line!() - 4;
        world.settle();
        world.pass(Duration::from_millis(3));
        handle.set_debug(None);
        let fresh = world.spawn(async {});
        let list = task_list_on(&handle);
        assert_eq!((list.len(), list[1].age), (2, None));
        assert_eq!(list.iter().map(|task| Some(task.id)).collect::<Vec<_>>(), [waiting.id(), fresh.id()]);
        let first = &list[0];
        assert_eq!((first.state, first.polls, first.name.as_deref()), (TaskState::Waiting, 1, Some("waiting")));
        assert_eq!((first.place.line(), waiting.name()), (line, Some("waiting")));
        assert!(first.place.file().ends_with("a_listing.rs"));
        assert!(first.age >= Some(Duration::from_millis(3)), "it was started in debug mode");
        assert!(first.to_string().contains("\"waiting\": waiting, 1 polls in "), "{first}");
        assert_eq!((list[1].state, list[1].polls, &list[1].name), (TaskState::Queued, 0, &None));
        // Woken here, and woken by another thread, it is queued.
        waker.borrow().as_ref().expect("a poll").wake_by_ref();
        assert_eq!(find(&task_list_on(&handle), "waiting").state, TaskState::Queued);
        world.settle();
        let woken = find(&task_list_on(&handle), "waiting").clone();
        assert_eq!((woken.state, woken.polls), (TaskState::Waiting, 2));
        let elsewhere = waker.borrow().clone().expect("a poll");
        thread::spawn(move || elsewhere.wake()).join().expect("a thread");
        assert_eq!(find(&task_list_on(&handle), "waiting").state, TaskState::Queued);
        world.settle();
        assert_eq!(find(&task_list_on(&handle), "waiting").polls, 3);
        waiting.abort();
        world.settle();
        assert!(task_list_on(&handle).is_empty());
    }

    fn listing_from_inside_shows_who_runs(world: &World) {
        let task = Builder::new().name("curious").spawn_on(&world.handle(), async {
            let _other = Builder::new().name("other").spawn(pending::<()>());
            yield_now().await;
            task_list()
        });
        let id = task.id();
        let list = world.join(task);
        let (curious, other) = (find(&list, "curious"), find(&list, "other"));
        assert_eq!((Some(curious.id), curious.state, curious.polls), (id, TaskState::Running, 2));
        assert_eq!((other.state, other.polls), (TaskState::Waiting, 1));
        assert_eq!(other.id.loop_id(), world.handle().loop_id());
        assert!(thread::spawn(task_list).join().expect("a thread").is_empty());
    }

    fn local_values_are_seen_by_what_a_future_awaits(world: &World) {
        let seen = world.finish(async {
            let outside = REQUEST.get().is_err();
            let inside = REQUEST.scope(1, async {
                let own = request().await;
                let children = gather([(); 2].map(|()| async { request().await.ok_or(()) })).await;
                let nested = REQUEST.scope(2, request()).await;
                let spawned = spawn(request()).await.expect("an output");
                let handed = spawn(REQUEST.scope(3, request())).await.expect("an output");
                (own, children, nested, request().await, spawned, handed)
            });
            // Two scopes that take turns do not see each other's.
            let others = gather([10, 20].map(|value| REQUEST.scope(value, async {
                let mut seen = Vec::new();
                for _ in 0..3 {
                    seen.push(request().await);
                }
                Ok::<_, ()>(seen)
            })));
            (outside, inside.await, others.await, request().await)
        });
        assert!(seen.0 && seen.3.is_none());
        assert_eq!(seen.1, (Some(1), Ok(vec![1, 1]), Some(2), Some(1), None, Some(3)));
        assert_eq!(seen.2, Ok(vec![vec![Some(10); 3], vec![Some(20); 3]]));
    }

    fn local_values_are_seen_by_destructors_and_hold_nothing_afterwards(world: &World) {
        struct Last(Rc<Cell<u32>>);
        impl Drop for Last {
            fn drop(&mut self) {
                self.0.set(REQUEST.with(|request| request.copied().unwrap_or(0)));
            }
        }
        let (seen, held) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let last = Last(Rc::clone(&seen));
        let inner = Rc::clone(&held);
        let task = world.spawn(HELD.scope(Rc::clone(&held), REQUEST.scope(9, async move {
            let _last = last;
            HELD.try_with(|own| own.set(own.get() + 1)).expect("in scope");
            // Nothing is borrowed meanwhile.
            HELD.with(|own| HELD.sync_scope(Rc::clone(&inner), || own.map(|own| own.set(own.get() + 1))));
            drop(inner);
            pending::<()>().await;
        })));
        world.settle();
        assert_eq!((held.get(), Rc::strong_count(&held), seen.get()), (2, 2, 0));
        task.abort();
        world.settle();
        assert_eq!((seen.get(), Rc::strong_count(&held)), (9, 1));
        // A panic leaves nothing behind either.
        let task = world.spawn(HELD.scope(Rc::clone(&held), async { panic!("in scope") }));
        world.settle();
        drop(task);
        assert!(HELD.try_with(|_| ()).is_err());
        assert_eq!(Rc::strong_count(&held), 1);
    }

    fn local_values_need_not_be_sync_to_go_along(world: &World) {
        let remote = world.handle().remote();
        let thread = thread::spawn(move || {
            let logged = LOG.scope(RefCell::new(vec!["begun"]), async {
                yield_now().await;
                LOG.with(|log| {
                    let log = log.expect("in scope");
                    log.borrow_mut().push("outside");
                    LOG.sync_scope(RefCell::default(), || LOG.with(|inner| inner.map(|inner| inner.borrow_mut().push("inside"))));
                    log.borrow_mut().push("outside again");
                });
                LOG.get().map(RefCell::into_inner)
            });
            block_on(spawn_remote(&remote, logged)).expect("an output")
        });
        world.until_elsewhere(|| thread.is_finished());
        let logged = thread.join().expect("a thread").expect("in scope");
        assert_eq!(logged, ["begun", "outside", "outside again"]);
    }

    fn local_values_go_along_to_other_threads(world: &World) {
        let remote = world.handle().remote();
        let thread = thread::spawn(move || {
            let here = block_on(REQUEST.scope(4, request()));
            (here, block_on(spawn_remote(&remote, REQUEST.scope(5, request()))).ok().flatten())
        });
        world.until_elsewhere(|| thread.is_finished());
        assert_eq!(thread.join().expect("a thread"), (Some(4), Some(5)));
        assert_eq!(REQUEST.scope(6, request()).now_or_never(), None);
    }
}
