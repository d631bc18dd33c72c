//! A: wakers are code of others: what they do harms nobody else who waits.

use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use marline_reactor::{Addresses, Lost, Protocol, Transport};
use marline_tasks::{Stream, StreamProtocol, conversation};

use crate::conformance;
use crate::support::{Drops, World, failures};

/// A waker that panics.
struct Bomb;

impl Wake for Bomb {
    fn wake(self: Arc<Self>) {
        panic!("a waker that panics");
    }
}

/// Keeps the protocol under a stream when its connection is lost.
struct Keep {
    inner: Option<StreamProtocol>,
    kept: Rc<RefCell<Option<StreamProtocol>>>,
}

impl Protocol for Keep {
    fn connection_made(&mut self, transport: &Transport) {
        self.inner.iter_mut().for_each(|inner| inner.connection_made(transport));
    }

    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        self.inner.iter_mut().for_each(|inner| inner.data_received(transport, data));
    }

    fn connection_lost(&mut self, transport: &Transport, lost: &Lost) {
        self.inner.iter_mut().for_each(|inner| inner.connection_lost(transport, lost));
        *self.kept.borrow_mut() = self.inner.take();
    }
}

conformance! {
    fn a24_a_readers_waker_that_panics_leaves_no_writer_waiting(world: &World) {
        let (stream, raw) = world.stream();
        let told = failures(&world.handle());
        let (reading, writing) = stream.into_split();
        let payload = vec![0; 64 << 20];
        let writer = world.spawn(async move { writing.write_all(&payload).await.is_err() });
        let waker = Waker::from(Arc::new(Bomb));
        let mut buffer = [0; 1];
        let mut read = pin!(reading.read(&mut buffer));
        assert!(read.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        world.settle();
        raw.reset();
        assert!(world.join(writer));
        let told = told.borrow();
        assert!(told.len() == 1 && told[0].contains("a stream") && told[0].contains("a waker that panics"), "{told:?}");
    }

    fn a05_a_protocol_that_is_kept_keeps_no_tasks(world: &World) {
        let (world, drops) = (world.fresh(), Drops::new());
        let (kept, talked) = (Rc::new(RefCell::new(None)), Rc::new(Cell::new(0)));
        let (keeps, talks) = (Rc::clone(&kept), Rc::clone(&talked));
        let mut talk = conversation(move |stream: Stream| {
            talks.set(talks.get() + 1);
            async move { drop(stream) }
        });
        let keep = move |addresses: &Addresses| Keep { inner: talk(addresses), kept: Rc::clone(&keeps) };
        let server = world.listen(keep);
        let raw = world.connect_raw(&server);
        world.until(|| raw.is_finished());
        raw.close();
        world.until(|| kept.borrow().is_some());
        let witness = drops.witness();
        let task = world.spawn(async move {
            std::future::pending::<()>().await;
            drop(witness);
        });
        world.settle();
        drop((task, server, world));
        assert_eq!((drops.count(), talked.get()), (1, 1));
        drop(kept.take());
    }
}
