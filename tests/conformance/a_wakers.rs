//! A: wakers are code of others: what they do harms nobody else who waits.

use std::cell::RefCell;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use crate::conformance;
use crate::support::World;

/// A waker that panics.
struct Bomb;

impl Wake for Bomb {
    fn wake(self: Arc<Self>) {
        panic!("a waker that panics");
    }
}

conformance! {
    fn a24_a_readers_waker_that_panics_leaves_no_writer_waiting(world: &World) {
        let (stream, raw) = world.stream();
        let told = Rc::new(RefCell::new(Vec::new()));
        let tells = Rc::clone(&told);
        world.handle().on_failure(move |failure| tells.borrow_mut().push(failure.to_string()));
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
}
