//! Each kind of trouble ends in an error that says what it is.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use futures::AsyncReadExt;
use marline::tls::{ClientTls, TlsVersion};
use marline::{Endpoint, Stream, run_on};
use marline_tests::backends::reactor;
use marline_tests::on_sockets;

use crate::certificates::{Authority, NAME};
use crate::our_client::visit;
use crate::peers::{Running, are_here, s_client, s_server, visited};

fn refusal(backend: &str, client: &ClientTls, port: u16) -> String {
    visit(backend, client, port).expect_err("a refusal")
}

fn our_client_says_what_is_wrong_with_a_certificate(backend: &str) {
    if !are_here() {
        return;
    }
    let (authority, other) = (Authority::new(), Authority::named("stranger"));
    let client = authority.client().build().expect("a client");
    for (identity, expected) in [
        (other.issue(NAME), "the certificate of the peer is from an unknown issuer, who is not trusted here"),
        (authority.issue_expired(NAME), "the certificate of the peer expired"),
        (
            authority.issue("b.example"),
            "the certificate of the peer is not for \"a.example\", but for b.example",
        ),
    ] {
        let (_peer, port) = s_server(&identity, &[]);
        let error = refusal(backend, &client, port);
        assert!(error.contains("the TLS handshake failed") && error.contains(expected), "{error}");
    }
}

fn our_client_says_that_there_is_no_version_or_protocol_in_common(backend: &str) {
    if !are_here() {
        return;
    }
    let authority = Authority::new();
    let newest = authority.client().min_version(TlsVersion::Tls13).build().expect("a client");
    let (_old, port) = s_server(&authority.issue(NAME), &["-tls1_2"]);
    let error = refusal(backend, &newest, port);
    assert!(error.contains("it accepts no version of TLS that we do"), "{error}");
}

fn our_client_says_that_the_peer_speaks_something_else(backend: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let port = listener.local_addr().expect("an address").port();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").expect("a write");
        // It reads on, so that nothing is reset before the client has read.
        drop(stream.read_to_end(&mut Vec::new()));
    });
    let error = refusal(backend, &Authority::new().client().build().expect("a client"), port);
    assert!(error.contains("what the peer sent is not TLS"), "{error}");
    server.join().expect("the server");
}

fn our_client_tells_a_stream_that_was_cut_off_from_one_that_ended(backend: &str) {
    if !are_here() {
        return;
    }
    let authority = Authority::new();
    let (peer, port) = s_server(&authority.issue(NAME), &[]);
    let client = authority.client().build().expect("a client");
    let inner = Endpoint::tcp(format!("127.0.0.1:{port}")).expect("an endpoint");
    let endpoint = client.endpoint(inner, NAME).expect("a name");
    let read = run_on(&reactor(backend), async move {
        let stream = Stream::connect(endpoint).await.expect("a connection");
        stream.write_all(b"hello\n").await?;
        let mut answer = [0; 6];
        (&stream).read_exact(&mut answer).await?;
        assert_eq!(&answer, b"olleh\n");
        // It has read everything, so its end is no reset.
        drop(peer);
        stream.read(&mut [0; 64]).await
    });
    let error = read.expect("a run").expect_err("a stream that was cut off");
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
    assert!(error.to_string().contains("the peer's direction was cut off"), "{error}");
}

fn our_server_says_what_clients_did(backend: &str) {
    if !are_here() {
        return;
    }
    let (authority, other) = (Authority::new(), Authority::named("stranger"));
    let tls = authority.server().build().expect("a server");

    let ca = other.ca();
    let ((success, said), told) = visited(backend, &tls, 1, move |port| {
        s_client(port, &ca, &["-verify_return_error"]).ended("hello\n")
    });
    assert!(!success && said.contains("verify error"), "{said}");
    assert!(told[0].end.contains("it does not trust the issuer of our certificate"), "{}", told[0].end);

    let ((success, _), told) = visited(backend, &tls, 1, |port| {
        Running::start("curl", &["-sS", &format!("http://127.0.0.1:{port}/")]).ended("")
    });
    assert!(!success && told[0].end.contains("what the peer sent is not TLS"), "{}", told[0].end);

    let ca = authority.ca();
    let ((), told) = visited(backend, &tls, 1, move |port| {
        let mut peer = s_client(port, &ca, &[]);
        peer.say("stay\n");
        // It has read everything, so that its end is no reset, when it is killed.
        peer.until("you said stay");
    });
    assert_eq!(told[0].end, "the peer's direction was cut off");
    assert!(told[0].version.is_some());
}

on_sockets! {
    our_client_says_what_is_wrong_with_a_certificate
    our_client_says_that_there_is_no_version_or_protocol_in_common
    our_client_says_that_the_peer_speaks_something_else
    our_client_tells_a_stream_that_was_cut_off_from_one_that_ended
    our_server_says_what_clients_did
}
