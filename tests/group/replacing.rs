//! Loops that break, or are told something else, while others take their places.

use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use marline_reactor::{
    Balance, ConnectDone, ConnectFactory, Connecting, Endpoint, EndpointKind, EndpointParts, Group,
    GroupHandle, Handle, ListenError, ListenFactory, LoopEnd, OnBroken, RollError, Running, Server,
};
use marline_tests::{PATIENCE, backends, on_sockets, process, wait_for};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::bomb::{Fuse, wake_soon, with_bomb};
use crate::support::{
    Client, Here, connect, connect_unix, group, hold_up, port, restart, socket_path, stats, told,
};

on_sockets! {
    g08_a_new_loop_that_cannot_listen_harms_nobody_who_waits
    g08_what_a_loop_inherits_passes_to_the_one_in_its_place
    g09_a_loop_that_breaks_before_its_place_is_taken_ends_the_group
    g09_a_loop_that_breaks_while_it_is_replaced_ends_the_group
    g09_others_go_on_when_a_loop_breaks_and_its_place_cannot_be_taken
    g07_a_drain_serves_those_who_wait_where_a_loop_broke
}

/// Listens as often as it may, and then not.
struct Scarce(AtomicUsize);

impl Scarce {
    fn endpoint(times: usize) -> Endpoint {
        Endpoint::of_kind(Self(AtomicUsize::new(times)), "scarce:")
    }
}

impl EndpointKind for Scarce {
    fn connect(
        &self,
        handle: &Handle,
        parts: &EndpointParts,
        factory: ConnectFactory,
        done: ConnectDone,
    ) -> Connecting {
        drop(factory);
        let error = marline_reactor::ConnectError::WrongKind { target: parts.to_string() };
        Connecting::failed(handle, error, done)
    }

    fn listen(
        &self,
        handle: &Handle,
        parts: &EndpointParts,
        factory: ListenFactory,
    ) -> Result<Server, ListenError> {
        let left = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        left.map_err(|_| ListenError::WrongKind { target: parts.to_string() })?;
        handle.listen("tcp://127.0.0.1:0", factory)
    }
}

fn g08_a_new_loop_that_cannot_listen_harms_nobody_who_waits(backend: &'static str) {
    let group = group(backend, 1).listen("tcp://127.0.0.1:0", |_| Here).expect("a port");
    let running = group.listen(Scarce::endpoint(1), |_| Here).expect("another").start().expect("loops");
    let release = hold_up(&running.handle(), 0);
    let waiting: Vec<_> = (0..20).map(|_| TcpStream::connect(port(&running)).expect("room")).collect();
    let rolled = restart(&running, PATIENCE);
    assert!(matches!(rolled.error, Some(RollError::Start(_))), "{rolled:?}");
    release();
    for client in waiting {
        Client::over(client).expect("a server").echo().expect("an echo");
    }
    running.handle().stop();
    assert_eq!(running.join().expect("a good end").accepted(), 20);
}

/// Holds up the start of every loop but the first ones, until the test lets each go.
struct Gate {
    entered: Receiver<usize>,
    release: Sender<()>,
}

impl Gate {
    fn set_up(group: Group, first: usize) -> (Group, Self) {
        let (tell, entered) = channel();
        let (release, released) = channel();
        let (started, released) = (AtomicUsize::new(0), Mutex::new(released));
        let group = group.on_start(move |worker| {
            if started.fetch_add(1, Ordering::SeqCst) >= first {
                tell.send(worker.index())?;
                released.lock().expect("no panic").recv()?;
            }
            Ok(())
        });
        (group, Self { entered, release })
    }

    fn wait(&self) -> usize {
        self.entered.recv_timeout(PATIENCE).expect("a loop that starts")
    }

    fn open(&self) {
        self.release.send(()).expect("a loop that starts");
    }
}

