//! The example `tlscat`: a pipeline, encrypted.

use std::fs;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

use marline_tests::examples::example;

use crate::certificates::{Authority, NAME};
use crate::peers::{Running, are_here, s_client, s_server};

const MEGABYTES: usize = 64;

fn start(arguments: &[&str]) -> Option<Running> {
    let mut command = Command::new(example("tlscat")?);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // AddressSanitizer keeps what a program freed, as a rule 256 MiB of it, which would count as the program's.
    let sanitizer = std::env::var("ASAN_OPTIONS").unwrap_or_default();
    command.env("ASAN_OPTIONS", format!("{sanitizer}:quarantine_size_mb=1"));
    Some(Running(command.spawn().expect("the example starts")))
}

/// Two named pipes, as the arguments of the one side and the other.
fn pipes(authority: &Authority) -> (String, String) {
    let (there, back) = (authority.path("there"), authority.path("back"));
    let made = Command::new("mkfifo").args([&there, &back]).status().expect("mkfifo");
    assert!(made.success());
    (format!("{back},{there}"), format!("{there},{back}"))
}

/// The most memory that a process has had, in KiB.
fn most_memory(running: &Running) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", running.0.id())).expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn a_file_goes_through_two_named_pipes_in_little_memory() {
    let authority = Authority::new();
    let (client, server) = pipes(&authority);
    let identity = authority.issue(NAME);
    let ca = authority.ca();
    let Some(mut sender) = start(&["client", "--name", NAME, "--ca", &ca, &client]) else { return };
    let mut receiver = start(&["server", "--cert", &identity, &server]).expect("the example");
    let bytes: Vec<u8> =
        (0..MEGABYTES << 20).map(|at: usize| (at.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    let mut input = sender.0.stdin.take().expect("its input");
    let sent = bytes.clone();
    let writer = std::thread::spawn(move || input.write_all(&sent).expect("a write"));
    let mut received = Vec::new();
    receiver.0.stdout.take().expect("its output").read_to_end(&mut received).expect("bytes");
    writer.join().expect("the writer");
    assert!(received == bytes, "every byte arrived, in order");
    // Both still live: the other direction has not ended.
    for running in [&sender, &receiver] {
        let memory = most_memory(running);
        assert!(memory < 64 * 1024, "{memory} KiB");
    }
    let answer = receiver.ended("the answer");
    assert_eq!(answer, (true, String::new()));
    assert_eq!(sender.ended(""), (true, "the answer".to_owned()));
}

#[test]
fn a_pipeline_needs_but_one_named_pipe() {
    let authority = Authority::new();
    let (back, identity, ca) = (authority.path("back"), authority.issue(NAME), authority.ca());
    let Some(program) = example("tlscat") else { return };
    assert!(Command::new("mkfifo").arg(&back).status().expect("mkfifo").success());
    let script = "head -c 3000000 /dev/zero | \"$0\" client --name a.example --ca \"$1\" \"$2,-\" -,/dev/null | \
                  \"$0\" server --cert \"$3\" \"-,$2\" /dev/null,- | wc -c";
    let mut shell = Command::new("bash");
    shell.args(["-o", "pipefail", "-c", script]).arg(program).args([ca, back, identity]);
    let output = shell.output().expect("a shell");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "3000000");
}

#[test]
fn both_roles_work_with_openssl_over_tcp() {
    let authority = Authority::new();
    let (identity, ca) = (authority.issue(NAME), authority.ca());
    let to = |port| format!("tcp://127.0.0.1:{port}");
    let Some(mut server) =
        start(&["server", "--cert", &identity, "tcp://127.0.0.1:0"]).filter(|_| are_here())
    else {
        return;
    };
    let mut greeting = String::new();
    let mut errors = std::io::BufReader::new(server.0.stderr.as_mut().expect("its errors"));
    std::io::BufRead::read_line(&mut errors, &mut greeting).expect("a greeting");
    let port = greeting.split([':', ';']).nth(2).and_then(|port| port.parse().ok()).expect("a port");
    let mut peer = s_client(port, &ca, &["-quiet", "-verify_return_error"]);
    peer.say("from openssl\n");
    server.until("from openssl");
    assert!(server.ended("to openssl\n").0);
    assert!(peer.ended("").1.contains("to openssl"));

    let (_peer, port) = s_server(&identity, &[]);
    let mut client = start(&["client", "--name", NAME, "--ca", &ca, &to(port)]).expect("the example");
    client.say("hello\n");
    client.until("olleh");
    assert!(client.ended("").0);
}

#[test]
fn what_goes_wrong_is_said() {
    let authority = Authority::new();
    let (client, server) = pipes(&authority);
    let (identity, ca) = (authority.issue(NAME), authority.ca());
    let Some(stranger) = start(&["client", "--name", "b.example", "--ca", &ca, &client]) else { return };
    let refused = start(&["server", "--cert", &identity, &server]).expect("the example");
    let (success, said) = stranger.ended("");
    assert!(!success && said.contains("is not for \"b.example\", but for a.example"), "{said}");
    let (success, said) = refused.ended("");
    assert!(!success && said.contains("it does not accept our certificate"), "{said}");

    let mut killed = start(&["client", "--name", NAME, "--ca", &ca, &client]).expect("the example");
    let mut cut = start(&["server", "--cert", &identity, &server]).expect("the example");
    killed.say("the first half\n");
    cut.until("the first half");
    drop(killed);
    let (success, said) = cut.ended("");
    assert!(!success && said.contains("tlscat: the peer's direction was cut off"), "{said}");

    let (success, said) = start(&["client"]).expect("the example").ended("");
    assert!(!success && said.contains("usage: tlscat"), "{said}");
    let missing = authority.path("missing");
    let (success, said) = start(&["server", "--cert", &missing, &server]).expect("the example").ended("");
    assert!(!success && said.contains(&missing), "{said}");
}
