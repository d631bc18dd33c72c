//! Which loop gets which connection, in both styles.

use std::collections::BTreeSet;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use marline_reactor::{Balance, Group, ListenError, Worker};
use marline_tasks::{AsyncGroup as _, Stream, copy};
use marline_tests::{PATIENCE, on_sockets, once_free, tls, wait_for};

use crate::support::{
    Client, Here, connect, connect_unix, group, port, serving, serving_unix, socket_path, stats,
};

on_sockets! {
    g01_every_connection_is_served_and_each_loop_gets_some
    g02_who_connects_before_the_group_runs_is_served
    g03_a_unix_socket_is_spread_in_turn
    g03_a_unix_socket_is_spread_to_the_least_loaded
    g03_tcp_is_handed_over_on_request
    g03_a_limit_holds_for_each_loop_and_who_waits_is_served_later
    g01_async_functions_serve_what_each_loop_listens_on
    g03_async_functions_serve_what_is_handed_over
    one_group_serves_both_styles
    tls_is_served_by_each_loop
    each_loop_has_a_factory_of_its_own
    loops_are_pinned_and_named
}

fn g01_every_connection_is_served_and_each_loop_gets_some(backend: &'static str) {
    let running = serving(backend, 3);
    let mut clients: Vec<_> = (0..200).map(|_| connect(port(&running)).expect("a server")).collect();
    clients.iter_mut().for_each(|client| client.echo().expect("an echo"));
    let loops: BTreeSet<_> = clients.iter().map(|client| client.index).collect();
    assert_eq!(loops, BTreeSet::from([0, 1, 2]), "by a hash, each loop gets some of so many");
    let stats = stats(&running.handle());
    assert_eq!((stats.connections(), stats.accepted()), (200, 200));
    for stats in &stats.loops {
        let of_this = clients.iter().filter(|client| client.index == stats.index).count();
        assert_eq!(stats.connections, of_this, "loop {}", stats.index);
        // One to go, one to ask: no connection crossed over.
        assert!(stats.stats.wake_ups <= 2, "{} wake-ups", stats.stats.wake_ups);
    }
    running.handle().stop();
    let report = running.join().expect("a good end");
    assert_eq!((report.accepted(), report.aborted(), report.loops.len()), (200, 200, 3));
}

fn g02_who_connects_before_the_group_runs_is_served(backend: &'static str) {
    let group = group(backend, 2).listen("tcp://127.0.0.1:0", |_| Here).expect("a port");
    let address = group.addresses()[0].as_inet().expect("an address of the internet");
    assert_ne!(address.port(), 0, "the port is known at once");
    let early = TcpStream::connect(address).expect("somebody listens already");
    let running = group.start().expect("loops");
    assert_eq!(port(&running), address);
    Client::over(early).expect("a server").echo().expect("an echo");
    running.handle().stop();
    running.join().expect("a good end");
}

fn g03_a_unix_socket_is_spread_in_turn(backend: &'static str) {
    let (running, path) = serving_unix(backend, 3, Balance::RoundRobin);
    let mut clients: Vec<_> = (0..12).map(|_| connect_unix(&path).expect("a server")).collect();
    clients.iter_mut().for_each(|client| client.echo().expect("an echo"));
    let loops: Vec<_> = clients.iter().map(|client| client.index).collect();
    assert_eq!(loops, [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2]);
    running.handle().stop();
    assert_eq!(running.join().expect("a good end").accepted(), 12);
    assert!(!path.exists(), "the file goes with the group");
}

