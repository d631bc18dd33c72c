//! Clients that are no terminals, and send and read as they like.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;

use marline_tests::on_sockets;
use marline_tests::running::Running;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::server::Server;
use crate::shell;
use crate::window::answer;

on_sockets! {
    a_size_may_be_cut_anywhere_and_what_is_none_is_typed
    who_goes_while_nobody_reads_what_was_typed_hangs_up
    who_goes_without_having_read_what_was_shown_hangs_up
}

/// Reads until a line is shown of which `matches` makes something.
fn read_until<T>(client: &mut UnixStream, mut matches: impl FnMut(&str) -> Option<T>) -> T {
    let (mut shown, mut bytes) = (Vec::new(), [0; 4096]);
    loop {
        let count = match client.read(&mut bytes) {
            // A ring that this thread has looked for interrupts calls that have a deadline.
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            read => read.expect("something is shown"),
        };
        shown.extend_from_slice(&bytes[..count]);
        let text = String::from_utf8_lossy(&shown);
        let lines = text.split_inclusive("\r\n").filter_map(|line| line.strip_suffix("\r\n"));
        if let Some(found) = lines.map(answer).find_map(&mut matches) {
            return found;
        }
        assert!(count > 0, "it ended with {text:?}");
    }
}

fn type_line(client: &mut UnixStream, line: &str) {
    client.write_all(format!("{line}\n").as_bytes()).expect("a write");
}

/// A client, and its shell.
fn visit(server: &Server) -> (UnixStream, Running) {
    let mut client = server.connect();
    type_line(&mut client, shell::WHO);
    let process = read_until(&mut client, shell::named);
    (client, process)
}

fn a_size_may_be_cut_anywhere_and_what_is_none_is_typed(backend: &str) {
    let Some(server) = Server::start(backend, "/bin/sh") else { return };
    let (mut client, process) = visit(&server);
    for byte in b"\xFF41x123\xFFstty size\n" {
        client.write_all(&[*byte]).expect("a write");
    }
    read_until(&mut client, |line| (line == "41 123").then_some(()));
    type_line(&mut client, "cat -v");
    shell::foreground(&process, "cat");
    for (typed, answer) in [
        (&b"one \xFF\xFF\n"[..], "one M-^?"),
        (b"wrong \xFF12y3\xFF\n", "wrong M-^?12y3M-^?"),
        (b"long \xFF12345678901234\n", "long M-^?12345678901234"),
    ] {
        client.write_all(typed).expect("a write");
        read_until(&mut client, |line| (line == answer).then_some(()));
    }
}

/// Types until no more is taken.
fn stuff(client: &UnixStream) -> usize {
    client.set_nonblocking(true).expect("a mode");
    let (mut typed, lines) = (0, b"typed ahead\n".repeat(1000));
    let moment = Timespec { tv_sec: 0, tv_nsec: 300_000_000 };
    while poll(&mut [PollFd::new(client, PollFlags::OUT)], Some(&moment)).expect("a wait") > 0 {
        match (&*client).write(&lines) {
            Ok(count) => typed += count,
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}"),
        }
        assert!(typed < 64 << 20, "whatever is typed is kept");
    }
    typed
}

fn who_goes_while_nobody_reads_what_was_typed_hangs_up(backend: &str) {
    let Some(server) = Server::start(backend, "/bin/sh") else { return };
    let (mut client, process) = visit(&server);
    type_line(&mut client, "stty -echo; sleep 1000");
    let foreground = shell::foreground(&process, "sleep");
    assert!(stuff(&client) > 64 << 10, "a terminal and a connection hold more");
    drop(client);
    shell::is_gone(&process);
    shell::is_gone(&foreground);
    visit(&server);
}

fn who_goes_without_having_read_what_was_shown_hangs_up(backend: &str) {
    let Some(server) = Server::start(backend, "/bin/sh") else { return };
    let (mut client, process) = visit(&server);
    type_line(&mut client, "yes");
    let foreground = shell::foreground(&process, "yes");
    // Often enough the client takes what it was sent just when the terminal is to be read no further.
    let mut some = vec![0; 16 << 20];
    client.read_exact(&mut some).expect("it is shown");
    drop(client);
    shell::is_gone(&process);
    shell::is_gone(&foreground);
    visit(&server);
}
