//! Frames behind their length, however their bytes arrive.

use std::ops::ControlFlow::{Break, Continue};

use proptest::prelude::*;

use super::{FrameTooLong, Prefix, PrefixParser};
use crate::framing::splits::{Found, cuts, parse, pieces};
use crate::framing::{Encode, Feed};

const ALL: [Prefix; 6] = [
    Prefix::U8,
    Prefix::U16,
    Prefix::U32,
    Prefix::U8.little_endian(),
    Prefix::U16.little_endian(),
    Prefix::U32.little_endian(),
];

/// The frames of a whole input, by its definition.
fn model(mut input: &[u8], prefix: Prefix, limit: usize) -> (Found<FrameTooLong>, Vec<u8>) {
    let mut found = Vec::new();
    while input.len() >= prefix.width {
        let (head, behind) = input.split_at(prefix.width);
        let mut number = [0; 4];
        if prefix.is_little_endian {
            number[..prefix.width].copy_from_slice(head);
        } else {
            head.iter().rev().zip(&mut number).for_each(|(from, to)| *to = *from);
        }
        let length = u32::from_le_bytes(number) as usize;
        if length > limit {
            found.push(Err(FrameTooLong { length, limit }));
            input = behind.get(length..).unwrap_or_default();
        } else if behind.len() >= length {
            found.push(Ok(behind[..length].to_vec()));
            input = &behind[length..];
        } else {
            break;
        }
    }
    (found, input.to_vec())
}

#[test]
fn m07_what_the_prefix_cannot_express_is_an_error_and_the_longest_that_it_can_is_not() {
    for (prefix, limit) in [(Prefix::U8, 255), (Prefix::U16, 65_535)] {
        let longest = vec![7; limit];
        let mut into = b"before".to_vec();
        assert_eq!(
            prefix.encode(&[&longest[..], b"x"].concat(), &mut into),
            Err(FrameTooLong { length: limit + 1, limit })
        );
        assert_eq!(into, b"before");
        prefix.encode(&longest, &mut into).unwrap();
        let (found, rest) = parse(&mut PrefixParser::new(prefix), [&into[6..]]);
        assert_eq!((found, rest), (vec![Ok(longest)], Vec::new()));
    }
    assert_eq!(Prefix::U32.max_length(), 4_294_967_295);
}

#[test]
fn the_bytes_of_a_length_come_in_the_order_that_was_chosen() {
    let bytes = |prefix: Prefix| {
        prefix.to_bytes(&[1; 258]).map(|mut bytes| {
            bytes.truncate(prefix.width);
            bytes
        })
    };
    assert_eq!(bytes(Prefix::U16), Ok(vec![1, 2]));
    assert_eq!(bytes(Prefix::U16.little_endian()), Ok(vec![2, 1]));
    assert_eq!(bytes(Prefix::U32), Ok(vec![0, 0, 1, 2]));
    assert_eq!(bytes(Prefix::U32.little_endian()), Ok(vec![2, 1, 0, 0]));
}

#[test]
fn m06_a_length_above_the_limit_is_refused_before_the_body_comes_and_never_buffered() {
    let mut parser = PrefixParser::new(Prefix::U32).max_length(100);
    let length = 1_000_000;
    assert_eq!(parser.next(&mut &[0, 0x0f][..]), Ok(None));
    let refused = Err(FrameTooLong { length, limit: 100 });
    assert_eq!(parser.next(&mut &[0x42, 0x40][..]), refused);
    let piece = [b'x'; 1000];
    for _ in 0..1000 {
        let mut input = &piece[..];
        assert_eq!(parser.next(&mut input), Ok(None));
        assert!(input.is_empty() && parser.inner.kept.capacity() <= 512);
    }
    assert_eq!(parser.next(&mut &b"\0\0\0\x04fine"[..]), Ok(Some(&b"fine"[..])));
}

#[test]
fn memory_grows_with_what_arrives_and_not_with_what_is_announced() {
    let mut parser = PrefixParser::new(Prefix::U32).max_length(usize::MAX);
    assert_eq!(parser.next(&mut &[0xff; 4][..]), Ok(None));
    assert_eq!(parser.next(&mut &b"a few bytes"[..]), Ok(None));
    assert!(parser.inner.kept.capacity() <= 1024);
    let mut parser = PrefixParser::new(Prefix::U16);
    let bytes = Prefix::U16.to_bytes(&[b'x'; 50_000]).unwrap();
    for piece in bytes[..50_000].chunks(100) {
        assert_eq!(parser.next(&mut &*piece), Ok(None));
        assert!(parser.inner.kept.capacity() <= bytes.len());
    }
    assert_eq!(parser.next(&mut &bytes[50_000..]).unwrap().unwrap().len(), 50_000);
    assert_eq!(parser.next(&mut &b""[..]), Ok(None));
    assert_eq!(parser.inner.kept.capacity(), 0);
}

