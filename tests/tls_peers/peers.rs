//! Programs at the other end.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use marline::tls::rustls::ProtocolVersion;
use marline::tls::{ServerTls, StartTls};
use marline::{Addresses, Endpoint, Lost, OnEof, Protocol, Transport};
use marline_tests::PATIENCE;
use marline_tests::backends::reactor;
use marline_tests::examples::has_program;

/// Without them there is nothing to test with; in CI that is a failure.
pub fn are_here() -> bool {
    has_program("openssl", "version") && has_program("curl", "--version")
}

/// A program, which is killed when it is dropped.
pub struct Running(pub Child);

impl Running {
    pub fn start(program: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command.spawn().expect(program))
    }

    /// Gives it this to read, and waits for its end: whether it succeeded, and what it said on both outputs.
    pub fn ended(mut self, input: &str) -> (bool, String) {
        let mut stderr = self.0.stderr.take().expect("its errors");
        if let Some(mut stdin) = self.0.stdin.take() {
            // One that fails at once reads nothing.
            drop(stdin.write_all(input.as_bytes()));
        }
        let errors = thread::spawn(move || text(&mut stderr));
        let mut said = self.0.stdout.take().map(|mut stdout| text(&mut stdout)).unwrap_or_default();
        said += &errors.join().expect("its errors");
        (self.0.wait().expect("its end").success(), said)
    }

    /// Gives it this to read.
    pub fn say(&mut self, text: &str) {
        self.0.stdin.as_mut().expect("its input").write_all(text.as_bytes()).expect("a write");
    }

    /// Reads until a line has this in it, and answers that line.
    pub fn until(&mut self, text: &str) -> String {
        let mut lines = BufReader::new(self.0.stdout.as_mut().expect("its output"));
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            assert!(lines.read_line(&mut line).expect("a line") > 0, "it never said {text}");
        }
        line
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn text(from: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).expect("text");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// `openssl s_client`, which goes on at the end of its input, until the server closes.
pub fn s_client(port: u16, ca: &str, more: &[&str]) -> Running {
    let to = format!("127.0.0.1:{port}");
    let always = ["s_client", "-ign_eof", "-connect", &to, "-servername", "a.example", "-CAfile", ca];
    Running::start("openssl", &[&always, more].concat())
}

/// `openssl s_server`, which answers each line in reverse, and its port.
pub fn s_server(identity: &str, more: &[&str]) -> (Running, u16) {
    let always = ["s_server", "-accept", "127.0.0.1:0", "-rev", "-cert", identity, "-key", identity];
    let mut running = Running::start("openssl", &[&always, more].concat());
    let greeting = running.until("ACCEPT");
    let port = greeting.trim_end().rsplit(':').next().and_then(|port| port.parse().ok());
    (running, port.expect("a port"))
}

/// What our server knew of a connection when it was lost.
#[derive(Clone, Debug, Default)]
pub struct Told {
    pub version: Option<ProtocolVersion>,
    pub alpn: Option<Vec<u8>>,
    pub name: Option<String>,
    pub is_resumed: bool,
    pub certificates: usize,
    pub end: String,
}

/// Answers one request, and closes unless that asked it to stay.
struct Session(Rc<RefCell<Vec<Told>>>);

impl Protocol for Session {
    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        if data.starts_with(b"GET / ") {
            transport.write("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 6\r\n\r\nhello\n");
        } else {
            transport.write([b"you said ", data].concat());
        }
        if data != b"stay\n" {
            transport.close();
        }
    }

    fn eof_received(&mut self, _: &Transport) -> OnEof {
        OnEof::Close
    }

    fn connection_lost(&mut self, transport: &Transport, lost: &Lost) {
        let told = transport.tls().map(|tls| Told {
            version: tls.protocol_version(),
            alpn: tls.alpn(),
            name: tls.server_name(),
            is_resumed: tls.is_resumed(),
            certificates: tls.peer_certificates().len(),
            end: String::new(),
        });
        self.0.borrow_mut().push(Told { end: lost.to_string(), ..told.unwrap_or_default() });
    }
}

/// Runs our server until the visitor is done and so many connections have ended: what the visitor answered, and what the server
/// knew of each.
pub fn visited<T: Send + 'static>(
    backend: &str,
    tls: &ServerTls,
    connections: usize,
    visitor: impl FnOnce(u16) -> T + Send + 'static,
) -> (T, Vec<Told>) {
    let (reactor, told) = (reactor(backend), Rc::new(RefCell::new(Vec::new())));
    let endpoint = tls.endpoint(Endpoint::tcp("127.0.0.1:0").expect("an endpoint"));
    let log = Rc::clone(&told);
    let listening = reactor.handle().listen(endpoint, move |_: &Addresses| Session(Rc::clone(&log)));
    let address =
        listening.as_ref().expect("a listener").local_address().and_then(|address| address.as_inet());
    let port = address.expect("an address").port();
    let (done, answer) = mpsc::channel();
    thread::spawn(move || done.send(visitor(port)));
    let (begun, mut answered) = (Instant::now(), None);
    while answered.is_none() || told.borrow().len() < connections {
        reactor.turn(Some(Duration::from_millis(20))).expect("a turn");
        answered = answered.or_else(|| answer.try_recv().ok());
        assert!(begun.elapsed() < PATIENCE, "the server was told only this: {:?}", told.borrow());
    }
    let told = told.borrow().clone();
    (answered.expect("an answer"), told)
}
