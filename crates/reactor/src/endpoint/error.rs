//! What is wrong with an endpoint.

use std::fmt;

use super::parse::{options_of, schemes};

/// A string is no endpoint. The message quotes it, and says what is wrong with which part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointError {
    endpoint: String,
    part: String,
    position: usize,
    kind: EndpointErrorKind,
}

/// What is wrong with an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndpointErrorKind {
    /// It does not begin with `scheme://`.
    MissingScheme,
    /// There is no such scheme.
    UnknownScheme,
    /// The scheme is not followed by `//`.
    MissingSlashes,
    /// There is nothing where a path or a name should be.
    MissingPath,
    /// There is nothing where a host should be.
    MissingHost,
    /// The host has a character that no host has.
    BadHost,
    /// An IPv6 address is not in brackets.
    MissingBrackets,
    /// What is in brackets is no IPv6 address, or the bracket is not closed.
    BadBrackets,
    /// The host is not followed by a colon and a port.
    MissingPort,
    /// The port is no number up to 65 535.
    BadPort,
    /// A path follows the port.
    UnexpectedPath,
    /// The number of a descriptor is none.
    BadDescriptor,
    /// There is nothing where a command should be.
    MissingCommand,
    /// There is no such option.
    UnknownOption,
    /// The option is one of another kind of endpoint.
    MisplacedOption,
    /// An option is missing that has no default.
    MissingOption {
        /// Which.
        name: &'static str,
    },
    /// An option is there twice.
    RepeatedOption,
    /// An option has no value.
    MissingValue,
    /// An option's value is not what it should be.
    BadValue {
        /// What it should be.
        expected: &'static str,
    },
    /// A [kind that the program added](super::EndpointKind) does not accept it.
    Refused {
        /// What it should be.
        expected: String,
    },
}

impl EndpointError {
    /// `part` is a part of `endpoint`, in the same memory.
    pub(super) fn new(endpoint: &str, part: &str, kind: EndpointErrorKind) -> Self {
        let position = part.as_ptr().addr().saturating_sub(endpoint.as_ptr().addr());
        Self {
            endpoint: endpoint.to_owned(),
            part: part.to_owned(),
            position: position.min(endpoint.len()),
            kind,
        }
    }

    /// What is wrong.
    #[must_use]
    pub const fn kind(&self) -> &EndpointErrorKind {
        &self.kind
    }

    /// The string that is no endpoint.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The part of the string that is wrong. Empty where something is missing.
    #[must_use]
    pub fn part(&self) -> &str {
        &self.part
    }

    fn known_options(&self) -> String {
        let options = options_of(&self.endpoint);
        if options.is_empty() { "it has none".to_owned() } else { format!("known: {}", options.join(", ")) }
    }

    /// Where the wrong part begins, in bytes.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.position
    }
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use EndpointErrorKind as Kind;

        let part = &self.part;
        write!(f, "endpoint {:?}: ", self.endpoint)?;
        match &self.kind {
            Kind::MissingScheme => write!(f, "missing scheme; write {}", beginnings()),
            Kind::UnknownScheme => write!(f, "unknown scheme {part:?}; known: {}", schemes().join(", ")),
            Kind::MissingSlashes => f.write_str("missing \"//\" after the scheme"),
            Kind::MissingPath => f.write_str("missing path or name"),
            Kind::MissingHost => f.write_str("missing host"),
            Kind::BadHost => write!(f, "{part:?} is no host name"),
            Kind::MissingBrackets => {
                write!(f, "{part:?} has more than one colon; an IPv6 address wants brackets")
            }
            Kind::BadBrackets => {
                write!(f, "{part:?} is no IPv6 address in brackets (with a numeric scope, if any)")
            }
            Kind::MissingPort => f.write_str("missing \":PORT\" after the host"),
            Kind::BadPort => write!(f, "port {part:?} is no number from 0 to 65535"),
            Kind::UnexpectedPath => write!(f, "unexpected path {part:?}"),
            Kind::BadDescriptor => write!(f, "{part:?} is not the number of a descriptor"),
            Kind::MissingCommand => f.write_str("missing command"),
            Kind::UnknownOption => write!(f, "unknown option {part:?}; {}", self.known_options()),
            Kind::MisplacedOption => {
                write!(f, "option {part:?} is not for this kind of endpoint; {}", self.known_options())
            }
            Kind::MissingOption { name } => write!(f, "missing option {name:?}"),
            Kind::Refused { expected } => write!(f, "{part:?} should be {expected}"),
            Kind::RepeatedOption => write!(f, "option {part:?} is there twice"),
            Kind::MissingValue => write!(f, "option {part:?} has no value"),
            Kind::BadValue { expected } => write!(f, "option {part:?} should be {expected}"),
        }
    }
}

impl std::error::Error for EndpointError {}

/// How endpoints begin: `a:..., b:... or c:...`.
fn beginnings() -> String {
    let all: Vec<String> = schemes().iter().map(|scheme| format!("{scheme}:")).collect();
    match all.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, first)) => format!("{} or {last}", first.join(", ")),
        None => String::new(),
    }
}
