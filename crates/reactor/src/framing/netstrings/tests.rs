//! Netstrings, however their bytes arrive.

use std::ops::ControlFlow::Break;

use proptest::prelude::*;

use super::{Netstring, NetstringError, NetstringParser};
use crate::framing::splits::{Found, cuts, parse, pieces};
use crate::framing::{Encode, Feed};

use NetstringError::{LeadingZero, NoComma, NoLength, TooLong};

/// The strings of a whole input, by their definition: nothing comes after an error.
fn model(mut input: &[u8], limit: usize) -> (Found<NetstringError>, Vec<u8>) {
    let mut found = Vec::new();
    loop {
        let digits = input.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let too_long = (1..=digits).find(|end| {
            let number = std::str::from_utf8(&input[..*end]).unwrap().parse::<usize>();
            number.map_or(true, |number| number > limit)
        });
        let error = if too_long == Some(1) {
            Some(TooLong { limit })
        } else if digits > 1 && input[0] == b'0' {
            Some(LeadingZero)
        } else if too_long.is_some() {
            Some(TooLong { limit })
        } else {
            let next = input.get(digits).filter(|byte| **byte != b':' || digits == 0);
            next.map(|found| NoLength { found: *found })
        };
        if let Some(error) = error {
            found.push(Err(error));
            return (found, Vec::new());
        }
        let Some(body) = input.get(digits + 1..) else { return (found, input.to_vec()) };
        let length: usize = std::str::from_utf8(&input[..digits]).unwrap().parse().unwrap();
        match body.get(length) {
            Some(b',') => found.push(Ok(body[..length].to_vec())),
            Some(other) => {
                found.push(Err(NoComma { found: *other }));
                return (found, Vec::new());
            }
            None => return (found, input.to_vec()),
        }
        input = &body[length + 1..];
    }
}

fn all(input: &[u8]) -> Found<NetstringError> {
    let whole = parse(&mut NetstringParser::new().max_length(100), [input]).0;
    assert_eq!(parse(&mut NetstringParser::new().max_length(100), input.chunks(1)).0, whole);
    whole
}

#[test]
fn m08_every_malformed_string_has_a_typed_error_and_nothing_comes_after_it() {
    let one = Ok(b"x".to_vec());
    assert_eq!(all(b"1:x,01:x,1:x,"), [one.clone(), Err(LeadingZero)]);
    assert_eq!(all(b"1:x,00:,1:x,"), [one.clone(), Err(LeadingZero)]);
    assert_eq!(all(b"1:x,:x,1:x,"), [one.clone(), Err(NoLength { found: b':' })]);
    assert_eq!(all(b"1:x,1x:,1:x,"), [one.clone(), Err(NoLength { found: b'x' })]);
    assert_eq!(all(b"1:x, 1:x,"), [one.clone(), Err(NoLength { found: b' ' })]);
    assert_eq!(all(b"1:x,-1:x,"), [one.clone(), Err(NoLength { found: b'-' })]);
    assert_eq!(all(b"1:x,1:xx1:x,"), [one.clone(), Err(NoComma { found: b'x' })]);
    assert_eq!(all(b"1:x,101:x,"), [one.clone(), Err(TooLong { limit: 100 })]);
    assert_eq!(all(b"1:x,0:,"), [one, Ok(Vec::new())]);
}

#[test]
fn m08_a_length_is_bounded_digit_by_digit_before_anything_is_allocated() {
    let mut parser = NetstringParser::new();
    assert_eq!(parser.next(&mut &b"9999999"[..]), Err(TooLong { limit: 1024 * 1024 }));
    assert!(parser.is_broken());
    let mut digits = &[b'9'; 100_000][..];
    assert_eq!(parser.next(&mut digits), Ok(None));
    assert!(digits.is_empty());
    assert_eq!(parser.inner.kept.capacity(), 0);
    for limit in [usize::MAX, usize::MAX / 10] {
        // A length that no integer holds.
        let mut parser = NetstringParser::new().max_length(limit);
        assert_eq!(parser.next(&mut &[b'9'; 100][..]), Err(TooLong { limit }));
        let mut parser = NetstringParser::new().max_length(limit);
        assert_eq!(parser.next(&mut format!("{limit}:and a few bytes").as_bytes()), Ok(None));
        assert!(parser.inner.kept.capacity() <= 1024, "memory grows with what arrives");
    }
}

