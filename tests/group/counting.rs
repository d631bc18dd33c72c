//! What the report, and the counts, say of loops that did not end as they should, or have not ended yet.

use std::any::Any;
use std::cell::RefCell;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};

use marline_reactor::backend::named;
use marline_reactor::{Builder, Group, Handle, LoopEnd, LoopReport, OnPanic, Running, Transport};
use marline_tests::{PATIENCE, on_sockets, wait_for};

use crate::bomb::{Fuse, with_bomb};
use crate::support::{Here, connect, group, port, serving, stats, told};

on_sockets! {
    g11_a_loop_that_is_being_replaced_counts_too
    g09_a_loop_that_panicked_tells_what_it_served
    g09_a_loop_that_broke_tells_what_it_served
    g06_a_program_that_shuts_a_loop_down_is_told_what_stood
    g09_a_panic_that_stops_a_loop_is_no_good_end
}

fn g11_a_loop_that_is_being_replaced_counts_too(backend: &'static str) {
    let running = serving(backend, 1);
    let stays = connect(port(&running)).expect("a server");
    let (tell, rolled) = told();
    running.handle().restart(PATIENCE, tell);
    let both = wait_for("both loops", || {
        let stats = stats(&running.handle());
        if stats.loops.len() == 2 { Ok(stats) } else { Err(format!("{stats:?}")) }
    });
    assert_eq!((both.connections(), both.accepted()), (1, 1));
    drop(stays);
    assert!(rolled.recv_timeout(PATIENCE).expect("an answer").error.is_none());
    assert_eq!(stats(&running.handle()).loops.len(), 1, "one that has ended is not asked");
    running.handle().stop();
    running.join().expect("a good end");
}

fn broken(backend: &'static str, light: impl FnOnce(&Fuse) -> &AtomicBool) -> LoopReport {
    let (group, fuse) = with_bomb(backend, 1, 0);
    let running = group.listen("tcp://127.0.0.1:0", |_| Here).expect("a port").start().expect("loops");
    let clients: Vec<_> = (0..3).map(|_| connect(port(&running)).expect("a server")).collect();
    let (tell, busy) = std::sync::mpsc::channel();
    thread_local! {
        // It is busy until its thread ends.
        static BUSY: RefCell<Option<Box<dyn Any>>> = const { RefCell::new(None) };
    }
    let begin = move || {
        let worker = marline_reactor::Worker::current().expect("a loop of a group");
        BUSY.set(Some(Box::new(worker.busy())));
        tell.send(()).expect("a test");
    };
    running.handle().remote(0).post(begin).expect("a loop");
    busy.recv_timeout(PATIENCE).expect("a loop");
    light(&fuse).store(true, Ordering::SeqCst);
    let _ = running.handle().remote(0).post(|| ());
    let report = running.join().expect_err("it broke").into_report();
    drop(clients);
    assert_eq!((report.accepted(), report.aborted(), report.unfinished()), (3, 3, 1));
    report.loops[0].clone()
}

fn g09_a_loop_that_panicked_tells_what_it_served(backend: &'static str) {
    let report = broken(backend, |fuse| &fuse.panics);
    assert!(matches!(report.end, LoopEnd::Panicked(_)) && report.stats.turns > 0, "{report:?}");
}

fn g09_a_loop_that_broke_tells_what_it_served(backend: &'static str) {
    let report = broken(backend, |fuse| &fuse.breaks);
    assert!(matches!(report.end, LoopEnd::Broken(_)) && report.stats.turns > 0, "{report:?}");
}

/// Has the loops do something at the first byte.
fn quitting(group: Group, quit: impl Fn(&Handle) + Copy + Send + 'static) -> (Running, Vec<TcpStream>) {
    let factory = move |_: &_| {
        move |transport: &Transport, _: &[u8]| {
            transport.write("x");
            quit(&Handle::current().expect("a loop"));
        }
    };
    let running = group.listen("tcp://127.0.0.1:0", factory).expect("a port").start().expect("loops");
    let clients: Vec<_> = (0..3).map(|_| TcpStream::connect(port(&running)).expect("a server")).collect();
    wait_for("all to be served", || match stats(&running.handle()).connections() {
        3 => Ok(()),
        other => Err(format!("{other} of 3")),
    });
    std::io::Write::write_all(&mut &clients[0], b"quit").expect("a server");
    (running, clients)
}

fn g06_a_program_that_shuts_a_loop_down_is_told_what_stood(backend: &'static str) {
    let (running, clients) = quitting(group(backend, 1), Handle::shutdown);
    let report = running.join().expect("a good end");
    assert_eq!((report.accepted(), report.aborted()), (3, 3));
    assert_eq!(report.loops[0].end.to_string(), "was stopped by the program");
    drop(clients);
}

fn g09_a_panic_that_stops_a_loop_is_no_good_end(backend: &'static str) {
    let group = Group::new()
        .expect("a group")
        .loops(2)
        .builder(move |_| Ok(Builder::new().boxed_backend(named(backend)?).on_panic(OnPanic::Stop)));
    let (running, clients) = quitting(group, |handle| drop(handle.call_soon(|| panic!("on purpose"))));
    let broken = running.join().expect_err("a panic");
    assert!(broken.to_string().contains("panicked: on purpose"), "{broken}");
    assert_eq!((broken.report().accepted(), broken.report().aborted()), (3, 3));
    drop(clients);
}
