//! Everything is under way, and then it ends: what was lent comes back once, and no descriptor stays.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use marline_reactor::{Addresses, Transport};

use crate::support::{DeadEnd, Event, Log, Raw, Trace, World};

/// More than any socket's buffers hold.
const MUCH: usize = 60 * 1024 * 1024;

/// Bytes that count how often they are dropped.
struct Counted {
    bytes: Vec<u8>,
    drops: Arc<AtomicUsize>,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.drops.fetch_add(1, Ordering::Relaxed);
    }
}

type End = fn(&Transport, &Raw);

/// How it ends, and what the connection is told.
const ENDS: [(&str, End); 7] = [
    ("Timeout", |transport, _| transport.close()),
    ("Aborted", |transport, _| transport.abort()),
    ("Failed", |transport, _| transport.fail("a failure")),
    ("Panicked", |_, raw| _ = raw.write(b"panic")),
    ("Reset", |_, raw| raw.reset()),
    ("Aborted", |transport, _| {
        transport.close();
        transport.abort();
    }),
    ("Shutdown", |transport, _| transport.handle().shutdown()),
];

/// A connection with a receive and a send of much, beside an accept, and a connect that nobody answers.
struct Scene {
    log: Log,
    transport: Transport,
    raw: Raw,
    drops: Arc<AtomicUsize>,
    connected: Rc<Cell<Option<bool>>>,
    _dead_end: DeadEnd,
}

impl Scene {
    fn new(world: &World) -> Self {
        let (log, drops) = (Log::new(), Arc::new(AtomicUsize::new(0)));
        let panics = Trace::new(&log).with(|_, event, _| {
            assert!(!matches!(event, Event::Data(_)), "a panic on purpose");
        });
        let (transport, raw) = world.accept_one(panics);
        transport.set_close_timeout(Duration::from_millis(50));
        world.listen(|_| Trace::new(&Log::new()));
        let (dead_end, connected) = (DeadEnd::new(world), Rc::new(Cell::new(None)));
        let told = Rc::clone(&connected);
        let factory = |_: &Addresses| Trace::new(&Log::new());
        world.handle().connect(dead_end.endpoint(), factory, move |outcome| told.set(Some(outcome.is_ok())));
        let counted = Counted { bytes: vec![b'm'; MUCH], drops: Arc::clone(&drops) };
        assert!(transport.write_owned(Bytes::from_owner(counted)).is_accepted());
        assert!(
            transport
                .write_owned(Bytes::from_owner(Counted { bytes: vec![b'n'; 10], drops: Arc::clone(&drops) }))
                .is_accepted()
        );
        world.settle();
        assert!(transport.buffered() > MUCH / 4, "much of it was sent");
        assert_eq!((drops.load(Ordering::Relaxed), connected.get()), (0, None));
        Self { log, transport, raw, drops, connected, _dead_end: dead_end }
    }
}

pub fn whatever_ends_it(world: &World) {
    for (reason, end) in ENDS {
        // Some ends are the loop's.
        let world = world.fresh();
        let scene = Scene::new(&world);
        end(&scene.transport, &scene.raw);
        world.until(|| scene.log.is_lost());
        assert_eq!((scene.log.losses(), scene.log.reason().as_deref()), (1, Some(reason)));
        world.until(|| scene.drops.load(Ordering::Relaxed) == 2);
        drop(world);
        assert_eq!(scene.drops.load(Ordering::Relaxed), 2, "and once each");
        assert_eq!(scene.connected.get(), (reason == "Shutdown").then_some(false));
    }
}

pub fn the_end_of_the_loop(world: World) {
    let scene = Scene::new(&world);
    drop(world);
    assert_eq!((scene.drops.load(Ordering::Relaxed), scene.log.losses()), (2, 0));
    assert_eq!(scene.connected.get(), None);
}
