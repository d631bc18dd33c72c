//! F: how a watch is told, what it costs, and how it ends.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use marline_reactor::{
    Handle, Interest, Mio, Phase, Pollable, Ready, Source, Transport, Watch, WatchErrorKind,
};
use mio::{Registry, Token};

use crate::conformance;
use crate::support::{Drops, Near, World, failures};

fn registrations(world: &World) -> u64 {
    world.handle().stats().system_calls.registrations
}

/// Watches a source whose callback takes one signal each time, and counts the calls.
fn watch_by_ones(world: &World, near: Near, interest: Interest) -> (Watch<Near>, Rc<Cell<usize>>) {
    let calls = Rc::new(Cell::new(0));
    let count = Rc::clone(&calls);
    let watch = world.handle().watch(near, interest, move |near: &mut Near, _| {
        near.take();
        count.set(count.get() + 1);
    });
    (watch.expect("a watch"), calls)
}

conformance! {
    fn a_level_is_told_once_a_turn_while_it_lasts(world: &World) {
        let (near, mut far) = world.source();
        let (watch, calls) = watch_by_ones(world, near, Interest::READABLE);
        // A host registers what it needs with the first turn.
        world.turn();
        let before = registrations(world);
        (0..5).for_each(|_| far.signal());
        while calls.get() < 5 {
            let told = calls.get();
            world.turn_with_event();
            assert!(calls.get() <= told + 1, "more than once a turn");
        }
        world.settle();
        assert_eq!((calls.get(), registrations(world) - before), (5, 5));
        assert!(watch.is_watched());
    }

    fn an_edge_is_told_once_and_costs_no_registration(world: &World) {
        let (near, mut far) = world.source();
        let (watch, calls) = watch_by_ones(world, near, Interest::READABLE.edge());
        world.turn();
        let before = registrations(world);
        far.signal();
        far.signal();
        world.until(|| calls.get() > 0);
        world.settle();
        let told = calls.get();
        assert!((1..=2).contains(&told), "one or two changes, told {told} times");
        (0..5).for_each(|_| world.turn());
        assert_eq!((calls.get(), registrations(world)), (told, before));
        far.signal();
        world.until(|| calls.get() > told);
        world.settle();
        assert_eq!((calls.get(), registrations(world)), (told + 1, before));
        // Something is left, and asking again tells of it.
        watch.set_interest(Interest::READABLE.edge()).expect("the same interest");
        world.until(|| calls.get() == told + 2 || calls.get() == 3 && told == 2);
        assert_eq!(registrations(world), before + 1);
    }

    fn a_panic_ends_that_watch_only_and_is_reported(world: &World) {
        let (near, mut far) = world.source();
        let (other, mut other_far) = world.source();
        let reports = failures(&world.handle());
        let drops = Drops::new();
        let witness = drops.witness();
        let broken = world.handle().watch(near, Interest::READABLE, move |_: &mut Near, _| {
            let _ = &witness;
            panic!("out of order");
        });
        let (watch, calls) = watch_by_ones(world, other, Interest::READABLE);
        far.signal();
        world.until(|| !reports.borrow().is_empty());
        world.settle();
        assert_eq!((reports.borrow().len(), drops.count()), (1, 1));
        let place = format!("scheduled at {}", file!());
        assert!(reports.borrow()[0].contains(&place), "{reports:?}");
        assert!(!broken.expect("a watch").is_watched());
        other_far.signal();
        world.until(|| calls.get() == 1);
        assert!(watch.is_watched());
    }

    fn changes_within_its_own_callback_take_effect_when_it_returns(world: &World) {
        let (near, mut far) = world.source();
        let slot: Rc<RefCell<Option<Watch<Near>>>> = Rc::default();
        let (own, told) = (Rc::clone(&slot), Rc::new(RefCell::new(Vec::new())));
        let log = Rc::clone(&told);
        let watch = world.handle().watch(near, Interest::READABLE, move |near: &mut Near, ready| {
            near.drain();
            log.borrow_mut().push(ready);
            let own = own.borrow().clone().expect("a watch");
            assert!(own.with(|_| ()).is_none(), "it is lent to this callback");
            let next = if ready.is_readable() { Interest::WRITABLE } else { Interest::EMPTY };
            own.set_interest(next).expect("another interest");
        });
        *slot.borrow_mut() = watch.ok();
        far.signal();
        world.until(|| told.borrow().len() == 2);
        far.signal();
        world.settle();
        assert_eq!(*told.borrow(), [Ready::READABLE, Ready::WRITABLE]);
        let watch = slot.take().expect("a watch");
        assert_eq!(watch.interest(), Some(Interest::EMPTY));
        assert!(watch.remove().is_some());
    }

    fn a_watch_keeps_the_loop_alive_unless_it_is_unreferenced(world: &World) {
        let (near, mut far) = world.source();
        let (idle, _idle_far) = world.source();
        let slot: Rc<RefCell<Option<Watch<Near>>>> = Rc::default();
        let own = Rc::clone(&slot);
        let watch = world.handle().watch(near, Interest::READABLE, move |_: &mut Near, _| {
            drop(own.take().expect("one call").remove());
        });
        *slot.borrow_mut() = watch.ok();
        let (idle, calls) = watch_by_ones(world, idle, Interest::READABLE);
        idle.unreference();
        idle.unreference();
        far.signal();
        world.run();
        assert!(slot.borrow().is_none(), "the run ended with the callback that removed it");
        assert!(idle.is_watched());
        assert_eq!(calls.get(), 0);
        assert!(idle.remove().is_some());
        world.run();
    }

    fn a_hook_that_removes_the_last_watch_lets_the_run_end(world: &World) {
        let (near, _far) = world.source();
        let (watch, _) = watch_by_ones(world, near, Interest::READABLE);
        let hook = world.handle().before_sleep(move || drop(watch.remove()));
        world.run();
        hook.remove();
    }

    fn a_shutdown_drops_what_is_watched(world: &World) {
        let world = world.fresh();
        let (near, _far) = world.source();
        let (drops, left) = (Drops::new(), Rc::new(Cell::new(None)));
        let witness = drops.witness();
        let watch = world.handle().watch(near, Interest::READABLE, move |_: &mut Near, _| {
            let _ = &witness;
        });
        let (seen, kept) = (Rc::clone(&left), watch.expect("a watch"));
        let other = kept.clone();
        world.handle().on_shutdown(Phase::Before, move |_| assert!(other.is_watched()));
        world.handle().on_shutdown(Phase::After, move |_| seen.set(Some(drops.count())));
        world.handle().shutdown();
        world.run();
        assert_eq!((left.get(), kept.is_watched()), (Some(1), false));
        let (near, _far) = world.source();
        let refused = world.handle().watch(near, Interest::READABLE, |_: &mut Near, _| {});
        assert!(matches!(refused.expect_err("it is over").kind(), WatchErrorKind::Over));
    }
}

