//! What the loop allocates in the steady state: nothing.
//!
//! Each test warms everything up, and then counts what its own thread allocates. Clients run on other threads, or allocate
//! nothing.

mod datagrams;
mod fan_out;
mod policies;
mod tasks;
mod tls;

use std::cell::{Cell, RefCell};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use marline_reactor::{Addresses, Handle, OnEof, Protocol, Reactor, Server, Transport};
use marline_tests::backends::reactor;
use marline_tests::counting::{Counting, Counts, counted};
use marline_tests::echo;
use socket2::{Domain, Socket, Type};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const WARM_UP: usize = 500;
/// So many messages are counted together.
const MEASURED: usize = 1_000;
const PARTS: usize = 4;

fn address_of(server: &Server) -> SocketAddr {
    server.local_address().and_then(|address| address.as_inet()).expect("an address")
}

/// Notes what was allocated for each part of the messages.
///
/// On a machine that is busy with something else, more may pile up at once than ever before, and a list grows for it. That
/// happens a few times at most, so the calmest part tells what a message takes.
#[derive(Clone, Default)]
struct Meter {
    messages: Rc<Cell<usize>>,
    /// The first message of each connection, until all are there.
    first: Rc<RefCell<Vec<(Transport, Message)>>>,
    begun: Rc<Cell<Counts>>,
    parts: Rc<RefCell<Vec<Counts>>>,
}

impl Meter {
    fn message(&self) {
        self.messages.set(self.messages.get() + 1);
        let Some(counted) = self.messages.get().checked_sub(WARM_UP) else { return };
        if counted % MEASURED == 0 && counted / MEASURED <= PARTS {
            if counted > 0 {
                self.parts.borrow_mut().push(Counts::here().since(self.begun.get()));
            }
            self.begun.set(Counts::here());
        }
    }

    #[track_caller]
    fn assert_nothing(&self) {
        let parts = self.parts.borrow();
        assert_eq!(parts.len(), PARTS, "too few messages");
        let calm = parts.iter().filter(|counts| counts.allocations == 0).count();
        let all: u64 = parts.iter().map(|counts| counts.allocations).sum();
        assert!(calm > 0 && all < 32, "for {MEASURED} messages each: {parts:?}");
    }
}

type Message = [u8; echo::MESSAGE];

/// How an echo goes about it.
#[derive(Clone, Copy)]
enum Style {
    Plain,
    /// In three writes, of which one is flushed.
    Pieces,
    /// From a later callback.
    Later,
    /// With a pause until a later callback.
    Pausing,
    /// Received into the protocol's memory.
    Own,
}

impl Style {
    fn answer(self, transport: &Transport, data: Message) {
        let other = transport.clone();
        match self {
            Self::Plain | Self::Own => {
                transport.write(data);
            }
            Self::Pieces => {
                transport.write(&data[..1]);
                transport.flush();
                transport.write(&data[1..2]);
                transport.write(&data[2..]);
            }
            Self::Later => {
                transport.handle().call_soon(move || {
                    other.write([b'x'; echo::MESSAGE]);
                });
            }
            Self::Pausing => {
                transport.write(data);
                transport.pause_reading();
                transport.handle().call_soon(move || other.resume_reading());
            }
        }
    }
}

struct Echo {
    meter: Meter,
    style: Style,
    connections: usize,
    memory: [u8; 4096],
}

impl Echo {
    /// The first messages are answered all in one go: from then on, whatever number of connections happen to be busy at a
    /// time, it is no new record.
    fn answer(&self, transport: &Transport, data: &[u8]) {
        let data = data.try_into().expect("a message, which is small enough to arrive whole");
        self.meter.message();
        if self.meter.messages.get() > self.connections {
            return self.style.answer(transport, data);
        }
        self.meter.first.borrow_mut().push((transport.clone(), data));
        if self.meter.messages.get() == self.connections {
            let first = self.meter.first.take();
            first.into_iter().for_each(|(transport, data)| self.style.answer(&transport, data));
        }
    }
}

