//! Stop, drain, and what is told at the end.

use std::io;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::channel;
use std::time::Duration;

use marline_reactor::{
    Balance, DrainHook, GroupHandle, Handle, LoopEnd, OnSignal, Protocol, Running, SignalKind, Transport,
    Worker,
};
use marline_tasks::{AsyncGroup as _, GroupTasks as _, Stream, sleep};
use marline_tests::{PATIENCE, on_sockets, process, wait_for, wait_until_refused};
use rustix::process::{getpid, kill_process};

use crate::support::{
    Client, Here, connect, connect_unix, group, hold_up, port, serving, serving_unix, stats,
};

on_sockets! {
    g06_stop_ends_every_loop_and_counts_what_stood
    g07_drain_waits_for_a_slow_client
    g07_drain_aborts_what_is_left_after_its_time
    g07_drain_serves_those_who_wait
    g07_drain_serves_those_who_wait_to_be_handed_over
    drain_is_told_to_who_wants_to_know
    g07_drain_waits_for_futures_and_other_work
    a_stop_ends_a_drain
    a_program_that_stops_one_loop_stops_the_group
    a_handle_of_a_group_that_is_over_does_nothing
}

fn is_refused(running: &Running) -> bool {
    // The handle knows of no address any more.
    running.addresses().is_empty()
}

fn g06_stop_ends_every_loop_and_counts_what_stood(backend: &'static str) {
    let running = serving(backend, 2);
    let address = port(&running);
    let mut clients: Vec<_> = (0..20).map(|_| connect(address).expect("a server")).collect();
    running.handle().stop();
    let report = running.join().expect("a good end");
    assert_eq!((report.accepted(), report.aborted(), report.unfinished()), (20, 20, 0));
    assert!(report.loops.iter().all(|report| matches!(report.end, LoopEnd::Stopped)));
    wait_until_refused(|| TcpStream::connect(address));
    clients.iter_mut().for_each(|client| assert!(client.rest().map_or(true, |rest| rest.is_empty())));
}

fn g07_drain_waits_for_a_slow_client(backend: &'static str) {
    let running = serving(backend, 2);
    let address = port(&running);
    let mut slow: Vec<_> = (0..4).map(|_| connect(address).expect("a server")).collect();
    running.handle().drain(PATIENCE);
    wait_for("the port to close", || {
        if is_refused(&running) && TcpStream::connect(address).is_err() { Ok(()) } else { Err("open".into()) }
    });
    slow.iter_mut().for_each(|client| client.echo().expect("an echo, though the group drains"));
    drop(slow);
    let report = running.join().expect("a good end");
    assert_eq!(report.aborted(), 0);
    assert!(report.loops.iter().all(|report| matches!(report.end, LoopEnd::Drained)), "{report:?}");
}

fn g07_drain_aborts_what_is_left_after_its_time(backend: &'static str) {
    let running = serving(backend, 2);
    let mut stuck: Vec<_> = (0..3).map(|_| connect(port(&running)).expect("a server")).collect();
    running.handle().drain(Duration::from_millis(50));
    let report = running.join().expect("a good end");
    assert_eq!((report.aborted(), report.unfinished()), (3, 0));
    stuck.iter_mut().for_each(|client| assert!(client.rest().map_or(true, |rest| rest.is_empty())));
}

fn g07_drain_serves_those_who_wait(backend: &'static str) {
    let running = serving(backend, 1);
    let address = port(&running);
    let release = hold_up(&running.handle(), 0);
    let waiting: Vec<_> = (0..100).map(|_| TcpStream::connect(address).expect("room to wait")).collect();
    running.handle().drain(PATIENCE);
    release();
    for client in waiting {
        Client::over(client).expect("a server").echo().expect("an echo");
    }
    let report = running.join().expect("a good end");
    assert_eq!((report.accepted(), report.aborted()), (100, 0));
}

fn g07_drain_serves_those_who_wait_to_be_handed_over(backend: &'static str) {
    let (running, path) = serving_unix(backend, 2, Balance::RoundRobin);
    let release = hold_up(&running.handle(), 0);
    let waiting: Vec<_> = (0..100).map(|_| UnixStream::connect(&path).expect("room to wait")).collect();
    running.handle().drain(PATIENCE);
    release();
    for client in waiting {
        Client::over(client).expect("a server").echo().expect("an echo");
    }
    let report = running.join().expect("a good end");
    assert_eq!((report.accepted(), report.aborted()), (100, 0));
    assert!(connect_unix(&path).is_err());
}

/// Says goodbye when its loop drains.
#[derive(Default)]
struct Polite {
    goodbye: Option<DrainHook>,
}

impl Protocol for Polite {
    fn connection_made(&mut self, transport: &Transport) {
        let worker = Worker::current().expect("a loop of a group");
        transport.write(format!("{}\n", worker.index()));
        let transport = transport.clone();
        self.goodbye = Some(worker.on_drain(move || {
            transport.write("bye");
            transport.close();
        }));
    }

    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        transport.write(data);
    }
}

fn drain_is_told_to_who_wants_to_know(backend: &'static str) {
    let group = group(backend, 2).listen("tcp://127.0.0.1:0", |_| Polite::default()).expect("a port");
    let running = group.start().expect("loops");
    let mut clients: Vec<_> = (0..6).map(|_| connect(port(&running)).expect("a server")).collect();
    running.handle().drain(PATIENCE);
    for client in &mut clients {
        assert_eq!(client.rest().expect("an end"), b"bye");
    }
    drop(clients);
    assert_eq!(running.join().expect("a good end").aborted(), 0);
}