/// Writes down when it is dropped.
struct Named(&'static str, Rc<RefCell<Vec<&'static str>>>);

impl Drop for Named {
    fn drop(&mut self) {
        self.1.borrow_mut().push(self.0);
        if self.0 == "a callback" {
            panic!("a drop that panics");
        }
    }
}

#[test]
fn the_end_of_the_loop_drops_sources_and_callbacks_contained_and_in_order() {
    for world in World::each() {
        let log = Rc::default();
        let named = |name| Named(name, Rc::clone(&log));
        let (near, far) = world.source();
        let (call, handle) = (named("a callback"), world.handle());
        let watch = handle.watch(near, Interest::READABLE, move |_: &mut Near, _| _ = &call);
        let (timer, hook, local) = (named("a timer"), named("a hook"), named("a local value"));
        handle.call_later(std::time::Duration::from_secs(9), move || drop(timer));
        handle.before_sleep(move || _ = &hook);
        handle.local(move |_| local);
        drop(world);
        assert_eq!(*log.borrow(), ["a timer", "a hook", "a callback", "a local value"]);
        assert!(!watch.expect("a watch").is_watched());
        assert!(handle.watch(far_end(), Interest::READABLE, |_: &mut UnixStream, _| {}).is_err());
        let late = named("a late hook");
        handle.before_sleep(move || _ = &late);
        assert_eq!(log.borrow().last(), Some(&"a late hook"));
        drop(far);
    }
}

fn far_end() -> UnixStream {
    UnixStream::pair().expect("a pair of sockets").0
}