impl Protocol for Echo {
    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        self.answer(transport, data);
    }

    fn receive_buffer(&mut self) -> Option<&mut [u8]> {
        matches!(self.style, Style::Own).then_some(&mut self.memory[..])
    }

    fn buffer_filled(&mut self, transport: &Transport, count: usize) {
        self.answer(transport, &self.memory[..count]);
    }
}

/// Serves `connections` clients in another thread, which make round trips in lock step.
fn measure(backend: &str, style: Style, connections: usize) {
    measure_within(backend, style, connections, |echo| echo);
}

/// The same with layers around each protocol.
fn measure_within<P: Protocol>(
    backend: &str,
    style: Style,
    connections: usize,
    layers: impl Fn(Echo) -> P + 'static,
) {
    let (reactor, meter) = (reactor(backend), Meter::default());
    let factory = {
        let meter = meter.clone();
        move |_: &Addresses| layers(Echo { meter: meter.clone(), style, connections, memory: [0; 4096] })
    };
    let server = reactor.handle().listen("tcp://127.0.0.1:0", factory).expect("a listener");
    let (address, stopper, left) = (address_of(&server), server.clone(), Cell::new(connections));
    server.on_lost(move |_, _| {
        left.set(left.get() - 1);
        if left.get() == 0 {
            stopper.stop();
        }
    });
    let rounds = (WARM_UP + PARTS * MEASURED).div_ceil(connections) + 1;
    let client = thread::spawn(move || -> io::Result<()> {
        let mut streams = (0..connections).map(|_| echo::connect(address)).collect::<io::Result<Vec<_>>>()?;
        if matches!(style, Style::Later) {
            return (0..rounds).try_for_each(|round| {
                echo::write_all(&mut streams, round)?;
                streams.iter_mut().try_for_each(|stream| stream.read_exact(&mut [0; echo::MESSAGE]))
            });
        }
        echo::lockstep(&mut streams, rounds)
    });
    reactor.run().expect("a run");
    client.join().expect("no panic").expect("round trips");
    meter.assert_nothing();
}

fn an_echoed_message_allocates_nothing(backend: &str) {
    measure(backend, Style::Plain, 1);
    measure(backend, Style::Plain, 64);
}

fn nor_does_one_in_pieces(backend: &str) {
    measure(backend, Style::Pieces, 1);
    measure(backend, Style::Pieces, 8);
}

fn nor_one_that_is_answered_by_a_later_callback(backend: &str) {
    measure(backend, Style::Later, 1);
    measure(backend, Style::Later, 64);
}

fn nor_one_with_a_pause_after_it(backend: &str) {
    measure(backend, Style::Pausing, 1);
    measure(backend, Style::Pausing, 64);
}

fn nor_one_that_is_received_into_the_protocols_memory(backend: &str) {
    measure(backend, Style::Own, 1);
    measure(backend, Style::Own, 64);
}

/// Schedules `count` calls and runs them.
fn call_soon<F: FnOnce() + 'static>(reactor: &Reactor, count: usize, call: impl Fn() -> F) -> Counts {
    let handle = reactor.handle();
    let ((), counts) = counted(|| {
        for _ in 0..count {
            handle.call_soon(call());
        }
        while handle.stats().ready > 0 {
            reactor.turn(Some(Duration::ZERO)).expect("a turn");
        }
    });
    counts
}

fn a_call_of_up_to_four_words_allocates_nothing(backend: &str) {
    const CALLS: usize = 1_000;
    let reactor = reactor(backend);
    let sum = Rc::new(Cell::new(0));
    let words = |word: usize| -> (Rc<Cell<usize>>, usize) { (Rc::clone(&sum), word) };
    let call = |(sum, word): (Rc<Cell<usize>>, usize)| sum.set(sum.get() + word);
    let _warm_up = call_soon(&reactor, CALLS, || || {});
    assert_eq!(call_soon(&reactor, CALLS, || || {}).allocations, 0);
    let two = call_soon(&reactor, CALLS, || {
        let words = words(1);
        move || call(words)
    });
    let four = call_soon(&reactor, CALLS, || {
        let (words, more) = (words(1), [10, 100]);
        move || call((words.0, words.1 + more[0] + more[1]))
    });
    assert_eq!((two.allocations, four.allocations), (0, 0));
    // One more word is one allocation: the limit is where it is said to be, and the counter counts.
    let five = call_soon(&reactor, CALLS, || {
        let (words, more) = (words(1), [1, 2, 3]);
        move || call((words.0, words.1 + more[0] + more[1] + more[2]))
    });
    assert_eq!((five.allocations, five.bytes), (CALLS as u64, 0));
    assert_eq!(sum.get(), CALLS * (1 + 111 + 7));
}

