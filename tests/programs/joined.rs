//! Programs about endpoints and processes: `relay`, `supervise` and `terminal`.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStderr, Command, Stdio};

use marline_tests::files::Folder;
use rustix::process::{Pid, Signal, kill_process};

use crate::example;

/// A program that is killed when the test is over.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Self {
        Self(command.spawn().expect("the example starts"))
    }

    fn errors(&mut self) -> BufReader<ChildStderr> {
        BufReader::new(self.0.stderr.take().expect("its errors"))
    }

    fn success(mut self) {
        let status = self.0.wait().expect("its end");
        assert!(status.success(), "{status}");
    }

    fn terminate(&self) {
        let id = Pid::from_child(&self.0);
        kill_process(id, Signal::TERM).expect("a signal");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The next line, up to its end or that of the output.
fn line(lines: &mut impl BufRead) -> String {
    let mut text = String::new();
    lines.read_line(&mut text).expect("a line");
    text.trim_end().to_owned()
}

#[test]
fn relay_joins_standard_input_and_output_to_a_command() {
    let Some(relay) = example("relay") else { return };
    let mut command = Command::new(relay);
    command.args(["stdio:", "exec:tr a-z A-Z"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut running = Running::start(&mut command);
    let mut input = running.0.stdin.take().expect("its input");
    input.write_all(b"half-close is carried over\n").expect("a write");
    drop(input);
    let mut answer = String::new();
    running.0.stdout.take().expect("its output").read_to_string(&mut answer).expect("an answer");
    assert_eq!(answer, "HALF-CLOSE IS CARRIED OVER\n");
    running.success();
}

#[test]
fn relay_says_what_is_wrong_and_fails() {
    let Some(relay) = example("relay") else { return };
    for (arguments, expected) in [
        (vec!["stdio:", "tpc://127.0.0.1:1"], "unknown scheme"),
        (vec!["stdio:", "unix:///nonexistent/socket"], "unix:///nonexistent/socket"),
        (vec!["stdio:"], "usage"),
    ] {
        let output = Command::new(&relay).args(arguments).stdin(Stdio::null()).output().expect("a run");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && errors.contains(expected), "{errors}");
    }
}

/// A file, a named pipe, a terminal in raw mode, a UNIX socket, TCP, and a file again.
#[test]
fn relays_carry_bytes_through_a_chain_of_every_kind() {
    const MEGABYTES: usize = 16;
    let Some(relay) = example("relay") else { return };
    let folder = Folder::new("chain");
    let (source, target) = (folder.path("source"), folder.path("target"));
    let (fifo, socket) = (folder.path("fifo"), folder.path("socket"));
    let bytes: Vec<u8> =
        (0..MEGABYTES << 20).map(|at: usize| (at.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    std::fs::write(&source, &bytes).expect("a file");
    let made = Command::new("mkfifo").arg(&fifo).status().expect("mkfifo");
    assert!(made.success());

    let pty = format!("pty:stty raw -echo && exec cat {fifo}");
    let mut from_terminal = Running::start(
        Command::new(&relay).args(["--listen", &format!("unix://{socket}"), &pty]).stderr(Stdio::piped()),
    );
    assert!(line(&mut from_terminal.errors()).contains("listening on unix://"));
    let mut to_tcp = Running::start(
        Command::new(&relay)
            .args(["--listen", "tcp://127.0.0.1:0", &format!("unix://{socket}")])
            .stderr(Stdio::piped()),
    );
    let greeting = line(&mut to_tcp.errors());
    let address = greeting.split_whitespace().nth(2).expect("an address").trim_end_matches(';').to_owned();
    let writer = Running::start(
        Command::new(&relay)
            .args(["stdio:", &format!("pipe://{fifo}?open=write")])
            .stdin(File::open(&source).expect("the file"))
            .stdout(Stdio::null()),
    );
    let reader = Running::start(
        Command::new(&relay)
            .args([address.as_str(), "stdio:"])
            .stdin(Stdio::null())
            .stdout(File::create(&target).expect("a file")),
    );
    writer.success();
    reader.success();
    assert!(std::fs::read(&target).expect("the file") == bytes, "every byte arrived, in order");
}

#[test]
fn supervise_restarts_programs_and_stops_them_when_told() {
    let Some(supervise) = example("supervise") else { return };
    let stubborn = "trap 'echo told to stop; exit 7' TERM; echo up; while :; do sleep 0.05; done";
    let mut command = Command::new(supervise);
    command.args(["echo short", stubborn]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = Running::start(&mut command);
    let mut output = BufReader::new(running.0.stdout.take().expect("its output"));
    let (mut shorts, mut ups) = (0, 0);
    while shorts < 3 || ups < 1 {
        match line(&mut output).as_str() {
            "program 0 | short" => shorts += 1,
            "program 1 | up" => ups += 1,
            other => panic!("{other:?}"),
        }
    }
    running.terminate();
    let mut rest = String::new();
    output.read_to_string(&mut rest).expect("the rest");
    assert!(rest.contains("program 1 | told to stop"), "{rest}");
    let mut errors = String::new();
    running.errors().read_to_string(&mut errors).expect("its errors");
    assert!(errors.contains("program 1: exited with the code 7"), "{errors}");
    running.success();
}

#[test]
fn terminal_hangs_up_when_its_client_goes_also_if_nobody_reads_what_was_typed() {
    /// More than the terminal and the example take while nobody reads, and less than they and the socket hold.
    const TYPED: usize = 160 * 1024;
    let Some(terminal) = example("terminal") else { return };
    let folder = Folder::new("terminal");
    let socket = folder.path("socket");
    let mut command = Command::new(terminal);
    command.arg(format!("unix://{socket}")).env("SHELL", "/bin/sh");
    let mut running = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
    let mut errors = running.errors();
    let mut greeting = BufReader::new(running.0.stdout.take().expect("its output"));
    assert!(line(&mut greeting).contains("listening on unix://"));
    let mut client = UnixStream::connect(&socket).expect("a connection");
    // What is echoed is not what is said.
    client.write_all(b"stty raw -echo; echo rea''dy; exec sleep 100000\n").expect("a write");
    let mut shown = BufReader::new(client.try_clone().expect("a descriptor"));
    let ready = shown.by_ref().lines().any(|line| line.is_ok_and(|line| line.contains("ready")));
    assert!(ready, "the shell ended");
    client.write_all(&[b'x'; TYPED]).expect("room");
    drop((client, shown));
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || tell.send(line(&mut errors)));
    let end = told.recv_timeout(marline_tests::PATIENCE).expect("the shell's end");
    assert_eq!(end, "a shell: was ended by SIGHUP");
}