/// The numbers of this process's descriptors whose socket connects these two ports, or listens on the first.
fn descriptors(local: u16, peer: Option<u16>) -> Vec<RawFd> {
    let table = std::fs::read_to_string("/proc/self/net/tcp").expect("the table of connections");
    let port = |address: &str| u16::from_str_radix(address.split(':').nth(1)?, 16).ok();
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let ours = rows.filter(|row| {
        row.len() > 9 && port(row[1]) == Some(local) && port(row[2]) == Some(peer.unwrap_or(0))
    });
    let links: Vec<String> = ours.map(|row| format!("socket:[{}]", row[9])).collect();
    let all = std::fs::read_dir("/proc/self/fd").expect("the descriptors").flatten();
    let ours = all.filter(|entry| {
        let link = std::fs::read_link(entry.path()).unwrap_or_default();
        links.iter().any(|ours| link.as_os_str() == ours.as_str())
    });
    ours.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

#[test]
fn f02_a_descriptor_that_the_loop_owns_is_refused() {
    World::on_readiness(|world| {
        let (transport, raw) = world.accept_one(|transport: &Transport, data: &[u8]| {
            transport.write(data);
        });
        let server = world.listen(|_: &marline_reactor::Addresses| |_: &Transport, _: &[u8]| {});
        let (local, peer) = (transport.local_address(), transport.peer_address());
        let port = |address: &marline_reactor::Address| address.as_inet().expect("an address").port();
        let connection =
            descriptors(port(&local.expect("an address")), Some(port(&peer.expect("an address"))));
        let listener = descriptors(port(&server.local_address().expect("an address")), None);
        assert_eq!((connection.len(), listener.len()), (1, 1));
        let numbers = [connection[0], listener[0]];
        let empty = numbers.map(|number| (number, Interest::EMPTY));
        for (number, interest) in numbers.map(|number| (number, Interest::READABLE)).into_iter().chain(empty)
        {
            let refused = world.handle().watch(number, interest, |_: &mut RawFd, _| unreachable!());
            let (back, kind) = refused.expect_err("a refusal").into_parts();
            assert!(
                matches!(kind, WatchErrorKind::Owned { descriptor } if descriptor == Some(back)),
                "{kind:?}"
            );
            assert_eq!(back, number);
        }
        raw.write(b"goes on");
        assert_eq!(world.read(&raw, 7), b"goes on");
        let second = world.connect_raw(&server);
        world.until(|| server.connections() == 1);
        second.close();
    });
}

#[test]
fn f05_a_number_that_is_used_again_belongs_to_its_new_user() {
    World::on_readiness(|world| {
        let (old, mut old_far) = UnixStream::pair().expect("a pair of sockets");
        let (new, mut new_far) = UnixStream::pair().expect("a pair of sockets");
        let number = old.as_raw_fd();
        let slot: Rc<RefCell<Option<Watch<RawFd>>>> = Rc::default();
        let (own, calls) = (Rc::clone(&slot), Rc::new(Cell::new(0)));
        let (count, mut old) = (Rc::clone(&calls), Some(std::os::fd::OwnedFd::from(old)));
        let (handle, told) = (world.handle(), Rc::new(Cell::new(0)));
        let fresh = Rc::clone(&told);
        let watch = handle.clone().watch(number, Interest::READABLE, move |number: &mut RawFd, _| {
            count.set(count.get() + 1);
            own.take().expect("one call").remove();
            // The number means another socket at once, and is watched anew, all while this callback runs.
            let mut place = old.take().expect("one call");
            rustix::io::dup2(&new, &mut place).expect("the number again");
            let fresh = Rc::clone(&fresh);
            let again = handle.watch(
                UnixStream::from(place),
                Interest::READABLE.edge(),
                move |_: &mut UnixStream, _| {
                    fresh.set(fresh.get() + 1);
                },
            );
            assert_eq!(again.expect("a watch").with(|stream| stream.as_raw_fd()), Some(*number));
        });
        *slot.borrow_mut() = watch.ok();
        old_far.write_all(b"x").expect("a write");
        world.until(|| calls.get() == 1);
        world.settle();
        new_far.write_all(b"x").expect("a write");
        world.until(|| told.get() == 1);
        world.settle();
        assert_eq!((calls.get(), told.get()), (1, 1));
    });
}

#[test]
fn what_cannot_be_watched_comes_back_with_the_reason() {
    World::on_readiness(|world| {
        let handle = world.handle();
        let file = File::open("/dev/null").expect("a file that is always ready");
        let (file, kind) =
            handle.watch(file, Interest::READABLE, |_: &mut File, _| {}).expect_err("EPERM").into_parts();
        let empty = handle
            .watch(file.try_clone().expect("a copy"), Interest::EMPTY, |_: &mut File, _| {})
            .expect_err("EPERM")
            .into_kind();
        assert!(matches!(empty, WatchErrorKind::NotPollable { .. }), "{empty:?}");
        let named = Some(file.as_raw_fd());
        assert!(
            matches!(kind, WatchErrorKind::NotPollable { descriptor } if descriptor == named),
            "{kind:?}"
        );
        let kind =
            handle.watch(-1, Interest::READABLE, |_: &mut RawFd, _| {}).expect_err("EBADF").into_kind();
        assert!(matches!(kind, WatchErrorKind::System { descriptor: Some(-1), .. }), "{kind:?}");
        let shy = Shy;
        let kind =
            handle.watch(shy, Interest::READABLE, |_: &mut Shy, _| {}).expect_err("a panic").into_kind();
        assert!(kind.to_string().contains("I am shy"), "{kind}");
        assert_eq!(handle.stats().connections, 0);
        world.run();
    });
    World::on_memory(|world| {
        let refused = world.handle().watch(0, Interest::READABLE, |_: &mut RawFd, _| {});
        assert!(matches!(refused.expect_err("no descriptors").kind(), WatchErrorKind::Unsupported));
        let refused =
            world.handle().watch(Mio(Nosy::default()), Interest::READABLE, |_: &mut Mio<Nosy>, _| {});
        assert!(matches!(refused.expect_err("no kernel").kind(), WatchErrorKind::Unsupported));
    });
}

struct Shy;

impl Source for Shy {
    fn pollable(&mut self) -> Pollable<'_> {
        panic!("I am shy");
    }
}

