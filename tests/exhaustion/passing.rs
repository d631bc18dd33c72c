//! Descriptors that are sent to a process which has no room for them.

use std::cell::RefCell;
use std::fs::File;
use std::io::{IoSlice, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use marline_reactor::backend::Opening;
use marline_reactor::{DescriptorsCut, Lost, Protocol, Reactor, Reason, Transport};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};

use super::limit::Limit;
use super::{descriptors, reactor, until};

/// What became of a connection.
#[derive(Clone, Default)]
struct Told {
    bytes: Rc<RefCell<Vec<u8>>>,
    kept: Rc<RefCell<Vec<OwnedFd>>>,
    lost: Rc<RefCell<Option<Lost>>>,
}

impl Protocol for Told {
    fn descriptor_received(&mut self, _: &Transport, descriptor: OwnedFd) {
        self.kept.borrow_mut().push(descriptor);
    }

    fn data_received(&mut self, _: &Transport, data: &[u8]) {
        self.bytes.borrow_mut().extend_from_slice(data);
    }

    fn connection_lost(&mut self, _: &Transport, lost: &Lost) {
        *self.lost.borrow_mut() = Some(lost.clone());
    }
}

/// A connection that descriptors are passed over, and its far end.
fn passing(reactor: &Reactor) -> (Told, UnixStream) {
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    let told = Told::default();
    reactor.handle().adopt_stream(Opening::with_descriptors(ours), told.clone()).expect("a stream");
    (told, theirs)
}

/// Sends the same descriptor so many times with one byte.
fn send(to: &UnixStream, descriptor: &File, count: usize) {
    let several = vec![descriptor.as_fd(); count];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(&several)));
    let sent = rustix::net::sendmsg(to, &[IoSlice::new(b"!")], &mut control, SendFlags::empty());
    assert_eq!(sent, Ok(1));
}

fn u03_without_room_for_descriptors_their_connection_alone_is_lost_and_nothing_leaks(backend: &str) {
    let limit = Limit::lower();
    let reactor = reactor(backend);
    let (hostile, sender) = passing(&reactor);
    let (friend, other) = passing(&reactor);
    let null = File::open("/dev/null").expect("a device");
    send(&other, &null, 2);
    until(&reactor, || friend.bytes.borrow().len() == 1);
    assert_eq!(friend.kept.borrow().len(), 2);

    let mut exhausted = limit.exhaust();
    // Some of what is sent finds room, and so does the look at the list.
    exhausted.truncate(exhausted.len() - 4);
    let before = descriptors().len();
    send(&sender, &null, 20);
    until(&reactor, || hostile.lost.borrow().is_some());
    let lost = hostile.lost.take().expect("a loss");
    let Reason::Io(error) = lost.reason() else { panic!("{lost}") };
    assert!(error.get_ref().is_some_and(|inner| inner.is::<DescriptorsCut>()), "{lost}");
    assert!(hostile.kept.borrow().is_empty() && hostile.bytes.borrow().is_empty());
    until(&reactor, || reactor.handle().stats().connections == 1);
    // Only the connection's own is gone.
    assert_eq!(descriptors().len(), before - 1);

    (&other).write_all(b"bytes").expect("room");
    send(&other, &null, 1);
    until(&reactor, || friend.bytes.borrow().len() == 7);
    assert_eq!(friend.kept.borrow().len(), 3);
}

crate::alone_on_sockets! {
    u03_without_room_for_descriptors_their_connection_alone_is_lost_and_nothing_leaks
}
