//! The example programs, run and talked to as a person would.
//!
//! Cargo builds examples together with the tests of a workspace; where one is missing (because only this test was asked
//! for) the test skips, and in CI fails.

#![allow(missing_docs)]

#[cfg(any(feature = "glib", feature = "gtk", feature = "tokio"))]
mod hosted;
#[cfg(feature = "gtk")]
mod hosted_gtk;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use marline_tests::PATIENCE;
use marline_tests::examples::example;

mod joined;
mod migrate;
mod proxy;

/// A server that runs until it is dropped.
struct Program {
    child: Child,
    address: SocketAddr,
}

impl Program {
    /// Starts an example on a free port, and reads from its greeting where it listens.
    fn start(name: &str, more: &[&str]) -> Option<Self> {
        Self::start_with(name, &[&["tcp://127.0.0.1:0"], more].concat())
    }

    fn start_with(name: &str, arguments: &[&str]) -> Option<Self> {
        let path = example(name)?;
        let mut command = Command::new(path);
        command.args(arguments).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the example starts");
        let mut greeting = String::new();
        let stdout = child.stdout.take().expect("its output");
        BufReader::new(stdout).read_line(&mut greeting).expect("a greeting");
        assert!(greeting.contains("try: nc 127.0.0.1 "), "{greeting}");
        let address = greeting.split("tcp://").nth(1).and_then(|rest| rest.split(';').next());
        let address = address.expect("an address").parse().expect("an address");
        Some(Self { child, address })
    }

    fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.address).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a deadline");
        Client { stream: BufReader::new(stream) }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    fn say(&mut self, text: &str) {
        self.stream.get_mut().write_all(text.as_bytes()).expect("a write");
    }

    /// The next line; empty at the end.
    fn hear(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("a line");
        line
    }

    fn expect(&mut self, text: &str) {
        assert_eq!(self.hear().trim_end(), text);
    }

    /// Says its name and joins a room.
    fn enter(&mut self, name: &str, room: &str) {
        self.expect("Your name?");
        self.say(&format!("{name}\n"));
        self.expect(&format!("Welcome, {name}. /join ROOM, then talk."));
        self.say(&format!("/join {room}\n"));
        self.expect(&format!("[{room}] {name} has joined"));
    }
}

fn echoes(name: &str) {
    let Some(program) = Program::start(name, &[]) else { return };
    let mut client = program.connect();
    let data = vec![7; 300_000];
    let mut writer = client.stream.get_ref().try_clone().expect("a second handle");
    let sent = data.clone();
    let thread = std::thread::spawn(move || {
        writer.write_all(&sent).expect("a write");
        writer.shutdown(std::net::Shutdown::Write).expect("an end");
    });
    let mut back = Vec::new();
    client.stream.read_to_end(&mut back).expect("an echo and an end");
    thread.join().expect("the writer");
    assert_eq!(back, data);
}

#[test]
fn echo_callback_echoes_and_ends() {
    echoes("echo_callback");
}

#[test]
fn echo_await_echoes_and_ends() {
    echoes("echo_await");
}

#[test]
fn group_echoes_and_ends() {
    echoes("group");
}

#[test]
fn echo_in_memory_succeeds() {
    let Some(path) = example("echo_in_memory") else { return };
    assert!(Command::new(path).stdout(Stdio::null()).status().expect("it runs").success());
}

/// It wants libzmq, so it is built only on request: `cargo build -p marline-examples --features zeromq --examples`.
#[test]
fn zeromq_loses_nothing_and_neither_stalls_nor_spins() {
    let here = std::env::current_exe().expect("this test's own path");
    let path = here.ancestors().nth(2).expect("the folder of the profile").join("examples/zeromq");
    if !path.exists() {
        println!("skipped: {} is not built", path.display());
        return;
    }
    let output = Command::new(path).arg("20000").output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert_eq!(said.matches("20000 sent, 20000 received").count(), 2, "{said}");
}

#[test]
fn own_backend_echoes_over_connections_of_its_own() {
    let Some(path) = example("own_backend") else { return };
    let output = Command::new(path).output().expect("it runs");
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout), "hello came back\n");
}

#[test]
fn pubsub_publishes_each_line_to_everyone() {
    let Some(program) = Program::start("pubsub", &[]) else { return };
    let (mut first, mut second) = (program.connect(), program.connect());
    first.say("one\n");
    first.expect("one");
    second.say("two\nthree\n");
    for client in [&mut first, &mut second] {
        if client.hear().trim_end() == "one" {
            client.expect("two");
        }
        client.expect("three");
    }
}

/// On a machine that does not let the clients run for a while all of them are idle, so there are several tries, with more
/// time for each.
#[test]
fn chat_goes_on_when_one_is_idle_and_one_is_killed_with_bytes_unsent() {
    for seconds in ["1.5", "6", "24"] {
        if std::panic::catch_unwind(|| chat(seconds)).is_ok() {
            return;
        }
    }
    chat("96");
}

/// A conversation in which nobody but the second is silent for so many seconds.
fn chat(seconds: &str) {
    let Some(program) = Program::start("chat", &[seconds]) else { return };
    let (mut anna, mut bert, mut cleo) = (program.connect(), program.connect(), program.connect());
    anna.enter("anna", "rust");
    bert.enter("bert", "rust");
    anna.expect("[rust] bert has joined");
    cleo.enter("cleo", "rust");
    anna.expect("[rust] cleo has joined");
    bert.expect("[rust] cleo has joined");

    // The third never reads, sends half a line, and is gone without an end.
    cleo.say("hello\nhalf a li");
    anna.expect("[rust] cleo: hello");
    bert.expect("[rust] cleo: hello");
    reset(cleo);
    anna.expect("[rust] cleo has gone");
    bert.expect("[rust] cleo has gone");

    // The second says nothing for too long.
    let mut said = 0;
    loop {
        anna.say(&format!("line {said}\n"));
        said += 1;
        let heard = anna.hear();
        if heard.trim_end() == "[rust] bert was idle for too long" {
            break;
        }
        assert!(heard.starts_with("[rust] anna: line"), "{heard}");
        std::thread::sleep(Duration::from_millis(50));
    }
    let mut rest = String::new();
    bert.stream.read_to_string(&mut rest).expect("an orderly end");
    assert!(rest.ends_with("You were idle for too long.\n"), "{rest}");
}

/// Ends a connection as the death of a program with unread data does.
fn reset(client: Client) {
    let socket = socket2::Socket::from(client.stream.into_inner());
    socket.set_linger(Some(Duration::ZERO)).expect("a lingering socket");
}