fn blow_up(handle: &GroupHandle, fuse: &Fuse, index: usize) {
    let before = handle.remote(index).loop_id();
    fuse.panics.store(true, Ordering::SeqCst);
    let _ = handle.remote(index).post(|| ());
    wait_for("another loop in its place", || {
        if handle.remote(index).loop_id() == before { Err("the same".to_owned()) } else { Ok(()) }
    });
}

fn serving_with_bomb(backend: &'static str, index: usize, policy: OnBroken) -> (Running, Fuse, Gate) {
    let (group, fuse) = with_bomb(backend, 2, index);
    let (group, gate) = Gate::set_up(group.on_broken(policy), 2);
    let running = group.listen("tcp://127.0.0.1:0", |_| Here).expect("a port").start().expect("loops");
    (running, fuse, gate)
}

/// Whoever comes, whichever socket of the port the system puts them to.
fn visit(running: &Running, index: Option<usize>) {
    for _ in 0..50 {
        let mut client = connect(port(running)).expect("a server");
        assert!(index.is_none_or(|index| client.index == index), "loop {}", client.index);
        client.echo().expect("an echo");
    }
}

fn g08_what_a_loop_inherits_passes_to_the_one_in_its_place(backend: &'static str) {
    let (running, fuse, gate) = serving_with_bomb(backend, 1, OnBroken::GoOn);
    let (tell, rolled) = told();
    running.handle().restart(PATIENCE, tell);
    assert_eq!(gate.wait(), 0);
    // The first loop inherits, and is about to go.
    blow_up(&running.handle(), &fuse, 1);
    visit(&running, Some(0));
    gate.open();
    assert!(rolled.recv_timeout(PATIENCE).expect("an answer").error.is_none());
    visit(&running, Some(0));
    running.handle().drain(PATIENCE);
    assert_eq!(running.join().expect_err("it is told at the end").report().loops.len(), 3);
}

fn g09_a_loop_that_breaks_before_its_place_is_taken_ends_the_group(backend: &'static str) {
    let (running, fuse, gate) = serving_with_bomb(backend, 0, OnBroken::Stop);
    let (tell, rolled) = told();
    running.handle().restart(PATIENCE, tell);
    assert_eq!(gate.wait(), 0);
    fuse.panics.store(true, Ordering::SeqCst);
    let _ = running.handle().remote(0).post(|| ());
    let rolled = rolled.recv_timeout(PATIENCE).expect("an answer");
    assert!(matches!(rolled.error, Some(RollError::Interrupted)), "{rolled:?}");
    gate.open();
    let broken = running.join().expect_err("a loop broke");
    assert!(broken.report().loops.iter().any(|report| matches!(report.end, LoopEnd::Panicked(_))));
}

fn g09_a_loop_that_breaks_while_it_is_replaced_ends_the_group(backend: &'static str) {
    let (running, fuse, gate) = serving_with_bomb(backend, 0, OnBroken::Stop);
    let clients: Vec<_> = (0..20).map(|_| connect(port(&running)).expect("a server")).collect();
    let old = running.handle().remote(0);
    let (tell, rolled) = told();
    running.handle().restart(PATIENCE, tell);
    assert_eq!(gate.wait(), 0);
    // The new loop shall not be the one that goes off.
    gate.open();
    let (drains, is_draining) = channel();
    let wait = move || {
        let worker = marline_reactor::Worker::current().expect("a loop of a group");
        worker.on_drain(move || drains.send(()).expect("a test")).detach();
    };
    old.post(wait).expect("a loop");
    is_draining.recv_timeout(PATIENCE).expect("a drain");
    let (tell, goes_off) = channel();
    let panics = std::sync::Arc::clone(&fuse.panics);
    // From the old loop itself, so that its next wait is the one.
    let set = move || {
        panics.store(true, Ordering::SeqCst);
        wake_soon(&Handle::current().expect("a loop"));
        tell.send(()).expect("a test");
    };
    let idle = hold_up(&running.handle(), 0);
    old.post(set).expect("a loop");
    goes_off.recv_timeout(PATIENCE).expect("a loop");
    let rolled = rolled.recv_timeout(PATIENCE).expect("an answer");
    assert!(matches!(rolled.error, Some(RollError::Interrupted)), "{rolled:?}");
    idle();
    drop(clients);
    running.join().expect_err("a loop broke");
}