#[test]
fn a_frame_within_the_input_is_not_copied() {
    let mut parser = PrefixParser::new(Prefix::U8);
    let bytes = b"\x03one\x00\x03two";
    let mut input = &bytes[..];
    for at in [1, 5, 6] {
        let frame = parser.next(&mut input).unwrap().unwrap();
        assert!(std::ptr::eq(frame.as_ptr(), bytes[at..].as_ptr()));
    }
    assert_eq!(parser.inner.kept.capacity(), 0);
}

#[test]
fn leftover_bytes_can_be_taken_out_the_prefix_included() {
    let mut parser = PrefixParser::new(Prefix::U16);
    let stopped = parser.feed(b"\0\x02go\0\x05ahe", |_| Break(()));
    assert_eq!(stopped, Ok(Break(())));
    assert_eq!(parser.next(&mut &b""[..]), Ok(None));
    assert_eq!(parser.take_rest(), b"\0\x05ahe");
    assert_eq!(parser.next(&mut &b"\0\x01x"[..]), Ok(Some(&b"x"[..])));
}

#[test]
fn bytes_of_a_refused_frame_are_not_left_over() {
    let mut parser = PrefixParser::new(Prefix::U8).max_length(3);
    parser.keep(b"\x09123");
    assert!(parser.next(&mut &b"45"[..]).is_err());
    parser.keep(b"67");
    assert_eq!(parser.take_rest(), b"");
    assert_eq!(parser.next(&mut &b"\x01x"[..]), Ok(Some(&b"x"[..])));
}

#[test]
fn the_error_names_the_length_and_the_limit() {
    let error = FrameTooLong { length: 9, limit: 7 };
    assert_eq!(error.to_string(), "a frame of 9 bytes is longer than the limit of 7 bytes");
    assert_eq!((error.length(), error.limit()), (9, 7));
}

/// Small numbers, so that lengths mean something.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(prop_oneof![4 => Just(0u8), 4 => 0..6u8, 1 => any::<u8>()], 0..80)
}

proptest! {
    #[test]
    fn any_split_gives_the_frames_of_the_whole(input in soup(), cuts in cuts(), limit in 0..9usize, which in 0..6usize) {
        let prefix = ALL[which];
        let expected = model(&input, prefix, limit);
        let parser = || PrefixParser::new(prefix).max_length(limit);
        prop_assert_eq!(&parse(&mut parser(), pieces(&input, &cuts)), &expected);
        prop_assert_eq!(&parse(&mut parser(), [&input[..]]), &expected);
        prop_assert_eq!(&parse(&mut parser(), input.chunks(1)), &expected);
    }

    #[test]
    fn stopping_anywhere_changes_no_frame(input in soup(), cuts in cuts(), stops in proptest::collection::vec(any::<bool>(), 1..9)) {
        let mut stops = stops.into_iter().cycle();
        let mut parser = PrefixParser::new(Prefix::U8).max_length(4);
        let mut found = Vec::new();
        for mut piece in pieces(&input, &cuts) {
            loop {
                let flow = parser.feed(std::mem::take(&mut piece), |frame| {
                    found.push(Ok(frame.to_vec()));
                    if stops.next() == Some(true) { Break(()) } else { Continue(()) }
                });
                match flow {
                    Ok(Break(())) if stops.next() == Some(true) => break,
                    Ok(Break(())) => {}
                    Ok(Continue(())) => break,
                    Err(error) => found.push(Err(error)),
                }
            }
        }
        let (last, rest) = parse(&mut parser, [&b""[..]]);
        found.extend(last);
        prop_assert_eq!((found, rest), model(&input, Prefix::U8, 4));
    }

    #[test]
    fn what_is_sent_is_what_is_read(frames in proptest::collection::vec(soup(), 0..6), cuts in cuts(), which in 0..6usize) {
        let mut parser = PrefixParser::new(ALL[which]);
        let mut bytes = Vec::new();
        for frame in &frames {
            parser.encode(frame, &mut bytes).unwrap();
        }
        let expected = (frames.into_iter().map(Ok).collect(), Vec::new());
        prop_assert_eq!(parse(&mut parser, pieces(&bytes, &cuts)), expected);
    }
}