fn a_cancelled_call_allocates_nothing(backend: &str) {
    let reactor = reactor(backend);
    let handle = reactor.handle();
    let cancelled = || {
        for _ in 0..1_000 {
            assert!(handle.call_soon(|| {}).cancel());
        }
        reactor.turn(Some(Duration::ZERO)).expect("a turn");
    };
    cancelled();
    assert_eq!(counted(cancelled).1.allocations, 0);
}

/// Sets timers beside `live` others, and cancels, resets or runs them.
fn timers(handle: &Handle, reactor: &Reactor, ran: &Rc<Cell<usize>>) {
    for number in 0..1_000 {
        let ran = Rc::clone(ran);
        let timer = handle.call_later(Duration::from_secs(number % 100), move || ran.set(ran.get() + 1));
        match number % 4 {
            0 => assert!(timer.reset(Duration::ZERO)),
            1 => {
                assert!(timer.reset(Duration::from_secs(7)));
                assert!(timer.cancel());
            }
            _ => assert!(timer.cancel()),
        }
    }
    while ran.get() < 250 {
        reactor.turn(Some(Duration::ZERO)).expect("a turn");
    }
    ran.set(0);
}

fn a_timer_that_is_set_and_cancelled_or_run_allocates_nothing(backend: &str) {
    for live in [0, 10_000] {
        let reactor = reactor(backend);
        let (handle, ran) = (reactor.handle(), Rc::new(Cell::new(0)));
        for number in 0..live {
            handle.call_later(Duration::from_secs(1_000 + number), || {});
        }
        timers(&handle, &reactor, &ran);
        let ((), counts) = counted(|| (0..10).for_each(|_| timers(&handle, &reactor, &ran)));
        assert_eq!(counts.allocations, 0, "beside {live} live timers");
        let repeating = handle.call_every(Duration::from_nanos(1), {
            let ran = Rc::clone(&ran);
            move || ran.set(ran.get() + 1)
        });
        let ((), counts) = counted(|| {
            while ran.get() < 100 {
                reactor.turn(Some(Duration::from_millis(5))).expect("a turn");
            }
        });
        repeating.cancel();
        assert_eq!(counts.allocations, 0, "of a repeating timer");
    }
}

/// Counts the flow callbacks.
struct Writer {
    made: Rc<RefCell<Option<Transport>>>,
    pauses: Rc<Cell<usize>>,
    resumes: Rc<Cell<usize>>,
}

impl Protocol for Writer {
    fn connection_made(&mut self, transport: &Transport) {
        *self.made.borrow_mut() = Some(transport.clone());
    }

    fn data_received(&mut self, _: &Transport, _: &[u8]) {}

    fn eof_received(&mut self, _: &Transport) -> OnEof {
        OnEof::KeepOpen
    }

    fn pause_writing(&mut self, _: &Transport) {
        self.pauses.set(self.pauses.get() + 1);
    }

    fn resume_writing(&mut self, _: &Transport) {
        self.resumes.set(self.resumes.get() + 1);
    }
}

