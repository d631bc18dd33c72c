use marline_reactor::Endpoint;

use super::*;

fn problem(text: &str) -> String {
    register();
    text.parse::<Endpoint>().unwrap_err().to_string()
}

#[test]
fn every_stream_of_bytes_can_carry_tls() {
    register();
    register();
    for text in [
        "tls://example.org:443?alpn=h2,http/1.1&timeout=2&nodelay=0",
        "tls+tcp://[::1]:443?verify=0&handshake_timeout=2.5&shutdown_timeout=1",
        "tls+unix:///run/app.sock?server_name=app.example&mode=600",
        "tls+unix-abstract://app?cert=a.pem&key=b.pem&client_ca=c.pem&limit=3",
        "tls+stdio:?server_name=app.example",
        "tls+fd://3",
        "tls+systemd://app?tls_min=1.3",
        "tls+pipe:///run/app.fifo?open=read&tls_max=1.2",
        "tls+exec:cat -u",
        "tls+pty:cat?verify=0",
        "tls+tls://example.org:443?ca=ca.pem&timeout=2",
    ] {
        assert_eq!(text.parse::<Endpoint>().map(|endpoint| endpoint.to_string()).as_deref(), Ok(text));
    }
}

/// The options of the endpoints below are written down here again, and would drift.
#[test]
fn the_options_are_those_of_what_is_below() {
    register();
    for (scheme, rest) in [
        ("tcp", "//h:1"),
        ("unix", "///p"),
        ("unix-abstract", "//n"),
        ("stdio", ""),
        ("fd", "//0"),
        ("systemd", "//n"),
        ("pipe", "///p"),
    ] {
        let (_, known) = INNER.iter().find(|(known, _)| *known == scheme).expect("one of ours");
        let error = format!("{scheme}:{rest}?none=1").parse::<Endpoint>().unwrap_err().to_string();
        let expected =
            if known.is_empty() { "it has none".to_owned() } else { format!("known: {}", known.join(", ")) };
        assert!(error.ends_with(&expected), "{error}");
    }
}

#[test]
fn mistakes_are_found_when_a_string_is_parsed() {
    for (text, words) in [
        ("tls://example.org", "missing \":PORT\""),
        ("tls://example.org:443?verify=maybe", "\"verify=maybe\" should be 1 or 0"),
        ("tls://example.org:443?tls_min=1.1", "\"tls_min=1.1\" should be 1.2 or 1.3"),
        ("tls://example.org:443?tls_min=1.3&tls_max=1.2", "no less than"),
        ("tls://example.org:443?alpn=h2,,x", "names of protocols"),
        ("tls://example.org:443?key=k.pem", "beside the option \"cert\""),
        ("tls://example.org:443?verify=0&ca=c.pem", "\"verify=0\" should be 1"),
        ("tls://example.org:443?handshake_timeout=1e3", "seconds"),
        ("tls://example.org:443?server_name=a b", "neither a host name nor an IP address"),
        ("tls://example.org:443?mode=600", "unknown option"),
        ("tls+unix:///p?bind=1", "unknown option"),
    ] {
        let problem = problem(text);
        assert!(problem.contains(words), "{problem}");
    }
}
