//! The filter in a loop.
//!
//! - `memory.rs`: on memory, with a clock that stands still, against itself and against peers that the test plays.
//! - `upgrades.rs`: TLS on connections that stand. `sockets.rs`: on real sockets, on each backend.

mod memory;
mod sockets;
mod upgrades;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use marline_reactor::testing::{Chunking, MemoryReactor};
use marline_reactor::{
    Addresses, ConnectError, Handle, IntoEndpoint, Lost, OnEof, Protocol, Reason, Server, Transport, filter,
};

use crate::{ClientTls, ServerTls, StartTls, TlsError, TlsInfo};

/// What a protocol was told.
#[derive(Default)]
struct Trace {
    /// The callbacks, in their order; of several `data` in a row one.
    events: RefCell<Vec<&'static str>>,
    data: RefCell<Vec<u8>>,
    transport: RefCell<Option<Transport>>,
    lost: RefCell<Option<Lost>>,
    /// What was known of TLS at the loss.
    info: RefCell<Option<Rc<TlsInfo>>>,
}

impl Trace {
    fn note(&self, event: &'static str) {
        let mut events = self.events.borrow_mut();
        if event != "data" || events.last() != Some(&event) {
            events.push(event);
        }
    }

    fn transport(&self) -> Transport {
        self.transport.borrow().clone().expect("a connection that was made")
    }

    fn reason(&self) -> Reason {
        self.lost.borrow().as_ref().expect("a connection that was lost").reason().clone()
    }

    fn error(&self) -> TlsError {
        match self.reason() {
            Reason::Failed(error) => error.downcast_ref::<TlsError>().expect("an error of TLS").clone(),
            other => panic!("{other:?}"),
        }
    }

    fn events(&self) -> Vec<&'static str> {
        self.events.borrow().clone()
    }
}

type OnMade = Box<dyn FnOnce(&Transport)>;
type OnData = Box<dyn FnMut(&Transport, &[u8])>;

/// A protocol that writes down what it is told.
struct Log {
    trace: Rc<Trace>,
    on_made: Option<OnMade>,
    on_data: OnData,
    on_eof: OnEof,
}

impl Log {
    fn new(trace: &Rc<Trace>) -> Self {
        Self { trace: Rc::clone(trace), on_made: None, on_data: Box::new(|_, _| ()), on_eof: OnEof::Close }
    }

    fn on_made(mut self, call: impl FnOnce(&Transport) + 'static) -> Self {
        self.on_made = Some(Box::new(call));
        self
    }

    fn on_data(mut self, call: impl FnMut(&Transport, &[u8]) + 'static) -> Self {
        self.on_data = Box::new(call);
        self
    }

    fn keep_open(mut self) -> Self {
        self.on_eof = OnEof::KeepOpen;
        self
    }
}

impl Protocol for Log {
    fn connection_made(&mut self, transport: &Transport) {
        self.trace.note("made");
        *self.trace.transport.borrow_mut() = Some(transport.clone());
        self.on_made.take().into_iter().for_each(|call| call(transport));
    }

    fn filter_established(&mut self, _: &Transport) {
        self.trace.note("established");
    }

    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        self.trace.note("data");
        self.trace.data.borrow_mut().extend_from_slice(data);
        (self.on_data)(transport, data);
    }

    fn eof_received(&mut self, _: &Transport) -> OnEof {
        self.trace.note("eof");
        self.on_eof
    }

    fn connection_lost(&mut self, transport: &Transport, lost: &Lost) {
        *self.trace.info.borrow_mut() = transport.tls();
        self.trace.note("lost");
        *self.trace.lost.borrow_mut() = Some(lost.clone());
    }
}

type Outcome = Rc<RefCell<Option<Result<Transport, ConnectError>>>>;

/// Listens with TLS, for one connection.
fn serve(handle: &Handle, endpoint: impl IntoEndpoint, server: &ServerTls, log: Log) -> Server {
    let (server, mut log) = (server.clone(), Some(log));
    let factory = move |_: &Addresses| Some(Box::new(log.take()?) as Box<dyn Protocol>);
    filter::listen(handle, endpoint, move |_| server.filter(), Box::new(factory)).expect("a listener")
}

/// Connects with TLS to `a.example`.
fn connect(handle: &Handle, endpoint: impl IntoEndpoint, client: &ClientTls, log: Log) -> Outcome {
    let outcome = Outcome::default();
    let (told, made) = (Rc::clone(&outcome), client.filter("a.example").expect("a name"));
    let done = move |result| *told.borrow_mut() = Some(result);
    filter::connect(handle, endpoint, |_| made, Box::new(|_| Some(Box::new(log))), Box::new(done));
    outcome
}

/// Runs the test on memory: tame, with single bytes, and as chance wants it.
fn on_memory(test: impl Fn(&MemoryReactor)) {
    test(&MemoryReactor::new());
    let single = MemoryReactor::new();
    single.network().set_chunking(Chunking::Fixed(1));
    test(&single);
    for seed in 0..8 {
        println!("seed {seed}");
        test(&MemoryReactor::seeded(seed));
    }
}

/// A call that counts.
fn counter() -> (Rc<Cell<usize>>, impl Fn() + Clone) {
    let count = Rc::new(Cell::new(0));
    let counted = Rc::clone(&count);
    (count, move || counted.set(counted.get() + 1))
}
