//! Loops that cannot start, and loops that break.

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use marline_reactor::backend::named;
use marline_reactor::{Balance, Builder, Group, GroupBroken, LoopEnd, OnBroken, StartErrorKind};
use marline_tests::{PATIENCE, backends, on_sockets, once_free, process, wait_for};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::bomb::with_bomb;
use crate::support::{Here, connect, connect_unix, group, port, socket_path, stats};

on_sockets! {
    g05_a_loop_that_cannot_be_made_ends_all_that_started
    g05_a_hook_that_fails_ends_all_that_started
    a_hook_that_panics_ends_all_that_started
    g09_a_loop_that_panics_ends_the_group
    g09_a_backend_that_breaks_ends_the_group
    g09_others_go_on_without_a_loop_that_panicked
    g09_others_go_on_without_the_loop_that_accepted
}

/// Whether a thread of this process has that name.
fn has_thread(name: &str) -> bool {
    let threads = std::fs::read_dir("/proc/self/task").expect("the list of threads");
    threads.flatten().any(|thread| {
        let comm = std::fs::read_to_string(thread.path().join("comm"));
        comm.is_ok_and(|comm| comm.trim().starts_with(name))
    })
}

/// Starts what cannot start, and looks that nothing is left of it.
fn cannot_start(group: Group, name: &str) -> (Option<usize>, StartErrorKind) {
    let group = group.name(name).listen("tcp://127.0.0.1:0", |_| Here).expect("a port");
    let address = group.addresses()[0].as_inet().expect("an address of the internet");
    let error = group.start().expect_err("an error");
    // A thread that was joined may be listed a moment longer.
    wait_for("threads to end", || if has_thread(name) { Err("a thread".to_owned()) } else { Ok(()) });
    drop(once_free(|| std::net::TcpListener::bind(address)));
    let index = error.index();
    let text = error.to_string();
    assert!(index.is_none_or(|index| text.starts_with(&format!("loop {index} of the group"))), "{text}");
    (index, error.into_kind())
}

fn g05_a_loop_that_cannot_be_made_ends_all_that_started(backend: &'static str) {
    let group = Group::new().expect("a group").loops(3).builder(move |index| {
        Ok(Builder::new().boxed_backend(named(if index == 1 { "no such backend" } else { backend })?))
    });
    let (index, kind) = cannot_start(group, &format!("unmade-{}", &backend[..2]));
    assert!(matches!((index, &kind), (Some(1), StartErrorKind::Create(_))), "{kind:?}");
}

fn g05_a_hook_that_fails_ends_all_that_started(backend: &'static str) {
    let group = group(backend, 3)
        .on_start(|worker| if worker.index() == 2 { Err("no database".into()) } else { Ok(()) });
    let (index, kind) = cannot_start(group, &format!("hookless-{}", &backend[..2]));
    match (index, kind) {
        (Some(2), StartErrorKind::Hook(error)) => assert_eq!(error.to_string(), "no database"),
        other => panic!("{other:?}"),
    }
}

