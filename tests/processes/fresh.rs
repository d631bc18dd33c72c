//! What a child finds of its parent's signals, and what its pipes do to one for which SIGPIPE is deadly.
//!
//! The parents are copies of this program: with signals that are ignored and blocked, which a shell arranges, or with the
//! default for SIGPIPE.

use std::cell::{Cell, RefCell};
use std::os::fd::RawFd;
use std::rc::Rc;

use marline_reactor::{
    Addresses, ChildFd, Command, Exit, Lost, Process, ProcessProtocol, Protocol, Reactor, SignalKind,
    Transport,
};
use marline_tests::backends::{here, reactor};
use marline_tests::process;

use rustix::pipe::{PipeFlags, pipe_with};

use crate::{LOOK, own_process, shell, until};

/// The signals of a mask that /proc shows, as a set of bits.
const SHOW: &str = "grep -E '^Sig(Blk|Ign)' /proc/self/status; exit 0";
/// Tells a copy which backend to try: what a signal does is changed for good.
const BACKEND: &str = "MARLINE_TEST_ON";
const LOOKED_AT: [SignalKind; 4] =
    [SignalKind::HANGUP, SignalKind::USER1, SignalKind::USER2, SignalKind::PIPE];

fn bit(signal: SignalKind) -> u64 {
    1 << (signal.as_raw() - 1)
}

#[derive(Clone, Default)]
struct Collect {
    text: Rc<RefCell<Vec<u8>>>,
    ended: Rc<Cell<bool>>,
}

impl ProcessProtocol for Collect {
    fn data_received(&mut self, _: &Process, _: RawFd, data: &[u8]) {
        self.text.borrow_mut().extend_from_slice(data);
    }

    fn ended(&mut self, _: &Process, exit: Exit) {
        assert_eq!(exit, Exit::Code(0));
        self.ended.set(true);
    }
}

/// What is blocked and what is ignored in a child.
fn signals_of_child(backend: &str, command: Command) -> (u64, u64) {
    let (reactor, collect) = (reactor(backend), Collect::default());
    reactor.handle().spawn_process(command.stdout(ChildFd::Output), collect.clone()).expect("a process");
    until(&reactor, || collect.ended.get());
    let text = String::from_utf8(collect.text.take()).expect("a text");
    let mask = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
        let looked_at = LOOKED_AT.iter().fold(0, |bits, signal| bits | bit(*signal));
        u64::from_str_radix(line.trim(), 16).expect("a mask") & looked_at
    };
    (mask("SigBlk:"), mask("SigIgn:"))
}

#[test]
fn p12_a_child_ignores_and_blocks_nothing_that_its_parent_does() {
    if process::part().is_some() {
        for backend in here() {
            let ignored = bit(SignalKind::HANGUP) | bit(SignalKind::USER1);
            assert_eq!(signals_of_child(backend, shell(SHOW)), (0, 0));
            assert_eq!(signals_of_child(backend, shell(SHOW).keep_ignored_signals()), (0, ignored));
        }
        return;
    }
    let _process = own_process();
    let copy = process::copy("fresh::p12_a_child_ignores_and_blocks_nothing_that_its_parent_does", "parent");
    // What env cannot block stays unblocked, and the rest of the test holds.
    let blocks = std::process::Command::new("env").args(["--block-signal=USR2", "true"]).status();
    let line = match blocks {
        Ok(status) if status.success() => r#"trap "" HUP USR1; exec env --block-signal=USR2 "$@""#,
        _ => r#"trap "" HUP USR1; exec "$@""#,
    };
    let mut under_shell = std::process::Command::new("sh");
    under_shell.args(["-c", line, "sh"]).arg(copy.get_program()).args(copy.get_args());
    under_shell.envs(copy.get_envs().filter_map(|(name, value)| Some((name, value?))));
    assert!(under_shell.status().expect("a copy").success());
}

/// Tells of its loss.
struct Told(Rc<Cell<bool>>);

impl Protocol for Told {
    fn data_received(&mut self, _: &Transport, _: &[u8]) {}

