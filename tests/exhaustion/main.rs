//! What a whole process has: its limit of descriptors, its descriptors, its threads.
//!
//! These tests are a program of their own, because the limit would be felt by every test beside them; and they run one
//! after the other. `/proc` tells what the process has, so they are Linux's.

#![allow(missing_docs, unreachable_pub)]
#![cfg(target_os = "linux")]

/// Stamps functions that are given a backend's name over the backends, each with the process to itself. To see whether a ring can
/// be made takes descriptors, too.
macro_rules! alone_on_sockets {
    ($($name:ident)*) => {$(
        mod $name {
            #[test]
            fn readiness() {
                let _alone = crate::alone();
                super::$name("readiness");
            }

            #[test]
            fn completion() {
                let _alone = crate::alone();
                if marline_tests::backends::has_completion() {
                    super::$name("completion");
                }
            }
        }
    )*};
}

pub(crate) use alone_on_sockets;

mod descriptors;
mod limit;
mod locked;
mod packets;
mod passing;
mod resolver;
mod sandbox;
mod threads;

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use marline_reactor::{Addresses, ConnectError, Reactor, Server, Transport};
use marline_tests::PATIENCE;
use marline_tests::backends::reactor;

/// Lets one test at a time have the process.
fn alone() -> MutexGuard<'static, ()> {
    static PROCESS: Mutex<()> = Mutex::new(());
    PROCESS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The numbers of the open descriptors, apart from the one that it takes to look.
fn descriptors() -> Vec<u32> {
    let entries = std::fs::read_dir("/proc/self/fd").expect("the list");
    // Each entry keeps the list open, so all of them have to be gone before it is asked which are.
    let paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    let links: Vec<_> = paths.into_iter().filter(|path| std::fs::read_link(path).is_ok()).collect();
    let numbers = links.iter().filter_map(|path| path.file_name()?.to_str()?.parse().ok());
    numbers.collect()
}

#[track_caller]
fn until(reactor: &Reactor, done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < PATIENCE, "what the test waits for did not happen");
        reactor.turn(Some(Duration::from_millis(20))).expect("a turn");
    }
}

/// A listener whose connections echo, and the number of those that were made.
fn echo(reactor: &Reactor) -> (Server, Rc<Cell<usize>>) {
    let made = Rc::new(Cell::new(0));
    let count = Rc::clone(&made);
    let server = reactor.handle().listen("tcp://127.0.0.1:0", move |_: &Addresses| {
        count.set(count.get() + 1);
        |transport: &Transport, data: &[u8]| transport.write(data)
    });
    (server.expect("a listener"), made)
}

fn address_of(server: &Server) -> SocketAddr {
    server.local_address().and_then(|address| address.as_inet()).expect("an address")
}

type Outcome = Rc<RefCell<Option<Result<Transport, ConnectError>>>>;

fn connect(reactor: &Reactor, endpoint: &str) -> (marline_reactor::Connecting, Outcome) {
    let outcome = Outcome::default();
    let told = Rc::clone(&outcome);
    let connecting = reactor.handle().connect(
        endpoint,
        |_: &Addresses| |_: &Transport, _: &[u8]| (),
        move |result| *told.borrow_mut() = Some(result),
    );
    (connecting, outcome)
}
