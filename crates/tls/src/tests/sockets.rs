//! On real sockets, on each backend.

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use marline_reactor::backend::named;
use marline_reactor::{Builder, Endpoint, Reactor};

use super::*;
use crate::fixtures::{Authority, client_and_server};
use crate::{ConfigError, endpoint};

/// Runs the test on a loop of each backend that can be had here.
fn on_sockets(test: impl Fn(&Reactor)) {
    for name in ["readiness", "completion"] {
        match named(name) {
            Ok(backend) => test(&Builder::new().boxed_backend(backend).build().expect("a loop")),
            Err(error) => println!("skipped: no {name} backend here: {error}"),
        }
    }
}

/// Makes turns until there is what the test waits for. A test that hangs fails.
fn run_until(reactor: &Reactor, is_there: impl Fn() -> bool) {
    const PATIENCE: Duration = Duration::from_secs(300);
    let begun = Instant::now();
    while !is_there() {
        reactor.turn(Some(Duration::from_millis(100))).expect("a turn");
        assert!(begun.elapsed() < PATIENCE, "the loop still waits");
    }
}

/// A folder of its own, for one test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("marline-tls-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// A certificate and its key in one file.
    fn certify(&self, file: &str, authority: &Authority, name: &str) -> String {
        let (certificate, key) = authority.pem_for(&[name]);
        fs::write(self.path(file), certificate + &key).unwrap();
        self.path(file)
    }

    fn trust(&self, file: &str, authority: &Authority) -> String {
        fs::write(self.path(file), authority.pem()).unwrap();
        self.path(file)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// One connection, over which the client sends this and closes when all of it came back. What both sides were told.
fn exchange(
    reactor: &Reactor,
    listen: impl IntoEndpoint,
    connect: impl FnOnce(&str) -> Endpoint,
    bytes: Vec<u8>,
) -> (Rc<Trace>, Rc<Trace>) {
    let (here, there) = (Rc::new(Trace::default()), Rc::new(Trace::default()));
    let log = Rc::clone(&there);
    let echo = move |_: &Addresses| {
        Log::new(&log).on_data(|transport, data| {
            transport.write(data);
        })
    };
    let server = reactor.handle().listen(listen, echo).expect("a listener");
    let address = host_port(&server);
    let mut left = bytes.len();
    let asking = Log::new(&here)
        .on_made(move |transport| {
            transport.write_owned(bytes);
        })
        .on_data(move |transport, data| {
            left -= data.len();
            if left == 0 {
                transport.close();
            }
        });
    reactor.handle().connect(connect(&address), move |_: &Addresses| asking, |_| ());
    run_until(reactor, || here.lost.borrow().is_some() && there.lost.borrow().is_some());
    server.stop();
    (here, there)
}

/// Where the listener is, if that has a port.
fn host_port(server: &Server) -> String {
    let address = server.local_address().and_then(|address| address.as_inet());
    address.map(|address| address.to_string()).unwrap_or_default()
}

fn assert_clean(traces: &(Rc<Trace>, Rc<Trace>)) {
    for trace in [&traces.0, &traces.1] {
        assert!(matches!(trace.reason(), Reason::Clean), "{:?}", trace.reason());
    }
}

fn is_resumed(traces: &(Rc<Trace>, Rc<Trace>)) -> bool {
    traces.0.info.borrow().as_ref().expect("what was agreed upon").is_resumed()
}

fn parse(text: &str) -> Endpoint {
    endpoint::register();
    text.parse().expect(text)
}

#[test]
fn ten_mebibytes_go_there_and_back_over_tcp_and_unix_sockets() {
    let folder = Folder::new("mebibytes");
    let bytes: Vec<u8> = (0..10_usize << 20).map(|at| (at * 31 + at / 4093) as u8).collect();
    on_sockets(|reactor| {
        let (client, server) = client_and_server();
        let path = folder.path("mebibytes.sock");
        for inner in [Endpoint::tcp("127.0.0.1:0").unwrap(), Endpoint::unix(&path)] {
            let traces = exchange(
                reactor,
                server.endpoint(inner.clone()),
                |address| {
                    let target = if inner.to_string().starts_with("tcp") {
                        Endpoint::tcp(address).unwrap()
                    } else {
                        Endpoint::unix(&path)
                    };
                    client.endpoint(target, "a.example").unwrap()
                },
                bytes.clone(),
            );
            assert_clean(&traces);
            assert!(*traces.0.data.borrow() == bytes && *traces.1.data.borrow() == bytes);
        }
    });
}

/// Who has all endpoints read again forgets the sessions of others, too.
static RELOADS: Mutex<()> = Mutex::new(());

#[test]
fn strings_name_files_names_and_protocols_and_connections_of_one_string_resume() {
    let _alone = RELOADS.lock();
    let (folder, authority) = (Folder::new("strings"), Authority::new());
    let staff = Authority::named("staff");
    let (cert, ca) =
        (folder.certify("server.pem", &authority, "a.example"), folder.trust("ca.pem", &authority));
    let (me, client_ca) = (folder.certify("me.pem", &staff, "alice"), folder.trust("staff.pem", &staff));
    on_sockets(|reactor| {
        let listen = format!("tls://127.0.0.1:0?cert={cert}&client_ca={client_ca}&alpn=smtp,echo&backlog=8");
        let server = parse(&listen);
        let options = format!("ca={ca}&cert={me}&alpn=echo&server_name=a.example&nodelay=1");
        // The configuration of a listener lives as long as it does, so one is kept.
        let kept = reactor.handle().listen(&server, |_: &Addresses| Log::new(&Rc::default())).unwrap();
        let mut resumed = Vec::new();
        for _ in 0..2 {
            let connect = |address: &str| parse(&format!("tls+tcp://{address}?{options}"));
            let traces = exchange(reactor, &server, connect, b"ping".to_vec());
            assert_clean(&traces);
            let info = traces.1.info.borrow();
            let info = info.as_ref().expect("what was agreed upon");
            assert_eq!(info.alpn().as_deref(), Some(&b"echo"[..]));
            assert_eq!(info.peer_certificates().len(), 1);
            resumed.push(is_resumed(&traces));
        }
        kept.stop();
        endpoint::reload_endpoints().unwrap();
        assert_eq!(resumed, [false, true]);
    });
}

#[test]
fn a_listener_shows_the_certificate_that_its_file_has_when_it_is_told_to_look() {
    let _alone = RELOADS.lock();
    let (folder, authority) = (Folder::new("renewed"), Authority::new());
    let ca = folder.trust("ca.pem", &authority);
    let (reactor, trace) = (Reactor::new().unwrap(), Rc::new(Trace::default()));
    let cert = folder.certify("server.pem", &authority, "old.example");
    let log = Rc::clone(&trace);
    let listen = parse(&format!("tls://127.0.0.1:0?cert={cert}"));
    let server = reactor.handle().listen(listen, move |_: &Addresses| Log::new(&log)).unwrap();
    let address = host_port(&server);
    let try_name = |reactor: &Reactor, name: &str| {
        let outcome = Outcome::default();
        let told = Rc::clone(&outcome);
        let connect = parse(&format!("tls://{address}?ca={ca}&server_name={name}"));
        let log = Log::new(&Rc::default());
        reactor.handle().connect(
            connect,
            move |_: &Addresses| log,
            move |result| {
                *told.borrow_mut() = Some(result);
            },
        );
        run_until(reactor, || outcome.borrow().is_some());
        let result = outcome.borrow_mut().take().unwrap();
        result.map(|transport| transport.close()).map_err(|error| error.to_string())
    };
    assert_eq!(try_name(&reactor, "old.example"), Ok(()));
    folder.certify("server.pem", &authority, "new.example");
    assert_eq!(try_name(&reactor, "old.example"), Ok(()), "nobody looked yet");
    endpoint::reload_endpoints().unwrap();
    assert_eq!(try_name(&reactor, "new.example"), Ok(()));
    let refused = try_name(&reactor, "old.example").unwrap_err();
    assert!(refused.contains("not for \"old.example\", but for new.example"), "{refused}");
}

#[test]
fn tls_runs_within_tls_by_a_string() {
    let (folder, authority) = (Folder::new("nested"), Authority::new());
    let (cert, ca) =
        (folder.certify("server.pem", &authority, "a.example"), folder.trust("ca.pem", &authority));
    on_sockets(|reactor| {
        let traces = exchange(
            reactor,
            parse(&format!("tls+tls://127.0.0.1:0?cert={cert}")),
            |address| parse(&format!("tls+tls://{address}?ca={ca}&server_name=a.example")),
            vec![9; 100_000],
        );
        assert_clean(&traces);
        assert_eq!(traces.0.data.borrow().len(), 100_000);
    });
}

#[test]
fn unix_sockets_want_a_name_or_no_verification() {
    let (folder, authority) = (Folder::new("unix"), Authority::new());
    let (cert, path) = (folder.certify("server.pem", &authority, "a.example"), folder.path("app.sock"));
    let reactor = Reactor::new().unwrap();
    let listen = parse(&format!("tls+unix://{path}?cert={cert}"));
    let connect = |_: &str| parse(&format!("tls+unix://{path}?verify=0"));
    let traces = exchange(&reactor, listen, connect, b"ping".to_vec());
    assert_clean(&traces);
    assert_eq!(traces.1.info.borrow().as_ref().unwrap().server_name(), None);
    let outcome = attempt(&reactor, &format!("tls+unix://{path}"));
    assert!(outcome.contains("has no host: name the server by `server_name=`"), "{outcome}");
}

/// What connecting fails with.
fn attempt(reactor: &Reactor, text: &str) -> String {
    let outcome = Outcome::default();
    let told = Rc::clone(&outcome);
    let log = Log::new(&Rc::default());
    reactor.handle().connect(
        parse(text),
        move |_: &Addresses| log,
        move |result| {
            *told.borrow_mut() = Some(result);
        },
    );
    run_until(reactor, || outcome.borrow().is_some());
    let error = outcome.borrow_mut().take().unwrap().expect_err("no connection");
    error.to_string()
}

#[test]
fn what_is_missing_is_named_by_who_misses_it() {
    let reactor = Reactor::new().unwrap();
    let listen = |text: &str| {
        let factory = |_: &Addresses| Log::new(&Rc::default());
        reactor.handle().listen(parse(text), factory).expect_err("no listener").to_string()
    };
    for (text, words) in [
        ("tls://127.0.0.1:0", "cannot listen without a certificate"),
        ("tls://127.0.0.1:0?cert=/nowhere/a.pem", "cannot read /nowhere/a.pem"),
        ("tls://127.0.0.1:0?cert=/nowhere/a.pem&ca=b.pem", "\"ca=b.pem\" should be left to clients"),
    ] {
        let error = listen(text);
        assert!(error.contains(words), "{error}");
    }
    for (text, words) in [
        ("tls://a.example:1?ca=/nowhere/ca.pem", "cannot read /nowhere/ca.pem"),
        ("tls://a.example:1?client_ca=c.pem", "\"client_ca=c.pem\" should be left to servers"),
    ] {
        let error = attempt(&reactor, text);
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn the_error_of_a_configuration_can_be_had() {
    let reactor = Reactor::new().unwrap();
    let factory = |_: &Addresses| Log::new(&Rc::default());
    let error = reactor.handle().listen(parse("tls://127.0.0.1:0"), factory).expect_err("no listener");
    let mut source = std::error::Error::source(&error);
    let mut found = false;
    while let Some(error) = source {
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        found |=
            inner.is_some_and(|inner| matches!(inner.downcast_ref(), Some(ConfigError::NoIdentity { .. })));
        source = error.source();
    }
    assert!(found, "{error:?}");
}
