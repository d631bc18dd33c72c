//! The string form of endpoints: split into scheme, rest and query first, then each part by itself.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::time::Duration;

use super::EndpointErrorKind as Kind;
use super::{Endpoint, EndpointError, LEAST_ATTEMPT_DELAY, Options, Target};
use crate::address::UnixAddress;

pub(super) const SCHEMES: &[&str] = &["tcp", "unix", "unix-abstract"];

pub(super) const OPTIONS: &[&str] = &[
    "backlog",
    "reuse_address",
    "reuse_port",
    "limit",
    "timeout",
    "attempt_delay",
    "bind",
    "nodelay",
    "mode",
];

/// What is wrong, and with which part.
type Fault<'a> = (Kind, &'a str);

struct Parts<'a> {
    scheme: &'a str,
    rest: &'a str,
    query: Option<&'a str>,
}

pub(super) fn endpoint(text: &str) -> Result<Endpoint, EndpointError> {
    let parsed = split(text).and_then(|parts| {
        let target = match parts.scheme {
            "tcp" => tcp_target(after_slashes(parts.rest)?)?,
            "unix" => Target::Unix(UnixAddress::path(name(after_slashes(parts.rest)?)?)),
            "unix-abstract" => Target::Unix(UnixAddress::abstract_name(name(after_slashes(parts.rest)?)?)),
            unknown => return Err((Kind::UnknownScheme, unknown)),
        };
        let options = parts.query.map_or_else(|| Ok(Options::default()), options)?;
        Ok(Endpoint { target, options })
    });
    parsed.map_err(|(kind, part)| EndpointError::new(text, part, kind))
}

/// Only a host and a port.
pub(super) fn tcp(text: &str) -> Result<Endpoint, EndpointError> {
    let options = Options::default();
    match tcp_target(text) {
        Ok(target) => Ok(Endpoint { target, options }),
        Err((kind, part)) => Err(EndpointError::new(text, part, kind)),
    }
}

/// `localhost:80` has no scheme, although it looks as if it had; `udp:/` has one.
fn split(text: &str) -> Result<Parts<'_>, Fault<'_>> {
    let (before, query) = match text.split_once('?') {
        Some((before, query)) => (before, Some(query)),
        None => (text, None),
    };
    let (scheme, rest) = before.split_once(':').ok_or((Kind::MissingScheme, &text[..0]))?;
    let unknown = is_scheme(scheme) && rest.starts_with('/');
    if unknown || SCHEMES.contains(&scheme) {
        Ok(Parts { scheme, rest, query })
    } else {
        Err((Kind::MissingScheme, &text[..0]))
    }
}

/// As RFC 3986 defines it.
fn is_scheme(text: &str) -> bool {
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

fn tcp_target(text: &str) -> Result<Target, Fault<'_>> {
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
        Ok(ip) => Target::Literal(SocketAddrV4::new(ip, port).into()),
        Err(_) => Target::Name { host: host.to_owned(), port },
    })
}

fn bracketed(text: &str) -> Result<Target, Fault<'_>> {
    let end = text.find(']').ok_or((Kind::BadBrackets, text))? + 1;
    let (host, rest) = text.split_at(end);
    let port = port(rest)?;
    // The standard library parses scopes only as part of a socket address.
    match format!("{host}:{port}").parse::<SocketAddrV6>() {
        Ok(address) => Ok(Target::Literal(address.into())),
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

fn options(query: &str) -> Result<Options, Fault<'_>> {
    let mut options = Options::default();
    for option in query.split('&') {
        let (name, value) = match option.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (option, None),
        };
        if !OPTIONS.contains(&name) {
            return Err((Kind::UnknownOption, name));
        }
        let value = value.ok_or((Kind::MissingValue, name))?;
        set(&mut options, name, value).map_err(|kind| match kind {
            Kind::BadValue { .. } => (kind, option),
            _ => (kind, name),
        })?;
    }
    Ok(options)
}

fn set(options: &mut Options, name: &str, value: &str) -> Result<(), Kind> {
    const NUMBER: &str = "a whole number";
    const FLAG: &str = "1 or 0";
    match name {
        "backlog" => put(&mut options.backlog, number(value), NUMBER),
        "reuse_address" => put(&mut options.reuse_address, flag(value), FLAG),
        "reuse_port" => put(&mut options.reuse_port, flag(value), FLAG),
        "limit" => put(&mut options.limit, number(value), NUMBER),
        "timeout" => put(&mut options.timeout, seconds(value), "seconds, like 2.5"),
        "attempt_delay" => {
            let delay = seconds(value).filter(|delay| *delay >= LEAST_ATTEMPT_DELAY);
            put(&mut options.attempt_delay, delay, "seconds, like 0.25, and at least 0.01")
        }
        "bind" => put(&mut options.bind, value.parse::<SocketAddr>().ok(), "an address and a port"),
        "nodelay" => put(&mut options.nodelay, flag(value), FLAG),
        "mode" => put(&mut options.mode, octal(value), "an octal number, like 600"),
        _ => Err(Kind::UnknownOption),
    }
}

fn put<T>(option: &mut Option<T>, value: Option<T>, expected: &'static str) -> Result<(), Kind> {
    let value = value.ok_or(Kind::BadValue { expected })?;
    match option.replace(value) {
        Some(_) => Err(Kind::RepeatedOption),
        None => Ok(()),
    }
}

/// Digits only: the standard library would accept a sign.
fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

/// The permissions of a file, and nothing beyond.
fn octal(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|byte| (b'0'..b'8').contains(&byte));
    let mode = if digits { u32::from_str_radix(text, 8).ok() } else { None };
    mode.filter(|mode| *mode <= 0o777)
}

fn flag(text: &str) -> Option<bool> {
    match text {
        "1" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}

/// Decimals beyond nanoseconds are refused, so that nothing is lost.
fn seconds(text: &str) -> Option<Duration> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    if decimals.is_empty() || decimals.len() > 9 {
        return None;
    }
    let nanos = number(&format!("{decimals:0<9}"))?;
    Some(Duration::new(number(whole)?, nanos))
}
