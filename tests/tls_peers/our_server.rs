//! `openssl s_client` and `curl` as clients of our server.

use marline::tls::TlsVersion;
use marline::tls::rustls::ProtocolVersion;
use marline_tests::on_sockets;

use crate::certificates::{Authority, NAME};
use crate::peers::{Running, are_here, s_client, visited};

const VERSIONS: [(&str, &str, ProtocolVersion); 2] =
    [("-tls1_2", "TLSv1.2", ProtocolVersion::TLSv1_2), ("-tls1_3", "TLSv1.3", ProtocolVersion::TLSv1_3)];

fn openssl_speaks_both_versions_and_agrees_on_an_application_protocol(backend: &str) {
    if !are_here() {
        return;
    }
    let authority = Authority::new();
    let tls = authority.server().alpn(["http/1.1", "h2"]).build().expect("a server");
    for (option, name, version) in VERSIONS {
        let ca = authority.ca();
        let ((success, said), told) = visited(backend, &tls, 1, move |port| {
            s_client(port, &ca, &[option, "-alpn", "spdy/3,h2", "-verify_return_error"]).ended("hello\n")
        });
        assert!(success && said.contains("you said hello"), "{said}");
        assert!(
            said.contains(&format!("New, {name}")) && said.contains("Verify return code: 0 (ok)"),
            "{said}"
        );
        assert!(said.contains("ALPN protocol: h2"), "{said}");
        assert_eq!(told[0].version, Some(version));
        assert_eq!(told[0].alpn.as_deref(), Some(&b"h2"[..]));
        assert_eq!(told[0].name.as_deref(), Some(NAME));
        assert_eq!(told[0].end, "the connection ended");
    }
}

fn openssl_resumes_its_session(backend: &str) {
    if !are_here() {
        return;
    }
    let authority = Authority::new();
    let tls = authority.server().build().expect("a server");
    for (option, name, _) in VERSIONS {
        let (ca, file) = (authority.ca(), authority.path(name));
        let ((first, second), told) = visited(backend, &tls, 2, move |port| {
            let (_, first) = s_client(port, &ca, &[option, "-sess_out", &file]).ended("hello\n");
            (first, s_client(port, &ca, &[option, "-sess_in", &file]).ended("again\n").1)
        });
        assert!(first.contains(&format!("New, {name}")), "{first}");
        assert!(second.contains(&format!("Reused, {name}")) && second.contains("you said again"), "{second}");
        assert_eq!((told[0].is_resumed, told[1].is_resumed), (false, true), "{told:?}");
    }
}

fn certificates_of_clients_are_required_where_that_is_asked_for(backend: &str) {
    if !are_here() {
        return;
    }
    let authority = Authority::new();
    let tls = authority.server().require_client_certificates(authority.roots()).build().expect("a server");
    let client = authority.issue("client.example");
    for (option, ..) in VERSIONS {
        let (ca, identity) = (authority.ca(), client.clone());
        let ((with, without), told) = visited(backend, &tls, 2, move |port| {
            let with = s_client(port, &ca, &[option, "-cert", &identity, "-key", &identity]).ended("hello\n");
            (with, s_client(port, &ca, &[option]).ended("hello\n"))
        });
        assert!(with.0 && with.1.contains("you said hello"), "{}", with.1);
        // With that of the authority, which OpenSSL sends too.
        assert_eq!((told[0].certificates, told[0].end.as_str()), (2, "the connection ended"));
        assert!(!without.1.contains("you said") && without.1.contains("alert"), "{}", without.1);
        assert!(told[1].end.contains("the peer sent no certificate, and has to"), "{}", told[1].end);
    }
}

fn curl_fetches_a_page(backend: &str) {
    if !are_here() {
        return;
    }
    let authority = Authority::new();
    let newest = authority.server().alpn(["http/1.1"]).build().expect("a server");
    let oldest = authority.server().max_version(TlsVersion::Tls12).build().expect("a server");
    for (tls, version) in [(newest, ProtocolVersion::TLSv1_3), (oldest, ProtocolVersion::TLSv1_2)] {
        let ca = authority.ca();
        let ((success, said), told) = visited(backend, &tls, 1, move |port| {
            let (url, here) = (format!("https://{NAME}:{port}/"), format!("{NAME}:{port}:127.0.0.1"));
            Running::start("curl", &["-sS", "--cacert", &ca, "--resolve", &here, &url]).ended("")
        });
        assert!(success && said == "hello\n", "{said}");
        assert_eq!((told[0].version, told[0].end.as_str()), (Some(version), "the connection ended"));
    }
}

on_sockets! {
    openssl_speaks_both_versions_and_agrees_on_an_application_protocol
    openssl_resumes_its_session
    certificates_of_clients_are_required_where_that_is_asked_for
    curl_fetches_a_page
}
