//! A thousand children, and what is left of them; and of those that could not be started.

use std::cell::Cell;
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;

use marline_reactor::{ChildFd, Command, Exit, Process, Reactor, SignalKind, SpawnError};
use marline_tests::backends::reactor;
use marline_tests::on_sockets;
use marline_tests::running::Running;

use crate::{descriptors, own_process, shell, until};

const CHILDREN: usize = 1000;
/// So many at a time.
const AT_ONCE: usize = 50;
/// Each tenth is killed.
const KILLED: usize = 10;

/// How many children this process has, zombies included.
fn children() -> usize {
    Running::find(std::process::id()).expect("this process").children().len()
}

on_sockets! {
    p01_a_thousand_children_leave_no_zombie_and_no_descriptor
    p04_what_fails_leaves_no_child_and_no_descriptor
    what_cannot_be_executed_is_told_whatever_numbers_the_child_was_to_have
}

fn p01_a_thousand_children_leave_no_zombie_and_no_descriptor(backend: &str) {
    let _process = own_process();
    assert_eq!(children(), 0);
    let reactor = reactor(backend);
    let one = |index: usize, ended: &Rc<Cell<usize>>, running: &Rc<Cell<usize>>| {
        let kills = index % KILLED == 0;
        let expected = if kills {
            Exit::Signal { signal: SignalKind::KILL, core_dumped: false }
        } else {
            Exit::Code(i32::try_from(index % 200).expect("a code"))
        };
        let line = if kills {
            "exec sleep 100000".to_owned()
        } else {
            format!("echo {index}; exit {}", index % 200)
        };
        let (ended, running) = (Rc::clone(ended), Rc::clone(running));
        running.set(running.get() + 1);
        let protocol = move |_: &Process, exit: Exit| {
            assert_eq!(exit, expected);
            ended.set(ended.get() + 1);
            running.set(running.get() - 1);
        };
        let command = shell(&line).stdout(ChildFd::Output).stderr(ChildFd::Output);
        let process = reactor.handle().spawn_process(command, protocol).expect("a process");
        if kills {
            process.kill().expect("it runs");
        }
    };
    let (ended, running) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    // The first makes what the loop makes once.
    one(1, &ended, &running);
    until(&reactor, || running.get() == 0);
    let baseline = descriptors();
    for index in 0..CHILDREN {
        one(index, &ended, &running);
        until(&reactor, || running.get() < AT_ONCE);
    }
    until(&reactor, || running.get() == 0);
    assert_eq!((ended.get(), children(), descriptors()), (CHILDREN + 1, 0, baseline));
    reactor.run().expect("nothing is left");
}

/// Starts what cannot be started.
fn refused(reactor: &Reactor, command: Command) {
    let handle = reactor.handle();
    handle.spawn_process(command.piped(), |_: &Process, _: Exit| {}).expect_err("a refusal");
}

fn p04_what_fails_leaves_no_child_and_no_descriptor(backend: &str) {
    let _process = own_process();
    let reactor = reactor(backend);
    let before = descriptors();
    refused(&reactor, Command::new("/no/such/program"));
    refused(&reactor, Command::new("/etc/passwd"));
    refused(&reactor, shell("exit 0").current_dir("/no/such/folder"));
    refused(&reactor, shell("exit 0").descriptor(5, ChildFd::Duplex).descriptor(i32::MAX, ChildFd::Input));
    refused(&reactor, shell("exit 0").descriptor(5, ChildFd::Output).descriptor(999, ChildFd::Inherit));
    // What is no terminal cannot control a session: the child finds that out, after the fork.
    let file = std::fs::File::open("/dev/null").expect("a file");
    refused(&reactor, shell("exit 0").terminal(file));
    assert_eq!(children(), 0);
    // A sanitizer may have had one of its own open at first.
    assert!(descriptors() <= before, "{} descriptors, and {before} before", descriptors());
    reactor.run().expect("nothing is left");
}

/// Why a program cannot be executed comes through a descriptor that is made when it is started, at the smallest number that is
/// free by then. The numbers of the child's that were open here as the descriptors given for them are not among those.
fn what_cannot_be_executed_is_told_whatever_numbers_the_child_was_to_have(backend: &str) {
    let _process = own_process();
    let reactor = reactor(backend);
    let file = || Some(OwnedFd::from(std::fs::File::open("/dev/null").expect("a file")));
    for swapped in [false, true] {
        for index in 0..6 {
            let mut files: Vec<_> = (0..8).map(|_| file()).collect();
            let given = [index, index + 1].map(|index| files[index].take().expect("it is open"));
            // Those before them are free, and those behind them are not.
            files[..index].iter_mut().for_each(|file| *file = None);
            let [mut one, mut other] = given.each_ref().map(AsRawFd::as_raw_fd);
            if swapped {
                std::mem::swap(&mut one, &mut other);
            }
            let [first, second] = given;
            let command = Command::new("/no/such/program").descriptor(one, first).descriptor(other, second);
            let started = reactor.handle().spawn_process(command, |_: &Process, _: Exit| {});
            let error = started.expect_err("there is no such program");
            assert!(matches!(&error, SpawnError::System { program, .. } if program == "/no/such/program"));
            assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::NotFound);
        }
    }
}
