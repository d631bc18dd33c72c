use std::io::IoSlice;
use std::time::Duration;

use rustls::{AlertDescription, CertificateError, Error};

use crate::error::TlsError;
use crate::fixtures::{Authority, Pair, client_and_server, trusting};
use crate::info::TlsInfo;
use crate::{ClientTls, ClientTlsBuilder, ServerTls, TlsVersion};

/// Any bytes, that differ from their neighbours.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + at / 251) as u8).collect()
}

/// How many TLS records there are, by the lengths in their headers.
fn records(mut wire: &[u8]) -> usize {
    let mut count = 0;
    while let [_, _, _, high, low, rest @ ..] = wire {
        wire = &rest[usize::from(u16::from_be_bytes([*high, *low]))..];
        count += 1;
    }
    assert!(wire.is_empty(), "the last record is whole");
    count
}

fn info(session: &super::Session) -> TlsInfo {
    TlsInfo::new(std::rc::Rc::clone(session.connection()))
}

/// What the handshake of these two fails with, on the side that notices.
fn failure(client: &ClientTls, name: &str, server: &ServerTls) -> TlsError {
    Pair::new(client, name, server).pump(4096, 0).expect_err("the handshake fails")
}

#[test]
fn bytes_pass_both_ways_however_they_are_cut() {
    for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
        let authority = Authority::new();
        let client = trusting(&authority).max_version(version).build().unwrap();
        let server = ServerTls::new(authority.identity(&["a.example"])).unwrap();
        for (chunk, room) in [(1, 1), (1, 4096), (7, 3), (4096, 1), (100_000, 65_536)] {
            let mut pair = Pair::new(&client, "a.example", &server);
            pair.pump(chunk, 0).unwrap();
            let (to_server, to_client) = (pattern(70_000), pattern(3_000));
            pair.client.write(&to_server);
            pair.server.write(&to_client);
            pair.pump(chunk, room).unwrap();
            assert!(pair.server.plaintext == to_server && pair.client.plaintext == to_client);
        }
    }
}

#[test]
fn ten_mebibytes_pass_in_one_write() {
    let (client, server) = client_and_server();
    let mut pair = Pair::established(&client, "a.example", &server);
    let bytes = pattern(10 << 20);
    pair.server.write(&bytes);
    pair.pump(65_536, 65_536).unwrap();
    assert!(pair.client.plaintext == bytes);
}

#[test]
fn a_thousand_small_parts_make_one_record() {
    let (client, server) = client_and_server();
    let mut pair = Pair::established(&client, "a.example", &server);
    let parts = vec![IoSlice::new(b"ten bytes "); 1_000];
    let count = pair.client.session.send(&parts, &mut pair.client.wire).unwrap();
    assert_eq!((count, records(&pair.client.wire)), (10_000, 1));
}

#[test]
fn no_more_is_taken_in_while_there_is_no_room() {
    let (client, server) = client_and_server();
    let mut pair = Pair::established(&client, "a.example", &server);
    pair.client.write(&pattern(200_000));
    let wire = std::mem::take(&mut pair.client.wire);
    let first = pair.server.session.receive(&wire, &mut [], &mut Vec::new()).unwrap();
    assert!(first.consumed < 32_768, "{first:?}");
    let second = pair.server.session.receive(&wire[first.consumed..], &mut [], &mut Vec::new()).unwrap();
    assert_eq!((second.consumed, second.filled), (0, 0));
    pair.server.receive(&wire[first.consumed..], 4096).unwrap();
    assert!(pair.server.plaintext == pattern(200_000));
}

#[test]
fn a_changed_record_fails_behind_the_plaintext_before_it_and_is_answered_by_an_alert() {
    let (client, server) = client_and_server();
    let mut pair = Pair::established(&client, "a.example", &server);
    pair.client.write(b"good");
    pair.client.write(b"evil");
    let mut wire = std::mem::take(&mut pair.client.wire);
    *wire.last_mut().unwrap() ^= 1;
    let mut room = [0; 64];
    let received = pair.server.session.receive(&wire, &mut room, &mut pair.server.wire).unwrap();
    assert_eq!(&room[..received.filled], b"good");
    let error = pair.server.session.take_last_failure().expect("what was wrong with the rest");
    assert_eq!(error, TlsError::Connection(Error::DecryptError));
    let refused = pair.server.session.send(&[IoSlice::new(b"late")], &mut Vec::new()).unwrap_err();
    assert_eq!(refused, error);
    let told = pair.pump(4096, 4096).unwrap_err();
    assert_eq!(told, TlsError::Connection(Error::AlertReceived(AlertDescription::BadRecordMac)));
}

#[test]
fn the_peer_is_at_its_end_when_all_of_its_plaintext_was_read() {
    let (client, server) = client_and_server();
    let mut pair = Pair::established(&client, "a.example", &server);
    pair.client.write(b"last words");
    pair.client.close();
    let mut wire = std::mem::take(&mut pair.client.wire);
    wire.extend_from_slice(b"noise behind the end");
    let mut room = [0; 4];
    let received = pair.server.session.receive(&wire, &mut room, &mut Vec::new()).unwrap();
    assert_eq!((&room, received.filled), (b"last", 4));
    assert!(!pair.server.session.is_at_end());
    let rest = pair.server.receive(&wire[received.consumed..], 64).unwrap();
    assert_eq!(received.consumed + rest, wire.len());
    assert_eq!(pair.server.plaintext, b" words");
    assert!(pair.server.session.is_at_end());
}