fn g03_a_unix_socket_is_spread_to_the_least_loaded(backend: &'static str) {
    let (running, path) = serving_unix(backend, 3, Balance::System);
    let mut clients: Vec<_> = (0..9).map(|_| connect_unix(&path).expect("a server")).collect();
    let each = |clients: &[Client<UnixStream>]| {
        let count = |index| clients.iter().filter(|client| client.index == index).count();
        [count(0), count(1), count(2)]
    };
    assert_eq!(each(&clients), [3, 3, 3]);
    // Those of one loop go, so the next go there.
    clients.retain(|client| client.index != 1);
    wait_for("connections to end", || match stats(&running.handle()).connections() {
        6 => Ok(()),
        other => Err(format!("{other} connections")),
    });
    clients.extend((0..3).map(|_| connect_unix(&path).expect("a server")));
    assert_eq!(each(&clients), [3, 3, 3]);
    clients.iter_mut().for_each(|client| client.echo().expect("an echo"));
    running.handle().stop();
    running.join().expect("a good end");
}

fn g03_tcp_is_handed_over_on_request(backend: &'static str) {
    let group = group(backend, 2).balance(Balance::RoundRobin);
    let running = group.listen("tcp://127.0.0.1:0", |_| Here).expect("a port").start().expect("loops");
    let mut clients: Vec<_> = (0..8).map(|_| connect(port(&running)).expect("a server")).collect();
    clients.iter_mut().for_each(|client| client.echo().expect("an echo"));
    let loops: Vec<_> = clients.iter().map(|client| client.index).collect();
    assert_eq!(loops, [0, 1, 0, 1, 0, 1, 0, 1]);
    running.handle().stop();
    running.join().expect("a good end");
}

fn g03_a_limit_holds_for_each_loop_and_who_waits_is_served_later(backend: &'static str) {
    let path = socket_path();
    let group = group(backend, 2).listen(format!("unix://{}?limit=1", path.display()), |_| Here);
    let running = group.expect("a socket").start().expect("loops");
    let mut served: Vec<_> = (0..2).map(|_| connect_unix(&path).expect("a server")).collect();
    served.sort_by_key(|client| client.index);
    let waiting = UnixStream::connect(&path).expect("room to wait");
    assert_eq!(stats(&running.handle()).accepted(), 2);
    served[1].echo().expect("an echo");
    drop(served.remove(1));
    let mut next = Client::over(waiting).expect("a server, when there is room");
    assert_eq!(next.index, 1);
    next.echo().expect("an echo");
    running.handle().stop();
    running.join().expect("a good end");
}

async fn here_async(stream: Stream) -> std::io::Result<u64> {
    let index = Worker::current().expect("a loop of a group").index();
    stream.write_all(format!("{index}\n").as_bytes()).await?;
    copy(&stream, &stream).await
}

fn g01_async_functions_serve_what_each_loop_listens_on(backend: &'static str) {
    let group = group(backend, 2).listen_async("tcp://127.0.0.1:0", here_async).expect("a port");
    let running = group.start().expect("loops");
    let mut clients: Vec<_> = (0..100).map(|_| connect(port(&running)).expect("a server")).collect();
    clients.iter_mut().for_each(|client| client.echo().expect("an echo"));
    let loops: BTreeSet<_> = clients.iter().map(|client| client.index).collect();
    assert_eq!(loops, BTreeSet::from([0, 1]));
    let busy: usize = stats(&running.handle()).loops.iter().map(|stats| stats.busy).sum();
    assert_eq!(busy, 100, "a future for each");
    running.handle().stop();
    let report = running.join().expect("a good end");
    assert_eq!((report.aborted(), report.unfinished()), (100, 100));
}

fn g03_async_functions_serve_what_is_handed_over(backend: &'static str) {
    let path = socket_path();
    let group = group(backend, 2).balance(Balance::RoundRobin);
    let group = group.listen_async(format!("unix://{}", path.display()), here_async).expect("a socket");
    let running = group.start().expect("loops");
    let mut clients: Vec<_> = (0..4).map(|_| connect_unix(&path).expect("a server")).collect();
    clients.iter_mut().for_each(|client| client.echo().expect("an echo"));
    assert_eq!(clients.iter().map(|client| client.index).collect::<Vec<_>>(), [0, 1, 0, 1]);
    running.handle().stop();
    running.join().expect("a good end");
}

