//! From one stream to another.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};

use super::scratch::Scratch;

/// Copies from `reader` to `writer` until the end of the one, then ends the direction of the other: how many bytes that were.
///
/// `copy(&stream, &stream)` is an echo server's connection. The buffer exists only while bytes are under way.
///
/// # Errors
///
/// Of reading or writing.
///
/// # Panics
///
/// When it is polled after it was done, as that of an `async fn` does.
///
/// # Cancellation
///
/// Dropping it may lose bytes that were read and not yet written.
pub fn copy<R, W>(reader: R, writer: W) -> impl Future<Output = io::Result<u64>>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    Copy { ends: Some((reader, writer)), total: 0, rest: Piece::empty() }
}

/// Written by hand, as it is a good part of what an idle connection costs: an async fn keeps its arguments twice.
struct Copy<R, W> {
    /// `None` when it is done.
    ends: Option<(R, W)>,
    total: u64,
    rest: Piece,
}

/// What was read and not written, with a buffer if that is anything.
struct Piece {
    buffer: Scratch,
    start: u32,
    end: u32,
}

/// Where a piece starts when the reader has come to its end, and the writer is being closed.
const ENDED: u32 = u32::MAX;

impl<R, W> Future for Copy<R, W>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    type Output = io::Result<u64>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        // As an async fn does.
        let (reader, writer) = this.ends.as_mut().expect("copy was polled after it was done");
        if this.rest.start != ENDED {
            match this.rest.poll_copy(reader, writer, &mut this.total, context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) => this.rest.start = ENDED,
                Poll::Ready(Err(error)) => {
                    this.ends = None;
                    return Poll::Ready(Err(error));
                }
            }
        }
        let closed = ready!(Pin::new(writer).poll_close(context));
        this.ends = None;
        Poll::Ready(closed.map(|()| this.total))
    }
}

impl Piece {
    const fn empty() -> Self {
        Self { buffer: Scratch::none(), start: 0, end: 0 }
    }

    /// Copies until the reader's end.
    #[inline]
    fn poll_copy<R, W>(
        &mut self,
        reader: &mut R,
        writer: &mut W,
        total: &mut u64,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        if self.start < self.end {
            ready!(self.poll_write(writer, context))?;
        }
        // When there is no more, the buffer goes back.
        let mut buffer = Scratch::take();
        loop {
            let count = ready!(Pin::new(&mut *reader).poll_read(context, &mut buffer))?;
            if count == 0 {
                return Poll::Ready(Ok(()));
            }
            *total += count as u64;
            let start = match Pin::new(&mut *writer).poll_write(context, &buffer[..count]) {
                Poll::Ready(Ok(written)) if written >= count => continue,
                Poll::Ready(written) => Some(some(written)?),
                Poll::Pending => None,
            };
            *self = Self { buffer, start: start.map_or(0, position), end: position(count) };
            if start.is_none() {
                return Poll::Pending;
            }
            ready!(self.poll_write(writer, context))?;
            buffer = Scratch::take();
        }
    }

    /// Writes all of it, and gives its buffer back.
    #[cold]
    fn poll_write<W>(&mut self, writer: &mut W, context: &mut Context<'_>) -> Poll<io::Result<()>>
    where
        W: AsyncWrite + Unpin,
    {
        while self.start < self.end {
            let data = &self.buffer[self.start as usize..self.end as usize];
            let count = some(ready!(Pin::new(&mut *writer).poll_write(context, data)))?;
            self.start = self.start.saturating_add(position(count));
        }
        *self = Self::empty();
        Poll::Ready(Ok(()))
    }
}

/// A position in a buffer, none of which is as large as the largest.
fn position(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX - 1)
}

/// To write nothing is an error.
fn some(written: io::Result<usize>) -> io::Result<usize> {
    match written? {
        0 => Err(io::ErrorKind::WriteZero.into()),
        count => Ok(count),
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::pin::pin;
    use std::task::Waker;

    use futures::io::{Cursor, sink};

    use super::*;

    /// Fails in each read.
    struct Broken;

    impl AsyncRead for Broken {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
        }
    }

    /// What it answers first, and whether it panics then.
    fn poll_twice(copying: impl Future<Output = io::Result<u64>>) -> (Option<u64>, bool) {
        let (mut copying, mut context) = (pin!(copying), Context::from_waker(Waker::noop()));
        let Poll::Ready(first) = copying.as_mut().poll(&mut context) else { unreachable!("nothing waits") };
        let second = catch_unwind(AssertUnwindSafe(|| copying.as_mut().poll(&mut context)));
        (first.ok(), second.is_err())
    }

    #[test]
    fn a_copy_that_is_polled_after_its_end_panics() {
        assert_eq!(poll_twice(copy(Cursor::new([7; 100_000]), sink())), (Some(100_000), true));
        assert_eq!(poll_twice(copy(Broken, sink())), (None, true));
        let full: &mut [u8] = &mut [0; 10];
        assert_eq!(poll_twice(copy(Cursor::new([7; 100]), Cursor::new(full))), (None, true));
    }
}
