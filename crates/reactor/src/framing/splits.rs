//! What the tests of parsers share.

use proptest::prelude::*;
use proptest::sample::Index;

use super::Feed;

/// Where an input is cut.
pub(super) fn cuts() -> impl Strategy<Value = Vec<Index>> {
    proptest::collection::vec(any::<Index>(), 0..12)
}

/// The input, cut.
pub(super) fn pieces<'a>(input: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut ends: Vec<_> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
    ends.extend([0, input.len()]);
    ends.sort_unstable();
    ends.windows(2).map(|ends| &input[ends[0]..ends[1]]).collect()
}

/// What a parser found: frames and errors.
pub(super) type Found<E> = Vec<Result<Vec<u8>, E>>;

/// All that `parser` finds in the pieces, and what is left. Errors are forgiven.
pub(super) fn parse<'p, F>(
    parser: &mut F,
    pieces: impl IntoIterator<Item = &'p [u8]>,
) -> (Found<F::Error>, Vec<u8>)
where
    F: for<'a> Feed<Frame<'a> = &'a [u8]>,
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
        assert!(piece.is_empty());
    }
    (found, parser.take_rest())
}