fn one_group_serves_both_styles(backend: &'static str) {
    let group = group(backend, 2).listen("tcp://127.0.0.1:0", |_| Here).expect("a port");
    let group = group.listen_async("tcp://127.0.0.1:0", here_async).expect("another port");
    let running = group.start().expect("loops");
    let addresses: Vec<_> = running.addresses().iter().filter_map(|address| address.as_inet()).collect();
    assert_ne!(addresses[0], addresses[1]);
    for address in addresses {
        connect(address).expect("a server").echo().expect("an echo");
    }
    running.handle().stop();
    assert_eq!(running.join().expect("a good end").accepted(), 2);
}

fn tls_is_served_by_each_loop(backend: &'static str) {
    let group = group(backend, 2).listen(tls::endpoint(tls::server_config()), |_| Here).expect("TLS");
    let running = group.start().expect("loops");
    let mut loops = BTreeSet::new();
    for _ in 0..100 {
        let mut stream = tls::connect(port(&running)).expect("a handshake");
        let mut index = [0; 2];
        std::io::Read::read_exact(&mut stream, &mut index).expect("who it is");
        loops.insert(index[0] - b'0');
        if loops.len() == 2 {
            break;
        }
    }
    assert_eq!(loops, BTreeSet::from([0, 1]));
    running.handle().drain(PATIENCE);
    assert_eq!(running.join().expect("a good end").aborted(), 0);
}

fn each_loop_has_a_factory_of_its_own(backend: &'static str) {
    let path = socket_path();
    let group = group(backend, 2).balance(Balance::RoundRobin);
    let mut served = 0;
    // The count is the clone's: of one loop.
    let factory = move |_: &_| {
        served += 1;
        let served = served;
        (served <= 2).then_some(Here)
    };
    let group = group.listen(format!("unix://{}", path.display()), factory).expect("a socket");
    let running = group.start().expect("loops");
    let mut clients: Vec<_> = (0..4).map(|_| connect_unix(&path).expect("a server")).collect();
    clients.iter_mut().for_each(|client| client.echo().expect("an echo"));
    assert!(connect_unix(&path).is_err(), "the third of a loop is refused");
    running.handle().stop();
    assert_eq!(running.join().expect("a good end").accepted(), 4);
}

fn loops_are_pinned_and_named(backend: &'static str) {
    use rustix::thread::{CpuSet, sched_getaffinity};
    use std::sync::{Arc, Mutex};

    let found = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&found);
    let group = group(backend, 3).name("pinned").pin(true).on_start(move |worker| {
        let mine = sched_getaffinity(None)?;
        let processors: Vec<_> = (0..CpuSet::MAX_CPU).filter(|core| mine.is_set(*core)).collect();
        let name = std::thread::current().name().unwrap_or_default().to_owned();
        noted.lock().expect("no panic").push((worker.index(), processors, name));
        Ok(())
    });
    let running = group.start().expect("loops");
    let mut found = found.lock().expect("no panic").clone();
    found.sort();
    let all = sched_getaffinity(None).expect("an affinity");
    let allowed: Vec<_> = (0..CpuSet::MAX_CPU).filter(|core| all.is_set(*core)).collect();
    for (index, (place, processors, name)) in found.into_iter().enumerate() {
        assert_eq!(place, index);
        assert_eq!(processors, [allowed[index % allowed.len()]]);
        assert_eq!(name, format!("pinned-{index}"));
    }
    running.handle().stop();
    running.join().expect("a good end");
}

#[test]
fn g04_a_port_that_somebody_has_is_in_use_also_for_a_second_group() {
    let first = Group::new().expect("a group").listen("tcp://127.0.0.1:0", |_| Here).expect("a port");
    let address = first.addresses().remove(0);
    let running = first.start().expect("loops");
    let again = || Group::new().expect("a group").listen(&address, |_| Here);
    match again() {
        Err(ListenError::InUse { address: which, .. }) => assert_eq!(which, address),
        other => panic!("{other:?}"),
    }
    running.handle().stop();
    running.join().expect("a good end");
    once_free(again);
}
