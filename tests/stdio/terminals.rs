//! Terminals, with a person before them.

use std::os::fd::OwnedFd;
use std::process::Stdio;

use marline_reactor::backend::Opening;
use marline_reactor::terminal::{Pty, WindowSize};
use marline_reactor::{Command, Exit, Handle, Reactor};
use marline_tasks::{Child, Stream, run_on};
use rustix::termios::{LocalModes, tcgetattr};

use crate::child::{Process, read_all, read_until, write};
use crate::on_sockets;

on_sockets! {
    u09_a_line_that_is_typed_is_answered_until_the_end_is_typed
    u09_a_program_ends_although_nobody_types
    u09_the_last_write_is_shown
    u09_settings_come_back_after_a_panic
    u07_a_shell_runs_in_a_terminal_of_ours
}

/// The person's side, and that of programs.
pub fn terminal() -> (OwnedFd, OwnedFd) {
    let reactor = Reactor::new().expect("a loop");
    let Pty { master, slave, .. } = reactor.handle().open_pty(WindowSize::new(24, 80)).expect("a terminal");
    let Opening::One(master) = master else { panic!("it has a descriptor") };
    (master, slave.into_fd().expect("a descriptor"))
}

/// A program whose standard input, output and error are the terminal.
fn start(backend: &str, way: &str, slave: &OwnedFd) -> Process {
    let copy = || Stdio::from(slave.try_clone().expect("a descriptor"));
    Process::with_errors(backend, way, copy(), copy(), copy())
}

fn u09_a_line_that_is_typed_is_answered_until_the_end_is_typed(backend: &str) {
    for way in ["shout", "await"] {
        let (master, slave) = terminal();
        let process = start(backend, way, &slave);
        write(&master, b"a line\n");
        // What is typed is shown, and then what the program says.
        assert_eq!(read_until(&master, b"A LINE\r\n"), b"a line\r\nA LINE\r\n");
        write(&master, b"half\x04\x04");
        assert_eq!(read_until(&master, b"HALF"), b"halfHALF");
        assert!(process.wait().success());
        drop(slave);
        assert_eq!(read_all(&master), b"");
    }
}

fn u09_a_program_ends_although_nobody_types(backend: &str) {
    let (master, slave) = terminal();
    assert!(start(backend, "leave", &slave).wait().success());
    assert_eq!(read_until(&master, b"here"), b"here");
}

fn u09_the_last_write_is_shown(backend: &str) {
    let (master, slave) = terminal();
    let process = start(backend, "last", &slave);
    drop(slave);
    assert_eq!(read_all(&master).len(), 1024 * 1024);
    assert!(process.wait().success());
}

fn u09_settings_come_back_after_a_panic(backend: &str) {
    let (master, slave) = terminal();
    let reads_lines = || tcgetattr(&slave).expect("settings").local_modes.contains(LocalModes::ICANON);
    let process = start(backend, "panic", &slave);
    read_until(&master, b"raw");
    assert!(!reads_lines());
    write(&master, b"q");
    assert!(!process.wait().success());
    assert!(reads_lines());
}

/// Reads until what is shown ends so.
async fn shows(terminal: &Stream, end: &str) {
    let (mut all, mut bytes) = (Vec::new(), [0; 1024]);
    while !all.ends_with(end.as_bytes()) {
        let count = terminal.read(&mut bytes).await.expect("in good order");
        assert!(count > 0, "it ended with {:?}", String::from_utf8_lossy(&all));
        all.extend_from_slice(&bytes[..count]);
    }
}

/// Told of a new size by its controlling terminal, as only a foreground program is.
///
/// Whether a signal ends the reading of a shell is the shell's choice, so it reads nothing until it was told.
const SCRIPT: &str = "trap 'stty size; told=1' WINCH; echo ready; until [ $told ]; do sleep 0.01; done; \
    read line; echo got $line; exit 7";

fn u07_a_shell_runs_in_a_terminal_of_ours(backend: &str) {
    let reactor = marline_tests::backends::reactor(backend);
    let outcome = run_on(&reactor, async {
        let handle = Handle::current().expect("a loop");
        let Pty { master, slave, .. } = handle.open_pty(WindowSize::new(24, 80)).expect("a terminal");
        let terminal = Stream::adopt(master).expect("a terminal");
        let slave = slave.into_fd().expect("a descriptor");
        let shell = Command::new("sh").arg("-c").arg(SCRIPT).terminal(slave);
        let shell = Child::spawn(shell).expect("a shell");
        shows(&terminal, "ready\r\n").await;
        let size = WindowSize::new(50, 132);
        terminal.transport().and_then(|it| it.set_window_size(size)).expect("a window");
        shows(&terminal, "50 132\r\n").await;
        terminal.write_all(b"last").await.expect("room");
        // Half a line, and the end after it.
        terminal.close().await.expect("room");
        shows(&terminal, "got last\r\n").await;
        assert_eq!(terminal.read(&mut [0; 8]).await.expect("the end"), 0);
        shell.wait().await.expect("an exit")
    });
    assert_eq!(outcome.expect("a loop"), Exit::Code(7));
}
