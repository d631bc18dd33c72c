//! One loop after the other, while clients keep coming.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use marline_reactor::backend::named;
use marline_reactor::{Balance, Builder, Group, OnSignal, RollError, Running, SignalKind, StartErrorKind};
use marline_tasks::GroupTasks as _;
use marline_tests::{PATIENCE, on_sockets, process, wait_for, wait_until_refused};

use crate::support::{
    Client, Here, connect, connect_unix, group, hold_up, port, restart, serving, serving_unix, stats, told,
};

on_sockets! {
    g08_a_restart_refuses_nobody
    g08_a_restart_of_a_single_loop_refuses_nobody
    g08_a_restart_refuses_nobody_on_a_unix_socket
    a_restart_waits_for_slow_clients_and_aborts_the_stuck
    g08_a_restart_keeps_those_who_wait
    g08_a_drain_in_turn_leaves_the_port_to_those_that_are_left
    g08_a_drain_in_turn_leaves_a_unix_socket_to_those_that_are_left
    a_restart_that_cannot_start_a_loop_leaves_the_old_one
    a_restart_is_refused_while_the_group_does_something_else
    tasks_go_to_the_new_loops
}

/// Clients that connect, echo and leave, one after the other, until they are told to stop.
struct Visitors {
    stop: Arc<AtomicBool>,
    served: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<io::Result<()>>>,
}

impl Visitors {
    fn come<S: crate::support::Socket>(
        connect: impl Fn() -> io::Result<Client<S>> + Clone + Send + 'static,
    ) -> Self {
        let (stop, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let visit = || {
            let (stop, served, connect) = (Arc::clone(&stop), Arc::clone(&served), connect.clone());
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    connect()?.echo()?;
                    served.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            })
        };
        let threads = (0..3).map(|_| visit()).collect();
        Self { stop, served, threads }
    }

    /// Waits until so many more were served.
    fn wait_for(&self, more: usize) {
        let before = self.served.load(Ordering::Relaxed);
        wait_for("visitors", || match self.served.load(Ordering::Relaxed) - before {
            served if served >= more || self.threads.iter().any(JoinHandle::is_finished) => Ok(()),
            served => Err(format!("{served} served")),
        });
    }

    /// Every one of them was served.
    #[track_caller]
    fn leave(self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("no panic").expect("nobody is refused");
        }
    }
}

fn restart_among(running: Running, visitors: Visitors, loops: usize) {
    for _ in 0..5 {
        visitors.wait_for(50);
        let rolled = restart(&running, PATIENCE);
        assert!(rolled.error.is_none(), "{rolled:?}");
        let replaced: Vec<_> = rolled.loops.iter().map(|report| report.index).collect();
        assert_eq!(replaced, (0..loops).collect::<Vec<_>>());
        assert!(rolled.loops.iter().all(|report| report.aborted == 0), "{rolled:?}");
    }
    visitors.wait_for(50);
    visitors.leave();
    running.handle().stop();
    assert_eq!(running.join().expect("a good end").loops.len(), 6 * loops);
}

fn g08_a_restart_refuses_nobody(backend: &'static str) {
    let running = serving(backend, 2);
    let address = port(&running);
    restart_among(running, Visitors::come(move || connect(address)), 2);
}

fn g08_a_restart_of_a_single_loop_refuses_nobody(backend: &'static str) {
    let running = serving(backend, 1);
    let address = port(&running);
    restart_among(running, Visitors::come(move || connect(address)), 1);
}

fn g08_a_restart_refuses_nobody_on_a_unix_socket(backend: &'static str) {
    let (running, path) = serving_unix(backend, 2, Balance::RoundRobin);
    restart_among(running, Visitors::come(move || connect_unix(&path)), 2);
}

fn a_restart_waits_for_slow_clients_and_aborts_the_stuck(backend: &'static str) {
    let running = serving(backend, 2);
    let mut slow: Vec<_> = (0..8).map(|_| connect(port(&running)).expect("a server")).collect();
    let (tell, rolled) = told();
    running.handle().restart(PATIENCE, tell);
    wait_for("the first loop to drain", || {
        let stats = stats(&running.handle());
        let drains = stats.loops.iter().any(|stats| stats.draining && stats.connections > 0);
        if drains { Ok(()) } else { Err(format!("{stats:?}")) }
    });
    slow.iter_mut().for_each(|client| client.echo().expect("an echo, though its loop drains"));
    drop(slow);
    let rolled = rolled.recv_timeout(PATIENCE).expect("an answer");
    assert_eq!(rolled.loops.iter().map(|report| report.aborted).sum::<usize>(), 0);

    let stuck: Vec<_> = (0..8).map(|_| connect(port(&running)).expect("a server")).collect();
    let rolled = restart(&running, Duration::from_millis(20));
    assert_eq!(rolled.loops.iter().map(|report| report.aborted).sum::<usize>(), 8);
    drop(stuck);
    running.handle().stop();
    running.join().expect("a good end");
}

fn g08_a_restart_keeps_those_who_wait(backend: &'static str) {
    let running = serving(backend, 1);
    let address = port(&running);
    let release = hold_up(&running.handle(), 0);
    let before: Vec<_> = (0..50).map(|_| std::net::TcpStream::connect(address).expect("room")).collect();
    let (tell, rolled) = told();
    running.handle().restart(PATIENCE, tell);
    // Served by the new loop or by the old one, whoever comes first.
    let after: Vec<_> = (0..50).map(|_| std::net::TcpStream::connect(address).expect("room")).collect();
    release();
    for waiting in before.into_iter().chain(after) {
        Client::over(waiting).expect("a server").echo().expect("an echo");
    }
    assert!(rolled.recv_timeout(PATIENCE).expect("an answer").error.is_none());
    running.handle().stop();
    assert_eq!(running.join().expect("a good end").accepted(), 100);
}

