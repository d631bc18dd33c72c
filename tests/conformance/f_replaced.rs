//! F: a source that turns into another while it is watched, or is asked for while it is lent.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use marline_reactor::{Handle, Interest, Mio};

use crate::conformance;
use crate::support::{Near, World};

conformance! {
    fn what_becomes_ready_while_the_source_is_lent_is_told_afterwards(world: &World) {
        for interest in [Interest::READABLE, Interest::READABLE.edge()] {
            let (near, mut far) = world.source();
            let calls = Rc::new(Cell::new(0));
            let count = Rc::clone(&calls);
            let watch = world.handle().watch(near, interest, move |near: &mut Near, _| {
                near.drain();
                count.set(count.get() + 1);
            });
            let watch = watch.expect("a watch");
            far.signal();
            watch.with(|_| world.turn_with_event());
            assert_eq!(calls.get(), 0, "it is lent");
            world.until(|| calls.get() == 1);
            drop(watch.remove());
        }
    }
}

/// A number that is watched, whose socket is about to be closed.
struct Replaced {
    watched: Option<OwnedFd>,
    next: UnixStream,
    spare: UnixStream,
    handle: Handle,
    /// How often the new user of the number was told.
    told: Rc<Cell<usize>>,
}

impl Replaced {
    /// The new socket gets the number, and is registered by another user of the loop; the watch gets another number.
    fn happen(&mut self, number: &mut RawFd) {
        let mut place = self.watched.take().expect("one call");
        rustix::io::dup2(&self.next, &mut place).expect("the number again");
        let stream = UnixStream::from(place);
        stream.set_nonblocking(true).expect("a non-blocking socket");
        let told = Rc::clone(&self.told);
        let stream = Mio(mio::net::UnixStream::from_std(stream));
        let again =
            self.handle.watch(stream, Interest::READABLE.edge(), move |_, _| told.set(told.get() + 1));
        again.expect("a watch");
        *number = self.spare.as_raw_fd();
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Where {
    Callback,
    PanickingCallback,
    With,
}

/// Replaces what is watched: the new user of the number is told, and the handler of failures once, on no stack of ours.
#[track_caller]
fn assert_left_alone(world: &World, interest: Interest, place: Where) {
    let pair = || UnixStream::pair().expect("a pair of sockets");
    let ((watched, mut watched_far), (next, mut next_far), (spare, _spare_far)) = (pair(), pair(), pair());
    let (handle, told) = (world.handle(), Rc::new(Cell::new(0)));
    let (inside, reports) = (Rc::new(Cell::new(false)), Rc::new(RefCell::new(Vec::new())));
    let (within, log) = (Rc::clone(&inside), Rc::clone(&reports));
    handle.on_failure(move |failure| log.borrow_mut().push((within.get(), failure.to_string())));
    let number = watched.as_raw_fd();
    let replaced = Replaced {
        watched: Some(watched.into()),
        next,
        spare,
        handle: handle.clone(),
        told: Rc::clone(&told),
    };
    let replaced = Rc::new(RefCell::new(replaced));
    let own = Rc::clone(&replaced);
    let watch = handle.watch(number, interest, move |number: &mut RawFd, _| {
        own.borrow_mut().happen(number);
        assert!(place != Where::PanickingCallback, "after it was replaced");
    });
    let watch = watch.expect("a watch");
    if place == Where::With {
        inside.set(true);
        watch.with(|number| replaced.borrow_mut().happen(number));
        inside.set(false);
        assert!(!watch.is_watched());
    } else {
        watched_far.write_all(b"x").expect("a write");
        world.until(|| !watch.is_watched());
    }
    next_far.write_all(b"x").expect("a write");
    world.until(|| told.get() == 1);
    world.settle();
    let reports = reports.take();
    let replaced = format!("descriptor {number} was replaced while it was watched");
    let wanted = if place == Where::PanickingCallback { "after it was replaced" } else { &replaced };
    assert!(matches!(&reports[..], [(false, report)] if report.contains(wanted)), "{reports:?}");
    handle.remove_all_watches();
}

#[test]
fn f05_a_source_replaced_in_its_place_ends_the_watch_and_its_old_number_is_left_alone() {
    World::on_readiness(|world| {
        for interest in [Interest::READABLE, Interest::READABLE.edge()] {
            for place in [Where::Callback, Where::PanickingCallback, Where::With] {
                assert_left_alone(world, interest, place);
            }
        }
    });
}

#[test]
fn f05_a_source_replaced_before_it_is_removed_leaves_its_old_number_alone() {
    World::on_readiness(|world| {
        let (first, _first_far) = UnixStream::pair().expect("a pair of sockets");
        let (second, mut second_far) = UnixStream::pair().expect("a pair of sockets");
        let number = Rc::new(Cell::new(first.as_raw_fd()));
        let handle = world.handle();
        let renumbered = Renumbered(Rc::clone(&number));
        let watch = handle.watch(renumbered, Interest::READABLE, |_: &mut Renumbered, _| unreachable!());
        let watch = watch.expect("a watch");
        let mut place = OwnedFd::from(first);
        rustix::io::dup2(&second, &mut place).expect("the number again");
        let stream = UnixStream::from(place);
        stream.set_nonblocking(true).expect("a non-blocking socket");
        let told = Rc::new(Cell::new(0));
        let count = Rc::clone(&told);
        let again = Mio(mio::net::UnixStream::from_std(stream));
        let again = handle.watch(again, Interest::READABLE.edge(), move |_, _| count.set(count.get() + 1));
        again.expect("a watch");
        number.set(second.as_raw_fd());
        assert!(watch.set_interest(Interest::WRITABLE).expect_err("another number").is_gone());
        assert!(watch.remove().is_none());
        second_far.write_all(b"x").expect("a write");
        world.until(|| told.get() == 1);
    });
}

/// A source whose number changes behind the loop's back.
struct Renumbered(Rc<Cell<RawFd>>);

impl AsRawFd for Renumbered {
    fn as_raw_fd(&self) -> RawFd {
        self.0.get()
    }
}

#[test]
fn a_refused_interest_leaves_the_one_before() {
    World::on_readiness(|world| {
        let (near, _far) = UnixStream::pair().expect("a pair of sockets");
        let reports = Rc::new(Cell::new(0));
        let count = Rc::clone(&reports);
        world.handle().on_failure(move |_| count.set(count.get() + 1));
        let mut near = OwnedFd::from(near);
        let watch =
            world.handle().watch(near.as_raw_fd(), Interest::EMPTY, |_: &mut RawFd, _| unreachable!());
        let watch = watch.expect("a watch");
        // What can be watched no more: the system refuses with EPERM.
        rustix::io::dup2(File::open("/dev/null").expect("a file"), &mut near).expect("the number again");
        let refused = watch.set_interest(Interest::READABLE).expect_err("a refusal");
        assert!(!refused.is_gone(), "{refused}");
        assert_eq!(watch.interest(), Some(Interest::EMPTY));
        watch.with(|_| watch.set_interest(Interest::WRITABLE).expect("not asked yet"));
        assert_eq!((watch.interest(), reports.get()), (Some(Interest::EMPTY), 0));
        world.settle();
        assert_eq!(reports.get(), 1);
        assert!(watch.remove().is_some());
    });
}