/// Writes until the protocol is told to pause, and then reads until nothing is left, at the far end.
fn fill_and_drain(
    reactor: &Reactor,
    transport: &Transport,
    pauses: &Cell<usize>,
    peer: &mut TcpStream,
    size: usize,
) {
    static MESSAGE: [u8; 32 * 1024] = [7; 32 * 1024];
    let (mut written, before) = (0, pauses.get());
    while pauses.get() == before {
        while transport.buffered() <= 2 * transport.watermarks().1 {
            transport.write(&MESSAGE[..size]);
            transport.flush();
            written += size;
        }
        // The kernel may find more room meanwhile, so that no pause is due.
        reactor.turn(Some(Duration::ZERO)).expect("a turn");
    }
    let mut memory = [0; 64 * 1024];
    while written > 0 {
        match peer.read(&mut memory) {
            Ok(count) => written -= count,
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
        reactor.turn(Some(Duration::ZERO)).expect("a turn");
    }
    while transport.buffered() > 0 {
        reactor.turn(Some(Duration::from_millis(5))).expect("a turn");
    }
}

/// A listener whose connections have little room for what was not received.
fn narrow_listener() -> TcpListener {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_send_buffer_size(8 * 1024).expect("a small buffer");
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port");
    socket.listen(1).expect("a listener");
    socket.into()
}

fn writing_to_a_peer_that_pauses_allocates_nothing(backend: &str) {
    let reactor = reactor(backend);
    let (made, pauses, resumes) = (Rc::default(), Rc::<Cell<usize>>::default(), Rc::default());
    let writer = Writer { made: Rc::clone(&made), pauses: Rc::clone(&pauses), resumes: Rc::clone(&resumes) };
    let mut writer = Some(writer);
    let server = reactor.handle().adopt_listener(narrow_listener(), move |_: &Addresses| writer.take());
    let mut peer = echo::connect(address_of(&server.expect("a listener"))).expect("a connection");
    peer.set_nonblocking(true).expect("a non-blocking socket");
    while made.borrow().is_none() {
        reactor.turn(Some(Duration::from_millis(5))).expect("a turn");
    }
    let transport = made.borrow().clone().expect("a transport");
    for size in [100, 1_000, 30_000] {
        (0..20).for_each(|_| fill_and_drain(&reactor, &transport, &pauses, &mut peer, size));
        let before = (pauses.get(), resumes.get());
        let ((), counts) =
            counted(|| (0..10).for_each(|_| fill_and_drain(&reactor, &transport, &pauses, &mut peer, size)));
        let told = (pauses.get() - before.0, resumes.get() - before.1);
        assert_eq!(told, (10, 10), "for messages of {size} bytes");
        assert_eq!(counts.allocations, 0, "for messages of {size} bytes: {counts:?}");
    }
}

/// Sends as much at a time as the sockets hold, which is more than one receive brings.
fn a_burst_that_takes_several_receives_allocates_nothing(backend: &str) {
    const BURST: usize = 2 * 1024 * 1024;
    let (reactor, got) = (reactor(backend), Rc::new(Cell::new(0)));
    let seen = Rc::clone(&got);
    let server = reactor.handle().listen("tcp://127.0.0.1:0", move |_: &Addresses| {
        let seen = Rc::clone(&seen);
        move |_: &Transport, data: &[u8]| seen.set(seen.get() + data.len())
    });
    let mut peer = echo::connect(address_of(&server.expect("a listener"))).expect("a connection");
    peer.set_nonblocking(true).expect("a non-blocking socket");
    let bytes = vec![7; BURST];
    let mut burst = || {
        let (mut sent, begun) = (0, got.get());
        while got.get() < begun + BURST {
            match peer.write(&bytes[sent..]) {
                Ok(count) => sent += count,
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
            reactor.turn(Some(Duration::from_millis(5))).expect("a turn");
        }
    };
    (0..20).for_each(|_| burst());
    let ((), counts) = counted(|| (0..10).for_each(|_| burst()));
    assert_eq!(counts.allocations, 0, "{counts:?}");
}

marline_tests::on_sockets! {
    a_burst_that_takes_several_receives_allocates_nothing
    an_echoed_message_allocates_nothing
    nor_does_one_in_pieces
    nor_one_that_is_answered_by_a_later_callback
    nor_one_with_a_pause_after_it
    nor_one_that_is_received_into_the_protocols_memory
    a_call_of_up_to_four_words_allocates_nothing
    a_cancelled_call_allocates_nothing
    a_timer_that_is_set_and_cancelled_or_run_allocates_nothing
    writing_to_a_peer_that_pauses_allocates_nothing
}
