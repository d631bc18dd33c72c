//! Our client with `openssl s_server`.

use std::io;

use marline::tls::rustls::ProtocolVersion;
use marline::tls::{ClientTls, StreamTls, TlsVersion};
use marline::{Endpoint, Stream, run_on};
use marline_tests::backends::reactor;
use marline_tests::on_sockets;

use crate::certificates::{Authority, NAME};
use crate::peers::{are_here, s_server};

/// What was agreed upon.
#[derive(Debug, PartialEq, Eq)]
pub struct Agreed {
    pub version: Option<ProtocolVersion>,
    pub alpn: Option<Vec<u8>>,
    pub is_resumed: bool,
}

/// Connects, has a line sent back in reverse, and closes: what was agreed upon, or the text of the error.
pub fn visit(backend: &str, client: &ClientTls, port: u16) -> Result<Agreed, String> {
    let inner = Endpoint::tcp(format!("127.0.0.1:{port}")).expect("an endpoint");
    let endpoint = client.endpoint(inner, NAME).expect("a name");
    let visit = async {
        let stream = Stream::connect(endpoint).await?;
        stream.write_all(b"hello\n").await?;
        let mut answer = Vec::new();
        while answer.last() != Some(&b'\n') {
            let mut buffer = [0; 64];
            match stream.read(&mut buffer).await? {
                0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                count => answer.extend_from_slice(&buffer[..count]),
            }
        }
        assert_eq!(answer, b"olleh\n");
        let tls = stream.tls().expect("what was agreed upon");
        let (version, alpn) = (tls.protocol_version(), tls.alpn());
        stream.close().await?;
        Ok::<_, Box<dyn std::error::Error>>(Agreed { version, alpn, is_resumed: tls.is_resumed() })
    };
    let visited = run_on(&reactor(backend), async { visit.await.map_err(|error| error.to_string()) });
    visited.expect("a run")
}

fn both_versions_work_with_an_application_protocol_and_sessions_are_resumed(backend: &str) {
    if !are_here() {
        return;
    }
    let authority = Authority::new();
    let choices: [(&[&str], _, _); 3] = [
        (&["-tls1_2"], TlsVersion::Tls13, ProtocolVersion::TLSv1_2),
        (&["-tls1_3"], TlsVersion::Tls13, ProtocolVersion::TLSv1_3),
        (&[], TlsVersion::Tls12, ProtocolVersion::TLSv1_2),
    ];
    for (option, limit, version) in choices {
        let (_peer, port) = s_server(&authority.issue(NAME), &[option, &["-alpn", "h2,http/1.1"]].concat());
        let client = authority.client().alpn(["imap", "h2"]).max_version(limit).build().expect("a client");
        for is_resumed in [false, true] {
            let agreed = visit(backend, &client, port);
            assert_eq!(agreed, Ok(Agreed { version: Some(version), alpn: Some(b"h2".to_vec()), is_resumed }));
        }
    }
}

fn our_certificate_is_sent_to_a_server_that_asks_for_it(backend: &str) {
    if !are_here() {
        return;
    }
    let authority = Authority::new();
    for version in ["-tls1_2", "-tls1_3"] {
        let asks = [version, "-CAfile", &authority.ca(), "-Verify", "1", "-verify_return_error"];
        let (_peer, port) = s_server(&authority.issue(NAME), &asks);
        let with = authority.client().identity(authority.identity("client.example")).build();
        assert!(visit(backend, &with.expect("a client"), port).is_ok());
        let without = visit(backend, &authority.client().build().expect("a client"), port);
        // OpenSSL says less to TLS 1.2.
        let expected =
            if version == "-tls1_3" { "it wants a certificate of ours" } else { "HandshakeFailure" };
        let error = without.expect_err("a refusal");
        assert!(error.contains("the peer sent the alert") && error.contains(expected), "{error}");
    }
}

on_sockets! {
    both_versions_work_with_an_application_protocol_and_sessions_are_resumed
    our_certificate_is_sent_to_a_server_that_asks_for_it
}
