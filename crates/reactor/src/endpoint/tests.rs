//! Endpoints as strings: good ones, bad ones, and the way there and back.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use proptest::prelude::*;

use super::{Endpoint, EndpointErrorKind as Kind, IntoEndpoint, OpenFor};
use crate::address::Address;

fn parse(text: &str) -> Endpoint {
    text.parse().unwrap()
}

#[test]
fn c11_ip_literals_are_known_without_a_resolver() {
    for (text, literal) in [
        ("tcp://127.0.0.1:80", "127.0.0.1:80"),
        ("tcp://0.0.0.0:0", "0.0.0.0:0"),
        ("tcp://[::1]:65535", "[::1]:65535"),
        ("tcp://[0:0::0001]:007", "[::1]:7"),
        ("tcp://[fe80::1%2]:80?nodelay=1", "[fe80::1%2]:80"),
        ("tcp://[::ffff:1.2.3.4]:80", "[::ffff:1.2.3.4]:80"),
    ] {
        assert_eq!(parse(text).target().literal(), Some(Address::Inet(literal.parse().unwrap())), "{text}");
    }
    for text in ["tcp://localhost:80", "tcp://127.1:80", "tcp://1.2.3.4.5:80", "tcp://bücher.example:80"] {
        assert_eq!(parse(text).target().literal(), None, "{text}");
    }
}

#[test]
fn the_host_is_told_without_brackets() {
    for (text, host, port) in [
        ("tcp://db.internal:5432", "db.internal", 5432),
        ("tcp://my_host-1:1", "my_host-1", 1),
        ("tcp://127.0.0.1:80", "127.0.0.1", 80),
        ("tcp://[fe80::1%2]:80", "fe80::1%2", 80),
        ("tcp://[::]:80", "::", 80),
    ] {
        let endpoint = parse(text);
        let named = endpoint.host().unwrap();
        assert_eq!((&named.name()[..], named.port()), (host, port));
        assert_eq!(endpoint.to_string(), text);
    }
}

#[test]
fn options_reach_the_backend_and_the_rest_is_default() {
    let text = "tcp://127.0.0.1:0?backlog=512&reuse_port=1&limit=1000&timeout=2.5&attempt_delay=0.1&bind=127.0.0.1:0&nodelay=0";
    let endpoint = parse(text);
    let listen = endpoint.listen_options();
    assert_eq!((listen.backlog, listen.reuse_port, listen.nodelay), (512, true, false));
    assert!(listen.reuse_address);
    let connect = endpoint.connect_options();
    assert_eq!(connect.bind, Some(Address::Inet("127.0.0.1:0".parse().unwrap())));
    assert!(!connect.nodelay);
    assert_eq!(endpoint.limit_value(), Some(1000));
    assert_eq!(endpoint.timeout_value(), Some(Duration::from_millis(2500)));
    assert_eq!(endpoint.attempt_delay_value(), Duration::from_millis(100));
    assert_eq!(endpoint.to_string(), text);

    let plain = parse("tcp://host:1");
    let listen = plain.listen_options();
    assert_eq!((listen.backlog, listen.reuse_port, listen.nodelay), (1024, false, true));
    assert_eq!((plain.limit_value(), plain.timeout_value()), (None, None));
    assert!(plain.connect_options().bind.is_none() && plain.connect_options().nodelay);
    assert!(!parse("tcp://host:1?reuse_address=false").listen_options().reuse_address);
}

