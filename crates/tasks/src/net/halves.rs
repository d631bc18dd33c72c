//! One direction of a stream each.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::{AsyncBufRead, AsyncRead, AsyncWrite};

use super::io::{Door, Port, on_loop};
use super::stream::Stream;
use super::turns::NO_TICKET;

/// The reading half of a [`Stream`]. Dropping it stops the reading; the connection stays for the writing half.
pub struct ReadHalf {
    port: Port,
}

/// The writing half of a [`Stream`]. Dropping it ends our direction, after what was written.
pub struct WriteHalf {
    door: Door,
}

pub(super) fn split(mut stream: Stream) -> (ReadHalf, WriteHalf) {
    let door = || Door { remote: stream.port.door.remote.clone(), key: stream.port.door.key };
    let write = WriteHalf { door: door() };
    // The stream that is taken apart, and dropped below, counted as one handle; its halves count as two.
    on_loop(&stream.port.door.remote, stream.port.door.key, |local, key| {
        local.streams.with(key, |state| state.handles += 2);
    });
    let empty = Port::new(door());
    let port = std::mem::replace(&mut stream.port, empty);
    (ReadHalf { port }, write)
}

impl Drop for ReadHalf {
    fn drop(&mut self) {
        self.port.door.drop_handle();
    }
}

impl Drop for WriteHalf {
    fn drop(&mut self) {
        on_loop(&self.door.remote, self.door.key, |local, key| {
            let transport = local.streams.with(key, |state| state.transport.clone()).flatten();
            if let Some(transport) = transport {
                transport.write_eof();
            }
            local.streams.drop_handle(key);
        });
    }
}

impl AsyncRead for ReadHalf {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.port.poll_read(NO_TICKET, context, into)
    }
}

impl AsyncBufRead for ReadHalf {
    fn poll_fill_buf(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        self.get_mut().port.poll_fill(context)
    }

    fn consume(self: Pin<&mut Self>, count: usize) {
        self.get_mut().port.consume(count);
    }
}

impl AsyncWrite for WriteHalf {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.door.poll_write(NO_TICKET, context, data)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.door.poll_flush(NO_TICKET, context)
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.door.poll_close(NO_TICKET, context)
    }
}

impl fmt::Debug for ReadHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReadHalf({:?})", self.port.door.key)
    }
}

impl fmt::Debug for WriteHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WriteHalf({:?})", self.door.key)
    }
}
