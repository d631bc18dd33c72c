//! Headers, byte by byte as the specification has them.

use marline::{Address, Addresses, UnixAddress};

const FRONT: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// A header of version 2: the command with the version, the family with the protocol, and what follows the length.
pub(crate) fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).expect("a length");
    [FRONT, &[command, family], &length.to_be_bytes(), rest].concat()
}

/// The addresses of a header for UNIX sockets.
pub(crate) fn unix(source: &[u8], destination: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 216];
    bytes[..source.len()].copy_from_slice(source);
    bytes[108..108 + destination.len()].copy_from_slice(destination);
    bytes
}

fn inet(peer: &str, local: &str) -> Option<Addresses> {
    let end = |text: &str| Address::Inet(text.parse().expect("an address"));
    Some(Addresses { local: end(local), peer: end(peer) })
}

const V4: &[u8] = &[192, 0, 2, 7, 198, 51, 100, 1, 0x12, 0x67, 0x01, 0xbb];

fn v6() -> Vec<u8> {
    let mut bytes = vec![0x20, 0x01, 0x0d, 0xb8];
    bytes.extend([[0; 11].as_slice(), &[1], &[0x20, 0x01, 0x0d, 0xb8], &[0; 11], &[2]].concat());
    bytes.extend([0x12, 0x67, 0x01, 0xbb]);
    bytes
}

/// Good headers, and whose connection each names.
pub(crate) fn good() -> Vec<(Vec<u8>, Option<Addresses>)> {
    let (four, six) =
        (inet("192.0.2.7:4711", "198.51.100.1:443"), inet("[2001:db8::1]:4711", "[2001:db8::2]:443"));
    let longest = format!("PROXY UNKNOWN {}\r\n", "x".repeat(107 - 16));
    assert_eq!(longest.len(), 107);
    // A TLV of the kind that is there to fill space.
    let filling = [V4, &[4, 0x0f, 0xe1], &[0; 0x0fe1]].concat();
    assert_eq!(16 + filling.len(), 4096);
    let named = Addresses {
        peer: UnixAddress::path("/run/client").into(),
        local: UnixAddress::abstract_name("server").into(),
    };
    let unnamed =
        Addresses { peer: UnixAddress::unnamed().into(), local: UnixAddress::path("/run/s").into() };
    vec![
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n".to_vec(), four.clone()),
        (b"PROXY TCP6 2001:db8::1 2001:db8::2 4711 443\r\n".to_vec(), six.clone()),
        (b"PROXY UNKNOWN\r\n".to_vec(), None),
        (longest.into_bytes(), None),
        (binary(0x21, 0x11, V4), four.clone()),
        (binary(0x21, 0x21, &v6()), six),
        (binary(0x21, 0x31, &unix(b"/run/client", b"\0server")), Some(named)),
        (binary(0x21, 0x31, &unix(b"", b"/run/s")), Some(unnamed)),
        (binary(0x21, 0, b""), None),
        (binary(0x20, 0, b""), None),
        // Who speaks for himself may give addresses all the same; they do not count.
        (binary(0x20, 0x11, V4), None),
        (binary(0x21, 0x11, &filling), four),
    ]
}

/// A header of version 2 with a unique identifier, `id`.
pub(crate) fn identified() -> Vec<u8> {
    binary(0x21, 0x11, &[V4, &[5, 0, 2], b"id"].concat())
}

/// What is no header, with a word of the error that says so.
pub(crate) fn bad() -> Vec<(Vec<u8>, &'static str)> {
    let text = |text: &str| text.as_bytes().to_vec();
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(107 - 15));
    vec![
        (text("GET / HTTP/1.1\r\n\r\n"), "Missing"),
        (text("PROXIED"), "Missing"),
        (text("\r\n\r\nhello"), "Missing"),
        (text(&long), "TooLong(107)"),
        (text(&long.replace("\r\n", "xx")), "TooLong(107)"),
        (text("PROXY \r\n"), "Words"),
        (text("PROXY TCP5 192.0.2.7 198.51.100.1 4711 443\r\n"), "Words"),
        (text("PROXY TCP4 192.0.2.7 198.51.100.1 4711\r\n"), "Words"),
        (text("PROXY TCP4 2001:db8::1 2001:db8::2 4711 443\r\n"), "Words"),
        (text("PROXY TCP4 192.0.2.7 198.51.100.1 4711 65536\r\n"), "Words"),
        (text("PROXY TCP4 192.0.2.7 198.51.100.1 04711 443\r\n"), "Words"),
        (text("PROXY TCP4 192.0.2.7 198.51.100.1 4711 443 1\r\n"), "Words"),
        (text("PROXY TCP4  192.0.2.7 198.51.100.1 4711 443\r\n"), "Words"),
        (text("PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\n"), "Words"),
        (text("PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\rx\n"), "Words"),
        (b"PROXY TCP4 192.0.2.\xff 198.51.100.1 4711 443\r\n".to_vec(), "Words"),
        (text("PROXY TCP4 192.0.2.7 198.51.100.1 +4711 443\r\n"), "Number"),
        (binary(0x11, 0x11, V4), "Version"),
        (binary(0x22, 0x11, V4), "Command"),
        (binary(0x21, 0x41, V4), "AddressFamily"),
        (binary(0x21, 0x13, V4), "Protocol"),
        (binary(0x21, 0x21, V4), "InvalidAddresses"),
        (binary(0x21, 0x11, &[V4, &[5, 0, 3], b"id"].concat()), "InvalidTLV"),
        (binary(0x21, 0x11, &[V4, &[5]].concat()), "Leftovers"),
        // The length alone is enough.
        (binary(0x21, 0x11, &[0; 4081])[..16].to_vec(), "TooLong(4096)"),
    ]
}
