//! A child that runs in a terminal: its session, the size of its window, and its end when the connection to it ends.

use std::cell::{Cell, RefCell};
use std::os::unix::fs::MetadataExt;
use std::rc::Rc;

use marline_reactor::terminal::{Pty, WindowSize};
use marline_reactor::{Command, Exit, Process, Reactor, SignalKind, Transport};
use marline_tests::backends::reactor;
use marline_tests::files::Folder;
use marline_tests::on_sockets;
use marline_tests::running::Running;

use crate::{own_process, until};

on_sockets! {
    u07_a_child_in_a_terminal_leads_a_session_that_the_terminal_controls
    u07_a_child_in_a_terminal_is_told_of_a_size_and_of_the_hang_up
    u07_a_child_that_does_not_care_about_hang_ups_ends_by_one
}

/// A child in a terminal, and what it has shown.
struct Inside {
    terminal: Transport,
    shown: Rc<RefCell<Vec<u8>>>,
    process: Process,
    ended: Rc<Cell<Option<Exit>>>,
    /// The number of the terminal's device.
    device: u64,
}

impl Inside {
    fn start(reactor: &Reactor, command: Command) -> Self {
        let handle = reactor.handle();
        let Pty { master, slave, .. } = handle.open_pty(WindowSize::new(24, 80)).expect("a terminal");
        let slave = std::fs::File::from(slave.into_fd().expect("a descriptor"));
        let device = slave.metadata().expect("a device").rdev();
        let (shown, ended) = (Rc::<RefCell<Vec<u8>>>::default(), Rc::new(Cell::new(None)));
        let (shows, ends) = (Rc::clone(&shown), Rc::clone(&ended));
        let protocol = move |_: &Process, exit: Exit| ends.set(Some(exit));
        let process = handle.spawn_process(command.terminal(slave), protocol).expect("a process");
        let terminal = handle.adopt_stream(master, move |_: &Transport, data: &[u8]| {
            shows.borrow_mut().extend_from_slice(data)
        });
        Self { terminal: terminal.expect("a terminal"), shown, process, ended, device }
    }

    fn until_shown(&self, reactor: &Reactor, line: &str) {
        until(reactor, || String::from_utf8_lossy(&self.shown.borrow()).lines().any(|shown| shown == line));
    }

    fn until_ended(&self, reactor: &Reactor) -> Exit {
        until(reactor, || self.ended.get().is_some());
        self.ended.get().expect("it has ended")
    }
}

fn script(lines: &str) -> Command {
    Command::new("/bin/sh").arg("-c").arg(lines)
}

fn u07_a_child_in_a_terminal_leads_a_session_that_the_terminal_controls(backend: &str) {
    let _process = own_process();
    let reactor = reactor(backend);
    let inside = Inside::start(&reactor, script("echo open >/dev/tty; read line"));
    inside.until_shown(&reactor, "open");
    let id = inside.process.id();
    let told = Running::find(id).and_then(|child| child.told()).expect("it runs");
    assert_eq!((told.session, told.group, told.foreground), (id, id, id.into()));
    assert_eq!(told.terminal, inside.device);
    // This process has not got it as its own by that.
    let own = Running::find(std::process::id()).and_then(|own| own.told()).expect("this process");
    assert_ne!(own.terminal, inside.device);
    inside.terminal.write(b"\n");
    assert_eq!(inside.until_ended(&reactor), Exit::Code(0));
}

fn u07_a_child_in_a_terminal_is_told_of_a_size_and_of_the_hang_up(backend: &str) {
    const WORDS: &str = "trap 'echo size $(stty size)' WINCH; trap 'echo told >\"$FILE\"; exit 9' HUP
        echo ready; while :; do sleep 0.05; done";
    type End = fn(&Transport);
    let _process = own_process();
    let ends: [End; 2] = [Transport::close, Transport::abort];
    for end in ends {
        let (reactor, folder) = (reactor(backend), Folder::new("hang-up"));
        let file = folder.path("file");
        let inside = Inside::start(&reactor, script(WORDS).env("FILE", &file));
        inside.until_shown(&reactor, "ready");
        for (rows, columns) in [(31, 97), (10, 300)] {
            inside.terminal.set_window_size(WindowSize::new(rows, columns)).expect("a terminal");
            inside.until_shown(&reactor, &format!("size {rows} {columns}"));
        }
        end(&inside.terminal);
        assert_eq!(inside.until_ended(&reactor), Exit::Code(9));
        assert_eq!(std::fs::read_to_string(&file).expect("a word"), "told\n");
        reactor.run().expect("nothing is left");
    }
}

fn u07_a_child_that_does_not_care_about_hang_ups_ends_by_one(backend: &str) {
    let _process = own_process();
    let reactor = reactor(backend);
    let inside = Inside::start(&reactor, script("echo ready; exec sleep 100000"));
    inside.until_shown(&reactor, "ready");
    inside.terminal.close();
    assert_eq!(inside.until_ended(&reactor).signal(), Some(SignalKind::HANGUP));
    reactor.run().expect("nothing is left");
}