#[test]
fn one_side_ends_and_the_other_goes_on() {
    let (client, server) = client_and_server();
    let mut pair = Pair::established(&client, "a.example", &server);
    pair.client.close();
    pair.pump(4096, 4096).unwrap();
    assert!(pair.server.session.is_at_end() && !pair.client.session.is_at_end());
    pair.server.write(b"still here");
    pair.server.close();
    pair.pump(4096, 4096).unwrap();
    assert_eq!(pair.client.plaintext, b"still here");
    assert!(pair.client.session.is_at_end());
}

#[test]
fn who_closes_reads_to_the_peers_end_without_keeping_anything() {
    let (client, server) = client_and_server();
    let mut pair = Pair::established(&client, "a.example", &server);
    pair.server.write(&pattern(100_000));
    pair.server.close();
    let wire = std::mem::take(&mut pair.server.wire);
    let consumed = pair.client.session.discard(&wire, &mut Vec::new()).unwrap();
    assert_eq!(consumed, wire.len());
    assert!(pair.client.session.is_at_end());
}

#[test]
fn a_second_connection_resumes_the_session() {
    for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
        let authority = Authority::new();
        let client = trusting(&authority).max_version(version).build().unwrap();
        let server = ServerTls::new(authority.identity(&["a.example"])).unwrap();
        let resumed: Vec<bool> = (0..3)
            .map(|_| {
                let pair = Pair::established(&client, "a.example", &server);
                assert_eq!(info(&pair.server.session).peer_certificates().len(), 0);
                assert_eq!(info(&pair.client.session).peer_certificates().len(), 1);
                info(&pair.client.session).is_resumed() && info(&pair.server.session).is_resumed()
            })
            .collect();
        assert_eq!(resumed, [false, true, true]);
    }
}

#[test]
fn sessions_are_resumed_only_if_both_sides_want_it() {
    let authority = Authority::new();
    let client = |resumes| trusting(&authority).resumption(resumes).build().unwrap();
    let server =
        |resumes| ServerTls::builder(authority.identity(&["a.example"])).resumption(resumes).build().unwrap();
    for (client, server) in [(client(true), server(false)), (client(false), server(true))] {
        for _ in 0..2 {
            assert!(!info(&Pair::established(&client, "a.example", &server).client.session).is_resumed());
        }
    }
}