    fn connection_lost(&mut self, _: &Transport, lost: &Lost) {
        assert!(lost.is_reset(), "{lost}");
        self.0.set(true);
    }
}

#[test]
fn p08_a_pipe_that_nobody_reads_kills_nobody_where_sigpipe_is_deadly() {
    if process::part().is_some() {
        process::make_sigpipe_deadly();
        for backend in here() {
            let (reactor, lost) = (reactor(backend), Rc::new(Cell::new(false)));
            let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).expect("a pipe");
            let transport = reactor.handle().adopt_stream(writer, Told(Rc::clone(&lost))).expect("a pipe");
            transport.write(b"somebody reads this");
            reactor.turn(Some(LOOK)).expect("a turn");
            drop(reader);
            // Before the loop could learn of it.
            transport.write(b"and nobody this");
            transport.flush();
            until(&reactor, || lost.get());
            // The child's own SIGPIPE is the default one: what it writes to nobody ends it.
            let ended = Rc::new(Cell::new(None));
            let told = Rc::clone(&ended);
            let command = shell("kill -PIPE $$; exit 0");
            let protocol = move |_: &Process, exit: Exit| told.set(Some(exit));
            reactor.handle().spawn_process(command, protocol).expect("a process");
            until(&reactor, || ended.get().is_some());
            assert_eq!(ended.get().and_then(Exit::signal), Some(SignalKind::PIPE));
        }
        return;
    }
    let _process = own_process();
    let name = "fresh::p08_a_pipe_that_nobody_reads_kills_nobody_where_sigpipe_is_deadly";
    let status = process::copy(name, "writer").status().expect("a copy");
    assert!(status.success(), "{status}");
}

/// Greets whoever said something.
struct Greet(Told);

impl Protocol for Greet {
    fn data_received(&mut self, transport: &Transport, _: &[u8]) {
        transport.write(b"nobody reads this");
    }

    fn connection_lost(&mut self, transport: &Transport, lost: &Lost) {
        self.0.connection_lost(transport, lost);
    }
}

/// Has a copy of the test's process run `test` for each backend, where SIGPIPE has its default disposition at first.
fn where_sigpipe_is_deadly(name: &str, test: impl FnOnce(&Reactor)) {
    if process::part().is_some() {
        process::make_sigpipe_deadly();
        let backend = std::env::var(BACKEND).expect("the name of a backend");
        return test(&reactor(&backend));
    }
    let _process = own_process();
    for backend in here() {
        let status = process::copy(name, "writer").env(BACKEND, backend).status().expect("a copy");
        assert!(status.success(), "{backend}: {status}");
    }
}

#[test]
fn w11_a_command_that_is_connected_to_and_reads_nothing_kills_nobody_where_sigpipe_is_deadly() {
    let name =
        "fresh::w11_a_command_that_is_connected_to_and_reads_nothing_kills_nobody_where_sigpipe_is_deadly";
    where_sigpipe_is_deadly(name, |reactor| {
        let lost = Rc::new(Cell::new(false));
        let greet = Greet(Told(Rc::clone(&lost)));
        // Its input is closed before it says anything.
        let connecting = reactor.handle().connect(
            "exec:exec <&-; echo here",
            move |_: &Addresses| Some(Box::new(greet) as Box<dyn Protocol>),
            |outcome| drop(outcome.expect("a connection")),
        );
        until(reactor, || lost.get());
        drop(connecting);
    });
}

#[test]
fn p08_sigpipe_stays_harmless_for_pipes_when_nobody_watches_it_any_more() {
    let name = "fresh::p08_sigpipe_stays_harmless_for_pipes_when_nobody_watches_it_any_more";
    where_sigpipe_is_deadly(name, |reactor| {
        let lost = Rc::new(Cell::new(false));
        let handler = reactor.handle().on_signal(SignalKind::PIPE, || {}).expect("a handler");
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).expect("a pipe");
        let transport = reactor.handle().adopt_stream(writer, Told(Rc::clone(&lost))).expect("a pipe");
        handler.remove();
        drop(reader);
        transport.write(b"nobody reads this");
        transport.flush();
        until(reactor, || lost.get());
    });
}
