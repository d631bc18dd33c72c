//! Connections that one loop accepts and another serves.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use marline_reactor::backend::named;
use marline_reactor::{
    Balance, Builder, ConnectDone, ConnectFactory, Connecting, Endpoint, EndpointKind, EndpointParts, Group,
    Handle, ListenError, ListenFactory, OnBroken, Server,
};
use marline_tests::{PATIENCE, on_sockets, wait_for};

use crate::bomb::with_bomb;
use crate::support::{
    Client, Here, connect_unix, group, hold_up, restart, serving_unix, socket_path, stats, told,
};

on_sockets! {
    g03_who_was_aborted_by_a_restart_takes_nobodys_place
    g03_a_new_loop_has_room_of_its_own
    g03_the_limit_of_an_endpoint_that_wraps_another_holds
    g09_nobody_is_lost_who_was_on_the_way_to_a_loop_that_broke
    g07_nobody_is_lost_on_the_way_when_a_drain_begins
    a_full_loop_is_told_all_the_same
}

fn serving_few(
    backend: &'static str,
    loops: usize,
    limit: usize,
) -> (marline_reactor::Running, std::path::PathBuf) {
    let path = socket_path();
    let group = group(backend, loops).listen(format!("unix://{}?limit={limit}", path.display()), |_| Here);
    (group.expect("a socket").start().expect("loops"), path)
}

fn g03_who_was_aborted_by_a_restart_takes_nobodys_place(backend: &'static str) {
    let (running, path) = serving_few(backend, 2, 2);
    for _ in 0..3 {
        let mut stuck: Vec<_> = (0..4).map(|_| connect_unix(&path).expect("room")).collect();
        let rolled = restart(&running, Duration::from_millis(20));
        assert_eq!(rolled.loops.iter().map(|report| report.aborted).sum::<usize>(), 4);
        stuck.iter_mut().for_each(|client| assert!(client.rest().map_or(true, |rest| rest.is_empty())));
    }
    let mut clients: Vec<_> = (0..4).map(|_| connect_unix(&path).expect("room")).collect();
    clients.iter_mut().for_each(|client| client.echo().expect("an echo"));
    running.handle().stop();
    running.join().expect("a good end");
}

fn g03_a_new_loop_has_room_of_its_own(backend: &'static str) {
    let (running, path) = serving_few(backend, 1, 1);
    let mut old = connect_unix(&path).expect("room");
    let waiting = UnixStream::connect(&path).expect("room to wait");
    let (tell, rolled) = told();
    running.handle().restart(PATIENCE, tell);
    let mut new = Client::over(waiting).expect("a server, though the old loop is full still");
    old.echo().expect("an echo");
    new.echo().expect("an echo");
    drop(old);
    assert!(rolled.recv_timeout(PATIENCE).expect("an answer").error.is_none());
    running.handle().stop();
    running.join().expect("a good end");
}

/// Listens on a UNIX socket, as what stands on other endpoints does.
struct Wrapped;

impl EndpointKind for Wrapped {
    fn connect(
        &self,
        handle: &Handle,
        parts: &EndpointParts,
        factory: ConnectFactory,
        done: ConnectDone,
    ) -> Connecting {
        handle.connect(Endpoint::unix(parts.rest()), factory, done)
    }

    fn listen(
        &self,
        handle: &Handle,
        parts: &EndpointParts,
        factory: ListenFactory,
    ) -> Result<Server, ListenError> {
        handle.listen(Endpoint::unix(parts.rest()), factory)
    }
}

