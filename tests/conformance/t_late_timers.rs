//! T: how late a timer is seen to be due while the loop is at something else, on a clock that moves with each step.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use marline_reactor::testing::{Clock, MemoryReactor};
use marline_reactor::{Addresses, Handle, Protocol, Transport};

/// What a callback, or the delivery of some bytes, takes.
const STEP: Duration = Duration::from_micros(500);
/// A phase ends after so much once a timer is due, and a step may have begun before.
const PHASE: Duration = Duration::from_micros(1500);

/// Takes time for whatever it receives, and remembers who received.
struct Slow {
    number: usize,
    clock: Clock,
    received: Rc<RefCell<Vec<usize>>>,
}

impl Protocol for Slow {
    fn data_received(&mut self, _: &Transport, _: &[u8]) {
        self.clock.advance(STEP);
        self.received.borrow_mut().push(self.number);
    }
}

/// Sets a timer of a millisecond again and again, as long as the program is busy.
fn tick(handle: &Handle, busy: &Rc<Cell<bool>>) {
    let (again, busy) = (handle.clone(), Rc::clone(busy));
    handle.call_later(Duration::from_millis(1), move || {
        if busy.get() {
            tick(&again, &busy);
        }
    });
}

/// How late a timer of a millisecond was seen to be due while so many connections got so many bytes at once, and who received,
/// in order.
fn flooded(connections: usize, bytes: usize) -> (Duration, Vec<usize>) {
    let (memory, received) = (MemoryReactor::new(), Rc::new(RefCell::default()));
    let (handle, numbers) = (memory.handle(), Cell::new(0));
    let (clock, order) = (memory.clock().clone(), Rc::clone(&received));
    let slow = move |_: &Addresses| {
        let number = numbers.replace(numbers.get() + 1);
        Slow { number, clock: clock.clone(), received: Rc::clone(&order) }
    };
    handle.listen("tcp://127.0.0.1:1000", slow).expect("a listener");
    memory.network().set_capacity(bytes);
    let peers: Vec<_> =
        (0..connections).map(|_| memory.connect("tcp://127.0.0.1:1000").expect("it listens")).collect();
    memory.pump();
    let busy = Rc::new(Cell::new(true));
    tick(&handle, &busy);
    for peer in &peers {
        assert_eq!(peer.write(&vec![7; bytes]), bytes);
    }
    memory.pump();
    busy.set(false);
    let received = received.take();
    (handle.stats().longest_lateness, received)
}

#[test]
fn t02_a_timer_is_seen_to_be_due_while_many_connections_have_something() {
    let (late, received) = flooded(100, 1);
    assert_eq!(received, (0..100).collect::<Vec<_>>(), "each has its turn, in order");
    assert!(late <= PHASE, "{late:?}");
}

#[test]
fn t02_a_timer_is_seen_to_be_due_while_connections_are_left_over_from_turn_to_turn() {
    const CONNECTIONS: usize = 20;
    let (late, received) = flooded(CONNECTIONS, 4 * 1024 * 1024);
    let mut shares: Vec<usize> = received.clone();
    shares.dedup();
    // For one event a connection is received from eight times at most, and then it waits for the others.
    let share = received.len() / shares.len();
    assert!(received.len() > 16 * CONNECTIONS && share <= 8, "{} receives, {share} a share", received.len());
    // Who was left over takes turns with those of whom nobody has received yet.
    let mut had = [0; CONNECTIONS];
    for number in &shares[..shares.len() / 2] {
        had[*number] += 1;
        let (most, least) = (had.iter().max(), had.iter().min());
        assert!(most <= least.map(|least| least + 3).as_ref(), "{had:?}");
    }
    // Of what arrived, and of what was left over, four shares each may come before the clock is read for the second time.
    let most = 8 * (8 * STEP);
    assert!(late <= most, "{late:?}");
}

#[test]
fn t02_a_timer_is_seen_to_be_due_while_the_ready_queue_is_long() {
    let memory = MemoryReactor::new();
    let (handle, order) = (memory.handle(), Rc::new(RefCell::new(Vec::new())));
    for number in 0..100 {
        let (clock, order) = (memory.clock().clone(), Rc::clone(&order));
        handle.call_soon(move || {
            clock.advance(STEP);
            order.borrow_mut().push(number);
        });
    }
    let ran = Rc::clone(&order);
    handle.call_later(Duration::from_millis(3), move || ran.borrow_mut().push(1000));
    memory.pump();
    let late = handle.stats().longest_lateness;
    assert!(late <= PHASE, "{late:?}");
    let expected: Vec<_> = (0..100).chain([1000]).collect();
    assert_eq!(*order.borrow(), expected, "what stood in the queue comes first");
}

/// Writes more than the high watermark when it is made, and remembers that it was told to pause.
struct Writer(Rc<Cell<bool>>);

impl Protocol for Writer {
    fn connection_made(&mut self, transport: &Transport) {
        transport.write(vec![7; 200 * 1024]);
    }

    fn data_received(&mut self, _: &Transport, _: &[u8]) {}

    fn pause_writing(&mut self, _: &Transport) {
        self.0.set(true);
    }
}

#[test]
fn w13_whoever_writes_is_told_to_pause_although_events_are_left_in_each_turn() {
    let memory = MemoryReactor::new();
    let (handle, clock, told) = (memory.handle(), memory.clock().clone(), Rc::new(Cell::new(false)));
    let slow = move |_: &Addresses| Slow { number: 0, clock: clock.clone(), received: Rc::default() };
    handle.listen("tcp://127.0.0.1:1000", slow).expect("a listener");
    let flag = Rc::clone(&told);
    handle.listen("tcp://127.0.0.1:2000", move |_: &Addresses| Writer(Rc::clone(&flag))).expect("a listener");
    let peers: Vec<_> =
        (0..100).map(|_| memory.connect("tcp://127.0.0.1:1000").expect("it listens")).collect();
    memory.pump();
    let busy = Rc::new(Cell::new(true));
    tick(&handle, &busy);
    let _silent = memory.connect("tcp://127.0.0.1:2000").expect("it listens");
    let mut turns = 0;
    while !told.get() {
        for peer in &peers {
            peer.write(b"x");
        }
        memory.turn();
        turns += 1;
        assert!(turns < 300, "nobody told it");
    }
    busy.set(false);
}
