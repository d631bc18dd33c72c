//! Lines, however their bytes arrive.

use std::ops::ControlFlow::{Break, Continue};

use proptest::prelude::*;

use super::{LineParser, LineTooLong, UnsendableLine};
use crate::framing::splits::{cuts, parse, pieces};
use crate::framing::{Encode, Feed};

type Found = Result<Vec<u8>, LineTooLong>;

fn lines(parser: &mut LineParser, pieces: &[&[u8]]) -> Vec<Found> {
    parse(parser, pieces.iter().copied()).0
}

fn good(line: &str) -> Found {
    Ok(line.as_bytes().to_vec())
}

fn too_long(limit: usize) -> Found {
    Err(LineTooLong { limit })
}

/// The lines of a whole input, by its definition.
fn model(input: &[u8], delimiter: &[u8], drop_return: bool, limit: usize) -> Vec<Found> {
    let (mut found, mut start) = (Vec::new(), 0);
    for end in 0..=input.len() {
        if input[start..end].ends_with(delimiter) {
            let mut line = &input[start..end - delimiter.len()];
            if drop_return && line.ends_with(b"\r") {
                line = &line[..line.len() - 1];
            }
            let fits = line.len() <= limit;
            found.push(if fits { Ok(line.to_vec()) } else { too_long(limit) });
            start = end;
        }
    }
    if input.len() - start > limit + delimiter.len() + usize::from(drop_return) - 1 {
        found.push(too_long(limit));
    }
    found
}

#[test]
fn bytes_one_at_a_time_give_the_same_lines() {
    let input = b"one\r\ntwo\n\n\r\nthree\rfour\nrest";
    let expected = ["one", "two", "", "", "three\rfour"].map(good);
    let (found, rest) = parse(&mut LineParser::new(), input.chunks(1));
    assert_eq!((&found[..], &rest[..]), (&expected[..], &b"rest"[..]));
    let (found, rest) = parse(&mut LineParser::new(), [&input[..]]);
    assert_eq!((&found[..], &rest[..]), (&expected[..], &b"rest"[..]));
}

#[test]
fn a_custom_delimiter_may_be_split_and_may_overlap_itself() {
    let mut parser = LineParser::new().delimiter(b"\r\n");
    assert_eq!(lines(&mut parser, &[b"a\nb\r", b"\r", b"\nc\r\n"]), ["a\nb\r", "c"].map(good));
    let mut parser = LineParser::new().delimiter(b"aab");
    assert_eq!(lines(&mut parser, &[b"a", b"a", b"a", b"baa", b"b"]), ["a", ""].map(good));
}

#[test]
fn a_handler_that_stops_goes_on_later_without_loss_or_repetition() {
    let mut parser = LineParser::new();
    let mut seen = Vec::new();
    let mut flow = parser.feed(b"a\nb\nc\nd", |line| {
        seen.push(line.to_vec());
        Break(())
    });
    while flow == Ok(Break(())) {
        flow = parser.feed(b"", |line| {
            seen.push(line.to_vec());
            Break(())
        });
    }
    assert_eq!(flow, Ok(Continue(())));
    assert_eq!(seen, [b"a", b"b", b"c"]);
    assert_eq!(parser.next(&mut &b"e\n"[..]), Ok(Some(&b"de"[..])));
}

#[test]
fn the_limit_counts_the_line_and_not_its_delimiter() {
    for pieces in [&[&b"1234\r\n"[..]][..], &[b"1234\r", b"\n"], &[b"1234", b"\r\n"], &[b"1234\n"]] {
        let mut parser = LineParser::new().max_length(4);
        assert_eq!(lines(&mut parser, pieces), [good("1234")]);
        let mut parser = LineParser::new().max_length(3);
        assert_eq!(lines(&mut parser, pieces), [too_long(3)]);
    }
    let mut parser = LineParser::new().delimiter(b"<end>").max_length(4);
    assert_eq!(
        lines(&mut parser, &[b"1234<e", b"nd>12345<", b"end>x<end>"]),
        [good("1234"), too_long(4), good("x")]
    );
}

#[test]
fn a_line_that_is_too_long_is_not_buffered_and_reported_once() {
    let mut parser = LineParser::new().max_length(10);
    let piece = [b'x'; 1000];
    let mut input = &piece[..];
    assert_eq!(parser.next(&mut input), Err(LineTooLong { limit: 10 }));
    for _ in 0..1000 {
        let mut input = &piece[..];
        assert_eq!(parser.next(&mut input), Ok(None));
        assert!(parser.kept.capacity() <= 64);
    }
    assert_eq!(parser.next(&mut &b"\nfine\n"[..]), Ok(Some(&b"fine"[..])));
}

#[test]
fn the_error_names_the_limit() {
    let error = LineTooLong { limit: 7 };
    assert_eq!(error.to_string(), "a line is longer than the limit of 7 bytes");
    assert_eq!(error.limit(), 7);
}

#[test]
fn leftover_bytes_can_be_taken_out() {
    let mut parser = LineParser::new();
    let mut input: &[u8] = b"switch\nraw\nbytes";
    assert_eq!(parser.next(&mut input), Ok(Some(&b"switch"[..])));
    parser.keep(input);
    assert_eq!(parser.take_rest(), b"raw\nbytes");
    assert_eq!(parser.take_rest(), b"");
    assert_eq!(parser.next(&mut &b"new\n"[..]), Ok(Some(&b"new"[..])));
}

