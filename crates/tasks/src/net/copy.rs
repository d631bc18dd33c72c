//! From one stream to another.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Poll, ready};

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
    let mut buffer = Scratch::none();
    loop {
        let count = poll_fn(|context| {
            let first = buffer.is_empty();
            if first {
                buffer = Scratch::take(PIECE);
            }
            let polled = Pin::new(&mut reader).poll_read(context, &mut buffer);
            if polled.is_pending() {
                buffer = Scratch::none();
            }
            polled
        })
        .await?;
        if count == 0 {
            break;
        }
        write_all(&mut writer, &buffer[..count]).await?;
        total += count as u64;
    }
    poll_fn(|context| Pin::new(&mut writer).poll_close(context)).await?;
    Ok(total)
}

async fn write_all<W: AsyncWrite + Unpin>(writer: &mut W, data: &[u8]) -> io::Result<()> {
    let mut written = 0;
    poll_fn(|context| {
        while written < data.len() {
            let count = ready!(Pin::new(&mut *writer).poll_write(context, &data[written..]))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            written += count;
        }
        Poll::Ready(Ok(()))
    })
    .await
}
