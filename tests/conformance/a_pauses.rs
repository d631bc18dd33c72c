//! A: whoever has the transport of a stream may pause it, and the next read goes on all the same.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use marline_reactor::policy::{Event, Policy, Wrapper};
use marline_reactor::{
    Addresses, ConnectDone, ConnectFactory, Connecting, Endpoint, EndpointKind, EndpointParts, Handle, Lost,
    Protocol, Transport,
};
use marline_tasks::{JoinHandle, Stream, StreamProtocol, conversation, yield_now};

use crate::conformance;
use crate::support::{Event as Told, Log, Raw, RawListener, Trace, World};

/// A transport, where the task that wants it finds it.
type Place = Rc<RefCell<Option<Transport>>>;

conformance! {
    fn a18_who_connects_with_a_conversation_may_pause_it(world: &World) {
        let (listener, place) = (world.listen_raw(), Place::default());
        let kept = Rc::clone(&place);
        let (talk, read) = talk(&place);
        world.handle().connect(listener.endpoint(), talk, move |made| {
            *kept.borrow_mut() = made.ok();
        });
        goes_on(world, &accepted(world, &listener), &read);
    }

    fn a18_a_protocol_around_a_stream_may_pause_it(world: &World) {
        let place = Place::default();
        let (mut talk, read) = talk(&place);
        let around = Rc::clone(&place);
        let make = move |addresses: &Addresses| {
            let inner = talk(addresses).expect("a protocol");
            Around { inner, place: Rc::clone(&around) }
        };
        let server = world.listen(make);
        goes_on(world, &world.connect_raw(&server), &read);
    }

    fn a18_a_policy_around_a_stream_may_pause_it(world: &World) {
        let place = Place::default();
        let (mut talk, read) = talk(&place);
        let keep = Keep(Rc::clone(&place));
        let make = move |addresses: &Addresses| {
            let inner = talk(addresses).expect("a protocol");
            Wrapper::with(keep.clone(), inner)
        };
        let server = world.listen(make);
        goes_on(world, &world.connect_raw(&server), &read);
    }

    fn a18_a_kind_of_endpoint_of_the_programs_may_pause_what_it_connects(world: &World) {
        let listener = world.listen_raw();
        let endpoint = Endpoint::of_kind(Keeping(listener.endpoint()), "keeping:it");
        let task = world.spawn(async move {
            let stream = Stream::connect(endpoint).await.expect("a connection");
            pause_and_read(&stream, &KEPT.with(Rc::clone)).await
        });
        goes_on(world, &accepted(world, &listener), &RefCell::new(Some(task)));
    }

    fn a18_who_took_the_transport_before_it_was_a_stream_may_pause_it(world: &World) {
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log));
        world.until(|| log.count(&Told::Made) == 1);
        let stream = Stream::from_transport(&transport).expect("a live connection");
        let task = world.spawn(async move {
            pause_and_read(&stream, &Rc::new(RefCell::new(Some(transport)))).await
        });
        goes_on(world, &raw, &RefCell::new(Some(task)));
    }

    fn a18_who_asked_the_stream_for_its_transport_may_pause_it(world: &World) {
        let (stream, raw) = world.stream();
        let task = world.spawn(async move {
            let place = Place::default();
            *place.borrow_mut() = stream.transport().ok();
            pause_and_read(&stream, &place).await
        });
        goes_on(world, &raw, &RefCell::new(Some(task)));
    }
}

type Read = JoinHandle<io::Result<usize>>;
/// Where the test finds such a task.
type Reads = Rc<RefCell<Option<Read>>>;

/// A conversation that does as [`pause_and_read`] says with the transport that is put there, and what it read.
fn talk(place: &Place) -> (impl FnMut(&Addresses) -> Option<StreamProtocol> + use<>, Reads) {
    let (place, read) = (Rc::clone(place), Reads::default());
    let told = Rc::clone(&read);
    let talk = conversation(move |stream: Stream| {
        let (place, told) = (Rc::clone(&place), Rc::clone(&told));
        async move {
            let task = marline_tasks::spawn(async move { pause_and_read(&stream, &place).await });
            *told.borrow_mut() = Some(task);
        }
    });
    (talk, read)
}

/// A read finds nothing and is given up; the reading is paused; another read.
async fn pause_and_read(stream: &Stream, place: &Place) -> io::Result<usize> {
    let mut buffer = [0; 4096];
    let transport = loop {
        let there = place.borrow_mut().take();
        if let Some(transport) = there {
            break transport;
        }
        yield_now().await;
    };
    {
        let mut read = pin!(stream.read(&mut buffer));
        let polled = poll_fn(|context| Poll::Ready(read.as_mut().poll(context).is_pending())).await;
        assert!(polled && transport.is_reading());
    }
    transport.pause_reading();
    yield_now().await;
    assert!(transport.is_paused());
    stream.read(&mut buffer).await
}

/// The task that waits in vain first gets what comes then.
fn goes_on(world: &World, raw: &Raw, read: &RefCell<Option<Read>>) {
    world.until(|| read.borrow().is_some());
    world.settle();
    raw.write(b"bytes");
    let task = read.borrow_mut().take().expect("a task");
    let count = world.join(task).expect("bytes");
    assert!((1..=5).contains(&count), "{count}");
}

fn accepted(world: &World, listener: &RawListener) -> Raw {
    let raw = RefCell::new(None);
    world.until(|| {
        let mut raw = raw.borrow_mut();
        *raw = raw.take().or_else(|| listener.accept());
        raw.is_some()
    });
    raw.take().expect("a connection")
}

/// Leaves everything to the stream, and gives the transport away.
struct Around {
    inner: StreamProtocol,
    place: Place,
}

impl Protocol for Around {
    fn connection_made(&mut self, transport: &Transport) {
        *self.place.borrow_mut() = Some(transport.clone());
        self.inner.connection_made(transport);
    }

    fn readable(&mut self, transport: &Transport) -> bool {
        self.inner.readable(transport)
    }

    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        self.inner.data_received(transport, data);
    }

    fn connection_lost(&mut self, transport: &Transport, lost: &Lost) {
        self.inner.connection_lost(transport, lost);
    }
}

/// The same as a policy.
#[derive(Clone)]
struct Keep(Place);

impl Policy for Keep {
    fn before(&mut self, transport: &Transport, event: Event<'_>) {
        if matches!(event, Event::Made) {
            *self.0.borrow_mut() = Some(transport.clone());
        }
    }

    fn needs_no_input(&self) -> bool {
        true
    }
}

thread_local! {
    /// What [`Keeping`] kept, which may know no place of one thread.
    static KEPT: Place = Place::default();
}

/// Connects as another does, and keeps the transport.
struct Keeping(String);

impl EndpointKind for Keeping {
    fn connect(
        &self,
        handle: &Handle,
        _: &EndpointParts,
        factory: ConnectFactory,
        done: ConnectDone,
    ) -> Connecting {
        handle.connect(self.0.clone(), factory, |made| {
            KEPT.with(|kept| *kept.borrow_mut() = made.as_ref().ok().cloned());
            done(made);
        })
    }
}
