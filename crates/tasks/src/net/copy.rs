//! From one stream to another.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};

use super::scratch::Scratch;

/// Bytes are copied in pieces of at most this size.
const PIECE: usize = 64 * 1024;

/// Copies from `reader` to `writer` until the end of the one, then ends the direction of the other: how many bytes that were.
///
/// `copy(&stream, &stream)` is an echo server's connection. The buffer exists only while bytes are under way.
///
/// # Errors
///
/// Of reading or writing.
///
/// # Cancellation
///
/// Dropping it may lose bytes that were read and not yet written.
pub async fn copy<R, W>(mut reader: R, mut writer: W) -> io::Result<u64>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut total = 0;
    let mut rest = None;
    poll_fn(|context| {
        let mut piece = match rest.take() {
            Some(piece) => piece,
            None => Piece::empty(),
        };
        loop {
            if piece.poll_write(&mut writer, context)?.is_pending() {
                rest = Some(piece);
                return Poll::Pending;
            }
            // When there is no more, the buffer goes back.
            let count = ready!(piece.poll_read(&mut reader, context))?;
            if count == 0 {
                return Poll::Ready(Ok::<_, io::Error>(()));
            }
            total += count as u64;
        }
    })
    .await?;
    poll_fn(|context| Pin::new(&mut writer).poll_close(context)).await?;
    Ok(total)
}

/// What was read and not written.
struct Piece {
    buffer: Scratch,
    start: usize,
    end: usize,
}

impl Piece {
    fn empty() -> Self {
        Self { buffer: Scratch::take(PIECE), start: 0, end: 0 }
    }

    /// Reads once all is written.
    #[inline]
    fn poll_read<R>(&mut self, reader: &mut R, context: &mut Context<'_>) -> Poll<io::Result<usize>>
    where
        R: AsyncRead + Unpin,
    {
        let count = ready!(Pin::new(reader).poll_read(context, &mut self.buffer))?;
        (self.start, self.end) = (0, count);
        Poll::Ready(Ok(count))
    }

    /// Writes all of it.
    #[inline]
    fn poll_write<W>(&mut self, writer: &mut W, context: &mut Context<'_>) -> Poll<io::Result<()>>
    where
        W: AsyncWrite + Unpin,
    {
        while self.start < self.end {
            let data = &self.buffer[self.start..self.end];
            let count = ready!(Pin::new(&mut *writer).poll_write(context, data))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.start += count;
        }
        Poll::Ready(Ok(()))
    }
}