#[test]
fn both_sides_know_what_was_agreed_upon() {
    let authority = Authority::new();
    let client = trusting(&authority).alpn(["h2", "http/1.1"]).build().unwrap();
    let server = ServerTls::builder(authority.identity(&["a.example"])).alpn(["http/1.1"]).build().unwrap();
    let pair = Pair::established(&client, "a.example", &server);
    let (client, server) = (info(&pair.client.session), info(&pair.server.session));
    for info in [&client, &server] {
        assert_eq!(info.alpn().as_deref(), Some(&b"http/1.1"[..]));
        assert_eq!(info.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
    }
    assert!(client.cipher_suite().is_some() && client.cipher_suite() == server.cipher_suite());
    assert_eq!((client.server_name(), server.server_name().as_deref()), (None, Some("a.example")));
    let keys: Vec<[u8; 32]> = [&client, &server]
        .map(|info| info.export_keying_material([0; 32], b"EXPERIMENTAL test", Some(b"x")).unwrap())
        .into();
    assert!(keys[0] == keys[1] && keys[0] != [0; 32]);
}

#[test]
fn no_protocol_in_common_is_an_error_that_says_so() {
    let authority = Authority::new();
    let client = trusting(&authority).alpn(["h2"]).build().unwrap();
    let server = ServerTls::builder(authority.identity(&["a.example"])).alpn(["smtp"]).build().unwrap();
    let error = failure(&client, "a.example", &server);
    assert_eq!(error, TlsError::Handshake(Error::NoApplicationProtocol));
    assert!(error.to_string().contains("(ALPN)"), "{error}");
}

#[test]
fn no_version_in_common_is_an_error_that_says_so() {
    let authority = Authority::new();
    let client = trusting(&authority).max_version(TlsVersion::Tls12).build().unwrap();
    let identity = authority.identity(&["a.example"]);
    let server = ServerTls::builder(identity).min_version(TlsVersion::Tls13).build().unwrap();
    let error = failure(&client, "a.example", &server).to_string();
    assert!(error.contains("no version of TLS that both sides accept"), "{error}");
}

#[test]
fn certificates_that_are_not_acceptable_are_errors_that_say_why() {
    let (authority, stranger) = (Authority::new(), Authority::named("stranger"));
    let expired = authority.expired(&["a.example"], Duration::from_secs(86_400 * 3 + 60));
    let cases = [
        (expired, "expired 3 days ago"),
        (authority.identity(&["b.example"]), "not for \"a.example\", but for b.example"),
        (stranger.identity(&["a.example"]), "unknown issuer"),
    ];
    let client = trusting(&authority).build().unwrap();
    for (identity, words) in cases {
        let error = failure(&client, "a.example", &ServerTls::new(identity).unwrap());
        assert!(matches!(error, TlsError::Handshake(Error::InvalidCertificate(_))), "{error:?}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn whoever_asks_for_it_may_trust_anybody() {
    let client = ClientTls::builder().danger_accept_any_certificate().build().unwrap();
    let server = ServerTls::new(Authority::new().identity(&["b.example"])).unwrap();
    Pair::established(&client, "a.example", &server);
}

#[test]
fn a_server_may_require_certificates_of_clients() {
    let (authority, staff, stranger) =
        (Authority::new(), Authority::named("staff"), Authority::named("stranger"));
    let server = ServerTls::builder(authority.identity(&["a.example"]))
        .require_client_certificates(staff.roots())
        .build()
        .unwrap();
    let client =
        |change: &dyn Fn(ClientTlsBuilder) -> ClientTlsBuilder| change(trusting(&authority)).build().unwrap();
    let known = client(&|builder| builder.identity(staff.identity(&["alice"])));
    let pair = Pair::established(&known, "a.example", &server);
    assert_eq!(info(&pair.server.session).peer_certificates().len(), 1);
    let error = failure(&client(&|builder| builder), "a.example", &server);
    assert_eq!(error, TlsError::Handshake(Error::NoCertificatesPresented));
    let unknown = client(&|builder| builder.identity(stranger.identity(&["mallory"])));
    let error = failure(&unknown, "a.example", &server);
    assert_eq!(error, TlsError::Handshake(Error::InvalidCertificate(CertificateError::UnknownIssuer)));
}

#[test]
fn a_server_may_leave_it_to_clients_whether_they_show_a_certificate() {
    let (authority, staff) = (Authority::new(), Authority::named("staff"));
    let server = ServerTls::builder(authority.identity(&["a.example"]))
        .request_client_certificates(staff.roots())
        .build()
        .unwrap();
    for (builder, certificates) in
        [(trusting(&authority), 0), (trusting(&authority).identity(staff.identity(&["alice"])), 1)]
    {
        let pair = Pair::established(&builder.build().unwrap(), "a.example", &server);
        assert_eq!(info(&pair.server.session).peer_certificates().len(), certificates);
    }
}

#[test]
fn a_name_may_be_fixed_and_kept_from_the_server() {
    let authority = Authority::new();
    let server = ServerTls::new(authority.identity(&["a.example"])).unwrap();
    let client = trusting(&authority).server_name("a.example").unwrap().sni(false).build().unwrap();
    let pair = Pair::established(&client, "10.0.0.1", &server);
    assert_eq!(info(&pair.server.session).server_name(), None);
}

#[test]
fn plain_text_is_not_mistaken_for_tls() {
    let (_, server) = client_and_server();
    let mut session = server.filter().into_session().unwrap();
    let mut wire = Vec::new();
    let error = session.receive(b"GET / HTTP/1.1\r\n\r\n", &mut [], &mut wire).unwrap_err();
    assert!(error.to_string().contains("is not TLS"), "{error}");
    assert_eq!(records(&wire), 1, "an alert");
}

/// Chance that is the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        // The steps of xorshift64.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }
}

/// Cuts, repeats, joins or changes what is on the way.
fn mangle(wire: &mut Vec<u8>, dice: &mut Dice) {
    let (from, to) = (dice.below(wire.len()), dice.below(wire.len()));
    let range = from.min(to)..from.max(to);
    match dice.below(4) {
        0 => drop(wire.drain(range)),
        1 => wire.extend_from_within(range),
        2 => wire.rotate_left(from),
        _ => wire[from] ^= 1 << dice.below(8),
    }
}

#[test]
fn whatever_comes_ends_in_an_error_or_waits_for_more_and_nothing_is_delivered_that_was_not_sent() {
    let (client, server) = client_and_server();
    let sent = pattern(40_000);
    let mut failures = 0;
    for seed in 1..400 {
        let mut dice = Dice(u64::wrapping_mul(seed, 0x9E37_79B9_7F4A_7C15));
        let mut pair = Pair::new(&client, "a.example", &server);
        if seed % 2 == 0 {
            pair.pump(4096, 4096).unwrap();
            pair.client.write(&sent);
            pair.client.close();
        }
        let mut wire = std::mem::take(&mut pair.client.wire);
        mangle(&mut wire, &mut dice);
        let chunk = 1 + dice.below(6_000);
        let mut outcome = Ok(0);
        for piece in wire.chunks(chunk) {
            outcome = outcome.and_then(|_| pair.server.receive(piece, 1 + dice.below(9_000)));
        }
        failures += usize::from(outcome.is_err());
        assert!(sent.starts_with(&pair.server.plaintext));
    }
    assert!(failures > 200, "{failures}");
}