fn g09_others_go_on_when_a_loop_breaks_and_its_place_cannot_be_taken(backend: &'static str) {
    let (group, fuse) = with_bomb(backend, 2, 0);
    let (group, gate) = Gate::set_up(group.on_broken(OnBroken::GoOn), 2);
    let group = group.listen("tcp://127.0.0.1:0", |_| Here).expect("a port");
    let running = group.start().expect("loops");
    let (tell, rolled) = told();
    running.handle().restart(PATIENCE, tell);
    assert_eq!(gate.wait(), 0);
    blow_up(&running.handle(), &fuse, 0);
    // The new loop fails.
    drop(gate);
    let rolled = rolled.recv_timeout(PATIENCE).expect("an answer");
    assert!(matches!(rolled.error, Some(RollError::Start(_))), "{rolled:?}");
    visit(&running, Some(1));
    running.handle().drain(PATIENCE);
    assert_eq!(running.join().expect_err("it is told at the end").report().loops.len(), 2);
}

fn g07_a_drain_serves_those_who_wait_where_a_loop_broke(backend: &'static str) {
    let (group, fuse) = with_bomb(backend, 2, 1);
    let group = group.on_broken(OnBroken::GoOn).listen("tcp://127.0.0.1:0", |_| Here).expect("a port");
    let running = group.start().expect("loops");
    let handle = running.handle();
    assert_eq!(stats(&handle).loops.len(), 2);
    let address = port(&running);
    let release = hold_up(&handle, 0);
    blow_up(&handle, &fuse, 1);
    // Those at the socket of the second loop wait for the first to take it over.
    let clients: Vec<_> = (0..50).map(|_| TcpStream::connect(address).expect("room to wait")).collect();
    handle.drain(PATIENCE);
    wait_for(
        "the drain",
        || {
            if running.addresses().is_empty() { Ok(()) } else { Err("it goes on".to_owned()) }
        },
    );
    release();
    for client in clients {
        Client::over(client).expect("a server").echo().expect("an echo");
    }
    assert_eq!(running.join().expect_err("it is told at the end").report().accepted(), 50);
}

/// The other loop is to take over what this one had, and cannot at first.
fn takes_over_later(backend: &'static str, endpoint: &str, index: usize, visit: impl Fn()) {
    let (group, fuse) = with_bomb(backend, 2, index);
    let group = group.on_broken(OnBroken::GoOn).balance(Balance::System);
    let running = group.listen(endpoint, |_| Here).expect("a listener").start().expect("loops");
    let handle = running.handle();
    let release = hold_up(&handle, 1 - index);
    blow_up(&handle, &fuse, index);
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: Some(3), maximum }).expect("a lower limit");
    release();
    // It has tried when it answers.
    let answers = stats(&handle).loops.len();
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("the limit as it was");
    assert_eq!(answers, 1);
    visit();
    running.handle().stop();
    running.join().expect_err("it is told at the end");
}

#[test]
fn g09_what_cannot_be_taken_over_for_want_of_descriptors_is_taken_over_later() {
    let name = "replacing::g09_what_cannot_be_taken_over_for_want_of_descriptors_is_taken_over_later";
    if process::part().is_none() {
        let output = process::copy(name, "program").output().expect("a copy of this program");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    for backend in backends::here() {
        let free = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = free.local_addr().expect("its address");
        drop(free);
        takes_over_later(backend, &format!("tcp://{address}"), 1, || {
            (0..50).for_each(|_| connect(address).expect("a server").echo().expect("an echo"));
        });
        let path = socket_path();
        takes_over_later(backend, &format!("unix://{}", path.display()), 0, || {
            connect_unix(&path).expect("a server").echo().expect("an echo");
        });
    }
}
