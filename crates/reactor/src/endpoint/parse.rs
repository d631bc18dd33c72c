//! The string form of endpoints: split into scheme, rest and query first, then each part by itself.

use std::net::{Ipv4Addr, SocketAddrV4, SocketAddrV6};
use std::path::PathBuf;

use super::EndpointErrorKind as Kind;
use super::kind::{EndpointParts, registered, registered_schemes};
use super::options::{Options, number};
use super::{Endpoint, EndpointError, Host, Target};
use crate::address::UnixAddress;

/// What is wrong, and with which part.
type Fault<'a> = (Kind, &'a str);

/// A kind of our own.
struct Scheme {
    name: &'static str,
    options: &'static [&'static str],
    /// Whether all of the rest belongs to it, question marks included.
    takes_rest: bool,
    parse: fn(&str) -> Result<Target, Fault<'_>>,
}

const SCHEMES: &[Scheme] = &[
    Scheme {
        name: "tcp",
        options: &[
            "backlog",
            "reuse_address",
            "reuse_port",
            "limit",
            "timeout",
            "attempt_delay",
            "bind",
            "nodelay",
        ],
        takes_rest: false,
        parse: |rest| Ok(Target::Tcp(host(after_slashes(rest)?)?)),
    },
    Scheme {
        name: "unix",
        options: &["backlog", "limit", "timeout", "mode", "descriptors"],
        takes_rest: false,
        parse: |rest| Ok(Target::Unix(UnixAddress::path(name(after_slashes(rest)?)?))),
    },
    Scheme {
        name: "unix-abstract",
        options: &["backlog", "limit", "timeout", "descriptors"],
        takes_rest: false,
        parse: |rest| Ok(Target::Unix(UnixAddress::abstract_name(name(after_slashes(rest)?)?))),
    },
    Scheme {
        name: "udp",
        options: &["reuse_address", "reuse_port", "bind"],
        takes_rest: false,
        parse: |rest| Ok(Target::Udp(host(after_slashes(rest)?)?)),
    },
    Scheme {
        name: "unix-datagram",
        options: &["mode"],
        takes_rest: false,
        parse: |rest| Ok(Target::UnixDatagram(either_name(after_slashes(rest)?)?)),
    },
    Scheme {
        name: "unix-seqpacket",
        options: &["mode"],
        takes_rest: false,
        parse: |rest| Ok(Target::UnixSeqpacket(either_name(after_slashes(rest)?)?)),
    },
    Scheme { name: "stdio", options: &[], takes_rest: false, parse: stdio },
    Scheme {
        name: "fd",
        options: &["limit"],
        takes_rest: false,
        parse: |rest| descriptor(after_slashes(rest)?),
    },
    Scheme {
        name: "systemd",
        options: &["limit"],
        takes_rest: false,
        parse: |rest| Ok(Target::Systemd(name(after_slashes(rest)?)?.to_owned())),
    },
    Scheme {
        name: "pipe",
        options: &["open", "timeout"],
        takes_rest: false,
        parse: |rest| Ok(Target::Pipe(PathBuf::from(name(after_slashes(rest)?)?))),
    },
    Scheme {
        name: "exec",
        options: &[],
        takes_rest: true,
        parse: |rest| Ok(Target::Exec(command(rest)?.to_owned())),
    },
    Scheme {
        name: "pty",
        options: &[],
        takes_rest: true,
        parse: |rest| Ok(Target::Pty(command(rest)?.to_owned())),
    },
];

pub(super) fn is_builtin(scheme: &str) -> bool {
    builtin(scheme).is_some()
}

fn builtin(scheme: &str) -> Option<&'static Scheme> {
    SCHEMES.iter().find(|known| known.name == scheme)
}

/// All schemes that there are.
pub(super) fn schemes() -> Vec<String> {
    SCHEMES.iter().map(|scheme| scheme.name.to_owned()).chain(registered_schemes()).collect()
}

/// The options that an endpoint of this string may have.
pub(super) fn options_of(text: &str) -> Vec<&'static str> {
    let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
    match (builtin(scheme), registered(scheme)) {
        (Some(builtin), _) => builtin.options.to_vec(),
        (None, Some(kind)) => kind.options().to_vec(),
        (None, None) => Vec::new(),
    }
}

pub(super) fn endpoint(text: &str) -> Result<Endpoint, EndpointError> {
    parse(text).map_err(|(kind, part)| EndpointError::new(text, part, kind))
}

/// `localhost:80` has no scheme, although it looks as if it had; `ftp:/` has one.
fn parse(text: &str) -> Result<Endpoint, Fault<'_>> {
    let (scheme, rest) = text.split_once(':').ok_or((Kind::MissingScheme, &text[..0]))?;
    let Some(builtin) = builtin(scheme) else {
        return match registered(scheme) {
            Some(kind) => parse_registered(scheme, rest, &*kind),
            None if is_scheme(scheme) && rest.starts_with('/') => Err((Kind::UnknownScheme, scheme)),
            None => Err((Kind::MissingScheme, &text[..0])),
        };
    };
    let (rest, query) = if builtin.takes_rest { (rest, None) } else { split_query(rest) };
    let target = (builtin.parse)(rest)?;
    let mut options = Options::default();
    for option in query.into_iter().flat_map(|query| query.split('&')) {
        let (name, value) = split_option(option)?;
        if !SCHEMES.iter().any(|scheme| scheme.options.contains(&name)) {
            return Err((Kind::UnknownOption, name));
        }
        if !builtin.options.contains(&name) {
            return Err((Kind::MisplacedOption, name));
        }
        let value = value.ok_or((Kind::MissingValue, name))?;
        options.set(name, value).map_err(|kind| match kind {
            Kind::BadValue { .. } => (kind, option),
            _ => (kind, name),
        })?;
    }
    if matches!(target, Target::Pipe(_)) && options.open.is_none() {
        return Err((Kind::MissingOption { name: "open" }, &text[text.len()..]));
    }
    Ok(Endpoint { target, options })
}

