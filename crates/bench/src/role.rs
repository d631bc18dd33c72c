//! What a server does with what it gets, and what all servers of a role have in common.

use std::io::Write;

/// How many bytes a source writes at a time.
pub const CHUNK: usize = 64 * 1024;
/// For each byte that it gets a source sends so many; a sink answers a byte for so many.
pub const UNIT: usize = 1024 * 1024;
/// What a source sends, and sinks get.
pub const FILLER: u8 = b'x';

/// What a server does with what it gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Sends it back.
    #[default]
    Echo,
    /// Sends a [`UNIT`] for each byte.
    Source,
    /// Sends a byte for each [`UNIT`].
    Sink,
    /// Answers each line with an [`Answer`].
    Lines,
    /// Sends each line to every other connection.
    Relay,
    /// Echoes, and says at the end how late its timer was: see [`lateness`](crate::lateness).
    Timed,
}

impl Role {
    const ALL: [Self; 6] = [Self::Echo, Self::Source, Self::Sink, Self::Lines, Self::Relay, Self::Timed];

    /// What the third argument of a server calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Source => "source",
            Self::Sink => "sink",
            Self::Lines => "lines",
            Self::Relay => "relay",
            Self::Timed => "timed",
        }
    }

    /// That of the third argument.
    #[must_use]
    pub fn of_arguments() -> Self {
        let name = std::env::args().nth(3).unwrap_or_default();
        Self::ALL.into_iter().find(|role| role.name() == name).unwrap_or_default()
    }
}

/// Counts the bytes that a sink gets.
#[derive(Debug, Default)]
pub struct Units {
    rest: usize,
}

impl Units {
    /// How many are complete with these bytes.
    pub fn complete(&mut self, bytes: usize) -> usize {
        let total = self.rest + bytes;
        self.rest = total % UNIT;
        total / UNIT
    }
}

/// The answer to a line: `+OK n\r\n`, where `n` is the line's length.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    bytes: [u8; 32],
    length: usize,
}

impl Answer {
    /// To a line of so many bytes, its end not counted.
    #[must_use]
    pub fn to(line: usize) -> Self {
        let mut bytes = [0; 32];
        let mut rest = &mut bytes[..];
        // The largest number has twenty digits, so it always fits.
        let written = write!(rest, "+OK {line}\r\n").map(|()| rest.len());
        Self { bytes, length: 32 - written.unwrap_or(0) }
    }
}

impl AsRef<[u8]> for Answer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_counted_across_pieces() {
        let mut units = Units::default();
        assert_eq!(units.complete(UNIT - 1), 0);
        assert_eq!(units.complete(UNIT + 1), 2);
        assert_eq!(units.complete(3 * UNIT), 3);
    }

    #[test]
    fn an_answer_names_the_length() {
        assert_eq!(Answer::to(0).as_ref(), b"+OK 0\r\n");
        assert_eq!(Answer::to(usize::MAX).as_ref(), format!("+OK {}\r\n", usize::MAX).as_bytes());
    }

    #[test]
    fn every_role_has_a_name_of_its_own() {
        for (index, role) in Role::ALL.iter().enumerate() {
            assert!(Role::ALL[index + 1..].iter().all(|other| other.name() != role.name()));
        }
    }
}
