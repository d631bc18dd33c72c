//! What it costs to send the same to many: one send for each of them and turn, however much was published, and its bytes once.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use marline_reactor::backend::memory::Memory;
use marline_reactor::testing::{Clock, Network};
use marline_reactor::{Addresses, Choices, Handle, Protocol, Reactor, Stats, Transport};
use marline_tests::counting::{Counts, counted};
use marline_tests::{PATIENCE, backends, process};

const SUBSCRIBERS: usize = 1_000;
/// So many lines are published in one turn.
const LINES: usize = 16;
/// What a queue of bytes to send may take for each subscriber, beside the bytes themselves.
const ENTRIES: i64 = 384;
const LARGE: usize = 256 * 1024;

/// A process may not be allowed the descriptors of two tests at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// The server's side of each connection.
type Everyone = Rc<RefCell<Vec<Transport>>>;

struct Subscribed(Everyone);

impl Protocol for Subscribed {
    fn connection_made(&mut self, transport: &Transport) {
        self.0.borrow_mut().push(transport.clone());
    }

    fn data_received(&mut self, _: &Transport, data: &[u8]) {
        panic!("a subscriber sent {} bytes", data.len());
    }
}

/// The subscriber's side: checks every byte.
struct Reader {
    expected: Bytes,
    at: usize,
    received: Rc<Cell<usize>>,
}

impl Protocol for Reader {
    fn data_received(&mut self, _: &Transport, data: &[u8]) {
        let end = self.at + data.len();
        assert!(self.expected.get(self.at..end) == Some(data), "what was published, from byte {}", self.at);
        self.at = end;
        self.received.set(self.received.get() + data.len());
    }
}

/// A server with all of its subscribers, on one loop.
struct Crowd {
    reactor: Reactor,
    everyone: Everyone,
    received: Rc<Cell<usize>>,
    _alone: MutexGuard<'static, ()>,
}

impl Crowd {
    /// Each of them will get these bytes.
    fn gather(reactor: Reactor, endpoint: &str, expected: &Bytes) -> Self {
        assert!(process::raise_descriptor_limit() > 2 * SUBSCRIBERS as u64 + 64, "too few descriptors");
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let (handle, everyone) = (reactor.handle(), Everyone::default());
        let made = Rc::clone(&everyone);
        let server = handle.listen(endpoint, move |_: &Addresses| Subscribed(Rc::clone(&made)));
        let address = server.expect("a listener").local_address().expect("an address").to_string();
        let crowd = Self { reactor, everyone, received: Rc::default(), _alone: alone };
        for count in 1..=SUBSCRIBERS {
            let (expected, received) = (expected.clone(), Rc::clone(&crowd.received));
            let reader = move |_: &Addresses| Reader { expected, at: 0, received };
            handle.connect(&address, reader, |outcome| assert!(outcome.is_ok(), "a connection"));
            crowd.until(|| crowd.everyone.borrow().len() == count);
        }
        crowd
    }

    fn until(&self, done: impl Fn() -> bool) {
        let begun = Instant::now();
        while !done() {
            self.reactor.turn(Some(Duration::from_millis(5))).expect("a turn");
            assert!(begun.elapsed() < PATIENCE, "{} bytes came", self.received.get());
        }
    }

    /// Publishes in a callback, lets everyone get all of it, and tells what the callback allocated and what was sent by then.
    fn publish(&self, messages: Vec<Bytes>) -> (Counts, Stats) {
        let handle = self.reactor.handle();
        let all: usize = messages.iter().map(Bytes::len).sum();
        let before = settled(&self.reactor, &handle);
        let (everyone, allocated) = (Rc::clone(&self.everyone), Rc::<Cell<Option<Counts>>>::default());
        let told = Rc::clone(&allocated);
        handle.call_soon(move || {
            let write = |message: Bytes| {
                everyone.borrow().iter().for_each(|transport| _ = transport.write_owned(message.clone()));
            };
            // A copy, so that the memory for the messages is in what is counted.
            let ((), counts) =
                counted(|| messages.iter().for_each(|message| write(Bytes::from(message.to_vec()))));
            told.set(Some(counts));
        });
        self.until(|| self.received.get() == all * SUBSCRIBERS);
        let mut after = handle.stats();
        after.sends -= before.sends;
        after.system_calls.sends -= before.system_calls.sends;
        (allocated.get().expect("the callback ran"), after)
    }
}

/// What was counted once nothing is under way any more.
fn settled(reactor: &Reactor, handle: &Handle) -> Stats {
    reactor.turn(Some(Duration::ZERO)).expect("a turn");
    handle.stats()
}

fn lines() -> Vec<Bytes> {
    (0..LINES).map(|number| Bytes::from(format!("line {number:02}, which is published\n"))).collect()
}

fn assert_one_send_each(crowd: &Crowd, is_on_readiness: bool) {
    let (_, stats) = crowd.publish(lines());
    assert_eq!(stats.sends, SUBSCRIBERS as u64, "sends of {LINES} lines to {SUBSCRIBERS}");
    if is_on_readiness {
        assert_eq!(stats.system_calls.sends, SUBSCRIBERS as u64, "system calls for that");
    }
}

/// One of a size that no socket takes whole at once.
fn assert_stored_once(crowd: &Crowd, message: Bytes) {
    let (counts, _) = crowd.publish(vec![message]);
    let most = LARGE as i64 + SUBSCRIBERS as i64 * ENTRIES;
    assert!((LARGE as i64..=most).contains(&counts.bytes), "{counts:?}, at most {most} bytes");
}

fn lines_that_are_published_in_one_turn_leave_by_one_send_for_each_subscriber(backend: &str) {
    let expected = Bytes::from(lines().concat());
    let crowd = Crowd::gather(backends::unhurried_reactor(backend), "tcp://127.0.0.1:0", &expected);
    assert_one_send_each(&crowd, backend == "readiness");
}

fn a_message_to_a_thousand_subscribers_is_stored_once(backend: &str) {
    let message = Bytes::from(vec![b'm'; LARGE]);
    let crowd = Crowd::gather(backends::unhurried_reactor(backend), "tcp://127.0.0.1:0", &message);
    assert_stored_once(&crowd, message);
}

fn in_memory() -> Reactor {
    Reactor::with_backend(Memory::new(&Network::new(Choices::tame()), &Clock::new())).expect("a loop")
}

#[test]
fn in_memory_too_lines_of_one_turn_leave_by_one_send_each() {
    let crowd = Crowd::gather(in_memory(), "tcp://127.0.0.1:7", &Bytes::from(lines().concat()));
    assert_one_send_each(&crowd, false);
}

#[test]
fn in_memory_too_a_message_to_many_is_stored_once() {
    let message = Bytes::from(vec![b'm'; LARGE]);
    assert_stored_once(&Crowd::gather(in_memory(), "tcp://127.0.0.1:7", &message), message);
}

marline_tests::on_sockets! {
    lines_that_are_published_in_one_turn_leave_by_one_send_for_each_subscriber
    a_message_to_a_thousand_subscribers_is_stored_once
}
