//! Programs whose loop is a guest of a foreign one: they answer, and make no turn without a reason.

use std::io::{BufRead, BufReader, Read};
use std::process::{ChildStdout, Command, Stdio};

use super::{Client, Program, example};

/// The program, what it says, and somebody who talks to it.
struct Guest {
    program: Program,
    says: BufReader<ChildStdout>,
    client: Client,
}

impl Guest {
    fn start(name: &str) -> Option<Self> {
        let mut command = Command::new(example(name)?);
        let mut child =
            command.arg("tcp://127.0.0.1:0").stdout(Stdio::piped()).spawn().expect("the example starts");
        let mut says = BufReader::new(child.stdout.take().expect("its output"));
        let mut greeting = String::new();
        says.read_line(&mut greeting).expect("a greeting");
        let address = greeting.split("tcp://").nth(1).and_then(|rest| rest.split(';').next());
        let address = address.expect("an address").parse().expect("an address");
        let program = Program { child, address };
        let client = program.connect();
        Some(Self { program, says, client })
    }

    /// Waits for a second in which the loop made a turn for the timer that tells so, and no other.
    fn assert_idle(&mut self) {
        for _ in 0..60 {
            let mut line = String::new();
            while !line.contains("turns in this second") {
                line.clear();
                assert!(self.says.read_line(&mut line).expect("a line") > 0, "the program has ended");
            }
            if line.starts_with("1 turns") || line.starts_with("0 turns") {
                return;
            }
        }
        panic!("the loop makes turns while nothing happens");
    }

    fn assert_ends(mut self) {
        self.client.say("quit\n");
        assert!(self.program.child.wait().expect("an end").success());
        let mut rest = String::new();
        self.says.read_to_string(&mut rest).expect("the rest");
        assert!(rest.contains("the loop has ended: Over"), "{rest}");
    }
}

#[cfg(feature = "glib")]
#[test]
fn hosted_glib_answers_and_does_not_poll() {
    let Some(mut guest) = Guest::start("hosted_glib") else { return };
    guest.client.say("one\ntwo\n");
    guest.client.expect("one");
    guest.client.expect("two");
    guest.assert_idle();
    guest.client.say("three\n");
    guest.client.expect("three");
    guest.assert_ends();
}

#[cfg(feature = "tokio")]
#[test]
fn hosted_tokio_fetches_pages_for_callbacks_and_does_not_poll() {
    let Some(mut guest) = Guest::start("hosted_tokio") else { return };
    for page in ["/one", "/two/three"] {
        guest.client.say(&format!("{page}\n"));
        guest.client.expect(&format!("GET {page} HTTP/1.1"));
    }
    guest.assert_idle();
    guest.client.say("/four\n");
    guest.client.expect("GET /four HTTP/1.1");
    guest.assert_ends();
}