/// The first loop goes; the second is held up by a client; the third serves whoever comes. Then all go.
fn drain_among<S: crate::support::Socket>(running: Running, connect: impl Fn() -> io::Result<Client<S>>) {
    let mut first = connect().expect("a server");
    while first.index != 1 {
        first = connect().expect("a server");
    }
    let (tell, rolled) = told();
    running.handle().drain_in_turn(PATIENCE, tell);
    wait_for("the second loop to drain", || {
        let stats = stats(&running.handle());
        let drains = stats.loops.iter().any(|stats| stats.index == 1 && stats.draining);
        if drains && stats.loops.len() == 2 { Ok(()) } else { Err(format!("{stats:?}")) }
    });
    for _ in 0..50 {
        let mut client = connect().expect("nobody is refused");
        assert_eq!(client.index, 2);
        client.echo().expect("an echo");
    }
    first.echo().expect("an echo");
    drop(first);
    let rolled = rolled.recv_timeout(PATIENCE).expect("an answer");
    assert!(rolled.error.is_none(), "{rolled:?}");
    assert_eq!(rolled.loops.iter().map(|report| report.index).collect::<Vec<_>>(), [0, 1, 2]);
    let report = running.join().expect("a good end");
    assert_eq!((report.loops.len(), report.aborted()), (3, 0));
    wait_until_refused(connect);
}

fn g08_a_drain_in_turn_leaves_the_port_to_those_that_are_left(backend: &'static str) {
    let running = serving(backend, 3);
    let address = port(&running);
    drain_among(running, || connect(address));
}

fn g08_a_drain_in_turn_leaves_a_unix_socket_to_those_that_are_left(backend: &'static str) {
    let (running, path) = serving_unix(backend, 3, Balance::RoundRobin);
    let path: &Path = &path;
    drain_among(running, || Client::over(UnixStream::connect(path)?));
}

fn a_restart_that_cannot_start_a_loop_leaves_the_old_one(backend: &'static str) {
    let made = AtomicUsize::new(0);
    let group = Group::new().expect("a group").loops(2).builder(move |_| {
        let backend = if made.fetch_add(1, Ordering::SeqCst) < 2 { backend } else { "no such backend" };
        Ok(Builder::new().boxed_backend(named(backend)?))
    });
    let running = group.listen("tcp://127.0.0.1:0", |_| Here).expect("a port").start().expect("loops");
    let rolled = restart(&running, PATIENCE);
    assert!(rolled.loops.is_empty());
    match rolled.error {
        Some(RollError::Start(error)) => {
            assert_eq!(error.index(), Some(0));
            assert!(matches!(error.kind(), StartErrorKind::Create(_)), "{error}");
        }
        other => panic!("{other:?}"),
    }
    for _ in 0..20 {
        connect(port(&running)).expect("a server").echo().expect("an echo");
    }
    running.handle().stop();
    assert_eq!(running.join().expect("a good end").loops.len(), 2);
}

fn a_restart_is_refused_while_the_group_does_something_else(backend: &'static str) {
    let running = serving(backend, 2);
    let stuck: Vec<_> = (0..8).map(|_| connect(port(&running)).expect("a server")).collect();
    let (tell, first) = told();
    running.handle().restart(PATIENCE, tell);
    let second = restart(&running, PATIENCE);
    assert!(matches!(second.error, Some(RollError::Interrupted)), "{second:?}");
    running.handle().drain(PATIENCE);
    let first = first.recv_timeout(PATIENCE).expect("an answer");
    assert!(matches!(first.error, Some(RollError::Interrupted)), "{first:?}");
    let third = restart(&running, PATIENCE);
    assert!(matches!(third.error, Some(RollError::Interrupted)), "{third:?}");
    drop(stuck);
    assert_eq!(running.join().expect("a good end").aborted(), 0);
}

fn tasks_go_to_the_new_loops(backend: &'static str) {
    let running = group(backend, 2).start().expect("loops");
    let old = running.handle().remote(1).loop_id();
    let rolled = futures::executor::block_on(running.handle().restart_async(PATIENCE)).expect("an answer");
    assert_eq!(rolled.loops.len(), 2);
    let new = running.handle().spawn_on(1, async { marline_reactor::Handle::current().map(|h| h.loop_id()) });
    let new = futures::executor::block_on(new).expect("an answer").expect("a loop");
    assert_ne!(new, old);
    assert_eq!(running.handle().remote(1).loop_id(), new);
    running.handle().stop();
    running.join().expect("a good end");
}

#[test]
fn a_signal_restarts_the_group() {
    if process::part().is_none() {
        let name = "rolling::a_signal_restarts_the_group";
        let output = process::copy(name, "program").output().expect("a copy of this program");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    for backend in marline_tests::backends::here() {
        let group = group(backend, 2).on_signal(SignalKind::HANGUP, OnSignal::Restart(PATIENCE));
        let running = group.start().expect("loops");
        let ids = || [0, 1].map(|index| running.handle().remote(index).loop_id());
        let before = ids();
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::HUP)
            .expect("a signal");
        wait_for("other loops", || {
            let now = ids();
            if now[0] != before[0] && now[1] != before[1] { Ok(()) } else { Err(format!("{now:?}")) }
        });
        running.handle().stop();
        running.join().expect("a good end");
    }
}