#[test]
fn a_broken_parser_is_as_new_when_its_rest_was_taken() {
    let mut parser = NetstringParser::new();
    assert!(parser.next(&mut &b"x"[..]).is_err());
    parser.keep(b"1:a,");
    assert_eq!(parser.next(&mut &b"1:a,"[..]), Ok(None));
    assert_eq!(parser.take_rest(), b"");
    assert!(!parser.is_broken());
    assert_eq!(parser.next(&mut &b"1:a,"[..]), Ok(Some(&b"a"[..])));
}

#[test]
fn leftover_bytes_can_be_taken_out_the_length_included() {
    let mut parser = NetstringParser::new();
    assert_eq!(parser.feed(b"2:go,5:ahe", |_| Break(())), Ok(Break(())));
    assert_eq!(parser.take_rest(), b"5:ahe");
}

#[test]
fn a_string_within_the_input_is_not_copied() {
    let mut parser = NetstringParser::new();
    let bytes = b"3:one,3:two,";
    let mut input = &bytes[..];
    for at in [2, 8] {
        let frame = parser.next(&mut input).unwrap().unwrap();
        assert!(std::ptr::eq(frame.as_ptr(), bytes[at..].as_ptr()));
    }
    assert_eq!(parser.inner.kept.capacity(), 0);
}

#[test]
fn the_errors_say_what_was_wrong() {
    let text = |error: NetstringError| error.to_string();
    assert_eq!(text(TooLong { limit: 7 }), "a netstring is longer than the limit of 7 bytes");
    assert_eq!(text(NoLength { found: b'x' }), "the length of a netstring has the byte 0x78 in it");
    assert_eq!(text(LeadingZero), "the length of a netstring begins with a zero");
    assert_eq!(text(NoComma { found: 0 }), "a netstring ends with the byte 0x00, and not with a comma");
}

/// Bytes that netstrings are made of.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let byte =
        prop_oneof![Just(b'0'), Just(b'1'), Just(b'2'), Just(b'3'), Just(b':'), Just(b','), Just(b'x')];
    proptest::collection::vec(byte, 0..20)
}

/// Good strings, and then whatever comes.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    (proptest::collection::vec(soup(), 0..4), soup()).prop_map(|(strings, last)| {
        let mut bytes = Vec::new();
        strings.iter().for_each(|string| _ = Netstring.encode(string, &mut bytes));
        bytes.extend(last);
        bytes
    })
}

proptest! {
    #[test]
    fn any_split_gives_the_strings_of_the_whole(input in stream(), cuts in cuts(), limit in 0..30usize) {
        let expected = model(&input, limit);
        let parser = || NetstringParser::new().max_length(limit);
        prop_assert_eq!(&parse(&mut parser(), pieces(&input, &cuts)), &expected);
        prop_assert_eq!(&parse(&mut parser(), [&input[..]]), &expected);
        prop_assert_eq!(&parse(&mut parser(), input.chunks(1)), &expected);
    }

    #[test]
    fn what_is_sent_is_what_is_read(strings in proptest::collection::vec(soup(), 0..6), cuts in cuts()) {
        let mut parser = NetstringParser::new();
        let mut bytes = Vec::new();
        for string in &strings {
            let Ok(()) = parser.encode(string, &mut bytes);
        }
        let expected = (strings.into_iter().map(Ok).collect(), Vec::new());
        prop_assert_eq!(parse(&mut parser, pieces(&bytes, &cuts)), expected);
    }
}
