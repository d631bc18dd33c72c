//! The example `starttls`: `openssl` and `curl` send a mail, and plain text that was slipped in is never taken for encrypted.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use marline_tests::PATIENCE;
use marline_tests::examples::example;

use crate::certificates::{Authority, NAME};
use crate::peers::{Running, are_here, s_client};

/// The example, and its port.
fn start(authority: &Authority) -> Option<(Running, u16)> {
    let (program, identity) = (example("starttls")?, authority.issue(NAME));
    let mut command = Command::new(program);
    command.args(["tcp://127.0.0.1:0", &identity, &identity]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = Running(command.spawn().expect("the example starts"));
    let greeting = running.until("listening on");
    let port = greeting.split([':', ';']).nth(2).and_then(|port| port.parse().ok());
    Some((running, port.expect("a port")))
}

#[test]
fn openssl_upgrades_and_sends_a_mail() {
    let authority = Authority::new();
    let Some((mut server, port)) = start(&authority).filter(|_| are_here()) else { return };
    let letter = "EHLO me\nMAIL FROM:<a@example.org>\nRCPT TO:<b@example.org>\nDATA\nhello\n.\nQUIT\n";
    let options = ["-starttls", "smtp", "-verify_return_error", "-crlf", "-quiet"];
    let (success, said) = s_client(port, &authority.ca(), &options).ended(letter);
    assert!(success && said.contains("250 taken") && said.contains("221 goodbye"), "{said}");
    assert!(server.until("->").contains("FROM:<a@example.org> -> TO:<b@example.org>: 6 bytes, encrypted"));
}

#[test]
fn curl_upgrades_and_sends_a_mail() {
    let authority = Authority::new();
    let Some((mut server, port)) = start(&authority).filter(|_| are_here()) else { return };
    let (url, here) = (format!("smtp://{NAME}:{port}"), format!("{NAME}:{port}:127.0.0.1"));
    let ca = authority.ca();
    let mail = ["--mail-from", "a@example.org", "--mail-rcpt", "b@example.org", "-T", "-"];
    let options = ["-sS", "--ssl-reqd", "--cacert", &ca, "--resolve", &here, &url];
    let mut curl = Running::start("curl", &[&options[..], &mail[..]].concat());
    let mut input = curl.0.stdin.take().expect("its input");
    input.write_all(b"Subject: hello\r\n\r\nhello\r\n").expect("a write");
    drop(input);
    let (success, said) = curl.ended("");
    assert!(success, "{said}");
    assert!(server.until("->").contains("FROM:<a@example.org> -> TO:<b@example.org>"));
}

#[test]
fn plain_text_behind_starttls_ends_the_connection() {
    let authority = Authority::new();
    let Some((mut server, port)) = start(&authority) else { return };
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a deadline");
    stream.write_all(b"EHLO me\r\nMAIL FROM:<a@x>\r\nSTARTTLS\r\nEHLO slipped in\r\n").expect("a write");
    let mut answers = Vec::new();
    // The end may be a reset.
    drop(stream.read_to_end(&mut answers));
    let answers = String::from_utf8_lossy(&answers);
    assert!(!answers.contains("250") || answers.matches("250 STARTTLS").count() == 1, "{answers}");
    let mut complaint = String::new();
    BufReader::new(server.0.stderr.take().expect("its errors")).read_line(&mut complaint).expect("a line");
    assert!(complaint.contains("the peer sent 17 bytes before it was asked to go on"), "{complaint}");
}