async fn afterwards(stream: Stream) -> io::Result<()> {
    stream.write_all(b"0\n").await?;
    let mut byte = [0];
    while stream.read(&mut byte).await? > 0 {}
    drop(stream);
    // The connection is gone, and the work is not.
    let group = GroupHandle::current().expect("a group");
    while !Worker::current().expect("a loop of a group").is_draining() {
        sleep(Duration::from_millis(1)).await;
    }
    sleep(Duration::from_millis(20)).await;
    assert_eq!(group.loops(), 2);
    Ok(())
}

fn g07_drain_waits_for_futures_and_other_work(backend: &'static str) {
    let group = group(backend, 2).listen_async("tcp://127.0.0.1:0", afterwards).expect("a port");
    let running = group.start().expect("loops");
    drop(connect(port(&running)).expect("a server"));
    wait_for("the connection to end", || {
        let stats = stats(&running.handle());
        let busy: usize = stats.loops.iter().map(|stats| stats.busy).sum();
        if (stats.connections(), busy) == (0, 1) { Ok(()) } else { Err(format!("{stats:?}")) }
    });
    let (sender, done) = channel();
    let task = running.handle().spawn_with(move || async move {
        let busy = Worker::current().expect("a loop of a group").busy();
        sender.send(()).expect("a test");
        sleep(Duration::from_millis(100)).await;
        drop(busy);
        "finished"
    });
    done.recv_timeout(PATIENCE).expect("a task");
    running.handle().drain(PATIENCE);
    let report = running.join().expect("a good end");
    assert_eq!((report.aborted(), report.unfinished()), (0, 0));
    assert_eq!(futures::executor::block_on(task).expect("an answer"), "finished");
}

fn a_stop_ends_a_drain(backend: &'static str) {
    let running = serving(backend, 2);
    let stuck = connect(port(&running)).expect("a server");
    running.handle().drain(PATIENCE);
    running.handle().stop();
    let report = running.join().expect("a good end");
    assert_eq!(report.aborted(), 1);
    drop(stuck);
}

fn a_program_that_stops_one_loop_stops_the_group(backend: &'static str) {
    let group = group(backend, 2)
        .listen("tcp://127.0.0.1:0", |_| |_: &Transport, _: &[u8]| Handle::current().expect("a loop").stop());
    let running = group.expect("a port").start().expect("loops");
    let mut quitter = TcpStream::connect(port(&running)).expect("a server");
    io::Write::write_all(&mut quitter, b"quit").expect("a server");
    let report = running.join().expect("a good end");
    let mut ends: Vec<_> = report.loops.iter().map(|report| report.end.to_string()).collect();
    ends.sort();
    assert_eq!(ends, ["was stopped", "was stopped by the program"]);
}

fn a_handle_of_a_group_that_is_over_does_nothing(backend: &'static str) {
    let running = serving(backend, 2);
    let handle = running.handle();
    handle.stop();
    running.join().expect("a good end");
    handle.stop();
    handle.drain(PATIENCE);
    let (tell, rolled) = crate::support::told();
    handle.restart(PATIENCE, tell);
    let rolled = rolled.recv_timeout(PATIENCE).expect("an answer");
    assert!(matches!(rolled.error, Some(marline_reactor::RollError::Over)), "{rolled:?}");
    assert!(handle.remote(0).post(|| ()).is_err());
}

/// Plays a program that is told to end by a signal. Signals are the whole process's, so each is a process of its own.
fn signalled(name: &str, part: impl FnOnce()) {
    if process::part().is_some() {
        return part();
    }
    let output = process::copy(name, "program").output().expect("a copy of this program");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("1 passed"), "{text}");
}

fn terminate() {
    kill_process(getpid(), rustix::process::Signal::TERM).expect("a signal");
}

#[test]
fn a_signal_drains_the_group_and_a_second_one_stops_it() {
    signalled("ending::a_signal_drains_the_group_and_a_second_one_stops_it", || {
        for backend in marline_tests::backends::here() {
            let group = group(backend, 2).on_signal(SignalKind::TERMINATE, OnSignal::Drain(PATIENCE));
            let running =
                group.listen("tcp://127.0.0.1:0", |_| Here).expect("a port").start().expect("loops");
            let mut client = connect(port(&running)).expect("a server");
            terminate();
            wait_for("the drain", || if is_refused(&running) { Ok(()) } else { Err("it goes on".into()) });
            client.echo().expect("an echo, though the group drains");
            terminate();
            assert_eq!(running.join().expect("a good end").aborted(), 1);
        }
    });
}

#[test]
fn run_returns_when_a_signal_stops_the_group() {
    signalled("ending::run_returns_when_a_signal_stops_the_group", || {
        for backend in marline_tests::backends::here() {
            let group = group(backend, 2).on_signal(SignalKind::TERMINATE, OnSignal::Stop);
            let group = group.on_start(|worker| {
                if worker.index() == 1 {
                    worker.handle().call_later(Duration::from_millis(50), terminate);
                }
                Ok(())
            });
            group.run().expect("a good end");
        }
    });
}