#[test]
fn a_descriptor_that_breaks_off_is_reported_and_watched_no_more() {
    World::on_readiness(|world| {
        let (near, mut far) = UnixStream::pair().expect("a pair of sockets");
        let reports = failures(&world.handle());
        let number = near.as_raw_fd();
        let (mut near, spare) = (Some(std::os::fd::OwnedFd::from(near)), far_end());
        let calls = Rc::new(Cell::new(0));
        let count = Rc::clone(&calls);
        let watch = world.handle().watch(number, Interest::READABLE, move |_: &mut RawFd, _| {
            count.set(count.get() + 1);
            // The misuse: it is closed, and its number used again, while it is watched.
            if let Some(place) = &mut near {
                rustix::io::dup2(&spare, place).expect("the number again");
            }
        });
        far.write_all(b"x").expect("a write");
        world.until(|| !reports.borrow().is_empty());
        world.settle();
        assert_eq!((calls.get(), reports.borrow().len()), (1, 1));
        assert!(reports.borrow()[0].contains(&format!("watching descriptor {number}")), "{reports:?}");
        assert!(!watch.expect("a watch").is_watched());
    });
}

/// A source of mio's that uses the loop whenever it is asked to register.
#[derive(Default)]
struct Nosy {
    stream: Option<mio::net::UnixStream>,
    handle: Option<Handle>,
    log: Rc<RefCell<Vec<&'static str>>>,
}

impl Nosy {
    fn note(&self, what: &'static str) {
        self.log.borrow_mut().push(what);
        if let Some(handle) = &self.handle {
            handle.call_soon(|| {}).cancel();
            assert!(handle.stats().turns < u64::MAX && handle.now() > marline_reactor::Instant::ZERO);
        }
    }
}

impl mio::event::Source for Nosy {
    fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interests: mio::Interest,
    ) -> std::io::Result<()> {
        self.note("register");
        self.stream.as_mut().map_or(Ok(()), |stream| stream.register(registry, token, interests))
    }

    fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interests: mio::Interest,
    ) -> std::io::Result<()> {
        self.note("reregister");
        self.stream.as_mut().map_or(Ok(()), |stream| stream.reregister(registry, token, interests))
    }

    fn deregister(&mut self, registry: &Registry) -> std::io::Result<()> {
        self.note("deregister");
        self.stream.as_mut().map_or(Ok(()), |stream| stream.deregister(registry))
    }
}

#[test]
fn a_source_of_mios_registers_itself_and_may_use_the_loop_meanwhile() {
    World::on_readiness(|world| {
        let (mut far, near) = UnixStream::pair().expect("a pair of sockets");
        near.set_nonblocking(true).expect("a non-blocking socket");
        let log = Rc::new(RefCell::new(Vec::new()));
        let stream = Some(mio::net::UnixStream::from_std(near));
        let nosy = Nosy { stream, handle: Some(world.handle()), log: Rc::clone(&log) };
        let told = Rc::new(Cell::new(0));
        let count = Rc::clone(&told);
        let watch =
            world.handle().watch(Mio(nosy), Interest::READABLE, move |nosy: &mut Mio<Nosy>, ready| {
                assert!(ready.is_readable() && !ready.is_writable());
                let mut byte = [0];
                let read = std::io::Read::read(nosy.stream.as_mut().expect("a stream"), &mut byte);
                count.set(count.get() + read.expect("a byte"));
            });
        let watch = watch.expect("a watch");
        far.write_all(b"xy").expect("a write");
        world.until(|| told.get() == 2);
        world.settle();
        assert_eq!(log.take(), ["register", "reregister", "reregister"]);
        watch.pause().expect("a pause");
        far.write_all(b"z").expect("a write");
        world.settle();
        assert_eq!((told.get(), log.take()), (2, vec!["deregister"]));
        watch.resume().expect("an end of the pause");
        world.until(|| told.get() == 3);
        drop(watch.remove().expect("the source"));
        assert_eq!(log.take(), ["register", "reregister", "deregister"]);
    });
}
