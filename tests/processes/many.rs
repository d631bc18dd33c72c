//! A thousand children, and what is left of them; and of those that could not be started.

use std::cell::Cell;
use std::rc::Rc;

use marline_reactor::{ChildFd, Command, Exit, Process, Reactor, SignalKind};
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
    assert_eq!((children(), descriptors()), (0, before));
    reactor.run().expect("nothing is left");
}