fn a_hook_that_panics_ends_all_that_started(backend: &'static str) {
    let group = group(backend, 2).on_start(|worker| {
        assert_ne!(worker.index(), 0, "on purpose");
        Ok(())
    });
    let (index, kind) = cannot_start(group, &format!("panicky-{}", &backend[..2]));
    match (index, kind) {
        (Some(0), StartErrorKind::Panicked(panic)) => assert!(panic.message().contains("on purpose")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn g05_without_descriptors_the_start_fails_and_leaves_none_open() {
    let name = "failing::g05_without_descriptors_the_start_fails_and_leaves_none_open";
    if process::part().is_none() {
        let run = |mut copy: Command| copy.output().expect("a copy of this program");
        let output = run(process::copy(name, "program"));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    let open = || std::fs::read_dir("/proc/self/fd").expect("the list of descriptors").count();
    for backend in backends::here() {
        let before = open();
        let maximum = getrlimit(Resource::Nofile).maximum;
        let few = u64::try_from(before + 12).expect("a number");
        setrlimit(Resource::Nofile, Rlimit { current: Some(few), maximum }).expect("a lower limit");
        let group = group(backend, 64).listen("tcp://127.0.0.1:0", |_| Here).expect("a port");
        let kind = group.start().expect_err("an error").into_kind();
        setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("the limit as it was");
        assert!(matches!(kind, StartErrorKind::Create(_) | StartErrorKind::Listen(_)), "{kind:?}");
        assert_eq!(open(), before, "on {backend}: {kind:?}");
    }
}

fn g09_a_loop_that_panics_ends_the_group(backend: &'static str) {
    let (group, fuse) = with_bomb(backend, 3, 1);
    let running = group.listen("tcp://127.0.0.1:0", |_| Here).expect("a port").start().expect("loops");
    let handle = running.handle();
    fuse.panics.store(true, Ordering::SeqCst);
    let _ = handle.remote(1).post(|| ());
    let broken: GroupBroken = running.join().expect_err("an error");
    assert!(broken.to_string().contains("loop 1 panicked: on purpose"), "{broken}");
    let report = broken.into_report();
    let ends =
        |wanted: fn(&LoopEnd) -> bool| report.loops.iter().filter(|report| wanted(&report.end)).count();
    assert_eq!(ends(|end| matches!(end, LoopEnd::Panicked(_))), 1);
    assert_eq!(ends(|end| matches!(end, LoopEnd::Stopped)), 2);
}

fn g09_a_backend_that_breaks_ends_the_group(backend: &'static str) {
    let (group, fuse) = with_bomb(backend, 2, 0);
    let running = group.listen("tcp://127.0.0.1:0", |_| Here).expect("a port").start().expect("loops");
    fuse.breaks.store(true, Ordering::SeqCst);
    let _ = running.handle().remote(0).post(|| ());
    let broken = running.join().expect_err("an error");
    assert!(broken.to_string().contains("broken on purpose"), "{broken}");
    let first = &broken.report().loops[0];
    assert!(matches!((first.index, &first.end), (0, LoopEnd::Broken(_))), "{first:?}");
}

fn g09_others_go_on_without_a_loop_that_panicked(backend: &'static str) {
    let (group, fuse) = with_bomb(backend, 2, 1);
    let group = group.on_broken(OnBroken::GoOn).listen("tcp://127.0.0.1:0", |_| Here).expect("a port");
    let running = group.start().expect("loops");
    fuse.panics.store(true, Ordering::SeqCst);
    let _ = running.handle().remote(1).post(|| ());
    wait_for("the loop to break", || match stats(&running.handle()).loops.len() {
        1 => Ok(()),
        loops => Err(format!("{loops} loops")),
    });
    // Those of its socket too: whoever waits there is served by the other.
    for _ in 0..50 {
        let mut client = connect(port(&running)).expect("a server");
        assert_eq!(client.index, 0);
        client.echo().expect("an echo");
    }
    running.handle().drain(PATIENCE);
    let broken = running.join().expect_err("it is told at the end");
    assert_eq!(broken.report().loops.len(), 2);
    assert!(broken.report().loops[0].end.is_broken());
}

fn g09_others_go_on_without_the_loop_that_accepted(backend: &'static str) {
    let path = socket_path();
    let (group, fuse) = with_bomb(backend, 3, 0);
    let group = group.on_broken(OnBroken::GoOn).balance(Balance::RoundRobin);
    let group = group.listen(format!("unix://{}", path.display()), |_| Here).expect("a socket");
    let running = group.start().expect("loops");
    fuse.panics.store(true, Ordering::SeqCst);
    let _ = running.handle().remote(0).post(|| ());
    wait_for("the loop to break", || match stats(&running.handle()).loops.len() {
        2 => Ok(()),
        loops => Err(format!("{loops} loops")),
    });
    let served = AtomicUsize::new(0);
    for _ in 0..20 {
        let mut client = connect_unix(&path).expect("a server");
        assert_ne!(client.index, 0);
        client.echo().expect("an echo");
        served.fetch_add(1, Ordering::SeqCst);
    }
    assert_eq!(served.into_inner(), 20);
    running.handle().stop();
    assert_eq!(running.join().expect_err("it is told at the end").report().accepted(), 20);
}