#[test]
fn an_error_names_what_is_wrong_and_where() {
    const NUMBER: &str = "a whole number";
    const SECONDS: &str = "seconds, like 2.5";
    const DELAY: &str = "seconds, like 0.25, and at least 0.01";
    let bad_value = |expected| Kind::BadValue { expected };
    for (text, kind, position, part) in [
        ("", Kind::MissingScheme, 0, ""),
        ("host", Kind::MissingScheme, 0, ""),
        ("localhost:80", Kind::MissingScheme, 0, ""),
        ("127.0.0.1:80", Kind::MissingScheme, 0, ""),
        ("[::1]:80", Kind::MissingScheme, 0, ""),
        ("://host:80", Kind::MissingScheme, 0, ""),
        ("a b://host:80", Kind::MissingScheme, 0, ""),
        ("ftp://host:80", Kind::UnknownScheme, 0, "ftp"),
        ("TCP://host:80", Kind::UnknownScheme, 0, "TCP"),
        ("file:/path", Kind::UnknownScheme, 0, "file"),
        ("unix:/path", Kind::MissingSlashes, 5, ""),
        ("unix://", Kind::MissingPath, 7, ""),
        ("unix-abstract://", Kind::MissingPath, 16, ""),
        ("unix:///s?mode=888", bad_value("an octal number, like 600"), 10, "mode=888"),
        ("tcp:/x", Kind::MissingSlashes, 4, ""),
        ("tcp:host:80", Kind::MissingSlashes, 4, ""),
        ("tcp:", Kind::MissingSlashes, 4, ""),
        ("tcp://", Kind::MissingHost, 6, ""),
        ("tcp://:80", Kind::MissingHost, 6, ""),
        ("tcp://a b:80", Kind::BadHost, 6, "a b"),
        ("tcp://me@host:80", Kind::BadHost, 6, "me@host"),
        ("tcp://host%1:80", Kind::BadHost, 6, "host%1"),
        ("tcp://::1:80", Kind::MissingBrackets, 6, "::1:80"),
        ("tcp://host:80:81", Kind::MissingBrackets, 6, "host:80:81"),
        ("tcp://[::1:80", Kind::BadBrackets, 6, "[::1:80"),
        ("tcp://[::g]:80", Kind::BadBrackets, 6, "[::g]"),
        ("tcp://[]:80", Kind::BadBrackets, 6, "[]"),
        ("tcp://[127.0.0.1]:80", Kind::BadBrackets, 6, "[127.0.0.1]"),
        ("tcp://[fe80::1%eth0]:80", Kind::BadBrackets, 6, "[fe80::1%eth0]"),
        ("tcp://host", Kind::MissingPort, 10, ""),
        ("tcp://host:", Kind::MissingPort, 10, ":"),
        ("tcp://[::1]", Kind::MissingPort, 11, ""),
        ("tcp://[::1]80", Kind::MissingPort, 11, "80"),
        ("tcp://host?limit=1", Kind::MissingPort, 10, ""),
        ("tcp://host:http", Kind::BadPort, 11, "http"),
        ("tcp://host:65536", Kind::BadPort, 11, "65536"),
        ("tcp://host:+80", Kind::BadPort, 11, "+80"),
        ("tcp://host:-1", Kind::BadPort, 11, "-1"),
        ("tcp://host:80/", Kind::UnexpectedPath, 13, "/"),
        ("tcp://host:80/path?limit=1", Kind::UnexpectedPath, 13, "/path"),
        ("tcp://host:80?", Kind::UnknownOption, 14, ""),
        ("tcp://host:80?limt=1", Kind::UnknownOption, 14, "limt"),
        ("tcp://host:80?limit=1&", Kind::UnknownOption, 22, ""),
        ("tcp://host:80?limit", Kind::MissingValue, 14, "limit"),
        ("tcp://host:80?limit=1&limit=1", Kind::RepeatedOption, 22, "limit"),
        ("tcp://host:80?limit=", bad_value(NUMBER), 14, "limit="),
        ("tcp://host:80?limit=-1", bad_value(NUMBER), 14, "limit=-1"),
        ("tcp://host:80?backlog=4294967296", bad_value(NUMBER), 14, "backlog=4294967296"),
        ("tcp://host:80?nodelay=2", bad_value("1 or 0"), 14, "nodelay=2"),
        ("tcp://host:80?timeout=soon", bad_value(SECONDS), 14, "timeout=soon"),
        ("tcp://host:80?timeout=1.", bad_value(SECONDS), 14, "timeout=1."),
        ("tcp://host:80?timeout=.5", bad_value(SECONDS), 14, "timeout=.5"),
        ("tcp://host:80?timeout=-1", bad_value(SECONDS), 14, "timeout=-1"),
        ("tcp://host:80?timeout=1.1234567890", bad_value(SECONDS), 14, "timeout=1.1234567890"),
        ("tcp://host:80?attempt_delay=0.009", bad_value(DELAY), 14, "attempt_delay=0.009"),
        ("tcp://host:80?attempt_delay=0", bad_value(DELAY), 14, "attempt_delay=0"),
        ("tcp://host:80?bind=host:1", bad_value("an address and a port"), 14, "bind=host:1"),
    ] {
        let error = text.parse::<Endpoint>().expect_err(text);
        assert_eq!((error.kind(), error.position(), error.part()), (&kind, position, part), "{text}");
        assert_eq!(error.endpoint(), text);
        assert!(error.to_string().starts_with(&format!("endpoint {text:?}: ")));
    }
}

