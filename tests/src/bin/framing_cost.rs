//! Parses a number of bytes in a chosen shape, and does nothing else, so that its instructions can be counted:
//! `.ci/instructions` runs it under valgrind.
//!
//! `framing_cost SHAPE BYTES`, where the shape is `lines`, `bytes`, `prefixed` or `netstrings`.

use marline_reactor::framing::{Encode, Feed, LineParser, NetstringParser, Prefix, PrefixParser};

/// As much as a backend receives at a time.
const PIECE: usize = 64 * 1024;

/// Pushes the bytes over and over, in pieces, until so many are through. Answers with the number of frames and their bytes.
fn parse<F>(mut parser: F, unit: &[u8], piece: usize, total: usize) -> (usize, usize)
where
    F: for<'a> Feed<Frame<'a> = &'a [u8]> + 'static,
{
    let (mut frames, mut length, mut pushed) = (0, 0, 0);
    while pushed < total {
        for mut input in unit.chunks(piece) {
            pushed += input.len();
            while let Some(frame) = parser.next(&mut input).expect("good frames") {
                frames += 1;
                length += frame.len();
            }
        }
    }
    (frames, length)
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let shape = arguments.next().expect("a shape");
    let total: usize = arguments.next().and_then(|bytes| bytes.parse().ok()).expect("a number of bytes");
    let lines = b"1234567\n".repeat(PIECE / 8);
    let longest = vec![b'x'; 1024 * 1024];
    let found = match &*shape {
        "lines" => parse(LineParser::new(), &lines, PIECE, total),
        "bytes" => parse(LineParser::new(), &lines, 1, total),
        "prefixed" => {
            let unit = Prefix::U32.to_bytes(&longest).expect("it fits");
            parse(PrefixParser::new(Prefix::U32), &unit, PIECE, total)
        }
        "prefixed-bytes" => {
            let unit = Prefix::U32.to_bytes(&longest).expect("it fits");
            parse(PrefixParser::new(Prefix::U32), &unit, 1, total)
        }
        "netstrings" => {
            let mut unit = Vec::new();
            let Ok(()) = NetstringParser::new().encode(&longest, &mut unit);
            parse(NetstringParser::new(), &unit, PIECE, total)
        }
        "netstrings-bytes" => {
            let Ok(unit) = NetstringParser::new().to_bytes(&longest);
            parse(NetstringParser::new(), &unit, 1, total)
        }
        _ => panic!("what is {shape:?}?"),
    };
    println!("{} frames, {} bytes in them", found.0, found.1);
}