#[test]
fn bytes_that_were_kept_come_before_those_that_are_pushed() {
    let mut parser = LineParser::new();
    parser.keep(b"a\nb\nc");
    assert_eq!(lines(&mut parser, &[b"d\ne", b"\n"]), ["a", "b", "cd", "e"].map(good));
}

#[test]
fn a_line_that_would_be_read_as_another_is_not_sent() {
    let send = |parser: &LineParser, line: &[u8]| parser.to_bytes(line);
    let parser = LineParser::new();
    assert_eq!(send(&parser, b"one"), Ok(b"one\n".to_vec()));
    assert_eq!(send(&parser, b""), Ok(b"\n".to_vec()));
    for line in [&b"one\ntwo"[..], b"\n", b"one\r"] {
        let mut into = b"before".to_vec();
        assert_eq!(parser.encode(line, &mut into), Err(UnsendableLine));
        assert_eq!(into, b"before");
    }
    let parser = LineParser::new().delimiter(b"aba");
    assert_eq!(send(&parser, b"aab"), Err(UnsendableLine), "the line would end with its first byte");
    assert_eq!(send(&parser, b"aa"), Ok(b"aaaba".to_vec()));
    assert_eq!(UnsendableLine.to_string(), "a line holds what ends a line");
}

#[test]
fn a_line_within_the_input_is_not_copied() {
    let mut parser = LineParser::new();
    let bytes = b"first\nsecond\n";
    let mut input = &bytes[..];
    let line = parser.next(&mut input).unwrap().unwrap();
    assert!(std::ptr::eq(line.as_ptr(), bytes.as_ptr()));
    let line = parser.next(&mut input).unwrap().unwrap();
    assert!(std::ptr::eq(line.as_ptr(), bytes[6..].as_ptr()));
    assert_eq!(parser.kept.capacity(), 0);
}

#[test]
fn memory_that_a_long_line_needed_is_let_go() {
    let mut parser = LineParser::new();
    let long = vec![b'x'; 10_000];
    assert_eq!(parser.next(&mut &long[..]), Ok(None));
    let mut input: &[u8] = b"\n";
    assert_eq!(parser.next(&mut input).unwrap().unwrap().len(), 10_000);
    assert_eq!(parser.next(&mut input), Ok(None));
    assert_eq!(parser.kept.capacity(), 0);
}

#[test]
fn a_large_kept_rest_of_tiny_lines_takes_linear_time() {
    // If each line moved what is behind it, or each byte looked back, this would take minutes.
    let mut parser = LineParser::new().max_length(usize::MAX);
    parser.keep(&b"\n".repeat(500_000));
    let mut count = 0;
    while parser.next(&mut &b""[..]).unwrap().is_some() {
        count += 1;
    }
    assert_eq!(count, 500_000);
    for _ in 0..500_000 {
        assert_eq!(parser.next(&mut &b"x"[..]), Ok(None));
    }
    assert_eq!(parser.next(&mut &b"\n"[..]).unwrap().unwrap().len(), 500_000);
}

fn soup() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'a'), Just(b'b')], 0..60)
}

proptest! {
    #[test]
    fn any_split_gives_the_lines_of_the_whole(
        input in soup(),
        cuts in cuts(),
        limit in 0..12usize,
        kind in 0..4usize,
    ) {
        let parser = LineParser::new().max_length(limit);
        let (mut parser, delimiter): (_, &[u8]) = match kind {
            0 => (parser, b"\n"),
            1 => (parser.delimiter(b"\r\n"), b"\r\n"),
            2 => (parser.delimiter(b"aba"), b"aba"),
            _ => (parser.delimiter(b"\n"), b"\n"),
        };
        let expected = model(&input, delimiter, kind == 0, limit);
        let (found, _) = parse(&mut parser, pieces(&input, &cuts));
        prop_assert_eq!(&found, &expected);
        let (found, _) = parse(&mut parser, [&input[..]]);
        prop_assert_eq!(&found, &expected);
    }

    #[test]
    fn a_line_that_can_be_sent_is_the_line_that_is_read(line in soup(), kind in 0..3usize) {
        let mut parser = match kind {
            0 => LineParser::new(),
            1 => LineParser::new().delimiter(b"\r\n"),
            _ => LineParser::new().delimiter(b"aba"),
        };
        if let Ok(bytes) = parser.to_bytes(&line) {
            prop_assert_eq!(lines(&mut parser, &[&bytes]), [Ok(line)]);
        }
    }

    #[test]
    fn stopping_anywhere_changes_no_line_and_no_rest(
        input in soup(),
        cuts in cuts(),
        limit in 0..12usize,
        stops in proptest::collection::vec(any::<bool>(), 1..9),
    ) {
        let mut stops = stops.into_iter().cycle();
        let mut parser = LineParser::new().max_length(limit);
        let mut found = Vec::new();
        for piece in pieces(&input, &cuts) {
            let mut input = piece;
            loop {
                let flow = parser.feed(std::mem::take(&mut input), |line| {
                    found.push(Ok(line.to_vec()));
                    if stops.next() == Some(true) { Break(()) } else { Continue(()) }
                });
                match flow {
                    // Half of the stops last until the next bytes are there.
                    Ok(Break(())) if stops.next() == Some(true) => break,
                    Ok(Break(())) => {}
                    Ok(Continue(())) => break,
                    Err(error) => found.push(Err(error)),
                }
            }
        }
        let (last, rest) = parse(&mut parser, [&b""[..]]);
        found.extend(last);
        prop_assert_eq!(&found, &model(&input, b"\n", true, limit));
        if found.iter().all(Result::is_ok) {
            let start = input.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
            prop_assert_eq!(&rest, &input[start..]);
        }
    }
}
