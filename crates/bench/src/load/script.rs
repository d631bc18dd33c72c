//! What is said on a connection, and what has to be answered.

use crate::role::Answer;

use super::pattern::Pattern;
use super::plan::{Kind, Plan};

/// Lines differ in length by less than this, so that an answer that belongs to another line is found.
const LENGTHS: u64 = 16;

/// Requests and answers, by their numbers.
pub(super) enum Script {
    Echo(Pattern),
    /// Lines of at most so many bytes, their ends included.
    Lines(usize),
}

impl Script {
    pub(super) fn new(plan: &Plan) -> Self {
        if plan.kind == Kind::Lines { Self::Lines(plan.size) } else { Self::Echo(Pattern::new(plan.size)) }
    }

    /// Puts a request at the end of these bytes.
    pub(super) fn ask(&self, number: u64, bytes: &mut Vec<u8>) {
        match self {
            Self::Echo(pattern) => bytes.extend_from_slice(pattern.message(number)),
            Self::Lines(size) => {
                bytes.resize(bytes.len() + line_length(*size, number), b'a' + (number % 26) as u8);
                bytes.extend_from_slice(b"\r\n");
            }
        }
    }

    /// Puts the answer at the end of these bytes.
    pub(super) fn answer(&self, number: u64, bytes: &mut Vec<u8>) {
        match self {
            Self::Echo(pattern) => bytes.extend_from_slice(pattern.message(number)),
            Self::Lines(size) => bytes.extend_from_slice(Answer::to(line_length(*size, number)).as_ref()),
        }
    }
}

/// Without its end.
fn line_length(size: usize, number: u64) -> usize {
    size.saturating_sub(2 + (number % LENGTHS) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_their_ends_and_the_answers_their_lengths() {
        let script = Script::Lines(64);
        let (mut asked, mut answered) = (Vec::new(), Vec::new());
        for number in [0, 1] {
            script.ask(number, &mut asked);
            script.answer(number, &mut answered);
        }
        assert_eq!((asked.len(), &asked[61..65]), (64 + 63, &b"a\r\nb"[..]));
        assert_eq!(answered, b"+OK 62\r\n+OK 61\r\n");
    }
}