fn g03_the_limit_of_an_endpoint_that_wraps_another_holds(backend: &'static str) {
    let path = socket_path();
    let endpoint = Endpoint::of_kind(Wrapped, &format!("wrapped:{}", path.display())).limit(1);
    let running = group(backend, 2).listen(endpoint, |_| Here).expect("a socket").start().expect("loops");
    let mut served: Vec<_> = (0..2).map(|_| connect_unix(&path).expect("a server")).collect();
    served.sort_by_key(|client| client.index);
    assert_eq!(served.iter().map(|client| client.index).collect::<Vec<_>>(), [0, 1]);
    let waiting: Vec<_> = (0..5).map(|_| UnixStream::connect(&path).expect("room to wait")).collect();
    for _ in 0..10 {
        served.iter_mut().for_each(|client| client.echo().expect("an echo"));
        assert_eq!(stats(&running.handle()).accepted(), 2);
    }
    let (left, _stays) = (served.remove(1), served);
    drop(left);
    for client in waiting {
        let mut client = Client::over(client).expect("a server, when there is room");
        assert_eq!(client.index, 1);
        client.echo().expect("an echo");
    }
    running.handle().stop();
    running.join().expect("a good end");
}

fn g09_nobody_is_lost_who_was_on_the_way_to_a_loop_that_broke(backend: &'static str) {
    let path = socket_path();
    let (group, fuse) = with_bomb(backend, 3, 1);
    let group = group.on_broken(OnBroken::GoOn).balance(Balance::LeastConnections);
    let group = group.listen(format!("unix://{}", path.display()), |_| Here).expect("a socket");
    let running = group.start().expect("loops");
    let release = hold_up(&running.handle(), 1);
    let clients: Vec<_> = (0..30).map(|_| UnixStream::connect(&path).expect("room to wait")).collect();
    wait_for("the others to have theirs", || {
        let (tell, accepted) = std::sync::mpsc::channel();
        for index in [0, 2] {
            let tell = tell.clone();
            let ask = move || {
                let worker = marline_reactor::Worker::current().expect("a loop of a group");
                tell.send(worker.connections()).expect("a test");
            };
            running.handle().remote(index).post(ask).expect("a loop");
        }
        let both = accepted.iter().take(2).sum::<usize>();
        if both == 20 { Ok(()) } else { Err(format!("{both} of 20")) }
    });
    fuse.panics.store(true, Ordering::SeqCst);
    release();
    for client in clients {
        let mut client = Client::over(client).expect("another server");
        assert_ne!(client.index, 1);
        client.echo().expect("an echo");
    }
    running.handle().stop();
    running.join().expect_err("it is told at the end");
}

fn g07_nobody_is_lost_on_the_way_when_a_drain_begins(backend: &'static str) {
    for _ in 0..30 {
        let (running, path) = serving_unix(backend, 3, Balance::RoundRobin);
        let clients: Vec<_> = (0..50).map(|_| UnixStream::connect(&path).expect("room to wait")).collect();
        running.handle().drain(PATIENCE);
        for client in clients {
            Client::over(client).expect("a server").echo().expect("an echo");
        }
        let report = running.join().expect("a good end");
        assert_eq!((report.accepted(), report.aborted()), (50, 0));
    }
}

fn visit(path: &Path) {
    for index in 0..4 {
        let mut client = connect_unix(&path.to_owned()).expect("a server");
        assert_eq!(client.index, index % 2);
        client.echo().expect("an echo");
    }
}

fn a_full_loop_is_told_all_the_same(backend: &'static str) {
    let path = socket_path();
    // No closure of the program's may wait, and so none can be posted.
    let group = Group::new().expect("a group").loops(2).balance(Balance::RoundRobin);
    let group = group.builder(move |_| Ok(Builder::new().boxed_backend(named(backend)?).post_limit(0)));
    let group = group.listen(format!("unix://{}", path.display()), |_| Here).expect("a socket");
    let running = group.start().expect("loops");
    assert!(running.handle().remote(0).post(|| ()).is_err_and(|error| error.is_full()));
    visit(&path);
    assert!(restart(&running, PATIENCE).error.is_none());
    visit(&path);
    assert_eq!(stats(&running.handle()).loops.len(), 2);
    running.handle().drain(PATIENCE);
    assert_eq!(running.join().expect("a good end").loops.len(), 4);
}