fn parse_registered<'a>(
    scheme: &'a str,
    rest: &'a str,
    kind: &dyn super::EndpointKind,
) -> Result<Endpoint, Fault<'a>> {
    let (rest, query) = split_query(rest);
    let mut options: Vec<(String, String)> = Vec::new();
    for option in query.into_iter().flat_map(|query| query.split('&')) {
        let (name, value) = split_option(option)?;
        if !kind.options().contains(&name) {
            return Err((Kind::UnknownOption, name));
        }
        if options.iter().any(|(known, _)| known == name) {
            return Err((Kind::RepeatedOption, name));
        }
        options.push((name.to_owned(), value.ok_or((Kind::MissingValue, name))?.to_owned()));
    }
    let parts = EndpointParts::new(scheme, rest, options);
    kind.check(&parts).map_err(|expected| (Kind::Refused { expected }, rest))?;
    Ok(Target::Registered(parts).into())
}

fn split_query(rest: &str) -> (&str, Option<&str>) {
    match rest.split_once('?') {
        Some((rest, query)) => (rest, Some(query)),
        None => (rest, None),
    }
}

fn split_option(option: &str) -> Result<(&str, Option<&str>), Fault<'_>> {
    Ok(match option.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (option, None),
    })
}

/// Only a host and a port.
pub(super) fn host_port(text: &str, target: fn(Host) -> Target) -> Result<Endpoint, EndpointError> {
    let parsed = host(text).map(|host| target(host).into());
    parsed.map_err(|(kind, part)| EndpointError::new(text, part, kind))
}

/// As RFC 3986 defines it.
pub(super) fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

fn after_slashes(rest: &str) -> Result<&str, Fault<'_>> {
    rest.strip_prefix("//").ok_or((Kind::MissingSlashes, &rest[..0]))
}

/// The path or the name of a UNIX socket, to the end.
fn name(text: &str) -> Result<&str, Fault<'_>> {
    if text.is_empty() { Err((Kind::MissingPath, text)) } else { Ok(text) }
}

/// A path, or an abstract name behind an at sign.
fn either_name(text: &str) -> Result<UnixAddress, Fault<'_>> {
    match text.strip_prefix('@') {
        Some(abstract_name) => Ok(UnixAddress::abstract_name(name(abstract_name)?)),
        None => Ok(UnixAddress::path(name(text)?)),
    }
}

fn stdio(rest: &str) -> Result<Target, Fault<'_>> {
    if rest.is_empty() { Ok(Target::Stdio) } else { Err((Kind::UnexpectedPath, rest)) }
}

fn descriptor(text: &str) -> Result<Target, Fault<'_>> {
    number(text).map(Target::Descriptor).ok_or((Kind::BadDescriptor, text))
}

fn command(text: &str) -> Result<&str, Fault<'_>> {
    if text.trim().is_empty() { Err((Kind::MissingCommand, text)) } else { Ok(text) }
}

fn host(text: &str) -> Result<Host, Fault<'_>> {
    let (host_port, path) = text.split_at(text.find('/').unwrap_or(text.len()));
    if !path.is_empty() {
        return Err((Kind::UnexpectedPath, path));
    }
    if host_port.starts_with('[') {
        return bracketed(host_port);
    }
    let (host, port_text) = host_port.split_once(':').unwrap_or((host_port, ""));
    if port_text.contains(':') {
        return Err((Kind::MissingBrackets, host_port));
    }
    if host.is_empty() {
        return Err((Kind::MissingHost, host));
    }
    if !host.chars().all(is_of_host) {
        return Err((Kind::BadHost, host));
    }
    let port = port(&host_port[host.len()..])?;
    Ok(match host.parse::<Ipv4Addr>() {
        Ok(ip) => Host::Literal(SocketAddrV4::new(ip, port).into()),
        Err(_) => Host::Name { name: host.to_owned(), port },
    })
}

fn bracketed(text: &str) -> Result<Host, Fault<'_>> {
    let end = text.find(']').ok_or((Kind::BadBrackets, text))? + 1;
    let (host, rest) = text.split_at(end);
    let port = port(rest)?;
    // The standard library parses scopes only as part of a socket address.
    match format!("{host}:{port}").parse::<SocketAddrV6>() {
        Ok(address) => Ok(Host::Literal(address.into())),
        Err(_) => Err((Kind::BadBrackets, host)),
    }
}

/// What follows the host.
fn port(text: &str) -> Result<u16, Fault<'_>> {
    let digits = text.strip_prefix(':').ok_or((Kind::MissingPort, text))?;
    if digits.is_empty() {
        return Err((Kind::MissingPort, text));
    }
    number(digits).ok_or((Kind::BadPort, digits))
}

/// The system's resolver judges names; this keeps out what would mean something else in an endpoint.
fn is_of_host(c: char) -> bool {
    !c.is_whitespace() && !c.is_control() && !"[]%@#?&=\\\"'<>".contains(c)
}
