//! What frames have in common whose length comes first.

use super::kept::Kept;

/// The longest body that is accepted unless the program chooses otherwise.
pub(super) const MAX_LENGTH: usize = 1024 * 1024;
/// No header is longer: twenty digits and a colon.
const HEADER: usize = 24;

/// What stands around a body.
pub(super) trait Layout {
    type Error;

    /// Reads a header at the front of the bytes; `None` if it is not complete. Answers within [`HEADER`] bytes.
    fn read(&self, front: &[u8]) -> Result<Option<Shape>, Refused<Self::Error>>;

    /// Looks at the last byte of a frame.
    fn check(&self, last: u8) -> Result<(), Self::Error>;
}

/// How a frame is made up, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) header: usize,
    pub(super) body: usize,
    pub(super) trailer: usize,
}

impl Shape {
    fn total(self) -> usize {
        self.header.saturating_add(self.body).saturating_add(self.trailer)
    }
}

/// A frame that is not acceptable.
pub(super) struct Refused<E> {
    pub(super) error: E,
    /// How many bytes to pass over to get to the next one. `None`: where that is, nobody can tell.
    pub(super) length: Option<u64>,
}

/// Finds frames whose length comes first.
#[derive(Debug)]
pub(super) struct Counted<L> {
    pub(super) layout: L,
    pub(super) kept: Kept,
    /// Of the frame that is arriving, once its header is there.
    shape: Option<Shape>,
    /// How many bytes of a refused frame are still to come.
    pass_over: u64,
    broken: bool,
}

impl<L: Layout> Counted<L> {
    pub(super) const fn new(layout: L) -> Self {
        Self { layout, kept: Kept::new(), shape: None, pass_over: 0, broken: false }
    }

    pub(super) const fn is_broken(&self) -> bool {
        self.broken
    }

    pub(super) fn next<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8]) -> Result<Option<&'a [u8]>, L::Error> {
        self.kept.forget_handed_out();
        self.drop_refused(input);
        let shape = match self.find_shape(input) {
            Ok(shape) => shape,
            Err(refused) => return Err(self.refuse(refused, input)),
        };
        let Some(shape) = shape.filter(|shape| shape.total() <= self.kept.len() + input.len()) else {
            self.keep_unfinished(shape, input);
            return Ok(None);
        };
        self.shape = None;
        if let Err(error) = self.layout.check(self.byte_at(shape.total() - 1, input)) {
            return Err(self.refuse(Refused { error, length: None }, input));
        }
        let frame = self.take(shape.total(), input);
        Ok(Some(&frame[shape.header..][..shape.body]))
    }

    pub(super) fn keep(&mut self, input: &[u8]) {
        self.kept.forget_handed_out();
        self.kept.push(input);
    }

    pub(super) fn take_rest(&mut self) -> Vec<u8> {
        self.drop_refused(&mut &[][..]);
        (self.shape, self.pass_over, self.broken) = (None, 0, false);
        self.kept.take()
    }

    /// Drops the bytes of a frame that was refused, and behind a malformed one whatever comes.
    fn drop_refused(&mut self, input: &mut &[u8]) {
        if self.broken {
            self.kept.clear();
            *input = &[];
        }
        if self.pass_over > 0 {
            let kept = self.refused_among(self.kept.len());
            self.kept.pass(kept);
            let pushed = self.refused_among(input.len());
            *input = &input[pushed..];
        }
    }

    /// How many of so many bytes belong to a refused frame. They no longer count.
    fn refused_among(&mut self, bytes: usize) -> usize {
        let count = usize::try_from(self.pass_over).unwrap_or(usize::MAX).min(bytes);
        self.pass_over -= count as u64;
        count
    }

    fn find_shape(&mut self, input: &[u8]) -> Result<Option<Shape>, Refused<L::Error>> {
        if self.shape.is_none() {
            self.shape = if self.kept.is_empty() {
                self.layout.read(input)?
            } else {
                let (mut front, kept) = ([0; HEADER], self.kept.bytes());
                let (first, both) = (kept.len().min(HEADER), (kept.len() + input.len()).min(HEADER));
                front[..first].copy_from_slice(&kept[..first]);
                front[first..both].copy_from_slice(&input[..both - first]);
                self.layout.read(&front[..both])?
            };
        }
        Ok(self.shape)
    }

    fn refuse(&mut self, refused: Refused<L::Error>, input: &mut &[u8]) -> L::Error {
        match refused.length {
            Some(length) => self.pass_over = length,
            None => self.broken = true,
        }
        self.drop_refused(input);
        refused.error
    }

    fn keep_unfinished(&mut self, shape: Option<Shape>, input: &mut &[u8]) {
        self.kept.push_towards(shape.map_or(HEADER, Shape::total), std::mem::take(input));
    }

    fn byte_at(&self, index: usize, input: &[u8]) -> u8 {
        let kept = self.kept.bytes();
        if index < kept.len() { kept[index] } else { input[index - kept.len()] }
    }

    /// Takes so many bytes off what was kept and the input: without a copy, if none of them was kept.
    fn take<'a, 'i: 'a>(&'a mut self, count: usize, input: &mut &'i [u8]) -> &'a [u8] {
        let kept = self.kept.len().min(count);
        let (front, behind) = input.split_at(count - kept);
        *input = behind;
        if kept == 0 {
            return front;
        }
        self.kept.push_towards(count, front);
        self.kept.take_front(count)
    }
}
