//! The options of endpoints.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use super::EndpointErrorKind as Kind;
use super::LEAST_ATTEMPT_DELAY;

/// What was chosen. What was not is left to the defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Options {
    pub(crate) backlog: Option<u32>,
    pub(crate) reuse_address: Option<bool>,
    pub(crate) reuse_port: Option<bool>,
    pub(crate) limit: Option<usize>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) attempt_delay: Option<Duration>,
    pub(crate) bind: Option<SocketAddr>,
    pub(crate) nodelay: Option<bool>,
    pub(crate) mode: Option<u32>,
    pub(crate) open: Option<OpenFor>,
    pub(crate) descriptors: Option<bool>,
}

/// What a named pipe is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OpenFor {
    /// It is read.
    Reading,
    /// It is written.
    Writing,
}

impl OpenFor {
    const fn word(self) -> &'static str {
        match self {
            Self::Reading => "read",
            Self::Writing => "write",
        }
    }
}

impl Options {
    /// Sets the option of that name.
    pub(super) fn set(&mut self, name: &str, value: &str) -> Result<(), Kind> {
        const NUMBER: &str = "a whole number";
        const FLAG: &str = "1 or 0";
        match name {
            "backlog" => put(&mut self.backlog, number(value), NUMBER),
            "reuse_address" => put(&mut self.reuse_address, flag(value), FLAG),
            "reuse_port" => put(&mut self.reuse_port, flag(value), FLAG),
            "limit" => put(&mut self.limit, number(value), NUMBER),
            "timeout" => put(&mut self.timeout, seconds(value), "seconds, like 2.5"),
            "attempt_delay" => {
                let delay = seconds(value).filter(|delay| *delay >= LEAST_ATTEMPT_DELAY);
                put(&mut self.attempt_delay, delay, "seconds, like 0.25, and at least 0.01")
            }
            "bind" => put(&mut self.bind, value.parse::<SocketAddr>().ok(), "an address and a port"),
            "nodelay" => put(&mut self.nodelay, flag(value), FLAG),
            "mode" => put(&mut self.mode, octal(value), "an octal number, like 600"),
            "open" => put(&mut self.open, open_for(value), "read or write"),
            "descriptors" => put(&mut self.descriptors, flag(value), FLAG),
            _ => Err(Kind::UnknownOption),
        }
    }
}

impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flag = |chosen: Option<bool>| chosen.map(|chosen| u8::from(chosen).to_string());
        let options = [
            ("backlog", self.backlog.map(|value| value.to_string())),
            ("reuse_address", flag(self.reuse_address)),
            ("reuse_port", flag(self.reuse_port)),
            ("limit", self.limit.map(|value| value.to_string())),
            ("timeout", self.timeout.map(written)),
            ("attempt_delay", self.attempt_delay.map(written)),
            ("bind", self.bind.map(|value| value.to_string())),
            ("nodelay", flag(self.nodelay)),
            ("mode", self.mode.map(|mode| format!("{mode:o}"))),
            ("open", self.open.map(|open| open.word().to_owned())),
            ("descriptors", flag(self.descriptors)),
        ];
        let mut separator = '?';
        for (name, value) in options {
            if let Some(value) = value {
                write!(f, "{separator}{name}={value}")?;
                separator = '&';
            }
        }
        Ok(())
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
pub(super) fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
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

fn open_for(text: &str) -> Option<OpenFor> {
    [OpenFor::Reading, OpenFor::Writing].into_iter().find(|open| open.word() == text)
}

/// Decimals beyond nanoseconds are refused, so that nothing is lost.
pub(super) fn seconds(text: &str) -> Option<Duration> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    if decimals.is_empty() || decimals.len() > 9 {
        return None;
    }
    let nanos = number(&format!("{decimals:0<9}"))?;
    Some(Duration::new(number(whole)?, nanos))
}

/// Seconds, with as many decimals as it takes to lose nothing.
fn written(duration: Duration) -> String {
    let text = format!("{}.{:09}", duration.as_secs(), duration.subsec_nanos());
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
