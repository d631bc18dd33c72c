//! What a header says, and how: the crate `ppp` knows the two formats, here are the limits.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use marline::{Address, Addresses, UnixAddress};
use ppp::{PartialResult, v1, v2};

/// The longest header of version 1, its end included, as the specification has it.
const LONGEST_V1: usize = 107;
/// The longest of version 2 that is accepted. The format would allow 65 551 bytes, which nobody needs and everybody could make
/// a server keep: addresses take 216, and the rest holds a name, an identifier and what is said about a certificate.
const LONGEST_V2: usize = 4096;
/// How version 2 begins, up to the length.
const FRONT_V2: usize = 16;
const FRONT_V1: &[u8] = b"PROXY ";

/// Which of the two formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// In words.
    One,
    /// In bytes.
    Two,
}

/// What a header said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) version: Version,
    /// The ends of the connection that the proxy accepted: the client's is the peer. There are none if the proxy speaks for
    /// itself, or does not know them; those of the connection itself count then.
    pub(crate) addresses: Option<Addresses>,
    /// What version 2 may say besides: types and values. Checksums among them are not looked at.
    pub(crate) extras: Vec<(u8, Vec<u8>)>,
}

/// A connection does not begin with an acceptable header.
#[derive(Debug)]
pub(crate) enum HeaderError {
    /// It begins with something else.
    Missing,
    /// It is longer than this.
    TooLong(usize),
    /// Its words are none of version 1.
    Words(v1::BinaryParseError),
    /// Its bytes are none of version 2.
    Bytes(v2::ParseError),
    /// It has a number that is none.
    Number,
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("the connection does not begin with a PROXY header"),
            Self::TooLong(longest) => write!(f, "the PROXY header is longer than {longest} bytes"),
            Self::Words(_) | Self::Bytes(_) => f.write_str("the PROXY header is malformed"),
            Self::Number => f.write_str("the PROXY header has a malformed port"),
        }
    }
}

impl std::error::Error for HeaderError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Words(error) => Some(error),
            Self::Bytes(error) => Some(error),
            Self::Missing | Self::TooLong(_) | Self::Number => None,
        }
    }
}

impl Header {
    /// The header that `input` begins with, and its length. `None` if it has not come completely.
    pub(crate) fn parse(input: &[u8]) -> Result<Option<(Self, usize)>, HeaderError> {
        let begins_with = |front: &[u8]| input.iter().zip(front).all(|(one, other)| one == other);
        if begins_with(FRONT_V1) {
            Self::parse_words(input)
        } else if begins_with(v2::PROTOCOL_PREFIX) {
            Self::parse_bytes(input)
        } else {
            Err(HeaderError::Missing)
        }
    }

    fn parse_words(input: &[u8]) -> Result<Option<(Self, usize)>, HeaderError> {
        let longest = &input[..input.len().min(LONGEST_V1)];
        let Some(end) = longest.iter().position(|byte| *byte == b'\n') else {
            let is_over = input.len() >= LONGEST_V1;
            return if is_over { Err(HeaderError::TooLong(LONGEST_V1)) } else { Ok(None) };
        };
        let line = &input[..=end];
        let addresses = match v1::Header::try_from(line).map_err(HeaderError::Words)?.addresses {
            v1::Addresses::Unknown => None,
            // The standard library's numbers may have a sign.
            _ if line.contains(&b'+') => return Err(HeaderError::Number),
            v1::Addresses::Tcp4(ends) => Some(between(
                (ends.source_address, ends.source_port),
                (ends.destination_address, ends.destination_port),
            )),
            v1::Addresses::Tcp6(ends) => Some(between(
                (ends.source_address, ends.source_port),
                (ends.destination_address, ends.destination_port),
            )),
        };
        Ok(Some((Self { version: Version::One, addresses, extras: Vec::new() }, line.len())))
    }