#[test]
fn messages_list_what_is_known() {
    for (text, message) in [
        ("tcp:/x", r#"endpoint "tcp:/x": missing "//" after the scheme"#),
        (
            "tcp://h:1?x=1",
            "endpoint \"tcp://h:1?x=1\": unknown option \"x\"; \
             known: backlog, reuse_address, reuse_port, limit, timeout, attempt_delay, bind, nodelay",
        ),
        (
            "unix:///s?nodelay=1",
            "endpoint \"unix:///s?nodelay=1\": option \"nodelay\" is not for this kind of endpoint; \
             known: backlog, limit, timeout, mode, descriptors",
        ),
        ("stdio:?x=1", "endpoint \"stdio:?x=1\": unknown option \"x\"; it has none"),
        ("fd://three", r#"endpoint "fd://three": "three" is not the number of a descriptor"#),
        ("pipe:///f", r#"endpoint "pipe:///f": missing option "open""#),
        ("exec: ", r#"endpoint "exec: ": missing command"#),
        ("tcp://h:1?limit=x", r#"endpoint "tcp://h:1?limit=x": option "limit=x" should be a whole number"#),
    ] {
        assert_eq!(text.parse::<Endpoint>().unwrap_err().to_string(), message);
    }
    // Other tests of this process may have added kinds.
    for (text, beginning) in [
        ("host:80", r#"endpoint "host:80": missing scheme; write tcp:, unix:, unix-abstract:, udp:,"#),
        ("ftp://h:1", r#"endpoint "ftp://h:1": unknown scheme "ftp"; known: tcp, unix, unix-abstract, udp,"#),
    ] {
        let message = text.parse::<Endpoint>().unwrap_err().to_string();
        assert!(message.starts_with(beginning), "{message}");
    }
}

#[test]
fn every_kind_is_written_as_it_is_read() {
    for text in [
        "unix:///run/s?mode=600",
        "unix-abstract://s?descriptors=1",
        "unix-abstract://name",
        "udp://host:53?reuse_port=1",
        "udp://[::1]:53",
        "unix-datagram:///run/log",
        "unix-datagram://@log",
        "unix-seqpacket:///run/records",
        "stdio:",
        "fd://3",
        "systemd://http?limit=10",
        "pipe:///tmp/fifo?open=write",
        "exec:cat /etc/hosts?open=read | tr a-z A-Z",
        "pty:/bin/sh -i",
    ] {
        assert_eq!(parse(text).to_string(), text);
    }
    assert_eq!(parse("pipe:///f?open=read"), Endpoint::pipe("/f", OpenFor::Reading));
    assert_eq!(parse("fd://3"), Endpoint::descriptor(3));
    assert_eq!(parse("exec:a b"), Endpoint::exec("a b"));
}

#[test]
fn the_attempt_delay_is_never_shorter_than_the_rfc_allows() {
    let endpoint = parse("tcp://host:80");
    assert_eq!(endpoint.attempt_delay_value(), Duration::from_millis(250));
    let hasty = endpoint.attempt_delay(Duration::ZERO);
    assert_eq!(hasty, parse("tcp://host:80?attempt_delay=0.01"));
    assert_eq!(hasty.attempt_delay_value(), Duration::from_millis(10));
}

#[test]
fn strings_addresses_and_endpoints_become_endpoints() {
    let endpoint = parse("tcp://127.0.0.1:80");
    let address: SocketAddr = "127.0.0.1:80".parse().unwrap();
    let text = String::from("tcp://127.0.0.1:80");
    let all = [
        endpoint.to_string().as_str().into_endpoint(),
        (&text).into_endpoint(),
        text.into_endpoint(),
        address.into_endpoint(),
        Address::from(address).into_endpoint(),
        (&Address::from(address)).into_endpoint(),
        Endpoint::tcp("127.0.0.1:80").into_endpoint(),
        Endpoint::tcp(address).into_endpoint(),
        (&endpoint).into_endpoint(),
    ];
    assert!(all.iter().all(|made| made.as_ref() == Ok(&endpoint)));
    assert_eq!(Endpoint::tcp("host").unwrap_err().kind(), &Kind::MissingPort);
    assert_eq!(Endpoint::tcp("host:80?limit=1").unwrap_err().kind(), &Kind::BadPort);
}

fn address() -> impl Strategy<Value = SocketAddr> {
    let scoped = (any::<[u16; 8]>(), any::<u16>(), any::<u32>())
        .prop_map(|(ip, port, scope)| SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::from(ip), port, 0, scope)));
    let any_ip = (any::<IpAddr>(), any::<u16>()).prop_map(SocketAddr::from);
    prop_oneof![scoped, any_ip]
}

fn base() -> impl Strategy<Value = Endpoint> {
    let name = ("[a-z0-9._-]{1,20}", any::<u16>()).prop_map(|(host, port)| format!("{host}:{port}"));
    prop_oneof![name.prop_map(|text| Endpoint::tcp(text).unwrap()), address().prop_map(Endpoint::from),]
}

proptest! {
    #[test]
    fn an_endpoint_printed_and_parsed_is_the_same(
        base in base(),
        numbers in any::<(Option<u32>, Option<usize>, Option<Duration>)>(),
        flags in any::<(Option<bool>, Option<bool>, Option<bool>)>(),
        bind in proptest::option::of(address()),
    ) {
        let mut endpoint = base;
        (endpoint.options.backlog, endpoint.options.limit, endpoint.options.timeout) = numbers;
        (endpoint.options.reuse_port, endpoint.options.reuse_address, endpoint.options.nodelay) = flags;
        endpoint.options.bind = bind;
        prop_assert_eq!(endpoint.to_string().parse::<Endpoint>(), Ok(endpoint));
    }

    #[test]
    fn no_string_panics_and_errors_point_into_it(text in "(tcp:/{0,2})?[a-z0-9:.%\\[\\]?&=/ü]{0,30}") {
        if let Err(error) = text.parse::<Endpoint>() {
            prop_assert!(text[error.position()..].starts_with(error.part()));
        }
    }
}
