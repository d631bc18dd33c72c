//! F: sources that are none of the loop's own.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use marline_reactor::{Addresses, Interest, Ready, Transport, Watch, WatchErrorKind};

use crate::conformance;
use crate::support::{Near, World};

/// What a callback was told, in order.
type Told = Rc<RefCell<Vec<Ready>>>;

/// Watches a source, takes all signals each time, and writes down what is told.
fn watch(world: &World, near: Near, interest: Interest) -> (Watch<Near>, Told) {
    let told = Told::default();
    let log = Rc::clone(&told);
    let watch = world.handle().watch(near, interest, move |near: &mut Near, ready| {
        near.drain();
        log.borrow_mut().push(ready);
    });
    (watch.expect("a watch"), told)
}

/// How many events and registrations the loop had so far.
fn cost(world: &World) -> (u64, u64) {
    let stats = world.handle().stats();
    (stats.events, stats.system_calls.registrations)
}

conformance! {
    fn f01_a_second_watch_is_refused_and_the_first_keeps_working(world: &World) {
        let (near, mut far) = world.source();
        let (second, third, descriptor) = (near.again(), near.again(), near.descriptor());
        let (first, told) = watch(world, near, Interest::READABLE);
        let refused = world.handle().watch(second, Interest::READABLE, |_: &mut Near, _| unreachable!());
        let (second, kind) = refused.expect_err("a refusal").into_parts();
        let names = |kind: &WatchErrorKind| {
            matches!(kind, WatchErrorKind::Watched { descriptor: named } if *named == descriptor)
        };
        assert!(names(&kind), "{kind:?}");
        assert_eq!(second.descriptor(), descriptor);
        first.pause().expect("a pause");
        let refused = world.handle().watch(second, Interest::WRITABLE, |_: &mut Near, _| unreachable!());
        assert!(names(refused.expect_err("a refusal, also while it is paused").kind()));
        first.resume().expect("an end of the pause");
        far.signal();
        world.until(|| !told.borrow().is_empty());
        world.settle();
        assert_eq!(*told.borrow(), [Ready::READABLE]);
        let _near = first.remove().expect("the source");
        let again = world.handle().watch(third, Interest::READABLE, |_: &mut Near, _| {});
        assert!(again.expect("it is free again").is_watched());
    }

    fn f03_only_requested_interests_are_reported(world: &World) {
        let (near, mut far) = world.source();
        let (watch, told) = watch(world, near, Interest::READABLE);
        // It can be written all the time.
        world.settle();
        assert!(told.borrow().is_empty(), "{told:?}");
        watch.set_interest(Interest::WRITABLE.edge()).expect("another interest");
        far.signal();
        world.settle();
        let mut seen = told.take();
        assert!(!seen.is_empty() && seen.iter().all(|ready| *ready == Ready::WRITABLE), "{seen:?}");
        far.signal();
        watch.set_interest((Interest::READABLE | Interest::WRITABLE).edge()).expect("another interest");
        world.settle();
        seen = told.take();
        assert!(seen.contains(&(Ready::READABLE | Ready::WRITABLE)), "{seen:?}");
        watch.set_interest(Interest::WRITABLE).expect("another interest");
        watch.with(Near::fill).expect("a full source");
        world.settle();
        told.take();
        far.make_room();
        world.until(|| !told.borrow().is_empty());
        assert!(told.take().iter().all(|ready| *ready == Ready::WRITABLE));
    }

    fn f03_an_empty_interest_reports_nothing_not_even_an_end(world: &World) {
        let (near, mut far) = world.source();
        let (watch, told) = watch(world, near, Interest::READABLE | Interest::WRITABLE);
        watch.set_interest(Interest::EMPTY).expect("no interest");
        far.signal();
        far.hang_up();
        world.settle();
        let before = cost(world);
        (0..5).for_each(|_| world.turn());
        assert_eq!(cost(world), before, "a paused source costs something");
        assert!(told.borrow().is_empty(), "{told:?}");
        watch.set_interest(Interest::READABLE).expect("an interest");
        world.until(|| !told.borrow().is_empty());
        let ready = told.borrow()[0];
        assert!(ready.is_readable() && ready.is_read_closed() && !ready.is_writable(), "{ready:?}");
    }

    fn f04_a_source_removed_in_a_turn_gets_no_event_of_that_turn(world: &World) {
        let watches: Rc<RefCell<Vec<Watch<Near>>>> = Rc::default();
        let calls = Rc::new(Cell::new(0));
        let mut fars = Vec::new();
        for _ in 0..3 {
            let (near, far) = world.source();
            let (others, calls) = (Rc::clone(&watches), Rc::clone(&calls));
            let watch = world.handle().watch(near, Interest::READABLE, move |_: &mut Near, _| {
                calls.set(calls.get() + 1);
                // Itself too, whose source is lent out just now.
                let back: Vec<bool> = others.take().iter().map(|watch| watch.remove().is_some()).collect();
                assert_eq!(back.iter().filter(|back| !**back).count(), 1);
            });
            watches.borrow_mut().push(watch.expect("a watch"));
            fars.push(far);
        }
        world.settle();
        fars.iter_mut().for_each(|far| far.signal());
        world.until(|| calls.get() > 0);
        world.settle();
        assert_eq!(calls.get(), 1);
    }

    fn f04_what_is_watched_anew_in_that_turn_gets_events_of_its_own(world: &World) {
        let (near, mut far) = world.source();
        let (other, mut trigger) = world.source();
        let old = Rc::new(Cell::new(0));
        let (count, handle) = (Rc::clone(&old), world.handle());
        let first = handle.watch(near, Interest::READABLE, move |_: &mut Near, _| count.set(count.get() + 1));
        let (first, told) = (first.expect("a watch"), Told::default());
        let (log, again) = (Rc::clone(&told), world.handle());
        let moved = Rc::new(Cell::new(false));
        let done = Rc::clone(&moved);
        let trigger_watch = handle.watch(other, Interest::READABLE, move |other: &mut Near, _| {
            other.drain();
            let Some(near) = first.remove() else { return };
            let log = Rc::clone(&log);
            let watch = again.watch(near, Interest::READABLE, move |near: &mut Near, ready| {
                near.drain();
                log.borrow_mut().push(ready);
            });
            done.set(watch.is_ok());
        });
        assert!(trigger_watch.is_ok());
        world.settle();
        trigger.signal();
        world.until(|| moved.get());
        world.settle();
        far.signal();
        world.until(|| !told.borrow().is_empty());
        world.settle();
        assert_eq!((old.get(), told.borrow().as_slice()), (0, &[Ready::READABLE][..]));
    }

    fn f05_after_removal_the_reactor_does_nothing_with_it(world: &World) {
        let (near, mut far) = world.source();
        let (watch, told) = watch(world, near, Interest::READABLE);
        let other = watch.clone();
        far.signal();
        world.until(|| !told.borrow().is_empty());
        let mut near = watch.remove().expect("the source");
        // The answer to the close may be an event.
        world.settle();
        let before = cost(world);
        far.signal();
        world.settle();
        assert_eq!((cost(world), told.borrow().len()), (before, 1));
        assert_eq!(near.drain(), 1, "nobody else read it");
        assert!(other.set_interest(Interest::WRITABLE).expect_err("it is gone").is_gone());
        assert!(other.pause().expect_err("it is gone").is_gone());
        other.unreference();
        assert!(other.remove().is_none() && !other.is_watched() && other.with(|_| ()).is_none());
        assert_eq!(cost(world), before);
    }

    fn f05_nor_after_a_removal_within_its_own_callback(world: &World) {
        let (near, mut far) = world.source();
        let slot: Rc<RefCell<Option<Watch<Near>>>> = Rc::default();
        let (own, registrations) = (Rc::clone(&slot), Rc::new(Cell::new(None)));
        let (seen, handle) = (Rc::clone(&registrations), world.handle());
        let watch = world.handle().watch(near, Interest::READABLE, move |_: &mut Near, _| {
            let watch = own.take().expect("one call");
            assert!(watch.remove().is_none(), "it is lent to this callback");
            // From here on its number may mean something else.
            seen.set(Some(handle.stats().system_calls.registrations));
        });
        *slot.borrow_mut() = watch.ok();
        far.signal();
        world.until(|| registrations.get().is_some());
        world.settle();
        assert_eq!(registrations.get(), Some(cost(world).1));
    }

    fn f09_remove_all_returns_what_was_removed_and_leaves_the_loops_own(world: &World) {
        let received = Rc::new(Cell::new(0));
        let count = Rc::clone(&received);
        let (transport, raw) = world.accept_one(move |transport: &Transport, data: &[u8]| {
            count.set(count.get() + data.len());
            transport.write(data);
        });
        let server = world.listen(|_: &Addresses| |transport: &Transport, data: &[u8]| {
            transport.write(data);
        });
        let interests = [Interest::READABLE, Interest::WRITABLE.edge(), Interest::EMPTY];
        let mut expected = Vec::new();
        let watches: Vec<_> = interests.map(|interest| {
            let (near, far) = world.source();
            expected.push((near.descriptor(), interest));
            (watch(world, near, interest), far)
        }).into();
        let removed = world.handle().remove_all_watches();
        let mut found: Vec<_> = removed.iter().map(|gone| (gone.descriptor, gone.interest)).collect();
        let order = |(descriptor, interest): &(Option<i32>, Interest)| (*descriptor, format!("{interest:?}"));
        found.sort_by_key(order);
        expected.sort_by_key(order);
        assert_eq!(found, expected);
        let sources = removed.into_iter().map(|gone| gone.source.expect("it").downcast::<Near>());
        let sources: Vec<_> = sources.collect::<Result<_, _>>().expect("the sources of the test's");
        assert_eq!(sources.len(), 3);
        assert!(world.handle().remove_all_watches().is_empty());
        for ((watch, told), mut far) in watches {
            assert!(!watch.is_watched());
            far.signal();
            world.settle();
            assert!(told.borrow().iter().all(|ready| ready.is_writable()));
        }
        raw.write(b"connections");
        assert_eq!(world.read(&raw, 11), b"connections");
        let second = world.connect_raw(&server);
        second.write(b"listeners");
        assert_eq!(world.read(&second, 9), b"listeners");
        assert_eq!((received.get(), transport.is_closing()), (11, false));
        let woken = Rc::new(Cell::new(false));
        let (wake, remote) = (Rc::clone(&woken), world.handle().remote());
        let signal = world.handle().signal(move || wake.set(true));
        std::thread::spawn(move || signal.raise()).join().expect("a thread");
        drop(remote);
        world.until_elsewhere(|| woken.get());
    }

    fn f09_the_one_that_runs_is_removed_without_its_source(world: &World) {
        let (near, mut far) = world.source();
        let (log, handle) = (Rc::new(RefCell::new(Vec::new())), world.handle());
        let seen = Rc::clone(&log);
        let watch = world.handle().watch(near, Interest::READABLE, move |_: &mut Near, _| {
            let removed = handle.remove_all_watches();
            seen.borrow_mut().extend(removed.into_iter().map(|gone| gone.source.is_some()));
        });
        far.signal();
        world.until(|| !log.borrow().is_empty());
        world.settle();
        assert_eq!(*log.borrow(), [false]);
        assert!(!watch.expect("a watch").is_watched());
    }

    fn f10_two_handles_on_one_source_never_keep_the_loop_busy(world: &World) {
        let (near, mut far) = world.source();
        // Another number of the same socket works; where there are no numbers, and for the same number, it is refused.
        let double = match &near {
            Near::Socket(socket) => Near::Socket(socket.try_clone().expect("another number")),
            other => other.again(),
        };
        let (first, told) = watch(world, near, Interest::READABLE);
        let second = world.handle().watch(double, Interest::READABLE, |near: &mut Near, _| {
            near.drain();
        });
        assert_eq!(second.is_ok(), !world.is_memory());
        for _ in 0..3 {
            far.signal();
            world.settle();
            let (events, _) = cost(world);
            (0..10).for_each(|_| world.turn());
            assert_eq!(cost(world).0, events, "events without a cause");
        }
        if let Ok(second) = second {
            second.remove();
        }
        far.signal();
        let before = told.borrow().len();
        world.until(|| told.borrow().len() > before);
        assert!(first.is_watched());
    }
}