    fn parse_bytes(input: &[u8]) -> Result<Option<(Self, usize)>, HeaderError> {
        if let Some(&[.., high, low]) = input.first_chunk::<FRONT_V2>() {
            if FRONT_V2 + usize::from(u16::from_be_bytes([high, low])) > LONGEST_V2 {
                return Err(HeaderError::TooLong(LONGEST_V2));
            }
        }
        let header = match v2::Header::try_from(input) {
            Ok(header) => header,
            Err(error) if error.is_incomplete() => return Ok(None),
            Err(error) => return Err(HeaderError::Bytes(error)),
        };
        let addresses = match header.addresses {
            _ if header.command == v2::Command::Local => None,
            v2::Addresses::Unspecified => None,
            v2::Addresses::IPv4(ends) => Some(between(
                (ends.source_address, ends.source_port),
                (ends.destination_address, ends.destination_port),
            )),
            v2::Addresses::IPv6(ends) => Some(between(
                (ends.source_address, ends.source_port),
                (ends.destination_address, ends.destination_port),
            )),
            v2::Addresses::Unix(ends) => {
                let (peer, local) = (unix_name(&ends.source).into(), unix_name(&ends.destination).into());
                Some(Addresses { local, peer })
            }
        };
        let extras = header.tlvs().map(|extra| extra.map(|extra| (extra.kind, extra.value.into_owned())));
        let extras = extras.collect::<Result<_, _>>().map_err(HeaderError::Bytes)?;
        Ok(Some((Self { version: Version::Two, addresses, extras }, header.len())))
    }

    /// The bytes of a header for a connection that the proxy accepted.
    pub(crate) fn write(version: Version, addresses: Option<&Addresses>) -> io::Result<Vec<u8>> {
        let ends = addresses.map(|ends| (&ends.peer, &ends.local));
        let sockets = ends.and_then(|(peer, local)| Some((peer.as_inet()?, local.as_inet()?)));
        if version == Version::One {
            let known = sockets.map_or(v1::Addresses::Unknown, v1::Addresses::from);
            return Ok(known.to_string().into_bytes());
        }
        let names = ends.and_then(|(peer, local)| Some((peer.as_unix()?, local.as_unix()?)));
        let unix = names.and_then(|(peer, local)| Some(v2::Unix::new(unix_bytes(peer)?, unix_bytes(local)?)));
        let known = match (sockets, unix) {
            (Some(sockets), _) => sockets.into(),
            (None, Some(unix)) => unix.into(),
            (None, None) => v2::Addresses::Unspecified,
        };
        let command = if addresses.is_some() { v2::Command::Proxy } else { v2::Command::Local };
        let protocol = if known.is_empty() { v2::Protocol::Unspecified } else { v2::Protocol::Stream };
        v2::Builder::with_addresses(v2::Version::Two | command, protocol, known).build()
    }
}

/// From the client to where it connected.
fn between(source: impl Into<SocketAddr>, destination: impl Into<SocketAddr>) -> Addresses {
    Addresses { local: Address::Inet(destination.into()), peer: Address::Inet(source.into()) }
}

/// The name in a `sun_path`: unix(7). An abstract one begins with a zero; its length is not told, so zeros at its end are lost.
fn unix_name(bytes: &[u8; 108]) -> UnixAddress {
    use std::os::unix::ffi::OsStrExt;

    let length = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    match &bytes[..length] {
        [] => UnixAddress::unnamed(),
        [0, name @ ..] => UnixAddress::abstract_name(name),
        path => {
            let path = path.split(|byte| *byte == 0).next().unwrap_or_default();
            UnixAddress::path(std::ffi::OsStr::from_bytes(path))
        }
    }
}

/// The same, the other way round. `None` if the name is too long.
fn unix_bytes(address: &UnixAddress) -> Option<[u8; 108]> {
    use std::os::unix::ffi::OsStrExt;

    let (front, name): (&[u8], &[u8]) = match (address.as_path(), address.as_abstract()) {
        (Some(path), _) => (&[], path.as_os_str().as_bytes()),
        (None, Some(name)) => (&[0], name),
        (None, None) => (&[], &[]),
    };
    let mut bytes = [0; 108];
    let length = front.len() + name.len();
    bytes.get_mut(front.len()..length)?.copy_from_slice(name);
    Some(bytes)
}
