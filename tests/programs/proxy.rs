//! `proxy_header`, with curl and with itself.

use std::process::{Command, Stdio};

use marline_tests::examples::has_program;

use crate::{Program, example};

fn server() -> Option<Program> {
    Program::start_with("proxy_header", &["proxy://127.0.0.1:0"])
}

/// What a program says, in one line.
fn said(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().expect("it runs");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("words").trim_end().to_owned()
}

#[test]
fn proxy_header_greets_whom_a_client_speaks_for() {
    let (Some(program), Some(client)) = (server(), example("proxy_header")) else { return };
    for version in [1, 2] {
        let endpoint = format!("proxy://{}?version={version}&source=192.0.2.7:4711", program.address);
        let greeting = said(Command::new(&client).args(["--connect", &endpoint]));
        assert_eq!(greeting, "hello tcp://192.0.2.7:4711");
    }
}

#[test]
fn proxy_header_greets_curl() {
    if !has_program("curl", "--version") {
        return;
    }
    let Some(program) = server() else { return };
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--noproxy", "*", "--http0.9", "-w", "%{local_port}", "--haproxy-protocol"]);
    let greeting = said(curl.arg(format!("http://{}/", program.address)));
    let (hello, port) = greeting.split_once('\n').expect("a greeting and a port");
    assert_eq!(hello, format!("hello tcp://127.0.0.1:{port}"));
}
