use std::fs;
use std::sync::{Arc, Barrier};
use std::thread;

use marline_reactor::Endpoint;
use parking_lot::Mutex;

use super::options::Options;
use super::*;
use crate::fixtures::Authority;

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

#[test]
fn loops_that_begin_together_share_what_is_made_of_an_endpoint() {
    let folder = std::env::temp_dir().join(format!("marline-tls-together-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let (certificate, key) = Authority::new().pem_for(&["a.example"]);
    let path = folder.join("both.pem");
    fs::write(&path, certificate + &key).unwrap();
    let (servers, barrier) = (Mutex::new(Vec::new()), Barrier::new(8));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let options = Options::with_certificate(&path);
                barrier.wait();
                let server = cache::server(&options).unwrap().expect("a certificate");
                servers.lock().push(server);
            });
        }
    });
    let servers = servers.into_inner();
    assert!(servers.iter().all(|server| Arc::ptr_eq(server.config(), servers[0].config())));
    fs::remove_dir_all(folder).unwrap();
}
