//! What the targets share: an input that says how it is cut, and what any parser owes.

pub mod tls;

use std::ops::ControlFlow::{Break, Continue};

use marline_reactor::framing::{Encode, Feed};

/// What a parser found: frames and errors, and the bytes that are left.
type Found<E> = (Vec<Result<Vec<u8>, E>>, Vec<u8>);

/// Cuts pieces off the bytes, as a list of lengths says over and over; a zero is the rest.
struct Pieces<'a> {
    bytes: &'a [u8],
    lengths: std::iter::Cycle<std::slice::Iter<'a, u8>>,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.bytes.is_empty() {
            return None;
        }
        let length = match self.lengths.next() {
            Some(0) | None => self.bytes.len(),
            Some(length) => usize::from(*length).min(self.bytes.len()),
        };
        let (piece, rest) = self.bytes.split_at(length);
        self.bytes = rest;
        Some(piece)
    }
}

/// Takes a number of bytes off the front, itself told by the first: they say how the rest is cut.
#[must_use]
pub fn head(data: &[u8], most: usize) -> (&[u8], &[u8]) {
    let Some((first, rest)) = data.split_first() else { return (&[], &[]) };
    rest.split_at((usize::from(*first) % (most + 1)).min(rest.len()))
}

fn pull<'p, F>(parser: &mut F, pieces: impl Iterator<Item = &'p [u8]>) -> Found<F::Error>
where
    F: for<'a> Feed<Frame<'a> = &'a [u8]> + 'static,
{
    let mut found = Vec::new();
    for mut piece in pieces {
        loop {
            match parser.next(&mut piece) {
                Ok(Some(frame)) => found.push(Ok(frame.to_vec())),
                Ok(None) => break,
                Err(error) => found.push(Err(error)),
            }
        }
        assert!(piece.is_empty(), "a parser that wants more has kept what there was");
    }
    (found, parser.take_rest())
}

/// As [`pull`], with a handler that stops after each frame.
fn push<'p, F>(parser: &mut F, pieces: impl Iterator<Item = &'p [u8]>) -> Found<F::Error>
where
    F: for<'a> Feed<Frame<'a> = &'a [u8]> + 'static,
{
    let mut found = Vec::new();
    for mut piece in pieces {
        loop {
            let mut frames = Vec::new();
            let flow = parser.feed(std::mem::take(&mut piece), |frame| {
                frames.push(Ok(frame.to_vec()));
                Break(())
            });
            found.append(&mut frames);
            match flow {
                Ok(Break(())) => {}
                Ok(Continue(())) => break,
                Err(error) => found.push(Err(error)),
            }
        }
    }
    (found, parser.take_rest())
}

/// Any split equals the whole, stopping changes nothing, no frame is longer than the limit, and what can be sent is what
/// is read.
pub fn check<F>(make: impl Fn() -> F, limit: usize, cuts: &[u8], bytes: &[u8])
where
    F: for<'a> Feed<Frame<'a> = &'a [u8], Error: PartialEq> + Encode<Item = [u8]> + 'static,
{
    let pieces = || Pieces { bytes, lengths: cuts.iter().cycle() };
    let whole = pull(&mut make(), std::iter::once(bytes));
    assert_eq!(pull(&mut make(), pieces()), whole);
    assert_eq!(pull(&mut make(), bytes.chunks(1)), whole);
    assert_eq!(push(&mut make(), pieces()), whole);
    let mut sent = Vec::new();
    let mut parser = make();
    for frame in whole.0.iter().flatten() {
        assert!(frame.len() <= limit);
        if parser.encode(frame, &mut sent).is_ok() {
            let mut input = &sent[..];
            assert_eq!(parser.next(&mut input).expect("a frame that was sent"), Some(&frame[..]));
            assert!(input.is_empty());
        }
        sent.clear();
    }
}
